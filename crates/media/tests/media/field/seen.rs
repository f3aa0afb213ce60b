//! What the checks catch when a fix is taken out, and what they let pass.
//!
//! Each case makes a product as it is made, and puts in its place what was made before the kind was mended, by a command
//! spelled here: same codec, size and length, and wrong. Verification has to refuse it.

use std::path::{Path, PathBuf};

use reelhook_media::{Damage, MediaError};
use reelhook_testkit::{field, verdict};
use serde_json::{Value, json};

use crate::clips::ffmpeg;
use crate::rig::{Rig, settings};

/// A product that is replaced by a wrong one, and the check that notices.
struct Sabotage {
    kind: &'static str,
    input: PathBuf,
    recipe: Value,
    /// Arguments of the run that makes the wrong one, between the input and the product.
    wrong: &'static str,
    check: &'static str,
}

async fn is_caught(rig: &Rig, case: &Sabotage) {
    let Sabotage { kind, input, recipe, wrong, check } = case;
    let made = rig.make(input, recipe.clone()).await.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    let source = rig.probe(input).await.expect("it was probed before");
    ffmpeg(&format!("-i {{}} {wrong} {{}}"), &[input, &made.path]);
    let found = match rig.verify(&made.product.expect, &made.path, input, &source).await {
        Err(MediaError::Failed(failure)) => failure.message,
        other => format!("{other:?}"),
    };
    verdict(
        format!("checks: {kind}"),
        format!("what was made before: {}", recipe["recipe"].as_str().unwrap_or_default()),
        format!("refused by the check {check}"),
        &found,
        found.starts_with(&format!("the output's {check} is")),
    );
}

fn sine(path: &Path, more: &str) {
    ffmpeg(
        &format!("-f lavfi -i aevalsrc=1.6*sin(440*2*PI*t)*lt(mod(t\\,0.5)\\,0.3):s=48000:d=2 {more} {{}}"),
        &[path],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_before_each_kind_was_mended_is_refused() {
    let rig = Rig::new().await;
    let (deep, float, hidden) = (rig.clip("deep.flac"), rig.clip("float.wav"), rig.clip("hidden.mov"));
    sine(&deep, "-af volume=0.5 -sample_fmt s32 -bits_per_raw_sample 24");
    sine(&float, "-c:a pcm_f32le");
    ffmpeg(
        "-f lavfi -i color=white:s=128x64:r=25:d=1,format=rgba,geq=r=255:g=255:b=255:a=if(lt(X\\,32)\\,255\\,0) -c:v qtrle -pix_fmt argb {}",
        &[&hidden],
    );
    let cases = [
        Sabotage {
            kind: "M3 untagged HD as a still in the colours of SD",
            input: field("u709_720.mp4"),
            recipe: json!({"recipe": "thumbnail", "at_seconds": 0.3}),
            wrong: "-ss 0.3 -frames:v 1 -vf setparams=colorspace=smpte170m,scale=out_range=pc:out_color_matrix=bt601,format=yuvj420p -f image2pipe",
            check: "seen",
        },
        Sabotage {
            kind: "M3 untagged HD as an untagged mp4",
            input: field("u709_720.mp4"),
            recipe: json!({"recipe": "convert", "format": "mp4", "resolution": "480p"}),
            wrong: "-vf scale=854:480,setsar=1 -c:v libx264 -movflags +faststart -f mp4",
            check: "colors",
        },
        Sabotage {
            kind: "M3 untagged HD as a GIF in the colours of SD",
            input: field("u709_720.mp4"),
            recipe: json!({"recipe": "convert", "format": "gif"}),
            wrong: "-vf setparams=colorspace=smpte170m,split[a][b];[a]palettegen[p];[b][p]paletteuse -f gif",
            check: "seen",
        },
        Sabotage {
            kind: "M5 transparency thrown away",
            input: field("al_vp9.webm"),
            recipe: json!({"recipe": "convert", "format": "webm"}),
            wrong: "-vf setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m -c:v libvpx-vp9 -pix_fmt yuv420p -f webm",
            check: "seen",
        },
        Sabotage {
            kind: "M5 what was hidden is shown",
            input: hidden,
            recipe: json!({"recipe": "convert", "format": "mp4"}),
            wrong: "-vf format=rgb24,scale=out_color_matrix=bt709:out_range=tv,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709 -c:v libx264 -pix_fmt yuv420p -movflags +faststart -f mp4",
            check: "seen",
        },
        Sabotage {
            kind: "M8 a picture stretched into the first size",
            input: field("reschange_portrait.webm"),
            recipe: json!({"recipe": "convert", "format": "mp4"}),
            wrong: "-vf setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m,scale=320:180,setsar=1 -c:v libx264 -pix_fmt yuv420p -movflags +faststart -f mp4",
            check: "seen",
        },
        Sabotage {
            kind: "M10 a GIF whose frames are shown too long",
            input: field("vfr_burst.mp4"),
            recipe: json!({"recipe": "convert", "format": "gif"}),
            wrong: "-vf setpts=1.2*PTS,fps=20,scale=out_range=pc,format=bgra,split[a][b];[a]palettegen[p];[b][p]paletteuse -f gif",
            check: "duration",
        },
        Sabotage {
            kind: "M13 24 bits as 16",
            input: deep,
            recipe: json!({"recipe": "convert", "format": "wav"}),
            wrong: "-c:a pcm_s16le -f wav",
            check: "audio",
        },
        Sabotage {
            kind: "M12 what is beyond full scale cut off",
            input: float,
            recipe: json!({"recipe": "extract_audio"}),
            wrong: "-af volume=1:precision=fixed -c:a pcm_s16le -f wav",
            check: "audio",
        },
        Sabotage {
            kind: "M18 further tracks lost",
            input: field("multi_sub.mkv"),
            recipe: json!({"recipe": "convert", "format": "mkv"}),
            wrong: "-map 0:v:0 -map 0:a:0 -vf setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m -c:v libx264 -c:a copy -f matroska",
            check: "sounds",
        },
        Sabotage {
            kind: "M21 a green cast",
            input: field("grey709.mp4"),
            recipe: json!({"recipe": "thumbnail", "format": "webp"}),
            wrong: "-frames:v 1 -vf scale=out_color_matrix=bt601,format=yuv420p -c:v libwebp -quality 80 -f webp",
            check: "seen",
        },
        Sabotage {
            kind: "M22 light levels lost",
            input: field("pq.mp4"),
            recipe: json!({"recipe": "convert", "format": "mp4", "codec": "h265"}),
            wrong: "-vf sidedata=mode=delete:type=MASTERING_DISPLAY_METADATA,sidedata=mode=delete:type=CONTENT_LIGHT_LEVEL -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10le -tag:v hvc1 -movflags +faststart -f mp4",
            check: "light",
        },
        Sabotage {
            kind: "M9 the second half of a joined recording lost",
            input: field("disc_fwd.ts"),
            recipe: json!({"recipe": "convert", "format": "mp4"}),
            wrong: "-t 1 -vf setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m -c:v libx264 -c:a aac -movflags +faststart -f mp4",
            check: "duration",
        },
    ];
    for case in &cases {
        is_caught(&rig, case).await;
    }
}

/// A clip with shapes, colours and movement.
fn scene(path: &Path) {
    ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart {}",
        &[path],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_wrong_to_the_eye_are_refused() {
    let rig = Rig::new().await;
    let input = rig.clip("scene.mp4");
    scene(&input);
    let tags = "setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m";
    let source = rig.probe(&input).await.expect("a clip");
    for (what, filter) in [
        ("black", "lutyuv=y=16:u=128:v=128"),
        ("green", "lutyuv=y=100:u=60:v=60"),
        ("mirrored", "hflip"),
        ("upside down", "vflip"),
        ("squashed", "scale=160:180,setsar=1,pad=320:180:80:0"),
        ("shifted by a quarter", "crop=240:180:80:0,pad=320:180:0:0"),
        ("in a quarter of the frame", "scale=160:90,setsar=1,pad=320:180:0:0"),
        ("red and blue exchanged", "format=rgb24,colorchannelmixer=rr=0:rb=1:br=1:bb=0,format=yuv420p"),
        ("another picture", "geq=lum=40+150*mod(X/40\\,1):cb=128:cr=128"),
    ] {
        for recipe in [json!({"recipe": "compress", "crf": 23}), json!({"recipe": "convert", "format": "gif"})] {
            let made = rig.make(&input, recipe.clone()).await.expect("it is made");
            let gif = recipe["format"] == "gif";
            let end = if gif {
                "split[a][b];[a]palettegen[p];[b][p]paletteuse -f gif".to_owned()
            } else {
                format!("{tags} -c:v libx264 -c:a copy -pix_fmt yuv420p -movflags +faststart -f mp4")
            };
            ffmpeg(&format!("-i {{}} -vf {filter},{end} {{}}"), &[&input, &made.path]);
            let failure = match rig.verify(&made.product.expect, &made.path, &input, &source).await {
                Err(MediaError::Failed(failure)) => failure.message,
                other => format!("{other:?}"),
            };
            verdict(
                "checks: what is wrong to the eye",
                format!("{what}: {}", if gif { "gif" } else { "mp4" }),
                "refused by the check seen",
                &failure,
                failure.starts_with("the output's seen is"),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_can_be_turned_off() {
    let mut without = settings();
    without.compare = false;
    let rig = Rig::with(without).await;
    let input = rig.clip("scene.mp4");
    scene(&input);
    let made = rig.make_all(&input, &[json!({"recipe": "compress", "crf": 23})], Damage::Strict).await.expect("made");
    assert!(made[0].receipt.checks.iter().all(|check| check.name != "seen" && check.name != "heard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn right_results_of_every_kind_pass_by_far() {
    let rig = Rig::new().await;
    let mut inputs = Vec::new();
    for (name, graph, more) in [
        ("test.mp4", "testsrc2=s=322x182:r=25:d=1", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
        ("mandel.mkv", "mandelbrot=s=320x240:r=25,trim=duration=1", "-c:v libx264 -preset ultrafast -pix_fmt yuv444p"),
        ("life.webm", "life=s=160x120:r=25:mold=10:ratio=0.3:seed=7,trim=duration=1", "-c:v libvpx -pix_fmt yuv420p"),
        ("bars.mov", "smptehdbars=s=640x360:r=30:d=1", "-c:v prores_ks -pix_fmt yuv422p10le"),
        (
            "noise.mp4",
            "color=gray:s=320x180:r=25:d=1,noise=alls=60:allf=t",
            "-c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        ),
        ("gradient.mp4", "gradients=s=320x180:r=25:d=1:speed=0.05", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
        ("tall.mp4", "testsrc=s=90x320:r=25:d=1", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
        ("tiny.mp4", "testsrc2=s=24x18:r=25:d=1", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
    ] {
        let path = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i {graph} {more} {{}}"), &[&path]);
        inputs.push((name, path));
    }
    let recipes = [
        json!({"recipe": "compress", "crf": 51}),
        json!({"recipe": "compress", "crf": 51, "codec": "h265"}),
        json!({"recipe": "convert", "format": "webm", "quality": "economy"}),
        json!({"recipe": "convert", "format": "mkv", "codec": "av1", "quality": "economy"}),
        json!({"recipe": "convert", "format": "mp4", "bitrate_kbps": 20}),
        json!({"recipe": "convert", "format": "gif"}),
        json!({"recipe": "convert", "format": "gif", "frame_rate": 6, "width": 60}),
        json!({"recipe": "convert", "format": "mp4", "frame_rate": 10}),
        json!({"recipe": "resize", "width": 63}),
        json!({"recipe": "resize", "width": 200, "height": 60, "fit": "exact"}),
        json!({"recipe": "trim", "start_seconds": 0.4}),
        json!({"recipe": "thumbnail", "at_seconds": 0.5}),
        json!({"recipe": "thumbnail", "at_seconds": 0.9, "format": "webp", "width": 50}),
        json!({"recipe": "thumbnail", "format": "png"}),
        json!({"recipe": "proxy"}),
    ];
    let mut worst = Vec::new();
    for (name, input) in &inputs {
        for recipe in &recipes {
            if *name == "tiny.mp4" && recipe["codec"] == "h265" {
                continue;
            }
            let made =
                rig.make(input, recipe.clone()).await.unwrap_or_else(|error| panic!("{name} {recipe}: {error:?}"));
            let seen = made.receipt.checks.iter().find(|check| check.name == "seen");
            worst.push(format!("{name} {recipe}: {}", seen.expect("it was compared").measured));
        }
    }
    assert!(worst.len() >= 110, "{}", worst.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_of_another_picture_is_refused() {
    let rig = Rig::new().await;
    let (input, mirrored) = (rig.clip("scene.mp4"), rig.clip("mirrored.mp4"));
    scene(&input);
    ffmpeg("-i {} -vf hflip -c:v libx264 -preset ultrafast -crf 12 {}", &[&input, &mirrored]);
    let other = rig.probe(&mirrored).await.expect("a clip of ours");
    for (packaging, segments) in [("hls", "ts"), ("hls", "fmp4"), ("dash", "fmp4")] {
        let video = json!([{"codec": "h264", "resolution": "480p"}]);
        let recipe = json!({"recipe": "package", "type": packaging, "segment_format": segments, "video": video});
        let made = rig.make(&input, recipe).await.unwrap_or_else(|error| panic!("{packaging}, {segments}: {error:?}"));
        assert!(made.receipt.checks.iter().any(|check| check.name.ends_with(" seen")), "{:?}", made.receipt.checks);
        let found = match rig.verify(&made.product.expect, &made.path, &mirrored, &other).await {
            Err(MediaError::Failed(failure)) => failure.message,
            other => format!("{other:?}"),
        };
        verdict(
            "checks: a package of a mirrored picture",
            format!("{packaging}, {segments}"),
            "refused by the check seen",
            &found,
            found.contains(" seen is "),
        );
    }
}
