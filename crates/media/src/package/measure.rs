//! Measuring a package: the segments of each rendition, joined, are what the plan says, and line up.

use std::io;
use std::path::Path;

use reelhook_domain::media::MediaInfo;

use super::finish::{join, listing};
use super::listing::Listing;
use super::manifest::segments_named;
use super::{MANIFEST, MadePart, PackageExpectation, TrackExpectation};
use crate::beside::Compared;
use crate::error::MediaError;
use crate::plain;
use crate::plan::Damage;
use crate::probe;
use crate::samples::{Samples, Wanted, take_all};
use crate::seen::{Made, Sight};
use crate::tools::Toolbox;
use crate::verify::{self, Check, Expectation, Receipt};

/// Measures the package whose main file is `main`.
pub(crate) async fn measure(
    toolbox: &Toolbox,
    expect: &Expectation,
    package: &PackageExpectation,
    main: &Path,
    scratch: &Path,
    compared: Option<Compared<'_>>,
) -> Result<Receipt, MediaError> {
    let folder = main.parent().unwrap_or(scratch);
    let unusable = |error: io::Error| verify::broken(&error.to_string());
    let main_bytes = plain::size(main).map_err(unusable)?;
    let (mut checks, mut parts, mut shown) = (Vec::new(), Vec::new(), None::<MediaInfo>);
    for (number, track) in package.tracks.iter().enumerate() {
        let listing = listing(folder, number).await.map_err(unusable)?;
        let joined = join(&listing, folder).await?;
        let (info, demuxer) = look(toolbox, &joined, scratch).await?;
        checks.extend(compare(expect, package, track, &listing, &info));
        if let Some(compared) = compared {
            checks.extend(seen(toolbox, track, compared, &info, (&joined, demuxer), scratch).await?);
        }
        tokio::fs::remove_file(&joined).await?;
        for file in listing.files() {
            parts.push(part(folder, &file.name, track.mime_type(package.segment_format)).map_err(unusable)?);
        }
        if package.has_playlists() {
            let playlist = track.playlist();
            checks.push(same_files(folder, &listing, &playlist).map_err(unusable)?);
            parts.push(part(folder, &playlist, "application/vnd.apple.mpegurl").map_err(unusable)?);
        }
        match &mut shown {
            // The first rendition stands for all pictures.
            None => shown = Some(info),
            Some(shown) => shown.audio = shown.audio.take().or(info.audio),
        }
    }
    if package.has_manifest() {
        let text = plain::read_text(&folder.join(MANIFEST), plain::LIST).map_err(unusable)?;
        let listed = parts.iter().filter(|part| part.path.starts_with("seg-")).count();
        let named = segments_named(&text);
        checks.push(Check::new("manifest", named == Some(listed), listed.to_string(), format!("{named:?} segments")));
        if package.has_playlists() {
            parts.push(part(folder, MANIFEST, "application/dash+xml").map_err(unusable)?);
        }
    }
    if let Some(failure) = verify::failure(&checks) {
        return Err(MediaError::Failed(failure));
    }
    let mut info = shown.ok_or_else(|| verify::broken("it has no renditions"))?;
    info.format = expect.format.as_str().to_owned();
    info.streams = u32::try_from(package.tracks.len()).unwrap_or(u32::MAX);
    (info.bit_rate, info.fast_start) = (None, None);
    let lost_seconds = verify::lost(expect, &info);
    let size_bytes = main_bytes + parts.iter().map(|part| part.size_bytes).sum::<u64>();
    Ok(Receipt { info, size_bytes, checks, lost_seconds, parts, loudness: None })
}

/// What the joined segments of a rendition are, and how they are read.
async fn look(toolbox: &Toolbox, joined: &Path, scratch: &Path) -> Result<(MediaInfo, &'static str), MediaError> {
    let path = joined.to_owned();
    let seen = tokio::task::spawn_blocking(move || probe::look(&path)).await.map_err(io::Error::other)?;
    let seen = seen.map_err(|error| verify::broken(&error.to_string()))?;
    let report = toolbox.report(joined, scratch, seen.kind.demuxer, &["-count_packets"]).await?;
    let report = report.ok_or_else(|| verify::broken("its segments cannot be read"))?;
    let source = probe::judge(&seen, &report)?;
    Ok((source.info, source.demuxer))
}

/// Compares the picture of a rendition with that of the source.
async fn seen(
    toolbox: &Toolbox,
    track: &TrackExpectation,
    compared: Compared<'_>,
    info: &MediaInfo,
    (joined, demuxer): (&Path, &str),
    scratch: &Path,
) -> Result<Option<Check>, MediaError> {
    let samples = Samples::default();
    let (Some(seen), Some(video)) = (track.seen, &info.video) else { return Ok(None) };
    // Joined segments have no index.
    let made = Made { file: joined, samples: &samples, video, demuxer, jumps: false };
    let Some(sight) = Sight::of(toolbox, seen, (false, false), compared, made) else { return Ok(None) };
    let (there, here) = sight.taps();
    let there = Wanted { samples: compared.samples, file: compared.input, taps: vec![there] };
    take_all(toolbox, &[there, Wanted { samples: &samples, file: joined, taps: vec![here] }], scratch).await?;
    let check = sight.check(scratch).await?;
    Ok(check.map(|check| Check { name: format!("{} {}", track.name, check.name), ..check }))
}

fn compare(
    expect: &Expectation,
    package: &PackageExpectation,
    track: &TrackExpectation,
    listing: &Listing,
    info: &MediaInfo,
) -> Vec<Check> {
    let called = |what: &str| format!("{} {what}", track.name);
    let mut checks = Vec::new();
    let picture = |codec: &str, width, height| format!("{codec} {width}x{height}");
    let expected = track.video.as_ref().map(|video| picture(&video.codec, video.width, video.height));
    let measured = info.video.as_ref().map(|video| picture(&video.codec, video.width, video.height));
    checks.push(verify::alike(&called("video"), expected, measured));
    if let (Some(expected), Some(measured)) = (&track.video, &info.video) {
        checks.extend(verify::looks(&called(""), expected, measured));
    }
    let sound = |codec: &str, channels| format!("{codec}, {channels} channels");
    let expected = track.audio.as_ref().map(|audio| sound(&audio.codec, audio.channels));
    let measured = info.audio.as_ref().map(|audio| sound(&audio.codec, audio.channels));
    checks.push(verify::alike(&called("audio"), expected, measured));
    if let Some(span) = track.duration {
        let check = verify::duration(expect, span, Some(listing.seconds()));
        checks.push(Check { name: called("duration"), ..check });
    }
    if let Some(frames) = track.frames {
        let measured = info.video.as_ref().and_then(|video| video.frames);
        checks.push(verify::frames(&called("frames"), frames, measured));
    }
    // Where parts of the source are missing, segments are too.
    if let Some(rate) = track.frame_rate.filter(|_| expect.damage == Damage::Strict) {
        checks.push(grid(&called("segments"), package.segment_seconds, 1.5 / rate + 0.001, listing));
    }
    checks
}

/// Every segment but the last is as long as planned: each began with a key frame where one was due.
fn grid(name: &str, length: f64, tolerance: f64, listing: &Listing) -> Check {
    let (last, others) = listing.segments.split_last().expect("a listing has segments");
    let off = others.iter().find(|segment| (segment.seconds - length).abs() > tolerance);
    let off = off.or(Some(last).filter(|last| last.seconds > length + tolerance));
    let measured = off.map_or_else(|| "as long".to_owned(), |off| format!("{:.3} s in {}", off.seconds, off.name));
    Check::new(name, off.is_none(), format!("{length:.3} s each"), measured)
}

/// The playlist that is kept names the files that were measured.
fn same_files(folder: &Path, listing: &Listing, playlist: &str) -> io::Result<Check> {
    let kept = Listing::read(folder, playlist)?;
    let names = |listing: &Listing| listing.files().map(|file| file.name.clone()).collect::<Vec<_>>();
    let count = |listing: &Listing| format!("{} files", listing.files().count());
    Ok(Check::new(playlist, names(&kept) == names(listing), count(listing), count(&kept)))
}

fn part(folder: &Path, path: &str, mime_type: &str) -> io::Result<MadePart> {
    let file = folder.join(path);
    let size_bytes = plain::size(&file)?;
    Ok(MadePart { path: path.to_owned(), file, size_bytes, mime_type: mime_type.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::listing::Segment;
    use super::*;

    #[test]
    fn segments_off_the_grid_are_named() {
        let of = |lengths: &[f64]| {
            let segment = |&seconds| Segment { name: format!("{seconds}"), seconds, size_bytes: 1 };
            grid("a", 2.0, 0.05, &Listing { header: None, segments: lengths.iter().map(segment).collect() }).passed
        };
        assert!(of(&[2.0, 2.04, 0.3]) && of(&[1.0]));
        assert!(!of(&[2.0, 1.9, 0.3]) && !of(&[2.0, 4.0, 0.3]) && !of(&[2.0, 4.0]));
    }
}
