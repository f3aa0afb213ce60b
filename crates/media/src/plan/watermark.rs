//! `watermark`: another picture laid on a video or a still.
//!
//! The mark is scaled with its colours weighed by its alpha, brought into the colours of the picture (the same matrix and
//! range, or the light of high dynamic range), and laid on the finished picture, before its encoder. Its place is counted
//! on the picture as it is shown.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Format, Margin, MarkPlace, Watermark};

use super::color::{Alpha, Hdr, Meaning};
use super::geometry::{EXACT, Samples, Target};
use super::video::{Keys, Rate, Wish, missing, tier, tier_words, words};
use super::{Damage, Design, Desk, Place, Resemblance, audio, convert, size};
use crate::seen::Likeness;
use crate::step::{AudioTrack, Beside, BesideFile, Encoder, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::verify::{Frames, VideoExpectation};

/// Light of a diffuse white, in cd/m2 of the 10000 of PQ. Source: ITU-R BT.2408, table 1.
const WHITE_OF_PQ: f64 = 203.0 / 10_000.0;
/// Signal of a diffuse white in HLG. Source: the same.
const WHITE_OF_HLG: f64 = 0.75;

/// Marks wider than this share of the picture, in percent, hide too much of it to be compared.
const MOST_COMPARED: f64 = 40.0;

pub(super) fn design(desk: &Desk<'_>, wish: &Watermark) -> Result<Design, JobFailure> {
    let video = desk.picture()?;
    let mark = Mark::find(desk, &wish.image)?;
    let refuse = |message: String| Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    let design = match (desk.source.still, wish.format) {
        (true, Some(format)) if format.is_video() => {
            return refuse(format!("format is {format}; the input is a still image, which becomes jpg, png or webp"));
        }
        (false, Some(format)) if !format.is_video() => {
            return refuse(format!("format is {format}; the input is a video, which becomes mp4, webm, mkv or mov"));
        }
        (true, _) => still(desk, video, wish, &mark)?,
        (false, _) => moving(desk, video, wish, &mark)?,
    };
    let file = BesideFile::Further(mark.place);
    let beside = vec![Beside::of(file, &desk.further[mark.place].source)];
    Ok(Design { place: Place::Own(Window::Whole, Passes::One), beside, ..design })
}

/// The input that is the mark.
struct Mark {
    /// Its place among the further inputs.
    place: usize,
    /// Which stream of it.
    index: u32,
    size: (u32, u32),
}

impl Mark {
    fn find(desk: &Desk<'_>, name: &str) -> Result<Self, JobFailure> {
        let refuse = |code, message: String| JobFailure::request(Stage::Planning, code, message);
        let place = desk.further.iter().position(|further| further.name == *name).ok_or_else(|| {
            refuse("invalid_request", format!("image is {name}; the job has no further input of that name"))
        })?;
        let source = &desk.further[place].source;
        if let (Damage::Strict, Some(damage)) = (desk.damage, &source.damage) {
            return Err(damage.clone());
        }
        let picture = source.info.video.as_ref().filter(|_| source.still);
        let (Some(picture), Some(index)) = (picture, source.video_index) else {
            return Err(refuse("unsupported_media", format!("the mark {name} is not a still image")));
        };
        Ok(Self { place, index, size: (picture.width.max(1), picture.height.max(1)) })
    }

    /// The graph that lays it on what the filters before have made, in the colours that `colored` brings it to.
    fn laid(&self, wish: &Watermark, picture: (u32, u32), grid: u32, colored: &[String]) -> String {
        let Spot { size: (width, height), at: (x, y) } = spot(self.size, picture, wish, grid);
        let mut filters = vec!["format=gbrap".to_owned()];
        if (width, height) != self.size {
            // What is hidden under transparency must not bleed into what is seen.
            filters.push("premultiply=inplace=1".to_owned());
            filters.push(format!("scale={width}:{height}:{EXACT}"));
            filters.push("unpremultiply=inplace=1".to_owned());
        }
        if wish.opacity < 1.0 {
            filters.push("format=rgba".to_owned());
            filters.push(format!("colorchannelmixer=aa={}", wish.opacity));
        }
        filters.extend(colored.iter().cloned());
        // In one step with the filters around it: the last of those before ends in a pad of its own.
        format!("null[base];[1:{}]{}[mark];[base][mark]overlay={x}:{y}:format=auto", self.index, filters.join(","))
    }
}

/// Size and place of a mark on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    size: (u32, u32),
    at: (u32, u32),
}

/// Where a mark of that size lies on a picture of that size, on whole steps of `grid` pixels: colour of video stands for
/// two of them.
fn spot(mark: (u32, u32), picture: (u32, u32), wish: &Watermark, grid: u32) -> Spot {
    let (wide, high) = (f64::from(picture.0), f64::from(picture.1));
    let aspect = f64::from(mark.1) / f64::from(mark.0);
    // A tall mark on a wide picture still fits on it.
    let width = (wide * wish.width_percent / 100.0).min(wide).min(high / aspect);
    let side = |side: f64, most: u32| (side.round() as u32).clamp(1, most);
    let size = (side(width, picture.0), side(width * aspect, picture.1));
    let margin = match wish.margin {
        Margin::Percent(percent) => (wide.min(high) * percent / 100.0).round() as u32,
        Margin::Pixels(pixels) => pixels,
    };
    use MarkPlace::{Bottom, BottomLeft, BottomRight, Left, Right, Top, TopLeft, TopRight};
    let (free_x, free_y) = (picture.0 - size.0, picture.1 - size.1);
    let x = match wish.place {
        TopLeft | Left | BottomLeft => margin.min(free_x),
        TopRight | Right | BottomRight => free_x.saturating_sub(margin),
        MarkPlace::Center | Top | Bottom => free_x / 2,
    };
    let y = match wish.place {
        TopLeft | Top | TopRight => margin.min(free_y),
        BottomLeft | Bottom | BottomRight => free_y.saturating_sub(margin),
        MarkPlace::Center | Left | Right => free_y / 2,
    };
    Spot { size, at: (x / grid * grid, y / grid * grid) }
}

fn words_of(wish: &Watermark) -> String {
    let margin = match wish.margin {
        Margin::Percent(percent) => format!("{percent}% of the shorter side"),
        Margin::Pixels(pixels) => format!("{pixels} pixels"),
    };
    let place = wish.place.as_str().replace('_', " ");
    format!(
        "{} laid on {place}, {margin} from the edges, {}% as wide, opacity {}",
        wish.image, wish.width_percent, wish.opacity
    )
}

fn moving(desk: &Desk<'_>, video: &VideoInfo, wish: &Watermark, mark: &Mark) -> Result<Design, JobFailure> {
    let format = wish.format.unwrap_or(Format::Mp4);
    let codec = wish.codec.or_else(|| format.codecs().first().copied()).ok_or_else(|| missing(format.as_str()))?;
    let picture = Wish {
        codec,
        format,
        quality: wish.quality,
        rate: Rate::Factor(tier(codec, wish.quality).1),
        size: size::target(video, &convert::as_it_is(), Fit::Inside, size::Sides::Even),
        frame_rate: None,
        keys: Keys::Free,
        reason: format!("{}; {}", words_of(wish), tier_words(codec, wish.quality)),
    };
    let sound = audio::Wish { format, copy: audio::Copy::WhereItFits, kbps: None, quality: wish.quality };
    let mut design = desk.both(&picture, sound)?;
    // A mark that covers most of the picture leaves little to compare.
    let covers = wish.width_percent > MOST_COMPARED;
    design.seen = (!covers).then(|| Resemblance::whole(Likeness::Shapes));
    let colored = colored(video, Hdr::of(desk, video, codec));
    if let Some(Making { video: VideoTrack::Encode { filters, .. }, .. }) = &mut design.making {
        let samples = filters.iter().rev().find(|filter| filter.starts_with("format=")).cloned();
        filters.push(mark.laid(wish, picture.size, 2, &colored));
        // What the overlay gives may have alpha, or another layout, that the encoder would not be told of.
        filters.extend(samples);
    }
    Ok(design)
}

/// Filters that bring the sRGB of a mark into the colours of a video.
fn colored(video: &VideoInfo, hdr: Hdr) -> Vec<String> {
    let Meaning { matrix, transfer, .. } = if hdr == Hdr::Mapped { Meaning::bt709() } else { Meaning::of(video) };
    let lit = match (hdr, transfer.as_str()) {
        (Hdr::Kept | Hdr::Tagged, "smpte2084") => Some(format!(
            "pow((0.8359375+18.8515625*pow({WHITE_OF_PQ}*pow(val/maxval\\,2.2)\\,0.1593017578125))/\
             (1+18.6875*pow({WHITE_OF_PQ}*pow(val/maxval\\,2.2)\\,0.1593017578125))\\,78.84375)"
        )),
        (Hdr::Kept | Hdr::Tagged, "arib-std-b67") => Some(format!("{WHITE_OF_HLG}*val/maxval")),
        _ => None,
    };
    let lit = lit.map(|signal| format!("format=rgba,lutrgb=r={0}:g={0}:b={0}", format!("maxval*{signal}")));
    let video = format!("scale=out_color_matrix={matrix}:out_range=tv:{EXACT}");
    lit.into_iter().chain([video, "format=yuva420p".to_owned()]).collect()
}

fn still(desk: &Desk<'_>, video: &VideoInfo, wish: &Watermark, mark: &Mark) -> Result<Design, JobFailure> {
    let own = Format::from_word(&desk.source.info.format);
    let own = own.filter(|format| matches!(format, Format::Jpg | Format::Png | Format::Webp));
    let format = wish.format.or(own).unwrap_or(Format::Png);
    let size = size::target(video, &convert::as_it_is(), Fit::Inside, size::Sides::Any);
    let has_alpha = video.has_alpha();
    let jfif = format!("scale=out_color_matrix=bt601:out_range=pc:{EXACT}");
    let (encoder, codec, options, samples): (&str, _, _, &[&str]) = match format {
        Format::Jpg => ("mjpeg", "mjpeg", words(&["-q:v", "2"]), &[&jfif, "format=yuvj420p"]),
        Format::Webp => ("libwebp", "webp", words(&["-quality", "85"]), &["format=bgra"]),
        _ => ("png", "png", words(&[]), &[if has_alpha { "format=rgba" } else { "format=rgb24" }]),
    };
    let name = desk.capabilities.first_of(&[encoder]).ok_or_else(|| missing(format.as_str()))?;
    let target = Target {
        frame_rate: None,
        size,
        samples: Samples::Rgb("rgba"),
        hdr: Hdr::standard(desk, video),
        alpha: Alpha::of(has_alpha, format != Format::Jpg, Alpha::OnWhite),
    };
    let (mut filters, mut notes) = target.filters(desk, video);
    notes.insert(0, words_of(wish));
    filters.push(mark.laid(wish, size, 1, &["format=rgba".to_owned()]));
    filters.extend(words(samples));
    let encoder = Encoder { name: name.to_owned(), options };
    let track = VideoTrack::Encode { filters, encoder, uneven: false, palette: false };
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams: vec![StreamPlan::new("video", "encode", notes.join("; "))],
        video: Some(VideoExpectation::new(codec, size)),
        frames: Some(Frames { count: 1, tolerance: 0 }),
        alpha: has_alpha && format == Format::Png,
        ..Design::new(format, Place::Own(Window::Whole, Passes::One))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelhook_domain::recipe::Quality;

    fn of(mark: (u32, u32), picture: (u32, u32), place: MarkPlace, margin: Margin, width_percent: f64) -> Spot {
        let (image, opacity, quality) = ("logo".to_owned(), 1.0, Quality::Standard);
        let wish = Watermark { image, place, margin, opacity, width_percent, format: None, codec: None, quality };
        spot(mark, picture, &wish, 2)
    }

    #[test]
    fn a_mark_lies_in_each_of_nine_places() {
        for (place, at) in [
            (MarkPlace::TopLeft, (10, 10)),
            (MarkPlace::Top, (450, 10)),
            (MarkPlace::TopRight, (890, 10)),
            (MarkPlace::Left, (10, 224)),
            (MarkPlace::Center, (450, 224)),
            (MarkPlace::Right, (890, 224)),
            (MarkPlace::BottomLeft, (10, 440)),
            (MarkPlace::Bottom, (450, 440)),
            (MarkPlace::BottomRight, (890, 440)),
        ] {
            let spot = of((200, 100), (1000, 500), place, Margin::Percent(2.0), 10.0);
            assert_eq!(spot, Spot { size: (100, 50), at }, "{place}");
        }
    }

    #[test]
    fn a_mark_stays_on_the_picture_whatever_is_asked() {
        let far = of((200, 100), (1000, 500), MarkPlace::BottomRight, Margin::Pixels(5000), 10.0);
        assert_eq!(far.at, (0, 0));
        let tall = of((10, 1000), (1000, 500), MarkPlace::Top, Margin::Pixels(20), 50.0);
        assert_eq!(tall, Spot { size: (5, 500), at: (496, 0) });
        let thin = of((4000, 1), (64, 36), MarkPlace::Left, Margin::Pixels(0), 0.1);
        assert_eq!(thin.size, (1, 1));
        let whole = of((64, 36), (64, 36), MarkPlace::Right, Margin::Percent(50.0), 100.0);
        assert_eq!(whole, Spot { size: (64, 36), at: (0, 0) });
    }
}
