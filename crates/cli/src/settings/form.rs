//! What a setting that is a text may look like.

use reelhook_domain::form::Choice as _;
use reelhook_domain::job::Dialect;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{Allowance, ListenAt, Pair, ServiceListener, listen_at};

/// A form of texts.
#[derive(Debug)]
pub(crate) struct Form {
    /// Whether a text has it.
    pub(crate) is: fn(&str) -> bool,
    /// What it may be, in words. `SERVICES` stands for the names of services.
    allowed: &'static str,
    /// What an error may show of a text that does not have it.
    pub(crate) shown: fn(&str) -> String,
}

impl Form {
    const fn new(is: fn(&str) -> bool, allowed: &'static str) -> Self {
        Self { is, allowed, shown: quoted }
    }

    /// What it may be, in words.
    pub(crate) fn allowed(&self) -> String {
        let services =
            Dialect::ALL.iter().filter(|dialect| **dialect != Dialect::Native).map(|dialect| dialect.as_str());
        self.allowed.replace("SERVICES", &services.collect::<Vec<_>>().join(", "))
    }
}

/// A place to listen at.
pub(crate) static LISTEN: Form = Form::new(|text| text.parse::<ListenAt>().is_ok(), listen_at::ALLOWED);

/// A service and a place to listen at.
pub(crate) static SERVICE: Form = Form::new(
    |text| text.parse::<ServiceListener>().is_ok(),
    "a service, an equals sign and an address with its port, such as xora=127.0.0.1:9001; services are SERVICES",
);

/// Addresses and ports.
pub(crate) static ALLOWANCE: Form = Form::new(
    |text| text.parse::<Allowance>().is_ok(),
    "a block of addresses, a colon and a port or a range of ports, such as 10.0.0.0/8:8000-9000",
);

/// A URL that paths are put behind.
pub(crate) static BASE_URL: Form = Form {
    is: is_base,
    allowed: "an http or https URL without a user, a password, a query or a fragment, such as https://media.example.com",
    shown: without_password,
};

/// A header with its value, which may be a secret.
pub(crate) static HEADER: Form = Form {
    is: |text| text.parse::<Pair<String>>().is_ok_and(|pair| http::HeaderName::try_from(pair.name).is_ok()),
    allowed: "the name of a header, an equals sign and a value, such as x-api-key=12345",
    shown: |text| format!("{:?}", text.split_once('=').map_or("...", |(name, _)| name).to_owned() + "=..."),
};

/// A name that stands for another.
pub(crate) static NAMED: Form = Form::new(
    |text| text.parse::<Pair<String>>().is_ok(),
    "a name, an equals sign and the name that it stands for, such as original=chroma or light=human:fast",
);

/// A name with a number.
pub(crate) static CREDITS: Form = Form::new(
    |text| text.parse::<Pair<u32>>().is_ok(),
    "a name, an equals sign and a whole number, such as original=60",
);

/// Levels of the log.
pub(crate) static LEVELS: Form = Form::new(
    |text| !text.trim().is_empty() && EnvFilter::try_new(text).is_ok(),
    "a level (error, warn, info, debug, trace) or levels by part, such as info,reelhook_worker=debug",
);

/// A path or a name of something on this machine.
pub(crate) static PATH: Form = Form::new(|text| !text.is_empty() && !text.contains('\0'), "a path that is not empty");

/// A currency.
pub(crate) static CURRENCY: Form = Form::new(
    |text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
    "three capital letters of ISO 4217, such as EUR",
);

/// A host that callers name.
pub(crate) static HOST: Form = Form::new(
    |text| url::Host::parse(text).is_ok(),
    "the name of a host without a scheme or a port, such as media.internal",
);

/// Permissions.
pub(crate) static MODE: Form = Form::new(
    |text| text.len() <= 4 && u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o777),
    "permissions as chmod has them, such as 660",
);

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn is_base(text: &str) -> bool {
    text.parse::<Url>().is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// The text, with dots for the password of a URL, or for what may be one.
fn without_password(text: &str) -> String {
    let (before, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{:?}", format!("{before}://...@{host}")),
        None => quoted(text),
    }
}
