//! Which hosts a caller may have called us by, and that no page of another site calls us.
//!
//! A service that is opened (`--open`) answers callers without a key and listens on loopback. The operator's own browser
//! reaches loopback too: any web page may send requests there, and a page whose host name was made to lead there (DNS
//! rebinding) also reads the answers. The browser tells on both in headers that a page cannot change: it writes the name
//! into `Host`, and the page's site into `Origin` or `Sec-Fetch-Site`.

use std::collections::BTreeSet;

use http::header::{HOST, HeaderMap, ORIGIN};
use http::{HeaderName, Method, StatusCode, Uri};
use url::{Host, Url};

use crate::problem::Problem;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The hosts that callers may name.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Option<BTreeSet<String>>);

impl Hosts {
    /// Any: callers have keys, which pages of other sites do not know.
    pub const fn any() -> Self {
        Self(None)
    }

    /// Addresses, names of loopback, and these names.
    pub fn own(names: impl IntoIterator<Item = String>) -> Self {
        Self(Some(names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect()))
    }

    /// Goes on with a request that names one of them and comes from no page of another site.
    pub(crate) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(names) = &self.0 else { return Ok(()) };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| Some(uri.authority()?.as_str()));
        // Every browser sends a host. A request without one comes from another program.
        if let Some(host) = host
            && !is_own(names, &format!("http://{host}"))
        {
            let detail = format!(
                "the host {host} is not allowed: without API keys, the server accepts IP addresses, localhost, the host of public_url and those of api.allowed_hosts"
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, "host_not_allowed", detail));
        }
        let word = |name: HeaderName| headers.get(name).and_then(|word| word.to_str().ok());
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        let is_foreign = origin.map_or_else(|| word(FETCH_SITE) == Some("cross-site"), |origin| !is_own(names, origin));
        // The user followed a link to one of our pages. The site with the link cannot read what we answer.
        let follows = [Method::GET, Method::HEAD].contains(method) && word(FETCH_MODE) == Some("navigate");
        if is_foreign && !follows {
            let detail = format!(
                "pages of {} may not call a server without API keys; api.allowed_hosts lists the sites that may",
                origin.unwrap_or("another site")
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail));
        }
        Ok(())
    }
}

/// Whether the host of a URL is an address, a name of loopback, or one of these. An address is never the name of another
/// site that leads here.
fn is_own(names: &BTreeSet<String>, url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost") || names.contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, headers: &[(&'static str, &str)]) -> Result<(), String> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value of a header")));
        let hosts = Hosts::own(["Media.Example".to_owned(), "proxy".to_owned()]);
        hosts.check(method, &Uri::from_static("/"), &headers.collect()).map_err(|problem| {
            let document = serde_json::to_value(&problem).expect("a problem is JSON");
            document["code"].as_str().expect("it has a code").to_owned()
        })
    }

    #[test]
    fn only_own_hosts_are_served() {
        for host in
            ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "a.localhost", "[::1]:80", "media.example", "proxy:80"]
        {
            assert_eq!(check(&Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "media.example.evil", "", "a b"]
        {
            assert_eq!(check(&Method::GET, &[("host", host)]), Err("host_not_allowed".to_owned()), "{host}");
        }
        assert!(Hosts::any().check(&Method::POST, &Uri::from_static("/"), &HeaderMap::new()).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused_but_links_are_followed() {
        let local = ("host", "localhost");
        let foreign = Err("cross_site_request".to_owned());
        for origin in ["http://evil.example", "null", "https://localhost.evil.example", "file://"] {
            assert_eq!(check(&Method::POST, &[local, ("origin", origin)]), foreign, "{origin}");
        }
        for origin in ["http://localhost:3000", "https://media.example", "http://127.0.0.1"] {
            assert_eq!(
                check(&Method::POST, &[local, ("origin", origin), ("sec-fetch-site", "cross-site")]),
                Ok(()),
                "{origin}"
            );
        }
        assert_eq!(check(&Method::GET, &[local, ("sec-fetch-site", "cross-site")]), foreign);
        assert_eq!(check(&Method::GET, &[local, ("sec-fetch-site", "same-origin")]), Ok(()));
        let link = [local, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(check(&Method::GET, &link), Ok(()));
        assert_eq!(check(&Method::POST, &link), foreign);
    }
}
