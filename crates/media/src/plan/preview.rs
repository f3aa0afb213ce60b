//! `preview`: a few moments of a video as a short animation.
//!
//! Each part is an input of its own that is jumped to, so that nothing between them is decoded. In a container without
//! an index, where a jump lands anywhere, the input is read once and the parts are cut out of it.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Fit, Format, Preview, Size};

use super::color::{Alpha, Hdr};
use super::convert::WAITING;
use super::geometry::{Samples, Target};
use super::sprite::picture_ends;
use super::video::{missing, words};
use super::{Design, Desk, Place, canvas, shared_filters, size, timeline};
use crate::spell::{on_file_time, seconds};
use crate::step::{AudioTrack, Beside, BesideFile, Encoder, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::verify::{Frames, Span, VideoExpectation};

/// How far off the length may be beside one frame, in seconds: times of a GIF are hundredths.
const SLACK: f64 = 0.07;

/// A part of the video.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    start: f64,
    length: f64,
    frames: u64,
}

pub(super) fn design(desk: &Desk<'_>, wish: &Preview) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let parts = parts(wish, picture_ends(desk)?)?;
    let gif = wish.format == Format::Gif;
    let (encoder, options, codec) =
        if gif { ("gif", words(&[]), "gif") } else { ("libwebp_anim", words(&["-quality", "70"]), "webp") };
    if !desk.capabilities.encodes(encoder) || (gif && !desk.capabilities.filters("paletteuse")) {
        return Err(missing(wish.format.as_str()));
    }
    let sides = if gif { size::Sides::Any } else { size::Sides::Even };
    let size = Size { width: Some(wish.width), ..Size::default() };
    let size = size::target(video, &size, Fit::Inside, sides);
    let target = Target {
        frame_rate: None,
        size,
        samples: Samples::Rgb("bgra"),
        hdr: Hdr::standard(desk, video),
        alpha: Alpha::of(video.has_alpha(), true, Alpha::Kept),
    };
    let (scale, mut notes) = target.filters(desk, video);
    let starts: Vec<_> = parts.iter().map(|part| seconds(part.start)).collect();
    notes.insert(
        0,
        format!(
            "{} s each from {} s, {} frames per second",
            seconds(parts[0].length),
            starts.join(", "),
            wish.frame_rate
        ),
    );
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    if desk.source.info.audio.is_some() {
        streams.push(StreamPlan::new("audio", "drop", format!("{} cannot hold audio", wish.format)));
    }

    let frames: u64 = parts.iter().map(|part| part.frames).sum();
    let jumps = timeline::jumps(desk.source);
    let graph = if jumps { jumped(desk, wish, &parts, &scale) } else { cut(desk, wish, &parts, &scale) };
    let waiting = frames as f64 * f64::from(size.0) * f64::from(size.1) * 4.0;
    let passes = if gif && waiting > WAITING { Passes::Palette } else { Passes::One };
    let window = match (jumps, parts.first()) {
        (true, Some(part)) => Window::Jump { start: part.start, length: part.length },
        _ => Window::Whole,
    };
    let encoder = Encoder { name: encoder.to_owned(), options };
    let track = VideoTrack::Encode { filters: vec![graph], encoder, uneven: false, palette: gif };
    let length = frames as f64 / wish.frame_rate;
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams,
        video: Some(VideoExpectation::new(codec, size)),
        duration: Some(Span { seconds: length, tolerance: SLACK + 1.0 / wish.frame_rate }),
        // The encoder of WebP shows a picture longer where the next one is the same.
        frames: gif.then_some(Frames { count: frames, tolerance: 0 }),
        beside: if jumps { parts.iter().skip(1).map(|part| again(desk, part)).collect() } else { Vec::new() },
        ..Design::new(wish.format, Place::Own(window, passes))
    })
}

/// The parts of a picture that ends then.
fn parts(wish: &Preview, end: f64) -> Result<Vec<Part>, JobFailure> {
    let from = wish.start_seconds.unwrap_or(0.0);
    if from >= end {
        let message = format!("start_seconds is {from}; the video is {end:.3} seconds long");
        return Err(JobFailure::request(Stage::Planning, "beyond_end", message));
    }
    let there = end - from;
    let part = |start: f64, length: f64| {
        let frames = (length * wish.frame_rate).round().max(1.0) as u64;
        Part { start, length, frames }
    };
    if there <= wish.duration_seconds || wish.segments == 1 {
        let length = there.min(wish.duration_seconds);
        let middle = if wish.start_seconds.is_none() { (there - length) / 2.0 } else { 0.0 };
        return Ok(vec![part(from + middle, length)]);
    }
    let count = f64::from(wish.segments);
    let (share, length) = (there / count, wish.duration_seconds / count);
    let into = if wish.start_seconds.is_none() { (share - length) / 2.0 } else { 0.0 };
    Ok((0..wish.segments).map(|number| part(from + share * f64::from(number) + into, length)).collect())
}

/// The input once more, at another part.
fn again(desk: &Desk<'_>, part: &Part) -> Beside {
    let mut options = Vec::new();
    if canvas::may_change(desk.source) {
        options.extend(words(&["-reinit_filter", "0"]));
    }
    if let Some(decoder) = desk.decoder(desk.source) {
        options.extend(words(&["-c:v", decoder]));
    }
    options.extend(words(&["-ss", &seconds(part.start), "-t", &seconds(part.length)]));
    Beside { options, ..Beside::of(BesideFile::Again, desk.source) }
}

/// Filters that make the frames of a part: as many as it has to have, also where the picture ends before.
fn frames(wish: &Preview, part: &Part, scale: &[String]) -> String {
    let rate = seconds(wish.frame_rate);
    let count = part.frames;
    let even = format!("fps={rate}:start_time=0:round=near,tpad=stop=-1:stop_mode=clone,trim=end_frame={count}");
    [vec![even], scale.to_vec()].concat().join(",")
}

/// One after another, at an even rate.
fn joined(wish: &Preview, count: usize) -> String {
    let rate = seconds(wish.frame_rate);
    let pads: String = (0..count).map(|number| format!("[q{number}]")).collect();
    format!("{pads}concat=n={count}:v=1:a=0,setpts=N/({rate}*TB),fps={rate}")
}

fn jumped(desk: &Desk<'_>, wish: &Preview, parts: &[Part], scale: &[String]) -> String {
    let [first, others @ ..] = parts else { return "null".to_owned() };
    let mut graph = vec![format!("{}[q0]", frames(wish, first, scale))];
    let index = desk.source.video_index.unwrap_or(0);
    for (number, part) in (1..).zip(others) {
        // The first one gets these as all pictures of a step do.
        let before: String = shared_filters(desk).iter().map(|filter| format!("{filter},")).collect();
        graph.push(format!("[{number}:{index}]{before}{}[q{number}]", frames(wish, part, scale)));
    }
    graph.push(joined(wish, parts.len()));
    graph.join(";")
}

fn cut(desk: &Desk<'_>, wish: &Preview, parts: &[Part], scale: &[String]) -> String {
    let pads: String = (0..parts.len()).map(|number| format!("[c{number}]")).collect();
    let begins = on_file_time("setpts", &seconds(desk.source.video_start));
    let mut graph = vec![format!("{begins},split={}{pads}", parts.len())];
    for (number, part) in parts.iter().enumerate() {
        let (start, end) = (seconds(part.start), seconds(part.start + part.length));
        let within = format!("trim=start={start}:end={end},setpts=PTS-{start}/TB");
        graph.push(format!("[c{number}]{within},{}[q{number}]", frames(wish, part, scale)));
    }
    graph.push(joined(wish, parts.len()));
    graph.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(segments: u32, start_seconds: Option<f64>, end: f64) -> Vec<(f64, u64)> {
        let (format, duration_seconds, width, frame_rate) = (Format::Gif, 3.0, 480, 10.0);
        let wish = Preview { format, duration_seconds, segments, width, frame_rate, start_seconds };
        let told = |part: &Part| ((part.start * 1000.0).round() / 1000.0, part.frames);
        parts(&wish, end).unwrap().iter().map(told).collect()
    }

    #[test]
    fn parts_lie_evenly_and_end_before_the_end() {
        assert_eq!(of(3, None, 30.0), [(4.5, 10), (14.5, 10), (24.5, 10)]);
        assert_eq!(of(3, Some(12.0), 30.0), [(12.0, 10), (18.0, 10), (24.0, 10)]);
        assert_eq!(of(1, None, 30.0), [(13.5, 30)]);
        assert_eq!(of(1, Some(29.0), 30.0), [(29.0, 10)]);
        assert_eq!(of(3, None, 2.0), [(0.0, 20)]);
        assert_eq!(of(3, None, 0.01), [(0.0, 1)]);
        assert_eq!(of(2, None, 3.2), [(0.05, 15), (1.65, 15)]);
    }
}
