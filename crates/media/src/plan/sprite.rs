//! `sprite`: thumbnails at even distances, tiled into sheets.
//!
//! The `fps` filter takes the frame that is shown at each middle of a cue, as it does for a single `thumbnail`; `tile`
//! makes the sheets. The cues are written once the sheets are there ([`crate::storyboard`]).

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Fit, Format, Size, Sprite};

use super::color::{Alpha, Hdr};
use super::geometry::{Samples, Target};
use super::video::{missing, words};
use super::{Design, Desk, Place, size, timeline};
use crate::promise::Promise;
use crate::spell::{on_file_time, seconds};
use crate::step::{AudioTrack, Encoder, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::storyboard::Storyboard;

/// How many thumbnails there are where the caller names no interval, unless they would be less than a second apart.
const USUAL: f64 = 100.0;
/// Most thumbnails of one storyboard.
const MOST: f64 = 10_000.0;
/// Most sheets of one storyboard.
const MOST_SHEETS: u32 = 500;
/// Longest side of a sheet, in pixels: WebP holds no more.
const LONGEST: u32 = 16_383;
/// Most pixels of a sheet.
const MOST_PIXELS: u64 = 100_000_000;

pub(super) fn design(desk: &Desk<'_>, wish: &Sprite) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let source = desk.source;
    let picture_ends = picture_ends(desk)?;
    let size = Size { width: Some(wish.width), ..Size::default() };
    let tile = size::target(video, &size, Fit::Inside, size::Sides::Even);
    let board = board(wish, tile, picture_ends, source.info.duration_seconds)?;

    let alpha = video.has_alpha();
    let (encoders, options, samples, carries): (&[&str], _, _, _) = match wish.format {
        Format::Png => (&["png"], words(&[]), Samples::Rgb(if alpha { "rgba" } else { "rgb24" }), true),
        Format::Webp => (&["libwebp"], words(&["-quality", "75"]), Samples::Rgb("bgra"), true),
        _ => (&["mjpeg"], words(&["-q:v", "4"]), Samples::Jfif, false),
    };
    let name = desk.capabilities.first_of(encoders).ok_or_else(|| missing(wish.format.as_str()))?;
    let (hdr, alpha) = (Hdr::standard(desk, video), Alpha::of(alpha, carries, Alpha::OnWhite));
    let (scale, more) = Target { frame_rate: None, size: tile, samples, hdr, alpha }.filters(desk, video);
    let mut filters = Vec::new();
    if !timeline::jumps(source) {
        filters.push(on_file_time("setpts", &seconds(source.video_start)));
    }
    let Storyboard { count, interval, columns, rows, .. } = &board;
    let first = seconds(board.first(picture_ends));
    filters.push(format!("fps=1/{}:start_time={first}:round=up", seconds(*interval)));
    // A picture that ends before its length says shows its last frame until then.
    filters.push("tpad=stop=-1:stop_mode=clone".to_owned());
    filters.push(format!("trim=end_frame={count}"));
    filters.extend(scale);
    filters.push(format!("tile={columns}x{rows}"));

    let mut notes = vec![format!(
        "{count} frames of {}x{}, one every {} s, on {} sheets of {columns}x{rows}",
        tile.0,
        tile.1,
        seconds(*interval),
        board.sheets()
    )];
    notes.extend(more);
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    if source.info.audio.is_some() {
        streams.push(StreamPlan::new("audio", "drop", "a storyboard has no audio"));
    }
    let encoder = Encoder { name: name.to_owned(), options };
    let track = VideoTrack::Encode { filters, encoder, uneven: false, palette: false };
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams,
        promise: Some(Promise::Storyboard(board)),
        ..Design::new(Format::Vtt, Place::Own(Window::Whole, Passes::One))
    })
}

/// When the picture ends, counted from the beginning of the file.
///
/// # Errors
/// `unsupported_media` where nothing tells.
pub(super) fn picture_ends(desk: &Desk<'_>) -> Result<f64, JobFailure> {
    let source = desk.source;
    let ends = timeline::length(source, true, false).map(|length| source.video_start + length);
    ends.or(source.info.duration_seconds).filter(|&end| end > 0.0).ok_or_else(|| {
        let message = "the input has no known duration, which this recipe needs";
        JobFailure::input(Stage::Planning, "unsupported_media", message)
    })
}

/// How many thumbnails there are and where, of a picture that ends then.
fn board(wish: &Sprite, tile: (u32, u32), picture_ends: f64, whole: Option<f64>) -> Result<Storyboard, JobFailure> {
    let refuse = |message: String| Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    let usual = ((picture_ends / USUAL).max(1.0) * 1000.0).round() / 1000.0;
    let interval = wish.interval_seconds.unwrap_or(usual);
    // What is left at the end, less than half an interval, belongs to the last one.
    let count = (picture_ends / interval).round().max(1.0);
    if count > MOST {
        let least = (picture_ends / MOST).ceil();
        return refuse(format!(
            "interval_seconds is {interval}, which makes {count} thumbnails; the limit is {MOST}, so take at least {least}"
        ));
    }
    let count = count as u32;
    let columns = wish.columns.min(count);
    let rows = wish.rows.min(count.div_ceil(columns));
    let end = whole.map_or(picture_ends, |whole| whole.max(picture_ends));
    let board = Storyboard { count, interval, end, columns, rows, tile, format: wish.format };
    let (width, height) = board.sheet_size();
    if width.max(height) > LONGEST || u64::from(width) * u64::from(height) > MOST_PIXELS {
        return refuse(format!(
            "a sheet of {columns} x {rows} thumbnails would be {width}x{height}; the limit is {LONGEST} a side and \
             {MOST_PIXELS} pixels, so take fewer rows or columns"
        ));
    }
    if board.sheets() > MOST_SHEETS {
        let sheets = board.sheets();
        return refuse(format!(
            "there would be {sheets} sheets; the limit is {MOST_SHEETS}, so take more rows, more columns or a longer \
             interval_seconds"
        ));
    }
    Ok(board)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(interval_seconds: Option<f64>, picture_ends: f64) -> Result<Storyboard, String> {
        let wish = Sprite { interval_seconds, columns: 10, rows: 10, width: 160, format: Format::Jpg };
        board(&wish, (160, 90), picture_ends, None).map_err(|failure| failure.message)
    }

    #[test]
    fn there_are_about_a_hundred_at_least_a_second_apart() {
        let told = |board: Storyboard| (board.count, board.interval, board.columns, board.rows, board.sheets());
        assert_eq!(of(None, 7200.0).map(told), Ok((100, 72.0, 10, 10, 1)));
        assert_eq!(of(None, 25.3).map(told), Ok((25, 1.0, 10, 3, 1)));
        assert_eq!(of(None, 0.2).map(told), Ok((1, 1.0, 1, 1, 1)));
        assert_eq!(of(Some(10.0), 2014.0).map(told), Ok((201, 10.0, 10, 10, 3)));
        assert_eq!(of(Some(10.0), 16.0).map(|board| board.first(16.0)), Ok(5.0));
        assert_eq!(of(None, 0.2).map(|board| board.first(0.2)), Ok(0.1));
    }

    #[test]
    fn every_frame_is_taken_before_the_end() {
        for tenths in 1..2000_u32 {
            let end = f64::from(tenths) / 10.0;
            for interval in [None, Some(0.1), Some(3.3), Some(60.0)] {
                let board = of(interval, end).unwrap();
                let last = board.first(end) + board.interval * f64::from(board.count - 1);
                assert!(last < end + 1e-9 && last + board.interval * 1.5 > end, "{end} {interval:?}");
            }
        }
    }

    #[test]
    fn what_is_too_much_is_refused_with_a_way_out() {
        insta::assert_snapshot!(of(Some(0.1), 40_000.0).unwrap_err());
        let tall = Sprite { interval_seconds: Some(10.0), columns: 10, rows: 20, width: 640, format: Format::Jpg };
        insta::assert_snapshot!(board(&tall, (640, 1138), 7200.0, None).unwrap_err().message);
        let single = Sprite { interval_seconds: Some(1.0), columns: 1, rows: 1, width: 160, format: Format::Jpg };
        insta::assert_snapshot!(board(&single, (160, 90), 7200.0, None).unwrap_err().message);
    }
}
