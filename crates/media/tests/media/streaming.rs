//! Decoder, model and encoder as one chain: nothing drifts, nothing is left behind, and what dies is named.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reelhook_domain::failure::Fault;
use reelhook_media::{CutOut, Damage, MediaError, Progress, StepReport, Watch};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::clips::{ffmpeg, times, tool, usual};
use crate::cutouts::{Picture, archived, middle, pictures};
use crate::models::{BIAS, WEIGHTS, World, wish, world, world_with};
use crate::onnx;

/// Numbered frames in two greys, of which a model with [`GREY`] makes an alpha of a third and of all.
const NUMBERED: &str = "geq=lum=80+120*gt(bitand(N\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128";
const GREY: ([f32; 3], f32) = ([0.43, 0.43, 0.43], -0.07);

fn numbered(path: &Path, seconds: u32, more: &str) {
    let picture = format!("color=black:s=160x90:r=25:d={seconds},format=yuv420p,{NUMBERED}");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    ffmpeg(
        &format!("-f lavfi -i {picture} -f lavfi -i {sound} -c:v libx264 -preset ultrafast -crf 8 {more} {{}}"),
        &[path],
    );
}

/// The number of a frame, as the mean of `value` over each of the sixteen columns tells it.
fn number(picture: &Picture, threshold: u32, value: impl Fn([u8; 4]) -> u8) -> u32 {
    let height = picture.pixels.len() / picture.width;
    let column = picture.width / 16;
    (0..16).fold(0, |number, place| {
        let x = place * column + column / 2;
        let sum: u32 = (0..height).map(|y| u32::from(value(picture.at(x, y)))).sum();
        number << 1 | u32::from(sum / u32::try_from(height).unwrap() > threshold)
    })
}

async fn run(world: &World, input: &Path, value: Value) -> Result<(PathBuf, StepReport), MediaError> {
    let rig = &world.rig;
    let source = rig.probe(input).await?;
    let plan = rig.plan(&source, &[value], Damage::Strict);
    let cancel = CancellationToken::new();
    let watch = Watch { cancel: &cancel, progress: &|_| {} };
    let step = &plan.steps[0];
    let report = rig.toolbox.run(step, input, &[], &rig.scratch(), &source, watch).await?;
    let product = &step.products[0];
    let path = rig.scratch().join(&product.file_name);
    let receipt = rig.verify(&product.expect, &path, input, &source).await?;
    assert!(receipt.checks.iter().all(|check| check.passed), "{:?}", receipt.checks);
    Ok((path, report))
}

fn report(report: StepReport) -> reelhook_media::matte::MatteReport {
    match report.cut_out {
        Some(CutOut::Model(report)) => report,
        other => panic!("no model: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_and_alpha_are_of_the_same_frame_from_the_first_to_the_last() {
    let world = world().await;
    onnx::write(&world.models.join("grey.onnx"), GREY.0, GREY.1, Some((160, 90)));
    let input = world.rig.clip("numbered.mp4");
    numbered(&input, 12, "-c:a aac");
    for format in ["webm", "mov"] {
        let mut value = wish("grey", format);
        value["refine"] = json!("none");
        let (path, seen) = run(&world, &input, value).await.unwrap();
        let all = pictures(&path, (160, 90));
        assert_eq!((all.len(), report(seen).frames), (300, 300), "{format}");
        for (frame, picture) in (0..).zip(&all).filter(|(frame, _)| frame % 50 == 0 || *frame == 299) {
            let colour = number(picture, 144, |pixel| pixel[1]);
            let alpha = number(picture, 168, |pixel| pixel[3]);
            assert_eq!((colour, alpha), (frame, frame), "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_come_unevenly_are_shown_when_they_were() {
    let world = world().await;
    onnx::write(&world.models.join("grey.onnx"), GREY.0, GREY.1, Some((160, 90)));
    let (even, uneven) = (world.rig.clip("even.mp4"), world.rig.clip("uneven.mp4"));
    numbered(&even, 6, "-c:a aac");
    let filter =
        "-i {} -vf select='not(mod(n\\,7)*mod(n\\,3))' -fps_mode vfr -enc_time_base 1:90000 -c:v libx264 -crf 8 {}";
    ffmpeg(filter, &[&even, &uneven]);
    let mut value = wish("grey", "mov");
    value["refine"] = json!("none");
    let (path, _) = run(&world, &uneven, value).await.unwrap();
    let (all, shown) = (pictures(&path, (160, 90)), times(&path, "packet=pts_time"));
    assert_eq!(all.len(), shown.len());
    let frame = shown[1] - shown[0];
    for (picture, time) in all.iter().zip(shown) {
        let (colour, alpha) = (number(picture, 144, |pixel| pixel[1]), number(picture, 168, |pixel| pixel[3]));
        assert_eq!(colour, alpha);
        let own = f64::from(colour) / 25.0;
        // The frame that was shown then, or was about to be.
        assert!((own - time).abs() < frame + 3.0 / 25.0, "frame {colour}, of {own} s, is shown at {time} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_picture_lie_beside_each_other_in_the_file() {
    let world = world().await;
    onnx::write(&world.models.join("grey.onnx"), GREY.0, GREY.1, Some((160, 90)));
    let input = world.rig.clip("numbered.mp4");
    numbered(&input, 30, "-c:a aac");
    let mut value = wish("grey", "mp4");
    value["background"] = json!({"type": "color", "color": "#000000"});
    let (path, _) = run(&world, &input, value).await.unwrap();
    let arguments = ["-v", "error", "-show_entries", "packet=codec_type,pts_time,pos", "-of", "compact=p=0:nk=1", "{}"];
    let said = String::from_utf8(tool("ffprobe", &arguments, &[&path]).stdout).unwrap();
    let mut packets: Vec<(u64, bool, f64)> = said
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split('|').collect();
            Some((words.get(2)?.parse().ok()?, words[0] == "video", words[1].parse().ok()?))
        })
        .collect();
    packets.sort_by_key(|packet| packet.0);
    assert!(packets.len() > 1500, "{}", packets.len());
    let (mut last, mut most) = ([0.0_f64; 2], 0.0_f64);
    for (_, is_video, time) in packets {
        last[usize::from(is_video)] = time;
        most = most.max((last[0] - last[1]).abs());
    }
    assert!(most < 2.0, "sound and picture of the same time are {most} s apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_may_leave_and_return() {
    let world = world().await;
    onnx::write(&world.models.join("tiny.onnx"), WEIGHTS, BIAS, Some((160, 90)));
    let input = world.rig.clip("leaves.mp4");
    // Its second third is what the first frame's corner is.
    ffmpeg(
        "-i {} -vf drawbox=c=0x00b140:t=fill:enable='between(n\\,8\\,15)' -c:v libx264 -crf 10 -c:a copy {}",
        &[&world.input, &input],
    );
    let (path, seen) = run(&world, &input, wish("tiny", "png_sequence")).await.unwrap();
    let all = archived(&path, &world.rig.scratch(), (320, 180));
    assert_eq!(all.len(), 25);
    for (frame, picture) in all.iter().enumerate() {
        let (x, y) = middle(frame);
        let alpha = picture.at(x, y)[3];
        if (8..=15).contains(&frame) {
            assert!(picture.pixels.iter().all(|pixel| pixel[3] < 8), "frame {frame}");
        } else {
            assert!(alpha > 247, "frame {frame}: {alpha}");
        }
    }
    let seen = report(seen);
    assert!((seen.without_subject - 8.0 / 25.0).abs() < 0.01 && seen.min_subject < 0.002, "{seen:?}");
    assert!((0.02..0.1).contains(&seen.mean_subject), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_without_a_subject_is_made_and_told_unless_one_is_required() {
    let world = world().await;
    onnx::write(&world.models.join("tiny.onnx"), WEIGHTS, BIAS, Some((160, 90)));
    let input = world.rig.clip("black.mp4");
    ffmpeg("-f lavfi -i color=0x00b140:s=64x64:r=25:d=0.4 -c:v libx264 {}", &[&input]);
    let (_, seen) = run(&world, &input, wish("tiny", "png_sequence")).await.unwrap();
    assert!(seen.cut_out.unwrap().is_empty(), "{seen:?}");
    let mut value = wish("tiny", "webm");
    value["require_subject"] = json!(true);
    let failure = world.rig.fail(&input, value.clone()).await;
    assert_eq!((&*failure.code, failure.fault, failure.retryable), ("no_subject", Fault::Input, false));
    assert!(world.rig.make(&world.input, value).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_any_size_and_kind_are_cut_out_of() {
    let world = world().await;
    onnx::write(&world.models.join("tiny.onnx"), WEIGHTS, BIAS, Some((16, 16)));
    // Name, what it is made of, its size, the size of the result.
    let red = "color=0xff3020:s=";
    for (name, more, size, frames) in [
        ("two.mov", "2x2:r=25:d=0.4 -c:v qtrle", (2, 2), 10),
        ("tall.mp4", "90x160:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p", (90, 160), 10),
        ("odd.mov", "33x17:r=25:d=0.4,format=rgb24 -c:v qtrle", (33, 17), 10),
        ("one.mp4", "64x48:r=25:d=0.04 -c:v libx264 -pix_fmt yuv420p", (64, 48), 1),
        ("black.mp4", "64x48:r=25:d=0.4,lutyuv=y=16:u=128:v=128 -c:v libx264 -pix_fmt yuv420p", (64, 48), 10),
        ("alpha.mov", "64x48:r=25:d=0.4,format=argb,colorchannelmixer=aa=0.5 -c:v qtrle", (64, 48), 10),
    ] {
        let input = world.rig.clip(name);
        ffmpeg(&format!("-f lavfi -i {red}{more} {{}}"), &[&input]);
        let (path, seen) = run(&world, &input, wish("tiny", "png_sequence")).await.unwrap();
        let all = archived(&path, &world.rig.scratch(), size);
        assert_eq!((all.len(), report(seen).frames), (frames, frames as u64), "{name}");
        // Of black the model says its bias, 0.733, which the refinement makes a little firmer.
        let expected = if name == "black.mp4" { 180..=230 } else { 247..=255 };
        for picture in &all {
            assert!(picture.pixels.iter().all(|pixel| expected.contains(&pixel[3])), "{name}: {:?}", picture.at(0, 0));
        }
        let (width, height) = ((size.0 & !1).max(2), (size.1 & !1).max(2));
        let (path, _) = run(&world, &input, wish("tiny", "webm")).await.unwrap();
        assert_eq!(pictures(&path, (width, height)).len(), frames, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_still_becomes_a_still_with_alpha() {
    let world = world().await;
    onnx::write(&world.models.join("tiny.onnx"), WEIGHTS, BIAS, Some((160, 90)));
    let input = world.rig.clip("still.png");
    ffmpeg("-i {} -frames:v 1 {}", &[&world.input, &input]);
    for model in ["tiny", "chroma"] {
        for format in ["png", "webp"] {
            let (path, _) = run(&world, &input, wish(model, format)).await.unwrap();
            let all = pictures(&path, (320, 180));
            assert_eq!(all.len(), 1, "{model} {format}");
            let (x, y) = middle(0);
            assert!(all[0].at(x, y)[3] > 247 && all[0].at(2, 2)[3] < 8, "{model} {format}");
        }
    }
    assert_eq!(world.rig.fail(&input, wish("tiny", "webm")).await.code, "still_picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_screen_people_are_looked_for() {
    let world = world().await;
    let room = world.rig.clip("room.mp4");
    ffmpeg(
        "-i {} -vf colorchannelmixer=rr=1:gg=0.5:bb=0.5,lutrgb=g=min(val\\,70):b=70 -c:v libx264 -crf 10 -c:a copy {}",
        &[&world.input, &room],
    );
    let auto = json!({"recipe": "remove_background", "format": "png_sequence"});
    // Nothing is installed: the usual green is keyed.
    let (_, seen) = run(&world, &room, auto.clone()).await.unwrap();
    assert!(matches!(seen.cut_out, Some(CutOut::Keyed(_))), "{seen:?}");
    onnx::write(&world.models.join("human.onnx"), [1.0, 0.0, 0.0], 0.0, Some((16, 16)));
    let (_, seen) = run(&world, &room, auto.clone()).await.unwrap();
    assert_eq!(seen.cut_out.unwrap().document("auto")["model"], "human");
    // Before a screen it is keyed whatever is installed.
    let (_, seen) = run(&world, &world.input, auto).await.unwrap();
    assert_eq!(seen.cut_out.unwrap().document("auto")["model"], "chroma");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_damaged_in_the_middle_is_never_half_a_result() {
    let world = world().await;
    onnx::write(&world.models.join("tiny.onnx"), WEIGHTS, BIAS, Some((160, 90)));
    let (whole, cut, torn) = (world.rig.clip("whole.mp4"), world.rig.clip("cut.mp4"), world.rig.clip("torn.mp4"));
    usual(&whole);
    let mut bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0x5a);
    std::fs::write(&torn, &bytes).unwrap();
    for (input, codes) in [(&cut, &["input_truncated"][..]), (&torn, &["input_damaged"])] {
        let failure = world.rig.fail(input, wish("tiny", "webm")).await;
        assert!(codes.contains(&&*failure.code), "{failure:?}");
        assert_eq!(failure.fault, Fault::Input);
    }
}

/// Without refinement, which takes most of the time in a build for tests.
fn plain(model: &str, format: &str) -> Value {
    let mut value = wish(model, format);
    value["refine"] = json!("none");
    value
}

/// A run over a clip that takes a while, on whose children `act` is done once frames come out.
async fn disturbed(world: &World, act: impl FnOnce() + Send + 'static) -> (Result<StepReport, MediaError>, Duration) {
    let long = world.rig.clip("long.mp4");
    ffmpeg("-stream_loop 12 -i {} -c copy {}", &[&world.input, &long]);
    let source = world.rig.probe(&long).await.unwrap();
    let plan = world.rig.plan(&source, &[plain("slow", "webm")], Damage::Strict);
    let (cancel, begun) = (CancellationToken::new(), CancellationToken::new());
    let progress = |progress: Progress| {
        if progress.frames > 2 {
            begun.cancel();
        }
    };
    let watch = Watch { cancel: &cancel, progress: &progress };
    let scratch = world.rig.scratch();
    let run = async {
        let ended = world.rig.toolbox.run(&plan.steps[0], &long, &[], &scratch, &source, watch).await;
        begun.cancel();
        (ended, Instant::now())
    };
    let disturb = async {
        begun.cancelled().await;
        let began = Instant::now();
        act();
        began
    };
    let ((ended, at), began) = tokio::join!(run, disturb);
    (ended, at - began)
}

/// The child of this process on whose command line all of `words` are and none of `others`.
fn child(words: &[&str], others: &[&str]) -> i32 {
    let me = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found = all.filter(|id| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
        let parent =
            read("stat").rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned));
        let line = read("cmdline");
        parent.as_deref() == Some(&me)
            && words.iter().all(|word| line.contains(word))
            && others.iter().all(|word| !line.contains(word))
    });
    found.next().unwrap_or_else(|| panic!("no child has {words:?}")).parse().unwrap()
}

fn signal(words: &[&str], others: &[&str], signal: &str) {
    let id = child(words, others).to_string();
    tool("kill", &[signal, &id], &[]);
}

const DECODER: (&[&str], &[&str]) = (&["rawvideo", "pipe:1"], &["pipe:0", "--cutter"]);
const CUTTER: (&[&str], &[&str]) = (&["--cutter"], &[]);
const ENCODER: (&[&str], &[&str]) = (&["pipe:0"], &["--cutter"]);

#[tokio::test(flavor = "multi_thread")]
async fn whichever_of_the_three_dies_is_named_and_the_others_end() {
    let world = world().await;
    onnx::write(&world.models.join("slow.onnx"), WEIGHTS, BIAS, Some((1200, 1200)));
    for ((words, others), by, code, said) in [
        (DECODER, "-KILL", "encoder_failed", "the decoder was ended by signal 9"),
        (ENCODER, "-KILL", "encoder_failed", "the encoder was ended by signal 9"),
        // Not SEGV: the handler of Rust's stack guard takes the first one that another process sends.
        (CUTTER, "-ILL", "model_failed", "the model slow crashed (signal 4)"),
        (CUTTER, "-KILL", "server_failed", "the model slow was killed"),
    ] {
        let (ended, took) = disturbed(&world, move || signal(words, others, by)).await;
        let error = ended.expect_err("one of them died");
        let failure = error.failure().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!((&*failure.code, failure.fault), (code, Fault::Server), "{failure:?}");
        assert!(failure.message.contains(said), "{failure:?}");
        assert_eq!(failure.retryable, code != "model_failed", "{failure:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_hangs_is_started_again_once() {
    let world = world_with(|settings| settings.stall = Duration::from_secs(3)).await;
    onnx::write(&world.models.join("slow.onnx"), WEIGHTS, BIAS, Some((64, 36)));
    let (ended, took) = disturbed(&world, || signal(CUTTER.0, CUTTER.1, "-STOP")).await;
    assert_eq!(report(ended.unwrap()).frames, 13 * 25);
    assert!(took > Duration::from_secs(3), "it hung: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_wants_too_much_memory_ends_its_step() {
    let world = world_with(|settings| settings.limits.memory_bytes = 300 << 20).await;
    onnx::write(&world.models.join("huge.onnx"), WEIGHTS, BIAS, Some((4096, 4096)));
    let failure = world.rig.fail(&world.input, wish("huge", "webm")).await;
    assert_eq!((&*failure.code, failure.fault), ("over_memory", Fault::Request), "{failure:?}");
    assert!(failure.message.starts_with("the model huge"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_clip_is_on_the_disk_but_the_result() {
    let world = world().await;
    onnx::write(&world.models.join("slow.onnx"), WEIGHTS, BIAS, Some((400, 400)));
    let scratch = world.rig.scratch();
    let look = {
        let scratch = scratch.clone();
        move || {
            let names: Vec<_> = std::fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["out-0.webm"]);
        }
    };
    let (ended, _) = disturbed(&world, look).await;
    ended.unwrap();
}
