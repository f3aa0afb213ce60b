//! What becomes of further tracks, tags and chapters: carried where the format has a place for them, otherwise dropped
//! with the reason in the plan. Nothing vanishes in silence.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Format, Quality, Recipe, Subtitles};

use super::video::words;
use super::{Design, Desk, Place, audio};
use crate::extras::{Carried, CarriedTrack, Chapter, Label, Track, TrackKind, chapter_comments, language};
use crate::step::{AudioTrack, StreamPlan, Window};

/// What a format has a place for.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// More than one sound, with languages.
    sounds: bool,
    /// The encoder of text subtitles.
    text: Option<&'static str>,
    /// Subtitles that are copied.
    subtitles: &'static [&'static str],
    fonts: bool,
    covers: &'static [&'static str],
    chapters: Chapters,
    tags: &'static [&'static str],
}

/// How a format holds chapters.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Chapters {
    No,
    /// By itself, at most so many.
    Own(usize),
    /// As comments.
    Comments,
}

/// Subtitles that are text.
pub(super) const TEXT: &[&str] = &["subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"];
const ALL_TAGS: &[&str] = crate::extras::KEPT;
const MATROSKA: &[&str] =
    &["subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "hdmv_text_subtitle"];
const PICTURES: &[&str] = &["png", "mjpeg"];
/// More than any container limits, and as many as a source may have.
const MANY: usize = usize::MAX;
/// Chapters that a table of contents in ID3 has room for.
const ID3_CHAPTERS: usize = 255;
/// Chapters that comments have numbers for.
const COMMENT_CHAPTERS: usize = 999;

/// Languages that QuickTime has a word for; it uses the bibliographic codes.
///
/// # Source
/// QuickTime File Format, "Language code values".
const QUICKTIME_LANGUAGES: &[&str] = &[
    "eng", "fra", "deu", "ita", "nld", "swe", "spa", "dan", "por", "nor", "heb", "jpn", "ara", "fin", "ell", "tur",
    "hin", "tha", "kor", "lit", "pol", "hun", "est", "lav", "rus", "zho", "ron", "ces", "slk", "slv", "bul", "ukr",
    "vie", "ind", "cat",
];

const NOTHING: Room =
    Room { sounds: false, text: None, subtitles: &[], fonts: false, covers: &[], chapters: Chapters::No, tags: &[] };

const fn room(format: Format) -> Room {
    let video = Room { sounds: true, chapters: Chapters::Own(MANY), tags: ALL_TAGS, ..NOTHING };
    let comments = Room { chapters: Chapters::Comments, tags: ALL_TAGS, ..NOTHING };
    match format {
        Format::Mp4 => Room { text: Some("mov_text"), subtitles: &["mov_text"], covers: PICTURES, ..video },
        Format::Mov => Room {
            text: Some("mov_text"),
            subtitles: &["mov_text"],
            tags: &["title", "artist", "album", "date", "genre"],
            ..video
        },
        Format::Webm => Room { text: Some("webvtt"), subtitles: &["webvtt"], ..video },
        Format::Mkv => Room { text: Some("subrip"), subtitles: MATROSKA, fonts: true, ..video },
        Format::Aac => Room { chapters: Chapters::Own(MANY), covers: PICTURES, tags: ALL_TAGS, ..NOTHING },
        Format::Mp3 => Room { chapters: Chapters::Own(ID3_CHAPTERS), covers: PICTURES, tags: ALL_TAGS, ..NOTHING },
        Format::Flac => Room { covers: PICTURES, ..comments },
        Format::Opus | Format::Ogg => comments,
        Format::Wav => Room { tags: &["title", "artist", "album", "track", "date", "genre"], ..NOTHING },
        _ => NOTHING,
    }
}

/// Whether tracks of a format have languages.
pub(crate) const fn has_languages(format: Format) -> bool {
    room(format).sounds || matches!(format, Format::Aac)
}

/// What a recipe does with further tracks.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// Carries what the format has a place for.
    All { quality: Quality },
    /// Makes something else, and says why nothing more is in it.
    None(&'static str),
    /// Makes a picture: of what is heard or read beside it nobody expects anything.
    Picture,
}

fn reach(recipe: &Recipe) -> Reach {
    match recipe {
        Recipe::Compress(wish) => Reach::All { quality: wish.quality.unwrap_or(Quality::Standard) },
        Recipe::Convert(wish) => Reach::All { quality: wish.quality },
        Recipe::Resize(wish) => Reach::All { quality: wish.quality },
        Recipe::Trim(wish) => Reach::All { quality: wish.quality },
        Recipe::ExtractAudio(_) | Recipe::WebReady(_) | Recipe::Auto(_) => Reach::All { quality: Quality::Standard },
        Recipe::Proxy(_) => Reach::None("a proxy has the video and one audio track"),
        Recipe::Concat(_) => Reach::None("inputs are joined with the video and one audio track of each"),
        Recipe::Package(_) => Reach::None("a package has one audio track"),
        Recipe::Style(_) => Reach::None("style keeps the video and one audio track"),
        Recipe::RemoveBackground(_) => Reach::None("remove_background keeps the video and one audio track"),
        Recipe::NormalizeAudio(_) => Reach::All { quality: Quality::Premium },
        Recipe::Watermark(wish) => Reach::All { quality: wish.quality },
        Recipe::Waveform(_) | Recipe::Sprite(_) | Recipe::Preview(_) => Reach::Picture,
        Recipe::Thumbnail(_) | Recipe::Image(_) | Recipe::Archive(_) | Recipe::Ffmpeg(_) => Reach::Picture,
    }
}

/// Decides about everything that the source holds beside its picture and its sound.
pub(super) fn furnish(desk: &Desk<'_>, recipe: &Recipe, mut design: Design) -> Result<Design, JobFailure> {
    let (Some(making), reach) = (&design.making, reach(recipe)) else { return Ok(design) };
    if matches!(reach, Reach::Picture) {
        return Ok(design);
    }
    let (wish, language) = match recipe {
        Recipe::Convert(convert) => (convert.subtitles, convert.subtitle_language.as_deref()),
        _ => (Subtitles::Keep, None),
    };
    let mut desk_of = Furniture {
        subtitles: wish,
        language,
        burned: design.burned,
        desk,
        format: design.format,
        room: if matches!(reach, Reach::None(_)) { NOTHING } else { room(design.format) },
        reach,
        part: part(design.place),
        has_sound: making.audio != AudioTrack::None,
        capped: design.max_bytes.is_some(),
        carried: Carried::default(),
        lines: Vec::new(),
    };
    desk_of.tracks()?;
    desk_of.chapters();
    desk_of.tags();
    let Furniture { carried, lines, .. } = desk_of;
    design.streams.extend(lines);
    design.carried = carried;
    Ok(design)
}

/// Which part of the source a product is.
pub(super) fn part(place: Place) -> Option<(f64, f64)> {
    match place {
        Place::Own(Window::Jump { start, length } | Window::Walk { start, length }, _) => Some((start, length)),
        _ => None,
    }
}

/// One product while it is decided about.
struct Furniture<'a> {
    desk: &'a Desk<'a>,
    format: Format,
    room: Room,
    reach: Reach,
    subtitles: Subtitles,
    /// The language that subtitles were asked in.
    language: Option<&'a str>,
    /// The subtitles that are in the picture.
    burned: Option<u32>,
    part: Option<(f64, f64)>,
    has_sound: bool,
    capped: bool,
    carried: Carried,
    lines: Vec<StreamPlan>,
}

impl Furniture<'_> {
    fn drop(&mut self, stream: &str, reason: String) {
        self.lines.push(StreamPlan::new(stream, "drop", reason));
    }

    /// What a track is called in the format. QuickTime has words of its own for languages, and not for all.
    fn label(&mut self, track: &Track) -> Label {
        let mut label = if has_languages(self.format) { track.label.clone() } else { Label::default() };
        let unknown = |language: &String| !QUICKTIME_LANGUAGES.contains(&language.as_str());
        if self.format == Format::Mov && label.language.as_ref().is_some_and(unknown) {
            label.language = None;
            self.drop("tags", format!("{}: mov has no word for the language", track.words()));
        }
        label
    }

    fn carry(&mut self, track: &Track, options: Vec<String>) {
        let label = self.label(track);
        let (index, kind, file) = (track.index, track.kind, track.file.clone());
        self.carried.tracks.push(CarriedTrack { index, kind, options, label, start: track.start, file });
    }

    fn tracks(&mut self) -> Result<(), JobFailure> {
        let source = self.desk.source;
        if self.has_sound
            && self.room.sounds
            && let Some(track) = source.extras.at(source.audio_index)
        {
            self.carried.sound = self.label(track);
        }
        for track in &source.extras.tracks {
            if Some(track.index) == source.video_index || Some(track.index) == source.audio_index {
                continue;
            }
            match track.kind {
                TrackKind::Audio => self.sound(track)?,
                TrackKind::Subtitle => self.subtitles(track),
                TrackKind::Cover => self.cover(track),
                TrackKind::Attachment => self.attachment(track),
                TrackKind::Video => self.drop("video", format!("{}: {}", track.words(), picture_reason(track))),
                TrackKind::Data => self.data(track),
            }
        }
        Ok(())
    }

    /// Why nothing of a kind is carried, where that is so.
    fn obstacle(&self, takes: bool, what: &str) -> Option<String> {
        match self.reach {
            Reach::None(reason) => Some(reason.to_owned()),
            _ if !takes => Some(format!("{} cannot hold {what}", self.format)),
            _ => None,
        }
    }

    fn sound(&mut self, track: &Track) -> Result<(), JobFailure> {
        let name = track.words();
        let obstacle = match &track.sound {
            None => Some("it is empty".to_owned()),
            Some(_) if self.capped => Some("max_bytes allows one audio track".to_owned()),
            Some(_) => self.obstacle(self.room.sounds, "a further audio track"),
        };
        if let Some(reason) = obstacle {
            self.drop("audio", format!("{name}: {reason}"));
            return Ok(());
        }
        let (Some(info), Reach::All { quality }) = (&track.sound, self.reach) else { return Ok(()) };
        let copy = if self.part.is_some() { audio::Copy::Never("cut to the sample") } else { audio::Copy::WhereItFits };
        let wish = audio::Wish { format: self.format, copy, kbps: None, quality };
        let (made, _, line) = audio::carry(self.desk, info, wish)?;
        self.lines.push(StreamPlan::new("audio", &line.action, format!("{name}: {}", line.reason)));
        match made {
            AudioTrack::Copy => self.carry(track, words(&["-c:a", "copy"])),
            AudioTrack::Encode { options } => self.carry(track, options),
            AudioTrack::None | AudioTrack::Joined { .. } | AudioTrack::Drawn(_) => {}
        }
        Ok(())
    }

    fn subtitles(&mut self, track: &Track) {
        let name = track.words();
        if let Some(reason) = self.obstacle(self.room.text.is_some(), "subtitles") {
            return self.drop("subtitle", format!("{name}: {reason}"));
        }
        if self.burned == Some(track.index) {
            return self.lines.push(StreamPlan::new("subtitle", "encode", format!("{name}: drawn into the picture")));
        }
        match (self.subtitles, self.language) {
            (Subtitles::Drop, _) => return self.drop("subtitle", format!("{name}: subtitles is drop")),
            (Subtitles::Burn, _) => return self.drop("subtitle", format!("{name}: others are drawn into the picture")),
            (Subtitles::Keep, Some(asked)) if track.label.language != language(asked) => {
                return self.drop("subtitle", format!("{name}: subtitle_language is {asked}"));
            }
            (Subtitles::Keep, _) => {}
        }
        if self.part.is_some() {
            return self.drop("subtitle", format!("{name}: a part is cut without its subtitles"));
        }
        let codec = track.codec.as_str();
        if self.room.subtitles.contains(&codec) {
            self.carry(track, words(&["-c:s", "copy"]));
            self.lines.push(StreamPlan::new("subtitle", "copy", format!("{name}: copied: already {codec}")));
            return;
        }
        match self.room.text.filter(|encoder| TEXT.contains(&codec) && self.desk.capabilities.encodes(encoder)) {
            Some(encoder) => {
                self.carry(track, words(&["-c:s", encoder]));
                let reason = format!("{name}: {codec} does not go into {}; {encoder}", self.format);
                self.lines.push(StreamPlan::new("subtitle", "encode", reason));
            }
            None => self.drop("subtitle", format!("{name}: {} holds no {codec}", self.format)),
        }
    }

    fn cover(&mut self, track: &Track) {
        let name = track.words();
        let more = self.carried.of_kind(TrackKind::Cover).count() > 0;
        let obstacle = match self.obstacle(!self.room.covers.is_empty(), "a cover") {
            None if !self.room.covers.contains(&&*track.codec) => {
                Some(format!("{} holds no cover in {}", self.format, track.codec))
            }
            None if more => Some("one cover is kept".to_owned()),
            None if self.part.is_some() => Some("a cut part has no cover".to_owned()),
            obstacle => obstacle,
        };
        if let Some(reason) = obstacle {
            return self.drop("cover", format!("{name}: {reason}"));
        }
        self.carry(track, words(&["-c:v", "copy"]));
        self.lines.push(StreamPlan::new("cover", "copy", format!("{name}: kept")));
    }

    fn attachment(&mut self, track: &Track) {
        let name = track.words();
        let font = is_font(track);
        let obstacle = match self.obstacle(self.room.fonts, "attachments") {
            None if !font => Some("only fonts are kept".to_owned()),
            obstacle => obstacle,
        };
        if let Some(reason) = obstacle {
            return self.drop("attachment", format!("{name}: {reason}"));
        }
        self.carry(track, words(&["-c:t", "copy"]));
        self.lines.push(StreamPlan::new("attachment", "copy", format!("{name}: a font, kept")));
    }

    fn data(&mut self, track: &Track) {
        // Chapters of an mp4 are a track of texts too.
        let chapters = track.codec == "bin_data" && !self.desk.source.extras.chapters.is_empty();
        if !chapters {
            self.drop("data", format!("{}: neither seen nor heard", track.words()));
        }
    }

    fn chapters(&mut self) {
        let all = &self.desk.source.extras.chapters;
        if all.is_empty() {
            return;
        }
        let chapters = cut(all, self.part);
        let most = match self.room.chapters {
            Chapters::No => 0,
            Chapters::Own(most) => most,
            Chapters::Comments => COMMENT_CHAPTERS,
        };
        if let Some(reason) = self.obstacle(self.room.chapters != Chapters::No, "chapters") {
            return self.drop("chapters", format!("{}: {reason}", all.len()));
        }
        if chapters.len() > most {
            return self.drop("chapters", format!("{}: {} holds {most}", chapters.len(), self.format));
        }
        self.lines.push(StreamPlan::new("chapters", "keep", format!("{} of {}", chapters.len(), all.len())));
        if self.room.chapters == Chapters::Comments {
            self.carried.tags.extend(chapter_comments(&chapters));
        } else {
            self.carried.chapters = chapters;
        }
    }

    fn tags(&mut self) {
        let extras = &self.desk.source.extras;
        let (kept, unplaced): (Vec<_>, Vec<_>) =
            extras.tags.iter().cloned().partition(|(name, _)| self.room.tags.contains(&name.as_str()));
        let names =
            |tags: &[(String, String)]| tags.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        if !kept.is_empty() {
            self.lines.push(StreamPlan::new("tags", "keep", names(&kept)));
        }
        if !unplaced.is_empty() {
            let reason = self.obstacle(false, "them").unwrap_or_default();
            self.drop("tags", format!("{}: {reason}", names(&unplaced)));
        }
        if !extras.other_tags.is_empty() {
            let names = extras.other_tags.join(", ");
            self.drop("tags", format!("{names}: only what names the work is kept"));
        }
        self.carried.tags.splice(0..0, kept);
    }
}

fn picture_reason(track: &Track) -> &'static str {
    if track.empty { "it is empty" } else { "one picture is kept" }
}

/// Media types of fonts.
///
/// # Source
/// RFC 8081, and what players accept in Matroska: <https://www.matroska.org/technical/attachments.html>.
pub(super) fn is_font(track: &Track) -> bool {
    track.file.as_ref().is_some_and(|(_, kind)| is_font_type(kind))
}

fn is_font_type(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("font/")
        || kind.starts_with("application/x-font")
        || ["application/x-truetype-font", "application/vnd.ms-opentype", "application/font-sfnt"].contains(&&*kind)
}

/// The chapters of a part, with times that count from its start.
fn cut(chapters: &[Chapter], part: Option<(f64, f64)>) -> Vec<Chapter> {
    let Some((from, length)) = part else { return chapters.to_vec() };
    let moved = |chapter: &Chapter| {
        let (start, end) = ((chapter.start - from).max(0.0), (chapter.end - from).min(length));
        // What only touches the part is not in it.
        (end - start > 0.01).then(|| Chapter { start, end, title: chapter.title.clone() })
    };
    chapters.iter().filter_map(moved).collect()
}

/// How many chapters a product has to have.
pub(super) fn chapter_count(carried: &Carried) -> usize {
    let comment = |(name, _): &&(String, String)| name.starts_with("CHAPTER") && !name.ends_with("NAME");
    carried.chapters.len() + carried.tags.iter().filter(comment).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_of_a_part_count_from_its_start() {
        let chapter = |start, end| Chapter { start, end, title: String::new() };
        let all = [chapter(0.0, 10.0), chapter(10.0, 20.0), chapter(20.0, 30.0)];
        assert_eq!(cut(&all, Some((12.0, 10.0))), [chapter(0.0, 8.0), chapter(8.0, 10.0)]);
        assert_eq!(cut(&all, Some((10.0, 10.0))), [chapter(0.0, 10.0)]);
        assert_eq!(cut(&all, None).len(), 3);
    }

    #[test]
    fn fonts_are_known_by_their_media_type() {
        for (kind, font) in [("font/ttf", true), ("application/x-truetype-font", true), ("application/pdf", false)] {
            assert_eq!(is_font_type(kind), font, "{kind}");
        }
    }
}
