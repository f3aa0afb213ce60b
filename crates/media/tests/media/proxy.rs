//! `proxy` from end to end.

use serde_json::json;

use crate::clips::{ffmpeg, numbers, times, told, usual};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_has_a_key_frame_every_second_and_every_frame_of_the_source() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let made = rig.make(&input, json!({"recipe": "proxy", "width": 160})).await.expect("a proxy");
    assert_eq!(numbers(&made.path), (0..50).collect::<Vec<_>>());
    assert_eq!(times(&made.path, "packet=pts_time,flags"), [0.0, 1.0]);
    assert_eq!((told(&made.path, "width"), told(&made.path, "pix_fmt")), ("160".to_owned(), "yuv420p".to_owned()));
    let audio = made.receipt.info.audio.expect("sound");
    assert_eq!((audio.codec.as_str(), audio.channels, audio.sample_rate), ("aac", 2, 44_100));
    assert_eq!(made.receipt.info.fast_start, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_all_intra_proxy_can_be_cut_anywhere() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let value = json!({"recipe": "proxy", "gop": "all_intra", "bitrate_kbps": 800, "crf": 10});
    let made = rig.make(&input, value).await.expect("a proxy");
    assert_eq!(times(&made.path, "packet=pts_time,flags").len(), 50);
    assert!(made.product.streams[0].reason.contains("800 kbit/s"), "{}", made.product.streams[0].reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_a_part_holds_that_part_and_is_not_enlarged() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mkv");
    usual(&rig.clip("whole.mp4"));
    ffmpeg("-i {} -c copy -f matroska {}", &[&rig.clip("whole.mp4"), &input]);
    let value = json!({"recipe": "proxy", "start_seconds": 0.4, "duration_seconds": 1.2, "resolution": "1080p"});
    let made = rig.make(&input, value).await.expect("a proxy");
    assert_eq!(numbers(&made.path), (10..40).collect::<Vec<_>>());
    assert_eq!(told(&made.path, "height"), "180");
}
