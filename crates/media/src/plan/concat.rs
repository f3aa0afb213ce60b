//! `concat`: the inputs of the job as one timeline.
//!
//! The picture is copied where every input was encoded alike, down to what decoders are told beforehand; otherwise all
//! are brought to the size and the rate of the first and encoded. The sound is always encoded, once over the whole:
//! packets of sound are as long as the codec likes, so that joined copies drift a little at each joint. Each input gives
//! as much sound as it has picture, to the sample, so that both stay together at every joint.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::{AudioInfo, VideoInfo};
use reelhook_domain::recipe::{Concat, FEWEST_TO_JOIN, Fit, Format, VideoCodec};

use super::canvas;
use super::color::{Hdr, Meaning};
use super::convert::as_it_is;
use super::joint::{Clip, Picture, Sound};
use super::video::{Encoding, Keys, Rate, Wish, tier, tier_words, words};
use super::{Damage, Design, Desk, Place, Resemblance, audio, size, timeline, video};
use crate::seen::Likeness;
use crate::spell::seconds;
use crate::step::{AudioTrack, Beside, BesideFile, Join, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::verify::{AudioExpectation, Frames, Span, VideoExpectation};

/// Sound that goes on for longer than this after the last picture is kept, over a picture that stands still.
const LATE_SOUND: f64 = 0.25;

pub(super) fn design(desk: &Desk<'_>, concat: &Concat) -> Result<Design, JobFailure> {
    let sources = || std::iter::once(desk.source).chain(desk.further.iter().map(|further| &further.source));
    let clips: Vec<Clip<'_>> = sources().enumerate().map(|(input, source)| Clip { input, source }).collect();
    if clips.len() < FEWEST_TO_JOIN {
        let message = format!("concat joins inputs; the job has {}, it needs at least {FEWEST_TO_JOIN}", clips.len());
        return Err(JobFailure::request(Stage::Planning, "too_few_inputs", message));
    }
    if concat.format.is_audio() { sound(desk, concat, &clips) } else { picture(desk, concat, &clips) }
}

/// The failure of one of the inputs.
fn unfit(clip: &Clip<'_>, code: &str, what: &str) -> JobFailure {
    JobFailure::input(Stage::Planning, code, format!("input {} {what}", clip.input + 1))
}

fn picture(desk: &Desk<'_>, concat: &Concat, clips: &[Clip<'_>]) -> Result<Design, JobFailure> {
    let mut videos = Vec::with_capacity(clips.len());
    for clip in clips {
        if clip.source.still {
            return Err(unfit(clip, "still_picture", "is a still image; concat joins videos"));
        }
        let video = clip.source.info.video.as_ref();
        videos.push(video.ok_or_else(|| unfit(clip, "no_video_stream", "has no video stream"))?);
    }
    let rate = videos[0].frame_rate.filter(|rate| (1.0..=1000.0).contains(rate)).unwrap_or(25.0);
    // As many frames as each input has room for at that rate, where all tell how long they are.
    let lengths: Option<Vec<f64>> = clips.iter().map(|clip| length(clip)).collect();
    let frames: Option<Vec<u64>> =
        lengths.map(|all| all.iter().map(|length| (length * rate).round().max(1.0) as u64).collect());
    let copied = copyable(concat, clips, &videos);
    let mut design = match &copied {
        Ok(codec) => copy(desk, concat, clips, &videos, *codec),
        Err(why) => encode(desk, concat, clips, &videos, rate, frames.as_deref(), why)?,
    };
    let ends: Option<Vec<f64>> = match &copied {
        Ok(_) => Some(ends(videos.iter().filter_map(|video| video.duration_seconds))),
        Err(_) => frames.map(|frames| ends(frames.iter().map(|&count| count as f64 / rate))),
    };
    let exact = ends.as_ref().filter(|_| desk.damage == Damage::Strict);
    if exact.is_none() {
        design.frames = None;
    }
    let join = design.join.get_or_insert(Join { graph: None, copied: None, seconds: 0.0 });
    join.seconds = ends.as_ref().and_then(|ends| ends.last().copied()).unwrap_or(0.0);
    let total = join.seconds;
    let mixed = clips.iter().any(|clip| clip.source.info.audio.is_some());
    if mixed {
        let wish = Sound::of(clips, concat.format);
        let chains = wish.chains(clips, ends.as_deref());
        let (track, expect, plan) = encode_sound(desk, concat, &wish, clips)?;
        design.audio = expect;
        design.streams.push(plan);
        let making = design.making.as_mut().expect("a picture is made");
        making.audio = track;
        let join = design.join.as_mut().expect("inputs are joined");
        join.graph = Some(Picture::with_sound(join.graph.take(), &chains, clips.len(), ends.is_some()));
    } else if let Some(graph) = design.join.as_mut().and_then(|join| join.graph.as_mut()) {
        *graph = Picture::alone(graph, clips.len());
    }
    if let Some(join) = design.join.as_mut()
        && let (Err(_), Some(graph)) = (&copied, join.graph.as_mut())
    {
        *graph = Picture::finished(graph, rate, ends.is_some());
    }
    // Near the beginning, which is the first input's.
    design.seen = copied.is_err().then(|| Resemblance::whole(Likeness::Encoded));
    let slack = 1.0 / rate + 0.05 + if mixed { 0.0465 } else { 0.0 };
    design.duration = exact.map(|_| Span { seconds: total, tolerance: slack });
    Ok(design)
}

/// How long one input is in the whole, where it tells: as long as its picture, unless its sound goes on for long.
fn length(clip: &Clip<'_>) -> Option<f64> {
    let source = clip.source;
    let picture = timeline::length(source, true, false).filter(|_| source.measured && source.damage.is_none())?;
    let picture = picture + source.video_start;
    let sound = source.info.audio.as_ref().and_then(|audio| audio.duration_seconds).map(|s| s + source.audio_start);
    Some(sound.filter(|&sound| sound > picture + LATE_SOUND).unwrap_or(picture))
}

/// Where each input ends in the whole.
fn ends(lengths: impl Iterator<Item = f64>) -> Vec<f64> {
    lengths
        .scan(0.0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect()
}

/// The codec, where every picture can be copied; otherwise why not.
fn copyable(concat: &Concat, clips: &[Clip<'_>], videos: &[&VideoInfo]) -> Result<VideoCodec, String> {
    let first = videos[0];
    let codec = VideoCodec::from_word(&first.codec).filter(|codec| concat.format.codecs().contains(codec));
    let codec = codec.ok_or_else(|| format!("{} does not go into {}", first.codec, concat.format))?;
    if let Some(asked) = concat.codec.filter(|&asked| asked != codec) {
        return Err(format!("{asked} asked"));
    }
    for (clip, video) in clips.iter().zip(videos) {
        let number = clip.input + 1;
        let differs = |what: &str| Err(format!("input {number} differs from the first in {what}"));
        if video.codec != first.codec {
            return differs("codec");
        } else if (video.width, video.height, video.square_pixels) != (first.width, first.height, first.square_pixels) {
            return differs("size");
        } else if video.pixel_format != first.pixel_format || video.color != first.color {
            return differs("samples or colours");
        } else if video.frame_rate != first.frame_rate || video.variable_frame_rate {
            return differs("frame rate");
        } else if clip.source.video_setup.is_none() || clip.source.video_setup != clips[0].source.video_setup {
            return differs("decoder configuration");
        } else if video.rotation != 0 || !video.square_pixels || video.interlaced {
            return Err(format!("input {number} is rotated, interlaced or has non-square pixels"));
        } else if clip.source.demuxer != "mov" || clip.source.damage.is_some() || clip.source.video_start.abs() > 1e-4 {
            return Err(format!("the times of input {number} are not exact"));
        }
        let counted = timeline::frames(clip.source, video, None, Damage::Strict);
        let picture = counted.and(video.duration_seconds);
        // A picture that ends before its sound would have to stand still.
        if picture.is_none_or(|picture| length(clip).is_none_or(|length| (length - picture).abs() > 1e-3)) {
            return Err(format!("the picture of input {number} has gaps or ends early"));
        }
    }
    Ok(codec)
}

/// A design whose picture is copied; its sound and length come later.
fn copy(desk: &Desk<'_>, concat: &Concat, clips: &[Clip<'_>], videos: &[&VideoInfo], codec: VideoCodec) -> Design {
    let first = videos[0];
    let reason = format!("copied: all {} inputs are alike, {codec} {}x{}", clips.len(), first.width, first.height);
    let lengths = videos.iter().filter_map(|video| video.duration_seconds).collect();
    let count = videos.iter().filter_map(|video| video.frames).sum();
    let made = VideoExpectation::new(&first.codec, (first.width, first.height));
    blank(desk, concat.format, clips, VideoTrack::Joined, made)
        .with(StreamPlan::new("video", "copy", reason), Some(count))
        .joined(Join { graph: None, copied: Some(lengths), seconds: 0.0 })
}

/// A design whose picture is encoded at the size and the rate of the first.
fn encode(
    desk: &Desk<'_>,
    concat: &Concat,
    clips: &[Clip<'_>],
    videos: &[&VideoInfo],
    rate: f64,
    frames: Option<&[u64]>,
    why: &str,
) -> Result<Design, JobFailure> {
    let codec = concat.codec.or_else(|| concat.format.codecs().first().copied());
    let codec = codec.ok_or_else(|| video::missing(concat.format.as_str()))?;
    let target = size::target(videos[0], &as_it_is(), Fit::Inside, size::Sides::Even);
    let transfer = &videos[0].color.transfer;
    let keeps_hdr = videos.iter().all(|video| video.color.is_hdr() && video.color.transfer == *transfer)
        && Hdr::of(desk, videos[0], codec) == Hdr::Kept;
    let reason = format!("{why}; all at {}x{} and {} frames per second", target.0, target.1, seconds(rate));
    let wish = Wish {
        codec,
        format: concat.format,
        quality: concat.quality,
        rate: Rate::Factor(tier(codec, concat.quality).1),
        size: target,
        frame_rate: None,
        keys: Keys::Free,
        reason: format!("{reason}; {}", tier_words(codec, concat.quality)),
    };
    let Encoding { track, mut expect, plan, .. } = video::encode(desk, videos[0], &wish)?;
    let meaning = common(videos);
    if !keeps_hdr {
        expect.colors = Some(meaning.expectation());
        expect.light = None;
    }
    let picture = Picture { target, rate, keeps_hdr, meaning: &meaning };
    let counts = (0..clips.len()).map(|place| frames.map(|frames| frames[place]));
    let chains = clips.iter().zip(videos).zip(counts).map(|((clip, video), count)| {
        let hdr = if keeps_hdr { Hdr::Kept } else { Hdr::standard(desk, video) };
        picture.chain(clip, video, hdr, desk.capabilities.filters("bwdif"), count)
    });
    let graph = chains.collect::<Vec<_>>().join(";");
    let count = frames.map(|frames| frames.iter().sum());
    Ok(blank(desk, concat.format, clips, track, expect).with(plan, count).joined(Join {
        graph: Some(graph),
        copied: None,
        seconds: 0.0,
    }))
}

/// The colours that all become: those of the first where all are alike and of standard range, else BT.709.
fn common(videos: &[&VideoInfo]) -> Meaning {
    let first = Meaning::of(videos[0]);
    let alike = videos.iter().all(|video| Meaning { full_range: first.full_range, ..Meaning::of(video) } == first);
    if alike && !videos[0].color.is_hdr() { first } else { Meaning::bt709() }
}

fn encode_sound(
    desk: &Desk<'_>,
    concat: &Concat,
    sound: &Sound,
    clips: &[Clip<'_>],
) -> Result<(AudioTrack, Option<AudioExpectation>, StreamPlan), JobFailure> {
    let wish = audio::Wish {
        format: concat.format,
        copy: audio::Copy::Never("encoded once over the whole, as joined copies drift at each joint"),
        kbps: None,
        quality: concat.quality,
    };
    let joined = AudioInfo {
        codec: "pcm_f32le".to_owned(),
        channels: sound.channels,
        sample_rate: sound.rate,
        bit_rate: None,
        duration_seconds: None,
        depth: sound.depth,
    };
    let (track, expect, mut plan) = audio::carry(desk, &joined, wish)?;
    let AudioTrack::Encode { mut options } = track else {
        return Err(video::missing(concat.format.as_str()));
    };
    options.extend(words(&["-ar", &sound.rate.to_string()]));
    let silent: Vec<_> = clips.iter().filter(|clip| clip.source.info.audio.is_none()).collect();
    if !silent.is_empty() {
        let numbers: Vec<_> = silent.iter().map(|clip| (clip.input + 1).to_string()).collect();
        plan.reason += &format!("; silence for input {}", numbers.join(", "));
    }
    plan.reason = plan.reason.replacen("pcm_f32le does not go into", "joined audio is encoded once for", 1);
    Ok((AudioTrack::Joined { options }, expect, plan))
}

/// Sound alone, of inputs with or without pictures.
fn sound(desk: &Desk<'_>, concat: &Concat, clips: &[Clip<'_>]) -> Result<Design, JobFailure> {
    let own = |clip: &Clip<'_>| match &clip.source.info.audio {
        Some(_) => timeline::end(clip.source, false, true),
        None => clip.source.info.duration_seconds,
    };
    let is_heard = |clip: &&Clip<'_>| clip.source.info.audio.is_some();
    if let Some(clip) = clips.iter().find(|clip| !is_heard(clip) && own(clip).is_none()) {
        return Err(unfit(clip, "no_audio_stream", "has no audio stream and no length of its own"));
    }
    if !clips.iter().any(|clip| is_heard(&clip)) {
        return Err(unfit(&clips[0], "no_audio_stream", "has no audio stream, and neither have the others"));
    }
    let wish = Sound::of(clips, concat.format);
    let lengths: Option<Vec<f64>> = clips.iter().map(|clip| own(clip).filter(|_| clip.source.measured)).collect();
    let (track, expect, plan) = encode_sound(desk, concat, &wish, clips)?;
    let total: Option<f64> = lengths.map(|lengths| lengths.iter().sum());
    let graph = Picture::with_sound(None, &wish.own_chains(clips, own), clips.len(), true);
    // What padding a codec adds to each input is not told by every container.
    let tolerance = 0.1 + 0.06 * clips.len() as f64;
    let mut streams = vec![plan];
    if clips.iter().any(|clip| clip.source.info.video.is_some()) {
        streams.insert(0, StreamPlan::new("video", "drop", format!("{} holds audio only", concat.format)));
    }
    Ok(Design {
        making: Some(Making { video: VideoTrack::None, audio: track }),
        streams,
        audio: expect,
        duration: total.filter(|_| desk.damage == Damage::Strict).map(|seconds| Span { seconds, tolerance }),
        beside: beside(desk, clips),
        join: Some(Join { graph: Some(graph), copied: None, seconds: total.unwrap_or(0.0) }),
        ..Design::new(concat.format, Place::Own(Window::Whole, Passes::One))
    })
}

/// All inputs but the first.
fn beside(desk: &Desk<'_>, clips: &[Clip<'_>]) -> Vec<Beside> {
    let further = clips.iter().filter(|clip| clip.input > 0);
    let strict = |clip: &Clip<'_>| clip.source.damage.is_none() && !clip.source.lenient;
    let beside = |clip: &Clip<'_>| Beside {
        file: BesideFile::Further(clip.input - 1),
        demuxer: clip.source.demuxer,
        demuxer_options: clip.source.demuxer_options,
        lenient: clip.source.lenient,
        options: [
            if strict(clip) { words(&["-err_detect:v", "explode"]) } else { Vec::new() },
            if canvas::may_change(clip.source) { words(&["-reinit_filter", "0"]) } else { Vec::new() },
            desk.decoder(clip.source).map(|decoder| words(&["-c:v", decoder])).unwrap_or_default(),
        ]
        .concat(),
    };
    further.map(beside).collect()
}

fn blank(desk: &Desk<'_>, format: Format, clips: &[Clip<'_>], video: VideoTrack, expect: VideoExpectation) -> Design {
    Design {
        making: Some(Making { video, audio: AudioTrack::None }),
        video: Some(expect),
        beside: beside(desk, clips),
        ..Design::new(format, Place::Own(Window::Whole, Passes::One))
    }
}

impl Design {
    fn with(self, plan: StreamPlan, count: Option<u64>) -> Self {
        let frames = count.map(|count| Frames { count, tolerance: 0 });
        Self { streams: vec![plan], frames, ..self }
    }

    fn joined(self, join: Join) -> Self {
        Self { join: Some(join), ..self }
    }
}
