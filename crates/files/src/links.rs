//! Links to results that anybody may open until they expire.
//!
//! A link carries its own proof: the time it expires and an HMAC-SHA256 over `job/name/expiry`. Nothing is stored, so a
//! link can be made at any time and for any span, and none can be taken back but by changing the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use reelhook_domain::id::JobId;
use reelhook_domain::time::Timestamp;
use sha2::Sha256;
use url::Url;

/// Makes and checks links to outputs.
#[derive(Clone)]
pub struct Links {
    base: Url,
    key: [u8; 32],
}

impl Links {
    /// Links below `base_url`, which is where this server's API is reached (a path in it is kept), signed with `key`.
    pub const fn new(base_url: Url, key: [u8; 32]) -> Self {
        Self { base: base_url, key }
    }

    /// The link to the output `name` of `job` that works until `expires` (whole seconds, rounded down):
    /// `{base}/v1/jobs/{job}/outputs/{name}?expires=UNIX_SECONDS&signature=HEX`.
    pub fn output(&self, job: JobId, name: &str, expires: Timestamp) -> Url {
        let expires = expires.as_seconds();
        let signature = hex::encode(self.mac(job, name, expires).finalize().into_bytes());
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // One segment each: `push` encodes what a segment may not hold, the slash included.
            path.pop_if_empty().extend(["v1", "jobs"]).push(&job.to_string()).push("outputs").push(name);
        }
        url.set_fragment(None);
        url.query_pairs_mut().clear().append_pair("expires", &expires.to_string()).append_pair("signature", &signature);
        url
    }

    /// Whether a link with these parts was made by us and has not expired. Takes the same time wherever they differ.
    pub fn check(&self, job: JobId, name: &str, expires: i64, signature: &str, now: Timestamp) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        self.mac(job, name, expires).verify_slice(&signature).is_ok() && now.as_seconds() < expires
    }

    /// The first part has a fixed length and the last has no slash, so no two triples spell the same text.
    fn mac(&self, job: JobId, name: &str, expires: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{job}/{name}/{expires}").as_bytes());
        mac
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LATER: Timestamp = Timestamp::from_millis(2_000_999);

    fn links() -> Links {
        Links::new("https://media.example/api/".parse().unwrap(), [7; 32])
    }

    fn signature(url: &Url) -> String {
        url.query_pairs().find(|(name, _)| name == "signature").unwrap().1.into_owned()
    }

    #[test]
    fn a_link_that_we_made_is_good_until_it_expires() {
        let job = JobId::from_bits(5);
        let signature = signature(&links().output(job, "web", LATER));
        assert!(links().check(job, "web", 2_000, &signature, NOW));
        assert!(links().check(job, "web", 2_000, &signature, Timestamp::from_millis(1_999_999)));
        assert!(!links().check(job, "web", 2_000, &signature, Timestamp::from_millis(2_000_000)));
    }

    #[test]
    fn a_link_with_any_part_changed_is_refused() {
        let job = JobId::from_bits(5);
        let signature = signature(&links().output(job, "web", LATER));
        let other_key = Links::new("https://media.example/api/".parse().unwrap(), [8; 32]);
        assert!(!links().check(JobId::from_bits(6), "web", 2_000, &signature, NOW));
        assert!(!links().check(job, "wep", 2_000, &signature, NOW));
        assert!(!links().check(job, "web", 9_000, &signature, NOW));
        assert!(!other_key.check(job, "web", 2_000, &signature, NOW));
        for wrong in ["", "00", "zz", &signature[2..], &format!("{signature}00"), &"0".repeat(64)] {
            assert!(!links().check(job, "web", 2_000, wrong, NOW), "{wrong}");
        }
    }

    #[test]
    fn odd_names_stay_one_segment_and_come_back_whole() {
        let job = JobId::from_bits(5);
        for name in ["a b", "../etc", "a/b?c#d", "100 %", "тест", "%2e%2e"] {
            let url = links().output(job, name, LATER);
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            assert_eq!(segments.len(), 6, "{url}");
            assert_eq!(segments[..5], ["api", "v1", "jobs", &job.to_string(), "outputs"]);
            let decoded = percent_decoded(segments[5]);
            assert_eq!(decoded, name);
            assert!(links().check(job, &decoded, 2_000, &signature(&url), NOW));
        }
    }

    fn percent_decoded(segment: &str) -> String {
        let url = Url::parse(&format!("x:?v={}", segment.replace('+', "%2B"))).unwrap();
        url.query_pairs().next().unwrap().1.into_owned()
    }
}
