//! The certificate files that the settings name: private roots, and the client certificate for receivers.
//!
//! They are read once, at the start. A file that cannot be used keeps the server from starting, because without it each
//! webhook would fail one by one.

use std::path::Path;

use anyhow::Context as _;
use reelhook_egress::{Identity, IdentityError, roots_from_pem};

use crate::settings::Settings;

/// What the egress clients of this process have in common.
pub(super) fn egress(settings: &Settings) -> anyhow::Result<reelhook_egress::Settings> {
    let mut extra_roots = Vec::new();
    for path in &settings.egress.extra_roots {
        let pem = read("egress.extra_roots", path)?;
        extra_roots.extend(roots_from_pem(&pem).with_context(|| unusable("egress.extra_roots", path))?);
    }
    Ok(reelhook_egress::Settings {
        policy: settings.policy(),
        // As many as may be out: an event for many endpoints of one host must not open most of its connections anew.
        max_idle_per_host: settings.delivery.in_flight,
        extra_roots,
        ..reelhook_egress::Settings::default()
    })
}

/// What receivers that demand a client certificate are shown.
pub(super) fn identity(settings: &Settings) -> anyhow::Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (&settings.delivery.client_certificate, &settings.delivery.client_key) else {
        return Ok(None);
    };
    let chain = read(CERTIFICATE, certificate)?;
    let secret = read(KEY, key)?;
    let identity = Identity::from_pem(&chain, &secret).map_err(|error| match error {
        IdentityError::Certificate(why) => anyhow::Error::from(why).context(unusable(CERTIFICATE, certificate)),
        IdentityError::Key(why) => anyhow::Error::from(why).context(unusable(KEY, key)),
    })?;
    Ok(Some(identity))
}

const CERTIFICATE: &str = "delivery.client_certificate";
const KEY: &str = "delivery.client_key";

fn read(setting: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| unusable(setting, path))
}

fn unusable(setting: &str, path: &Path) -> String {
    format!("{setting} is {}, which cannot be used", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_setting_the_file_and_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let broken = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        let (absent, empty, broken) =
            (folder.path().join("absent.pem"), write("empty.pem", ""), write("broken.pem", broken));
        for (path, why) in [
            (&absent, "No such file or directory"),
            (&empty, "it has no certificate"),
            (&broken, "certificate 1 in it cannot be read"),
        ] {
            let mut settings = Settings::default();
            settings.egress.extra_roots = vec![path.clone()];
            let told = format!("{:#}", egress(&settings).unwrap_err());
            let begin = format!("egress.extra_roots is {}, which cannot be used: {why}", path.display());
            assert!(told.starts_with(&begin), "{told}");
        }
        let mut settings = Settings::default();
        settings.delivery.client_certificate = Some(broken.clone());
        settings.delivery.client_key = Some(empty.clone());
        let told = format!("{:#}", identity(&settings).unwrap_err());
        let begin = format!("delivery.client_key is {}, which cannot be used: it has no private key", empty.display());
        assert!(told.starts_with(&begin), "{told}");
    }
}
