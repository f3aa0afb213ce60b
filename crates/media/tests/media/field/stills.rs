//! One picture of what goes on: a thumbnail after the last picture while the sound goes on.

use reelhook_media::Damage;
use reelhook_testkit::verdict;
use serde_json::json;

use crate::clips::{ffmpeg, numbered, numbers};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_after_the_last_picture_is_the_last_one_while_the_sound_goes_on() {
    let rig = Rig::new().await;
    let (silent, sound) = (rig.clip("silent.mkv"), rig.clip("sound.wav"));
    numbered(&silent, "libx264 -preset ultrafast -pix_fmt yuv420p", "-an -t 1");
    ffmpeg("-f lavfi -i sine=d=3 {}", &[&sound]);
    for name in ["late.mp4", "late.mkv", "late.mov", "late.ts", "late.flv", "late.avi"] {
        let input = rig.clip(name);
        let codec = if name == "late.avi" { "-bsf:v h264_mp4toannexb -c:a mp3" } else { "-c:a aac" };
        ffmpeg(&format!("-i {{}} -i {{}} -map 0:v -map 1:a -c:v copy {codec} {{}}"), &[&silent, &sound, &input]);
        for second in [1.2, 2.5] {
            let recipe = json!({"recipe": "thumbnail", "at_seconds": second, "format": "png"});
            let made = rig.make_all(&input, &[recipe], Damage::Strict).await;
            let seen = made.map_or_else(|error| format!("{error}"), |made| format!("{:?}", numbers(&made[0].path)));
            verdict(
                "MG16 thumbnail after the last picture",
                format!("{name}, 1 s of picture, 3 s of sound, at {second} s"),
                "[24]",
                &seen,
                seen == "[24]",
            );
        }
        let failure = rig.fail(&input, json!({"recipe": "thumbnail", "at_seconds": 4})).await;
        assert_eq!(failure.code, "beyond_end", "{name}");
        // AVI counts its sound in whole packets.
        let whole = ["3.", "2.9"].map(|seconds| format!("at_seconds is 4; the input is {seconds}"));
        assert!(whole.iter().any(|whole| failure.message.starts_with(whole)), "{}", failure.message);
    }
}
