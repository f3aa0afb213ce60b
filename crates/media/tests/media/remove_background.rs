//! `remove_background` from end to end, looked at pixel by pixel.

use reelhook_domain::recipe::Format;
use serde_json::{Value, json};

use crate::clips::{ffmpeg, told};
use crate::cutouts::{
    FRAMES, Picture, SIZE, SKIN, archived, before_screen, close, faults, first_of_webp, leaks, middle, pictures,
    samples,
};
use crate::rig::{Made, Rig};

const H264: &str = "libx264 -preset ultrafast";
const GREEN: [u8; 3] = [0, 177, 64];

fn wish(more: &Value) -> Value {
    let mut value = json!({"recipe": "remove_background"});
    for (name, field) in more.as_object().expect("an object") {
        value[name] = field.clone();
    }
    value
}

async fn cut_out(rig: &Rig, input: &std::path::Path, more: Value) -> Made {
    let value = wish(&more);
    let made = rig.make(input, value.clone()).await.unwrap_or_else(|error| panic!("{value}: {error:?}"));
    assert!(made.receipt.checks.iter().all(|check| check.passed), "{value}");
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_with_alpha_has_it_in_every_frame() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    before_screen(&input, GREEN, H264);
    for format in ["webm", "mov", "gif", "webp", "png_sequence"] {
        // Of what the fast settings leave, single pixels are further off.
        let made = cut_out(&rig, &input, json!({"format": format, "quality": "premium"})).await;
        let pictures = seen(&rig, &made);
        let video = made.receipt.info.video.as_ref().unwrap();
        if format == "webp" {
            assert_eq!((video.frames, made.receipt.info.duration_seconds), (Some(25), Some(1.0)));
        } else {
            assert_eq!(pictures.len(), FRAMES, "{format}");
        }
        assert!(video.pixel_format.as_deref().unwrap().contains('a'), "{format}: {video:?}");
        for (frame, picture) in pictures.iter().enumerate() {
            if format == "gif" {
                // A pixel of a GIF is clear or not, and one of 255 colours.
                let (x, y) = middle(frame);
                assert_eq!((picture.at(0, 0)[3], picture.at(319, 179)[3], picture.at(x, y)[3]), (0, 0, 255));
                assert!(close(picture.at(x, y), SKIN, 12), "{:?}", picture.at(x, y));
                continue;
            }
            assert_eq!(faults(picture, frame, Some(1)), Vec::<String>::new(), "{format}, frame {frame}");
        }
        let sound = made.receipt.info.audio.as_ref().map(|audio| audio.codec.clone());
        match format {
            "webm" => assert_eq!(sound.as_deref(), Some("opus")),
            "mov" => assert_eq!(sound.as_deref(), Some("aac")),
            _ => assert_eq!(sound, None),
        }
        if sound.is_some() {
            assert!(samples(&made.path) > 45_000, "{format}");
        }
    }
    let made = cut_out(&rig, &input, json!({"format": "mov"})).await;
    assert_eq!(told(&made.path, "codec_name,pix_fmt"), "prores,yuva444p12le");
}

/// The pictures of a product with their alpha; of a WebP the first alone, as ffmpeg reads no animated one.
pub(crate) fn seen(rig: &Rig, made: &Made) -> Vec<Picture> {
    match made.product.format {
        Format::PngSequence => archived(&made.path, &rig.scratch(), SIZE),
        Format::Webp => vec![first_of_webp(&made.path, &rig.scratch(), SIZE)],
        _ => pictures(&made.path, SIZE),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_background_is_left_under_what_is_clear() {
    let rig = Rig::new().await;
    let (plain, input) = (rig.clip("plain.mp4"), rig.clip("in.mp4"));
    before_screen(&plain, GREEN, H264);
    // A screen that is lit unevenly, with noise: none of it is the colour that is keyed.
    let light = "-i {} -vf noise=alls=5:allf=t,vignette=angle=0.2 -c:v libx264 -preset ultrafast -crf 12 -c:a copy {}";
    ffmpeg(light, &[&plain, &input]);
    for format in ["webm", "mov", "gif", "webp", "png_sequence"] {
        let made = cut_out(&rig, &input, json!({"format": format})).await;
        for (frame, picture) in seen(&rig, &made).iter().enumerate() {
            assert_eq!(leaks(picture), Vec::<String>::new(), "{format}, frame {frame}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_of_any_colour_are_keyed_and_leave_no_tint() {
    let rig = Rig::new().await;
    for (color, channel, said) in [
        // Measured: as painted, as light, and as a screen in shadow.
        ([0, 177, 64], Some(1), false),
        ([0, 255, 0], Some(1), false),
        ([20, 92, 40], Some(1), false),
        ([0, 71, 187], Some(2), false),
        // Said.
        ([0, 255, 0], Some(1), true),
        ([10, 20, 240], Some(2), true),
        ([0, 200, 200], None, true),
        ([255, 255, 255], None, true),
    ] {
        let input = rig.clip("in.mp4");
        before_screen(&input, color, H264);
        let [r, g, b] = color;
        let key = if said { json!(format!("#{r:02x}{g:02x}{b:02x}")) } else { Value::Null };
        let made = cut_out(&rig, &input, json!({"format": "png_sequence", "key_color": key})).await;
        for (frame, picture) in archived(&made.path, &rig.scratch(), SIZE).iter().enumerate().step_by(8) {
            assert_eq!(faults(picture, frame, channel), Vec::<String>::new(), "{color:?} {said}, frame {frame}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colour_stands_behind_the_subject() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    before_screen(&input, GREEN, H264);
    let behind = [200, 40, 160];
    for format in ["mp4", "webm", "mov", "gif", "webp", "png_sequence"] {
        let background = json!({"type": "color", "color": "#c828a0"});
        let made = cut_out(&rig, &input, json!({"format": format, "background": background})).await;
        let pictures = match made.product.format {
            Format::PngSequence => archived(&made.path, &rig.scratch(), SIZE),
            Format::Webp => vec![first_of_webp(&made.path, &rig.scratch(), SIZE)],
            _ => pictures(&made.path, SIZE),
        };
        for (frame, picture) in pictures.iter().enumerate() {
            let (x, y) = middle(frame);
            assert!(close(picture.at(2, 2), behind, 6), "{format}: {:?}", picture.at(2, 2));
            assert!(close(picture.at(x, y), SKIN, 12), "{format}: {:?}", picture.at(x, y));
            assert!(picture.pixels.iter().all(|pixel| pixel[3] == 255), "{format} is not opaque");
            // Along the edge colours lie between the two; nothing is darker, lighter or greener than both.
            let odd = picture.pixels.iter().filter(|[_, g, b, _]| *g > 140 || *b < 60).count();
            assert!(odd < 20, "{format}, frame {frame}: {odd} pixels at the edge are of neither colour");
        }
        if format == "mp4" {
            assert_eq!(made.receipt.info.audio.as_ref().unwrap().codec, "aac");
            assert_eq!(made.receipt.info.fast_start, Some(true));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_stands_behind_the_subject_and_covers_the_canvas() {
    let rig = Rig::new().await;
    let (input, behind) = (rig.clip("in.mp4"), rig.clip("behind.png"));
    before_screen(&input, GREEN, H264);
    // Twice as high as the canvas is wide: its upper and lower parts are cut off.
    let halves = "color=red:s=160x160[a];color=blue:s=160x160[b];color=white:s=160x80[c];color=white:s=160x80[d]";
    let stacked = format!("{halves};[c][a][b][d]vstack=inputs=4");
    ffmpeg(&format!("-f lavfi -i {stacked} -frames:v 1 -pix_fmt rgb24 {{}}"), &[&behind]);
    let background = json!({"type": "image", "input": "behind"});
    let value = wish(&json!({"format": "mp4", "background": background}));
    let made = rig.make_before(&input, &behind, value).await.unwrap();
    let pictures = pictures(&made.path, SIZE);
    assert_eq!(pictures.len(), FRAMES);
    for (frame, picture) in pictures.iter().enumerate() {
        let (x, y) = middle(frame);
        assert!(close(picture.at(2, 2), [254, 0, 0], 6), "{:?}", picture.at(2, 2));
        assert!(close(picture.at(317, 177), [0, 0, 254], 6), "{:?}", picture.at(317, 177));
        assert!(close(picture.at(x, y), SKIN, 12), "{:?}", picture.at(x, y));
    }
    let missing = wish(&json!({"format": "mp4", "background": {"type": "image", "input": "nothing"}}));
    let error = rig.make_before(&input, &behind, missing).await.err().unwrap();
    assert_eq!(error.failure().unwrap().code, "invalid_request");
    let video = wish(&json!({"format": "mp4", "background": background}));
    let error = rig.make_before(&input, &input, video).await.err().unwrap();
    assert_eq!(error.failure().unwrap().code, "unsupported_media");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_with_clear_parts_is_laid_on_black() {
    let rig = Rig::new().await;
    let (input, behind) = (rig.clip("in.mp4"), rig.clip("behind.png"));
    before_screen(&input, GREEN, H264);
    let half = "color=white@0.5:s=320x180,format=rgba";
    ffmpeg(&format!("-f lavfi -i {half} -frames:v 1 -pix_fmt rgba {{}}"), &[&behind]);
    let value = wish(&json!({"format": "png_sequence", "background": {"type": "image", "input": "behind"}}));
    let made = rig.make_before(&input, &behind, value).await.unwrap();
    let picture = &archived(&made.path, &rig.scratch(), SIZE)[3];
    assert!(close(picture.at(2, 2), [128, 128, 128], 3), "{:?}", picture.at(2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subject_lies_where_the_composition_puts_it() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    before_screen(&input, GREEN, H264);
    let composition = json!({
        "canvas_width": 200, "canvas_height": 300, "anchor": "bottom-right", "scale": 0.5,
        "offset_x": -10, "offset_y": 20,
    });
    // The picture is 160x90 at 30, 230: its last 20 rows are outside.
    for background in [json!({"type": "transparent"}), json!({"type": "color", "color": "#0000ff"})] {
        let clear = background["type"] == "transparent";
        let more = json!({"format": "png_sequence", "background": background, "composition": composition});
        let made = cut_out(&rig, &input, more).await;
        for (frame, picture) in archived(&made.path, &rig.scratch(), (200, 300)).iter().enumerate().step_by(6) {
            let (x, y) = middle(frame);
            let subject = picture.at(30 + x / 2, 230 + y / 2);
            assert!(close(subject, SKIN, 12) && subject[3] == 255, "{subject:?}");
            for (x, y) in [(0, 0), (199, 299), (29, 260), (191, 260), (100, 229)] {
                let expected = if clear { [0, 0, 0, 0] } else { [0, 0, 255, 255] };
                assert_eq!(picture.at(x, y)[3], expected[3], "{x}, {y} of frame {frame}");
                assert!(clear || close(picture.at(x, y), [0, 0, 255], 1), "{:?}", picture.at(x, y));
            }
        }
    }
    let beyond = json!({"format": "webm", "composition": {"offset_x": 5000}});
    assert_eq!(rig.fail(&input, wish(&beyond)).await.code, "outside_canvas");
}

#[tokio::test(flavor = "multi_thread")]
async fn uneven_frame_times_and_sound_that_begins_late_are_kept() {
    let rig = Rig::new().await;
    let (even, uneven) = (rig.clip("even.mp4"), rig.clip("uneven.mp4"));
    before_screen(&even, GREEN, H264);
    let filter = "-i {} -vf select='not(mod(n\\,7)*mod(n\\,3))' -fps_mode vfr -enc_time_base 1:90000 -c:v libx264 {}";
    ffmpeg(filter, &[&even, &uneven]);
    let before = crate::clips::times(&uneven, "packet=pts_time");
    let background = json!({"type": "color", "color": "#ffffff"});
    let made = cut_out(&rig, &uneven, json!({"format": "mp4", "background": background})).await;
    let after = crate::clips::times(&made.path, "packet=pts_time");
    assert_eq!(before.len(), after.len());
    let shift = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(shift < 0.002, "frames move by {shift} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_would_fill_the_disk_are_refused() {
    let mut settings = crate::rig::settings();
    settings.limits.output_bytes = 20_000;
    let rig = Rig::with(settings).await;
    let input = rig.clip("in.mp4");
    before_screen(&input, GREEN, H264);
    assert_eq!(rig.fail(&input, wish(&json!({"format": "png_sequence"}))).await.code, "over_limit");
}
