//! What to ask next after a redirect. Pure; the policy judges the result like any other URL.
//!
//! # Source
//! RFC 9110 section 15.4 for methods and bodies. What may cross from one origin to another is stricter than it and
//! than browsers: a header is dropped unless it is known to be harmless, since a caller's header may be a credential.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::{Position, Url};

use crate::request::RequestBody;

const CROSSES_ORIGINS: [HeaderName; 11] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    RANGE,
    USER_AGENT,
];

/// Where a response sends us, if it is a redirect that can be followed.
pub(crate) fn location(status: StatusCode, headers: &HeaderMap) -> Option<&HeaderValue> {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then(|| headers.get(LOCATION)).flatten()
}

/// The target as a URL, resolved against the one that was asked.
pub(crate) fn target(from: &Url, location: &HeaderValue) -> Option<Url> {
    let text = std::str::from_utf8(location.as_bytes()).ok()?;
    let mut target = from.join(text).ok()?;
    target.set_fragment(None);
    Some(target)
}

/// The method of the next request, and whether the body goes along.
pub(crate) fn method(status: StatusCode, method: &Method) -> (Method, bool) {
    match status.as_u16() {
        303 if *method != Method::HEAD => (Method::GET, false),
        // What every client does, and RFC 9110 therefore allows.
        301 | 302 if *method == Method::POST => (Method::GET, false),
        _ => (method.clone(), true),
    }
}

/// The headers of the next request.
pub(crate) fn headers(from: &Url, to: &Url, mut headers: HeaderMap, body: &RequestBody) -> HeaderMap {
    if matches!(body, RequestBody::Empty) {
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            headers.remove(name);
        }
    }
    if origin(from) == origin(to) {
        return headers;
    }
    CROSSES_ORIGINS.iter().filter_map(|name| Some((name.clone(), headers.remove(name)?))).collect()
}

/// Scheme, host and port as they stand in a URL without userinfo. The default port is never written out.
pub(crate) fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn targets_are_resolved_against_the_url_that_was_asked() {
        let from = url("https://example.com/a/b?c");
        for (location, expected) in [
            ("/x", "https://example.com/x"),
            ("x", "https://example.com/a/x"),
            ("//other.example/x#part", "https://other.example/x"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
        ] {
            assert_eq!(target(&from, &HeaderValue::from_static(location)).unwrap().as_str(), expected);
        }
        assert!(target(&from, &HeaderValue::from_static("https://[")).is_none());
        assert!(target(&from, &HeaderValue::from_bytes(b"\xff").unwrap()).is_none());
    }

    #[test]
    fn methods_change_as_the_standard_says() {
        for (status, before, after) in [
            (301, Method::POST, (Method::GET, false)),
            (302, Method::POST, (Method::GET, false)),
            (302, Method::PUT, (Method::PUT, true)),
            (303, Method::PUT, (Method::GET, false)),
            (303, Method::HEAD, (Method::HEAD, true)),
            (307, Method::POST, (Method::POST, true)),
            (308, Method::POST, (Method::POST, true)),
        ] {
            assert_eq!(method(StatusCode::from_u16(status).unwrap(), &before), after, "{status} {before}");
        }
    }

    #[test]
    fn credentials_and_custom_headers_stay_with_their_origin() {
        let mut all = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "accept", "range", "content-type"] {
            all.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let names = |headers: &HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        let from = url("https://example.com/a");
        let full = RequestBody::Full("x".into());
        assert_eq!(headers(&from, &url("https://example.com/b"), all.clone(), &full).len(), 6);
        for other in
            ["https://example.org/", "http://example.com/", "https://example.com:8443/", "https://a.example.com/"]
        {
            let crossed = headers(&from, &url(other), all.clone(), &full);
            assert_eq!(names(&crossed), ["accept", "content-type", "range"], "{other}");
        }
        let without_body = headers(&from, &url("https://example.com/b"), all, &RequestBody::Empty);
        assert!(!without_body.contains_key("content-type"));
    }
}
