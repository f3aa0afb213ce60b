//! A decoder that an input took over: a stand-in for ffmpeg that runs where ffmpeg would, and does its worst.
//!
//! What it leaves is refused, what it tries beyond its folder fails, what it starts ends with its step, and the server
//! goes on.

use std::fs;
use std::path::{Path, PathBuf};

use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::world::{Serve, World, eventually, is_running, script};

/// An ffmpeg that answers questions about itself and decodes into nothing, and otherwise does those lines of shell, in
/// which `$out` is the file that it shall make.
fn hijacked(folder: &Path, lines: &str) -> PathBuf {
    let plain =
        "case \"$*\" in *-version*|*-encoders*|*-decoders*|*-filters*|*-muxers*|*'-f null'*) exec ffmpeg \"$@\";; esac";
    script(folder, "ffmpeg", &format!("{plain}\nfor last; do :; done\nout=${{last#file:}}\n{lines}"))
}

fn caged(program: &Path) -> Serve {
    Serve::dev().set("media.ffmpeg", program.display()).set("media.sandbox", "require")
}

/// With no layer of the sandbox, as on a kernel that has none.
fn uncaged(program: &Path) -> Serve {
    Serve::dev().set("media.ffmpeg", program.display()).set("media.sandbox", "off")
}

fn compress(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "compress", "crf": 30}]})
}

/// How a job of a good clip ended there; the server must be up afterwards.
async fn ended(world: &mut World) -> Value {
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = world.job_at_end(&world.submit(&compress(&upload)).await).await;
    assert!(world.is_alive());
    world.get("/v1/jobs").await.expect(200);
    job
}

/// Why its output was not made.
fn error(job: &Value) -> &Value {
    assert_eq!(job["state"], "failed", "{job:#}");
    if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] }
}

/// The processes that have those words in their command line.
fn with_words(words: &str) -> Vec<u32> {
    let folders = fs::read_dir("/proc").expect("Linux shows processes").flatten();
    let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
    let has = |id: &u32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| contains(&line, words.as_bytes()));
    ids.filter(has).filter(|&id| is_running(id)).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A file of another user of the machine, which is media as it is expected.
fn foreign(folder: &Path) -> PathBuf {
    let path = folder.join("foreign.mp4");
    fs::write(&path, clips::bytes(Clip::Video)).expect("the folder can be written to");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plain_file_is_not_kept_as_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = foreign(folder.path());
    let foreign = foreign.display();
    for leave in [
        format!("ln -s {foreign} $out"),
        format!("ln {foreign} $out"),
        "ln -s $PWD/../../../../../master.key $out".to_owned(),
        "ffmpeg \"$@\" && ln $out other".to_owned(),
        "mkfifo $out".to_owned(),
        "mkdir $out".to_owned(),
        "ln -s /dev/zero $out".to_owned(),
        "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1)' $out".to_owned(),
    ] {
        let program = hijacked(folder.path(), &format!("{leave} && echo LEFT >&2\nexit 0"));
        for serve in [caged(&program), uncaged(&program)] {
            // Where the link cannot be made, the plain output that was made before it is as good as any.
            let may_succeed = leave.starts_with("ffmpeg");
            let mut world = World::start(serve).await;
            let job = ended(&mut world).await;
            if may_succeed && job["state"] == "completed" {
                world.check_outputs(&job).await;
                continue;
            }
            assert_eq!(error(&job)["code"], "output_invalid", "{leave}: {job:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_tool_outlives_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let word = format!("daemon-of-{}", std::process::id());
    let daemons = [
        format!("sh -c 'sleep 1000; : {word}' &"),
        format!("setsid sh -c 'sleep 1000; : {word}' &"),
        format!("(setsid sh -c 'sh -c \"sleep 1000; : {word}\" & sleep 1000; : {word}' &) &"),
        format!("perl -MPOSIX -e 'fork && exit; setsid; fork && exit; setpgid(0, 0); sleep 1000; \"{word}\"' &"),
    ];
    for (number, daemon) in daemons.iter().enumerate() {
        // The output is made after the daemon, which had time to leave.
        let program = hijacked(folder.path(), &format!("{daemon}\nsleep 0.3\nffmpeg \"$@\""));
        for serve in [caged(&program), uncaged(&program)] {
            let mut world = World::start(serve).await;
            let job = ended(&mut world).await;
            assert_eq!(job["state"], "completed", "daemon {number}: {job:#}");
            world.check_outputs(&job).await;
            assert!(with_words(&word).is_empty(), "daemon {number} is still there");
            let pid = world.pid().to_string();
            let zombies = with_parent(&pid);
            assert!(zombies.is_empty(), "daemon {number} left {zombies:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_left_running_ends_with_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let word = format!("orphan-of-{}", std::process::id());
    // The second one hides what it was started with, the third where it works.
    let lines = format!(
        "sh -c 'sleep 1000; : {word}' &\nenv -i /bin/sh -c 'sleep 1000; : {word}' &\n\
         (cd / && exec sh -c 'sleep 1000; : {word}') &\nwait"
    );
    let program = hijacked(folder.path(), &lines);
    for serve in [caged(&program), uncaged(&program)] {
        let mut world = World::start(serve).await;
        let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
        world.submit(&compress(&upload)).await;
        eventually("the tool has started its children", async || with_words(&word).len() >= 3).await;
        world.kill().await;
        assert!(world.serve(Serve::dev()).await);
        eventually("they are gone", async || with_words(&word).is_empty()).await;
    }
}

/// The states of the children of a process.
fn with_parent(pid: &str) -> Vec<String> {
    let folders = fs::read_dir("/proc").expect("Linux shows processes").flatten();
    let stats = folders.filter_map(|folder| fs::read_to_string(folder.path().join("stat")).ok());
    let child = |stat: String| {
        let (_, rest) = stat.rsplit_once(") ")?;
        (rest.split(' ').nth(1) == Some(pid)).then(|| stat.clone())
    };
    stats.filter_map(child).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_leaves_the_tools_of_another_alone() {
    let folder = tempfile::tempdir().unwrap();
    // The slow one works through children of its own, one of which it does not wait for.
    let lines =
        "case \"$*\" in *scale=160*) (while [ ! -e {flag} ]; do sleep 0.05; done; true) & wait;; esac\nffmpeg \"$@\"";
    let flag = folder.path().join("quick-is-done");
    let program = hijacked(folder.path(), &lines.replace("{flag}", flag.to_str().unwrap()));
    let serve = uncaged(&program).set("worker.slots", 2);
    let world = World::start(serve).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let resize = json!({"input": {"upload": &upload}, "outputs": [{"recipe": "resize", "width": 160}]});
    let slow = world.submit(&resize).await;
    world.job_when(&slow, |job| job["stage"] == "encoding").await;
    let quick = world.submit(&compress(&upload)).await;
    world.job_ended(&quick, "completed").await;
    fs::write(&flag, "").unwrap();
    world.job_ended(&slow, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_in_the_place_of_a_checked_one_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let word = format!("swap-of-{}", std::process::id());
    let swap = format!("while :; do ln -s {{target}} link 2>/dev/null; mv -f link $out 2>/dev/null; done # {word}");
    for target in ["$key", "foreign"] {
        let foreign = foreign(folder.path());
        let data = folder.path().join("data");
        let swap = swap.replace("{target}", if target == "foreign" { foreign.to_str().unwrap() } else { "$KEY" });
        let key = data.join("master.key");
        let lines = format!(
            "export out KEY={}\nffmpeg \"$@\"\nsetsid sh -c '{swap}' & sh -c '{swap}' &\nexit 0",
            key.display()
        );
        let program = hijacked(folder.path(), &lines);
        for serve in [caged(&program), uncaged(&program)] {
            let room = tempfile::tempdir().unwrap();
            let mut world = World::start_over(room, data.clone(), serve).await;
            for _ in 0..3 {
                let job = ended(&mut world).await;
                if job["state"] == "completed" {
                    world.check_outputs(&job).await;
                    let sha256 = &job["outputs"][0]["file"]["sha256"];
                    for secret in [fs::read(&key).unwrap(), fs::read(&foreign).unwrap()] {
                        use sha2::Digest as _;
                        assert_ne!(*sha256, hex::encode(sha2::Sha256::digest(&secret)), "{job:#}");
                    }
                } else {
                    assert_eq!(error(&job)["code"], "output_invalid", "{job:#}");
                }
                assert!(with_words(&word).is_empty());
            }
            world.terminate().await;
            fs::remove_dir_all(&data).unwrap();
        }
    }
}

/// Tries each call from within the cage and says on standard error what came of it.
const TRIES: &str = r#"perl - $PPID <<'PERL' >&2
my $server = shift;
my ($secret, $socket) = ("SECRET", "SOCKET");
sub tried { my ($name, $worked) = @_; print STDERR ($worked ? "WORKED" : "REFUSED"), " $name\n" }
sub call { my $name = shift; tried($name, syscall($_[0], @_[1 .. $#_]) >= 0) }
my ($limit, $cpus, $zeros) = (pack("QQ", 77, 77), "\1" . "\0" x 127, "\0" x 128);
for my $victim ($server, SERVER) {
    call("prlimit $victim", PRLIMIT, $victim + 0, 7, $limit, 0);
    call("setpriority $victim", SETPRIORITY, 0, $victim + 0, 19);
    call("affinity $victim", SETAFFINITY, $victim + 0, 128, $cpus);
    call("kill $victim", KILL, $victim + 0, 9);
    call("tgkill $victim", TGKILL, $victim + 0, $victim + 0, 9);
    call("sigqueue $victim", SIGQUEUE, $victim + 0, 9, $zeros);
    call("pidfd $victim", PIDFD, $victim + 0, 0);
}
call("chmod", FCHMODAT, -100, $secret, 0666);
call("chown", FCHOWNAT, -100, $secret, 1, 1, 0);
call("utime", UTIMENSAT, -100, $secret, 0, 0);
my ($attribute, $value) = ("user.x", "1");
call("setxattr", SETXATTR, $secret, $attribute, $value, 1, 0);
tried("open", open(my $f, "<", $secret));
tried("truncate", truncate($secret, 0));
tried("unlink", unlink($secret));
call("socket", SOCKET_CALL, 1, 1, 0);
call("inet", SOCKET_CALL, 2, 1, 0);
call("user namespace", CLONE, 0x10000000 | 17, 0, 0, 0, 0);
call("network namespace", CLONE, 0x40000000 | 17, 0, 0, 0, 0);
call("unshare", UNSHARE, 0x10000000);
call("clone3", CLONE3, $zeros, 88);
call("setsid", SETSID);
call("setpgid", SETPGID, 0, 0);
call("shmget", SHMGET, 0, 4096, 01600);
call("x32 getpid", 0x40000000 + 39);
call("x32 socket", 0x40000000 + 41, 1, 1, 0);
call("ptrace", PTRACE, 16, $server + 0, 0, 0);
call("memfd", MEMFD, $attribute, 0);
call("forget the parent", PRCTL, 1, 0, 0, 0, 0);
tried("oom mark", open(my $g, ">", "/proc/self/oom_score_adj"));
print STDERR "ALL TRIED\n";
PERL
exit 7"#;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_beyond_its_folder_is_within_reach_of_a_tool() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "the secret").unwrap();
    let before = fs::metadata(&secret).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let numbers = [
        ("PRLIMIT", libc::SYS_prlimit64),
        ("SETPRIORITY", libc::SYS_setpriority),
        ("SETAFFINITY", libc::SYS_sched_setaffinity),
        ("TGKILL", libc::SYS_tgkill),
        ("KILL", libc::SYS_kill),
        ("SIGQUEUE", libc::SYS_rt_sigqueueinfo),
        ("PIDFD", libc::SYS_pidfd_open),
        ("FCHMODAT", libc::SYS_fchmodat),
        ("FCHOWNAT", libc::SYS_fchownat),
        ("UTIMENSAT", libc::SYS_utimensat),
        ("SETXATTR", libc::SYS_setxattr),
        ("SOCKET_CALL", libc::SYS_socket),
        ("CLONE3", libc::SYS_clone3),
        ("CLONE", libc::SYS_clone),
        ("UNSHARE", libc::SYS_unshare),
        ("SETSID", libc::SYS_setsid),
        ("SETPGID", libc::SYS_setpgid),
        ("SHMGET", libc::SYS_shmget),
        ("PTRACE", libc::SYS_ptrace),
        ("MEMFD", libc::SYS_memfd_create),
        ("PRCTL", libc::SYS_prctl),
    ];
    let mut lines = numbers.iter().fold(TRIES.to_owned(), |lines, (name, number)| {
        lines
            .replace(&format!(", {name},"), &format!(", {number},"))
            .replace(&format!(", {name})"), &format!(", {number})"))
    });
    lines = lines.replace("SECRET", secret.to_str().unwrap()).replace("SERVER", &std::process::id().to_string());
    let program = hijacked(folder.path(), &lines);
    let mut world = World::start(caged(&program).set("log", "debug")).await;
    let job = ended(&mut world).await;
    assert_eq!(error(&job)["code"], "encoder_failed", "{job:#}");
    let log = world.log();
    assert!(log.contains("ALL TRIED"), "the tries did not come to their end");
    let worked: Vec<&str> = log.split("WORKED ").skip(1).map(|rest| rest.split("\\n").next().unwrap_or(rest)).collect();
    assert!(worked.is_empty(), "{worked:?}");
    // Seven for each of two processes, and the rest.
    assert_eq!(log.matches("REFUSED ").count(), 2 * 7 + 22);
    let after = fs::metadata(&secret).unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"the secret");
    assert_eq!((before.permissions(), before.modified().unwrap()), (after.permissions(), after.modified().unwrap()));
    assert!(listener.accept().is_err(), "nothing came to the socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_takes_too_much_fails_its_own_step() {
    let folder = tempfile::tempdir().unwrap();
    let grow = "exec perl -e 'my @all; while (1) { push @all, \"x\" x (1 << 24); select undef, undef, undef, 0.01 }'";
    let children =
        "sh -c 'perl -e \"my @all; while (1) { push @all, 1 x (1 << 23); select undef, undef, undef, 0.01 }\"'";
    for (lines, setting, most, code) in [
        (grow.to_owned(), "media.max_memory_bytes", 256 << 20, "over_memory"),
        // Each of them stays below.
        (format!("{children} & {children} & {children} & wait"), "media.max_memory_bytes", 256 << 20, "over_memory"),
        ("echo 'Cannot allocate memory' >&2; exit 1".to_owned(), "media.max_memory_bytes", 256 << 20, "over_memory"),
        ("exec cat /dev/zero > $out".to_owned(), "media.max_output_bytes", 1 << 20, "over_limit"),
        (
            "n=0; while :; do head -c 1000000 /dev/zero > more$n; n=$((n + 1)); done".to_owned(),
            "media.max_output_bytes",
            1 << 20,
            "over_limit",
        ),
        ("while :; do sleep 1000 & done".to_owned(), "media.max_processes", 64, "over_processes"),
        ("while :; do echo frame=$((n = n + 1)); sleep 0.1; done".to_owned(), "media.max_wall_seconds", 2, "timed_out"),
    ] {
        let program = hijacked(folder.path(), &lines);
        let mut world = World::start(caged(&program).set(setting, most)).await;
        let job = ended(&mut world).await;
        let error = error(&job);
        assert_eq!(error["code"], code, "{lines}: {job:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&most.to_string()), "{message}");
        assert!(code == "timed_out" || message.contains(setting), "{message}");
        eventually("nothing of it is left", async || with_parent(&world.pid().to_string()).is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_dev_the_sandbox_is_required() {
    let world = World::start(Serve::public()).await;
    let said = world.command(&["doctor"]).await;
    assert!(said.contains("ABI"), "{said}");
    assert!(!world.log().contains("lacks a layer"));
}
