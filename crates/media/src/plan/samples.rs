//! Sources and machines for the tests of plans.

use reelhook_domain::media::{AudioInfo, Color, MediaInfo, VideoInfo};

use crate::capabilities::Capabilities;
use crate::extras::Extras;
use crate::probe::Source;
use crate::sandbox::Layers;

pub(crate) fn video(width: u32, height: u32) -> VideoInfo {
    VideoInfo {
        codec: "h264".to_owned(),
        profile: Some("High".to_owned()),
        level: Some(40),
        width,
        height,
        frame_rate: Some(25.0),
        frames: Some(250),
        rotation: 0,
        variable_frame_rate: false,
        pixel_format: Some("yuv420p".to_owned()),
        square_pixels: true,
        color: Color::default(),
        light: None,
        interlaced: false,
        bit_rate: Some(2_000_000),
        duration_seconds: Some(10.0),
    }
}

pub(crate) fn audio() -> AudioInfo {
    AudioInfo {
        codec: "aac".to_owned(),
        channels: 2,
        sample_rate: 48_000,
        bit_rate: Some(128_000),
        duration_seconds: Some(10.0),
        depth: None,
    }
}

/// Ten seconds of 1080p at 25 frames a second with stereo sound, in an mp4 with the index first.
pub(crate) fn clip() -> Source {
    Source {
        info: MediaInfo {
            format: "mp4".to_owned(),
            duration_seconds: Some(10.0),
            bit_rate: Some(2_200_000),
            video: Some(video(1920, 1080)),
            audio: Some(audio()),
            streams: 2,
            fast_start: Some(true),
        },
        demuxer: "mov",
        size_bytes: 2_750_000,
        video_index: Some(0),
        audio_index: Some(1),
        video_start: 0.0,
        audio_start: 0.0,
        audio_block: 1024,
        extras: Extras::default(),
        video_setup: Some("SHA256:00, 1/12800, avc1".to_owned()),
        still: false,
        measured: true,
        demuxer_options: &[],
        lenient: false,
        clock_jumps: 0,
        unshown_frames: 0,
        delayed_picture: false,
        damage: None,
    }
}

/// A machine that has everything.
pub(crate) fn capabilities() -> Capabilities {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Capabilities {
        version: "5.1.9".to_owned(),
        encoders: set(&[
            "libx264",
            "libx265",
            "libvpx-vp9",
            "libsvtav1",
            "libaom-av1",
            "aac",
            "libopus",
            "libmp3lame",
            "flac",
            "pcm_u8",
            "mov_text",
            "subrip",
            "webvtt",
            "pcm_s16le",
            "pcm_s24le",
            "pcm_s32le",
            "pcm_f32le",
            "pcm_f64le",
            "gif",
            "mjpeg",
            "png",
            "libwebp",
            "libwebp_anim",
            "prores_ks",
            "qtrle",
        ]),
        decoders: set(&["h264", "libvpx", "libvpx-vp9"]),
        muxers: set(&["mp4", "mov", "matroska", "webm", "dash", "hls"]),
        filters: set(&["scale", "zscale", "tonemap", "bwdif", "palettegen", "paletteuse"]),
        heif: None,
        layers: Layers { landlock: 6, seccomp: true },
        threads: 0,
    }
}
