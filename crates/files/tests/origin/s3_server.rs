//! A server that speaks S3, over a folder.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reelhook_domain::origin::{Credentials, Place};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "secret-in-the-clear";

/// Stops when it is dropped.
pub(crate) struct S3Server {
    pub(crate) endpoint: Url,
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl S3Server {
    /// A server with one bucket, `media`.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("media")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, service, Arc::clone(&requests)));
        Self { endpoint, folder, requests, _tasks: tasks }
    }

    pub(crate) fn place(&self) -> Place {
        let (bucket, region) = ("media".to_owned(), "eu-central-1".to_owned());
        Place::S3 { bucket, region, endpoint: Some(self.endpoint.clone()) }
    }

    /// Where the server keeps an object.
    pub(crate) fn object(&self, key: &str) -> PathBuf {
        self.folder.path().join("media").join(key)
    }

    /// Puts an object there behind its back.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.object(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What was asked for: method, path and query.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub(crate) fn keys(secret: &str) -> Credentials {
    let (access_key_id, secret_access_key) = (KEY.to_owned(), secret.to_owned());
    Credentials::Keys { access_key_id, secret_access_key, session_token: None }
}

async fn accept(listener: TcpListener, service: S3Service, requests: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (service, requests) = (service.clone(), Arc::clone(&requests));
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            requests.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            let service = service.clone();
            async move { service.call(request.map(s3s::Body::from)).await }
        });
        connections.spawn(async move {
            // A client that closes its connection is no failure.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
