//! Subtitles that are drawn into the picture: text by libass, pictures by laying them over.

use reelhook_domain::failure::{JobFailure, Stage};

use super::tracks::TEXT;
use super::{Design, Desk, Place, Resemblance};
use crate::extras::{Track, TrackKind, language};
use crate::seen::Likeness;
use crate::spell::{FONTS, SUBTITLES};
use crate::step::{Before, Making, Passes, VideoTrack, Window};

/// Subtitles that are pictures.
const PICTURES: &[&str] = &["hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub"];

/// Draws the subtitles of that language into the picture that was designed.
///
/// # Errors
/// `no_subtitle_stream` where there are none, `encoder_missing` where this machine cannot draw them.
pub(super) fn burn(desk: &Desk<'_>, asked: Option<&str>, mut design: Design) -> Result<Design, JobFailure> {
    let track = chosen(desk, asked).ok_or_else(|| {
        let message = match asked {
            Some(asked) => format!("the input has no subtitles in {asked} that can be drawn"),
            None => "the input has no subtitles that can be drawn".to_owned(),
        };
        JobFailure::input(Stage::Planning, "no_subtitle_stream", message)
    })?;
    let Some(Making { video: VideoTrack::Encode { filters, .. }, .. }) = &mut design.making else { return Ok(design) };
    if TEXT.contains(&&*track.codec) {
        if !desk.capabilities.filters("subtitles") {
            return Err(super::video::missing("subtitles"));
        }
        let fonts = desk.source.extras.of_kind(TrackKind::Attachment).filter(|file| super::tracks::is_font(file));
        design.before = Some(Before::Subtitles { index: track.index, fonts: fonts.map(|font| font.index).collect() });
        filters.push(format!("subtitles=filename={SUBTITLES}:fontsdir={FONTS}"));
    } else {
        let video = desk.picture()?;
        let (width, height) = (video.width, video.height);
        // Left to itself the filter goes by way of RGB and forgets the matrix.
        let deep = video
            .pixel_format
            .as_ref()
            .is_some_and(|layout| ["10", "12", "16"].iter().any(|bits| layout.contains(bits)));
        let samples = if deep { "yuv420p10" } else { "yuv420" };
        // Before everything else: it has the size of the source.
        filters.insert(
            0,
            format!(
                "null[below];[0:{}]scale={width}:{height}[above];[below][above]overlay=eof_action=pass:format={samples}",
                track.index
            ),
        );
    }
    if let Some(line) = design.streams.first_mut() {
        line.reason += &format!("; subtitles drawn: {}", track.words());
    }
    design.burned = Some(track.index);
    design.seen = Some(Resemblance::whole(Likeness::Shapes));
    design.place = Place::Own(Window::Whole, Passes::One);
    Ok(design)
}

/// The subtitles of that language; where none is asked for, those that a player would choose.
fn chosen<'a>(desk: &Desk<'a>, asked: Option<&str>) -> Option<&'a Track> {
    let drawn = |track: &&Track| TEXT.contains(&&*track.codec) || PICTURES.contains(&&*track.codec);
    let all = || desk.source.extras.of_kind(TrackKind::Subtitle).filter(drawn);
    match asked.and_then(language) {
        Some(asked) => all().find(|track| track.label.language.as_ref() == Some(&asked)),
        None if asked.is_some() => None,
        None => all().find(|track| track.default).or_else(|| all().next()),
    }
}
