//! API keys: made here, shown once, kept as a hash.

use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::AccountId;
use reelhook_store::{ApiKey, NewApiKey, Store};

/// Makes a key of that account. Answers its text, which nobody can find again, and what is kept of it.
pub(crate) async fn create(
    store: &dyn Store,
    ambient: &Ambient,
    account: AccountId,
    name: &str,
) -> anyhow::Result<(String, ApiKey)> {
    let (text, key) = NewApiKey::generate(account, name, ambient);
    Ok((text, store.create_key(key).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_43_characters_after_its_prefix() {
        let ambient = crate::ambient::system();
        let (key, kept) = NewApiKey::generate(ambient.id(), "ci", &ambient);
        assert_eq!(key.len(), 46);
        assert!(key.starts_with("rh_"));
        assert_ne!(key, NewApiKey::generate(kept.account, "ci", &ambient).0);
    }
}
