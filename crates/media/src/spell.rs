//! A step spelled as arguments of ffmpeg. Nothing is decided here.
//!
//! The tool runs in the scratch folder, so products are named relative to it; the input is absolute.

use std::ffi::OsString;
use std::path::Path;

use reelhook_domain::recipe::Format;

use crate::extras::{CHAPTERS, Label, TrackKind, of_stream, quicktime_word};
use crate::further::Further;
use crate::package;
use crate::plan::{Damage, private_parameters};
use crate::promise::Promise;
use crate::run::process::option;
use crate::step::{
    AudioTrack, Before, Beside, BesideFile, Commanded, CommandedInput, Cutting, Encoder, Making, Passes, Product,
    Reading, Step, VideoTrack, Window,
};
use crate::style::{STYLE_FRAMES, STYLE_SIZE};
use crate::waveform::Drawing;

/// Which run of the tool is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    First,
    Last,
}

const PALETTE: &str = "palette.png";
const STATISTICS: &str = "statistics";
/// Small frames in which the screen is looked for, in the scratch folder.
pub(crate) const SCREEN: &str = "screen.rgb";
/// Most frames that are looked at for that, one a second.
const SCREEN_FRAMES: &str = "12";
/// Small frames that are measured, in the scratch folder.
pub(crate) const LOOK: &str = "look.rgb";
/// Frames at which the picture changes at once, in the scratch folder.
pub(crate) const CUTS: &str = "cuts.txt";
/// How loud it is, in the scratch folder.
pub(crate) const HEARD: &str = "heard.txt";
/// Sound that begins more than this after the file, in seconds, begins late; less is an encoder's priming.
pub(crate) const LATE: f64 = 0.03;
/// How different from the one before, of one, a frame is that begins another scene.
const CUT: &str = "0.4";
/// Subtitles that are drawn into the picture, in the scratch folder.
pub(crate) const SUBTITLES: &str = "subtitles.ass";
/// Fonts for them: a folder in the scratch folder.
pub(crate) const FONTS: &str = "fonts";
/// What subtitles that are no UTF-8 are written in more often than in any other code page.
const LEGACY_TEXT: &str = "CP1252";
/// Which files are read one after another.
pub(crate) const SCRIPT: &str = "inputs.ffconcat";

impl Step {
    /// The arguments of one run.
    pub(crate) fn spell(&self, input: &Path, further: &[Further], pass: Pass) -> Vec<OsString> {
        let mut line = self.head();
        if let Some(command) = &self.command {
            self.spell_command(&mut line, command, input, further);
            return line.0;
        }
        if self.join.as_ref().is_some_and(|join| join.copied.is_some()) {
            // Otherwise the script's times would begin with the priming of the first sound, which is not copied.
            line.words(&["-copyts"]);
        }
        self.spell_input(&mut line, input);
        self.spell_beside(&mut line, input, further);
        if let Some(copied) = self.join.as_ref().and_then(|join| join.copied.as_ref()) {
            debug_assert_eq!(copied.len(), self.beside.len() + 1, "each input has its length");
            line.words(&["-protocol_whitelist", "file,pipe", "-f", "concat", "-safe", "0"]);
            line.words(&["-i", &format!("file:{SCRIPT}")]);
        }
        let from_palette = self.passes == Passes::Palette && pass == Pass::Last;
        if from_palette {
            line.words(&["-f", "png_pipe", "-i", &format!("file:{PALETTE}")]);
        }
        if !self.chapters().is_empty() {
            line.words(&["-protocol_whitelist", "file,pipe", "-f", "ffmetadata", "-i", &format!("file:{CHAPTERS}")]);
        }
        if let Some(graph) = self.graph(pass) {
            line.words(&["-filter_complex", &graph]);
        }
        for (number, product) in self.products.iter().enumerate() {
            if let Some(making) = &product.making {
                self.spell_product(&mut line, number, product, making, pass);
            }
        }
        line.0
    }

    /// A caller's command. Its options were read and spelled in `domain::command`; files, demuxers and containers are ours.
    fn spell_command(&self, line: &mut Line, command: &Commanded, input: &Path, further: &[Further]) {
        let threads = self.threads.to_string();
        for CommandedInput { options, demuxer, demuxer_options, further: place } in &command.inputs {
            if self.threads > 0 {
                line.words(&["-threads", &threads]);
            }
            line.texts(options);
            line.words(demuxer_options);
            line.words(&["-protocol_whitelist", "file,pipe", "-f", demuxer]);
            let mut operand = OsString::from("file:");
            match place {
                None => operand.push(input),
                Some(place) => operand.extend(further.get(*place).map(|further| further.path.as_os_str())),
            }
            option(&mut line.0, "-i", operand);
        }
        line.texts(&command.options);
        for (options, product) in &command.outputs {
            line.texts(options);
            if self.threads > 0 {
                line.words(&["-threads", &threads]);
            }
            match product.and_then(|product| self.products.get(product)) {
                Some(product) => {
                    line.words(muxer(product.format, &VideoTrack::None));
                    line.words(&[&format!("file:{}", product.file_name)]);
                }
                None => line.words(&["-f", "null", "-"]),
            }
        }
    }

    /// The arguments of a run that writes a few small frames, `size` in RGB, to [`SCREEN`].
    pub(crate) fn screen_arguments(&self, input: &Path, size: (u32, u32)) -> Vec<OsString> {
        // Rounded up, so that less than half a second has a frame too.
        self.spell_frames(input, &["fps=1:round=up"], size, &["-frames:v", SCREEN_FRAMES], SCREEN)
    }

    /// The arguments of a run that writes the frames that a model is to cut the subject out of to standard output, in RGB.
    pub(crate) fn frame_arguments(&self, input: &Path, cutting: &Cutting) -> Vec<OsString> {
        let mut line = self.quiet_head();
        self.spell_input(&mut line, input);
        let filters = [&self.reading.first_filters[..], &self.shared_filters, &cutting.frames].concat().join(",");
        let index = self.reading.video.unwrap_or(0);
        line.words(&["-filter_complex", &format!("[0:{index}]{filters},format=rgb24[f]"), "-map", "[f]"]);
        line.words(&["-fps_mode:v", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo", "pipe:1"]);
        line.0
    }

    /// The arguments of a run that measures the style of the input: [`LOOK`], [`CUTS`] and, with sound, [`HEARD`].
    pub(crate) fn style_arguments(&self, input: &Path) -> Vec<OsString> {
        let mut line = self.head();
        self.spell_input(&mut line, input);
        let mut filters = [&self.reading.first_filters[..], &self.shared_filters].concat();
        if let Some(Before::Style { frames, .. }) = &self.before {
            filters.extend(frames.iter().cloned());
        }
        let ((width, height), most) = (STYLE_SIZE, f64::from(STYLE_FRAMES));
        let rate = if self.timeline > 0.0 { (most / self.timeline).clamp(0.0001, most) } else { 1.0 };
        filters
            .push(format!("scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int,format=rgb24,split=2[x][y]"));
        let index = self.reading.video.unwrap_or(0);
        // The first frame comes out too, as newer versions of ffmpeg fail where nothing does; it is not noted.
        let cuts = format!("metadata=mode=print:key=lavfi.scene_score:value={CUT}:function=greater:file={CUTS}");
        let mut graph = format!(
            "[0:{index}]{};[x]fps={}[f];[y]select=eq(n\\,0)+gt(scene\\,{CUT}),{cuts}[c]",
            filters.join(","),
            seconds(rate)
        );
        if let Some(index) = self.reading.audio {
            let heard = format!("ametadata=mode=print:key=lavfi.r128.I:file={HEARD}");
            graph += &format!(";[0:{index}]ebur128=metadata=1,{heard}[l]");
        }
        line.words(&["-filter_complex", &graph, "-map", "[f]", "-frames:v", &STYLE_FRAMES.to_string()]);
        line.words(&["-fps_mode:v", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo", &format!("file:{LOOK}")]);
        line.words(&["-map", "[c]", "-fps_mode:v", "passthrough"]);
        if self.reading.audio.is_some() {
            line.words(&["-map", "[l]"]);
        }
        line.words(&["-f", "null", "-"]);
        line.0
    }

    /// The arguments of a run that writes subtitles to [`SUBTITLES`] and their fonts to [`FONTS`].
    pub(crate) fn subtitle_arguments(&self, input: &Path, index: u32, fonts: &[u32]) -> Vec<OsString> {
        let mut line = self.head();
        for font in fonts {
            line.words(&[&format!("-dump_attachment:{font}"), &format!("{FONTS}/{font}")]);
        }
        self.spell_input(&mut line, input);
        line.words(&["-map", &format!("0:{index}"), "-map_metadata", "-1", "-c:s", "ass", "-f", "ass"]);
        line.words(&[&format!("file:{SUBTITLES}")]);
        line.0
    }

    fn spell_frames(
        &self,
        input: &Path,
        more: &[&str],
        size: (u32, u32),
        options: &[&str],
        file: &str,
    ) -> Vec<OsString> {
        let mut line = self.head();
        self.spell_input(&mut line, input);
        let frames: &[String] = match &self.before {
            Some(Before::Screen { frames, .. }) => frames,
            Some(Before::Style { .. } | Before::Loudness { .. } | Before::Subtitles { .. }) | None => &[],
        };
        let mut filters = [&self.reading.first_filters[..], &self.shared_filters].concat();
        filters.extend(frames.iter().cloned());
        filters.extend(more.iter().map(|&filter| filter.to_owned()));
        filters.push(format!("scale={}:{}:flags=area+accurate_rnd+full_chroma_int,format=rgb24", size.0, size.1));
        let index = self.reading.video.unwrap_or(0);
        line.words(&["-filter_complex", &format!("[0:{index}]{}[f]", filters.join(",")), "-map", "[f]"]);
        line.words(options);
        line.words(&["-fps_mode:v", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo", &format!("file:{file}")]);
        line.0
    }

    /// What all runs begin with.
    fn head(&self) -> Line {
        let mut line = self.quiet_head();
        // Where samples come through that pipe, they tell how it gets on.
        if self.drawing().is_none() {
            line.words(&["-progress", "pipe:1"]);
        }
        line
    }

    /// The same without a word of how it gets on: what comes through its standard output tells.
    fn quiet_head(&self) -> Line {
        let mut line = Line(Vec::new());
        line.words(&["-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"]);
        if self.is_strict() {
            line.words(&["-xerror"]);
        } else if self.reading.damage == Damage::Salvage {
            // ffmpeg gives up when more than two thirds of the frames are broken; here every frame counts.
            line.words(&["-max_error_rate", "1"]);
        }
        line
    }

    /// Whether ffmpeg's complaints end a run: not where players play on, which is for what is counted afterwards to judge.
    fn is_strict(&self) -> bool {
        // A jump for one frame may land between key frames; those before that one are not used.
        let lands_anywhere = matches!(self.reading.window, Window::From { .. }) && self.reading.demuxer != "mov";
        let lenient = self.reading.lenient || lands_anywhere || self.beside.iter().any(|beside| beside.lenient);
        self.reading.damage == Damage::Strict && !lenient
    }

    fn spell_input(&self, line: &mut Line, input: &Path) {
        let Reading { demuxer, demuxer_options, decoder, canvas, window, .. } = &self.reading;
        if self.threads > 0 {
            line.words(&["-threads", &self.threads.to_string()]);
        }
        // For pictures only: sound that was cut out of a stream begins in the middle of a frame more often than not, and
        // decoders say so without being asked.
        // After a jump into an open group of pictures the first frames refer to what was not read. They are dropped
        // unseen, but with `explode` the decoder would not start at all; `-xerror` alone still catches concealment.
        if self.is_strict() && !matches!(window, Window::Jump { .. } | Window::From { .. }) {
            line.words(&["-err_detect:v", "explode"]);
        }
        if *canvas {
            line.words(&["-reinit_filter", "0"]);
        }
        if let Some(decoder) = decoder {
            line.words(&["-c:v", decoder]);
        }
        match window {
            Window::Jump { start, length } => line.words(&["-ss", &seconds(*start), "-t", &seconds(*length)]),
            Window::From { start } => line.words(&["-noaccurate_seek", "-ss", &seconds(*start)]),
            Window::Whole | Window::Walk { .. } => {}
        }
        if self.legacy_text {
            line.words(&["-sub_charenc:s", LEGACY_TEXT]);
        }
        line.words(demuxer_options);
        line.words(&["-protocol_whitelist", "file,pipe", "-f", demuxer]);
        let mut operand = OsString::from("file:");
        operand.push(input);
        option(&mut line.0, "-i", operand);
    }

    fn spell_beside(&self, line: &mut Line, input: &Path, further: &[Further]) {
        for Beside { file, demuxer, demuxer_options, options, .. } in &self.beside {
            if self.threads > 0 {
                line.words(&["-threads", &self.threads.to_string()]);
            }
            line.texts(options);
            line.words(demuxer_options);
            if *file == BesideFile::CutOut {
                line.words(&["-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", "pipe:0"]);
                continue;
            }
            line.words(&["-protocol_whitelist", "file,pipe", "-f", demuxer]);
            let mut operand = OsString::from("file:");
            match file {
                BesideFile::CutOut => {}
                BesideFile::Again => operand.push(input),
                BesideFile::Further(place) => {
                    operand.extend(further.get(*place).map(|further| further.path.as_os_str()))
                }
            }
            option(&mut line.0, "-i", operand);
        }
    }

    /// The graph of all pictures that are encoded: decoded once, split, each with its own filters.
    fn graph(&self, pass: Pass) -> Option<String> {
        if let Some(join) = &self.join {
            return join.graph.clone();
        }
        let index = self.reading.video?;
        let chains: Vec<(usize, String)> = self
            .products
            .iter()
            .enumerate()
            .filter_map(|(number, product)| Some((number, &product.making.as_ref()?.video)))
            .flat_map(|(number, video)| match video {
                VideoTrack::Encode { filters, palette, .. } => {
                    vec![(number, self.chain(number, filters, *palette, pass))]
                }
                // A package is a step of its own.
                VideoTrack::Package(packaging) => {
                    let chain = |(number, rendition): (usize, &package::Rendition)| {
                        (number, self.chain(number, &rendition.filters, false, pass))
                    };
                    packaging.renditions.iter().enumerate().map(chain).collect()
                }
                VideoTrack::None | VideoTrack::Copy | VideoTrack::Joined => Vec::new(),
            })
            .collect();
        // What was cut out has passed them.
        let is_cut = self.cutting.is_some();
        let mut shared = if is_cut { Vec::new() } else { self.reading.first_filters.clone() };
        if let Window::Walk { start, length } = self.reading.window {
            let (start, end, begins) = (seconds(start), seconds(start + length), seconds(self.reading.video_start));
            let part =
                format!("{},trim=start={start}:end={end},setpts=PTS-{start}/TB", on_file_time("setpts", &begins));
            shared.push(part);
        }
        shared.extend(self.shared_filters.iter().filter(|_| !is_cut).cloned());
        let pad = if is_cut { "[1:0]".to_owned() } else { format!("[0:{index}]") };
        match &chains[..] {
            [] => None,
            [(_, chain)] => {
                shared.push(chain.clone());
                Some(format!("{pad}{}", shared.join(",")))
            }
            _ => {
                let ends: String = chains.iter().map(|(number, _)| format!("[s{number}]")).collect();
                shared.push(format!("split={}{ends}", chains.len()));
                let mut parts = vec![format!("{pad}{}", shared.join(","))];
                parts.extend(chains.iter().map(|(number, chain)| format!("[s{number}]{chain}")));
                Some(parts.join(";"))
            }
        }
    }

    /// The filters of one product up to its label `[vN]`.
    fn chain(&self, n: usize, filters: &[String], palette: bool, pass: Pass) -> String {
        let filters = if filters.is_empty() { "null".to_owned() } else { filters.join(",") };
        match (palette, self.passes, pass) {
            (true, Passes::Palette, Pass::First) => format!("{filters},palettegen=stats_mode=full[v{n}]"),
            (true, Passes::Palette, Pass::Last) => {
                format!("{filters}[x{n}];[x{n}][{}:0]paletteuse=diff_mode=rectangle[v{n}]", self.beside.len() + 1)
            }
            (true, _, _) => format!(
                "{filters},split=2[a{n}][b{n}];[a{n}]palettegen=stats_mode=full[p{n}];\
                 [b{n}][p{n}]paletteuse=diff_mode=rectangle[v{n}]"
            ),
            (false, _, _) => format!("{filters}[v{n}]"),
        }
    }

    fn spell_product(&self, line: &mut Line, number: usize, product: &Product, making: &Making, pass: Pass) {
        let first = pass == Pass::First;
        if let (VideoTrack::Package(packaging), Some(expect)) = (&making.video, &product.expect.package) {
            self.spell_package(line, packaging, expect, &making.audio);
            return;
        }
        match (&making.video, self.reading.video) {
            (VideoTrack::Copy, Some(index)) => {
                line.words(&["-map", &format!("0:{index}"), "-c:v", "copy"]);
                let apple = matches!(product.format, Format::Mp4 | Format::Mov);
                if apple && product.expect.video.as_ref().is_some_and(|video| video.codec == "h265") {
                    line.words(&["-tag:v", "hvc1"]);
                }
            }
            (VideoTrack::Joined, _) => {
                line.words(&["-map", &format!("{}:v:0", self.beside.len() + 1), "-c:v", "copy"]);
                if product.expect.video.as_ref().is_some_and(|video| video.codec == "h265") {
                    line.words(&["-tag:v", "hvc1"]);
                }
            }
            (VideoTrack::Encode { encoder, uneven, .. }, Some(_)) => {
                line.words(&["-map", &format!("[v{number}]")]);
                if first && self.passes == Passes::Palette {
                    line.words(&["-c:v", "png", "-frames:v", "1", "-f", "image2pipe", &format!("file:{PALETTE}")]);
                    return;
                }
                self.spell_encoder(line, encoder, pass);
                line.words(&["-fps_mode:v", "vfr"]);
                if *uneven {
                    line.words(&["-enc_time_base:v", "1:90000"]);
                }
            }
            _ => {}
        }
        if first {
            line.words(&["-f", "null", "-"]);
            return;
        }
        if let (AudioTrack::Drawn(Drawing { sound, .. }), Some(index)) = (&making.audio, self.reading.audio) {
            // From the beginning of the file on, holes filled: a sample stands where it is heard.
            line.words(&["-map", &format!("0:{index}"), "-filter:a", "aresample=async=1:first_pts=0"]);
            line.words(&["-ac", &sound.channels.to_string(), "-ar", &sound.sample_rate.to_string()]);
            line.words(&["-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]);
            return;
        }
        let sound = self.spelled_sound(number, making);
        self.spell_tracks(line, product, sound);
        if let Some(Promise::Storyboard(board)) = &product.expect.promise {
            line.words(&["-f", "image2", "-start_number", "1", &format!("file:{}", board.pattern())]);
            return;
        }
        line.words(muxer(product.format, &making.video));
        let file =
            if product.format == Format::PngSequence { product.bare_pictures() } else { product.file_name.clone() };
        line.words(&[&format!("file:{file}")]);
    }

    /// What is mapped as the sound, and with which options.
    fn spelled_sound(&self, number: usize, making: &Making) -> Option<(String, Vec<String>)> {
        match (&making.audio, self.reading.audio) {
            (AudioTrack::Copy, Some(index)) => Some((format!("0:{index}"), vec!["-c:a".to_owned(), "copy".to_owned()])),
            (AudioTrack::Joined { options }, _) => Some((format!("[a{number}]"), options.clone())),
            (AudioTrack::Encode { options }, Some(index)) => {
                let part = self.sound_part(self.reading.audio_start, making.video == VideoTrack::None);
                let all = filtered(&part, options);
                Some((format!("0:{index}"), all))
            }
            _ => None,
        }
    }

    /// The filters that cut a part out of a sound, where it is walked to, and that put silence before one that begins late
    /// and is `alone`: files of sound have no place for when it begins.
    fn sound_part(&self, begins: f64, alone: bool) -> Vec<String> {
        let mut filters = Vec::new();
        let late = alone && begins > LATE;
        if late && self.reading.window == Window::Whole || matches!(self.reading.window, Window::Walk { .. }) {
            filters.push(on_file_time("asetpts", &seconds(begins)));
        }
        if let Window::Walk { start, length } = self.reading.window {
            let (start, end) = (seconds(start), seconds(start + length));
            filters.push(format!("atrim=start={start}:end={end},asetpts=PTS-{start}/TB"));
        }
        if late {
            filters.push("aresample=async=1:first_pts=0".to_owned());
        }
        if filters.is_empty() { Vec::new() } else { vec!["-filter:a".to_owned(), filters.join(",")] }
    }

    /// The sound and everything that is carried beside it, in the order of the source; tags and chapters.
    fn spell_tracks(&self, line: &mut Line, product: &Product, sound: Option<(String, Vec<String>)>) {
        let carried = &product.carried;
        let first = self.reading.audio.unwrap_or(0);
        let mut sounds: Vec<(u32, String, Vec<String>, &Label)> =
            sound.into_iter().map(|(map, options)| (first, map, options, &carried.sound)).collect();
        for track in carried.of_kind(TrackKind::Audio) {
            let mut options = if track.is_encoded() { self.sound_part(track.start, false) } else { Vec::new() };
            options.extend(track.options.iter().cloned());
            sounds.push((track.index, format!("0:{}", track.index), options, &track.label));
        }
        sounds.sort_by_key(|(index, ..)| *index);
        let several = sounds.len() > 1;
        let mut labels = Line(Vec::new());
        for (place, (_, map, options, label)) in sounds.iter().enumerate() {
            line.words(&["-map", map]);
            line.texts(&if several { of_stream(options, 'a', place) } else { options.clone() });
            labels.label(('a', place), label, product.format);
        }
        // A cover comes after the picture.
        let pictures = usize::from(product.expect.video.is_some());
        for (kind, letter, from) in
            [(TrackKind::Subtitle, 's', 0), (TrackKind::Cover, 'v', pictures), (TrackKind::Attachment, 't', 0)]
        {
            for (place, track) in carried.of_kind(kind).enumerate() {
                line.words(&["-map", &format!("0:{}", track.index)]);
                line.texts(&of_stream(&track.options, letter, from + place));
                if kind == TrackKind::Cover && pictures > 0 {
                    // What the picture is tagged as does not hold for the cover.
                    line.words(&[&format!("-tag:v:{}", from + place), "0"]);
                }
                labels.label((letter, from + place), &track.label, product.format);
                if let Some((name, media_type)) = &track.file {
                    let stream = format!("-metadata:s:t:{place}");
                    line.words(&[&stream, &format!("filename={name}"), &stream, &format!("mimetype={media_type}")]);
                }
            }
        }
        // Nothing of the source's descriptions is carried on but what is on a list: they hold places, names and devices
        // as often as titles.
        if carried.chapters.is_empty() {
            line.words(&["-map_metadata", "-1", "-map_chapters", "-1"]);
        } else {
            let input = self.chapters_input().to_string();
            line.words(&["-map_metadata:g", "-1", "-map_metadata:s", "-1", "-map_chapters", &input]);
        }
        line.0.append(&mut labels.0);
        for (name, value) in &carried.tags {
            line.words(&["-metadata", &format!("{name}={value}")]);
        }
    }

    /// The number of the input that holds the chapters: it is the last.
    fn chapters_input(&self) -> usize {
        let script = self.join.as_ref().is_some_and(|join| join.copied.is_some());
        1 + self.beside.len() + usize::from(script)
    }

    fn spell_package(
        &self,
        line: &mut Line,
        packaging: &package::Packaging,
        expect: &package::PackageExpectation,
        audio: &AudioTrack,
    ) {
        for number in 0..packaging.renditions.len() {
            line.words(&["-map", &format!("[v{number}]")]);
        }
        if let (AudioTrack::Encode { .. }, Some(index)) = (audio, self.reading.audio) {
            line.words(&["-map", &format!("0:{index}")]);
        }
        for (number, rendition) in packaging.renditions.iter().enumerate() {
            let mut options = Line(Vec::new());
            self.spell_encoder(&mut options, &rendition.encoder, Pass::Last);
            line.texts(&package::numbered(&options.0, number));
        }
        line.words(&["-fps_mode:v", "vfr"]);
        if let AudioTrack::Encode { options } = audio {
            line.texts(options);
        }
        line.words(&["-map_metadata", "-1", "-map_chapters", "-1"]);
        line.texts(&package::muxer(packaging, expect));
    }

    fn spell_encoder(&self, line: &mut Line, encoder: &Encoder, pass: Pass) {
        line.words(&["-c:v", &encoder.name]);
        let private = private_parameters(&encoder.name);
        let (planned, options): (Vec<_>, Vec<_>) =
            encoder.options.chunks(2).partition(|pair| private.is_some_and(|option| pair[0] == option));
        options.into_iter().for_each(|pair| line.texts(pair));
        let number = if pass == Pass::First { "1" } else { "2" };
        let two = self.passes == Passes::Bitrate;
        // ffmpeg takes the last of several; so what was planned and what is the machine's go into one.
        let mut parameters = Vec::new();
        match encoder.name.as_str() {
            "libx265" => {
                parameters.push("log-level=error".to_owned());
                if self.threads > 0 {
                    parameters.push(format!("pools={}", self.threads));
                }
                if two {
                    parameters.push(format!("pass={number}:stats={STATISTICS}"));
                }
            }
            "libsvtav1" if self.threads > 0 => parameters.push(format!("lp={}", self.threads)),
            "libsvtav1" => {}
            _ if two => line.words(&["-pass", number, "-passlogfile", STATISTICS]),
            _ => {}
        }
        parameters.extend(planned.into_iter().filter_map(|pair| pair.get(1).cloned()));
        if let Some(option) = private.filter(|_| !parameters.is_empty()) {
            line.words(&[option, &parameters.join(":")]);
        }
        if self.threads > 0 {
            line.words(&["-threads", &self.threads.to_string()]);
        }
    }
}

/// Options of a sound with these filters before its own.
fn filtered(part: &[String], options: &[String]) -> Vec<String> {
    match (part, options) {
        ([name, first], [same, second, others @ ..]) if name == same => {
            [&[name.clone(), format!("{first},{second}")], others].concat()
        }
        _ => [part, options].concat(),
    }
}

/// How a format is written: bare pictures through `image2pipe`, as `image2` would read `%` in a name as a pattern.
fn muxer(format: Format, video: &VideoTrack) -> &'static [&'static str] {
    let animated = matches!(video, VideoTrack::Encode { encoder, .. } if encoder.name == "libwebp_anim");
    match format {
        Format::Webp if animated => &["-loop", "0", "-f", "webp"],
        // One after the other in one file, which has a cap; they are packed afterwards.
        Format::PngSequence => &["-f", "image2pipe"],
        Format::Mp4 => &["-movflags", "+faststart", "-f", "mp4"],
        Format::Mov => &["-movflags", "+faststart", "-f", "mov"],
        Format::Aac => &["-movflags", "+faststart", "-f", "ipod"],
        Format::Webm => &["-f", "webm"],
        Format::Mkv => &["-f", "matroska"],
        Format::Gif => &["-f", "gif"],
        Format::Mp3 => &["-f", "mp3"],
        Format::Wav => &["-f", "wav"],
        Format::Flac => &["-f", "flac"],
        Format::Opus => &["-f", "opus"],
        Format::Ogg => &["-f", "ogg"],
        Format::Adts => &["-f", "adts"],
        Format::Jpg | Format::Png => &["-frames:v", "1", "-f", "image2pipe"],
        Format::Webp => &["-frames:v", "1", "-f", "webp"],
        // Not written by ffmpeg, or not as one file.
        _ => &[],
    }
}

/// A filter that makes times count from the beginning of the file. Where time stamps begin anywhere, ffmpeg counts from
/// the first packet of the streams that happen to be used: for one output another one than for several.
pub(crate) fn on_file_time(filter: &str, begins: &str) -> String {
    format!("{filter}=PTS-STARTPTS+{begins}/TB")
}

/// The script for files that are read one after another, each forced to the demuxer that it was sniffed to be and with
/// the length of its picture. `None` for a path that cannot be written in one.
///
/// # Source
/// <https://ffmpeg.org/ffmpeg-formats.html#concat>; quoting as in ffmpeg-utils, "Quoting and escaping".
pub(crate) fn script<'a>(files: impl Iterator<Item = (&'a Path, &'static str, f64)>) -> Option<String> {
    let mut text = "ffconcat version 1.0\n".to_owned();
    for (path, demuxer, length) in files {
        let path = path.to_str().filter(|path| !path.contains(['\n', '\r', '\0']))?.replace('\'', r"'\''");
        text += &format!("file 'file:{path}'\noption format_whitelist {demuxer}\nduration {}\n", seconds(length));
    }
    Some(text)
}

/// Seconds as ffmpeg reads them: never in scientific notation, to the microsecond.
pub(crate) fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A growing argument vector.
struct Line(Vec<OsString>);

impl Line {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn texts(&mut self, texts: &[String]) {
        self.0.extend(texts.iter().map(OsString::from));
    }

    /// What a stream is called.
    fn label(&mut self, (kind, place): (char, usize), Label { language, title }: &Label, format: Format) {
        let quicktime = format == Format::Mov;
        let language = language.as_ref().map(|language| if quicktime { quicktime_word(language) } else { language });
        for (name, value) in [("language", language), ("title", title.as_deref())] {
            if let Some(value) = value {
                self.words(&[&format!("-metadata:s:{kind}:{place}"), &format!("{name}={value}")]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_quotes_every_path() {
        let files = [(Path::new("/a b/it's"), "mov", 2.0), (Path::new("/c"), "mov", 1.5)];
        insta::assert_snapshot!(script(files.into_iter()).expect("paths that can be written"));
        assert_eq!(script([(Path::new("/a\nfile /etc/passwd"), "mov", 1.0)].into_iter()), None);
    }

    #[test]
    fn seconds_are_plain_numbers() {
        for (value, text) in [(0.0, "0"), (1.5, "1.5"), (10.0, "10"), (604_800.0, "604800"), (0.000_000_1, "0")] {
            assert_eq!(seconds(value), text);
        }
    }
}
