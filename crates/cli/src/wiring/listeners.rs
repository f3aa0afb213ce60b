//! Where callers connect to: ports and sockets that are opened here, or that the service manager opened.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use reelhook_api::{Face, Listener};
use tokio::net::{TcpListener, UnixListener};

use crate::commands::serve::cannot_listen;
use crate::service_manager::Given;
use crate::settings::{ListenAt, Role, Settings};

/// A listener of a server.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) face: Face,
    pub(super) listener: Listener,
    pub(super) at: ListenAt,
    /// Removed with this.
    pub(super) file: Option<SocketFile>,
}

/// The listeners that the settings name, the main one first. One that the service manager opened takes the place of that
/// of the settings.
pub(super) async fn open(settings: &Settings, given: Given) -> anyhow::Result<Vec<Open>> {
    if !settings.has(Role::Api) {
        return Ok(Vec::new());
    }
    let mut listeners = Vec::new();
    for socket in given.listeners()? {
        let at = socket.at;
        if !at.is_local() && (settings.dev || !settings.open.is_empty() && !settings.open_to_network) {
            bail!(
                "--dev and --open serve this machine only; the service manager passed a socket on {at}: use 127.0.0.1"
            );
        }
        listeners.push(Open { face: socket.face, listener: socket.listener, at, file: None });
    }
    let main = (Face::All, &settings.listen);
    let services = settings.services.listen.iter().map(|at| (Face::Service(at.service), &at.at));
    for (face, at) in std::iter::once(main).chain(services) {
        if listeners.iter().all(|open| open.face != face) {
            listeners.push(bind(face, at, settings.socket_mode()).await?);
        }
    }
    // What is announced and linked to is the first.
    listeners.sort_by_key(|open| open.face != Face::All);
    Ok(listeners)
}

async fn bind(face: Face, at: &ListenAt, mode: u32) -> anyhow::Result<Open> {
    match at {
        ListenAt::Address(address) => {
            let bound = TcpListener::bind(address).await.map_err(|error| cannot_listen(at, error))?;
            let at = bound.local_addr()?.into();
            Ok(Open { face, listener: Listener::Tcp(bound), at, file: None })
        }
        ListenAt::Socket(path) => {
            make_way(path)?;
            let bound = UnixListener::bind(path).map_err(|error| cannot_listen(at, error))?;
            let file = SocketFile::at(path).with_context(|| format!("{at} vanished"))?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .with_context(|| format!("the permissions of {at} cannot be set"))?;
            Ok(Open { face, listener: Listener::Unix(bound), at: at.clone(), file: Some(file) })
        }
    }
}

/// Removes the socket of a server that is gone. One that answers is another server's, and another file is not ours.
fn make_way(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be inspected")),
        Ok(found) if !found.file_type().is_socket() => {
            bail!(
                "cannot listen on unix:{shown}: a file that is not a socket is there; remove it, or choose another path"
            )
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("the socket {shown} of an earlier server cannot be removed"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(anyhow!(error).context(format!("{shown} cannot be tried"))),
        Ok(_) => bail!("cannot listen on unix:{shown}: another program listens there; stop it, or choose another path"),
    }
}

/// The file of a socket, which is removed with this, unless another took its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the socket was not removed; the next start will");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
