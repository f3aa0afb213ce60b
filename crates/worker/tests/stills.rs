//! How pictures reach every recipe: decoded by our own code where that is enough, as a stand-in where a tool is needed.

#![expect(clippy::unwrap_used, reason = "what a test makes for itself is there")]
#![expect(clippy::needless_pass_by_value, reason = "values are written out where they are passed")]

mod bench;

use std::path::{Path, PathBuf};

use bench::Bench;
use reelhook_domain::form::Form;
use reelhook_domain::job::{Job, JobState, OutputState};
use reelhook_domain::recipe::Recipe;
use reelhook_testkit::{clips, field, verdict};
use serde_json::{Value, json};

/// The colours in the middle of the four quarters of a picture of that size.
fn corners(bytes: &[u8], name: &str, (width, height): (u32, u32)) -> [[u8; 4]; 4] {
    let pixels = frames(bytes, name, (width, height)).remove(0);
    let at = |x: u32, y: u32| pixels[(y * height / 4 * width + x * width / 4) as usize];
    [at(1, 1), at(3, 1), at(1, 3), at(3, 3)]
}

/// A folder for what a test makes.
fn room() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The colours of single pixels, as ffmpeg decodes them: frame after frame, each scaled to that size.
fn frames(bytes: &[u8], name: &str, (width, height): (u32, u32)) -> Vec<Vec<[u8; 4]>> {
    let room = room();
    let (path, raw) = (room.path().join(name), room.path().join("raw"));
    std::fs::write(&path, bytes).unwrap();
    let input = path.to_str().unwrap();
    let scale = format!("scale={width}:{height}:flags=area:in_color_matrix=auto");
    let how = ["-fps_mode", "passthrough", "-vf", &scale, "-pix_fmt", "rgba", "-f", "rawvideo"];
    clips::ffmpeg(["-i", input].into_iter().chain(how), &raw);
    let bytes = std::fs::read(raw).unwrap();
    let pixels: Vec<[u8; 4]> = bytes.chunks_exact(4).map(|pixel| pixel.try_into().unwrap()).collect();
    pixels.chunks_exact((width * height) as usize).map(<[_]>::to_vec).collect()
}

/// A recipe as a caller writes it, with all that has a default.
fn recipe(written: Value) -> Value {
    serde_json::to_value(Form::read(written, Recipe::read).unwrap()).unwrap()
}

/// The first colour of each frame, in words.
fn told(frames: &[Vec<[u8; 4]>]) -> String {
    let colors = frames.iter().map(|frame| frame[0]).map(|[r, g, b, _]| format!("{r:02x}{g:02x}{b:02x}"));
    colors.collect::<Vec<_>>().join(" ")
}

fn near(a: [u8; 4], b: [u8; 3], tolerance: u8) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}

fn file_of(job: &Job, number: usize) -> &reelhook_domain::job::OutputFile {
    job.outputs[number].file.as_ref().unwrap_or_else(|| panic!("{:#?}", job.outputs[number]))
}

fn code_of(job: &Job, number: usize) -> &str {
    job.outputs[number].error.as_ref().map_or("", |error| error.code.as_str())
}

/// An animation of five frames in plain colours with these delays, in milliseconds.
const COLORS: [[u8; 3]; 5] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]];

/// Writes the five colours as pictures and encodes them by ffmpeg.
fn animation(room: &Path, name: &str, how: &[&str]) -> Vec<u8> {
    let graph = "color=black:s=64x48:r=10:d=0.5,format=gbrp,geq=r='255*(eq(N,0)+eq(N,3))':\
                 g='255*(eq(N,1)+eq(N,3)+eq(N,4))':b='255*(eq(N,2)+eq(N,4))'";
    let output = room.join(name);
    clips::ffmpeg(["-f", "lavfi", "-i", graph].into_iter().chain(how.iter().copied()), &output);
    std::fs::read(output).unwrap()
}

fn animated_webp(room: &Path) -> Vec<u8> {
    animation(room, "a.webp", &["-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0"])
}

fn thumbnail(more: Value) -> Value {
    let mut written = json!({"recipe": "thumbnail"});
    written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    recipe(written)
}

/// The box of the red pixels, as left, top, width and height.
fn red_box(bytes: &[u8], name: &str, size: (u32, u32)) -> (u32, u32) {
    let pixels = &frames(bytes, name, size)[0];
    let red = |pixel: &[u8; 4]| pixel[0] > 220 && pixel[1] < 60 && pixel[2] < 60;
    let places: Vec<(u32, u32)> = pixels
        .iter()
        .enumerate()
        .filter(|(_, pixel)| red(pixel))
        .map(|(at, _)| (at as u32 % size.0, at as u32 / size.0))
        .collect();
    let extent = |values: Vec<u32>| values.iter().max().unwrap() - values.iter().min().unwrap() + 1;
    (extent(places.iter().map(|place| place.0).collect()), extent(places.iter().map(|place| place.1).collect()))
}

#[tokio::test]
async fn a_portrait_photo_is_upright_and_no_tool_is_needed_for_it() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.start();
    for name in ["or6.jpg", "or6.png", "or6.webp"] {
        let input = bench.upload(name, std::fs::read(field(name)).unwrap()).await;
        let recipes: Vec<_> = ["jpg", "png", "webp"].map(|format| thumbnail(json!({"format": format}))).into();
        let id = bench.submit(input, &recipes).await;
        let job = bench.ended(id).await;
        assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
        let media = job.inputs[0].media.as_ref().unwrap();
        let video = media.video.as_ref().unwrap();
        assert_eq!((video.width, video.height, video.rotation), (320, 240, 90), "{name}");
        for number in 0..3 {
            let file = file_of(&job, number);
            let video = file.media.video.as_ref().unwrap();
            let bytes = bench.bytes(file).await;
            let (width, height) = red_box(&bytes, &file.name, (video.width, video.height));
            let holds =
                (video.width, video.height) == (320, 240) && width.abs_diff(61) <= 2 && height.abs_diff(31) <= 2;
            verdict(
                "M1 thumbnail of a portrait photo",
                format!("{name} to {}", file.name),
                "320 x 240 with a red box of 61 x 31",
                format!("{} x {} with a red box of {width} x {height}", video.width, video.height),
                holds,
            );
        }
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn outputs_of_a_picture_that_a_tool_does_not_make_end_by_themselves() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let still = |name: &str| {
        let path = room.path().join(name);
        clips::ffmpeg("-f lavfi -i testsrc=s=64x48 -frames:v 1".split(' '), &path);
        std::fs::read(path).unwrap()
    };
    let cases = [
        ("still.avif", {
            let path = room.path().join("still.avif");
            let how = "-f lavfi -i testsrc=s=64x48 -frames:v 1 -c:v libaom-av1 -cpu-used 8 -still-picture 1";
            clips::ffmpeg(how.split(' '), &path);
            std::fs::read(path).unwrap()
        }),
        ("anim.webp", animated_webp(room.path())),
        ("still.bmp", still("still.bmp")),
        ("still.tif", still("still.tiff")),
    ];
    for (name, bytes) in cases {
        let animated = name == "anim.webp";
        let input = bench.upload(name, bytes).await;
        let recipes = [
            recipe(json!({"recipe": "image", "format": "png"})),
            thumbnail(json!({"width": 32})),
            recipe(json!({"recipe": "convert", "format": "mp4"})),
            recipe(json!({"recipe": "extract_audio"})),
        ];
        let id = bench.submit(input, &recipes).await;
        let job = bench.ended(id).await;
        assert!(matches!(job.state, JobState::Partial { .. }), "{name}: {:?}", job.state);
        let states: Vec<_> = job.outputs.iter().map(|output| output.state).collect();
        let moving = if animated { OutputState::Completed } else { OutputState::Failed };
        let expected = [OutputState::Completed, OutputState::Completed, moving, OutputState::Failed];
        let codes = (code_of(&job, 2), code_of(&job, 3));
        verdict(
            "M28 image and thumbnail beside what tools make",
            format!("{name}: image, thumbnail, convert, extract_audio"),
            "each ends by itself",
            format!("{states:?} {codes:?}"),
            states == expected && codes == (if animated { "" } else { "still_picture" }, "no_audio_stream"),
        );
        assert_eq!(job.inputs[0].media.as_ref().unwrap().video.as_ref().unwrap().width, 64);
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn an_animation_becomes_a_video_with_its_frames_and_times() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let webp = animated_webp(room.path());
    let apng = animation(room.path(), "a.apng", &["-c:v", "apng", "-plays", "0"]);
    let gif = animation(room.path(), "a.gif", &[]);
    for (name, format, bytes) in [("a.webp", "webp", webp), ("a.png", "png", apng), ("a.gif", "gif", gif)] {
        let input = bench.upload(name, bytes).await;
        let recipes: Vec<_> =
            ["mp4", "webm", "gif"].map(|format| recipe(json!({"recipe": "convert", "format": format}))).into();
        let id = bench.submit(input, &recipes).await;
        let job = bench.ended(id).await;
        assert_eq!(job.state, JobState::Completed, "{name}: {:#?}", job.outputs);
        let media = job.inputs[0].media.as_ref().unwrap();
        let video = media.video.as_ref().unwrap();
        assert_eq!((media.format.as_str(), video.width, video.height, video.frames), (format, 64, 48, Some(5)));
        assert!((media.duration_seconds.unwrap() - 0.5).abs() < 0.011, "{name}: {:?}", media.duration_seconds);
        for number in 0..3 {
            let file = file_of(&job, number);
            let seconds = file.media.duration_seconds.unwrap();
            let seen = frames(&bench.bytes(file).await, &file.name, (1, 1));
            let distinct = seen.len();
            let right = seen.iter().zip(COLORS).all(|(pixels, color)| near(pixels[0], color, 12));
            verdict(
                "MG10 an animation to a video",
                format!("{name} to {}", file.name),
                "5 frames in their colours, 0.5 s",
                format!("{distinct} frames, {seconds:.3} s: {}", told(&seen)),
                distinct == 5 && right && (seconds - 0.5).abs() < 0.041,
            );
        }
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn uneven_frames_keep_their_times() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let cases = [
        ("each longer than the one before", "100*N+30*N*N", [0.0, 0.13, 0.32, 0.57, 0.88]),
        ("the last but one for long", "100*N+1500*gte(N,4)", [0.0, 0.1, 0.2, 0.3, 1.9]),
        ("the first for long", "100*N+1500*gte(N,1)", [0.0, 1.6, 1.7, 1.8, 1.9]),
        ("even", "100*N", [0.0, 0.1, 0.2, 0.3, 0.4]),
    ];
    for (name, times, expected) in cases {
        let times = format!("settb=1/1000,setpts='{times}'");
        let how = [
            "-vf",
            &times,
            "-fps_mode",
            "vfr",
            "-enc_time_base",
            "1:1000",
            "-c:v",
            "libwebp_anim",
            "-lossless",
            "1",
            "-loop",
            "0",
        ];
        let bytes = animation(room.path(), "a.webp", &how);
        let input = bench.upload("a.webp", bytes).await;
        let recipes: Vec<_> =
            ["mp4", "webm", "gif"].map(|format| recipe(json!({"recipe": "convert", "format": format}))).into();
        let id = bench.submit(input, &recipes).await;
        let job = bench.ended(id).await;
        assert_eq!(job.state, JobState::Completed, "{name}: {:#?}", job.outputs);
        for number in 0..3 {
            let file = file_of(&job, number);
            let path = room.path().join(&file.name);
            std::fs::write(&path, bench.bytes(file).await).unwrap();
            let seen = clips::frame_times(&path);
            let near = |seen: f64, time: f64| (seen - time).abs() < 0.011;
            // The end of the last one may come in two short ones.
            let all = matches!(seen.len(), 5..=7) && seen.iter().zip(expected).all(|(seen, time)| near(*seen, time));
            let whole = job.inputs[0].media.as_ref().unwrap().duration_seconds.unwrap();
            let seconds = file.media.duration_seconds.unwrap();
            let (kind, source) = ("MG10 an animation to a video", format!("{name}, to {}", file.name));
            let measured = format!("{seen:?}, {seconds:.3} s");
            // As promised of every output: one frame, which is 100 ms here, and 50 ms.
            let right = all && (whole - seconds).abs() < 0.15;
            verdict(kind, source, format!("{expected:?}, {whole:.3} s"), measured, right);
        }
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn an_avif_image_sequence_is_a_video_and_no_picture() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let bytes = animation(
        room.path(),
        "a.avif",
        &["-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10", "-pix_fmt", "yuv444p"],
    );
    assert_eq!(&bytes[4..12], b"ftypavis");
    let input = bench.upload("a.avif", bytes).await;
    let recipes = [
        recipe(json!({"recipe": "convert", "format": "mp4"})),
        recipe(json!({"recipe": "convert", "format": "gif"})),
        thumbnail(json!({"at_seconds": 0.25, "format": "png"})),
        recipe(json!({"recipe": "image"})),
    ];
    let id = bench.submit(input, &recipes).await;
    let job = bench.ended(id).await;
    assert!(matches!(job.state, JobState::Partial { .. }), "{:#?}", job.outputs);
    let media = job.inputs[0].media.as_ref().unwrap();
    assert_eq!((media.format.as_str(), media.duration_seconds), ("avif", Some(0.5)));
    for number in 0..2 {
        let file = file_of(&job, number);
        let seen = frames(&bench.bytes(file).await, &file.name, (1, 1));
        let right = seen.iter().zip(COLORS).all(|(pixels, color)| near(pixels[0], color, 14));
        let measured = format!("{} frames: {}", seen.len(), told(&seen));
        verdict(
            "MG10 AVIF image sequence",
            &file.name,
            "5 frames in their colours",
            measured,
            seen.len() == 5 && right,
        );
    }
    let file = file_of(&job, 2);
    assert!(near(frames(&bench.bytes(file).await, &file.name, (1, 1))[0][0], COLORS[2], 14));
    let error = job.outputs[3].error.as_ref().unwrap();
    assert_eq!(error.code, "unsupported_media");
    assert!(error.message.contains("AVIF image sequence"), "{}", error.message);
    bench.stop_and_look().await;
}

/// A HEIC of red, green, blue and white quarters, 64 x 48, made with these arguments.
fn heic(room: &Path, name: &str, arguments: &[&str]) -> Vec<u8> {
    let source = quarters(room);
    let output = room.join(name);
    let mut all = vec![source.to_str().unwrap()];
    all.extend(["-q", "95"]);
    all.extend(arguments);
    clips::heif_enc(all, &output);
    std::fs::read(output).unwrap()
}

fn quarters(room: &Path) -> PathBuf {
    let path = room.join("quarters.png");
    let graph = "color=red:s=64x48[a];color=0x00ff00:s=32x24[b];color=blue:s=32x24[c];color=white:s=32x24[d];\
                 [a][b]overlay=32:0[e];[e][c]overlay=0:24[f];[f][d]overlay=32:24,format=rgb24";
    clips::ffmpeg(["-filter_complex", graph, "-frames:v", "1"], &path);
    path
}

#[tokio::test]
async fn a_heic_is_read_by_every_recipe_that_reads_a_picture() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let bytes = heic(room.path(), "a.heic", &[]);
    let size = bytes.len() as u64;
    let input = bench.upload("IMG_0001.HEIC", bytes).await;
    let recipes = [
        recipe(json!({"recipe": "image"})),
        recipe(json!({"recipe": "image", "format": "webp", "width": 32})),
        thumbnail(json!({"format": "png"})),
        recipe(json!({"recipe": "convert", "format": "mp4"})),
    ];
    let id = bench.submit(input, &recipes).await;
    let job = bench.ended(id).await;
    assert!(matches!(job.state, JobState::Partial { .. }), "{:#?}", job.outputs);
    let media = job.inputs[0].media.as_ref().unwrap();
    let video = media.video.as_ref().unwrap();
    assert_eq!((media.format.as_str(), video.codec.as_str(), video.width, video.height), ("heic", "hevc", 64, 48));
    assert_eq!(job.inputs[0].size_bytes, size);
    for (number, name) in ["a.jpg", "b.webp", "c.png"].into_iter().enumerate() {
        let file = file_of(&job, number);
        assert_eq!(file.name, name);
        let video = file.media.video.as_ref().unwrap();
        let seen = corners(&bench.bytes(file).await, name, (video.width, video.height));
        let right = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
        let holds = seen.iter().zip(right).all(|(pixel, color)| near(*pixel, color, 24));
        verdict("MG11 HEIC", format!("a photo to {name}"), "its four colours", format!("{seen:?}"), holds);
        let reason = job.outputs[number].plan[0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("heic to "), "{reason}");
    }
    assert!(job.outputs[0].plan[0]["reason"].as_str().unwrap().contains(&format!("{size} to ")));
    assert_eq!(code_of(&job, 3), "still_picture");
    bench.stop_and_look().await;
}

#[tokio::test]
async fn of_a_burst_the_primary_picture_is_read_and_exif_does_not_turn_it_again() {
    let mut bench = Bench::new().await;
    bench.start();
    let room = room();
    let other = room.path().join("other.png");
    clips::ffmpeg("-f lavfi -i color=black:s=64x64 -frames:v 1".split(' '), &other);
    let mut burst = heic(room.path(), "burst.heic", &[other.to_str().unwrap()]);
    // The encoder calls its first picture the primary one; make it the other one.
    let at = burst.windows(4).position(|name| name == b"pitm").unwrap();
    let primary = u16::from_be_bytes([burst[at + 8], burst[at + 9]]);
    let first = bench.upload("burst.heic", burst.clone()).await;
    burst[at + 8..at + 10].copy_from_slice(&(primary + 1).to_be_bytes());
    let second = bench.upload("burst.heic", burst).await;
    let with_exif = {
        let photo = room.path().join("or6.jpg");
        std::fs::copy(field("or6.jpg"), &photo).unwrap();
        let output = room.path().join("or6.heic");
        clips::heif_enc([photo.to_str().unwrap()], &output);
        std::fs::read(output).unwrap()
    };
    let ten_bits = {
        let deep = room.path().join("deep.png");
        let source = quarters(room.path());
        clips::ffmpeg(["-i", source.to_str().unwrap(), "-pix_fmt", "rgb48be"], &deep);
        let output = room.path().join("deep.heic");
        clips::heif_enc([deep.to_str().unwrap(), "-q", "95"], &output);
        std::fs::read(output).unwrap()
    };
    let exif = bench.upload("or6.heic", with_exif).await;
    let deep = bench.upload("deep.heic", ten_bits).await;
    let cases = [
        ("a burst whose first picture is the primary one", first, (64, 48), Some([255, 0, 0])),
        ("a burst whose second one is", second, (64, 64), Some([0, 0, 0])),
        // As stored: what Exif says was true of the sensor.
        ("Exif that would turn it", exif, (240, 320), None),
        ("ten bits", deep, (64, 48), Some([255, 0, 0])),
    ];
    for (name, input, size, corner) in cases {
        let id = bench.submit(input, &[recipe(json!({"recipe": "image", "format": "png", "level": "medium"}))]).await;
        let job = bench.ended(id).await;
        let file = file_of(&job, 0);
        let video = file.media.video.as_ref().unwrap();
        let seen = corners(&bench.bytes(file).await, "a.png", (video.width, video.height))[0];
        let holds = (video.width, video.height) == size && corner.is_none_or(|corner| near(seen, corner, 24));
        let measured = format!("{} x {}, {seen:?}", video.width, video.height);
        verdict("MG11 HEIC", name, format!("{} x {}, {corner:?}", size.0, size.1), measured, holds);
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_heic_that_cannot_be_read_is_refused_by_name() {
    let mut bench = Bench::new().await;
    bench.image.pixels = 64 * 64;
    bench.start();
    let room = room();
    let bytes = heic(room.path(), "a.heic", &[]);
    let cut = bench.upload("cut.heic", bytes[..bytes.len() * 2 / 3].to_vec()).await;
    let large = {
        let source = room.path().join("large.png");
        clips::ffmpeg("-f lavfi -i testsrc=s=128x128 -frames:v 1".split(' '), &source);
        clips::heif_enc([source.to_str().unwrap()], &room.path().join("large.heic"));
        bench.upload("large.heic", std::fs::read(room.path().join("large.heic")).unwrap()).await
    };
    for (input, expected) in [(cut, "input_damaged"), (large, "too_many_pixels")] {
        let id = bench.submit(input, &[recipe(json!({"recipe": "image"}))]).await;
        let job = bench.ended(id).await;
        let code = job.state.error().map_or("", |error| error.code.as_str());
        verdict("MG11 HEIC", expected, expected, code, code == expected);
    }
    bench.stop_and_look().await;

    bench.without_heif().await;
    bench.start();
    let input = bench.upload("a.heic", bytes).await;
    let id = bench.submit(input, &[recipe(json!({"recipe": "image"})), thumbnail(json!({}))]).await;
    let JobState::Rejected { error } = bench.ended(id).await.state else { panic!("it was not rejected") };
    let said = "HEIC needs heif-convert (Debian: libheif-examples), which is not installed on this server";
    assert_eq!((error.code.as_str(), error.message.as_str()), ("unsupported_media", said));
    bench.stop_and_look().await;
}
