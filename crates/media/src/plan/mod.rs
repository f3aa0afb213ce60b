//! What to run: from what the source is and what is asked for, never touching the machine.
//!
//! Each recipe has a planner of its name that turns one output into a [`Design`]; this file puts the designs together.
//! Outputs that walk the whole timeline share one step, so that the source is read and decoded once. An output that
//! needs a part only (`trim`), or that needs to read the source twice (a size in bytes, a long GIF), is a step of its
//! own. A thumbnail is taken in passing where the timeline is decoded anyway; alone, it jumps. An input that is the
//! product already is kept: no tool runs.

mod audio;
mod auto;
mod canvas;
mod color;
mod compress;
mod concat;
mod convert;
mod depth;
mod estimate;
mod extract_audio;
mod ffmpeg;
mod geometry;
mod joint;
mod normalize_audio;
mod package;
mod preview;
mod proxy;
mod remove_background;
mod resize;
mod size;
mod sprite;
mod style;
mod subtitles;
mod thumbnail;
mod timeline;
pub(crate) mod tracks;
mod trim;
mod video;
mod watermark;
mod waveform;
mod web_ready;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::{AudioInfo, SampleDepth, VideoInfo};
use reelhook_domain::recipe::{Format, Recipe};
use serde::{Deserialize, Serialize};

pub(crate) use self::color::{Meaning, alpha_decoder, is_rgb, narrowed, sdr_filters};
pub(crate) use self::compress::tightened;
pub use self::estimate::{Forecast, forecast};
pub(crate) use self::normalize_audio::leveled;
pub(crate) use self::remove_background::{GREEN, Rate, SCREEN_SIZE, keyed, screen_color};
pub(crate) use self::style::styled;
pub(crate) use self::thumbnail::thumbnail_size;
pub(crate) use self::timeline::first_filters;
pub(crate) use self::video::private_parameters;
use crate::capabilities::Capabilities;
use crate::extras::{Carried, ExtrasExpectation, TrackKind};
use crate::further::Further;
use crate::heard::HeardExpectation;
use crate::package::PackageExpectation;
use crate::probe::Source;
use crate::promise::Promise;
use crate::seen::{Likeness, SeenExpectation};
use crate::spell::LATE;
use crate::step::{
    AudioTrack, Before, Beside, Cutting, Join, Making, Passes, Product, Reading, Step, StreamPlan, VideoTrack, Window,
};
use crate::verify::{AudioExpectation, Expectation, Frames, Span, VideoExpectation};

/// What is done about a damaged source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The job fails.
    Strict,
    /// What can be read is used, and the receipt says how much was lost.
    Salvage,
}

/// What will be run, and what will not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which to run them; they do not depend on each other.
    pub steps: Vec<Step>,
    /// Outputs that cannot be made, by their index, and why.
    pub refused: Vec<(usize, JobFailure)>,
}

/// What planners look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) source: &'a Source,
    pub(crate) further: &'a [Further],
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) damage: Damage,
}

/// One output, designed.
#[derive(Debug, Clone)]
struct Design {
    format: Format,
    place: Place,
    making: Option<Making>,
    streams: Vec<StreamPlan>,
    video: Option<VideoExpectation>,
    audio: Option<AudioExpectation>,
    duration: Option<Span>,
    frames: Option<Frames>,
    max_bytes: Option<u64>,
    keep_source_if_larger: bool,
    /// What is read beside the main input; only with a place of its own.
    beside: Vec<Beside>,
    /// What has to be known or made first; only with a place of its own.
    before: Option<Before>,
    /// How a model cuts the subject out; only with a place of its own.
    cutting: Option<Cutting>,
    /// Whether the picture carries alpha, and the format tells.
    alpha: bool,
    /// How all that is read becomes one timeline; only with a place of its own.
    join: Option<Join>,
    /// What it has to be as a package; only with a place of its own.
    package: Option<PackageExpectation>,
    /// What it carries beside its picture and its sound.
    carried: Carried,
    /// The cover that is read in place of a picture; only with a place of its own.
    cover: Option<u32>,
    /// How its picture relates to that of the source, where it is the same picture.
    seen: Option<Resemblance>,
    /// What else its recipe promises; only with a place of its own.
    promise: Option<Promise>,
    /// The subtitles that are drawn into the picture.
    burned: Option<u32>,
}

impl Design {
    /// An output of that format about which nothing else is decided: the source as it is.
    fn new(format: Format, place: Place) -> Self {
        Self {
            format,
            place,
            making: None,
            streams: Vec::new(),
            video: None,
            audio: None,
            duration: None,
            frames: None,
            max_bytes: None,
            keep_source_if_larger: false,
            beside: Vec::new(),
            before: None,
            cutting: None,
            alpha: false,
            join: None,
            package: None,
            carried: Carried::default(),
            cover: None,
            promise: None,
            burned: None,
            seen: None,
        }
    }
}

/// How the picture of an output relates to that of its source.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Resemblance {
    /// Where in the source it begins, in seconds.
    start: f64,
    /// Whether the source is stretched into another shape.
    stretched: bool,
    likeness: Likeness,
}

impl Resemblance {
    /// The whole of it, in its own shape.
    const fn whole(likeness: Likeness) -> Self {
        Self { start: 0.0, stretched: false, likeness }
    }

    /// What that means for a product. One that is not a still is taken for a second where its length is not known.
    fn expectation(self, format: Format, duration: Option<Span>, changing: bool) -> SeenExpectation {
        let seconds = if format.is_still() { 0.0 } else { duration.map_or(1.0, |span| span.seconds) };
        SeenExpectation { start: self.start, seconds, stretched: self.stretched, changing, likeness: self.likeness }
    }
}

/// In which step an output is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// In none: the source is kept.
    Nowhere,
    /// In the one that walks the whole timeline.
    Shared,
    /// In the shared one where it decodes the picture anyway; alone, after a jump to that second.
    Passing(f64),
    /// In its own.
    Own(Window, Passes),
}

/// Decides how `outputs` are made of `source` on a machine with these `capabilities`.
///
/// `further` are the other inputs of the job, where it has some; the steps are to be run with the same ones. Every
/// output is either a product of exactly one step or refused.
pub fn plan(
    source: &Source,
    further: &[Further],
    outputs: &[&Recipe],
    capabilities: &Capabilities,
    damage: Damage,
) -> Plan {
    let source = &canvas::behind(source);
    let desk = Desk { source, further, capabilities, damage };
    let mut refused = Vec::new();
    let mut designs = Vec::new();
    let mut commands = Vec::new();
    for (output, recipe) in outputs.iter().enumerate() {
        if let Recipe::Ffmpeg(command) = recipe {
            commands.push((output, command));
            continue;
        }
        match design(&desk, recipe) {
            Ok(design) => designs.push((output, design)),
            Err(failure) => refused.push((output, failure)),
        }
    }
    let mut plan = Plan { steps: ffmpeg::steps(&desk, commands, &mut refused), refused };
    plan.steps.extend(steps(&desk, designs));
    plan
}

fn design(desk: &Desk<'_>, recipe: &Recipe) -> Result<Design, JobFailure> {
    if let (Damage::Strict, Some(damage)) = (desk.damage, &desk.source.damage) {
        return Err(damage.clone());
    }
    let design = match recipe {
        Recipe::Auto(auto) => auto::design(desk, auto),
        Recipe::Compress(compress) => compress::design(desk, compress),
        Recipe::Convert(convert) => convert::design(desk, convert),
        Recipe::Resize(resize) => resize::design(desk, resize),
        Recipe::Trim(trim) => trim::design(desk, trim),
        Recipe::Thumbnail(thumbnail) => thumbnail::design(desk, thumbnail),
        Recipe::ExtractAudio(extract) => extract_audio::design(desk, extract),
        Recipe::WebReady(web_ready) => web_ready::design(desk, web_ready),
        Recipe::Proxy(proxy) => proxy::design(desk, proxy),
        Recipe::Concat(concat) => concat::design(desk, concat),
        Recipe::RemoveBackground(wish) => remove_background::design(desk, wish),
        Recipe::Package(wish) => package::design(desk, wish),
        Recipe::Style(style) => style::design(desk, style),
        Recipe::NormalizeAudio(wish) => normalize_audio::design(desk, wish),
        Recipe::Preview(wish) => preview::design(desk, wish),
        Recipe::Watermark(wish) => watermark::design(desk, wish),
        Recipe::Sprite(wish) => sprite::design(desk, wish),
        Recipe::Waveform(wish) => waveform::design(desk, wish),
        _ => {
            let message = format!("the recipe {} is not made in this version", recipe.name());
            Err(JobFailure::request(Stage::Planning, "recipe_not_made", message))
        }
    }?;
    tracks::furnish(desk, recipe, design)
}

fn steps(desk: &Desk<'_>, designs: Vec<(usize, Design)>) -> Vec<Step> {
    let decodes = |design: &Design| {
        let encodes = |making: &Making| matches!(making.video, VideoTrack::Encode { .. });
        design.place == Place::Shared && design.making.as_ref().is_some_and(encodes)
    };
    let decoded_anyway = designs.iter().any(|(_, design)| decodes(design));
    let (mut shared, mut steps, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (output, design) in designs {
        let place = match design.place {
            Place::Passing(_) if decoded_anyway => Place::Shared,
            place => place,
        };
        let (beside, before, join) = (design.beside.clone(), design.before.clone(), design.join.clone());
        let (cover, cutting) = (design.cover, design.cutting.clone());
        let product = product(desk, output, design);
        match place {
            Place::Shared => shared.push(product),
            Place::Nowhere => kept.push(step(desk, vec![product], Window::Whole, Passes::One)),
            Place::Passing(second) => {
                let (product, window) = thumbnail::alone(desk, product, second);
                steps.push(step(desk, vec![product], window, Passes::One));
            }
            Place::Own(window, passes) => {
                let mut alone = step(desk, vec![product], window, passes);
                alone.reading.video = cover.or(alone.reading.video);
                let timeline = join.as_ref().map_or(alone.timeline, |join| join.seconds);
                steps.push(Step { beside, before, cutting, join, timeline, ..alone });
            }
        }
    }
    if !shared.is_empty() {
        steps.push(step(desk, shared, Window::Whole, Passes::One));
    }
    // Last: a kept source is a second name for the input, in a folder that tools may write to.
    steps.extend(kept);
    steps
}

fn step(desk: &Desk<'_>, products: Vec<Product>, window: Window, passes: Passes) -> Step {
    let source = desk.source;
    let whole = source.info.duration_seconds.unwrap_or(0.0);
    let timeline = match window {
        Window::Jump { length, .. } => length,
        Window::Walk { start, length } => start + length,
        Window::Whole => whole,
        Window::From { .. } => 0.0,
    };
    let reading = Reading {
        demuxer: source.demuxer,
        decoder: desk.decoder(source),
        canvas: source.video_index.is_some() && canvas::may_change(source),
        demuxer_options: source.demuxer_options,
        lenient: source.lenient,
        first_filters: timeline::first_filters(source),
        damage: desk.damage,
        video: source.video_index,
        audio: source.audio_index,
        video_start: source.video_start,
        audio_start: source.audio_start,
        window,
    };
    let shared_filters = shared_filters(desk);
    Step {
        products,
        reading,
        before: None,
        cutting: None,
        join: None,
        command: None,
        beside: Vec::new(),
        shared_filters,
        passes,
        timeline,
        threads: desk.capabilities.threads,
        legacy_text: false,
    }
}

/// Filters that all pictures of the main input pass first.
fn shared_filters(desk: &Desk<'_>) -> Vec<String> {
    let source = desk.source;
    let interlaced = source.info.video.as_ref().is_some_and(|video| video.interlaced);
    let deinterlaced = interlaced && desk.capabilities.filters("bwdif");
    let mut filters = Vec::new();
    if let Some(video) = &source.info.video {
        let may_change = source.video_index.is_some() && canvas::may_change(source);
        filters.extend(color::Meaning::told(video));
        filters.extend(may_change.then(|| canvas::filters(video)).into_iter().flatten());
    }
    filters.extend(deinterlaced.then(|| "bwdif=mode=send_frame".to_owned()));
    filters
}

fn product(desk: &Desk<'_>, output: usize, design: Design) -> Product {
    let kept = design.making.is_none();
    let heard = heard(desk, &design);
    let extras = ExtrasExpectation::of(
        &design.carried,
        design.audio.is_some(),
        desk.source.audio_index,
        tracks::chapter_count(&design.carried),
    );
    let main_file = design.promise.as_ref().and_then(|promise| promise.main_file(design.format));
    let expect = Expectation {
        format: design.format,
        duration: design.duration,
        frames: design.frames,
        video: design.video,
        audio: design.audio,
        alpha: design.alpha,
        fast_start: matches!(design.format, Format::Mp4 | Format::Mov | Format::Aac) && !kept,
        max_bytes: design.max_bytes,
        damage: desk.damage,
        any_content: false,
        package: design.package,
        extras,
        seen: design
            .seen
            .filter(|_| !kept && desk.damage == Damage::Strict)
            .map(|seen| seen.expectation(design.format, design.duration, canvas::may_change(desk.source))),
        heard,
        promise: design.promise,
        kept_source: kept.then_some(desk.source.size_bytes),
    };
    Product {
        output,
        file_name: match main_file.or_else(|| PackageExpectation::main_file(design.format)) {
            Some(name) => name.to_owned(),
            None => format!("out-{output}.{}", design.format.extension()),
        },
        format: design.format,
        streams: timeline::told(desk.source, design.streams),
        expect,
        keep_source_if_larger: design.keep_source_if_larger,
        making: design.making,
        carried: design.carried,
    }
}

/// What of the source is heard in a product, where nothing but its codec, its depth and its channels changed.
fn heard(desk: &Desk<'_>, design: &Design) -> Option<HeardExpectation> {
    let source = desk.source;
    let own = source.info.audio.as_ref().filter(|_| source.measured && source.damage.is_none())?;
    let is_same = design.promise.is_none() && design.package.is_none() && design.join.is_none();
    let part = tracks::part(design.place);
    let encoded = match &design.making.as_ref()?.audio {
        AudioTrack::Encode { options } => {
            !options.iter().any(|option| option.starts_with("-filter") || option == "-af")
        }
        // A part that is copied begins with a whole packet.
        AudioTrack::Copy => part.is_none(),
        AudioTrack::None | AudioTrack::Joined { .. } | AudioTrack::Drawn(_) => false,
    };
    let length = own.duration_seconds.filter(|_| is_same && encoded && desk.damage == Damage::Strict)?;
    let (start, most) = part.unwrap_or((0.0, f64::MAX));
    let seconds = (length + source.audio_start - start).min(most).min(design.duration?.seconds);
    let float = |depth: Option<SampleDepth>| depth.is_some_and(|depth| depth.float);
    let beyond_full_scale = float(own.depth) && float(design.audio.as_ref()?.depth);
    // Sound alone that is copied has no time but its own; encoded, it begins with silence where it is late.
    let copied = matches!(design.making.as_ref()?.audio, AudioTrack::Copy);
    let start = if design.video.is_none() && copied { source.audio_start } else { start };
    (seconds > 0.2).then_some(HeardExpectation { start, seconds, beyond_full_scale })
}

impl<'a> Desk<'a> {
    /// The picture, for recipes that need a timeline of pictures.
    fn video(&self) -> Result<&'a VideoInfo, JobFailure> {
        if self.source.still {
            let message = "the input is a still picture; only thumbnail takes one";
            return Err(JobFailure::input(Stage::Planning, "still_picture", message));
        }
        self.picture()
    }

    /// The picture, moving or still.
    fn picture(&self) -> Result<&'a VideoInfo, JobFailure> {
        let message = "the input has no video stream";
        self.source.info.video.as_ref().ok_or_else(|| JobFailure::input(Stage::Planning, "no_video_stream", message))
    }

    /// The sound, for recipes that make nothing else.
    fn audio(&self) -> Result<&'a AudioInfo, JobFailure> {
        let empty = self.source.extras.of_kind(TrackKind::Audio).any(|track| track.empty);
        let message = if empty { "the input's audio stream is empty" } else { "the input has no audio stream" };
        self.source.info.audio.as_ref().ok_or_else(|| JobFailure::input(Stage::Planning, "no_audio_stream", message))
    }

    /// The decoder of a source's picture, where ffmpeg's own does not see all of it.
    fn decoder(&self, source: &Source) -> Option<&'static str> {
        color::alpha_decoder(self.capabilities, source.info.video.as_ref()?)
    }

    /// A product with picture and, where the source has it, sound.
    fn both(&self, picture: &video::Wish, sound: audio::Wish) -> Result<Design, JobFailure> {
        let info = self.video()?;
        let encoding = video::encode(self, info, picture)?;
        let mut streams = vec![encoding.plan];
        let (audio, audio_expect) = match &self.source.info.audio {
            Some(info) => {
                let (track, expect, plan) = audio::carry(self, info, sound)?;
                streams.push(plan);
                (track, expect)
            }
            None => (AudioTrack::None, None),
        };
        let seconds = timeline::length(self.source, true, audio_expect.is_some());
        let duration = timeline::span(self.source, seconds, picture.format, Some(picture.frame_rate), &audio);
        Ok(Design {
            making: Some(Making { video: encoding.track, audio }),
            streams,
            alpha: encoding.alpha,
            seen: Some(Resemblance::whole(picture.likeness(info))),
            video: Some(encoding.expect),
            audio: audio_expect,
            duration,
            frames: timeline::frames(self.source, info, picture.frame_rate, self.damage),
            ..Design::new(picture.format, Place::Shared)
        })
    }

    /// A product with sound alone.
    fn sound(&self, wish: audio::Wish) -> Result<Design, JobFailure> {
        let info = self.audio()?;
        let (audio, expect, mut plan) = audio::carry(self, info, wish)?;
        let late = Some(self.source.audio_start).filter(|&late| late > LATE);
        let encoded = matches!(audio, AudioTrack::Encode { .. });
        if let Some(late) = late {
            plan.reason += &match (encoded, wish.format) {
                (true, _) => format!("; begins {late:.3} s late, with silence before it"),
                (false, Format::Aac) => format!("; begins {late:.3} s late"),
                (false, format) => format!("; began {late:.3} s late, which a copy in {format} cannot tell"),
            };
        }
        let mut streams = vec![plan];
        if self.source.info.video.is_some() {
            streams.insert(0, StreamPlan::new("video", "drop", format!("{} holds audio only", wish.format)));
        }
        let silence = late.filter(|_| encoded).unwrap_or(0.0);
        let seconds = timeline::length(self.source, false, true).map(|seconds| seconds + silence);
        let duration = timeline::span(self.source, seconds, wish.format, None, &audio);
        Ok(Design {
            making: Some(Making { video: VideoTrack::None, audio }),
            streams,
            audio: expect,
            duration,
            ..Design::new(wish.format, Place::Shared)
        })
    }

    /// The source itself as the product.
    fn kept(&self, format: Format, streams: Vec<StreamPlan>) -> Design {
        Design { streams, ..Design::new(format, Place::Nowhere) }
    }
}
