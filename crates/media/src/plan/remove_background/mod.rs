//! `remove_background`: the subject alone, on nothing, a colour or a picture.
//!
//! One graph of filters does all of it. First the share that each pixel has in the subject, its alpha: keyed from a
//! screen ([`key`]), or read beside the input from a matte that a model made before. The picture is scaled before that,
//! so that no colour of the background bleeds in. Then what is behind ([`stage`]): the canvas is made of the source's own
//! frames, painted over, so that its frames come exactly when the subject's do.

mod key;
mod screen;
mod stage;

pub(crate) use self::screen::{SCREEN_SIZE, screen_color};

use reelhook_domain::failure::{JobFailure, Stage as JobStage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Background, CHROMA, Format, Quality, RemoveBackground, Rgb};

use self::stage::Stage;
use super::color::Hdr;
use super::convert::apart;
use super::video::{missing, words};
use super::{Design, Desk, Place, audio, timeline};
use crate::spell::seconds;
use crate::step::{
    AudioTrack, Before, Beside, BesideFile, Encoder, Making, Passes, Step, StreamPlan, VideoTrack, Window,
};
use crate::verify::VideoExpectation;

/// Most frames a second in a GIF: its times are hundredths, and viewers slow down what is shorter than two.
const FASTEST_GIF: f64 = 50.0;
/// Most bytes of pictures that wait in memory for their palette; beyond that the input is read twice.
const WAITING: f64 = 256.0 * 1024.0 * 1024.0;
const BLACK: Rgb = Rgb([0, 0, 0]);
/// Stands in a graph for the filters that key out a screen whose colour is measured first.
const KEYING: &str = "{keying}";

/// Plans one output.
pub(super) fn design(desk: &Desk<'_>, wish: &RemoveBackground) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let carries_alpha = wish.background == Background::Transparent;
    if carries_alpha && wish.format == Format::Mp4 {
        let message = "background must be a colour or an image: mp4 carries no alpha";
        return Err(JobFailure::request(JobStage::Planning, "invalid_request", message));
    }
    let even = !matches!(wish.format, Format::Gif | Format::PngSequence);
    let stage = Stage::new((video.width, video.height), wish.composition.as_ref(), even)?;
    let look = look(desk, wish.format, carries_alpha)?;
    let graph = Graph::new(desk, video, wish, &stage)?;

    let mut notes = vec![look.note.to_owned()];
    notes.extend(graph.notes);
    let mut filters = vec![graph.text];
    filters.extend(look.samples.iter().map(|filter| (*filter).to_owned()));
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    let sound =
        audio::Wish { format: wish.format, copy: audio::Copy::WhereItFits, kbps: None, quality: Quality::Standard };
    let (audio, audio_expect) = match &desk.source.info.audio {
        Some(info) => {
            let (track, expect, plan) = audio::carry(desk, info, sound)?;
            streams.push(plan);
            (track, expect)
        }
        None => (AudioTrack::None, None),
    };

    let seconds = timeline::length(desk.source, true, audio_expect.is_some());
    let (width, height) = stage.canvas;
    let palette = wish.format == Format::Gif;
    let rate = graph.frame_rate.or(video.frame_rate).unwrap_or(25.0);
    let waiting = seconds.unwrap_or(f64::MAX) * rate * f64::from(width) * f64::from(height) * 4.0;
    let passes = if palette && waiting > WAITING { Passes::Palette } else { Passes::One };
    let encoder = Encoder { name: look.encoder.to_owned(), options: words(look.options) };
    let uneven = video.variable_frame_rate && graph.frame_rate.is_none();
    let span = timeline::span(desk.source, seconds, wish.format, Some(graph.frame_rate), &audio);
    Ok(Design {
        making: Some(Making { video: VideoTrack::Encode { filters, encoder, uneven, palette }, audio }),
        streams,
        video: Some(VideoExpectation::new(look.codec, (width, height))),
        audio: audio_expect,
        // Pictures in an archive have no times.
        duration: span.filter(|_| wish.format != Format::PngSequence),
        // The encoder of WebP shows a picture longer where the next one is the same.
        frames: timeline::frames(desk.source, video, graph.frame_rate, desk.damage)
            // Of uneven ones a GIF drops some.
            .filter(|_| wish.format != Format::Webp && !(palette && uneven)),
        beside: graph.beside,
        // GIF and WebP say so only of a file in which some pixel is clear.
        alpha: carries_alpha && !matches!(wish.format, Format::Gif | Format::Webp),
        before: graph.before,
        ..Design::new(wish.format, Place::Own(Window::Whole, passes))
    })
}

/// How a format is written.
struct Look {
    encoder: &'static str,
    codec: &'static str,
    options: &'static [&'static str],
    /// Filters that make the samples that the encoder takes.
    samples: &'static [&'static str],
    note: &'static str,
}

/// RGB to video samples, tagged as what they are.
const TAGS: &str = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709";
const TO_VIDEO: &str = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd";
const TO_WEBP: &str = "scale=out_color_matrix=bt601:out_range=tv:flags=bicubic+accurate_rnd";

fn look(desk: &Desk<'_>, format: Format, alpha: bool) -> Result<Look, JobFailure> {
    let vp9: &[&str] = &["-deadline", "good", "-cpu-used", "4", "-row-mt", "1", "-crf", "28", "-b:v", "0"];
    // With the frames that are never shown alpha and colour would not stay together.
    let vp9_alpha: &[&str] =
        &["-deadline", "good", "-cpu-used", "4", "-row-mt", "1", "-crf", "28", "-b:v", "0", "-auto-alt-ref", "0"];
    let webp: &[&str] = &["-quality", "80"];
    let h264: &[&str] = &["-preset", "medium", "-crf", "20"];
    let look = |encoder, codec, options, samples, note| Look { encoder, codec, options, samples, note };
    let looks: Vec<Look> = match (format, alpha) {
        (Format::Webm, true) => {
            vec![look("libvpx-vp9", "vp9", vp9_alpha, &[TO_VIDEO, "format=yuva420p", TAGS], "vp9 with alpha")]
        }
        (Format::Webm, false) => vec![look("libvpx-vp9", "vp9", vp9, &[TO_VIDEO, "format=yuv420p", TAGS], "vp9")],
        (Format::Mov, true) => vec![
            look(
                "prores_ks",
                "prores",
                &["-profile:v", "4", "-alpha_bits", "16", "-vendor", "apl0"],
                &[TO_VIDEO, "format=yuva444p10le", TAGS],
                "prores 4444 with alpha",
            ),
            look("qtrle", "qtrle", &[], &["format=argb"], "quicktime animation with alpha"),
        ],
        (Format::Gif, _) => vec![look("gif", "gif", &[], &[], "gif with a palette of its own")],
        (Format::Webp, true) => {
            vec![look("libwebp_anim", "webp", webp, &[TO_WEBP, "format=yuva420p"], "animated webp with alpha")]
        }
        (Format::Webp, false) => {
            vec![look("libwebp_anim", "webp", webp, &[TO_WEBP, "format=yuv420p"], "animated webp")]
        }
        (Format::PngSequence, true) => vec![look("png", "png", &[], &["format=rgba"], "a png with alpha a frame")],
        (Format::PngSequence, false) => vec![look("png", "png", &[], &["format=rgb24"], "a png a frame")],
        _ => vec![look("libx264", "h264", h264, &[TO_VIDEO, "format=yuv420p", TAGS], "h264 preset medium, crf 20")],
    };
    let codec = looks.first().map_or("video", |look| look.codec);
    looks.into_iter().find(|look| desk.capabilities.encodes(look.encoder)).ok_or_else(|| missing(codec))
}

/// The graph up to the finished picture, in RGB.
struct Graph {
    text: String,
    notes: Vec<String>,
    beside: Vec<Beside>,
    before: Option<Before>,
    /// Frames per second, where it is not the source's own.
    frame_rate: Option<f64>,
}

impl Graph {
    fn new(desk: &Desk<'_>, video: &VideoInfo, wish: &RemoveBackground, stage: &Stage) -> Result<Self, JobFailure> {
        let mut graph =
            Self { text: String::new(), notes: Vec::new(), beside: Vec::new(), before: None, frame_rate: None };
        let mut chain = Vec::new();
        if wish.model == CHROMA {
            if wish.format == Format::Gif && video.frame_rate.is_some_and(|rate| rate > FASTEST_GIF) {
                graph.frame_rate = Some(FASTEST_GIF);
                chain.push(format!("fps={}", seconds(FASTEST_GIF)));
            } else if wish.format == Format::Gif && video.variable_frame_rate {
                chain.extend(apart(FASTEST_GIF));
            }
        } else {
            // A matte is matched to its frames by their number, so both come evenly.
            let most = if wish.format == Format::Gif { FASTEST_GIF } else { f64::MAX };
            let rate = Rate::of(video.frame_rate.unwrap_or(25.0).min(most));
            graph.frame_rate = Some(rate.per_second());
            chain.extend(even_frames(rate));
        }
        let hdr = Hdr::standard(desk, video);
        chain.extend(hdr.filters(video));
        // What looks at the frames before has to see the same ones in the same colours.
        let frames = chain.clone();
        let (width, height) = stage.subject;
        let flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
        chain.push(format!("scale={width}:{height}:{flags},setsar=1,format=gbrp"));

        let mut parts = Vec::new();
        if wish.background != Background::Transparent {
            chain.push("split=2[front][back]".to_owned());
            parts.push(chain.join(","));
            chain = Vec::new();
        }
        let opening = if parts.is_empty() { "" } else { "[front]" };
        match graph.cut_out(wish, stage, frames) {
            Cut::Chain(filters) => {
                chain.push(filters);
                parts.push(format!("{opening}{}", chain.join(",")));
            }
            Cut::Beside { before, filter } => {
                parts.push(before);
                if chain.is_empty() {
                    parts.push(format!("{opening}[matte]{filter}"));
                } else {
                    // The matte's pad cannot follow a comma.
                    parts.insert(0, format!("{}[front]", chain.join(",")));
                    parts.push(format!("[front][matte]{filter}"));
                }
            }
        }
        match &wish.background {
            Background::Transparent => {
                let on_nothing = stage.on_nothing();
                if let Some(last) = parts.last_mut() {
                    on_nothing.iter().for_each(|filter| *last += &format!(",{filter}"));
                }
                graph.notes.push("on nothing".to_owned());
            }
            Background::Color { color } => {
                if let Some(last) = parts.last_mut() {
                    *last += "[subject]";
                }
                parts.push(format!("[back]{}[canvas]", stage.canvas_of(*color)));
                parts.push(format!("[canvas][subject]{}", stage.overlay()));
                graph.notes.push(format!("on {color}"));
            }
            Background::Image { input } => {
                if let Some(last) = parts.last_mut() {
                    *last += "[subject]";
                }
                let (picture, number) = graph.picture(desk, input)?;
                parts.push(format!("[back]{}[paper]", stage.canvas_of(BLACK)));
                parts.push(format!("[{number}]{},format=gbrap[picture]", stage.cover(picture)));
                parts.push("[paper][picture]overlay=format=gbrp:eof_action=repeat[canvas]".to_owned());
                parts.push(format!("[canvas][subject]{}", stage.overlay()));
                graph.notes.push(format!("on the picture {input}"));
            }
        }
        if wish.composition.is_some() {
            graph.notes.push(stage.words());
        }
        graph.notes.extend(hdr.note());
        graph.text = parts.join(";");
        if wish.model != CHROMA && desk.source.video_start > 0.0 {
            graph.text += &format!(",setpts=PTS+{}/TB", seconds(desk.source.video_start));
        }
        Ok(graph)
    }

    /// What gives the picture its alpha.
    fn cut_out(&mut self, wish: &RemoveBackground, stage: &Stage, frames: Vec<String>) -> Cut {
        if wish.model != CHROMA {
            let rate = Rate::of(self.frame_rate.unwrap_or(25.0));
            self.notes.push(format!("cut out by the model {}, {} frames per second", wish.model, rate));
            self.before = Some(Before::Matte { model: wish.model.clone(), frames, rate });
            self.beside.push(Beside::matte());
            let (width, height) = stage.subject;
            let before = format!(
                "[{}:0]setpts=PTS-STARTPTS,format=gray,scale={width}:{height}:flags=bicubic,setsar=1[matte]",
                self.beside.len()
            );
            return Cut::Beside { before, filter: "alphamerge".to_owned() };
        }
        match wish.key_color {
            Some(color) => {
                self.notes.push(key::words(color));
                Cut::Chain(key::filters(color))
            }
            None => {
                self.notes.push("screen of the colour that is measured, green or blue".to_owned());
                self.before = Some(Before::Screen { frames });
                Cut::Chain(KEYING.to_owned())
            }
        }
    }

    /// The size of the further input of that name, which must be a picture, and what ffmpeg calls its stream.
    fn picture(&mut self, desk: &Desk<'_>, name: &str) -> Result<((u32, u32), String), JobFailure> {
        let refuse = |code, message: String| JobFailure::request(JobStage::Planning, code, message);
        let place = desk.further.iter().position(|further| further.name == *name).ok_or_else(|| {
            refuse("invalid_request", format!("background.input is {name}; the job has no further input of that name"))
        })?;
        let source = &desk.further[place].source;
        let picture = source.info.video.as_ref().filter(|_| source.still);
        let (Some(picture), Some(index)) = (picture, source.video_index) else {
            return Err(refuse("unsupported_media", format!("the background {name} is not a still image")));
        };
        let file = BesideFile::Further(place);
        self.beside.push(Beside::of(file, source));
        Ok(((picture.width, picture.height), format!("{}:{index}", self.beside.len())))
    }
}

enum Cut {
    /// Filters of the picture alone.
    Chain(String),
    /// Filters that make the pad `matte`, and the one that joins the picture with it.
    Beside { before: String, filter: String },
}

/// Frames that come evenly from zero on.
fn even_frames(rate: Rate) -> Vec<String> {
    vec!["setpts=PTS-STARTPTS".to_owned(), format!("fps={rate}")]
}

/// Frames per second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    above: u32,
    below: u32,
}

impl Rate {
    /// The usual fraction, where it is close to one.
    fn of(per_second: f64) -> Self {
        let per_second = per_second.clamp(0.01, 1000.0);
        let television = (per_second * 1.001).round();
        if (television / 1.001 - per_second).abs() < 0.0005 {
            return Self { above: television as u32 * 1000, below: 1001 };
        }
        let thousandths = (per_second * 1000.0).round() as u32;
        let shared = [1000, 500, 100, 10].into_iter().find(|shared| thousandths.is_multiple_of(*shared)).unwrap_or(1);
        Self { above: thousandths / shared, below: 1000 / shared }
    }

    fn per_second(self) -> f64 {
        f64::from(self.above) / f64::from(self.below)
    }

    /// As the header of a YUV4MPEG stream has it.
    pub(crate) fn y4m(self) -> String {
        format!("{}:{}", self.above, self.below)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.above, self.below)
    }
}

/// The step with the screen's colour known: as measured, or the usual green where nothing was found.
pub(crate) fn keyed(step: &Step, measured: Option<[u8; 3]>) -> Step {
    let color = measured.map_or(key::GREEN, Rgb);
    let mut step = Step { before: None, ..step.clone() };
    for product in &mut step.products {
        if let Some(Making { video: VideoTrack::Encode { filters, .. }, .. }) = &mut product.making {
            filters.iter_mut().for_each(|filter| *filter = filter.replace(KEYING, &key::filters(color)));
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_the_fractions_that_are_meant() {
        for (per_second, fraction) in [
            (25.0, "25/1"),
            (29.970_03, "30000/1001"),
            (23.976, "24000/1001"),
            (12.5, "25/2"),
            (30.0, "30/1"),
            (7.013, "7013/1000"),
        ] {
            assert_eq!(Rate::of(per_second).to_string(), fraction);
        }
    }
}
