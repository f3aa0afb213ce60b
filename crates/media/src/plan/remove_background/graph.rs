//! The graph up to the finished picture, in RGB.

use reelhook_domain::failure::{JobFailure, Stage as JobStage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{AUTO, Background, CHROMA, Format, HUMAN, RemoveBackground, Rgb};

use super::stage::Stage;
use super::{KEYING, Rate, flat, key};
use crate::plan::Desk;
use crate::plan::color::Hdr;
use crate::plan::convert::apart;
use crate::spell::seconds;
use crate::step::{Beside, BesideFile, Cutting};

/// Most frames a second in a GIF: its times are hundredths, and viewers slow down what is shorter than two.
const FASTEST_GIF: f64 = 50.0;
const BLACK: Rgb = Rgb([0, 0, 0]);

/// What a graph is made for.
pub(super) struct Scene<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) video: &'a VideoInfo,
    pub(super) wish: &'a RemoveBackground,
    pub(super) stage: &'a Stage,
}

/// Filters with what they read.
pub(super) struct Graph {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
    pub(super) beside: Vec<Beside>,
    pub(super) way: Way,
    /// Frames per second, where it is not the source's own.
    pub(super) frame_rate: Option<f64>,
}

/// How the picture gets its alpha.
pub(super) enum Way {
    /// From a screen whose colour was said.
    Keyed,
    /// From a screen whose colour is measured in these frames; where there is none perhaps by a model, with another graph.
    Measured { frames: Vec<String>, otherwise: Option<(Cutting, String, Vec<Beside>)> },
    /// By a model.
    Cut(Cutting),
}

impl Scene<'_> {
    pub(super) fn graph(&self) -> Result<Graph, JobFailure> {
        match &*self.wish.model {
            CHROMA => self.keyed(None),
            AUTO if self.wish.key_color.is_some() => self.keyed(None),
            AUTO => {
                let model = self.cut(HUMAN)?;
                self.keyed(Some(model))
            }
            model => self.cut(model),
        }
    }

    /// Keyed from a screen, in the source's own times.
    fn keyed(&self, otherwise: Option<Graph>) -> Result<Graph, JobFailure> {
        let Self { desk, video, wish, stage } = self;
        let mut chain = Vec::new();
        let mut frame_rate = None;
        if wish.format == Format::Gif && video.frame_rate.is_some_and(|rate| rate > FASTEST_GIF) {
            frame_rate = Some(FASTEST_GIF);
            chain.push(format!("fps={}", seconds(FASTEST_GIF)));
        } else if wish.format == Format::Gif && video.variable_frame_rate {
            chain.extend(apart(FASTEST_GIF));
        }
        let hdr = Hdr::standard(desk, video);
        chain.extend(hdr.filters(video));
        // What looks at the frames before has to see the same ones in the same colours.
        let frames = chain.clone();
        chain.push(stage.sized());
        chain.push("format=gbrp".to_owned());

        let mut notes = Vec::new();
        let (filters, way) = match (wish.key_color, otherwise) {
            (Some(color), _) => {
                notes.push(key::words(color));
                (key::filters(color), Way::Keyed)
            }
            (None, Some(Graph { text, beside, way: Way::Cut(cutting), .. })) => {
                let model = &cutting.model;
                notes.push(format!(
                    "green or blue screen of the colour that is measured; where there is none, cut out by the model \
                     {model} if that is installed"
                ));
                (KEYING.to_owned(), Way::Measured { frames, otherwise: Some((cutting, text, beside)) })
            }
            (None, _) => {
                notes.push("screen of the colour that is measured, green or blue".to_owned());
                (KEYING.to_owned(), Way::Measured { frames, otherwise: None })
            }
        };
        let mut graph = Graph { text: String::new(), notes, beside: Vec::new(), way, frame_rate };
        let cut = |opening: &str, closing: &str| format!("{opening}{filters}{closing}");
        self.finish(&mut graph, &chain.join(","), &cut)?;
        if wish.background == Background::Transparent {
            let on_nothing = stage.on_nothing();
            graph.text += &format!(",{}", flat::filters());
            on_nothing.iter().for_each(|filter| graph.text += &format!(",{filter}"));
        }
        graph.notes.extend(hdr.note());
        Ok(graph)
    }

    /// Cut out by a model, on the way from one tool to another. Raw frames have no times, so they come evenly.
    fn cut(&self, model: &str) -> Result<Graph, JobFailure> {
        let Self { desk, video, wish, stage } = self;
        let most = if wish.format == Format::Gif { FASTEST_GIF } else { f64::MAX };
        let rate = Rate::of(video.frame_rate.unwrap_or(25.0).min(most));
        let hdr = Hdr::standard(desk, video);
        let mut frames = vec!["setpts=PTS-STARTPTS".to_owned(), format!("fps={rate}")];
        frames.extend(hdr.filters(video));
        if video.has_alpha() {
            // A model is shown what can be seen, not what is hidden.
            frames.push("format=gbrap,premultiply=inplace=1".to_owned());
        }
        frames.push(stage.sized());
        let cutting = Cutting {
            model: model.to_owned(),
            refine: wish.refine,
            require_subject: wish.require_subject,
            frames,
            size: stage.subject,
            rate,
        };
        let notes = vec![format!("cut out by the model {model}, {rate} frames per second")];
        let beside = vec![Beside::cut_out(stage.subject, rate)];
        let (way, frame_rate) = (Way::Cut(cutting), Some(rate.per_second()));
        let mut graph = Graph { text: String::new(), notes, beside, way, frame_rate };
        self.finish(&mut graph, "format=gbrap", &|opening, closing| {
            if opening.is_empty() { String::new() } else { format!("{opening}null{closing}") }
        })?;
        if wish.background == Background::Transparent {
            stage.on_nothing().iter().for_each(|filter| graph.text += &format!(",{filter}"));
        }
        if desk.source.video_start > 0.0 {
            graph.text += &format!(",setpts=PTS+{}/TB", seconds(desk.source.video_start));
        }
        graph.notes.extend(hdr.note());
        Ok(graph)
    }

    /// Puts what is behind the subject behind it. `cut` spells what makes the subject, between two pads.
    fn finish(&self, graph: &mut Graph, chain: &str, cut: &dyn Fn(&str, &str) -> String) -> Result<(), JobFailure> {
        let stage = self.stage;
        let behind = match &self.wish.background {
            Background::Transparent => {
                graph.notes.push("on nothing".to_owned());
                let cut = cut("", "");
                let comma = if cut.is_empty() { "" } else { "," };
                graph.text = format!("{chain}{comma}{cut}");
                None
            }
            Background::Color { color } => {
                graph.notes.push(format!("on {color}"));
                Some(vec![format!("[back]{}[canvas]", stage.canvas_of(*color))])
            }
            Background::Image { input } => {
                let (picture, number) = picture(self.desk, input, &mut graph.beside)?;
                graph.notes.push(format!("on the picture {input}"));
                Some(vec![
                    format!("[back]{}[paper]", stage.canvas_of(BLACK)),
                    format!("[{number}]{},format=gbrap[picture]", stage.cover(picture)),
                    "[paper][picture]overlay=format=gbrp:eof_action=repeat[canvas]".to_owned(),
                ])
            }
        };
        if let Some(behind) = behind {
            let mut parts = vec![format!("{chain},split=2[front][back]"), cut("[front]", "[subject]")];
            parts.extend(behind);
            parts.push(format!("[canvas][subject]{}", stage.overlay()));
            graph.text = parts.join(";");
        }
        if self.wish.composition.is_some() {
            graph.notes.push(stage.words());
        }
        Ok(())
    }
}

/// The size of the further input of that name, which must be a picture and is read from now on, and what ffmpeg calls its
/// stream.
fn picture(desk: &Desk<'_>, name: &str, beside: &mut Vec<Beside>) -> Result<((u32, u32), String), JobFailure> {
    let refuse = |code, message: String| JobFailure::request(JobStage::Planning, code, message);
    let place = desk.further.iter().position(|further| further.name == *name).ok_or_else(|| {
        refuse("invalid_request", format!("background.input is {name}; the job has no further input of that name"))
    })?;
    let source = &desk.further[place].source;
    let picture = source.info.video.as_ref().filter(|_| source.still);
    let (Some(picture), Some(index)) = (picture, source.video_index) else {
        return Err(refuse("unsupported_media", format!("the background {name} is not a still picture")));
    };
    beside.push(Beside::of(BesideFile::Further(place), source));
    Ok(((picture.width, picture.height), format!("{}:{index}", beside.len())))
}
