//! Files of many pictures that ffprobe does not read: written or measured by our own hands.

pub(crate) mod sequence;
pub(crate) mod webp;

use reelhook_domain::media::{Color, MediaInfo, VideoInfo};

/// What is known of a file of pictures.
pub(crate) fn media(
    format: &str,
    codec: &str,
    size: (u32, u32),
    frames: u64,
    seconds: Option<f64>,
    samples: &str,
) -> MediaInfo {
    let frame_rate = seconds.filter(|&seconds| seconds > 0.0).map(|seconds| frames as f64 / seconds);
    let video = VideoInfo {
        codec: codec.to_owned(),
        profile: None,
        level: None,
        width: size.0,
        height: size.1,
        frame_rate,
        frames: Some(frames),
        rotation: 0,
        variable_frame_rate: false,
        pixel_format: Some(samples.to_owned()),
        square_pixels: true,
        color: Color::default(),
        light: None,
        interlaced: false,
        bit_rate: None,
        duration_seconds: seconds,
    };
    MediaInfo {
        format: format.to_owned(),
        duration_seconds: seconds,
        bit_rate: None,
        video: Some(video),
        audio: None,
        streams: 1,
        fast_start: None,
    }
}

fn invalid(what: impl Into<String>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.into())
}
