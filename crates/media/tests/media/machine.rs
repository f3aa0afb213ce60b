//! What the machine does: tools that hang, lie or are missing, full disks, and work that is called off.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reelhook_domain::failure::Fault;
use reelhook_media::{Damage, MediaError, SandboxMode, ToolSettings, Toolbox, Watch};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::clips::{ffmpeg, usual};
use crate::rig::{Rig, settings};

/// Settings with an ffmpeg that answers questions like the real one and does `work` instead of encoding.
fn with_fake(folder: &tempfile::TempDir, work: &str) -> ToolSettings {
    let path = folder.path().join("ffmpeg");
    let script = format!(
        "#!/bin/sh\ncase \"$2\" in -version|-encoders|-decoders|-muxers|-filters) exec /usr/bin/ffmpeg \"$@\";; esac\n{work}\n"
    );
    std::fs::write(&path, script).expect("it works");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it works");
    ToolSettings { ffmpeg: path, ..settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_hangs_is_ended_and_tried_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let work = "echo started >> started.txt\necho frame=1\nsleep 1000";
    let settings = ToolSettings { stall: Duration::from_millis(300), ..with_fake(&folder, work) };
    let rig = Rig::with(settings).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let failure = rig.fail(&input, json!({"recipe": "compress"})).await;
    assert_eq!((&*failure.code, failure.retryable), ("stalled", true));
    assert_eq!(std::fs::read_to_string(rig.scratch().join("started.txt")).unwrap(), "started\nstarted\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_says_it_succeeded_is_not_believed() {
    for (work, words) in [(": > out-0.mp4", "no bytes"), ("exit 0", "not there"), ("echo hello > out-0.mp4", "a text")]
    {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::with(with_fake(&folder, work)).await;
        let input = rig.clip("in.mp4");
        usual(&input);
        let failure = rig.fail(&input, json!({"recipe": "compress"})).await;
        assert_eq!(failure.code, "output_invalid", "{work}");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_the_encoder_dropped_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let work = "in=$(ls ../clips/in.mp4)\nexec /usr/bin/ffmpeg -v error -y -i \"$in\" -vf 'select=not(eq(n\\,7))' -fps_mode vfr -c:v libx264 -c:a copy -movflags +faststart out-0.mp4";
    let rig = Rig::with(with_fake(&folder, work)).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let failure = rig.fail(&input, json!({"recipe": "compress"})).await;
    assert_eq!(failure.code, "output_invalid");
    assert!(failure.message.contains("frames is 49; it should be 50"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_fails_on_good_media_is_our_fault() {
    let folder = tempfile::tempdir().unwrap();
    let work = "for a; do case \"$a\" in *.mp4) last=$a;; esac; done\ncase \"$last\" in *out-0.mp4) exit 1;; esac\nexec /usr/bin/ffmpeg \"$@\"";
    let rig = Rig::with(with_fake(&folder, work)).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let failure = rig.fail(&input, json!({"recipe": "compress"})).await;
    assert_eq!((&*failure.code, failure.fault), ("encoder_failed", Fault::Server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_named_with_what_to_do() {
    let settings = ToolSettings { ffmpeg: "no-such-ffmpeg".into(), ..settings() };
    let Err(MediaError::ToolMissing { program, hint }) = Toolbox::detect(settings).await else { panic!("found") };
    assert_eq!(program, "no-such-ffmpeg");
    assert!(hint.contains("5.1"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_ffmpeg_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ffmpeg");
    std::fs::write(&path, "#!/bin/sh\necho ffmpeg version 4.4.2 Copyright\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Toolbox::detect(ToolSettings { ffmpeg: path, ..settings() }).await;
    assert!(matches!(refused, Err(MediaError::ToolMissing { hint, .. }) if hint.contains("4.4.2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_launcher_is_told() {
    let mut settings = settings();
    settings.launcher.program = PathBuf::from("/no/such/launcher");
    assert!(matches!(Toolbox::detect(settings).await, Err(MediaError::Sandbox { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_the_tool_at_once() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    ffmpeg("-f lavfi -i testsrc2=s=1280x720:r=50:d=20 -c:v libx264 -preset ultrafast {}", &[&input]);
    let source = rig.probe(&input).await.unwrap();
    let plan =
        rig.plan(&source, &[json!({"recipe": "convert", "format": "mp4", "quality": "premium"})], Damage::Strict);
    let cancel = CancellationToken::new();
    let progressed = tokio::sync::Notify::new();
    let watch = Watch { cancel: &cancel, progress: &|_| progressed.notify_one() };
    let scratch = rig.scratch();
    let run = rig.toolbox.run(&plan.steps[0], &input, &[], &scratch, &source, watch);
    let mut asked = Instant::now();
    let caller = async {
        progressed.notified().await;
        asked = Instant::now();
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run, caller);
    assert!(matches!(ended, Err(MediaError::Canceled)), "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert!(processes_in(&scratch).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(with_fake(&folder, "sleep 1000 &\necho frame=1\necho progress=continue\nsleep 1000")).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let source = rig.probe(&input).await.unwrap();
    let plan = rig.plan(&source, &[json!({"recipe": "compress"})], Damage::Strict);
    let cancel = CancellationToken::new();
    let progressed = tokio::sync::Notify::new();
    let watch = Watch { cancel: &cancel, progress: &|_| progressed.notify_one() };
    let scratch = rig.scratch();
    tokio::select! {
        ended = rig.toolbox.run(&plan.steps[0], &input, &[], &scratch, &source, watch) => panic!("{ended:?}"),
        () = progressed.notified() => {}
    }
    while !processes_in(&scratch).is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Ids of the processes that run in a folder.
fn processes_in(folder: &std::path::Path) -> Vec<String> {
    let folder = folder.canonicalize().expect("it works");
    let inside = |id: &String| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == folder);
    let all =
        std::fs::read_dir("/proc").expect("it works").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    all.filter(inside).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_over_the_limit_is_refused() {
    let mut settings = settings();
    settings.limits.output_bytes = 20_000;
    let rig = Rig::with(settings).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let failure = rig.fail(&input, json!({"recipe": "convert", "format": "wav"})).await;
    assert_eq!(failure.code, "over_limit");
    assert!(failure.message.contains("20000"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_from_a_failing_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let work = "exec /usr/bin/ffmpeg -v error -y -f lavfi -i sine=d=5 -f wav /dev/full";
    // Without Landlock, which rightly keeps a tool away from a device.
    let rig = Rig::with(ToolSettings { sandbox: SandboxMode::Off, ..with_fake(&folder, work) }).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let failure = rig.fail(&input, json!({"recipe": "convert", "format": "wav"})).await;
    assert_eq!((&*failure.code, failure.retryable), ("out_of_disk", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = with_fake(&folder, "while :; do :; done");
    (settings.limits.wall_floor, settings.limits.wall_factor) = (Duration::from_millis(1500), 0.0);
    let rig = Rig::with(settings).await;
    let input = rig.clip("in.mp4");
    usual(&input);
    assert_eq!(rig.fail(&input, json!({"recipe": "compress"})).await.code, "timed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_rises_to_the_end_and_cpu_time_is_told() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let source = rig.probe(&input).await.unwrap();
    let plan = rig.plan(&source, &[json!({"recipe": "compress", "max_bytes": 20_000})], Damage::Strict);
    let heard = std::sync::Mutex::new(Vec::new());
    let cancel = CancellationToken::new();
    let watch = Watch { cancel: &cancel, progress: &|progress| heard.lock().unwrap().push(progress.fraction) };
    let report = rig.toolbox.run(&plan.steps[0], &input, &[], &rig.scratch(), &source, watch).await.unwrap();
    assert!(report.cpu > Duration::ZERO && report.wall > Duration::ZERO);
    let heard = heard.into_inner().unwrap();
    assert_eq!(heard.last(), Some(&1.0));
    assert!(heard.iter().all(|fraction| (0.0..=1.0).contains(fraction)), "{heard:?}");
}
