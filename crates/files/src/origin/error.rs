//! Why an origin did not do what it was asked.

use std::error::Error;
use std::fmt;
use std::io;

use http::StatusCode;
use reelhook_domain::object_path::NotAPath;
use reelhook_egress::{Failure, FailureKind, Phase};

/// Why an origin did not do what it was asked, by what one does next.
///
/// What it displays is in the voice of the origin's owner: nothing of our network, no header, no query, no credentials.
/// The chain of causes below it is the operator's.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Place and credentials do not make an origin.
    #[error("the origin cannot be opened: {0}")]
    Settings(&'static str),
    /// Its owner does not let us do that: `read` or `write`.
    #[error("the origin does not have the permission to {0}")]
    NotPermitted(&'static str),
    /// Base path and path make no path together.
    #[error("the path of the object, base path included, {0}")]
    Path(#[from] NotAPath),
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoBucket,
    /// The credentials are wrong, or may not do that.
    #[error("access is denied: {0}; check the credentials and what they may do")]
    Denied(Answer),
    /// The object is not the one that the beginning was read of.
    #[error("the object changed while it was read")]
    Changed,
    /// The server answered with neither success nor any of the above.
    #[error("{0}{hint}", hint = .0.hint())]
    Answered(Answer),
    /// No whole answer came, or we may not ask there.
    #[error("{}", .0.public_reason())]
    Exchange(#[source] Box<Failure>),
    /// It took longer than a check may take.
    #[error("it took longer than {0} seconds")]
    Slow(u64),
    /// What arrived there is not what was sent.
    #[error("the object has {there} bytes after {sent} were written")]
    Damaged {
        /// How many bytes were sent.
        sent: u64,
        /// How many are there.
        there: u64,
    },
    /// Our own copy of the file could not be read.
    #[error("the file to write could not be read")]
    Local(#[source] io::Error),
    /// The answer is not what the protocol promises.
    #[error("the server's answer could not be understood")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
}

/// What a server said in place of success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The code of the storage protocol, such as `SignatureDoesNotMatch`: letters and digits.
    pub code: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        match &self.code {
            Some(code) => write!(f, " {code}"),
            None => Ok(()),
        }
    }
}

/// What a server says to a request for a bucket of another region.
///
/// # Source
/// Amazon S3 API reference, "Error responses".
const WRONG_REGION: &[&str] = &["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"];

impl Answer {
    fn hint(&self) -> &'static str {
        match &self.code {
            Some(code) if WRONG_REGION.contains(&code.as_str()) => "; check the region of the bucket",
            _ => "",
        }
    }

    pub(super) fn is_passing(&self) -> bool {
        self.status >= 500 || matches!(self.status, 408 | 425 | 429)
    }
}

impl OriginError {
    /// Whether the same may go well a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Answered(answer) => answer.is_passing(),
            Self::Slow(_) => true,
            Self::Exchange(failure) => match failure.kind {
                FailureKind::Dns
                | FailureKind::Refused
                | FailureKind::Unreachable
                | FailureKind::Reset
                | FailureKind::Timeout
                | FailureKind::Stalled
                | FailureKind::Protocol
                | FailureKind::OutOfResources => true,
                // TLS that broke once it was there is as good as a connection that did.
                FailureKind::Tls => failure.phase != Phase::Tls,
                FailureKind::UrlNotAllowed
                | FailureKind::AddressNotAllowed
                | FailureKind::TooLarge
                | FailureKind::TooManyRedirects
                | FailureKind::RedirectNotAllowed => false,
            },
            Self::Settings(_)
            | Self::NotPermitted(_)
            | Self::Path(_)
            | Self::NotFound
            | Self::NoBucket
            | Self::Denied(_)
            | Self::Changed
            | Self::Damaged { .. }
            | Self::Local(_)
            | Self::Protocol(_) => false,
        }
    }
}

impl From<Answer> for OriginError {
    fn from(answer: Answer) -> Self {
        match (answer.status, answer.code.as_deref()) {
            (_, Some("NoSuchBucket")) => Self::NoBucket,
            (404 | 410, _) => Self::NotFound,
            (401 | 403, _) => Self::Denied(answer),
            (412 | 416, _) => Self::Changed,
            _ => Self::Answered(answer),
        }
    }
}

impl From<Failure> for OriginError {
    fn from(failure: Failure) -> Self {
        Self::Exchange(Box::new(failure))
    }
}

/// What kept one exchange of a bucket's client from success. Travels through `object_store` as the cause of its errors,
/// and is found again by its type.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Answered(Answer),
    #[error("{0}")]
    Failed(Failure),
    #[error("the client made a URL that is none")]
    Url,
}

impl From<object_store::Error> for OriginError {
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            match found.downcast_ref::<Trouble>() {
                Some(Trouble::Answered(answer)) => return answer.clone().into(),
                Some(Trouble::Failed(failure)) => return failure.clone().into(),
                Some(Trouble::Url) | None => cause = found.source(),
            }
        }
        Self::Protocol(Box::new(error))
    }
}

/// The code in an error document of S3 or Google Cloud Storage: what is between the first `<Code>` and its end. The
/// document is a stranger's, so only what looks like a code is taken, and nothing else of it.
///
/// # Source
/// Amazon S3 API reference, "Error responses"; Google Cloud Storage XML API, "HTTP status and error codes".
pub(super) fn code(document: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(document);
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_code = !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

/// What a server said, from its status and the beginning of its body.
pub(super) fn answer(status: StatusCode, document: &[u8]) -> Answer {
    Answer { status: status.as_u16(), code: code(document) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_code_is_taken_from_an_error_document() {
        for (document, expected) in [
            ("<Error><Code>NoSuchKey</Code><Message>x</Message></Error>", Some("NoSuchKey")),
            ("<Error><Code>No such key!</Code></Error>", None),
            ("<Error><Code></Code></Error>", None),
            ("<Error><Code>Open", None),
            ("<html>404</html>", None),
            ("", None),
        ] {
            assert_eq!(code(document.as_bytes()).as_deref(), expected, "{document}");
        }
        assert_eq!(code(format!("<Code>{}</Code>", "a".repeat(65)).as_bytes()), None);
    }

    #[test]
    fn answers_say_what_can_be_done_about_them() {
        let said = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            OriginError::from(Answer { status, code }).to_string()
        };
        assert_eq!(said(404, "NoSuchBucket"), "there is no such bucket");
        assert_eq!(said(404, ""), "there is no such object");
        assert_eq!(
            said(403, "InvalidAccessKeyId"),
            "access is denied: the server answered 403 InvalidAccessKeyId; check the credentials and what they may do"
        );
        assert_eq!(
            said(301, "PermanentRedirect"),
            "the server answered 301 PermanentRedirect; check the region of the bucket"
        );
        assert_eq!(said(503, ""), "the server answered 503");
    }
}
