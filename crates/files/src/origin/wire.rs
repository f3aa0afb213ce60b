//! What carries a bucket client's requests: `egress`, and nothing else.
//!
//! `object_store` is built without an HTTP client of its own and gets this one. So the policy judges every address that
//! is dialled for a bucket, whatever endpoint its owner wrote, and no proxy, redirect or metadata service is ever asked.
//!
//! Answers other than success become errors that carry their status and code as a value ([`Trouble`]): the client
//! would otherwise render them into a text, and with it whatever a stranger's server put into its body. Which of them
//! are tried again is said by the kind of the error.
//!
//! The client gathers most answers whole, as the list of a bucket. So only the answer to a request that carries
//! [`Streamed`] may be large; all others are bounded, whatever their method.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream as _, TryStreamExt as _};
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reelhook_egress::{Client, Failure, FailureKind, Request, RequestBody, Usual};
use url::Url;

use super::error::{Trouble, answer};

/// Longest time until an answer begins, where little is sent.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same, where a part of a file is sent.
const PATIENCE_SENDING: Duration = Duration::from_secs(600);
/// Longest time for all of an object to be read; whoever reads has limits of their own.
const READ_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// Longest gap between two bytes of an answer.
const STALL: Duration = Duration::from_secs(60);
/// Most bytes of an answer that is not an object.
const REPLY_CAP: u64 = 4 << 20;
/// Most bytes of a refusal that are looked at.
const REFUSAL_CAP: usize = 16 * 1024;

/// Marks a request, among its extensions, whose answer is an object that is passed on piece by piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streamed;

/// Gives every bucket client the one way out.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    egress: Client,
}

impl Wire {
    pub(super) const fn new(egress: Client) -> Self {
        Self { egress }
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        // The parser that feeds the dialler and the policy: there are no two readings of one spelling.
        let url =
            Url::parse(&head.uri.to_string()).map_err(|_| HttpError::new(HttpErrorKind::Unknown, Trouble::Url))?;
        let body = match body.content_length() {
            0 => RequestBody::Empty,
            _ => RequestBody::Full(body.collect().await?.to_bytes()),
        };
        let patience = if matches!(body, RequestBody::Empty) { PATIENCE } else { PATIENCE_SENDING };
        let streams = head.method == Method::GET && head.extensions.get::<Streamed>().is_some();
        let request = Request {
            usual: Usual::Added,
            method: head.method,
            url,
            headers: head.headers,
            body,
            tls: None,
            deadline: if streams { READ_DEADLINE } else { patience },
            stall: Some(STALL),
            response_cap: if streams { u64::MAX } else { REPLY_CAP },
            redirects: 0,
        };
        let opened = tokio::time::timeout(patience, self.egress.open(request)).await;
        let response = opened.map_err(|_| timed_out(patience))?.map_err(failed)?;
        if !response.status.is_success() {
            let document = beginning(response.body).await;
            return Err(answered(response.status, &document));
        }
        let mut made = Response::new(HttpResponseBody::new(Arriving(Mutex::new(response.body))));
        *made.status_mut() = response.status;
        *made.headers_mut() = response.headers;
        Ok(made)
    }
}

/// The first bytes of a refusal; what cannot be read of it is left out.
async fn beginning(mut body: reelhook_egress::Body) -> BytesMut {
    let mut document = BytesMut::new();
    while let Ok(Some(piece)) = body.try_next().await {
        let room = REFUSAL_CAP - document.len();
        document.extend_from_slice(&piece[..piece.len().min(room)]);
        if document.len() == REFUSAL_CAP {
            break;
        }
    }
    document
}

fn answered(status: http::StatusCode, document: &[u8]) -> HttpError {
    let answer = answer(status, document);
    // What is refused stays refused; what is only busy is asked again.
    let kind = if answer.is_passing() { HttpErrorKind::Request } else { HttpErrorKind::Unknown };
    HttpError::new(kind, Trouble::Answered(answer))
}

fn timed_out(patience: Duration) -> HttpError {
    let failure = Failure {
        tls: None,
        phase: reelhook_egress::Phase::FirstByte,
        kind: FailureKind::Timeout,
        detail: format!("no answer within {} s", patience.as_secs()),
        address: None,
        timings: reelhook_egress::Timings { total: patience, ..reelhook_egress::Timings::default() },
        sent_bytes: true,
    };
    failed(failure)
}

fn failed(failure: Failure) -> HttpError {
    let kind = match failure.kind {
        FailureKind::Dns | FailureKind::Refused | FailureKind::Unreachable | FailureKind::OutOfResources => {
            HttpErrorKind::Connect
        }
        FailureKind::Reset | FailureKind::Protocol => HttpErrorKind::Interrupted,
        FailureKind::Timeout | FailureKind::Stalled => HttpErrorKind::Timeout,
        FailureKind::UrlNotAllowed
        | FailureKind::AddressNotAllowed
        | FailureKind::Tls
        | FailureKind::TooLarge
        | FailureKind::TooManyRedirects
        | FailureKind::RedirectNotAllowed => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, Trouble::Failed(failure))
}

/// The body of an answer. The lock is never taken: it is what makes a body shareable that only one reads.
struct Arriving(Mutex<reelhook_egress::Body>);

impl Arriving {
    fn body(&mut self) -> &mut reelhook_egress::Body {
        self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let body = Pin::new(self.get_mut().body());
        body.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data).map_err(failed)))
    }

    fn size_hint(&self) -> SizeHint {
        // What was announced is held against what came by `egress` already.
        SizeHint::default()
    }
}
