//! How large a picture becomes.

use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, LARGEST_SIDE, Size};

/// Which numbers of pixels a side may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// Even ones: samples of colour stand for two pixels.
    Even,
    /// All.
    Any,
}

/// The size that the picture gets: the source's as shown where nothing is said, otherwise as `size` and `fit` say, with
/// the aspect kept unless `fit` is exact, and never enlarged unless asked.
pub(super) fn target(video: &VideoInfo, size: &Size, fit: Fit, sides: Sides) -> (u32, u32) {
    let (width, height) = (video.width.max(1), video.height.max(1));
    if let (Fit::Exact, Some(width), Some(height)) = (fit, size.width, size.height) {
        return (whole(width.into(), sides), whole(height.into(), sides));
    }
    let (w, h) = (f64::from(width), f64::from(height));
    let side = |limit: u32| f64::from(even_down(limit, sides));
    let wanted = match (size.resolution, size.width, size.height) {
        (Some(resolution), _, _) => f64::from(resolution.lines()) / w.min(h),
        // By the side that it can have, so that the other one follows from that.
        (None, Some(box_w), Some(box_h)) => (side(box_w) / w).min(side(box_h) / h),
        (None, Some(box_w), None) => side(box_w) / w,
        (None, None, Some(box_h)) => side(box_h) / h,
        (None, None, None) => 1.0,
    };
    let allowed = if size.enlarge { wanted } else { wanted.min(1.0) };
    let scale = allowed.min(f64::from(LARGEST_SIDE) / w.max(h));
    if (scale - 1.0).abs() < f64::EPSILON {
        return (even_down(width, sides), even_down(height, sides));
    }
    let cap = |side: u32, limit: Option<u32>| limit.map_or(side, |limit| side.min(even_down(limit, sides)));
    (cap(whole(w * scale, sides), size.width), cap(whole(h * scale, sides), size.height))
}

/// The nearest side, at least the smallest and at most the largest there is.
fn whole(side: f64, sides: Sides) -> u32 {
    let side = side.clamp(1.0, f64::from(LARGEST_SIDE));
    match sides {
        Sides::Any => side.round() as u32,
        Sides::Even => ((side / 2.0).round() as u32).max(1) * 2,
    }
}

fn even_down(side: u32, sides: Sides) -> u32 {
    match sides {
        Sides::Any => side.max(1),
        Sides::Even => (side & !1).max(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;
    use reelhook_domain::recipe::Resolution;

    #[test]
    fn sizes_are_even_fit_inside_and_are_not_enlarged_unasked() {
        let of = |width, height, size: Size| {
            let video = samples::video(width, height);
            target(&video, &size, Fit::Inside, Sides::Even)
        };
        let resolution = |resolution| Size { resolution: Some(resolution), ..Size::default() };
        let boxed = |width, height, enlarge| Size { resolution: None, width, height, enlarge };
        assert_eq!(of(1920, 1080, resolution(Resolution::P480)), (854, 480));
        assert_eq!(of(1080, 1920, resolution(Resolution::P480)), (480, 854));
        assert_eq!(of(640, 360, resolution(Resolution::P1080)), (640, 360));
        assert_eq!(of(640, 360, boxed(Some(1281), None, true)), (1280, 720));
        assert_eq!(of(1920, 1080, boxed(Some(853), Some(853), false)), (852, 480));
        assert_eq!(of(101, 57, Size::default()), (100, 56));
        assert_eq!(of(1, 1, Size::default()), (2, 2));
        assert_eq!(of(7680, 2, boxed(Some(100), None, false)), (100, 2));
    }

    #[test]
    fn exactly_the_box_is_exactly_the_box() {
        let size = Size { resolution: None, width: Some(301), height: Some(500), enlarge: false };
        let video = samples::video(640, 360);
        assert_eq!(target(&video, &size, Fit::Exact, Sides::Even), (302, 500));
        assert_eq!(target(&video, &size, Fit::Exact, Sides::Any), (301, 500));
    }
}
