//! What was made, looked at with other eyes than the server's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use reelhook_egress::Request;
use serde_json::Value;
use url::Url;

use super::workshop::Workshop;
use crate::client;

/// Largest file of a result.
const LARGEST: u64 = 256 << 20;
/// How far a colour may be from the one that it is called by.
const TOLERANCE: i32 = 14;
/// From here on a sample is heard.
const HEARD: i32 = 1000;
/// Samples a second of what [`Seen::sound`] answers.
pub(super) const RATE: usize = 48_000;

/// A result on this machine.
pub(super) struct Seen {
    workshop: Arc<Workshop>,
    /// The output as the API reports it.
    output: Value,
    file: PathBuf,
}

/// A picture that was decoded.
pub(super) struct Picture {
    width: usize,
    height: usize,
    /// Bytes a pixel: three, or four with alpha.
    depth: usize,
    pixels: Vec<u8>,
}

impl Seen {
    /// Fetches a result, and what lies beside it, by their links.
    pub(super) async fn fetch(workshop: &Arc<Workshop>, output: &Value) -> anyhow::Result<Self> {
        let http = client::unrestricted()?;
        let room = workshop.room()?;
        let get = async |link: &Value, path: &str| -> anyhow::Result<()> {
            let mut request = Request::get(Url::parse(link.as_str().context("a file has no link")?)?);
            request.response_cap = LARGEST;
            let answer = http.send(request).await?;
            ensure!(answer.status.is_success(), "the link to {path} answers {}", answer.status);
            let place = room.join(path);
            tokio::fs::create_dir_all(place.parent().unwrap_or(&room)).await?;
            Ok(tokio::fs::write(&place, &answer.body).await?)
        };
        let about = &output["file"];
        let name = about["name"].as_str().context("nothing was made")?;
        get(&about["url"], name).await?;
        for part in about["parts"].as_array().into_iter().flatten() {
            get(&part["url"], part["path"].as_str().unwrap_or("part")).await?;
        }
        Ok(Self { workshop: Arc::clone(workshop), output: output.clone(), file: room.join(name) })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(std::fs::read(&self.file)?)
    }

    /// What the server says became of each stream and page, in one line.
    pub(super) fn plan(&self) -> String {
        let lines = self.output["plan"].as_array().into_iter().flatten();
        let lines =
            lines.map(|line| ["stream", "action", "reason"].map(|key| line[key].as_str().unwrap_or("")).join(" "));
        lines.collect::<Vec<_>>().join("; ")
    }

    /// What ffprobe says with these arguments.
    pub(super) fn probe(&self, arguments: &str) -> anyhow::Result<Value> {
        let path = self.file.to_string_lossy();
        let words: Vec<&str> = arguments.split_whitespace().chain(["-of", "json", &*path]).collect();
        Ok(serde_json::from_slice(&self.workshop.ffprobe(&words)?)?)
    }

    /// Its first picture as RGB, as it is stored: a turn that only a tag asks for is not applied.
    pub(super) fn picture(&self) -> anyhow::Result<Picture> {
        self.decoded("-noautorotate", "rgb24")
    }

    /// The same with alpha; `decoder` is what ffmpeg must be told of its own accord.
    pub(super) fn picture_with_alpha(&self, decoder: &str) -> anyhow::Result<Picture> {
        self.decoded(decoder, "rgba")
    }

    fn decoded(&self, before: &str, pixels: &str) -> anyhow::Result<Picture> {
        let path = self.file.to_string_lossy();
        let after = ["-i", &*path, "-frames:v", "1", "-f", "image2pipe", "-c:v", "pam", "-pix_fmt", pixels, "-"];
        let words: Vec<&str> = before.split_whitespace().chain(after).collect();
        Picture::read(&self.workshop.ffmpeg(&words)?)
    }

    /// How many frames its picture decodes to.
    pub(super) fn frames(&self) -> anyhow::Result<u64> {
        let told = self.probe("-select_streams v:0 -count_frames -show_entries stream=nb_read_frames")?;
        let frames = told["streams"][0]["nb_read_frames"].as_str().context("no frames were counted")?;
        Ok(frames.parse()?)
    }

    /// Its first sound as samples of one channel, 48,000 a second, from the beginning of the whole: what begins late is
    /// preceded by silence.
    pub(super) fn sound(&self) -> anyhow::Result<Vec<i32>> {
        let path = self.file.to_string_lossy();
        let filter = "aresample=48000:async=1:first_pts=0,aformat=s16:48000:mono";
        let words = ["-i", &*path, "-map", "0:a:0", "-af", filter, "-f", "s16le", "-"];
        let bytes = self.workshop.ffmpeg(&words)?;
        Ok(bytes.chunks_exact(2).map(|two| i32::from(i16::from_le_bytes([two[0], two[1]]))).collect())
    }

    /// How long its sound is, to a tenth of a second.
    pub(super) fn sound_seconds(&self) -> anyhow::Result<String> {
        Ok(format!("{:.1} s", self.sound()?.len() as f64 / RATE as f64))
    }

    /// When its sound is first heard, to a tenth of a second.
    pub(super) fn sound_begins(&self) -> anyhow::Result<String> {
        let first = self.sound()?.iter().position(|sample| sample.abs() > HEARD).context("nothing is heard")?;
        Ok(format!("{:.1} s", first as f64 / RATE as f64))
    }

    /// Its streams in their order, as `audio eng aac`.
    pub(super) fn streams(&self) -> anyhow::Result<String> {
        let told = self.probe("-show_streams")?;
        let told = told["streams"].as_array().into_iter().flatten();
        let stream = |stream: &Value| {
            let kind = stream["codec_type"].as_str().unwrap_or("unknown").to_owned();
            let language = stream["tags"]["language"].as_str().filter(|language| *language != "und");
            language.map_or(kind.clone(), |language| format!("{kind} {language}"))
        };
        Ok(told.map(stream).collect::<Vec<_>>().join(", "))
    }

    /// A field of its first stream of video, as ffprobe says it.
    pub(super) fn video(&self, field: &str) -> anyhow::Result<String> {
        let told = self.probe("-select_streams v:0 -show_streams")?;
        Ok(told["streams"][0][field].as_str().unwrap_or("unknown").to_owned())
    }

    /// Where a file lies that was made beside it.
    pub(super) fn file_beside(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }

    /// The height of the picture in a file beside it, decoded to its end, and how many frames that took.
    pub(super) fn rendition(&self, path: &Path) -> anyhow::Result<(u64, u64)> {
        let beside = Self { workshop: Arc::clone(&self.workshop), output: Value::Null, file: path.to_owned() };
        let told = beside.probe("-select_streams v:0 -show_streams")?;
        Ok((told["streams"][0]["height"].as_u64().unwrap_or(0), beside.frames()?))
    }
}

impl Picture {
    /// Reads a picture in PAM, which says itself how large it is.
    fn read(pam: &[u8]) -> anyhow::Result<Self> {
        let end = b"ENDHDR\n";
        let at = pam.windows(end.len()).position(|window| window == end).context("ffmpeg decoded no picture")?;
        let head = String::from_utf8_lossy(&pam[..at]);
        let words: BTreeMap<&str, &str> = head.lines().filter_map(|line| line.split_once(' ')).collect();
        let number = |key| words.get(key).and_then(|word| word.parse().ok()).context("a picture without a size");
        let (width, height, depth) = (number("WIDTH")?, number("HEIGHT")?, number("DEPTH")?);
        let pixels = pam[at + end.len()..].to_vec();
        ensure!(pixels.len() >= width * height * depth, "ffmpeg decoded half a picture");
        Ok(Self { width, height, depth, pixels })
    }

    fn at(&self, x: usize, y: usize) -> &[u8] {
        let start = (y * self.width + x) * self.depth;
        &self.pixels[start..start + self.depth]
    }

    /// Its size and the colours in the middle of its quarters: `320x240: red green / blue yellow`.
    pub(super) fn patches(&self) -> String {
        let (x, y) = (self.width / 4, self.height / 4);
        let [a, b, c, d] = [(x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y)].map(|(x, y)| colour(self.at(x, y)));
        format!("{}x{}: {a} {b} / {c} {d}", self.width, self.height)
    }

    /// Whether its left and its right half are seen or seen through.
    pub(super) fn halves(&self) -> String {
        let named = |x: usize| match self.at(x, self.height / 2).get(3) {
            Some(0..=8) => "clear".to_owned(),
            Some(247..) | None => "opaque".to_owned(),
            Some(alpha) => format!("alpha {alpha}"),
        };
        format!("{} left, {} right", named(self.width / 4), named(3 * self.width / 4))
    }
}

/// The name of a colour, or its numbers.
fn colour(pixel: &[u8]) -> String {
    let named = [("red", [255, 0, 0]), ("green", [0, 255, 0]), ("blue", [0, 0, 255]), ("yellow", [255, 255, 0])];
    let is_near = |colour: &[u8; 3]| {
        colour.iter().zip(pixel).all(|(one, other)| (i32::from(*one) - i32::from(*other)).abs() <= TOLERANCE)
    };
    let found = named.iter().find(|(_, colour)| is_near(colour));
    found.map_or_else(|| format!("{:?}", &pixel[..3]), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_and_its_colours_are_named() {
        let pixels = [[250, 4, 0, 255], [0, 255, 0, 0], [0, 0, 255, 255], [90, 90, 90, 128]].concat();
        let head = b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n";
        let mut wide = Picture::read(&[&head[..], &pixels].concat()).unwrap();
        assert_eq!(colour(wide.at(0, 0)), "red");
        assert_eq!(colour(wide.at(1, 1)), "[90, 90, 90]");
        // Twice as large, so that each quarter has a middle.
        let rows = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]];
        wide.pixels = rows.as_flattened().iter().flat_map(|at| pixels[4 * at..4 * at + 4].to_vec()).collect();
        (wide.width, wide.height) = (4, 4);
        assert_eq!(wide.patches(), "4x4: red green / blue [90, 90, 90]");
        assert_eq!(wide.halves(), "opaque left, alpha 128 right");
        assert!(Picture::read(b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nENDHDR\nxx").is_err());
    }
}
