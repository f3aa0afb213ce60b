//! Pictures with alpha: the clips in front of a screen that are cut out, and means to look at what came out, pixel by
//! pixel, without the crate under test.

use std::io::Read as _;
use std::path::Path;

use crate::clips::{ffmpeg, tool};

/// Width and height of the clips.
pub(crate) const SIZE: (usize, usize) = (320, 180);
/// Frames of the clips, 25 a second.
pub(crate) const FRAMES: usize = 25;
/// The subject: a disc of this colour whose edge is six pixels soft, the outermost at this distance from its middle.
pub(crate) const SKIN: [u8; 3] = [180, 120, 90];
pub(crate) const RADIUS: f64 = 40.0;

/// Where the middle of the subject is in a frame.
pub(crate) fn middle(frame: usize) -> (usize, usize) {
    (100 + 4 * frame, 90)
}

/// One second of the subject moving before a screen of one colour, with a tone.
pub(crate) fn before_screen(path: &Path, color: [u8; 3], video: &str) {
    let [r, g, b] = color;
    let [red, green, blue] = SKIN;
    let disc = format!("a=255*clip(({RADIUS}-hypot(X-40\\,Y-40))/6\\,0\\,1)");
    let arguments = format!(
        "-f lavfi -i color=0x{r:02x}{g:02x}{b:02x}:s=320x180:r=25:d=1 \
         -f lavfi -i color=black:s=80x80:r=25:d=1,format=rgba,geq=r={red}:g={green}:b={blue}:{disc} \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=1 \
         -filter_complex [0][1]overlay=x=60+t*100:y=50:format=rgb,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p \
         -map 2:a -c:v {video} -crf 10 -colorspace bt709 -c:a aac {{}}"
    );
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    ffmpeg(&arguments.join(" "), &[path]);
}

/// One picture: red, green, blue and alpha of each pixel.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) pixels: Vec<[u8; 4]>,
}

impl Picture {
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 4] {
        self.pixels[y * self.width + x]
    }
}

/// All pictures of a video with alpha, or of one without.
pub(crate) fn pictures(path: &Path, (width, height): (usize, usize)) -> Vec<Picture> {
    // ffmpeg's own decoder of VP9 leaves the alpha out.
    let decoder = if path.extension().is_some_and(|extension| extension == "webm") { "-c:v libvpx-vp9 " } else { "" };
    let arguments = format!("{decoder}-i {{}} -map 0:v:0 -fps_mode passthrough -pix_fmt rgba -f rawvideo -");
    split(&ffmpeg(&arguments, &[path]).stdout, width, height)
}

/// All pictures of a ZIP archive of PNGs, in the order of their names.
pub(crate) fn archived(path: &Path, folder: &Path, size: (usize, usize)) -> Vec<Picture> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).expect("the archive")).expect("an archive");
    let mut bytes = Vec::new();
    for place in 0..zip.len() {
        let mut entry = zip.by_index(place).expect("an entry");
        assert_eq!(entry.name().expect("a name"), format!("frame_{:06}.png", place + 1));
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        entry.read_to_end(&mut bytes).expect("its checksum fits");
    }
    let all = folder.join("all.png");
    std::fs::write(&all, bytes).expect("it works");
    let arguments = "-f image2pipe -c:v png -i {} -fps_mode passthrough -pix_fmt rgba -f rawvideo -";
    split(&ffmpeg(arguments, &[&all]).stdout, size.0, size.1)
}

/// The first picture of an animated WebP, as a file of its own on a canvas of nothing.
pub(crate) fn first_of_webp(path: &Path, folder: &Path, size: (usize, usize)) -> Picture {
    let bytes = std::fs::read(path).expect("a file");
    let frame = bytes.windows(4).position(|word| word == b"ANMF").expect("a frame");
    let number =
        |at: usize| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8 | usize::from(bytes[at + 2]) << 16;
    let (x, y) = (number(frame + 8) * 2, number(frame + 11) * 2);
    let (width, height) = (number(frame + 14) + 1, number(frame + 17) + 1);
    let length = number(frame + 4) - 16;
    let mut still = b"WEBPVP8X\x0a\0\0\0\x10\0\0\0".to_vec();
    for side in [width - 1, height - 1] {
        still.extend(&u32::try_from(side).expect("small").to_le_bytes()[..3]);
    }
    still.extend(&bytes[frame + 24..frame + 24 + length]);
    let mut file = b"RIFF".to_vec();
    file.extend(u32::try_from(still.len()).expect("small").to_le_bytes());
    file.extend(still);
    let picture = folder.join("first.webp");
    std::fs::write(&picture, file).expect("it works");
    let part = pictures(&picture, (width, height)).remove(0);
    let mut whole = Picture { width: size.0, pixels: vec![[0; 4]; size.0 * size.1] };
    for row in 0..height {
        let from = (y + row) * size.0 + x;
        whole.pixels[from..from + width].copy_from_slice(&part.pixels[row * width..(row + 1) * width]);
    }
    whole
}

fn split(bytes: &[u8], width: usize, height: usize) -> Vec<Picture> {
    let frame = |bytes: &[u8]| {
        let pixels = bytes.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect();
        Picture { width, pixels }
    };
    assert_eq!(bytes.len() % (width * height * 4), 0, "whole pictures");
    bytes.chunks_exact(width * height * 4).map(frame).collect()
}

/// How many samples of sound there are, decoded.
pub(crate) fn samples(path: &Path) -> usize {
    tool("ffmpeg", &["-v", "error", "-i", "{}", "-map", "0:a", "-ac", "1", "-f", "s16le", "-"], &[path]).stdout.len()
        / 2
}

/// Whether colours are as close as codecs with halved colour bring them.
pub(crate) fn close(pixel: [u8; 4], color: [u8; 3], most: u8) -> bool {
    pixel.iter().zip(color).all(|(one, other)| one.abs_diff(other) <= most)
}

/// What is wrong with a subject that was cut out of its screen, whose strong channel is `channel`.
pub(crate) fn faults(picture: &Picture, frame: usize, channel: Option<usize>) -> Vec<String> {
    let mut faults = Vec::new();
    let (middle_x, middle_y) = middle(frame);
    let (mut soft, mut opaque) = (0, 0);
    for (place, &pixel) in picture.pixels.iter().enumerate() {
        let (x, y) = (place % picture.width, place / picture.width);
        let distance = (x as f64 - middle_x as f64).hypot(y as f64 - middle_y as f64);
        let [r, g, b, alpha] = pixel;
        if distance > RADIUS + 3.0 && alpha > 8 {
            faults.push(format!("{x},{y} is background and has alpha {alpha}"));
        }
        // Halved colour and the codec mix the outermost pixels of the solid part with the screen, all before our time.
        if distance < RADIUS - 12.0 && (alpha < 247 || !close(pixel, SKIN, 12)) {
            faults.push(format!("{x},{y} is subject and is {pixel:?}"));
        }
        soft += usize::from((24..=231).contains(&alpha));
        opaque += usize::from(alpha >= 128);
        if let Some(channel) = channel.filter(|_| alpha >= 48) {
            let others = [(channel + 1) % 3, (channel + 2) % 3].map(|other| [r, g, b][other]);
            if [r, g, b][channel] > others[0].max(others[1]).saturating_add(16) {
                faults.push(format!("{x},{y} is tinted: {pixel:?}"));
            }
        }
    }
    if soft < 200 {
        faults.push(format!("only {soft} pixels are soft"));
    }
    // A disc whose edge is half through at 37 pixels has 4300.
    if !(3900..=4800).contains(&opaque) {
        faults.push(format!("{opaque} pixels are opaque"));
    }
    faults.truncate(5);
    faults
}

/// How far from what can be seen a pixel has to be for its hidden colour to be of no use to it: beyond the margin that
/// keeps its colours, as far again as a codec's ringing goes.
const FAR: usize = 16;

/// Pixels that are clear, far from all that is not, and of another colour than all others of the kind.
pub(crate) fn leaks(picture: &Picture) -> Vec<String> {
    let height = picture.pixels.len() / picture.width;
    // Sums over rectangles from the upper left corner.
    let mut sums = vec![0_u32; (picture.width + 1) * (height + 1)];
    let at = |x: usize, y: usize| y * (picture.width + 1) + x;
    for y in 0..height {
        for x in 0..picture.width {
            let seen = u32::from(picture.at(x, y)[3] > 3);
            sums[at(x + 1, y + 1)] = seen + sums[at(x, y + 1)] + sums[at(x + 1, y)] - sums[at(x, y)];
        }
    }
    let mut hidden = Vec::new();
    for y in 0..height {
        for x in 0..picture.width {
            let (left, top) = (x.saturating_sub(FAR), y.saturating_sub(FAR));
            let (right, bottom) = ((x + FAR + 1).min(picture.width), (y + FAR + 1).min(height));
            let near = sums[at(right, bottom)] + sums[at(left, top)] - sums[at(left, bottom)] - sums[at(right, top)];
            if near == 0 {
                hidden.push((x, y));
            }
        }
    }
    assert!(hidden.len() > picture.pixels.len() / 3, "only {} pixels are hidden", hidden.len());
    let middle = |channel: usize| {
        let mut values: Vec<u8> = hidden.iter().map(|&(x, y)| picture.at(x, y)[channel]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let constant = [middle(0), middle(1), middle(2)];
    let leaks = hidden.iter().filter(|&&(x, y)| !close(picture.at(x, y), constant, 8));
    leaks.map(|&(x, y)| format!("{x},{y} hides {:?}, others {constant:?}", picture.at(x, y))).take(5).collect()
}
