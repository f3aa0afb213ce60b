//! Addresses as people type them: `localhost:3000/hook` is `http://localhost:3000/hook`.

use url::{Host, Url};

/// Reads an http(s) URL whose scheme may be left out: then it is http for this machine, for an address and for a host with
/// a port, and https for any other host.
pub(crate) fn read(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let url = match text.split_once("://") {
        Some(_) => Url::parse(text),
        None => without_scheme(text),
    };
    let url = url.map_err(|error| format!("is not a URL ({error}); write it as http://localhost:3000/hook"))?;
    if !text.contains("://") && !url.username().is_empty() {
        return Err("is not a URL of http:// or https://; write it as http://localhost:3000/hook".to_owned());
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("begins with {}://; it must begin with http:// or https://", url.scheme()));
    }
    Ok(url)
}

fn without_scheme(text: &str) -> Result<Url, url::ParseError> {
    // `:3000/hook`: a port of this machine.
    let text = if text.starts_with(':') { format!("localhost{text}") } else { text.to_owned() };
    let url = Url::parse(&format!("http://{text}"))?;
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if has_port || url.host().is_none_or(|host| is_near(&host)) {
        Ok(url)
    } else {
        Url::parse(&format!("https://{text}"))
    }
}

/// Whether a host is this machine or written as an address.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost") || !name.contains('.'),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_may_be_left_out() {
        for (text, url) in [
            ("localhost:3000/hook", "http://localhost:3000/hook"),
            ("localhost", "http://localhost/"),
            (":3000/hook", "http://localhost:3000/hook"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("[::1]:8080/a", "http://[::1]:8080/a"),
            ("[::1]", "http://[::1]/"),
            ("reelhook:8080", "http://reelhook:8080/"),
            ("reelhook/media", "http://reelhook/media"),
            ("example.com/hook", "https://example.com/hook"),
            ("example.com:8443/hook?a=b:1", "http://example.com:8443/hook?a=b:1"),
            ("example.com/hook?next=a:1", "https://example.com/hook?next=a:1"),
            (" https://example.com ", "https://example.com/"),
            ("HTTP://example.com", "http://example.com/"),
        ] {
            assert_eq!(read(text).as_ref().map(Url::as_str), Ok(url), "{text}");
        }
        for refused in ["", "ftp://x", "file:///etc/passwd", "http://", "a b", "localhost:port", "mailto:a@b.example"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
