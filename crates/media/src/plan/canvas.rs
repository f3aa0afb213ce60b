//! One size for all frames of a source, where frames may change their size on the way: a phone that is turned in a call, a
//! broadcast that goes from one programme to the next.
//!
//! Left to itself ffmpeg starts its filters again when the size changes, which loses what they hold, and stretches what
//! comes later into the first size. So filters are not started again ([`crate::step::Reading::canvas`]); instead the
//! first ones bring every frame onto a canvas of the size that was probed, with bars where its shape differs. Frames of
//! that size pass them untouched.

use reelhook_domain::media::VideoInfo;

use crate::probe::Source;
use crate::spell::seconds;

/// Containers that tell one size for the whole stream.
const ONE_SIZE: &[&str] = &["mov", "avi", "gif", "apng", "mxf", "dv", "yuv4mpegpipe"];

/// Whether frames of the source may change their size on the way.
pub(super) fn may_change(source: &Source) -> bool {
    // Turned pictures pass a filter of ffmpeg's own first, which does not take other sizes.
    let turned = source.info.video.as_ref().is_none_or(|video| video.rotation != 0);
    !turned && !source.still && !ONE_SIZE.contains(&source.demuxer)
}

/// The source as all filters behind the canvas see it.
pub(super) fn behind(source: &Source) -> Source {
    let mut source = source.clone();
    if may_change(&source)
        && let Some(video) = &mut source.info.video
    {
        video.square_pixels = true;
    }
    source
}

/// The filters that bring every frame onto the canvas. `dar` is the shape of a frame as it is shown, with the shape of its
/// pixels; they are worked out again for each frame of another size.
pub(super) fn filters(video: &VideoInfo) -> Vec<String> {
    let (width, height) = (video.width.max(1), video.height.max(1));
    let shape = seconds(f64::from(width) / f64::from(height));
    // Sides that were rounded to whole pixels make the same shape.
    let same = format!("lt(abs(dar/{shape}-1)\\,0.01)");
    let wide = format!("max(2\\,min({width}\\,2*round({height}*dar/2)))");
    let high = format!("max(2\\,min({height}\\,2*round({width}/dar/2)))");
    let bars = if video.has_alpha() { "black@0" } else { "black" };
    vec![
        format!("scale=w=if({same}\\,{width}\\,{wide}):h=if({same}\\,{height}\\,{high}):eval=frame"),
        "setsar=1".to_owned(),
        format!("pad={width}:{height}:-1:-1:eval=frame:color={bars}"),
    ]
}
