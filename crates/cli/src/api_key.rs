//! API keys: made here, shown once, kept as a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reelhook_domain::ambient::Ambient;
use reelhook_store::{ApiKey, NewApiKey, Store};
use sha2::{Digest as _, Sha256};

/// What every key starts with.
const PREFIX: &str = "rh_";
/// How many characters of a key are kept to tell keys apart.
const HINT: usize = 7;

/// Makes a key of the first account. Answers its text, which nobody can find again, and what is kept of it.
pub(crate) async fn create(store: &dyn Store, ambient: &Ambient, name: &str) -> anyhow::Result<(String, ApiKey)> {
    let text = generate(ambient);
    let account = store.first_account().await?;
    let key = NewApiKey {
        id: ambient.id(),
        account: account.id,
        name: name.to_owned(),
        hint: text[..HINT].to_owned(),
        hash: Sha256::digest(text.as_bytes()).into(),
    };
    let kept = store.create_key(key).await?;
    Ok((text, kept))
}

fn generate(ambient: &Ambient) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(ambient.random::<32>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_43_characters_after_its_prefix() {
        let key = generate(&crate::ambient::system());
        assert_eq!(key.len(), 46);
        assert!(key.starts_with("rh_"));
        assert_ne!(key, generate(&crate::ambient::system()));
    }
}
