//! Verbs of uploads.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use reelhook_domain::media::MediaInfo;
use reelhook_files::{FilesError, Key};
use reelhook_store::Upload;

use super::{Caller, Desk};
use crate::problem::Problem;

/// How long a sender may pause.
const STALL: Duration = Duration::from_secs(60);

/// An upload whose bytes are kept and which nothing names yet. Dropped, by a refusal or because the caller left, it is
/// removed.
pub(crate) struct Kept {
    desk: Desk,
    upload: Option<Upload>,
}

impl Kept {
    /// What was kept.
    pub(crate) fn upload(&self) -> &Upload {
        self.upload.as_ref().expect("it is taken only by what consumes it")
    }

    /// Notes with it what its sender said.
    pub(crate) fn say(&mut self, said: serde_json::Value) {
        if let Some(upload) = &mut self.upload {
            upload.said = said;
        }
    }

    /// Notes it, so that jobs can name it.
    pub(crate) async fn note(self) -> Result<Upload, Problem> {
        let desk = self.desk.clone();
        // The store may have noted it even where this is dropped before its answer came.
        let upload = self.hand_over();
        if let Err(error) = desk.store().create_upload(upload.clone()).await {
            desk.forget(&upload).await;
            return Err(error.into());
        }
        Ok(upload)
    }

    /// Gives it to what notes it, or [forgets](Desk::forget) it.
    pub(crate) fn hand_over(mut self) -> Upload {
        self.upload.take().expect("it is taken only by what consumes it")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        // On its own, since a drop cannot wait; the sweep finds it when the process ends first.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let desk = self.desk.clone();
            runtime.spawn(async move { desk.forget(&upload).await });
        }
    }
}

impl Desk {
    /// Streams an upload to where it is kept, within the cap, and notes it.
    pub(crate) async fn receive<S, E>(&self, caller: Caller, name: &str, stream: S) -> Result<Upload, Problem>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.receive_within(caller, name, stream, u64::MAX).await
    }

    /// The same within another cap, where that is lower.
    pub(crate) async fn receive_within<S, E>(
        &self,
        caller: Caller,
        name: &str,
        stream: S,
        cap: u64,
    ) -> Result<Upload, Problem>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.keep(caller, name, stream, cap).await?.note().await
    }

    /// Removes the bytes of an upload that was not noted: nobody will ever name them. Should this fail too, the sweep
    /// finds them.
    pub(crate) async fn forget(&self, upload: &Upload) {
        if let Err(error) = self.files().delete(&Key::upload(upload.id)).await {
            tracing::warn!(error = %error, upload.id = %upload.id, "an upload that was not noted stays on the disk for now");
        }
    }

    /// Streams an upload to where it is kept, within the cap and our own. It is removed again unless it is noted.
    pub(crate) async fn keep<S, E>(&self, caller: Caller, name: &str, stream: S, cap: u64) -> Result<Kept, Problem>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let cap = cap.min(self.limits().upload_bytes);
        let id = self.ambient().id();
        let mut incoming = self.incoming(caller.account).await?;
        let mut refused = None;
        let patient = futures::stream::unfold(Some(stream), |stream| async {
            let mut stream = stream?;
            match tokio::time::timeout(STALL, stream.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(stream))),
                Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
                Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
            }
        });
        let counted = patient.map(|came| {
            let bytes: Bytes = came?;
            incoming.take(bytes.len() as u64).map_err(|problem| {
                refused = Some(problem);
                std::io::Error::other("the account has all that it may have")
            })?;
            Ok(bytes)
        });
        let stored = self.files().put_stream(&Key::upload(id), Box::pin(counted), cap).await;
        let stored = match (stored, refused) {
            (Err(_), Some(problem)) => return Err(problem),
            (stored, _) => stored?,
        };
        incoming.finish();
        fail::fail_point!("api.upload_stored");
        let now = self.ambient().now();
        let upload = Upload {
            id,
            account: caller.account,
            name: shown_name(name),
            size_bytes: stored.size_bytes,
            sha256: stored.sha256,
            sha1: stored.sha1,
            said: serde_json::Value::Null,
            created_at: now,
            expires_at: now + self.limits().upload_keep,
        };
        Ok(Kept { desk: self.clone(), upload: Some(upload) })
    }

    /// Goes on where an upload of so many bytes is within the cap, before any of them is read.
    pub(crate) fn check_announced(&self, bytes: u64) -> Result<(), Problem> {
        let cap = self.limits().upload_bytes;
        if bytes > cap { Err(FilesError::TooLarge { cap }.into()) } else { Ok(()) }
    }

    /// Goes on where the disk has room for files.
    pub(crate) fn check_room(&self) -> Result<(), Problem> {
        match self.files().room() {
            Ok(room) if room.is_low() => Err(FilesError::Full.into()),
            // What cannot be asked is told by the write that fails.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What an uploaded video holds; nothing where this machine lacks the tools to look. Where it is no video in one of
    /// those formats, whatever its name says, the text for its sender that says so.
    pub(crate) async fn look_at_video(
        &self,
        upload: &Upload,
        taken: &[&str],
    ) -> Result<Result<Option<MediaInfo>, String>, Problem> {
        let path = self.files().local_path(&Key::upload(upload.id), self.files().scratch()).await?;
        let media = match (self.services().probe)(path).await {
            Ok(media) => media,
            Err(failure) => return Ok(Err(failure.message)),
        };
        if let Some(media) = media.as_ref().filter(|media| media.video.is_none() || !taken.contains(&&*media.format)) {
            return Ok(Err(format!("the file is {}, not a video in one of {}", media.format, taken.join(", "))));
        }
        Ok(Ok(media))
    }
}

/// A name that is safe to show and to save under: the last part of a path, without control characters, at most 255 bytes.
fn shown_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut shown: String = last.chars().filter(|letter| !letter.is_control()).collect();
    while shown.len() > 255 {
        shown.pop();
    }
    if shown.trim_matches(['.', ' ']).is_empty() { "input".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_to_show() {
        for (name, expected) in [
            ("clip.mp4", "clip.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\clips\\a.mov", "a.mov"),
            ("a\nb\r\0.mp4", "ab.mp4"),
            ("..", "input"),
            ("", "input"),
            ("-rf %d.mp4", "-rf %d.mp4"),
        ] {
            assert_eq!(shown_name(name), expected, "{name:?}");
        }
        assert!(shown_name(&"é".repeat(300)).len() <= 255);
    }
}
