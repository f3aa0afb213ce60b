//! Templates: what is measured of one is told, and given to the video.

use reelhook_testkit::clips;
use serde_json::{Value, json};

use super::{create, data, result, send};
use crate::world::{Serve, World};

/// Two seconds of stripes of two colours with a tone of that volume.
fn stripes(colors: (&str, &str), size: &str, rate: u32, volume: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("stripes.mp4");
    let (dark, light) = colors;
    let picture = format!("color={dark}:s={size}:r={rate}:d=2,drawbox=w=iw/2:h=ih:color={light}:t=fill,noise=alls=8");
    let sound = format!("sine=frequency=500:sample_rate=48000:duration=2,volume={volume}");
    let options = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"];
    clips::ffmpeg(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound].into_iter().chain(options), &path);
    std::fs::read(path).expect("ffmpeg made it")
}

/// How much more red than blue there is in the middle of a video's first frame, -255 to 255.
fn warmth(video: &[u8]) -> f64 {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (path, pixels) = (folder.path().join("in.mp4"), folder.path().join("out.raw"));
    std::fs::write(&path, video).expect("the folder can be written to");
    let path = path.to_str().expect("temporary folders have plain names");
    let filter = "crop=iw/2:ih/4,scale=16:16:flags=area,format=rgb24";
    clips::ffmpeg(["-i", path, "-vf", filter, "-frames:v", "1", "-f", "rawvideo"], &pixels);
    let pixels = std::fs::read(pixels).expect("ffmpeg made it");
    let sum = |channel: usize| pixels.iter().skip(channel).step_by(3).map(|&value| f64::from(value)).sum::<f64>();
    (sum(0) - sum(2)) * 3.0 / pixels.len() as f64
}

async fn video(world: &World, bytes: &[u8]) -> Value {
    data(&send(world, &[], Some(("clip.mp4", bytes))).await)["video_id"].clone()
}

#[tokio::test]
async fn another_template_is_measured_as_another_style_and_makes_another_video() {
    let world = World::start(Serve::dev()).await;
    let grey = video(&world, &stripes(("0x303030", "0x707070"), "320x180", 25, "-6dB")).await;
    let warm = stripes(("0x805020", "0xe0b060"), "240x240", 50, "6dB");
    let cold = stripes(("0x204080", "0x60a0e0"), "320x180", 20, "-20dB");
    let mut seen = Vec::new();
    for template in [&warm, &cold] {
        let template = video(&world, template).await;
        let id = create(&world, &json!({"video_id": grey, "template_video_id": template})).await;
        let job = world.job_ended(&id, "completed").await;
        let ended = result(&world, &id).await;
        let url = ended["output_video_url"].as_str().expect("it is text").parse().expect("it is a URL");
        let made = world.get_as_stranger(url, &[]).await.body;
        // What came out, measured as a template is.
        let again = video(&world, &made).await;
        let again = create(&world, &json!({"video_id": again})).await;
        world.job_ended(&again, "completed").await;
        let again = result(&world, &again).await["style_json"].clone();
        seen.push((
            ended["style_json"].clone(),
            job["outputs"][0]["file"]["media"]["video"].clone(),
            warmth(&made),
            again,
        ));
    }
    let [(warm, like_warm, warmth_of_warm, warm_again), (cold, like_cold, warmth_of_cold, cold_again)] = &seen[..]
    else {
        panic!("two templates")
    };
    let number = |style: &Value, path: &str| style.pointer(path).and_then(Value::as_f64).expect("it is measured");
    // Colour.
    let temperature = "/color_grade/temperature";
    assert!(number(warm, temperature) > 20.0 && number(cold, temperature) < -20.0, "{warm:#} {cold:#}");
    assert!(*warmth_of_warm > 30.0 && *warmth_of_cold < -30.0, "{warmth_of_warm} {warmth_of_cold}");
    // Loudness, where a hundredth is 0.6 LUFS.
    let level = "/audio_style/normalization_level";
    assert!(number(warm, level) - number(cold, level) > 0.2, "{warm:#} {cold:#}");
    for (wished, made) in [(warm, warm_again), (cold, cold_again)] {
        assert!((number(wished, level) - number(made, level)).abs() < 0.03, "{wished:#} {made:#}");
    }
    // Frame rate and aspect.
    let shape = |style: &Value| (style["frame_rate"].clone(), style["aspect_ratio"].clone());
    assert_eq!((shape(warm), shape(cold)), ((json!(50), json!("1:1")), (json!(20), json!("16:9"))));
    assert_eq!((shape(warm_again), shape(cold_again)), (shape(warm), shape(cold)));
    let size = |video: &Value| [video["frame_rate"].clone(), video["width"].clone(), video["height"].clone()];
    assert_eq!(size(like_warm), [json!(50.0), json!(320), json!(320)]);
    assert_eq!(size(like_cold), [json!(20.0), json!(320), json!(180)]);
}
