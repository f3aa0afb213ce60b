//! ffmpeg, ffprobe, heif-convert and the sandbox.

use reelhook_media::sandbox::LEAST_LANDLOCK;
use reelhook_media::{Capabilities, Layers, MediaError, Toolbox, heif};

use super::Finding;
use crate::settings::Settings;
use crate::wiring;

/// What recipes need: any encoder of a group will do.
const NEEDED: &[(&str, &[&str])] = &[
    ("h264", &["libx264"]),
    ("h265", &["libx265"]),
    ("vp9", &["libvpx-vp9"]),
    ("av1", &["libsvtav1", "libaom-av1"]),
    ("aac", &["aac"]),
    ("mp3", &["libmp3lame"]),
    ("opus", &["libopus"]),
    ("flac", &["flac"]),
    ("jpg", &["mjpeg"]),
    ("png", &["png"]),
    ("webp", &["libwebp"]),
    ("gif", &["gif"]),
];

pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    let mut findings = match wiring::tool_settings(settings) {
        Ok(tools) => match Toolbox::detect(tools).await {
            Ok(toolbox) => found(toolbox.capabilities()),
            Err(error) => vec![not_found(&error)],
        },
        Err(error) => vec![Finding::fail("ffmpeg", format!("{error:#}"), "")],
    };
    findings.push(no_new_privs());
    findings
}

fn not_found(error: &MediaError) -> Finding {
    match error {
        MediaError::ToolMissing { program, hint } => {
            Finding::fail("ffmpeg", format!("cannot use {program}"), hint.clone())
        }
        MediaError::Sandbox { reason } => Finding::fail(
            "sandbox",
            reason.clone(),
            "use a kernel with Landlock (Linux 6.2 or later) and seccomp, or set media.sandbox to auto",
        ),
        other => Finding::fail("ffmpeg", other.to_string(), "run ffmpeg -version by hand to see more"),
    }
}

fn found(capabilities: &Capabilities) -> Vec<Finding> {
    let mut findings = vec![Finding::pass("ffmpeg", format!("ffmpeg {} and ffprobe", capabilities.version))];
    let (there, missing): (Vec<_>, Vec<_>) =
        NEEDED.iter().partition(|(_, encoders)| encoders.iter().any(|encoder| capabilities.encodes(encoder)));
    let names =
        |group: Vec<&(&'static str, _)>| group.into_iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (there, missing) = (names(there), names(missing));
    findings.push(if missing.is_empty() {
        Finding::pass("encoders", there)
    } else {
        let advice = "outputs that need them fail with a clear error; an ffmpeg with more libraries has them";
        Finding::warn("encoders", format!("{there}; not {missing}"), advice)
    });
    findings.push(match &capabilities.heif {
        Some(version) => Finding::pass("heic", format!("heif-convert {version}")),
        None => Finding::warn(
            "heic",
            "heif-convert is not installed",
            format!("photos in HEIC are refused; install it (Debian: {})", heif::PACKAGE),
        ),
    });
    findings.push(landlock(capabilities.layers));
    findings.push(if capabilities.layers.seccomp {
        Finding::pass("seccomp", "a list of allowed system calls is enforced")
    } else {
        Finding::warn(
            "seccomp",
            "missing",
            "ffmpeg could open network sockets and reach other processes; use a kernel with seccomp filters",
        )
    });
    findings
}

/// What Landlock enforces here, and what it would with a newer kernel.
fn landlock(layers: Layers) -> Finding {
    if layers.landlock == 0 {
        let advice = "ffmpeg could read files of the server's user; use a kernel from 6.2 with Landlock switched on";
        return Finding::warn("landlock", "missing", advice);
    }
    let open = layers.left_open();
    let mut seen = format!("ABI {}: files are enforced", layers.landlock);
    if !open.is_empty() {
        seen = format!("{seen}; not enforced: {}", open.join(", "));
    }
    if layers.landlock < LEAST_LANDLOCK {
        let advice = format!("media.sandbox = \"require\" needs ABI {LEAST_LANDLOCK}: use a kernel from 6.2");
        return Finding::warn("landlock", seen, advice);
    }
    Finding::pass("landlock", seen)
}

/// The kernel shows the bit for every process, if it has it.
fn no_new_privs() -> Finding {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("NoNewPrivs:")) {
        Finding::pass("privileges", "no_new_privs is available")
    } else {
        Finding::warn("privileges", "no_new_privs is not available", "mount /proc, or use a kernel from 3.5")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    #[test]
    fn what_landlock_enforces_is_told_by_its_number() {
        let finding = |landlock| super::landlock(Layers { landlock, seccomp: true });
        assert_eq!((finding(6).verdict, finding(6).seen.as_str()), (Verdict::Pass, "ABI 6: files are enforced"));
        assert_eq!(finding(3).verdict, Verdict::Pass);
        assert!(finding(3).seen.contains("not enforced: TCP"), "{}", finding(3).seen);
        for old in [0, 1, 2] {
            assert_eq!(finding(old).verdict, Verdict::Warn);
            assert!(finding(old).advice.contains("6.2"), "{}", finding(old).advice);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut capabilities = Capabilities { version: "7.1".to_owned(), ..Capabilities::default() };
        capabilities.encoders =
            NEEDED.iter().filter(|(name, _)| *name != "av1").map(|(_, all)| all[0].to_owned()).collect();
        let findings = found(&capabilities);
        assert_eq!(findings[1].verdict, Verdict::Warn);
        assert!(findings[1].seen.ends_with("not av1"), "{}", findings[1].seen);
        assert_eq!(findings[2].verdict, Verdict::Warn);
        assert!(findings[2].advice.contains("libheif-examples"), "{}", findings[2].advice);
        assert_eq!(findings[3].verdict, Verdict::Warn);
        capabilities.encoders.insert("libaom-av1".to_owned());
        capabilities.heif = Some("1.15.1".to_owned());
        let findings = found(&capabilities);
        assert_eq!(findings[1].verdict, Verdict::Pass);
        assert_eq!((findings[2].verdict, findings[2].seen.as_str()), (Verdict::Pass, "heif-convert 1.15.1"));
    }
}
