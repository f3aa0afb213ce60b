//! `style` from end to end: what comes out is measured again, by ffmpeg alone.

use std::path::Path;

use serde_json::json;

use crate::clips::{ffmpeg, numbers, told, tool, usual};
use crate::rig::Rig;

/// Means of red, green and blue, and the mean distance between the strongest and the weakest, over all frames.
fn colors(path: &Path, crop: &str) -> ([f64; 3], f64) {
    let arguments = format!("-i {{}} -map 0:v:0 -vf {crop}scale=32:18:flags=area,format=rgb24 -f rawvideo -");
    let pixels = ffmpeg(&arguments, &[path]).stdout;
    let count = (pixels.len() / 3) as f64;
    let mean =
        |channel: usize| pixels.iter().skip(channel).step_by(3).map(|&value| f64::from(value)).sum::<f64>() / count;
    let vivid = |pixel: &[u8]| {
        f64::from(pixel.iter().max().expect("three samples") - pixel.iter().min().expect("three samples"))
    };
    ([mean(0), mean(1), mean(2)], pixels.chunks_exact(3).map(vivid).sum::<f64>() / count)
}

/// Integrated loudness in LUFS.
fn loudness(path: &Path) -> f64 {
    let arguments = ["-nostdin", "-nostats", "-i", "{}", "-map", "0:a", "-af", "ebur128", "-f", "null", "-"];
    let said = String::from_utf8(tool("ffmpeg", &arguments, &[path]).stderr).expect("ffmpeg prints text");
    let line = said.lines().rev().find_map(|line| line.trim().strip_prefix("I:")).expect("a summary");
    line.trim().trim_end_matches("LUFS").trim().parse().expect("a number")
}

/// Four seconds of stripes between two colours, with a tone of that volume.
fn stripes(path: &Path, colors: (&str, &str), size: &str, rate: u32, volume: &str) {
    let (dark, light) = colors;
    let picture = format!(
        "color={dark}:s={size}:r={rate}:d=4,drawbox=x=0:y=0:w=iw/2:h=ih:color={light}:t=fill,\
         noise=alls=8:allf=t:all_seed=1,format=yuv420p"
    );
    let sound = format!("sine=frequency=500:sample_rate=48000:duration=4,volume={volume}");
    let options = "-c:v libx264 -preset ultrafast -crf 18 -c:a aac -f mp4";
    ffmpeg(&format!("-f lavfi -i {picture} -f lavfi -i {sound} {options} {{}}"), &[path]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grey_dark_video_comes_near_to_a_warm_bright_one() {
    let rig = Rig::new().await;
    let (input, template) = (rig.clip("in.mp4"), rig.clip("like.mp4"));
    stripes(&input, ("0x202020", "0x484848"), "320x180", 50, "-6dB");
    stripes(&template, ("0xb07030", "0xffd090"), "240x240", 25, "6dB");
    let made =
        rig.make_before(&input, &template, json!({"recipe": "style", "template": "behind"})).await.expect("made");

    let (before, dull) = colors(&input, "");
    let (wished, vivid) = colors(&template, "");
    // The middle of a square canvas.
    let (after, near) = colors(&made.path, "crop=iw:180,");
    let half_way = |from: f64, to: f64, is: f64| (is - to).abs() <= (from - to).abs() / 2.0;
    let said = format!("{before:?} {dull} -> {after:?} {near}, wished {wished:?} {vivid}");
    let light = |color: [f64; 3]| color.iter().sum::<f64>();
    assert!(half_way(light(before), light(wished), light(after)), "light: {said}");
    assert!(half_way(before[0] - before[2], wished[0] - wished[2], after[0] - after[2]), "warmth: {said}");
    assert!(half_way(dull, vivid, near), "saturation: {said}");

    let video = made.receipt.info.video.as_ref().expect("a picture");
    assert_eq!((video.width, video.height, video.frame_rate), (320, 320, Some(25.0)));
    assert_eq!(video.frames, Some(100));
    let (is, wished) = (loudness(&made.path), loudness(&template));
    assert!((is - wished).abs() < 1.0 && (loudness(&input) - wished).abs() > 5.0, "{is} {wished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_repeated_for_a_template_that_has_more() {
    let rig = Rig::new().await;
    let (input, template) = (rig.clip("in.mp4"), rig.clip("like.mp4"));
    stripes(&input, ("0x202020", "0x484848"), "320x180", 20, "-6dB");
    stripes(&template, ("0x202020", "0x484848"), "320x180", 50, "-6dB");
    let made =
        rig.make_before(&input, &template, json!({"recipe": "style", "template": "behind"})).await.expect("made");
    let video = made.receipt.info.video.as_ref().expect("a picture");
    assert_eq!((video.frame_rate, video.frames), (Some(50.0), Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_template_the_video_stays_as_it_is() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let made = rig.make(&input, json!({"recipe": "style"})).await.expect("made");
    assert_eq!(numbers(&made.path), (0..50).collect::<Vec<_>>());
    let (before, after) = (colors(&input, ""), colors(&made.path, ""));
    assert!(before.0.iter().zip(after.0).all(|(before, after)| (before - after).abs() < 1.0), "{before:?} {after:?}");
    assert_eq!((told(&made.path, "width"), told(&made.path, "height")), ("320".to_owned(), "180".to_owned()));
    assert!((loudness(&input) - loudness(&made.path)).abs() < 0.1);
}
