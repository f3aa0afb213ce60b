//! What only the services need: functions that look at the machine, handed in from where it is known.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use reelhook_dialects::removebgvideo::request::Terms;
use reelhook_domain::failure::JobFailure;
use reelhook_domain::job::Dialect;
use reelhook_domain::media::MediaInfo;

/// Looks at a file; nothing where this machine lacks the tools to.
pub type Probe = Arc<dyn Fn(PathBuf) -> BoxFuture<'static, Result<Option<MediaInfo>, JobFailure>> + Send + Sync>;

/// What only the services need.
#[derive(Clone)]
pub struct Services {
    /// The models that are installed, and the prices of RemoveBGVideo; asked for each request, for models come and go as files do.
    pub removebgvideo: Arc<dyn Fn() -> Terms + Send + Sync>,
    /// Looks at what was uploaded, for services that answer what it holds.
    pub probe: Probe,
    /// Services that answer callers without a key, for the first account.
    pub open: Vec<Dialect>,
    /// Largest upload of Clipzy, in bytes.
    pub clipzy_upload_bytes: u64,
}

impl Default for Services {
    /// No models, no tools, nothing open.
    fn default() -> Self {
        Self {
            removebgvideo: Arc::new(Terms::default),
            probe: Arc::new(|_| Box::pin(async { Ok(None) })),
            open: Vec::new(),
            clipzy_upload_bytes: 1000 * 1000 * 1000,
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("open", &self.open).finish_non_exhaustive()
    }
}
