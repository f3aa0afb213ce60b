//! From what ffmpeg wrote to what is kept: playlists under their own names, and a manifest with what was measured.

use std::io;
use std::path::{Path, PathBuf};

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::SegmentFormat;

use super::listing::{Listing, attribute};
use super::manifest::{self, Track};
use super::{MANIFEST, MASTER, PackageExpectation, TrackExpectation, raw_playlist};
use crate::error::MediaError;
use crate::plain;
use crate::tools::Toolbox;

/// What our AAC is called: low complexity.
const AAC: &str = "mp4a.40.2";

/// Writes the playlists and the manifest of the package in `folder`. Gives how many bytes all of it has.
pub(crate) async fn finish(toolbox: &Toolbox, package: &PackageExpectation, folder: &Path) -> Result<u64, MediaError> {
    let raw_master = plain::read_text(&folder.join(MASTER), plain::LIST)?;
    let mut tracks = Vec::new();
    for (number, expect) in package.tracks.iter().enumerate() {
        let listing = listing(folder, number).await?;
        let codec = match &expect.video {
            None => AAC.to_owned(),
            Some(video) if video.codec == "h265" => h265(toolbox, package.segment_format, &listing, folder).await?,
            Some(_) => told(&raw_master, number).ok_or_else(|| unclear(expect))?,
        };
        tracks.push(Track { expect, listing, codec });
    }
    if package.has_playlists() {
        for Track { expect, listing, .. } in &tracks {
            plain::write(&folder.join(expect.playlist()), manifest::playlist(package, listing))?;
        }
        plain::write(&folder.join(MASTER), manifest::master(package, &tracks))?;
    }
    if package.has_manifest() {
        let raw = plain::read_text(&folder.join(MANIFEST), plain::LIST)?;
        plain::write(&folder.join(MANIFEST), manifest::manifest(&raw, &tracks, package.shape))?;
    }
    Ok(tracks.iter().flat_map(|track| track.listing.files()).map(|file| file.size_bytes).sum())
}

/// What ffmpeg's own playlist says of a rendition.
pub(super) async fn listing(folder: &Path, number: usize) -> io::Result<Listing> {
    let folder = folder.to_owned();
    let work = move || Listing::read(&folder, &raw_playlist(number));
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What ffmpeg calls the codec of a picture.
fn told(master: &str, number: usize) -> Option<String> {
    let playlist = raw_playlist(number);
    let mut lines = master.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut last = "";
    let variant = lines.find_map(|line| {
        if line == playlist {
            Some(last)
        } else {
            last = line;
            None
        }
    })?;
    let codec = attribute(variant, "CODECS")?.split(',').next()?;
    (!codec.is_empty()).then(|| codec.to_owned())
}

/// What players call H.265 of that profile and level; older versions of ffmpeg say `hvc1` alone.
///
/// # Source
/// ISO/IEC 14496-15, annex E.3: profile, compatibility flags in reverse, tier and level, constraints.
async fn h265(
    toolbox: &Toolbox,
    format: SegmentFormat,
    listing: &Listing,
    folder: &Path,
) -> Result<String, MediaError> {
    let first = Listing { segments: listing.segments.iter().take(1).cloned().collect(), ..listing.clone() };
    let joined = join(&first, folder).await?;
    let demuxer = if format == SegmentFormat::Ts { "mpegts" } else { "mov" };
    let report = toolbox.report(&joined, folder, demuxer, &[]).await?;
    tokio::fs::remove_file(&joined).await?;
    let video = report.as_ref().and_then(|report| report.streams.iter().find(|stream| stream.is_video()));
    let video = video.map(crate::report::Stream::video);
    let ten_bits = video.as_ref().and_then(|video| video.profile.as_deref()) == Some("Main 10");
    let profile = if ten_bits { "2.4" } else { "1.6" };
    let level = video.and_then(|video| video.level).unwrap_or(120);
    Ok(format!("hvc1.{profile}.L{level}.B0"))
}

/// All files of a rendition as one, in the same folder.
pub(super) async fn join(listing: &Listing, folder: &Path) -> io::Result<PathBuf> {
    let joined = folder.join("joined.media");
    let (to, folder) = (joined.clone(), folder.to_owned());
    let files: Vec<_> = listing.files().map(|file| folder.join(&file.name)).collect();
    let work = move || -> io::Result<()> {
        let mut to = plain::create(&to)?;
        for file in files {
            io::copy(&mut plain::open_made(&file)?, &mut to)?;
        }
        Ok(())
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
    Ok(joined)
}

fn unclear(track: &TrackExpectation) -> MediaError {
    let message = format!("the codec of the rendition {} was not told", track.name);
    MediaError::Failed(JobFailure::server(Stage::Encoding, "output_invalid", message))
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn the_codec_of_a_picture_is_read_from_its_variant() {
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.64000d,mp4a.40.2\",AUDIO=\"a\"\nmedia_0.m3u8\n\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nmedia_1.m3u8\n";
        assert_eq!(told(master, 0).as_deref(), Some("avc1.64000d"));
        assert_eq!(told(master, 1), None);
        assert_eq!(told(master, 2), None);
    }
}
