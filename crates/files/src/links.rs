//! Links to results that anybody may open until they expire.
//!
//! A link carries its own proof: the time it expires and an HMAC-SHA256 over `job/name/expiry`. Nothing is stored, so a
//! link can be made at any time and for any span, and none can be taken back but by changing the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use reelhook_domain::id::{JobId, UploadId};
use reelhook_domain::time::Timestamp;
use sha2::Sha256;
use url::Url;

/// Makes and checks links to outputs.
#[derive(Clone)]
pub struct Links {
    base: Url,
    key: [u8; 32],
    former: Vec<FormerKey>,
}

/// A key that made links before, and still opens them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FormerKey {
    /// The key.
    pub key: [u8; 32],
    /// From then on it opens nothing.
    pub until: Timestamp,
}

impl fmt::Debug for FormerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerKey").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Links {
    /// Links below `base_url`, which is where this server's API is reached (a path in it is kept), signed with `key`.
    pub const fn new(base_url: Url, key: [u8; 32]) -> Self {
        Self { base: base_url, key, former: Vec::new() }
    }

    /// The same, which also opens what other keys made.
    #[must_use]
    pub fn with_former(self, former: Vec<FormerKey>) -> Self {
        Self { former, ..self }
    }

    /// The link to the output `name` of `job` that works until `expires` (whole seconds, rounded down):
    /// `{base}/v1/jobs/{job}/outputs/{name}?expires=UNIX_SECONDS&signature=HEX`.
    pub fn output(&self, job: JobId, name: &str, expires: Timestamp) -> Url {
        let expires = expires.as_seconds();
        let signature = hex::encode(output_mac(&self.key, job, name, expires).finalize().into_bytes());
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // One segment each: `push` encodes what a segment may not hold, the slash included.
            path.pop_if_empty().extend(["v1", "jobs"]).push(&job.to_string()).push("outputs").push(name);
        }
        url.set_fragment(None);
        url.query_pairs_mut().clear().append_pair("expires", &expires.to_string()).append_pair("signature", &signature);
        url
    }

    /// The link to a file of the output `name` of `job` under a name of its own, which works until `expires`:
    /// `{base}/files/{proof}/{job}/{output}/{path}`. The proof covers the output and not the path, so that a playlist can
    /// name the files beside it.
    pub fn file(&self, job: JobId, output: &str, path: &str, expires: Timestamp) -> Url {
        let proof = self.proof(&format!("file/{job}/{output}"), expires);
        let job = job.to_string();
        self.below(["files", &proof, &job, output].into_iter().chain(path.split('/')))
    }

    /// The same for services that date their links, under the name that they show, until `expires`:
    /// `{base}/{service}/{expires}/{job as UUID}/{name}?signature=HEX`. `{expires}.{signature}` is its proof.
    pub fn dated(&self, service: &str, job: JobId, output: &str, name: &str, expires: Timestamp) -> Url {
        let proof = self.proof(&format!("file/{job}/{output}"), expires);
        let (seconds, signature) = proof.split_once('.').expect("a proof has two parts");
        let mut url = self.below([service, seconds, &job.hyphenated(), name].into_iter());
        url.query_pairs_mut().append_pair("signature", signature);
        url
    }

    /// The link to a file that a caller sent, which works until `expires`: `{base}/uploads/{proof}/{upload}/{name}`.
    pub fn upload(&self, upload: UploadId, name: &str, expires: Timestamp) -> Url {
        let proof = self.proof(&format!("upload/{upload}"), expires);
        self.below(["uploads", &proof, &upload.to_string(), name].into_iter())
    }

    /// Whether `proof` opens the files of that output now.
    pub fn opens_file(&self, proof: &str, job: JobId, output: &str, now: Timestamp) -> bool {
        self.opens(proof, &format!("file/{job}/{output}"), now)
    }

    /// Whether `proof` opens that upload now.
    pub fn opens_upload(&self, proof: &str, upload: UploadId, now: Timestamp) -> bool {
        self.opens(proof, &format!("upload/{upload}"), now)
    }

    /// Which upload a link of ours to one leads to; none for any other URL. The link may have expired.
    pub fn upload_of(&self, url: &Url) -> Option<UploadId> {
        let same = url.scheme() == self.base.scheme()
            && url.host_str() == self.base.host_str()
            && url.port_or_known_default() == self.base.port_or_known_default();
        let path = url.path().strip_prefix(self.base.path().trim_end_matches('/'))?;
        let mut segments = path.strip_prefix("/uploads/")?.split('/');
        let (proof, upload) = (segments.next()?, segments.next()?.parse().ok()?);
        let (expires, signature) = proof.split_once('.')?;
        let (scope, expires) = (format!("upload/{upload}"), expires.parse().ok()?);
        let signature = hex::decode(signature).ok()?;
        let mut keys = std::iter::once(&self.key).chain(self.former.iter().map(|former| &former.key));
        let ours = keys.any(|key| scope_mac(key, &scope, expires).verify_slice(&signature).is_ok());
        (same && ours).then_some(upload)
    }

    fn below<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url.set_fragment(None);
        url.set_query(None);
        url
    }

    fn proof(&self, scope: &str, expires: Timestamp) -> String {
        let expires = expires.as_seconds();
        format!("{expires}.{}", hex::encode(scope_mac(&self.key, scope, expires).finalize().into_bytes()))
    }

    fn opens(&self, proof: &str, scope: &str, now: Timestamp) -> bool {
        let Some((expires, signature)) = proof.split_once('.') else { return false };
        let (Ok(expires), Ok(signature)) = (expires.parse(), hex::decode(signature)) else { return false };
        self.is_made(&signature, expires, now, |key| scope_mac(key, scope, expires))
    }

    /// Whether one of our keys made that signature for what has not expired. Takes the same time wherever they differ.
    fn is_made(&self, signature: &[u8], expires: i64, now: Timestamp, mac: impl Fn(&[u8; 32]) -> Hmac<Sha256>) -> bool {
        let former = self.former.iter().filter(|former| now < former.until).map(|former| &former.key);
        let made = std::iter::once(&self.key).chain(former).any(|key| mac(key).verify_slice(signature).is_ok());
        made && now.as_seconds() < expires
    }

    /// Whether a link with these parts was made by us and has not expired.
    pub fn check(&self, job: JobId, name: &str, expires: i64, signature: &str, now: Timestamp) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        self.is_made(&signature, expires, now, |key| output_mac(key, job, name, expires))
    }
}

/// A scope begins with a word, so it spells no triple of [`output_mac`], which begins with a job.
fn scope_mac(key: &[u8; 32], scope: &str, expires: i64) -> Hmac<Sha256> {
    mac(key, &format!("{scope}\n{expires}"))
}

/// The first part has a fixed length and the last has no slash, so no two triples spell the same text.
fn output_mac(key: &[u8; 32], job: JobId, name: &str, expires: i64) -> Hmac<Sha256> {
    mac(key, &format!("{job}/{name}/{expires}"))
}

fn mac(key: &[u8; 32], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
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
    fn a_proof_opens_the_files_of_its_output_and_no_others() {
        let job = JobId::from_bits(5);
        let url = links().file(job, "hls", "video/seg 1.m4s", LATER);
        let segments: Vec<_> = url.path_segments().unwrap().collect();
        assert_eq!(segments[..2], ["api", "files"]);
        assert_eq!(segments[3..], [&job.to_string(), "hls", "video", "seg%201.m4s"]);
        let proof = segments[2];
        assert!(links().opens_file(proof, job, "hls", NOW));
        assert!(!links().opens_file(proof, job, "web", NOW));
        assert!(!links().opens_file(proof, JobId::from_bits(6), "hls", NOW));
        assert!(!links().opens_file(proof, job, "hls", Timestamp::from_millis(2_000_000)));
        assert!(!links().opens_file(&proof.replace("2000.", "9000."), job, "hls", NOW));
        assert!(!links().opens_upload(proof, UploadId::from_bits(5), NOW));
        assert!(!links().check(job, "hls", 2_000, &proof[5..], NOW));
    }

    #[test]
    fn a_dated_link_carries_the_proof_of_its_output() {
        let job = JobId::from_bits(5);
        let url = links().dated("compressor", job, "result", "a b?.jpeg", LATER);
        let segments: Vec<_> = url.path_segments().unwrap().collect();
        assert_eq!(segments, ["api", "compressor", "2000", "00000000-0000-0000-0000-000000000005", "a%20b%3F.jpeg"]);
        let proof = format!("2000.{}", signature(&url));
        assert!(links().opens_file(&proof, job, "result", NOW));
        assert!(!links().opens_file(&proof, JobId::from_bits(6), "result", NOW));
        assert!(!links().opens_file(&proof, job, "result", Timestamp::from_millis(2_000_000)));
    }

    #[test]
    fn an_upload_is_known_again_by_its_link_and_a_forged_one_is_not() {
        let upload = UploadId::from_bits(9);
        let url = links().upload(upload, "clip.mp4", LATER);
        assert_eq!(links().upload_of(&url), Some(upload));
        let other = links().upload(UploadId::from_bits(8), "clip.mp4", LATER);
        let forged: Url =
            url.as_str().replace(&upload.to_string(), &UploadId::from_bits(8).to_string()).parse().unwrap();
        assert_ne!(forged, other);
        assert_eq!(links().upload_of(&forged), None);
        assert_eq!(links().upload_of(&url.as_str().replace("media.example", "evil.example").parse().unwrap()), None);
        assert_eq!(links().upload_of(&"https://media.example/api/uploads/x".parse().unwrap()), None);
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
