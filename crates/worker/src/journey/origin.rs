//! Origins of the caller: reading an input from one, and writing what was made to one.
//!
//! A read that breaks off goes on where it was, of the same version; an object that changed meanwhile is read anew. What
//! was made is written after all of it was verified and kept; an output that cannot be written failed, however good its
//! file is, since its caller looks for it there. A job that is begun again writes over what it wrote before.

use std::path::Path;

use fail::fail_point;
use futures::TryStreamExt as _;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::OriginId;
use reelhook_domain::job::{Addresses, Destination, InputFacts, OutputFile, OutputState};
use reelhook_domain::object_path::ObjectPath;
use reelhook_files::{OpenOrigin, OriginError, Stored};
use reelhook_store::StoreError;

use super::Walk;
use super::download::Part;
use super::fetch::Input;
use super::trouble::{Trouble, machine_failed};
use crate::progress::FETCHED;

impl Walk<'_> {
    async fn open_origin(&self, id: OriginId, stage: Stage) -> Result<OpenOrigin, Trouble> {
        let gone = || {
            let message = format!("the origin {id} no longer exists");
            Trouble::Failed(JobFailure::request(stage, "origin_not_found", message))
        };
        let store = &self.means.store;
        let origin = match store.origin(self.job.account, id).await {
            Err(StoreError::NotFound) => return Err(gone()),
            other => other?,
        };
        let credentials = match store.origin_credentials(self.job.account, id).await {
            Err(StoreError::NotFound) => return Err(gone()),
            other => other?,
        };
        OpenOrigin::open(&origin, credentials, &self.means.egress).map_err(|error| failed(stage, &error))
    }

    /// Reads the object at `path` of an origin into `scratch`.
    pub(super) async fn fetch_origin(&self, id: OriginId, path: &str, scratch: &Path) -> Result<Input, Trouble> {
        let object: ObjectPath = path.parse().map_err(|error| {
            let message = format!("the path of the input {error}");
            Trouble::Failed(JobFailure::request(Stage::Fetching, "invalid_request", message))
        })?;
        let origin = self.open_origin(id, Stage::Fetching).await?;
        let file = scratch.join("input");
        let reading = tokio::time::timeout(self.means.settings.fetch.deadline, self.read(&origin, &object, &file));
        let Ok(read) = self.unless_interrupted(reading).await? else {
            let message = "the input could not be read from its origin in time";
            return Err(Trouble::Failed(JobFailure::origin(Stage::Fetching, "fetch_timeout", message).retryable()));
        };
        let Stored { size_bytes, sha256, sha1 } = read?;
        let name = object.file_name().to_owned();
        Ok(Input::new(file, InputFacts { name, size_bytes, sha256, sha1, media: None }))
    }

    async fn read(&self, origin: &OpenOrigin, object: &ObjectPath, file: &Path) -> Result<Stored, Trouble> {
        let limits = &self.means.settings.fetch;
        let machine = |error: std::io::Error| Trouble::Failed(machine_failed(Stage::Fetching, &error));
        let mut part = Part::create(file).await.map_err(machine)?;
        let (mut version, mut attempt, mut pause) = (None::<String>, 1, limits.pause);
        loop {
            let broken = match self.read_on(origin, object, &mut part, &mut version).await {
                Ok(()) => return part.finish().await.map_err(machine),
                Err(Broken::For(trouble)) => return Err(trouble),
                Err(Broken::Off(error)) => error,
            };
            let again = broken.is_passing() || matches!(broken, OriginError::Changed);
            if !again || attempt >= limits.attempts.max(1) {
                return Err(failed(Stage::Fetching, &broken));
            }
            tracing::info!(attempt, have_bytes = part.have(), "an input broke off; reading on");
            tokio::time::sleep(pause).await;
            (attempt, pause) = (attempt + 1, pause * 2);
            if version.is_none() || matches!(broken, OriginError::Changed) {
                part.restart().await.map_err(machine)?;
            }
        }
    }

    async fn read_on(
        &self,
        origin: &OpenOrigin,
        object: &ObjectPath,
        part: &mut Part,
        version: &mut Option<String>,
    ) -> Result<(), Broken> {
        let machine = |error: std::io::Error| Broken::For(Trouble::Failed(machine_failed(Stage::Fetching, &error)));
        let most = self.means.settings.fetch.bytes;
        let too_large = || {
            let message = format!("the input is larger than the limit of {most} bytes");
            Broken::For(Trouble::Failed(JobFailure::input(Stage::Fetching, "too_large", message)))
        };
        let reading = origin.read(object, part.have(), version.as_deref()).await?;
        if reading.size_bytes.is_some_and(|size| size > most) {
            return Err(too_large());
        }
        if reading.start != part.have() {
            part.restart().await.map_err(machine)?;
        }
        *version = reading.version;
        let mut stream = reading.stream;
        while let Some(piece) = stream.try_next().await? {
            part.take(&piece).await.map_err(machine)?;
            if part.have() > most {
                return Err(too_large());
            }
            if let Some(whole) = reading.size_bytes.filter(|&whole| whole > 0) {
                self.seat.gauge.note(Stage::Fetching, FETCHED * part.have() as f64 / whole as f64);
            }
        }
        Ok(())
    }

    /// Writes what was made in this journey to where its caller wants it.
    pub(super) async fn deliver(&mut self, scratch: &Path) -> Result<(), Trouble> {
        let Some(destination) = &self.job.spec.destination else { return Ok(()) };
        let origin = match self.open_origin(destination.origin, Stage::Storing).await {
            Ok(origin) => Ok(origin),
            Err(Trouble::Failed(failure)) => Err(failure),
            Err(other) => return Err(other),
        };
        for place in 0..self.ends.len() {
            let made = self.ends[place].as_ref().filter(|end| end.state == OutputState::Completed);
            let Some(file) = made.and_then(|end| end.file.clone()) else { continue };
            let written = match &origin {
                Err(failure) => Err(Trouble::Failed(failure.clone())),
                Ok(origin) => {
                    let writing = self.write_out(origin, destination, place, &file, scratch);
                    self.unless_interrupted(writing).await?
                }
            };
            match written {
                Ok(url) => {
                    let file = self.ends[place].as_mut().and_then(|end| end.file.as_mut());
                    file.expect("it was there a moment ago").destination_url = Some(url);
                }
                Err(Trouble::Failed(failure) | Trouble::Rejected(failure)) => {
                    let plan = self.ends[place].take().map(|end| end.plan).unwrap_or_default();
                    self.fail(place, plan, failure);
                }
                Err(other) => return Err(other),
            }
            fail_point!("worker.delivered_one");
        }
        Ok(())
    }

    /// Writes a file, after those that it names so that it never names what is not there; answers where it is.
    async fn write_out(
        &self,
        origin: &OpenOrigin,
        destination: &Destination,
        place: usize,
        file: &OutputFile,
        scratch: &Path,
    ) -> Result<String, Trouble> {
        let Some(main) = destination.paths.get(place) else {
            let message = "the job names no path for this output in its destination";
            return Err(Trouble::Failed(JobFailure::request(Stage::Storing, "invalid_request", message)));
        };
        let main = if main.is_empty() || main.ends_with('/') {
            let source = self.inputs.first().map_or("input", |input| input.name.as_str());
            format!("{main}{}", file.media.named_after(source))
        } else if file.parts.is_empty() {
            match file.name.rsplit_once('.').filter(|_| destination.open_ended.contains(&place)) {
                Some((_, extension)) => format!("{main}.{extension}"),
                None => main.clone(),
            }
        } else {
            // A package keeps the names of its files, below the path.
            format!("{main}/{}", base_name(&file.name))
        };
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
        for part in &file.parts {
            let path = if folder.is_empty() { part.path.clone() } else { format!("{folder}/{}", part.path) };
            self.write_one(origin, destination.addresses, &path, &part.key, &part.mime_type, scratch).await?;
        }
        self.write_one(origin, destination.addresses, &main, &file.key, &file.mime_type, scratch).await
    }

    async fn write_one(
        &self,
        origin: &OpenOrigin,
        addresses: Addresses,
        path: &str,
        key: &str,
        mime_type: &str,
        scratch: &Path,
    ) -> Result<String, Trouble> {
        let unreadable = |what: &dyn std::fmt::Display| {
            let message = format!("the path of the output in its destination {what}");
            Trouble::Failed(JobFailure::request(Stage::Storing, "invalid_request", message))
        };
        let path: ObjectPath = path.parse().map_err(|error| unreadable(&error))?;
        let key = key.parse().map_err(|_| unreadable(&"has no file to it"))?;
        let local = self.means.files.local_path(&key, scratch).await;
        let local = local.map_err(|error| Trouble::with_files(Stage::Storing, &error))?;
        let not_written = |error: OriginError| failed(Stage::Storing, &error);
        let written = origin.write(&path, &local, mime_type).await.map_err(not_written)?;
        match addresses {
            Addresses::Bucket => Ok(written.url),
            Addresses::Web => origin.web_url(&path).map_err(not_written),
        }
    }
}

/// Why reading stopped.
enum Broken {
    /// Reading on may help.
    Off(OriginError),
    /// Nothing does.
    For(Trouble),
}

impl From<OriginError> for Broken {
    fn from(error: OriginError) -> Self {
        Self::Off(error)
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What an origin's error means for the job: its owner's voice to the caller, the chain to the operator.
fn failed(stage: Stage, error: &OriginError) -> Trouble {
    tracing::info!(
        error = error as &dyn std::error::Error,
        stage = stage.as_str(),
        "an origin did not do what it was asked"
    );
    let what = match stage {
        Stage::Storing => "the output could not be written to its origin",
        _ => "the input could not be read from its origin",
    };
    let message = format!("{what}: {error}");
    let failure = match (error, stage) {
        (OriginError::Settings(_), _) => JobFailure::origin(stage, "origin_failed", message),
        (OriginError::Denied(_) | OriginError::NotPermitted(_), _) => {
            JobFailure::origin(stage, "origin_denied", message)
        }
        (_, Stage::Storing) => JobFailure::origin(stage, "output_not_written", message),
        (OriginError::NotFound | OriginError::NoBucket, _) => {
            JobFailure::origin(stage, "origin_object_not_found", message)
        }
        _ => JobFailure::origin(stage, "fetch_failed", message),
    };
    Trouble::Failed(if error.is_passing() { failure.retryable() } else { failure })
}
