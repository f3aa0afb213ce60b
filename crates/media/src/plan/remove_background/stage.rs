//! Where the subject's picture lies on the canvas, and what is behind it.

use reelhook_domain::failure::{JobFailure, Stage as JobStage};
use reelhook_domain::recipe::{Anchor, Composition, LARGEST_SIDE, Rgb};

/// The canvas and the subject's picture on it, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) canvas: (u32, u32),
    /// Size of the subject's whole picture.
    pub(super) subject: (u32, u32),
    /// Where its top left corner is; may be outside.
    place: (i64, i64),
}

impl Stage {
    /// For a source of that size, or of its even size where sides must be even.
    ///
    /// # Errors
    /// `over_limit` where the picture would be too large, `outside_canvas` where nothing of it would be seen.
    pub(super) fn new(source: (u32, u32), composition: Option<&Composition>, even: bool) -> Result<Self, JobFailure> {
        let side = |side: u32| if even { (side & !1).max(2) } else { side.max(1) };
        let own = (side(source.0), side(source.1));
        let Some(composition) = composition else {
            return Ok(Self { canvas: own, subject: own, place: (0, 0) });
        };
        let refuse = |code, message: String| Err(JobFailure::request(JobStage::Planning, code, message));
        let scaled = |side: u32| (f64::from(side) * composition.scale).round().max(1.0);
        let (width, height) = (scaled(source.0), scaled(source.1));
        if width.max(height) > f64::from(LARGEST_SIDE) {
            return refuse(
                "over_limit",
                format!(
                    "composition.scale is {}; it makes the image {width}x{height}; the limit is {LARGEST_SIDE}",
                    composition.scale
                ),
            );
        }
        let subject = (width as u32, height as u32);
        let canvas = (composition.canvas_width.map_or(own.0, side), composition.canvas_height.map_or(own.1, side));
        let (across, down) = halves(composition.anchor);
        let at = |halves: i64, canvas: u32, subject: u32, offset: i32| {
            halves * (i64::from(canvas) - i64::from(subject)) / 2 + i64::from(offset)
        };
        let place = (
            at(across, canvas.0, subject.0, composition.offset_x),
            at(down, canvas.1, subject.1, composition.offset_y),
        );
        let stage = Self { canvas, subject, place };
        let ((x, y, _, _), seen) = (stage.seen(), stage.seen().2 > 0 && stage.seen().3 > 0);
        if !seen {
            let message = format!(
                "composition puts the image outside of the canvas: its corner is at {x}, {y} of {}x{}",
                canvas.0, canvas.1
            );
            return refuse("outside_canvas", message);
        }
        Ok(stage)
    }

    /// The part of the subject's picture that is seen, in its own coordinates: x, y, width, height.
    fn seen(&self) -> (i64, i64, i64, i64) {
        let part = |place: i64, subject: u32, canvas: u32| {
            let from = (-place).max(0);
            let to = (i64::from(canvas) - place).min(i64::from(subject));
            (from, to - from)
        };
        let (x, width) = part(self.place.0, self.subject.0, self.canvas.0);
        let (y, height) = part(self.place.1, self.subject.1, self.canvas.1);
        (x, y, width, height)
    }

    /// Filters that bring the source's picture to the size of the subject's.
    pub(super) fn sized(&self) -> String {
        let flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
        format!("scale={}:{}:{flags},setsar=1", self.subject.0, self.subject.1)
    }

    /// Filters that put the subject on a canvas of nothing; empty where it is the canvas.
    pub(super) fn on_nothing(&self) -> Vec<String> {
        let (x, y, width, height) = self.seen();
        let mut filters = Vec::new();
        if (width, height) != (i64::from(self.subject.0), i64::from(self.subject.1)) {
            filters.push(format!("crop={width}:{height}:{x}:{y}"));
        }
        if (width, height) != (i64::from(self.canvas.0), i64::from(self.canvas.1)) {
            let (left, top) = (self.place.0.max(0), self.place.1.max(0));
            filters.push(format!("pad={}:{}:{left}:{top}:color=0x00000000", self.canvas.0, self.canvas.1));
        }
        filters
    }

    /// Filters that make of any picture a canvas of one colour, frame for frame.
    pub(super) fn canvas_of(&self, Rgb([r, g, b]): Rgb) -> String {
        format!(
            "scale={}:{}:flags=neighbor,setsar=1,format=gbrp,lutrgb=r={r}:g={g}:b={b}",
            self.canvas.0, self.canvas.1
        )
    }

    /// Filters that make a picture of that size cover the canvas, the middle of it seen.
    pub(super) fn cover(&self, picture: (u32, u32)) -> String {
        let (width, height) = (f64::from(picture.0.max(1)), f64::from(picture.1.max(1)));
        let (canvas_width, canvas_height) = (f64::from(self.canvas.0), f64::from(self.canvas.1));
        let scale = (canvas_width / width).max(canvas_height / height);
        let (width, height) = ((width * scale).round().max(canvas_width), (height * scale).round().max(canvas_height));
        format!("scale={width}:{height}:flags=bicubic+accurate_rnd,setsar=1,crop={canvas_width}:{canvas_height}")
    }

    /// The filter that lays the subject on its canvas.
    pub(super) fn overlay(&self) -> String {
        format!("overlay=x={}:y={}:eval=init:format=gbrp", self.place.0, self.place.1)
    }

    /// In words, for the caller.
    pub(super) fn words(&self) -> String {
        let Self { canvas, subject, place } = self;
        format!("{}x{} at {}, {} on a canvas of {}x{}", subject.0, subject.1, place.0, place.1, canvas.0, canvas.1)
    }
}

/// How many halves of the free room are left of and above the picture.
const fn halves(anchor: Anchor) -> (i64, i64) {
    match anchor {
        Anchor::TopLeft => (0, 0),
        Anchor::Top => (1, 0),
        Anchor::TopRight => (2, 0),
        Anchor::Left => (0, 1),
        Anchor::Center => (1, 1),
        Anchor::Right => (2, 1),
        Anchor::BottomLeft => (0, 2),
        Anchor::Bottom => (1, 2),
        Anchor::BottomRight => (2, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composition(anchor: Anchor, scale: f64, offset: (i32, i32)) -> Composition {
        let (offset_x, offset_y) = offset;
        Composition { canvas_width: Some(200), canvas_height: Some(100), anchor, scale, offset_x, offset_y }
    }

    #[test]
    fn the_anchor_says_where_and_the_offset_moves_on() {
        let place = |anchor, offset| {
            Stage::new((40, 20), Some(&composition(anchor, 2.0, offset)), true).expect("on the canvas").place
        };
        assert_eq!(place(Anchor::TopLeft, (0, 0)), (0, 0));
        assert_eq!(place(Anchor::Center, (0, 0)), (60, 30));
        assert_eq!(place(Anchor::BottomRight, (-5, 7)), (115, 67));
        assert_eq!(place(Anchor::Right, (0, 0)), (120, 30));
    }

    #[test]
    fn a_picture_over_the_edge_is_cut_and_one_beyond_it_refused() {
        let stage = Stage::new((40, 20), Some(&composition(Anchor::TopLeft, 1.0, (-10, 90))), true).unwrap();
        assert_eq!(stage.on_nothing(), ["crop=30:10:10:0", "pad=200:100:0:90:color=0x00000000"]);
        let beyond = Stage::new((40, 20), Some(&composition(Anchor::TopLeft, 1.0, (200, 0))), true).unwrap_err();
        assert_eq!(beyond.code, "outside_canvas");
        let huge = Stage::new((4000, 20), Some(&composition(Anchor::TopLeft, 10.0, (0, 0))), true).unwrap_err();
        assert_eq!(huge.code, "over_limit");
    }

    #[test]
    fn nothing_asked_is_the_source_as_it_is() {
        let stage = Stage::new((41, 21), None, true).unwrap();
        assert_eq!((stage.canvas, stage.on_nothing()), ((40, 20), Vec::new()));
        assert_eq!(Stage::new((41, 21), None, false).unwrap().canvas, (41, 21));
    }

    #[test]
    fn a_background_covers_the_canvas() {
        let stage = Stage::new((200, 100), None, true).unwrap();
        assert!(stage.cover((100, 100)).starts_with("scale=200:200"));
        assert!(stage.cover((1000, 100)).starts_with("scale=1000:100"));
    }
}
