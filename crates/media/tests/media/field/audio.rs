//! Sound and its further tracks: depths, lengths, tags, covers, languages, subtitles.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, numbered, tool};
use crate::rig::{Made, Rig};

/// Entries of one kind of stream as ffprobe tells them: one line a stream, fields separated by commas.
fn streams(path: &Path, kind: &str, entries: &str) -> Vec<String> {
    let arguments = ["-v", "error", "-select_streams", kind, "-show_entries", entries, "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    let lines = String::from_utf8_lossy(&said);
    lines.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Codec of the first sound.
fn codec(path: &Path) -> String {
    streams(path, "a:0", "stream=codec_name").concat()
}

/// All samples of the first sound as floats of 64 bits: holds every depth exactly.
fn samples(path: &Path) -> Vec<f64> {
    let bytes = ffmpeg("-i {} -map 0:a:0 -c:a pcm_f64le -f f64le -", &[path]).stdout;
    bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes"))).collect()
}

/// What the plan says of a product, in one text.
fn said(made: &Made) -> String {
    let lines = made.product.streams.iter().map(|line| format!("{} {}: {}", line.stream, line.action, line.reason));
    lines.collect::<Vec<_>>().join(" | ")
}

/// The loudest difference between two sounds, and between their lengths.
fn difference(one: &Path, other: &Path) -> (f64, usize) {
    let (one, other) = (samples(one), samples(other));
    let most = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    (most, one.len().abs_diff(other.len()))
}

/// Noise that fills every bit, faint enough that sixteen bits would not do.
const NOISE: &str = "-f lavfi -i anoisesrc=d=0.5:r=48000:a=0.2:seed=7";

#[tokio::test]
async fn the_depth_of_a_sound_survives_to_wav() {
    let rig = Rig::new().await;
    let cases = [
        ("deep.flac", "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -f flac", "pcm_s24le"),
        ("deep.m4a", "-c:a alac -sample_fmt s32p -bits_per_raw_sample 24 -f ipod", "pcm_s24le"),
        ("big.mov", "-c:a pcm_s24be -f mov", "pcm_s24le"),
        ("big.caf", "-c:a pcm_s32be -f caf", "pcm_s32le"),
        ("double.wav", "-c:a pcm_f64le -f wav", "pcm_f64le"),
        ("float.wv", "-c:a wavpack -sample_fmt fltp -f wv", "pcm_f32le"),
        ("old.aiff", "-c:a pcm_s8 -f aiff", "pcm_u8"),
        ("usual.flac", "-c:a flac -sample_fmt s16 -f flac", "pcm_s16le"),
        ("lossy.m4a", "-c:a aac -f ipod", "pcm_s16le"),
        ("lossy.mp3", "-c:a libmp3lame -f mp3", "pcm_s16le"),
    ];
    for (name, options, expected) in cases {
        let clip = rig.clip(name);
        ffmpeg(&format!("{NOISE} {options} {{}}"), &[&clip]);
        right_in_wav(&rig, &clip, name, expected).await;
    }
    right_in_wav(&rig, &field("a24.aiff"), "a24.aiff", "pcm_s24le").await;
    right_in_wav(&rig, &field("a32f.wav"), "a32f.wav", "pcm_f32le").await;
}

async fn right_in_wav(rig: &Rig, clip: &Path, name: &str, expected: &str) {
    for recipe in [
        json!({"recipe": "convert", "format": "wav"}),
        json!({"recipe": "extract_audio", "format": "wav"}),
        json!({"recipe": "trim", "format": "wav", "start_seconds": 0, "duration_seconds": 0.25}),
    ] {
        let words = recipe["recipe"].as_str().expect("a name").to_owned();
        let made = rig.make(clip, recipe).await.unwrap_or_else(|error| panic!("{name} {words}: {error:?}"));
        let written = codec(&made.path);
        let mut holds = written == expected;
        if words == "convert" && !name.starts_with("lossy") {
            holds &= difference(clip, &made.path) == (0.0, 0);
        }
        verdict(format!("M13 depth: {name}"), format!("{words} to wav"), expected, &written, holds);
    }
}

#[tokio::test]
async fn flac_is_as_deep_as_its_source_up_to_24_bits_and_says_what_it_cuts() {
    let rig = Rig::new().await;
    let deep = rig.clip("deep.wav");
    ffmpeg(&format!("{NOISE} -c:a pcm_s32le -f wav {{}}"), &[&deep]);
    for (clip, bits, loses) in [(field("a24.aiff"), "24", false), (deep, "24", true), (field("a32f.wav"), "24", true)] {
        let made = rig.make(&clip, json!({"recipe": "convert", "format": "flac"})).await.unwrap();
        let measured = streams(&made.path, "a:0", "stream=bits_per_raw_sample").concat();
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let holds = measured == bits && said(&made).contains("become 24 bit") == loses;
        verdict(format!("M13 depth: {name}"), "convert to flac", format!("{bits} bit"), said(&made), holds);
    }
}

#[tokio::test]
async fn a_joined_sound_is_as_deep_as_the_deepest_input() {
    let rig = Rig::new().await;
    let (usual, deep, deepest) = (rig.clip("usual.wav"), rig.clip("deep.wav"), rig.clip("deepest.wav"));
    ffmpeg(&format!("{NOISE} -c:a pcm_s16le -f wav {{}}"), &[&usual]);
    ffmpeg(&format!("{NOISE} -c:a pcm_s24le -f wav {{}}"), &[&deep]);
    ffmpeg(&format!("{NOISE} -c:a pcm_s32le -f wav {{}}"), &[&deepest]);
    for (inputs, expected) in
        [([&usual, &usual], "pcm_s16le"), ([&usual, &deep], "pcm_s24le"), ([&deepest, &usual], "pcm_s32le")]
    {
        let made = rig
            .join(&inputs.map(std::path::PathBuf::as_path), json!({"recipe": "concat", "format": "wav"}))
            .await
            .unwrap();
        let mut holds = codec(&made.path) == expected;
        let first = samples(inputs[0]);
        holds &= samples(&made.path).iter().zip(&first).all(|(a, b)| a == b);
        verdict("M13 depth: joined", format!("concat to wav, {expected}"), expected, codec(&made.path), holds);
    }
}

#[tokio::test]
async fn auto_keeps_what_flac_cannot_hold() {
    let rig = Rig::new().await;
    let mut clips = vec![(field("a32f.wav"), true), (field("a24.aiff"), false)];
    for (name, options, kept) in [
        ("whole32.wav", "-c:a pcm_s32le -f wav", true),
        ("double.wav", "-c:a pcm_f64le -f wav", true),
        ("float.wv", "-c:a wavpack -sample_fmt fltp -f wv", true),
        ("float.caf", "-c:a pcm_f32be -f caf", true),
        ("usual.wav", "-c:a pcm_s16le -f wav", false),
    ] {
        let clip = rig.clip(name);
        ffmpeg(&format!("{NOISE} {options} {{}}"), &[&clip]);
        clips.push((clip, kept));
    }
    for (clip, kept) in clips {
        let made = rig.make(&clip, json!({"recipe": "auto"})).await.unwrap();
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let is_same = std::fs::read(&made.path).unwrap() == std::fs::read(&clip).unwrap();
        let holds = is_same == kept && difference(&clip, &made.path) == (0.0, 0);
        verdict(format!("M12 auto keeps exact sound: {name}"), "auto", format!("kept: {kept}"), said(&made), holds);
    }
}

#[tokio::test]
async fn sound_at_a_low_rate_becomes_any_format() {
    let rig = Rig::new().await;
    let mut clips = vec![field("voice_8000.m4a")];
    for (name, options) in [
        ("voice_11025.m4a", "-ar 11025 -c:a aac -f ipod"),
        ("voice_8000.mp3", "-ar 8000 -c:a libmp3lame -f mp3"),
        ("voice_16000.mkv", "-ar 16000 -c:a aac -f matroska"),
        ("voice_8000.3gp", "-ar 8000 -c:a aac -f 3gp"),
        ("voice_8000.ogg", "-ar 8000 -c:a libvorbis -f ogg"),
    ] {
        let clip = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i sine=frequency=300:duration=3 {options} {{}}"), &[&clip]);
        clips.push(clip);
    }
    for clip in clips {
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for format in ["wav", "flac", "mp3", "aac", "opus"] {
            let made = rig.make(&clip, json!({"recipe": "convert", "format": format})).await;
            let measured = match &made {
                Ok(made) => format!("{:.3} s", made.receipt.info.duration_seconds.unwrap_or(0.0)),
                Err(error) => format!("{error:?}"),
            };
            let row = format!("M19 low rates: {name}");
            verdict(row, format!("convert to {format}"), "about 3 s", measured, made.is_ok());
        }
    }
}

/// A film with three sounds, two subtitles, a font, chapters and tags, among them some that must not survive.
fn film(rig: &Rig) -> std::path::PathBuf {
    let (film, base) = (rig.clip("film.mkv"), rig.clip("base.mp4"));
    numbered(&base, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -f mp4");
    let text = rig.clip("text.srt");
    std::fs::write(&text, "1\n00:00:00,200 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:03,500\nGrüße\n")
        .unwrap();
    let drawn = rig.clip("drawn.ass");
    ffmpeg("-i {} -c:s ass -f ass {}", &[&text, &drawn]);
    let chapters = rig.clip("chapters.txt");
    let told = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=First \\= \\; one\n[CHAPTER]\n\
        TIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Second\n";
    std::fs::write(&chapters, told).unwrap();
    let font = rig.clip("font.ttf");
    std::fs::write(&font, [0, 1, 0, 0, 7, 7, 7, 7]).unwrap();
    let arguments = "-f mp4 -i {} -f srt -i {} -f ass -i {} -f ffmetadata -i {} -map 0:v -map 0:a -map 0:a -map 0:a \
        -map 1 -map 2 -c copy -map_chapters 3 -metadata title=Film -metadata artist=Someone \
        -metadata location=+52.5200+013.4050/ -metadata comment=secret -metadata:s:a:0 language=eng \
        -metadata:s:a:1 language=fra -metadata:s:a:1 title=Commentary -metadata:s:a:2 language=deu \
        -disposition:a:0 0 -disposition:a:1 default -disposition:a:2 0 -metadata:s:s:0 language=deu \
        -metadata:s:s:1 language=eng -disposition:s:0 forced -disposition:s:1 0 -attach FONT \
        -metadata:s:t mimetype=font/ttf -metadata:s:t filename=font.ttf -f matroska {}";
    let arguments = arguments.replace("FONT", &font.display().to_string());
    ffmpeg(&arguments, &[&base, &text, &drawn, &chapters, &film]);
    film
}

fn languages(path: &Path, kind: &str) -> String {
    streams(path, kind, "stream_tags=language").join(" ")
}

fn chapters(path: &Path) -> String {
    let arguments = ["-v", "error", "-show_entries", "chapter=start_time:chapter_tags=title", "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    String::from_utf8_lossy(&said).trim().replace('\n', " | ")
}

/// All tags of the whole and of the streams.
fn tags(path: &Path) -> String {
    let arguments = ["-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "default=nw=1", "{}"];
    String::from_utf8_lossy(&tool("ffprobe", &arguments, &[path]).stdout).into_owned()
}

#[tokio::test]
async fn further_tracks_are_kept_where_the_container_has_a_place() {
    let rig = Rig::new().await;
    let film = film(&rig);
    for (format, subtitles, fonts, described) in [
        ("mkv", "subrip ass", 1, true),
        ("mp4", "mov_text mov_text", 0, true),
        ("mov", "mov_text mov_text", 0, true),
        ("webm", "webvtt webvtt", 0, true),
    ] {
        for recipe in [
            json!({"recipe": "convert", "format": format, "quality": "economy"}),
            json!({"recipe": "resize", "format": format, "height": 90, "quality": "economy"}),
            json!({"recipe": "compress", "format": format, "crf": 40}),
        ] {
            let words = recipe["recipe"].as_str().expect("a name").to_owned();
            if words == "compress" && format != "mp4" {
                continue;
            }
            let made = rig.make(&film, recipe).await.unwrap_or_else(|error| panic!("{words} {format}: {error:?}"));
            let sounds = languages(&made.path, "a");
            let default = streams(&made.path, "a", "stream_disposition=default").join(" ");
            let texts = streams(&made.path, "s", "stream=codec_name").join(" ");
            let text_languages = languages(&made.path, "s");
            let attached = streams(&made.path, "t", "stream=codec_type").len();
            let measured = format!(
                "{sounds}; default {default}; {texts} {text_languages}; {attached} fonts; {}",
                chapters(&made.path)
            );
            let expected = format!(
                "eng fra deu; default 0 1 0; {subtitles} deu eng; {fonts} fonts; 0.000000,First = ; one | 1.000000,Second"
            );
            // QuickTime has another word for German.
            let expected = if format == "mov" { expected.replace("deu", "ger") } else { expected };
            let told = tags(&made.path);
            let holds = measured == expected
                && told.contains("TAG:title=Film") == described
                && !told.contains("52.52")
                && !told.contains("secret")
                && said(&made).contains("tags drop: comment, location: ")
                && (fonts == 1 || said(&made).contains("attachment drop: stream 6"));
            let row = "M18 further tracks";
            verdict(
                row,
                format!("{words} a mkv of six tracks to {format}"),
                expected,
                format!("{measured}; {}", said(&made)),
                holds,
            );
        }
    }
}

#[tokio::test]
async fn tracks_are_cut_with_the_part_and_what_is_not_is_told() {
    let rig = Rig::new().await;
    let film = film(&rig);
    let (clips, mut described) = (rig.clip("film.ts"), Vec::new());
    ffmpeg("-f matroska -i {} -map 0:v -map 0:a -c copy -f mpegts {}", &[&film, &clips]);
    for (clip, kind) in [(film, "mkv"), (clips, "mpegts")] {
        let wish = json!({"recipe": "trim", "format": "mp4", "start_seconds": 0.5, "duration_seconds": 1});
        let made = rig.make(&clip, wish).await.unwrap();
        let lengths: Vec<f64> =
            streams(&made.path, "a", "stream=duration").iter().filter_map(|length| length.parse().ok()).collect();
        let holds = lengths.len() == 3 && lengths.iter().all(|length| (length - 1.0).abs() < 0.06);
        verdict(
            "M18 further tracks: a part",
            format!("trim of {kind}"),
            "three sounds of 1 s",
            format!("{lengths:?}"),
            holds,
        );
        described.push((chapters(&made.path), said(&made)));
    }
    assert_eq!(described[0].0, "0.000000,First = ; one | 0.500000,Second");
    assert!(described[0].1.contains("subtitle drop: stream 4 (deu, subrip): a part is cut"), "{}", described[0].1);
}

#[tokio::test]
async fn what_a_recipe_leaves_out_stands_in_its_plan() {
    let rig = Rig::new().await;
    let film = film(&rig);
    for (recipe, line) in [
        (json!({"recipe": "proxy"}), "audio drop: stream 1 (eng, aac): a proxy has"),
        (
            json!({"recipe": "convert", "format": "gif", "width": 64}),
            "subtitle drop: stream 4 (deu, subrip): gif cannot hold",
        ),
        (
            json!({"recipe": "convert", "format": "mp3"}),
            "audio drop: stream 3 (deu, aac): mp3 cannot hold a further audio track",
        ),
        (json!({"recipe": "compress", "max_bytes": 200_000}), "max_bytes allows one audio track"),
    ] {
        let words = format!("{} of a mkv of six tracks", recipe["recipe"].as_str().expect("a name"));
        let made = rig.make(&film, recipe).await.unwrap();
        let holds = said(&made).contains(line);
        verdict("M18 what is left out is told", words, line, said(&made), holds);
    }
    let source = rig.probe(&film).await.unwrap();
    let plan = rig.plan(
        &source,
        &[json!({"recipe": "package", "type": "hls", "video": [{"codec": "h264", "resolution": "480p"}]})],
        reelhook_media::Damage::Strict,
    );
    let lines = &plan.steps[0].products[0].streams;
    assert!(lines.iter().any(|line| line.reason == "stream 3 (deu, aac): a package has one audio track"), "{lines:?}");
}

#[tokio::test]
async fn an_mp4_of_several_tracks_goes_to_matroska_and_to_the_web() {
    let rig = Rig::new().await;
    let made =
        rig.make(&film(&rig), json!({"recipe": "convert", "format": "mov", "quality": "economy"})).await.unwrap();
    let clip = rig.clip("film.mov");
    std::fs::copy(&made.path, &clip).unwrap();
    let made = rig.make(&clip, json!({"recipe": "convert", "format": "mkv", "quality": "economy"})).await.unwrap();
    let measured =
        format!("{}; {}", languages(&made.path, "a"), streams(&made.path, "s", "stream=codec_name").join(" "));
    verdict(
        "M18 further tracks",
        "mov with mov_text to mkv",
        "eng fra deu; subrip subrip",
        &measured,
        measured == "eng fra deu; subrip subrip",
    );
    let made = rig.make(&clip, json!({"recipe": "web_ready"})).await.unwrap();
    let measured =
        format!("{}; {}", languages(&made.path, "a"), streams(&made.path, "s", "stream=codec_name").join(" "));
    let holds = measured == "eng fra deu; mov_text mov_text" && said(&made).contains("video copy");
    verdict("M18 further tracks", "web_ready of a mov", "eng fra deu; mov_text mov_text", said(&made), holds);
}

#[tokio::test]
async fn subtitles_in_an_old_code_page_do_not_fail_the_job() {
    let rig = Rig::new().await;
    let film = film(&rig);
    let mut bytes = std::fs::read(&film).unwrap();
    // "Grüße" in CP1252, in as many bytes.
    let place = bytes.windows(7).position(|window| window == "Grüße".as_bytes()).expect("the text is there");
    bytes[place..place + 7].copy_from_slice(b"Gr\xFC\xDFe..");
    let clip = rig.clip("old.mkv");
    std::fs::write(&clip, bytes).unwrap();
    let made = rig.make(&clip, json!({"recipe": "convert", "format": "mp4", "quality": "economy"})).await.unwrap();
    let text = ffmpeg("-i {} -map 0:s:0 -f srt -", &[&made.path]).stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    verdict("M18 further tracks: text", "subtitles in CP1252 to mp4", "Grüße..", &text, text.contains("Grüße.."));
}

#[tokio::test]
async fn a_book_keeps_its_title_cover_and_chapters() {
    let rig = Rig::new().await;
    let both = "0.000000,One | 1.500000,Two";
    for (format, cover, chapter_words, tagged) in [
        ("aac", 1, both, true),
        ("mp3", 1, both, true),
        ("flac", 1, both, true),
        ("opus", 0, both, true),
        ("ogg", 0, both, true),
        ("wav", 0, "", true),
        ("adts", 0, "", false),
    ] {
        for recipe in ["convert", "extract_audio"] {
            let made = rig.make(&field("book.m4b"), json!({"recipe": recipe, "format": format})).await;
            let made = made.unwrap_or_else(|error| panic!("{recipe} {format}: {error:?}"));
            let covers = streams(&made.path, "v", "stream_disposition=attached_pic").join("");
            let told = tags(&made.path);
            let has = |name: &str| told.lines().any(|line| line.eq_ignore_ascii_case(&format!("TAG:{name}")));
            let described = ["title=Test Book", "artist=Some Author", "album=Album", "date=2021"].into_iter().all(has);
            let measured = format!("{covers} covers; {}; tags {described}", chapters(&made.path));
            let holds = covers.len() == cover
                && chapters(&made.path) == chapter_words
                && described == tagged
                && (cover == 1 || said(&made).contains("cover drop"))
                && (!chapter_words.is_empty() || said(&made).contains("chapters drop"))
                && (tagged || said(&made).contains("tags drop"));
            let expected = format!("{cover} covers; {chapter_words}; tags {tagged}");
            verdict(
                "MG3 tags, cover, chapters",
                format!("{recipe} to {format}"),
                expected,
                format!("{measured}; {}", said(&made)),
                holds,
            );
        }
    }
    // A cover is no video.
    let failure = rig.fail(&field("book.m4b"), json!({"recipe": "convert", "format": "mp4"})).await;
    assert_eq!(failure.code, "no_video_stream");
}

#[tokio::test]
async fn tags_of_strangers_are_only_texts() {
    let rig = Rig::new().await;
    let base = rig.clip("base.flac");
    ffmpeg(&format!("{NOISE} -c:a flac -f flac {{}}"), &[&base]);
    for (number, hostile) in [
        "-i /etc/passwd",
        "x=y;z#\\",
        "a\nb\rc",
        "\u{202e}evil\u{1b}[31m",
        "'; rm -rf /",
        "%d%s%n",
        "file:/etc/passwd|x",
    ]
    .into_iter()
    .enumerate()
    {
        let clip = rig.clip(&format!("hostile{number}.flac"));
        let title = format!("title={hostile}");
        tool(
            "ffmpeg",
            &["-nostdin", "-v", "error", "-y", "-i", "{}", "-c", "copy", "-metadata", &title, "-f", "flac", "{}"],
            &[&base, &clip],
        );
        for format in ["mp3", "aac", "flac", "opus", "wav"] {
            let made = rig.make(&clip, json!({"recipe": "convert", "format": format})).await;
            let made = made.unwrap_or_else(|error| panic!("{hostile:?} {format}: {error:?}"));
            let expected: String = hostile.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let holds = tags(&made.path).contains(&format!("title={expected}\n"));
            verdict("MG3 tags: hostile", format!("{number} to {format}"), &expected, tags(&made.path), holds);
        }
    }
}

#[tokio::test]
async fn a_track_without_samples_is_empty() {
    let rig = Rig::new().await;
    let base = rig.clip("base.mp4");
    numbered(&base, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -f mp4");
    let mut clips = vec![(field("empty_audio_frag.mp4"), "fragmented mp4")];
    for (name, options) in [
        ("plain.mkv", "-f matroska"),
        ("live.mkv", "-live 1 -f matroska"),
        ("fragments.mov", "-movflags frag_keyframe+empty_moov -f mov"),
    ] {
        let clip = rig.clip(name);
        // Everything of the sound lies after the end.
        let arguments = format!("-i {{}} -i {{}} -map 0:v -map 1:a -c:v copy -c:a aac -af aselect=0 {options} {{}}");
        ffmpeg(&arguments, &[&base, &base, &clip]);
        clips.push((clip, name));
    }
    let plain = rig.clip("plain.mp4");
    std::fs::write(&plain, emptied(&std::fs::read(&base).unwrap())).unwrap();
    clips.push((plain, "plain mp4"));
    for (clip, name) in clips {
        for recipe in
            [json!({"recipe": "compress"}), json!({"recipe": "convert", "format": "webm", "quality": "economy"})]
        {
            let made = rig.make(&clip, recipe).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let holds = said(&made).contains("it is empty") && made.receipt.info.audio.is_none();
            verdict("M23 an empty sound track", name, "the picture, and `drop: it is empty`", said(&made), holds);
        }
        let failure = rig.fail(&clip, json!({"recipe": "extract_audio"})).await;
        let holds = failure.code == "no_audio_stream" && failure.message.contains("empty");
        verdict("M23 an empty sound track: extract_audio", name, "no_audio_stream", format!("{failure:?}"), holds);
    }
}

/// An mp4 whose index of the sound counts no samples.
fn emptied(mp4: &[u8]) -> Vec<u8> {
    let mut bytes = mp4.to_vec();
    let find = |bytes: &[u8], word: &[u8], from: usize| {
        from + bytes[from..].windows(4).position(|window| window == word).expect("the box is there")
    };
    let sound = find(&bytes, b"soun", find(&bytes, b"moov", 0));
    for (table, count) in [(b"stts", 8), (b"stsc", 8), (b"stsz", 12), (b"stco", 8)] {
        let place = find(&bytes, table, sound) + count;
        bytes[place..place + 4].fill(0);
    }
    bytes
}

#[tokio::test]
async fn the_thumbnail_of_a_sound_is_its_cover() {
    let rig = Rig::new().await;
    let (red, base) = (rig.clip("red.png"), rig.clip("base.flac"));
    ffmpeg("-f lavfi -i color=red:s=64x48 -frames:v 1 -f image2pipe -c:v png {}", &[&red]);
    ffmpeg(&format!("{NOISE} -c:a flac -f flac {{}}"), &[&base]);
    let mut clips = vec![(field("book.m4b"), (320, 180))];
    for (name, options) in [
        ("cover.mp3", "-c:a libmp3lame -c:v mjpeg -f mp3"),
        ("cover.flac", "-c:a copy -c:v copy -f flac"),
        ("cover.m4a", "-c:a alac -c:v copy -f ipod"),
    ] {
        let clip = rig.clip(name);
        let arguments = format!("-i {{}} -i {{}} -map 0:a -map 1:v {options} -disposition:v attached_pic {{}}");
        ffmpeg(&arguments, &[&base, &red, &clip]);
        clips.push((clip, (64, 48)));
    }
    for (clip, (width, height)) in clips {
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for format in ["jpg", "png", "webp"] {
            let made = rig.make(&clip, json!({"recipe": "thumbnail", "format": format, "at_seconds": 1})).await;
            let made = made.unwrap_or_else(|error| panic!("{name} {format}: {error:?}"));
            let pixel = ffmpeg("-i {} -vf scale=1:1:flags=area,format=rgb24 -f rawvideo -", &[&made.path]).stdout;
            let size = streams(&made.path, "v", "stream=width,height").concat();
            let is_red = width == 320 || (pixel[0] > 240 && pixel[1] < 15 && pixel[2] < 15);
            let holds = is_red
                && said(&made).contains("the cover")
                && (format == "webp" || size == format!("{width},{height}"));
            verdict(
                format!("MG4 the cover of a sound: {name}"),
                format!("thumbnail {format}"),
                "the cover",
                format!("{size} {pixel:?} {}", said(&made)),
                holds,
            );
        }
    }
    let failure = rig.fail(&base, json!({"recipe": "thumbnail"})).await;
    assert_eq!(failure.code, "no_video_stream");
}

/// How bright the brightest and the darkest tenth of a second's picture is, in the lower half of the picture.
fn brightest(path: &Path, second: &str) -> u8 {
    let arguments = ["-nostdin", "-v", "error", "-ss", second, "-i", "{}", "-frames:v", "1", "-vf"];
    let more = ["crop=iw:ih/2:0:ih/2,format=gray", "-f", "rawvideo", "-"];
    let all: Vec<&str> = arguments.into_iter().chain(more).collect();
    tool("ffmpeg", &all, &[path]).stdout.into_iter().max().unwrap_or(0)
}

/// Two seconds of black with subtitles from 1 s on.
fn silent_film(rig: &Rig, name: &str, codec: &str, format: &str) -> std::path::PathBuf {
    let (film, text, other) = (rig.clip(name), rig.clip("text.srt"), rig.clip("other.srt"));
    std::fs::write(&text, "1\n00:00:01,000 --> 00:00:02,000\nHELLO WORLD\n").unwrap();
    std::fs::write(&other, "1\n00:00:00,000 --> 00:00:01,000\nHALLO WELT\n").unwrap();
    let arguments = format!(
        "-f lavfi -i color=black:s=320x180:r=25:d=2 -i {{}} -i {{}} -map 0 -map 1 -map 2 -c:v libx264 \
         -preset ultrafast -c:s {codec} -metadata:s:s:0 language=eng -metadata:s:s:1 language=deu -f {format} {{}}"
    );
    ffmpeg(&arguments, &[&text, &other, &film]);
    film
}

#[tokio::test]
async fn subtitles_are_drawn_where_that_is_asked() {
    let rig = Rig::new().await;
    for (name, codec, format) in [
        ("text.mkv", "subrip", "matroska"),
        ("drawn.mkv", "ass", "matroska"),
        ("timed.mp4", "mov_text", "mp4"),
        ("web.mkv", "webvtt", "matroska"),
        ("we'ird na,me[x];%d=.mkv", "subrip", "matroska"),
    ] {
        let film = silent_film(&rig, name, codec, format);
        for (language, early, late) in [("en", false, true), ("deu", true, false)] {
            let wish =
                json!({"recipe": "convert", "format": "mp4", "subtitles": "burn", "subtitle_language": language});
            let made = rig.make(&film, wish).await.unwrap_or_else(|error| panic!("{name} {language}: {error:?}"));
            let seen = (brightest(&made.path, "0.5") > 128, brightest(&made.path, "1.5") > 128);
            let none_left = streams(&made.path, "s", "stream=index").is_empty();
            let holds = seen == (early, late) && none_left && said(&made).contains("drawn into the picture");
            let row = format!("M18 subtitles drawn: {codec}");
            verdict(
                row,
                format!("{name} burn {language}"),
                format!("seen {early} {late}"),
                format!("{seen:?}; {}", said(&made)),
                holds,
            );
        }
    }
    let film = silent_film(&rig, "text.mkv", "subrip", "matroska");
    let wish = json!({"recipe": "convert", "format": "mp4", "subtitles": "burn", "subtitle_language": "fr"});
    assert_eq!(rig.fail(&film, wish).await.code, "no_subtitle_stream");
    let made = rig.make(&film, json!({"recipe": "convert", "format": "mp4", "subtitles": "drop"})).await.unwrap();
    assert!(streams(&made.path, "s", "stream=index").is_empty() && said(&made).contains("subtitles is drop"));
    let made = rig.make(&film, json!({"recipe": "convert", "format": "mkv", "subtitle_language": "de"})).await.unwrap();
    assert_eq!(languages(&made.path, "s"), "deu", "{}", said(&made));
}

/// Subtitles as pictures (PGS): a white bar in the lower half of 320x180 from 1 s to 2 s.
///
/// # Source
/// The segments as the patent US 2009/0185789 A1 describes them.
fn picture_subtitles() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut segment = |second: u32, kind: u8, data: &[u8]| {
        bytes.extend(b"PG");
        bytes.extend((second * 90_000).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.push(kind);
        bytes.extend(u16::try_from(data.len()).expect("a short segment").to_be_bytes());
        bytes.extend(data);
    };
    let size = [320_u16.to_be_bytes(), 180_u16.to_be_bytes()].concat();
    let (place, bar) = ([0, 100, 0, 130], [0, 120, 0, 20]);
    segment(0, 0x16, &[&size[..], &[0x10, 0, 0, 0, 0, 0, 0]].concat());
    segment(0, 0x80, &[]);
    segment(1, 0x16, &[&size[..], &[0x10, 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0], &place].concat());
    segment(1, 0x17, &[&[1, 0][..], &place, &bar].concat());
    segment(1, 0x14, &[0, 0, 1, 235, 128, 128, 255]);
    let row: &[u8] = &[0, 0xC0, 120, 1, 0, 0];
    let rows = row.repeat(20);
    let length = u32::try_from(rows.len() + 4).expect("a short segment").to_be_bytes();
    segment(1, 0x15, &[&[0, 0, 0, 0xC0][..], &length[1..], &bar, &rows].concat());
    segment(1, 0x80, &[]);
    segment(2, 0x16, &[&size[..], &[0x10, 0, 2, 0, 0, 0, 0]].concat());
    segment(2, 0x17, &[&[1, 0][..], &place, &bar].concat());
    segment(2, 0x80, &[]);
    bytes
}

#[tokio::test]
async fn subtitles_that_are_pictures_are_laid_over_or_told_as_dropped() {
    let rig = Rig::new().await;
    let (pictures, clip) = (rig.clip("pictures.sup"), rig.clip("pictures.mkv"));
    std::fs::write(&pictures, picture_subtitles()).unwrap();
    let arguments = "-f lavfi -i color=black:s=320x180:r=25:d=3 -f sup -i {} -map 0 -map 1 -c:v libx264 -preset \
        ultrafast -c:s copy -f matroska {}";
    ffmpeg(arguments, &[&pictures, &clip]);
    let wish = json!({"recipe": "convert", "format": "mp4", "subtitles": "burn", "height": 90});
    let made = rig.make(&clip, wish).await.unwrap();
    let seen = ["0.5", "1.5", "2.5"].map(|second| brightest(&made.path, second) > 128);
    let holds = seen == [false, true, false];
    verdict("M18 subtitles drawn: PGS", "burn", "seen from 1 s to 2 s", format!("{seen:?}; {}", said(&made)), holds);
    for (format, line, left) in [
        ("mp4", "subtitle drop: stream 1 (hdmv_pgs_subtitle): mp4 holds no hdmv_pgs_subtitle", 0),
        ("mkv", "subtitle copy: stream 1 (hdmv_pgs_subtitle)", 1),
    ] {
        let made = rig.make(&clip, json!({"recipe": "convert", "format": format})).await.unwrap();
        let holds = said(&made).contains(line) && streams(&made.path, "s", "stream=index").len() == left;
        verdict("M18 further tracks: PGS", format!("convert to {format}"), line, said(&made), holds);
    }
}

#[tokio::test]
async fn fonts_of_strangers_do_not_fail_the_drawing() {
    let rig = Rig::new().await;
    let wish = json!({"recipe": "convert", "format": "webm", "subtitles": "burn", "subtitle_language": "eng",
        "quality": "economy"});
    let made = rig.make(&film(&rig), wish).await.unwrap();
    let holds = said(&made).contains("stream 5 (eng, ass): drawn into the picture");
    verdict("M18 subtitles drawn: fonts", "a mkv with a font that is none", "drawn", said(&made), holds);
}

#[tokio::test]
async fn a_product_that_sounds_like_something_else_is_noticed() {
    let rig = Rig::new().await;
    let clip = rig.clip("bursts.mkv");
    // Bursts whose length and loudness vary, and a picture.
    let sound = "aevalsrc=exprs=0.5*sin(2*PI*300*t)*gt(sin(2*PI*t*t/3)\\,0.2)*(0.3+0.7*abs(sin(t))):d=6:s=48000";
    let arguments = format!(
        "-f lavfi -i color=gray:s=64x64:r=25:d=6 -f lavfi -i {sound} -c:v libx264 -preset ultrafast -c:a flac \
         -f matroska {{}}"
    );
    ffmpeg(&arguments, &[&clip]);
    let made = rig.make(&clip, json!({"recipe": "convert", "format": "mp4", "quality": "economy"})).await.unwrap();
    let source = rig.probe(&clip).await.unwrap();
    let compared =
        reelhook_media::Compared { input: &clip, source: &source, samples: &reelhook_media::Samples::default() };
    let heard = made.receipt.checks.iter().find(|check| check.name == "heard").expect("it was compared");
    verdict("the sound is compared: as it is", "convert to mp4", "passes", &heard.measured, heard.passed);
    for (name, filter, fails) in [
        ("as it is", "anull", false),
        ("40 ms late", "adelay=40", false),
        ("silent", "volume=0", true),
        ("clipped", "volume=20dB,alimiter=limit=1:level=0", true),
        ("half as loud", "volume=0.5", true),
        ("half speed", "asetrate=24000,aresample=48000", true),
        ("200 ms late", "adelay=200", true),
        ("300 ms early", "atrim=start=0.3,asetpts=PTS-STARTPTS", true),
        ("backwards", "areverse", true),
        ("a hole of a second", "volume=0:enable=between(t\\,2\\,3)", true),
    ] {
        let wrong = rig.clip("wrong.mp4");
        let arguments = format!(
            "-i {{}} -c:v copy -af {filter},apad=whole_dur=6,atrim=end=6 -c:a aac -movflags +faststart -f mp4 {{}}"
        );
        ffmpeg(&arguments, &[&made.path, &wrong]);
        let expect = reelhook_media::Expectation { frames: None, ..made.product.expect.clone() };
        let verified = rig.toolbox.verify_beside(&expect, &wrong, &rig.scratch(), compared).await;
        let measured = match &verified {
            Ok(_) => "passes".to_owned(),
            Err(error) => error.failure().map_or_else(|| format!("{error:?}"), |failure| failure.message.clone()),
        };
        let holds = verified.is_err() == fails && (!fails || measured.contains("heard"));
        let expected = if fails { "refused: heard" } else { "passes" };
        verdict(
            format!("the sound is compared: {name}"),
            "a product that was tampered with",
            expected,
            measured,
            holds,
        );
    }
}
