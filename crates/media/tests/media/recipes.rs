//! Each recipe from end to end.

use reelhook_domain::recipe::Format;
use reelhook_media::Damage;
use serde_json::{Value, json};

use crate::clips::{ffmpeg, numbered, numbers, picture_begins, times, told, usual};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn compress_loses_doubles_and_reorders_no_frame() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    for value in [
        json!({"recipe": "compress", "crf": 40}),
        json!({"recipe": "compress", "codec": "h265", "format": "mov"}),
        json!({"recipe": "compress", "codec": "vp9", "format": "webm", "quality": "economy"}),
        json!({"recipe": "compress", "codec": "av1", "format": "mkv", "quality": "economy"}),
    ] {
        let made = rig.make(&input, value.clone()).await.unwrap_or_else(|error| panic!("{value}: {error:?}"));
        assert_eq!(numbers(&made.path), (0..50).collect::<Vec<_>>(), "{value}");
        assert!(made.product.keep_source_if_larger);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_stays_below_the_size_that_was_asked_for() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    let noisy = "-f lavfi -i testsrc2=s=320x180:r=25:d=3,noise=alls=20:allf=t -f lavfi -i sine=d=3 -c:v libx264 -crf 10 -c:a aac {}";
    ffmpeg(noisy, &[&input]);
    for (codec, format) in [("h264", "mp4"), ("h265", "mp4"), ("vp9", "webm"), ("av1", "mp4")] {
        let value = json!({"recipe": "compress", "max_bytes": 100_000, "codec": codec, "format": format});
        let made = rig.make(&input, value).await.unwrap_or_else(|error| panic!("{codec}: {error:?}"));
        assert!(made.receipt.size_bytes <= 100_000, "{codec}: {}", made.receipt.size_bytes);
        assert!(made.receipt.size_bytes > 30_000, "{codec}: {}", made.receipt.size_bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn convert_writes_every_format() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    for format in ["mp4", "webm", "mkv", "mov", "gif", "mp3", "aac", "wav", "flac", "opus"] {
        let quality = if format == "webm" { "economy" } else { "standard" };
        let value = json!({"recipe": "convert", "format": format, "quality": quality});
        let made = rig.make(&input, value).await.unwrap_or_else(|error| panic!("{format}: {error:?}"));
        assert!(made.receipt.checks.iter().all(|check| check.passed), "{format}");
        if made.product.format.is_video() || made.product.format == Format::Gif {
            assert_eq!(numbers(&made.path), (0..50).collect::<Vec<_>>(), "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn convert_changes_size_and_rate() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let value = json!({"recipe": "convert", "format": "mp4", "width": 160, "frame_rate": 12.5, "bitrate_kbps": 200});
    let made = rig.make(&input, value).await.unwrap();
    let video = made.receipt.info.video.unwrap();
    assert_eq!((video.width, video.height, video.frame_rate), (160, 90, Some(12.5)));
    let enlarged = json!({"recipe": "convert", "format": "gif", "height": 360, "enlarge": true, "frame_rate": 5});
    let made = rig.make(&input, enlarged).await.unwrap();
    assert_eq!(made.receipt.info.video.unwrap().width, 640);
}

#[tokio::test(flavor = "multi_thread")]
async fn resize_makes_odd_sizes_even_and_takes_a_single_frame() {
    let rig = Rig::new().await;
    let odd = rig.clip("odd.mkv");
    ffmpeg("-f lavfi -i testsrc=s=101x57:r=10:d=0.1 -c:v ffv1 -frames:v 1 {}", &[&odd]);
    let made = rig.make(&odd, json!({"recipe": "compress"})).await.unwrap();
    let video = made.receipt.info.video.unwrap();
    assert_eq!((video.width, video.height, video.frames), (100, 56, Some(1)));
    assert!(made.receipt.info.audio.is_none());
    let exact = json!({"recipe": "resize", "width": 64, "height": 64, "fit": "exact"});
    assert_eq!(told(&rig.make(&odd, exact).await.unwrap().path, "width,height"), "64,64");
    let still = rig.make(&odd, json!({"recipe": "thumbnail", "format": "png"})).await.unwrap();
    assert_eq!(told(&still.path, "width,height"), "101,57");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_and_oblong_pixels_are_applied() {
    let rig = Rig::new().await;
    let (flat, turned) = (rig.clip("flat.mp4"), rig.clip("turned.mp4"));
    let oblong = "-f lavfi -i testsrc=s=320x180:r=25:d=1 -vf setsar=2 -c:v libx264 -pix_fmt yuv420p {}";
    ffmpeg(oblong, &[&flat]);
    // What 5.1 calls 90 here turns the picture counter-clockwise; either way it stands on its side.
    ffmpeg("-i {} -c copy -metadata:s:v:0 rotate=90 {}", &[&flat, &turned]);
    let source = rig.probe(&turned).await.unwrap();
    let video = source.info.video.unwrap();
    assert_eq!((video.width, video.height, video.rotation, video.square_pixels), (180, 640, 270, false));
    let made = rig.make(&turned, json!({"recipe": "compress"})).await.unwrap();
    assert_eq!(told(&made.path, "width,height,sample_aspect_ratio"), "180,640,1:1");
    let video = made.receipt.info.video.unwrap();
    assert_eq!((video.rotation, video.square_pixels), (0, true));
    let still = rig.make(&turned, json!({"recipe": "thumbnail"})).await.unwrap();
    assert_eq!(told(&still.path, "width,height"), "180,640");
}

#[tokio::test(flavor = "multi_thread")]
async fn uneven_frame_times_are_kept() {
    let rig = Rig::new().await;
    let (even, uneven) = (rig.clip("even.mp4"), rig.clip("uneven.mp4"));
    usual(&even);
    let filter =
        "-i {} -an -vf select='not(mod(n\\,7)*mod(n\\,3))' -fps_mode vfr -enc_time_base 1:90000 -c:v libx264 {}";
    ffmpeg(filter, &[&even, &uneven]);
    assert!(rig.probe(&uneven).await.unwrap().info.video.unwrap().variable_frame_rate);
    let before = times(&uneven, "packet=pts_time");
    for format in ["mp4", "mkv", "webm"] {
        let value = json!({"recipe": "convert", "format": format, "quality": "economy"});
        let made = rig.make(&uneven, value).await.unwrap_or_else(|error| panic!("{format}: {error:?}"));
        assert_eq!(numbers(&made.path), numbers(&uneven), "{format}");
        let after = times(&made.path, "packet=pts_time");
        assert_eq!(before.len(), after.len());
        let shift = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(shift < 0.002, "{format} moves frames by {shift} s");
    }
    let made = rig.make(&uneven, json!({"recipe": "convert", "format": "mp4", "frame_rate": 25})).await.unwrap();
    assert!(!made.receipt.info.video.unwrap().variable_frame_rate);
}

#[tokio::test(flavor = "multi_thread")]
async fn trim_is_exact_to_the_frame() {
    let rig = Rig::new().await;
    let part = |format: &str| json!({"recipe": "trim", "start_seconds": 0.73, "end_seconds": 1.5, "format": format});
    for (name, video, more) in [
        ("open.mp4", "libx264 -x264-params open-gop=1:keyint=10:bframes=3", "-c:a aac"),
        ("clip.mkv", "libx265 -preset ultrafast -x265-params log-level=error:keyint=12", "-c:a libopus"),
        ("clip.ts", "libx264 -g 10", "-c:a aac"),
    ] {
        let input = rig.clip(name);
        numbered(&input, video, more);
        let made = rig.make(&input, part("mp4")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let begins = picture_begins(&input);
        let inside = |frame: &u32| (0.73..1.5).contains(&(f64::from(*frame) / 25.0 + begins));
        assert_eq!(numbers(&made.path), (0..50).filter(inside).collect::<Vec<_>>(), "{name}");
        let sound = rig.make(&input, part("flac")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!((sound.receipt.info.duration_seconds.unwrap() - 0.77).abs() < 0.001, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumbnail_shows_the_frame_of_its_second_alone_and_in_company() {
    let rig = Rig::new().await;
    for (name, more) in [("in.mp4", "-c:a aac"), ("in.ts", "-c:a aac -f mpegts"), ("in.mkv", "-c:a aac")] {
        let input = rig.clip(name);
        numbered(&input, "libx264 -g 10", more);
        let begins = picture_begins(&input);
        for (second, format) in [(0.0, "jpg"), (0.04, "png"), (0.79, "webp"), (1.0, "jpg"), (1.99, "jpg"), (2.0, "png")]
        {
            let shown = (((second - begins) * 25.0 + 0.001).floor().max(0.0) as u32).min(49);
            let still = json!({"recipe": "thumbnail", "at_seconds": second, "format": format, "width": 160});
            let company = [still.clone(), json!({"recipe": "compress", "crf": 40})];
            let alone = rig.make(&input, still).await.unwrap_or_else(|error| panic!("{name} {second}: {error:?}"));
            assert_eq!(numbers(&alone.path), [shown], "{name} {format} at {second}");
            let made = rig.make_all(&input, &company, Damage::Strict).await.unwrap();
            assert_eq!(numbers(&made[0].path), [shown], "{name} {format} at {second} in company");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extract_audio_copies_what_fits() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let made = rig.make(&input, json!({"recipe": "extract_audio"})).await.unwrap();
    assert_eq!((made.product.format, &*made.product.streams[1].action), (Format::Aac, "copy"));
    let made = rig.make(&input, json!({"recipe": "extract_audio", "format": "mp3", "bitrate_kbps": 64})).await.unwrap();
    assert_eq!(made.receipt.info.audio.unwrap().codec, "mp3");
    for (codec, format) in [("libopus", Format::Opus), ("flac", Format::Flac), ("libmp3lame", Format::Mp3)] {
        let input = rig.clip("in.mkv");
        numbered(&input, "libx264 -preset ultrafast", &format!("-c:a {codec}"));
        let made = rig.make(&input, json!({"recipe": "extract_audio"})).await.unwrap();
        assert_eq!((made.product.format, &*made.product.streams[1].action), (format, "copy"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_ready_takes_the_cheapest_way() {
    let rig = Rig::new().await;
    let action = |made: &crate::rig::Made| made.product.streams[0].action.clone();
    let ready = rig.clip("ready.mp4");
    numbered(&ready, "libx264 -pix_fmt yuv420p", "-c:a aac -movflags +faststart");
    let made = rig.make(&ready, json!({"recipe": "web_ready"})).await.unwrap();
    assert_eq!(action(&made), "keep");
    assert_eq!(std::fs::read(&made.path).unwrap(), std::fs::read(&ready).unwrap());

    let late = rig.clip("late.mp4");
    numbered(&late, "libx264 -pix_fmt yuv420p", "-c:a aac");
    let made = rig.make(&late, json!({"recipe": "web_ready"})).await.unwrap();
    assert_eq!((&*action(&made), made.receipt.info.fast_start), ("copy", Some(true)));
    assert_eq!(numbers(&made.path), (0..50).collect::<Vec<_>>());

    let foreign = rig.clip("foreign.webm");
    numbered(&foreign, "libvpx-vp9 -deadline realtime -cpu-used 8", "-c:a libopus");
    let made = rig.make(&foreign, json!({"recipe": "web_ready"})).await.unwrap();
    assert_eq!((&*action(&made), made.receipt.info.video.unwrap().codec), ("encode", "h264".to_owned()));
    let keys = times(&made.path, "packet=pts_time,flags");
    assert_eq!(keys.iter().map(|key| key.round()).collect::<Vec<_>>(), [0.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_carried_and_high_dynamic_range_is_mapped() {
    let rig = Rig::new().await;
    let tagged = rig.clip("tagged.mp4");
    let tags = "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv";
    numbered(&tagged, &format!("libx264 {tags}"), "-c:a aac");
    let entry = "color_range,color_space,color_transfer,color_primaries";
    let made = rig.make(&tagged, json!({"recipe": "compress"})).await.unwrap();
    assert_eq!(told(&made.path, entry), "tv,bt709,bt709,bt709");

    let bright = rig.clip("bright.mp4");
    let tags = "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv";
    numbered(&bright, &format!("libx265 -pix_fmt yuv420p10le -x265-params log-level=error {tags}"), "-c:a aac");
    let made = rig.make(&bright, json!({"recipe": "compress"})).await.unwrap();
    assert_eq!(told(&made.path, entry), "tv,bt709,bt709,bt709");
    let made = rig.make(&bright, json!({"recipe": "compress", "codec": "h265"})).await.unwrap();
    assert_eq!(told(&made.path, entry), "tv,bt2020nc,smpte2084,bt2020");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_is_carried_on_and_places_devices_and_comments_never_are() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    numbered(
        &input,
        "libx264 -preset ultrafast",
        "-c:a aac -metadata title=Film -metadata comment=secret -metadata description=secret -metadata location=+48.2+016.3/",
    );
    for value in [json!({"recipe": "compress"}), json!({"recipe": "web_ready"}), json!({"recipe": "extract_audio"})] {
        let made = rig.make(&input, value).await.unwrap();
        let bytes = std::fs::read(&made.path).unwrap();
        for word in [&b"secret"[..], b"+48.2"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word));
        }
        assert!(bytes.windows(4).any(|window| window == b"Film"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_outputs_come_from_one_step() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let recipes: Vec<Value> = vec![
        json!({"recipe": "compress", "crf": 35}),
        json!({"recipe": "resize", "width": 160}),
        json!({"recipe": "thumbnail", "at_seconds": 1.2}),
        json!({"recipe": "extract_audio"}),
        json!({"recipe": "convert", "format": "gif", "width": 80, "frame_rate": 5}),
    ];
    let source = rig.probe(&input).await.unwrap();
    assert_eq!(rig.plan(&source, &recipes, Damage::Strict).steps.len(), 1);
    let made = rig.make_all(&input, &recipes, Damage::Strict).await.unwrap();
    assert_eq!(made.len(), 5);
    assert_eq!(numbers(&made[2].path), [30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_still_gives_a_thumbnail_and_nothing_else() {
    let rig = Rig::new().await;
    let input = rig.clip("in.png");
    ffmpeg("-f lavfi -i testsrc=s=64x48 -frames:v 1 -f image2pipe -c:v png {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "thumbnail", "width": 32})).await.unwrap();
    assert_eq!(told(&made.path, "width,height"), "32,24");
    assert_eq!(rig.fail(&input, json!({"recipe": "compress"})).await.code, "still_picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cover_is_not_a_picture_stream() {
    let rig = Rig::new().await;
    let (cover, song) = (rig.clip("cover.png"), rig.clip("song.mp3"));
    ffmpeg("-f lavfi -i testsrc=s=64x48 -frames:v 1 -f image2pipe -c:v png {}", &[&cover]);
    ffmpeg("-f lavfi -i sine=d=2 -i {} -map 0 -map 1 -c:v copy -disposition:v attached_pic {}", &[&cover, &song]);
    assert_eq!(rig.fail(&song, json!({"recipe": "compress"})).await.code, "no_video_stream");
    let made = rig.make(&song, json!({"recipe": "convert", "format": "wav"})).await.unwrap();
    assert!((made.receipt.info.duration_seconds.unwrap() - 2.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_every_container_are_taken() {
    let rig = Rig::new().await;
    for (name, video, sound) in [
        ("a.avi", "mpeg4", "libmp3lame"),
        ("b.mpg", "mpeg2video", "mp2"),
        ("c.flv", "flv", "libmp3lame -ar 44100"),
        ("d.wmv", "wmv2", "wmav2"),
        ("e.ogv", "libtheora", "libvorbis"),
        ("f.mov", "prores -pix_fmt yuv422p10le", "pcm_s16le"),
        ("g.mkv", "libx264 -pix_fmt yuv444p", "flac"),
        ("h.webm", "libvpx -deadline realtime", "libvorbis"),
        ("i.mp4", "libx265 -preset ultrafast -x265-params log-level=error", "ac3 -ac 6"),
        ("j.3gp", "mpeg4", "aac -ar 8000 -ac 1"),
        ("k.mp4", "libx264 -preset ultrafast", "aac -movflags +frag_keyframe+empty_moov"),
        ("l.ts", "libx264 -flags +ildct+ilme -x264-params tff=1", "mp2"),
        ("m.mov", "mjpeg -pix_fmt yuvj420p", "aac"),
        ("n.mxf", "mpeg2video", "pcm_s16le"),
        ("o.mkv", "libaom-av1 -cpu-used 8 -usage realtime", "libopus"),
    ] {
        let input = rig.clip(name);
        numbered(&input, video, &format!("-c:a {sound}"));
        let recipes =
            [json!({"recipe": "convert", "format": "mp4", "quality": "economy"}), json!({"recipe": "extract_audio"})];
        let made =
            rig.make_all(&input, &recipes, Damage::Strict).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(numbers(&made[0].path), (0..50).collect::<Vec<_>>(), "{name}");
        assert_eq!(told(&made[0].path, "pix_fmt"), "yuv420p", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_cut_out_of_a_stream_is_not_damaged() {
    let rig = Rig::new().await;
    let (whole, cut) = (rig.clip("whole.mp3"), rig.clip("cut.mp3"));
    ffmpeg("-f lavfi -i anoisesrc=d=5:a=0.1 -c:a libmp3lame -b:a 96k -write_xing 0 -id3v2_version 0 {}", &[&whole]);
    let bytes = std::fs::read(&whole).unwrap();
    // From one frame to the middle of another: 96 kbit/s at 44.1 kHz are 313 or 314 bytes a frame.
    let begin = (10_000..).find(|&at| bytes[at] == 0xFF && bytes[at + 1] == 0xFB).unwrap();
    std::fs::write(&cut, &bytes[begin..40_000]).unwrap();
    let made = rig.make(&cut, json!({"recipe": "convert", "format": "wav"})).await.unwrap();
    assert!(made.receipt.info.duration_seconds.unwrap() > 2.0);
}
