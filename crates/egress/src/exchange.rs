//! One exchange up to the head of its response: redirects, reuse, and the one retry.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::time::Instant;
use url::{Position, Url};

use crate::connection::Connection;
use crate::connector::Connector;
use crate::failure::{Failure, FailureKind, Phase};
use crate::fault;
use crate::identity::TlsProfile;
use crate::outgoing::Outgoing;
use crate::policy::Refusal;
use crate::pool::Pool;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::redirect;
use crate::request::{RequestBody, Usual};
use crate::tls_fault::TlsFault;

/// What a client and the bodies it gave out share.
pub(crate) struct Core {
    pub(crate) connector: Connector,
    pub(crate) pool: Arc<Pool>,
    pub(crate) user_agent: HeaderValue,
}

/// A request without its limits.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) usual: Usual,
    pub(crate) body: RequestBody,
    pub(crate) tls: Option<Arc<TlsProfile>>,
}

/// The head of the response that is not a redirect to follow, with the body still on the wire.
pub(crate) struct Head {
    pub(crate) parts: http::response::Parts,
    /// The URL that answered.
    pub(crate) url: Url,
    pub(crate) address: SocketAddr,
    pub(crate) reader: Reader,
}

impl Core {
    /// Asks, and follows as many redirects as are allowed, each judged like the first URL.
    pub(crate) async fn ask(
        &self,
        mut ask: Ask,
        redirects: u8,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Head, Failure> {
        self.dress(&mut ask.headers, ask.usual);
        if let Err(refusal) = self.connector.policy.judge_url(&ask.url) {
            let kind = match refusal.concerns_address() {
                true => FailureKind::AddressNotAllowed,
                false => FailureKind::UrlNotAllowed,
            };
            return Err(progress.fail(kind, told(&refusal)));
        }
        if redirects == 0 {
            let Ask { method, url, headers, body, tls, .. } = ask;
            let (parts, reader) =
                self.ask_once(method, &url, headers, body, tls.as_deref(), deadline, progress).await?;
            return Ok(Head { parts, address: reader.address(), url, reader });
        }
        for _ in 0..=redirects {
            let spare_body = ask.body.again();
            let (parts, mut reader) = self
                .ask_once(
                    ask.method.clone(),
                    &ask.url,
                    ask.headers.clone(),
                    ask.body,
                    ask.tls.as_deref(),
                    deadline,
                    progress,
                )
                .await?;
            let Some(location) = redirect::location(parts.status, &parts.headers) else {
                return Ok(Head { parts, address: reader.address(), url: ask.url, reader });
            };
            if reader.is_at_end() {
                self.settle(redirect::origin(&ask.url), &mut reader).await;
            }
            progress.enter(Phase::Url);
            let Some(target) = redirect::target(&ask.url, location) else {
                return Err(
                    progress.fail(FailureKind::RedirectNotAllowed, "the redirect has no valid target".to_owned())
                );
            };
            if let Err(refusal) = self.connector.policy.judge_url(&target) {
                let detail = format!("redirect to {}: {}", redirect::origin(&target), told(&refusal));
                return Err(progress.fail(FailureKind::RedirectNotAllowed, detail));
            }
            let (method, carries_body) = redirect::method(parts.status, &ask.method);
            let body = match (carries_body, spare_body) {
                (false, _) => RequestBody::Empty,
                (true, Some(body)) => body,
                (true, None) => {
                    let detail = "the redirect asks for a body again that was a stream".to_owned();
                    return Err(progress.fail(FailureKind::RedirectNotAllowed, detail));
                }
            };
            let headers = redirect::headers(&ask.url, &target, ask.headers, &body);
            let tls = ask.tls.filter(|_| redirect::origin(&ask.url) == redirect::origin(&target));
            ask = Ask { method, url: target, headers, usual: ask.usual, body, tls };
        }
        Err(progress.fail(FailureKind::TooManyRedirects, format!("more than {redirects} redirects")))
    }

    /// Puts the connection to rest if it can be used again.
    pub(crate) async fn settle(&self, origin: &str, reader: &mut Reader) {
        if let Some(connection) = std::future::poll_fn(|cx| std::task::Poll::Ready(reader.take_reusable(cx))).await {
            self.pool.put(origin, connection);
        }
    }

    /// One request, on a connection at rest if there is one. If that turns out to have been closed, once more on a
    /// fresh one: closing an idle connection is every server's right, and no fault of the receiver.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, and how far it has come")]
    async fn ask_once(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: RequestBody,
        tls: Option<&TlsProfile>,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<(http::response::Parts, Reader), Failure> {
        progress.reused = false;
        let mut body = body;
        if let Some(spare) = body.again()
            && let Some(connection) = self.pool.take(redirect::origin(url), tls.map(|tls| tls.number))
        {
            progress.reused = true;
            let sent = std::mem::replace(&mut body, spare);
            match self.ask_on(connection, method.clone(), url, headers.clone(), sent, progress).await {
                Ok(head) => return Ok(head),
                Err(broken) if broken.may_be_repeated => progress.reused = false,
                Err(broken) => return Err(broken.failure),
            }
        }
        let connection = self.connector.dial(url, tls, deadline, progress).await?;
        self.ask_on(connection, method, url, headers, body, progress).await.map_err(|broken| broken.failure)
    }

    async fn ask_on(
        &self,
        mut connection: Box<Connection>,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: RequestBody,
        progress: &mut Progress,
    ) -> Result<(http::response::Parts, Reader), Box<Broken>> {
        progress.send_on(&connection.meter, connection.address);
        let outgoing = Outgoing::new(body, &connection.meter);
        let request = match message(method, url, headers, outgoing) {
            Ok(request) => request,
            Err(error) => {
                let failure = progress.fail(FailureKind::UrlNotAllowed, error.to_string());
                return Err(Box::new(Broken { failure, may_be_repeated: false }));
            }
        };
        match connection.request(request).await {
            Ok(response) => {
                progress.enter(Phase::Body);
                let (parts, incoming) = response.into_parts();
                let reader = Reader::new(connection, &parts.headers, incoming);
                Ok((parts, reader))
            }
            Err(error) => {
                let fault = fault::of_head(&error, connection.shown);
                let is_unanswered = !connection.meter.has_read();
                let may_be_repeated = matches!(fault.kind, FailureKind::Reset | FailureKind::Tls) && is_unanswered;
                if matches!(fault.tls, Some(TlsFault::ClientCertificate | TlsFault::ClientCertificateRefused)) {
                    // Under TLS 1.3 the client is done with the handshake before the server has judged its certificate.
                    progress.enter(Phase::Tls);
                }
                let detail = format!("{} at {}: {}", redirect::origin(url), connection.address, fault::chain(&error));
                Err(Box::new(Broken { failure: progress.fail(fault, detail), may_be_repeated }))
            }
        }
    }

    /// Removes what belongs to one connection, and adds what every request of ours says.
    fn dress(&self, headers: &mut HeaderMap, usual: Usual) {
        for name in &OURS {
            headers.remove(name);
        }
        if usual == Usual::LeftOut {
            return;
        }
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, self.user_agent.clone());
        }
        if !headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        if !headers.contains_key(ACCEPT_ENCODING) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }
}

/// Headers that frame a message or belong to one connection (RFC 9110 section 7.6.1): a caller who could set them could
/// smuggle a second request behind the first.
const OURS: [HeaderName; 11] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

struct Broken {
    failure: Failure,
    /// A connection that ended before the first byte of a response: what a closed idle connection looks like.
    may_be_repeated: bool,
}

fn message(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    outgoing: Outgoing,
) -> Result<http::Request<Outgoing>, http::Error> {
    let expects_body = method == Method::POST || method == Method::PUT || method == Method::PATCH;
    let is_empty = http_body::Body::is_end_stream(&outgoing);
    let target = Bytes::copy_from_slice(url[Position::BeforePath..Position::AfterQuery].as_bytes());
    let mut request = http::Request::new(outgoing);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(PathAndQuery::from_maybe_shared(target)?);
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])?;
    request.headers_mut().insert(HOST, host);
    if is_empty && expects_body {
        // Some servers answer 411 to a POST that does not say it is empty.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(request)
}

fn told(refusal: &Refusal) -> String {
    format!("{} (rule `{}`)", refusal.message, refusal.rule)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::Meter;

    proptest! {
        #[test]
        fn every_path_and_query_of_a_url_can_be_asked_for(rest in "[ -~\\PC]{0,60}") {
            let Ok(url) = Url::parse(&format!("https://example.com/{rest}")) else { return Ok(()) };
            let outgoing = Outgoing::new(RequestBody::Empty, &Arc::new(Meter::default()));
            let request = message(Method::GET, &url, HeaderMap::new(), outgoing);
            let target = request.map(|request| request.uri().to_string());
            prop_assert_eq!(target.unwrap(), &url[Position::BeforePath..Position::AfterQuery]);
        }
    }
}
