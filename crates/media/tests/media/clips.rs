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

/// A frame as it is shown.
pub(crate) struct Shown {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<u8>,
}

impl Shown {
    /// The pixel at a share of width and height.
    pub(crate) fn at(&self, (x, y): (f64, f64)) -> [u8; 4] {
        let column = ((x * self.width as f64) as usize).min(self.width - 1);
        let row = ((y * self.height as f64) as usize).min(self.height - 1);
        let at = (row * self.width + column) * 4;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2], self.pixels[at + 3]]
    }

    /// Width and height of the smallest box around all pixels that `is_in` takes.
    pub(crate) fn bounds(&self, is_in: impl Fn([u8; 4]) -> bool) -> (usize, usize) {
        let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
        for (number, pixel) in self.pixels.chunks_exact(4).enumerate() {
            if is_in([pixel[0], pixel[1], pixel[2], pixel[3]]) {
                let (x, y) = (number % self.width, number / self.width);
                (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
            }
        }
        if left > right { (0, 0) } else { (right - left + 1, bottom - top + 1) }
    }
}

/// The frame that is shown at a second, with its transparency: VP8 and VP9 by the decoders that see it.
pub(crate) fn picture(path: &Path, second: f64) -> Shown {
    let codec = told(path, "codec_name");
    let decoder = match codec.as_str() {
        "vp8" => " -c:v libvpx",
        "vp9" => " -c:v libvpx-vp9",
        _ => "",
    };
    let start = if second > 0.0 { format!(" -ss {second}") } else { String::new() };
    // The header of a portable any-map tells the size of what is shown.
    let exact = "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
    // Decoded from the beginning, as a jump into a GIF shows what changed and nothing else.
    let arguments = format!("{decoder} -i {{}}{start} -frames:v 1 -vf {exact},format=rgba -f image2pipe -c:v pam -");
    let arguments = arguments.trim_start();
    let said = ffmpeg(arguments, &[path]).stdout;
    let head = b"ENDHDR\n";
    let end = said.windows(head.len()).position(|window| window == head).expect("a header") + head.len();
    let text = String::from_utf8_lossy(&said[..end]);
    let number = |key: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a field of the header");
        line.trim().parse().expect("a number")
    };
    Shown { width: number("WIDTH"), height: number("HEIGHT"), pixels: said[end..].to_vec() }
}

/// Whether two colours are the same but for what a lossy codec changes.
pub(crate) fn near(one: [u8; 4], other: [u8; 3], most: u8) -> bool {
    one.iter().zip(other).all(|(&a, b)| a.abs_diff(b) <= most)
}
