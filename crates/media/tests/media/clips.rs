//! Tiny clips, made by ffmpeg; and means to measure what came out that do not pass through the crate under test.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a program of the machine directly.
pub(crate) fn tool(program: &str, arguments: &[&str], paths: &[&Path]) -> Output {
    let mut paths = paths.iter();
    #[expect(clippy::disallowed_methods, reason = "a test makes and measures its clips outside of what it tests")]
    let mut command = Command::new(program);
    for argument in arguments {
        match *argument {
            "{}" => command.arg(format!("file:{}", paths.next().expect("a path").display())),
            argument => command.arg(argument),
        };
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs ffmpeg; each `{}` stands for the next of `paths`. `arguments` are separated by single spaces.
pub(crate) fn ffmpeg(arguments: &str, paths: &[&Path]) -> Output {
    let mut words = vec!["-nostdin", "-v", "error", "-y"];
    words.extend(arguments.split(' '));
    tool("ffmpeg", &words, paths)
}

/// Number of the frame in sixteen columns, black or white, most significant first: survives any codec and size.
const BARCODE: &str = "geq=lum=16+219*gt(bitand(N\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128";

/// Two seconds of numbered frames, 25 a second, with a tone; `video` and `more` go on ffmpeg's command line.
pub(crate) fn numbered(path: &Path, video: &str, more: &str) {
    let picture = format!("color=black:s=320x180:r=25:d=2,format=yuv420p,{BARCODE}");
    let arguments = format!(
        "-f lavfi -i {picture} -f lavfi -i sine=frequency=440:sample_rate=48000:duration=2 -c:v {video} {more} {{}}"
    );
    ffmpeg(&arguments, &[path]);
}

/// The usual clip: h264 and aac, index first.
pub(crate) fn usual(path: &Path) {
    numbered(path, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -b:a 96k -movflags +faststart -f mp4");
}

/// Numbers of all frames of a file, in the order in which they are shown.
pub(crate) fn numbers(path: &Path) -> Vec<u32> {
    let arguments = "-i {} -map 0:v:0 -fps_mode passthrough -vf scale=16:1:flags=area,format=gray -f rawvideo -";
    let bits = ffmpeg(arguments, &[path]).stdout;
    bits.chunks_exact(16).map(|row| row.iter().fold(0, |number, &bit| number << 1 | u32::from(bit > 127))).collect()
}

/// Times of all key frames or frames of a file, in seconds.
pub(crate) fn times(path: &Path, entries: &str) -> Vec<f64> {
    let arguments = ["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    let mut times: Vec<f64> = String::from_utf8_lossy(&said)
        .lines()
        .filter(|line| !entries.contains("flags") || line.contains('K'))
        .filter_map(|line| line.split(',').next()?.parse().ok())
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// How long after the beginning of the file its picture begins, in seconds.
pub(crate) fn picture_begins(path: &Path) -> f64 {
    let arguments = ["-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    let file: f64 = String::from_utf8_lossy(&said).trim().parse().expect("a start");
    times(path, "packet=pts_time")[0] - file
}

/// One value of the picture stream, as ffprobe tells it.
pub(crate) fn told(path: &Path, entry: &str) -> String {
    let entries = format!("stream={entry}");
    let arguments = ["-v", "error", "-select_streams", "v:0", "-show_entries", &entries, "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    String::from_utf8_lossy(&said).trim().trim_end_matches(',').to_owned()
}
