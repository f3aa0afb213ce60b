//! Fetching the input of a job: from its URL, from an upload, or from an origin.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::UploadId;
use reelhook_domain::job::{InputFacts, InputSource};
use reelhook_files::{FilesError, Key, Stored};
use reelhook_media::image::Origin;
use reelhook_store::{StoreError, Upload};
use url::{Url, form_urlencoded};

use super::download::Download;
use super::trouble::Trouble;
use super::{Walk, make_folder};

/// An input on this machine's disk.
#[derive(Debug)]
pub(super) struct Input {
    /// Where it is. Not to be changed.
    pub(super) path: PathBuf,
    /// What is known of it.
    pub(super) facts: InputFacts,
    /// The same picture in a form that we decode, where it came in one that a tool has to decode first.
    pub(super) developed: Option<Developed>,
    /// What stands in for it where a tool reads it, if it is a picture.
    pub(super) stand_in: Option<PathBuf>,
}

/// A picture that a tool decoded, whole and upright.
#[derive(Debug)]
pub(super) struct Developed {
    pub(super) path: PathBuf,
    /// What it is a copy of.
    pub(super) origin: Origin,
}

impl Input {
    pub(super) const fn new(path: PathBuf, facts: InputFacts) -> Self {
        Self { path, facts, developed: None, stand_in: None }
    }

    /// What is read where a reader makes a picture of it.
    pub(super) fn as_picture(&self) -> &Path {
        self.developed.as_ref().map_or(&self.path, |developed| &developed.path)
    }

    /// What that is a copy of, where it is one.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.developed.as_ref().map(|developed| developed.origin)
    }

    /// What tools are given.
    pub(super) fn for_tools(&self) -> &Path {
        self.stand_in.as_ref().unwrap_or(&self.path)
    }
}

/// Longest name of an input that is kept, in characters.
const LONGEST_NAME: usize = 200;

impl Walk<'_> {
    /// Fetches all inputs, one after another, each into a folder of its own.
    pub(super) async fn fetch(&self, scratch: &Path) -> Result<Vec<Input>, Trouble> {
        self.seat.gauge.note(Stage::Fetching, 0.0);
        let mut inputs = Vec::with_capacity(self.job.spec.inputs.len());
        for (number, spec) in self.job.spec.inputs.iter().enumerate() {
            let folder = scratch.join(format!("input-{number}"));
            inputs.push(match &spec.source {
                InputSource::Upload(id) => self.fetch_upload(*id, &folder).await?,
                InputSource::Url(url) => {
                    make_folder(&folder, Stage::Fetching).await?;
                    self.fetch_url(url, &self.headers(&spec.name), &folder).await?
                }
                InputSource::Origin { origin, path } => {
                    make_folder(&folder, Stage::Fetching).await?;
                    self.fetch_origin(*origin, path, &folder).await?
                }
            });
        }
        Ok(inputs)
    }

    /// The caller's own headers for the download of that input. They were checked when they were written.
    fn headers(&self, input: &str) -> HeaderMap {
        let written = self.fetch_headers.get(input);
        let headers = written.into_iter().flatten().filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        headers.collect()
    }

    async fn fetch_upload(&self, id: UploadId, scratch: &Path) -> Result<Input, Trouble> {
        let gone = || {
            let message = format!("the upload {id} no longer exists; send the file again");
            Trouble::Failed(JobFailure::request(Stage::Fetching, "upload_not_found", message))
        };
        let key = Key::upload(id);
        let (upload, path) =
            tokio::join!(self.means.store.upload(self.job.account, id), self.means.files.local_path(&key, scratch));
        let upload = match upload {
            Err(StoreError::NotFound) => return Err(gone()),
            other => other?,
        };
        let path = match path {
            Err(FilesError::NotFound) => return Err(gone()),
            other => other.map_err(|error| Trouble::with_files(Stage::Fetching, &error))?,
        };
        let Upload { name, size_bytes, sha256, sha1, .. } = upload;
        let facts = InputFacts { name, size_bytes, sha256, sha1, media: None };
        Ok(Input::new(path, facts))
    }

    async fn fetch_url(&self, url: &Url, headers: &HeaderMap, scratch: &Path) -> Result<Input, Trouble> {
        let path = scratch.join("input");
        let download = Download::new(self.means, url, headers, &self.seat.gauge, &path);
        let Stored { size_bytes, sha256, sha1 } =
            self.unless_interrupted(download.run()).await?.map_err(Trouble::Failed)?;
        Ok(Input::new(path, InputFacts { name: name_of(url), size_bytes, sha256, sha1, media: None }))
    }
}

/// The last part of the path, as text that is safe to show; `input` where there is none.
fn name_of(url: &Url) -> String {
    let segment = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    // The one decoder at hand is for forms, which spell a space as a plus.
    let coded = segment.replace('+', "%2B");
    let decoded =
        form_urlencoded::parse(coded.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default();
    let name: String =
        decoded.chars().filter(|c| !c.is_control() && !matches!(c, '/' | '\\')).take(LONGEST_NAME).collect();
    if name.is_empty() { "input".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_named_after_the_end_of_its_url() {
        for (url, name) in [
            ("https://a.example/b/clip.mp4?token=secret#t", "clip.mp4"),
            ("https://a.example/My%20clip+1.mp4", "My clip+1.mp4"),
            ("https://a.example/a%2F..%2F%0Ab.mp4", "a..b.mp4"),
            ("https://a.example/x=1&y=2.mp4", "x"),
            ("https://a.example/", "input"),
            ("https://a.example", "input"),
        ] {
            assert_eq!(name_of(&url.parse().unwrap()), name, "{url}");
        }
        assert_eq!(name_of(&format!("https://a.example/{}", "x".repeat(500)).parse().unwrap()).len(), LONGEST_NAME);
    }
}
