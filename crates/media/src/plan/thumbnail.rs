//! `thumbnail`: the frame that is shown at a second.
//!
//! The frame *shown* at a second is the last one that begins at or before it. The `fps` filter finds it, for even and
//! uneven frames alike: told to start at that second, it drops every frame that is over by then, and the one that is
//! not comes out first. `trim` ends the branch after it, so that nothing more is decoded for its sake.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Format, Thumbnail};

use super::color::{Alpha, Hdr};
use super::geometry::{Samples, Target};
use super::video::{missing, words};
use super::{Design, Desk, Place, Resemblance, size, timeline};
use crate::extras::TrackKind;
use crate::seen::Likeness;
use crate::spell::{on_file_time, seconds};
use crate::step::{AudioTrack, Encoder, Making, Passes, Product, StreamPlan, VideoTrack, Window};
use crate::verify::{Frames, VideoExpectation};

pub(super) fn design(desk: &Desk<'_>, thumbnail: &Thumbnail) -> Result<Design, JobFailure> {
    // A sound has a picture where it has a cover, which is the same at every second.
    let cover = desk.source.extras.of_kind(TrackKind::Cover).find(|_| desk.source.info.video.is_none());
    let (video, second) = match cover.and_then(|cover| cover.picture.as_ref()) {
        Some(picture) => (picture, 0.0),
        None => (desk.picture()?, second(desk, thumbnail.at_seconds)?),
    };
    let (width, height) = thumbnail_size(video, thumbnail);
    let alpha = video.has_alpha();
    let (encoders, options, samples, carries): (&[&str], _, _, _) = match thumbnail.format {
        Format::Png => (&["png"], words(&[]), Samples::Rgb(if alpha { "rgba" } else { "rgb24" }), true),
        Format::Webp => (&["libwebp"], words(&["-quality", "80"]), Samples::Rgb("bgra"), true),
        _ => (&["mjpeg"], words(&["-q:v", "3"]), Samples::Jfif, false),
    };
    let name = desk.capabilities.first_of(encoders).ok_or_else(|| missing(thumbnail.format.as_str()))?;
    let target = Target {
        frame_rate: None,
        size: (width, height),
        samples,
        hdr: Hdr::standard(desk, video),
        alpha: Alpha::of(alpha, carries, Alpha::OnWhite),
    };
    let (filters, mut notes) = target.filters(desk, video);
    let mut chain = if desk.source.still || cover.is_some() { Vec::new() } else { vec![pick(desk, second)] };
    chain.extend(filters);
    notes.insert(
        0,
        match cover {
            Some(cover) => format!("the cover, {}", cover.words()),
            None => format!("the frame shown at {} s", seconds(second)),
        },
    );
    let encoder = Encoder { name: name.to_owned(), options };
    let track = VideoTrack::Encode { filters: chain, encoder, uneven: false, palette: false };
    let codec = if thumbnail.format == Format::Jpg { "mjpeg" } else { thumbnail.format.as_str() };
    let place = if cover.is_some() { Place::Own(Window::Whole, Passes::One) } else { Place::Passing(second) };
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams: vec![StreamPlan::new("video", "encode", notes.join("; "))],
        video: Some(VideoExpectation::new(codec, (width, height))),
        frames: Some(Frames { count: 1, tolerance: 0 }),
        alpha: alpha && thumbnail.format == Format::Png,
        seen: cover.is_none().then_some(Resemblance { start: second, ..Resemblance::whole(Likeness::Still) }),
        cover: cover.map(|cover| cover.index),
        ..Design::new(thumbnail.format, place)
    })
}

fn pick(desk: &Desk<'_>, second: f64) -> String {
    // The last frame stays for as long as it is asked for: where nobody tells how long the picture is while there is sound,
    // and where a container counts frames that are not shown.
    let frame =
        format!("tpad=stop=-1:stop_mode=clone,fps=90000:start_time={}:round=down,trim=end_frame=1", seconds(second));
    if timeline::jumps(desk.source) {
        return frame;
    }
    format!("{},{frame}", on_file_time("setpts", &seconds(desk.source.video_start)))
}

/// How large a thumbnail of `video` becomes, in pixels.
pub(crate) fn thumbnail_size(video: &VideoInfo, thumbnail: &Thumbnail) -> (u32, u32) {
    size::target(video, &never_enlarged(thumbnail), Fit::Inside, size::Sides::Any)
}

fn never_enlarged(thumbnail: &Thumbnail) -> reelhook_domain::recipe::Size {
    reelhook_domain::recipe::Size { enlarge: false, ..thumbnail.size.clone() }
}

/// The second asked for, or the last frame where the picture is over by then: at the very end, and while the sound goes
/// on.
fn second(desk: &Desk<'_>, asked: f64) -> Result<f64, JobFailure> {
    if desk.source.still {
        // It is shown for as long as one likes.
        return Ok(0.0);
    }
    let info = &desk.source.info;
    let picture = timeline::length(desk.source, true, false).map(|length| desk.source.video_start + length);
    let Some(picture) = picture.or(info.duration_seconds) else { return Ok(asked) };
    let whole = info.duration_seconds.map_or(picture, |whole| whole.max(picture));
    let frame = info.video.as_ref().and_then(|video| video.frame_rate).map_or(0.0, |rate| 1.0 / rate);
    if asked > whole + frame {
        let message = format!("at_seconds is {asked}; the input is {whole:.3} seconds long");
        return Err(JobFailure::request(Stage::Planning, "beyond_end", message));
    }
    Ok(asked.min(picture - frame / 2.0).max(0.0))
}

/// The product in a step of its own: jumping to the key frame before the second, where the container has an index.
pub(super) fn alone(desk: &Desk<'_>, mut product: Product, second: f64) -> (Product, Window) {
    if desk.source.still || second <= 0.0 || !timeline::jumps(desk.source) {
        return (product, Window::Whole);
    }
    if let Some(Making { video: VideoTrack::Encode { filters, .. }, .. }) = &mut product.making
        && let Some(first) = filters.first_mut()
    {
        // Times count from where the jump was meant to go; frames before that have negative ones.
        *first = pick(desk, 0.0);
    }
    (product, Window::From { start: second })
}
