//! Plans as a whole: snapshots of what each recipe runs, and properties that hold for all.

use std::path::Path;

use proptest::prelude::*;
use reelhook_domain::form::Form;
use reelhook_domain::media::{Color, VideoInfo};
use reelhook_domain::recipe::Recipe;
use serde_json::{Value, json};

use super::samples::{capabilities, clip, video};
use super::{Damage, Plan, plan};
use crate::further::Further;
use crate::probe::Source;
use crate::step::{Step, VideoTrack};

fn recipe(value: Value) -> Recipe {
    Form::read(value, Recipe::read).expect("a recipe that can be read")
}

fn planned(source: &Source, recipes: &[Value]) -> Plan {
    let recipes: Vec<Recipe> = recipes.iter().cloned().map(recipe).collect();
    plan(source, &[], &recipes.iter().collect::<Vec<_>>(), &capabilities(), Damage::Strict)
}

/// A plan as one reads it: the arguments of each run, an option with its value a line.
fn shown(plan: &Plan) -> String {
    shown_with(plan, &[])
}

fn shown_with(plan: &Plan, further: &[Further]) -> String {
    let mut text = String::new();
    for (index, failure) in &plan.refused {
        text += &format!("refused {index}: {}: {}\n", failure.code, failure.message);
    }
    for step in &plan.steps {
        text += if step.keeps_source() { "keep\n" } else { "run\n" };
        if !step.keeps_source() {
            let input = Path::new("/in/clip");
            for arguments in step.first_pass(input, further).into_iter().chain([step.arguments(input, further)]) {
                text += "  ffmpeg";
                for argument in &arguments {
                    let argument = argument.to_string_lossy();
                    let opens = argument.starts_with('-') && argument.len() > 1 || argument.starts_with("file:");
                    text += if opens { "\n    " } else { " " };
                    text += &argument;
                }
                text += "\n";
            }
        }
        for product in &step.products {
            text += &format!("  product {} {}\n", product.output, product.file_name);
            for stream in &product.streams {
                text += &format!("    {} {}: {}\n", stream.stream, stream.action, stream.reason);
            }
            let expect = serde_json::to_string(&product.expect).expect("an expectation");
            text += &format!("    expect {expect}\n");
        }
    }
    text
}

macro_rules! snapshot {
    ($source:expr, $($recipe:tt),+ $(,)?) => {
        insta::assert_snapshot!(shown(&planned(&$source, &[$(json!($recipe)),+])))
    };
}

#[test]
fn compress_encodes_the_picture_and_copies_fitting_sound() {
    snapshot!(clip(), {"recipe": "compress"});
}

#[test]
fn auto_does_what_the_kind_of_the_source_asks_for() {
    snapshot!(clip(), {"recipe": "auto", "video": {"width": 640, "height": 640}});
    let mut sound = clip();
    sound.info.video = None;
    sound.video_index = None;
    sound.info.format = "wav".to_owned();
    sound.info.audio.as_mut().unwrap().codec = "pcm_s16le".to_owned();
    snapshot!(sound, {"recipe": "auto"});
}

#[test]
fn compress_to_a_size_reads_the_input_twice() {
    snapshot!(clip(), {"recipe": "compress", "max_bytes": 1_000_000, "codec": "h265"});
}

#[test]
fn convert_to_webm_uses_the_tier() {
    snapshot!(clip(), {"recipe": "convert", "format": "webm", "resolution": "720p", "frame_rate": 12.5, "quality": "economy"});
}

#[test]
fn convert_to_gif_chooses_a_palette() {
    snapshot!(clip(), {"recipe": "convert", "format": "gif", "width": 64}, {"recipe": "convert", "format": "gif"});
}

#[test]
fn resize_keeps_the_sound() {
    snapshot!(clip(), {"recipe": "resize", "width": 641, "codec": "av1"});
}

#[test]
fn trim_jumps_to_a_cut_on_the_grid_of_frames() {
    snapshot!(clip(), {"recipe": "trim", "start_seconds": 3.3, "end_seconds": 4.3});
}

#[test]
fn trim_without_an_index_reads_all_that_comes_before() {
    let source = Source { demuxer: "mpegts", ..clip() };
    snapshot!(source, {"recipe": "trim", "start_seconds": 3.3, "end_seconds": 4.3, "format": "mkv"});
}

#[test]
fn a_thumbnail_alone_jumps() {
    snapshot!(clip(), {"recipe": "thumbnail", "at_seconds": 5, "width": 320});
}

#[test]
fn extract_audio_copies_where_it_can() {
    snapshot!(clip(), {"recipe": "extract_audio"}, {"recipe": "extract_audio", "format": "mp3"});
}

#[test]
fn normalize_audio_copies_the_picture_and_measures_first() {
    snapshot!(clip(), {"recipe": "normalize_audio"});
    let mut six = clip();
    six.info.video = None;
    six.info.format = "mkv".to_owned();
    let audio = six.info.audio.as_mut().unwrap();
    (audio.codec, audio.channels) = ("ac3".to_owned(), 6);
    snapshot!(six, {"recipe": "normalize_audio", "target_lufs": -23, "format": "mp3"});
    let old = Source { demuxer: "avi", ..clip() };
    snapshot!(old, {"recipe": "normalize_audio"}, {"recipe": "normalize_audio", "format": "webm"});
}

#[test]
fn waveform_reads_samples_and_ends_with_the_picture() {
    snapshot!(clip(), {"recipe": "waveform", "format": "svg", "channels": "split", "background": "#ffffff"});
    let mut late = clip();
    late.audio_start = 2.0;
    late.info.audio.as_mut().unwrap().duration_seconds = Some(5.0);
    snapshot!(late, {"recipe": "waveform", "format": "json", "width": 100});
}

#[test]
fn sprite_takes_the_frames_that_are_shown_at_the_middles_of_its_cues() {
    snapshot!(clip(), {"recipe": "sprite", "interval_seconds": 1.5, "columns": 2});
    let source = Source { demuxer: "mpegts", video_start: 0.5, ..clip() };
    snapshot!(source, {"recipe": "sprite", "format": "webp", "width": 320});
}

#[test]
fn preview_jumps_to_each_part_where_there_is_an_index() {
    snapshot!(clip(), {"recipe": "preview"}, {"recipe": "preview", "format": "gif", "width": 1920, "frame_rate": 30});
    let source = Source { demuxer: "mpegts", ..clip() };
    snapshot!(source, {"recipe": "preview", "segments": 2, "format": "gif"});
}

#[test]
fn watermark_is_laid_on_the_finished_picture() {
    let mut picture = clip();
    picture.still = true;
    picture.demuxer = "png_pipe";
    (picture.info.format, picture.info.audio, picture.audio_index) = ("png".to_owned(), None, None);
    picture.info.video = Some(VideoInfo { pixel_format: Some("rgba".to_owned()), ..video(400, 200) });
    let further = [Further { name: "logo".to_owned(), path: "/in/logo".into(), source: picture.clone() }];
    let shown = |source: &Source, value: Value| {
        shown_with(&plan(source, &further, &[&recipe(value)], &capabilities(), Damage::Strict), &further)
    };
    insta::assert_snapshot!(shown(&clip(), json!({"recipe": "watermark", "image": "logo", "opacity": 0.5})));
    insta::assert_snapshot!(shown(&picture, json!({"recipe": "watermark", "image": "logo", "format": "jpg"})));
    insta::assert_snapshot!(
        [
            shown(&clip(), json!({"recipe": "watermark", "image": "lego"})),
            shown(&clip(), json!({"recipe": "watermark", "image": "logo", "format": "png"})),
            shown(&picture, json!({"recipe": "watermark", "image": "logo", "format": "mp4"})),
        ]
        .join("")
    );
}

#[test]
fn web_ready_keeps_what_is_ready() {
    snapshot!(clip(), {"recipe": "web_ready"});
}

#[test]
fn web_ready_moves_the_index_without_encoding() {
    let mut source = clip();
    source.info.fast_start = Some(false);
    snapshot!(source, {"recipe": "web_ready"});
}

#[test]
fn web_ready_encodes_what_browsers_do_not_play() {
    let mut source = clip();
    source.info.video.as_mut().unwrap().codec = "h265".to_owned();
    snapshot!(source, {"recipe": "web_ready"});
}

#[test]
fn a_package_decodes_once_and_has_key_frames_where_segments_begin() {
    snapshot!(
        clip(),
        {"recipe": "package", "type": "adaptive", "segment_seconds": 4, "video": [
            {"codec": "h264", "resolution": "1080p"},
            {"codec": "h265", "resolution": "720p", "quality": "economy"},
            {"codec": "h264", "resolution": "480p", "bitrate_kbps": 900, "frame_rate": 12.5},
            {"codec": "h264", "resolution": "2160p"},
        ]},
    );
}

#[test]
fn a_package_of_transport_streams_is_made_without_what_only_mp4_needs() {
    let mut source = clip();
    source.info.audio = None;
    source.audio_index = None;
    snapshot!(source, {"recipe": "package", "type": "hls", "segment_format": "ts", "video": [{"width": 640}]});
}

#[test]
fn outputs_of_the_whole_timeline_share_one_decode() {
    snapshot!(
        clip(),
        {"recipe": "compress"},
        {"recipe": "convert", "format": "mp4", "resolution": "480p"},
        {"recipe": "thumbnail", "at_seconds": 1},
    );
}

#[test]
fn high_dynamic_range_is_mapped_or_kept_by_codec() {
    let mut source = clip();
    let video = source.info.video.as_mut().unwrap();
    video.pixel_format = Some("yuv420p10le".to_owned());
    video.color = Color { transfer: Some("smpte2084".to_owned()), ..Color::default() };
    snapshot!(source, {"recipe": "compress"}, {"recipe": "compress", "codec": "h265"});
}

#[test]
fn what_cannot_be_made_is_refused_with_the_reason() {
    let mut sound = clip();
    sound.info.video = None;
    let mut silent = clip();
    silent.info.audio = None;
    let mut still = clip();
    still.still = true;
    let refusals = [
        planned(&sound, &[json!({"recipe": "compress"}), json!({"recipe": "thumbnail"})]),
        planned(&silent, &[json!({"recipe": "extract_audio"}), json!({"recipe": "convert", "format": "mp3"})]),
        planned(&still, &[json!({"recipe": "resize", "width": 64})]),
        planned(
            &clip(),
            &[json!({"recipe": "trim", "start_seconds": 10}), json!({"recipe": "thumbnail", "at_seconds": 11})],
        ),
        planned(&clip(), &[json!({"recipe": "compress", "max_bytes": 10_000})]),
    ];
    insta::assert_snapshot!(refusals.iter().map(shown).collect::<String>());
}

#[test]
fn a_missing_encoder_refuses_its_outputs_alone() {
    let mut capabilities = capabilities();
    capabilities.encoders.remove("libx265");
    let recipes = [recipe(json!({"recipe": "compress", "codec": "h265"})), recipe(json!({"recipe": "compress"}))];
    let plan = plan(&clip(), &[], &recipes.iter().collect::<Vec<_>>(), &capabilities, Damage::Strict);
    assert_eq!(plan.refused[0].1.code, "encoder_missing");
    assert_eq!(plan.steps.len(), 1);
}

#[test]
fn a_shared_step_can_be_taken_apart() {
    let plan = planned(&clip(), &[json!({"recipe": "compress"}), json!({"recipe": "resize", "width": 64})]);
    let alone = plan.steps[0].alone();
    let outputs: Vec<_> = alone.iter().map(|step| step.products.iter().map(|p| p.output).collect::<Vec<_>>()).collect();
    assert_eq!(outputs, [vec![0], vec![1]]);
    assert!(alone[1].arguments(Path::new("/in"), &[]).iter().all(|argument| argument != "file:out-0.mp4"));
}

#[test]
fn remove_background_keys_a_colour_that_is_said_in_one_run() {
    snapshot!(clip(), {"recipe": "remove_background", "key_color": "#00b140"});
}

#[test]
fn remove_background_lays_the_subject_on_a_canvas() {
    snapshot!(clip(), {
        "recipe": "remove_background", "format": "mp4", "key_color": "#ffffff",
        "background": {"type": "color", "color": "#102030"},
        "composition": {"canvas_width": 1080, "canvas_height": 1920, "anchor": "bottom", "scale": 0.5},
    });
}

#[test]
fn remove_background_reads_a_picture_beside_the_input() {
    let still = Further {
        name: "behind".to_owned(),
        path: "/in/behind".into(),
        source: Source { still: true, demuxer: "png_pipe", ..clip() },
    };
    let wish = recipe(json!({
        "recipe": "remove_background", "format": "gif", "key_color": "#ff00ff",
        "background": {"type": "image", "input": "behind"},
    }));
    let further = [still];
    let plan = plan(&clip(), &further, &[&wish], &capabilities(), Damage::Strict);
    insta::assert_snapshot!(shown_with(&plan, &further));
}

#[test]
fn style_measures_both_and_takes_rate_and_shape_of_the_template() {
    let mut template = clip();
    template.info.video = Some(VideoInfo { frame_rate: Some(24.0), ..video(1080, 1920) });
    let further = [Further { name: "like".to_owned(), path: "/in/like".into(), source: template }];
    let wish = recipe(json!({"recipe": "style", "template": "like"}));
    let plan = plan(&clip(), &further, &[&wish], &capabilities(), Damage::Strict);
    insta::assert_snapshot!(shown_with(&plan, &further));
}

#[test]
fn remove_background_by_a_model_reads_cut_out_frames_beside_the_input() {
    let plan = planned(&clip(), &[json!({"recipe": "remove_background", "model": "u2net", "format": "mov"})]);
    let step = &plan.steps[0];
    let frames = step.frame_arguments(Path::new("/in/clip"), step.cutting.as_ref().unwrap());
    let frames: Vec<_> = frames.iter().map(|argument| argument.to_string_lossy()).collect();
    insta::assert_snapshot!(format!("frames: {}\n{}", frames.join(" "), shown(&plan)));
}

#[test]
fn remove_background_puts_the_measured_screen_into_its_graph() {
    let plan = planned(&clip(), &[json!({"recipe": "remove_background"})]);
    let said = planned(&clip(), &[json!({"recipe": "remove_background", "key_color": "#0a14f0"})]);
    let input = Path::new("/in/clip");
    let keyed = super::keyed(&plan.steps[0], Some([10, 20, 240]), |_| true);
    assert_eq!(keyed.arguments(input, &[]), said.steps[0].arguments(input, &[]));
    let usual = super::keyed(&plan.steps[0], None, |_| false).arguments(input, &[]);
    assert!(usual.iter().all(|argument| !argument.to_string_lossy().contains("{keying}")));
}

#[test]
fn remove_background_takes_the_model_of_people_where_there_is_no_screen() {
    let input = Path::new("/in/clip");
    let plans =
        ["auto", "human"].map(|model| planned(&clip(), &[json!({"recipe": "remove_background", "model": model})]));
    let [auto, human] = plans.map(|mut plan| plan.steps.remove(0));
    let taken = super::keyed(&auto, None, |model| model == "human");
    assert_eq!((taken.model(), auto.model()), (Some("human"), None));
    assert_eq!(taken.arguments(input, &[]), human.arguments(input, &[]));
    assert_eq!(taken.cutting, human.cutting);
    assert!(auto.products[0].streams[0].reason.contains("cut out by the model human"));
}

#[test]
fn a_still_becomes_a_still() {
    let still = Source { still: true, demuxer: "png_pipe", ..clip() };
    let wish = |format| json!({"recipe": "remove_background", "model": "human", "format": format});
    for format in ["png", "webp"] {
        assert_eq!(planned(&still, &[wish(format)]).steps.len(), 1, "{format}");
    }
    let refused = |source: &Source, format| planned(source, &[wish(format)]).refused.remove(0).1;
    assert_eq!(refused(&still, "webm").code, "still_picture");
    assert_eq!(refused(&clip(), "png").code, "invalid_request");
}

#[test]
fn a_proxy_is_always_encoded() {
    snapshot!(clip(), {"recipe": "proxy"}, {"recipe": "proxy", "gop": "all_intra", "bitrate_kbps": 500, "height": 360});
}

#[test]
fn a_proxy_of_a_part_is_cut_on_the_grid() {
    snapshot!(clip(), {"recipe": "proxy", "start_seconds": 3.3, "duration_seconds": 1});
}

/// The plan for some inputs joined.
fn joined(sources: &[Source], value: Value) -> String {
    let further = sources.iter().skip(1).enumerate().map(|(place, source)| Further {
        name: format!("in_{}", place + 2),
        path: format!("/in/further-{}", place + 2).into(),
        source: source.clone(),
    });
    let further: Vec<_> = further.collect();
    let plan = plan(&sources[0], &further, &[&recipe(value)], &capabilities(), Damage::Strict);
    let Some(step) = plan.steps.first() else { return shown(&plan) };
    let arguments = step.arguments(Path::new("/in/clip"), &further);
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    shown(&plan) + &arguments.join(" ").replace(" -", "\n-").replace(';', ";\n  ")
}

#[test]
fn inputs_that_are_alike_are_copied_one_after_another() {
    insta::assert_snapshot!(joined(&[clip(), clip(), clip()], json!({"recipe": "concat"})));
}

#[test]
fn inputs_that_differ_are_brought_to_the_first() {
    let (mut tall, mut silent) = (clip(), clip());
    tall.info.video = Some(video(720, 1280));
    (silent.info.audio, silent.audio_index) = (None, None);
    insta::assert_snapshot!(joined(&[clip(), tall, silent], json!({"recipe": "concat", "format": "webm"})));
}

#[test]
fn inputs_of_unknown_length_are_joined_as_they_come() {
    let live = Source { measured: false, demuxer: "flv", ..clip() };
    insta::assert_snapshot!(joined(&[clip(), live], json!({"recipe": "concat"})));
}

#[test]
fn sounds_are_encoded_once_over_the_whole() {
    insta::assert_snapshot!(joined(&[clip(), clip()], json!({"recipe": "concat", "format": "mp3"})));
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    let numbers = (0_u32..=7680, 2_u32..=7680, 0.0_f64..20.0, 0.001_f64..20.0);
    let choices = (0_usize..13, 0_usize..5, 0_usize..4, 0_usize..7, 0_usize..7, any::<[bool; 5]>());
    (numbers, choices).prop_filter_map("a recipe that is allowed", |(numbers, choices)| {
        let (width, height, start, length) = numbers;
        let (format, codec, quality, resolution, name, flags) = choices;
        let formats = ["mp4", "webm", "mkv", "mov", "gif", "mp3", "aac", "wav", "flac", "opus", "jpg", "png", "webp"];
        let mut value = json!({"recipe": Recipe::NAMES[name], "format": formats[format]});
        let mut set = |key: &str, wanted: bool, field: Value| {
            if wanted {
                value[key] = field;
            }
        };
        set("codec", codec < 4, json!(["h264", "h265", "vp9", "av1"][codec % 4]));
        set("quality", quality < 3, json!(["economy", "standard", "premium"][quality % 3]));
        set("resolution", resolution < 6, json!(["480p", "720p", "1080p", "1440p", "2160p", "4320p"][resolution % 6]));
        set("width", flags[0] && width > 1, json!(width));
        set("height", flags[1], json!(height));
        set("enlarge", flags[2], json!(true));
        set("start_seconds", name == 3, json!(start));
        set("duration_seconds", name == 3 && flags[3], json!(length));
        set("at_seconds", name == 4, json!(start));
        set("frame_rate", flags[4], json!(length + 1.0));
        set("max_bytes", flags[3], json!(10_000 + u64::from(width) * 1000));
        // Fields that the recipe does not know are taken out until it can be read.
        for _ in 0..12 {
            match Form::read(value.clone(), Recipe::read) {
                Ok(recipe) => return Some(recipe),
                Err(violations) => {
                    let path = violations.first()?.path.clone();
                    value.as_object_mut()?.remove(path.as_str())?;
                }
            }
        }
        None
    })
}

fn any_source() -> impl Strategy<Value = Source> {
    let sides = (1_u32..9000, 1_u32..9000, prop::option::of(0.01_f64..240.0), prop::option::of(0.0_f64..50_000.0));
    let facts = (any::<[bool; 9]>(), 0_usize..4, prop::option::of(0_u64..1_000_000), 0_u32..9);
    (sides, facts).prop_map(|((width, height, frame_rate, duration), (flags, demuxer, frames, channels))| {
        let mut source = clip();
        let mut picture = video(width, height);
        (picture.frame_rate, picture.frames) = (frame_rate, frames);
        picture.duration_seconds = duration.filter(|_| flags[0]);
        (picture.variable_frame_rate, picture.square_pixels, picture.interlaced) = (flags[1], flags[2], flags[3]);
        picture.color.transfer = flags[4].then(|| "smpte2084".to_owned());
        source.demuxer = ["mov", "matroska", "mpegts", "png_pipe"][demuxer];
        (source.still, source.measured) = (demuxer == 3, flags[5]);
        source.info.duration_seconds = duration;
        source.info.video = flags[6].then_some(picture);
        source.video_index = flags[6].then_some(0);
        if let Some(audio) = source.info.audio.as_mut() {
            audio.channels = channels;
        }
        if flags[7] {
            (source.info.audio, source.audio_index) = (None, None);
        }
        source.info.fast_start = Some(flags[8]);
        source
    })
}

fn encodes_video(step: &Step) -> impl Iterator<Item = (&crate::step::Product, &crate::step::Encoder)> {
    step.products.iter().filter_map(|product| match &product.making.as_ref()?.video {
        VideoTrack::Encode { encoder, .. } => Some((product, encoder)),
        VideoTrack::Package(_) | VideoTrack::None | VideoTrack::Copy | VideoTrack::Joined => None,
    })
}

proptest! {
    #[test]
    fn every_output_is_planned_once_or_refused(
        source in any_source(), recipes in prop::collection::vec(any_recipe(), 1..5), strict in any::<bool>(), threads in 0_u32..3,
    ) {
        let damage = if strict { Damage::Strict } else { Damage::Salvage };
        let capabilities = crate::capabilities::Capabilities { threads, ..capabilities() };
        let plan = plan(&source, &[], &recipes.iter().collect::<Vec<_>>(), &capabilities, damage);
        let made = plan.steps.iter().flat_map(|step| &step.products).map(|product| product.output);
        let mut seen: Vec<usize> = made.chain(plan.refused.iter().map(|(output, _)| *output)).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..recipes.len()).collect::<Vec<_>>());
        for step in &plan.steps {
            let input = Path::new("/in/clip");
            let runs = step.first_pass(input, &[]).into_iter().chain([step.arguments(input, &[])]);
            for argument in runs.flatten() {
                let argument = argument.to_string_lossy().into_owned();
                prop_assert!(!argument.contains("NaN") && !argument.contains("inf"), "{}", argument);
                prop_assert!(argument != "-vsync");
            }
            for (product, encoder) in encodes_video(step) {
                let expect = product.expect.video.as_ref().expect("a picture is expected");
                prop_assert!(expect.width > 0 && expect.height > 0 && expect.width <= 7680 && expect.height <= 7680);
                let any_side = matches!(encoder.name.as_str(), "gif" | "png" | "mjpeg" | "libwebp");
                prop_assert!(any_side || (expect.width % 2 == 0 && expect.height % 2 == 0));
            }
        }
    }
}

#[test]
fn a_command_runs_once_for_all_of_its_outputs() {
    let args = json!(["-ss", "1", "-i", "{{input}}", "-vf", "scale=320:-2", "{{out_a}}", "-vn", "{{out_b}}"]);
    let plan = planned(
        &clip(),
        &[
            json!({"recipe": "ffmpeg", "args": args, "format": "mp4", "output": "out_a"}),
            json!({"recipe": "ffmpeg", "args": args, "format": "mp3", "output": "out_b"}),
        ],
    );
    assert!(plan.refused.is_empty() && plan.steps.len() == 1 && !plan.steps[0].keeps_source());
    let arguments = plan.steps[0].arguments(Path::new("/in/clip"), &[]);
    let line = arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let expected = "-ss 1 -protocol_whitelist file,pipe -f mov -i file:/in/clip -filter:v scale='w=320:h=-2' \
                    -movflags +faststart -f mp4 file:out-0.mp4 -vn -f mp3 file:out-1.mp3";
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn an_output_of_a_command_that_was_made_before_is_not_written_again() {
    let args = json!(["-i", "{{input}}", "{{out_a}}", "-vn", "{{out_b}}"]);
    let plan = planned(&clip(), &[json!({"recipe": "ffmpeg", "args": args, "format": "mp3", "output": "out_b"})]);
    let arguments = plan.steps[0].arguments(Path::new("/in/clip"), &[]);
    let line = arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    assert!(line.ends_with("-i file:/in/clip -f null - -vn -f mp3 file:out-0.mp3"), "{line}");
}

#[test]
fn a_still_option_before_a_moving_picture_is_refused() {
    let command = json!({"recipe": "ffmpeg", "args": ["-loop", "1", "-i", "{{input}}", "-t", "1", "{{output}}"], "format": "mp4"});
    let plan = planned(&clip(), &[command]);
    assert_eq!(plan.refused[0].1.code, "unsupported_command");
}

#[test]
fn sound_is_copied_into_its_usual_file() {
    let part =
        json!({"recipe": "extract_audio", "bare": true, "fallback": "mp3", "start_seconds": 1, "duration_seconds": 2});
    let text = shown(&planned(&clip(), &[part]));
    for said in ["-ss 1", "-t 2", "-c:a copy", "-f adts", "out-0.aac"] {
        assert!(text.contains(said), "{said} in {text}");
    }
}
