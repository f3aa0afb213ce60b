//! The shape of what is seen: ladders, packages, sizes that change, small and odd ones.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use reelhook_testkit::{field, verdict};
use serde_json::{Value, json};

use crate::clips::{ffmpeg, picture, told, tool};
use crate::rig::{Made, Rig};

/// A second of a moving picture of that size, with sound.
fn clip(path: &Path, size: &str) {
    ffmpeg(
        &format!(
            "-f lavfi -i testsrc2=s={size}:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac {{}}"
        ),
        &[path],
    );
}

/// What a DASH manifest says of its pictures, read by a reader of our own: width, height, and the shape of its set.
fn representations(manifest: &str) -> Vec<((u32, u32), String, usize)> {
    let attribute = |line: &str, key: &str| {
        let from = line.find(&format!(" {key}=\"")).map(|at| at + key.len() + 3)?;
        line[from..].split('"').next().map(str::to_owned)
    };
    let (mut set, mut shape, mut found) = (0, String::new(), Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with("<AdaptationSet") {
            (set, shape) = (set + 1, attribute(line, "par").unwrap_or_default());
        } else if line.starts_with("<Representation")
            && let (Some(width), Some(height)) = (attribute(line, "width"), attribute(line, "height"))
        {
            assert_eq!(attribute(line, "sar").as_deref(), Some("1:1"), "pixels are square: {line}");
            found.push(((width.parse().expect("a number"), height.parse().expect("a number")), shape.clone(), set));
        }
    }
    found
}

/// The sizes that a master playlist names.
fn resolutions(master: &str) -> Vec<(u32, u32)> {
    let size = |line: &str| {
        let text = line.split("RESOLUTION=").nth(1)?.split(',').next()?;
        let (width, height) = text.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF")).filter_map(size).collect()
}

fn text(made: &Made, name: &str) -> String {
    fs::read_to_string(made.path.with_file_name(name)).expect("a file of the package")
}

/// Whether a size has the shape of another one within a pixel.
fn is_shape_of((width, height): (u32, u32), (own_width, own_height): (u32, u32)) -> bool {
    let (width, height) = (f64::from(width), f64::from(height));
    let (own_width, own_height) = (f64::from(own_width), f64::from(own_height));
    (width - height * own_width / own_height).abs() <= 1.0 || (height - width * own_height / own_width).abs() <= 1.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_ladder_packages_for_sources_of_any_shape() {
    let rig = Rig::new().await;
    let rungs = [240, 360, 480, 720, 1080].map(|height| json!({"height": height, "quality": "economy"}));
    let sources = [
        ("16:9", (1280, 720)),
        ("4:3", (640, 480)),
        ("9:16", (720, 1280)),
        ("odd", (1278, 718)),
        ("2.39:1", (1280, 536)),
        ("1:1", (480, 480)),
    ];
    for (what, size) in sources {
        let input = rig.clip(&format!("{}x{}.mp4", size.0, size.1));
        clip(&input, &format!("{}x{}", size.0, size.1));
        for kind in ["adaptive", "hls", "dash"] {
            let recipe = json!({"recipe": "package", "type": kind, "video": rungs});
            let made = rig.make(&input, recipe).await.unwrap_or_else(|error| panic!("{what} {kind}: {error:?}"));
            let mut sizes = Vec::new();
            if kind != "dash" {
                sizes = resolutions(&text(&made, "master.m3u8"));
            }
            if kind != "hls" {
                let listed = representations(&text(&made, "manifest.mpd"));
                let one_set = listed.iter().all(|(_, _, set)| *set == 1);
                assert!(one_set, "{what}: players may switch between all renditions: {listed:?}");
                sizes = listed.into_iter().map(|(size, _, _)| size).collect();
            }
            verdict(
                "M4 a ladder of renditions",
                format!("{what} of {}x{}: {kind}, 240p to 1080p", size.0, size.1),
                "every rendition in the shape of the source within a pixel",
                format!("{sizes:?}"),
                sizes.len() >= 3 && sizes.iter().all(|&rendition| is_shape_of(rendition, size)),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_of_two_codecs_and_rates_are_sets_of_their_own() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    clip(&input, "854x480");
    let recipe = json!({"recipe": "package", "type": "adaptive", "video": [
        {"height": 240, "quality": "economy"},
        {"resolution": "480p", "quality": "economy"},
        {"height": 360, "codec": "h265", "quality": "economy"},
        {"width": 300, "codec": "h265", "quality": "economy", "frame_rate": 12.5},
    ]});
    let made = rig.make(&input, recipe).await.expect("it is made");
    let manifest = text(&made, "manifest.mpd");
    let sets: Vec<usize> = representations(&manifest).into_iter().map(|(_, _, set)| set).collect();
    verdict(
        "M4 a ladder of renditions",
        "two of H.264, two of H.265 at two rates: adaptive",
        "a set a codec, and one for the sound",
        format!("sets {sizes:?} of {}", manifest.matches("<AdaptationSet").count(), sizes = sets),
        sets == [1, 1, 2, 2] && manifest.matches("<AdaptationSet").count() == 3,
    );
    assert!(manifest.contains("frameRate=\"25/2\""), "{manifest}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn any_ladder_over_any_source_packages(
        width in 90_u32..500,
        height in 90_u32..500,
        rungs in proptest::collection::vec(40_u32..520, 1..4),
        kind in prop_oneof![Just("hls"), Just("dash"), Just("adaptive")],
        segments in prop_oneof![Just("fmp4"), Just("ts")],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let rig = Rig::new().await;
            let input = rig.clip("in.mkv");
            let size = (width & !1, height & !1);
            clip(&input, &format!("{}x{}", size.0, size.1));
            let renditions: Vec<Value> = rungs.iter().map(|&width| json!({"width": width, "quality": "economy"})).collect();
            let format = if kind == "hls" { segments } else { "fmp4" };
            let recipe = json!({"recipe": "package", "type": kind, "segment_format": format, "video": renditions});
            let made = rig.make(&input, recipe.clone()).await.unwrap_or_else(|error| panic!("{size:?} {recipe}: {error:?}"));
            let sizes = if kind == "dash" {
                representations(&text(&made, "manifest.mpd")).into_iter().map(|(size, _, _)| size).collect()
            } else {
                resolutions(&text(&made, "master.m3u8"))
            };
            assert!(!sizes.is_empty() && sizes.iter().all(|&one| is_shape_of(one, size)), "{size:?} {recipe}: {sizes:?}");
        });
    }
}

/// A call in which the phone is turned: a square of red in a picture that is wide, then high.
fn turned_on_the_way(folder: &Path, path: &Path, codec: &str, sizes: [&str; 2]) {
    for (number, size) in sizes.into_iter().enumerate() {
        let part = folder.join(format!("part-{number}.nut"));
        let graph = format!("color=0x204060:s={size}:r=25:d=2,drawbox=x=iw/2-44:y=ih/2-44:w=88:h=88:color=red:t=fill");
        ffmpeg(&format!("-f lavfi -i {graph} -pix_fmt yuv420p -c:v {codec} {{}}"), &[&part]);
    }
    let list = folder.join("list.ffconcat");
    fs::write(&list, "ffconcat version 1.0\nfile part-0.nut\nfile part-1.nut\n").expect("a list");
    ffmpeg("-f concat -i {} -c copy {}", &[&list, path]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_size_changes_keeps_its_shape() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().to_owned();
    let mut inputs = vec![("VP8 in webm, from wide to high", field("reschange_portrait.webm"), 0.5, 3.0)];
    let made_here = [
        (
            "VP9 in webm, from high to wide",
            "nine.webm",
            "libvpx-vp9 -deadline realtime -cpu-used 8",
            ["180x320", "320x180"],
        ),
        (
            "H.264 in mkv, from wide to square",
            "avc.mkv",
            "libx264 -preset ultrafast -bsf:v dump_extra",
            ["320x180", "240x240"],
        ),
        ("H.264 in a transport stream, to half", "avc.ts", "libx264 -preset ultrafast", ["640x360", "320x180"]),
    ];
    for (what, name, codec, sizes) in made_here {
        let path = rig.clip(name);
        turned_on_the_way(&folder, &path, codec, sizes);
        inputs.push((what, path, 0.5, 3.0));
    }
    let is_red = |[r, g, b, _]: [u8; 4]| r > 140 && g < 100 && b < 100;
    for (what, input, early, late) in &inputs {
        let is_square = |(width, height): (usize, usize)| width > 20 && width.abs_diff(height) <= 4;
        for recipe in [
            json!({"recipe": "convert", "format": "mp4"}),
            json!({"recipe": "convert", "format": "gif"}),
            json!({"recipe": "convert", "format": "webm", "quality": "economy", "width": 160}),
        ] {
            let made =
                rig.make(input, recipe.clone()).await.unwrap_or_else(|error| panic!("{what} {recipe}: {error:?}"));
            let boxes = [early, late].map(|second| picture(&made.path, *second).bounds(is_red));
            verdict(
                "M8 a picture whose size changes",
                format!(
                    "{what}: {} {}",
                    recipe["recipe"].as_str().unwrap_or(""),
                    recipe["format"].as_str().unwrap_or("")
                ),
                "a square before and after",
                format!("{boxes:?}"),
                boxes.into_iter().all(is_square),
            );
        }
        for at in [early, late] {
            let made = rig.make(input, json!({"recipe": "thumbnail", "at_seconds": at})).await;
            let made = made.unwrap_or_else(|error| panic!("{what} at {at}: {error:?}"));
            let found = picture(&made.path, 0.0).bounds(is_red);
            verdict(
                "M8 a picture whose size changes",
                format!("{what}: thumbnail at {at} s"),
                "a square",
                format!("{found:?}"),
                is_square(found),
            );
        }
    }
}

/// How long each frame of a GIF is shown, in hundredths of a second.
fn delays(path: &Path) -> Vec<u64> {
    let arguments = ["-v", "error", "-show_entries", "packet=duration", "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    String::from_utf8_lossy(&said).lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_a_gif_are_shown_for_at_least_20_ms() {
    let rig = Rig::new().await;
    let (fast, jitter) = (rig.clip("fast.mp4"), rig.clip("jitter.mkv"));
    ffmpeg("-f lavfi -i testsrc2=s=160x90:r=120:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p {}", &[&fast]);
    // Frames of 5 ms, 35 ms, 5 ms, ...
    ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=50:d=2 -vf setpts=floor(N/2)*0.04/TB+mod(N\\,2)*0.005/TB -enc_time_base 1:1000 -fps_mode passthrough \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p {}"
            .replace("         ", "")
            .as_str(),
        &[&jitter],
    );
    for (what, input, seconds) in [
        ("60 then 10 frames a second", field("vfr_burst.mp4"), 3.917),
        ("uneven frames", field("vfr.mp4"), 3.95),
        ("120 frames a second", fast, 1.0),
        ("pairs 5 ms apart", jitter, 2.0),
    ] {
        let made = rig.make(&input, json!({"recipe": "convert", "format": "gif"})).await.expect("it is made");
        let delays = delays(&made.path);
        let (least, whole) = (delays.iter().min().copied().unwrap_or(0), delays.iter().sum::<u64>() as f64 / 100.0);
        verdict(
            "M10 a GIF of uneven video",
            what,
            format!("{seconds} s, no frame under 20 ms"),
            format!("{whole} s, the shortest {least}0 ms"),
            least >= 2 && (whole - seconds).abs() < 0.15,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_encoder_cannot_make_so_small_is_refused_by_name() {
    let rig = Rig::new().await;
    let (thin, tiny) = (rig.clip("thin.mkv"), rig.clip("tiny.mkv"));
    ffmpeg("-f lavfi -i testsrc2=s=320x8:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p {}", &[&thin]);
    ffmpeg("-f lavfi -i testsrc2=s=14x14:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p {}", &[&tiny]);
    for (what, input, recipe) in [
        ("2x2", field("odd_2x2.mkv"), json!({"recipe": "convert", "format": "mp4", "codec": "h265"})),
        ("320x8", thin, json!({"recipe": "compress", "codec": "h265"})),
        ("14x14", tiny.clone(), json!({"recipe": "resize", "width": 12, "codec": "h265"})),
        (
            "14x14 in a package",
            tiny.clone(),
            json!({"recipe": "package", "type": "hls", "video": [{"resolution": "480p", "codec": "h265"}]}),
        ),
    ] {
        let failure = rig.fail(&input, recipe).await;
        verdict(
            "M27 H.265 below 16 pixels a side",
            what,
            "target_too_small, at the caller's request",
            format!("{}: {}", failure.code, failure.message),
            failure.code == "target_too_small" && failure.message.contains("at least 16x16"),
        );
    }
    for codec in ["h264", "av1"] {
        let made =
            rig.make(&tiny, json!({"recipe": "convert", "format": "mkv", "codec": codec})).await.expect("it is made");
        assert_eq!(told(&made.path, "width,height"), "14,14", "{codec}");
    }
    let least = rig.clip("least.mkv");
    ffmpeg("-f lavfi -i testsrc2=s=16x16:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p {}", &[&least]);
    let made =
        rig.make(&least, json!({"recipe": "convert", "format": "mp4", "codec": "h265"})).await.expect("it is made");
    assert_eq!(told(&made.path, "width,height"), "16,16");
}
