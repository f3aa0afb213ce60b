//! Sending a kept file: ranges, entity tags, and headers that keep a browser from being fooled.
//!
//! # Source
//! RFC 9110 sections 13 and 14 (conditional and range requests), RFC 6266 and 8187 (file names).

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use reelhook_domain::job::{FilePart, OutputFile};
use reelhook_files::{Files, Key};
use reelhook_store::Upload;

use crate::problem::Problem;
use crate::range::{Asked, asked};

/// A file on its way to whoever asks.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    key: Key,
    name: &'a str,
    mime_type: &'a str,
    size_bytes: u64,
    /// Changes with the bytes.
    tag: String,
}

impl<'a> Shown<'a> {
    /// What a job made.
    pub(crate) fn output(key: Key, file: &'a OutputFile) -> Self {
        let OutputFile { name, mime_type, size_bytes, sha256, .. } = file;
        Self { key, name, mime_type, size_bytes: *size_bytes, tag: sha256.clone() }
    }

    /// One of the files that an output names; none when its key is not one of ours.
    pub(crate) fn part(part: &'a FilePart) -> Option<Self> {
        let FilePart { path, key, size_bytes, mime_type } = part;
        let name = path.rsplit('/').next().unwrap_or(path);
        // A part is written once under its key, with its job.
        let tag = key.replace('/', "-");
        Some(Self { key: key.parse().ok()?, name, mime_type, size_bytes: *size_bytes, tag })
    }

    /// A file that a caller sent. What it is nobody knows yet.
    pub(crate) fn upload(upload: &'a Upload) -> Self {
        let Upload { id, name, size_bytes, sha256, .. } = upload;
        let mime_type = "application/octet-stream";
        Self { key: Key::upload(*id), name, mime_type, size_bytes: *size_bytes, tag: sha256.clone() }
    }
}

/// Lets pages of any site read what a link answers, a refusal too: players fetch segments by script, and a link gives the
/// file to anyone who has it. A key is not among the headers that such a page may send.
///
/// # Source
/// Fetch Standard, "CORS protocol".
pub(crate) fn open_to_pages(headers: &mut HeaderMap) {
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-Range, If-None-Match, Cache-Control"),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, X-Request-Id",
        ),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Answers a request for a kept file.
///
/// # Errors
/// What the files say; a range outside of the file is an answer (416), not an error.
pub(crate) async fn send(
    files: &Files,
    file: &Shown<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let etag = format!("\"{}\"", file.tag);
    let mut response = Response::new(Body::empty());
    let answered = response.headers_mut();
    answered.insert(ETAG, ascii(&etag));
    answered.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    answered.insert(CONTENT_TYPE, ascii(file.mime_type));
    answered.insert(CONTENT_DISPOSITION, ascii(&disposition(file.name)));
    open_to_pages(answered);
    answered.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answered.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if headers.get_all(IF_NONE_MATCH).iter().any(|tags| names(tags.as_bytes(), etag.as_bytes())) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = text(RANGE).filter(|_| text(IF_RANGE).is_none_or(|tag| tag.trim() == etag));
    let part = match asked(range, file.size_bytes) {
        Asked::Whole => None,
        Asked::Part(part) => Some(part),
        Asked::Outside => {
            answered.insert(CONTENT_RANGE, ascii(&format!("bytes */{}", file.size_bytes)));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    let length = part.as_ref().map_or(file.size_bytes, |part| part.end - part.start);
    answered.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(part) = &part {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.size_bytes);
        answered.insert(CONTENT_RANGE, ascii(&range));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if method != Method::HEAD {
        *response.body_mut() = Body::from_stream(files.get(&file.key, part).await?.stream);
    }
    Ok(response)
}

/// Whether a list of entity tags names this one, or is `*`. Compared weakly: a proxy that compresses an answer makes its tag
/// a weak one, and the file is the same.
///
/// # Source
/// RFC 9110, sections 8.8.3.2 and 13.1.2.
fn names(list: &[u8], etag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    // A tag may hold commas, so the list is read by its quotes.
    while let Some(begin) = rest.iter().position(|byte| *byte == b'"') {
        let Some(length) = rest[begin + 1..].iter().position(|byte| *byte == b'"') else { return false };
        let end = begin + 1 + length + 1;
        if &rest[begin..end] == etag {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

/// The header that names a saved file: plainly for every reader, and exactly for those that can read it.
fn disposition(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ' ' | '(' | ')');
    let ascii: String = name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let coded: String = name
        .bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{coded}")
}

/// Names, types and tags of ours are plain: output names by rule, the rest by construction.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_compared_weakly() {
        for list in ["\"a\"", "W/\"a\"", "*", " * ", "\"b\", W/\"a\"", "\"x,y\",\"a\"", "W/\"b\" ,\t\"a\" "] {
            assert!(names(list.as_bytes(), b"\"a\""), "{list}");
        }
        for list in ["", "a", "\"b\"", "W/\"b\"", "\"x,\"a\"", "\"a", "\"*\"", "\"a \"", "*, \"b\"", "\"A\""] {
            assert!(!names(list.as_bytes(), b"\"a\""), "{list}");
        }
    }

    #[test]
    fn a_name_is_told_plainly_and_exactly() {
        for (name, header) in [
            ("web.mp4", "attachment; filename=\"web.mp4\""),
            ("a\"b\r\n.mp4", "attachment; filename=\"a_b__.mp4\"; filename*=UTF-8''a%22b%0D%0A.mp4"),
            ("é.jpg", "attachment; filename=\"_.jpg\"; filename*=UTF-8''%C3%A9.jpg"),
        ] {
            assert_eq!(disposition(name), header);
        }
    }
}
