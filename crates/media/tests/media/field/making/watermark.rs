//! `watermark`: where the mark lies, and in which colour, is read from the pixels.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, numbers, usual};
use crate::rig::Rig;

const KIND: &str = "Watermark";

/// The frame at a second as RGB, in rows.
fn rows(path: &Path, second: &str, width: usize) -> Vec<Vec<[u8; 3]>> {
    let bytes = ffmpeg(&format!("-ss {second} -i {{}} -frames:v 1 -pix_fmt rgb24 -f rawvideo -"), &[path]).stdout;
    let row = |row: &[u8]| row.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    bytes.chunks_exact(width * 3).map(row).collect()
}

/// Left, top, right and bottom of all that is red.
fn red(rows: &[Vec<[u8; 3]>]) -> [usize; 4] {
    let is_red = |pixel: &[u8; 3]| pixel[0] > 150 && pixel[1] < 90 && pixel[2] < 90;
    let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
    for (y, row) in rows.iter().enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, pixel)| is_red(pixel)) {
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1));
        }
    }
    [left, top, right, bottom]
}

/// A red mark, 40 by 20, with a clear frame of ten around it whose hidden colour is green.
fn mark(path: &Path) {
    let alpha = "if(between(X\\,10\\,49)*between(Y\\,10\\,29)\\,255\\,0)";
    let red = "if(between(X\\,10\\,49)*between(Y\\,10\\,29)\\,255\\,0)";
    let green = "if(between(X\\,10\\,49)*between(Y\\,10\\,29)\\,0\\,255)";
    let picture = format!("color=s=60x40:d=1:r=1,format=rgba,geq=r={red}:g={green}:b=0:a={alpha}");
    ffmpeg(&format!("-f lavfi -i {picture} -frames:v 1 {{}}"), &[path]);
}

fn near(is: [usize; 4], right: [usize; 4]) -> bool {
    is.iter().zip(right).all(|(&is, right)| is.abs_diff(right) <= 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_lies_in_its_place_on_wide_and_tall_videos() {
    let rig = Rig::new().await;
    let logo = rig.clip("logo.png");
    mark(&logo);
    for (name, size, turn) in
        [("wide.mp4", (640, 360), false), ("tall.mp4", (360, 640), false), ("turned.mp4", (360, 640), true)]
    {
        let input = rig.clip(name);
        let (width, height) = if turn { (size.1, size.0) } else { size };
        ffmpeg(
            &format!("-f lavfi -i color=0x406080:s={width}x{height}:r=25:d=1 -c:v libx264 -preset ultrafast {{}}"),
            &[&input],
        );
        let input = if turn {
            let turned = rig.clip("turned-by-tag.mp4");
            ffmpeg("-i {} -c copy -metadata:s:v:0 rotate=90 {}", &[&input, &turned]);
            if rig.probe(&turned).await.expect("probed").info.video.expect("a picture").rotation == 0 {
                ffmpeg("-display_rotation:v:0 270 -i {} -c copy {}", &[&input, &turned]);
            }
            turned
        } else {
            input
        };
        for (place, margin) in [("top_left", 10), ("bottom_right", 10), ("center", 0), ("right", 20)] {
            let recipe = json!({"recipe": "watermark", "image": "behind", "place": place, "margin_pixels": margin,
                "width_percent": 25});
            let made = rig.make_before(&input, &logo, recipe).await.expect("made");
            let (w, h) = size;
            // A quarter of the width, of which the red part is two thirds, begins after a sixth.
            let (mark_w, mark_h) = (w / 4, w / 4 * 2 / 3);
            let (x, y) = match place {
                "top_left" => (margin, margin),
                "bottom_right" => (w - mark_w - margin, h - mark_h - margin),
                "center" => ((w - mark_w) / 2, (h - mark_h) / 2),
                _ => (w - mark_w - margin, (h - mark_h) / 2),
            };
            let right = [x + mark_w / 6, y + mark_h / 4, x + mark_w * 5 / 6, y + mark_h * 3 / 4];
            let rows = rows(&made.path, "0.5", w);
            let is = red(&rows);
            let green = rows.iter().flatten().filter(|pixel| pixel[1] > 140 && pixel[0] < 100).count();
            let holds = rows.len() == h && near(is, right) && green == 0;
            verdict(KIND, format!("{place} of {name}"), format!("{right:?}"), format!("{is:?}, {green} green"), holds);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opacity_and_colour_are_the_marks_own() {
    let rig = Rig::new().await;
    let logo = rig.clip("logo.png");
    ffmpeg("-f lavfi -i color=0xff8020:s=40x40:d=1,format=rgb24 -frames:v 1 {}", &[&logo]);
    for (size, codec, format) in [
        ("320x240", "h264", "mp4"),
        ("1280x720", "h264", "mp4"),
        ("1280x720", "h265", "mkv"),
        ("320x240", "vp9", "webm"),
    ] {
        let input = rig.clip("in.mp4");
        ffmpeg(&format!("-f lavfi -i color=0x204060:s={size}:r=10:d=1 -c:v libx264 -preset ultrafast {{}}"), &[&input]);
        let width: usize = size.split_once('x').expect("two sides").0.parse().expect("a number");
        for opacity in [1.0, 0.5] {
            let recipe = json!({"recipe": "watermark", "image": "behind", "place": "center", "width_percent": 20,
                "opacity": opacity, "codec": codec, "format": format, "quality": "economy"});
            let made = rig.make_before(&input, &logo, recipe).await.expect("made");
            let matrix = if width > 1024 { "bt709" } else { "bt601" };
            let filter = format!("scale=in_color_matrix={matrix}:flags=accurate_rnd+full_chroma_int");
            let arguments = format!("-i {{}} -frames:v 1 -vf {filter},format=rgb24 -f rawvideo -");
            let bytes = ffmpeg(&arguments, &[&made.path]).stdout;
            let middle = (bytes.len() / 3 / width / 2 * width + width / 2) * 3;
            let is = &bytes[middle..middle + 3];
            let mix = |mark: f64, behind: f64| mark * opacity + behind * (1.0 - opacity);
            let right = [mix(255.0, 32.0), mix(128.0, 64.0), mix(32.0, 96.0)];
            let holds = is.iter().zip(right).all(|(&is, right)| (f64::from(is) - right).abs() <= 9.0);
            let source = format!("{size} {codec} in {format}, opacity {opacity}");
            verdict(KIND, source, format!("{right:?}"), format!("{is:?}"), holds);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_has_it_and_nothing_else_changes() {
    let rig = Rig::new().await;
    let (input, logo) = (rig.clip("in.mp4"), rig.clip("logo.png"));
    usual(&input);
    mark(&logo);
    let recipe = json!({"recipe": "watermark", "image": "behind", "place": "bottom_right", "width_percent": 5});
    let made = rig.make_before(&input, &logo, recipe).await.expect("made");
    let shown = numbers(&made.path);
    verdict(
        KIND,
        "numbered frames",
        "all 50 of them",
        format!("{}", shown.len()),
        shown == (0..50).collect::<Vec<_>>(),
    );
    let last = red(&rows(&made.path, "1.95", 320));
    assert!(last[0] > 280 && last[3] < 180, "{last:?}");
    assert_eq!(made.product.streams[1].action, "copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn still_pictures_take_a_mark_and_keep_their_alpha() {
    let rig = Rig::new().await;
    let (logo, photo) = (rig.clip("logo.png"), rig.clip("photo.png"));
    mark(&logo);
    ffmpeg("-f lavfi -i color=0x406080:s=301x203:d=1,format=rgb24 -frames:v 1 {}", &[&photo]);
    for format in ["png", "jpg", "webp"] {
        let recipe = json!({"recipe": "watermark", "image": "behind", "place": "top_right", "margin_pixels": 11,
            "width_percent": 20, "format": format});
        let made = rig.make_before(&photo, &logo, recipe).await.expect("made");
        // 60 by 40, 11 from the edges; red begins after ten.
        let (rows, right) = (rows(&made.path, "0", 301), [240, 21, 280, 41]);
        let (is, corner) = (red(&rows), rows[0][0]);
        let same = corner.iter().zip([0x40, 0x60, 0x80]).all(|(&is, right): (&u8, u8)| is.abs_diff(right) <= 4);
        let holds = rows.len() == 203 && near(is, right) && same;
        verdict(
            KIND,
            format!("a still to {format}"),
            format!("{right:?}"),
            format!("{is:?}, corner {corner:?}"),
            holds,
        );
    }
    let clear = rig.clip("clear.png");
    ffmpeg("-f lavfi -i color=black@0:s=200x100:d=1,format=rgba -frames:v 1 {}", &[&clear]);
    let recipe =
        json!({"recipe": "watermark", "image": "behind", "place": "center", "width_percent": 30, "opacity": 0.5});
    let made = rig.make_before(&clear, &logo, recipe).await.expect("made");
    let bytes = ffmpeg("-i {} -pix_fmt rgba -f rawvideo -", &[&made.path]).stdout;
    let pixel = |x: usize, y: usize| [0, 1, 2, 3].map(|part| bytes[(y * 200 + x) * 4 + part]);
    let (middle, corner) = (pixel(100, 50), pixel(2, 2));
    let holds = middle[0] > 240 && middle[1] < 15 && (120..=136).contains(&middle[3]) && corner[3] == 0;
    verdict(KIND, "a clear still", "red at half, the rest clear", format!("{middle:?} {corner:?}"), holds);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_mark_is_refused_by_name() {
    let rig = Rig::new().await;
    let (input, logo) = (rig.clip("in.mp4"), rig.clip("logo.png"));
    usual(&input);
    mark(&logo);
    let refused = |error: Result<crate::rig::Made, reelhook_media::MediaError>| {
        error.err().and_then(|error| error.failure().cloned()).expect("a failure")
    };
    let failure = refused(rig.make_before(&input, &logo, json!({"recipe": "watermark", "image": "logo"})).await);
    assert_eq!(failure.message, "image is logo; the job has no further input of that name");
    let failure = refused(rig.make_before(&input, &input, json!({"recipe": "watermark", "image": "behind"})).await);
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("unsupported_media", "the mark behind is not a still image")
    );
    let made = rig
        .make_before(
            &field("pq.mp4"),
            &logo,
            json!({"recipe": "watermark", "image": "behind", "codec": "h265",
        "quality": "economy", "width_percent": 50, "place": "center"}),
        )
        .await
        .expect("made");
    let transfer = made.receipt.info.video.as_ref().and_then(|video| video.color.transfer.clone());
    verdict(KIND, "pq.mp4 in h265", "smpte2084", format!("{transfer:?}"), transfer.as_deref() == Some("smpte2084"));
}
