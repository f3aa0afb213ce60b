//! Ids: 128-bit UUIDv7, spelled with a prefix and 26 lower-case Crockford base-32 characters.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::time::Timestamp;

/// What an id names: gives the prefix of its spelling.
pub trait Kind {
    /// The prefix before the underscore, such as `job`.
    const PREFIX: &'static str;
}

/// An id of one kind of thing. Ids made later sort later, to the millisecond.
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $marker:ident $alias:ident $prefix:literal;)*) => {$(
        #[doc = concat!("Marks ids that start with `", $prefix, "_`.")]
        #[derive(Debug, Clone, Copy)]
        pub enum $marker {}
        impl Kind for $marker {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )*};
}

kinds! {
    /// Names a job.
    JobKind JobId "job";
    /// Names an output of a job.
    OutputKind OutputId "out";
    /// Names an event.
    EventKind EventId "evt";
    /// Names an endpoint.
    EndpointKind EndpointId "ep";
    /// Names a delivery.
    DeliveryKind DeliveryId "dlv";
    /// Names an attempt.
    AttemptKind AttemptId "att";
    /// Names an upload.
    UploadKind UploadId "upl";
    /// Names an origin.
    OriginKind OriginId "ori";
    /// Names an API key.
    KeyKind KeyId "key";
    /// Names an account.
    AccountKind AccountId "acc";
    /// Names a signing secret.
    SecretKind SecretId "sec";
    /// Names an HTTP request, in logs and error bodies.
    RequestKind RequestId "req";
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

impl<K> Id<K> {
    /// A UUIDv7 of that time and randomness.
    ///
    /// # Source
    /// RFC 9562 section 5.7: 48 bits of milliseconds, version 7, variant 2, the rest random.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = (now.as_millis().max(0) as u128) & 0xffff_ffff_ffff;
        let mut low = [0; 16];
        low[6..].copy_from_slice(&random);
        let random = u128::from_be_bytes(low);
        let high = (random >> 64) & 0x0fff;
        let tail = random & 0x3fff_ffff_ffff_ffff;
        Self::from_bits(millis << 80 | 7 << 76 | high << 64 | 0b10 << 62 | tail)
    }

    /// An id of exactly these bits, for dialects that spell them their own way.
    pub const fn from_bits(bits: u128) -> Self {
        Self { bits, kind: PhantomData }
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// When it was made, to the millisecond; nonsense for bits that others chose.
    pub const fn made_at(self) -> Timestamp {
        Timestamp::from_millis((self.bits >> 80) as i64)
    }

    /// The bits as 16 bytes, most significant first, as the store keeps them.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.bits.to_be_bytes()
    }

    /// The id of those 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_bits(u128::from_be_bytes(bytes))
    }

    /// The bits in the usual spelling of a UUID: lower-case hexadecimal in groups of 8, 4, 4, 4 and 12.
    ///
    /// # Source
    /// RFC 9562 section 4.
    pub fn hyphenated(self) -> String {
        let hex = format!("{:032x}", self.bits);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The id of exactly that spelling of a UUID; none for any other text.
    pub fn from_hyphenated(text: &str) -> Option<Self> {
        let hex: String = text.split('-').collect();
        let id = u128::from_str_radix(&hex, 16).ok().map(Self::from_bits)?;
        // Upper case, a sign, other groups: whatever is not spelled as we do is not one of ours.
        (id.hyphenated() == text).then_some(id)
    }

    /// The 26 characters without the prefix.
    pub fn bare(self) -> String {
        Self::text(&self.letters()).to_owned()
    }

    const fn letters(self) -> [u8; LENGTH] {
        let mut letters = [0; LENGTH];
        let (mut bits, mut place) = (self.bits, LENGTH);
        while place > 0 {
            place -= 1;
            letters[place] = ALPHABET[bits as usize & 31];
            bits >>= 5;
        }
        letters
    }

    fn text(letters: &[u8; LENGTH]) -> &str {
        std::str::from_utf8(letters).expect("the alphabet is ASCII")
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}
impl<K> Eq for Id<K> {}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}

impl<K: Kind> Id<K> {
    /// The regular expression (ECMA-262) of its text.
    pub fn pattern() -> String {
        format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(Self::text(&self.letters()))
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The beginning of an id's spelling, as the ids that begin so: from the first to the last.
#[derive(Debug, Clone, Copy)]
pub struct IdPrefix<K: Kind> {
    /// The first of them.
    pub first: Id<K>,
    /// The last of them.
    pub last: Id<K>,
}

impl<K: Kind> FromStr for IdPrefix<K> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = NotAnId { prefix: K::PREFIX };
        let Some(bare) = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')) else {
            return Err(wrong);
        };
        if bare.len() > LENGTH || !bare.is_ascii() {
            return Err(wrong);
        }
        let filled = |letter: &str| format!("{}_{bare}{}", K::PREFIX, letter.repeat(LENGTH - bare.len()));
        // 26 letters have two bits more than an id: the first of them is at most a 7.
        let last = if bare.is_empty() { format!("{}_7{}", K::PREFIX, "z".repeat(LENGTH - 1)) } else { filled("z") };
        Ok(Self { first: filled("0").parse().map_err(|_| wrong.clone())?, last: last.parse().map_err(|_| wrong)? })
    }
}

/// The text is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an id such as {prefix}_ followed by 26 lower-case letters and digits")]
pub struct NotAnId {
    prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = NotAnId { prefix: K::PREFIX };
        let Some(bare) = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')) else {
            return Err(wrong);
        };
        // 26 letters hold 130 bits: the first may only use three of its five.
        if bare.len() != LENGTH || bare.as_bytes()[0] > b'7' {
            return Err(wrong);
        }
        let mut bits = 0;
        for letter in bare.bytes() {
            let Some(value) = ALPHABET.iter().position(|&known| known == letter) else {
                return Err(wrong);
            };
            bits = bits << 5 | value as u128;
        }
        Ok(Self::from_bits(bits))
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_survives_its_spelling(bits: u128) {
            let id = JobId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
            prop_assert_eq!(id.to_string().len(), 30);
        }

        #[test]
        fn later_ids_sort_later_and_their_spelling_too(early in 0i64..1 << 47, later in 1i64..1000, a: [u8; 10], b: [u8; 10]) {
            let first = EventId::new(Timestamp::from_millis(early), a);
            let second = EventId::new(Timestamp::from_millis(early + later), b);
            prop_assert!(first < second);
            prop_assert!(first.to_string() < second.to_string());
        }

        #[test]
        fn any_text_is_refused_or_is_its_own_spelling(text in "(job_)?[0-9a-zA-Z]{24,27}") {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_id_carries_version_seven_and_the_rfc_variant() {
        let id = JobId::new(Timestamp::from_millis(0x0123_4567_89ab), [0xff; 10]);
        assert_eq!(format!("{:032x}", id.bits()), "0123456789ab7fffbfffffffffffffff");
    }

    #[test]
    fn an_id_says_when_it_was_made() {
        let at = Timestamp::from_millis(1_763_700_000_123);
        assert_eq!(JobId::new(at, [0xff; 10]).made_at(), at);
    }

    #[test]
    fn only_the_usual_spelling_of_a_uuid_is_one() {
        let id = JobId::from_bits(0x0f6c_3a52_8d7e_4a0b_9a55_0c6f_0f1c_2d3e);
        let text = "0f6c3a52-8d7e-4a0b-9a55-0c6f0f1c2d3e";
        assert_eq!(id.hyphenated(), text);
        assert_eq!(JobId::from_hyphenated(text), Some(id));
        for other in [
            text.to_ascii_uppercase(),
            text.replace('-', ""),
            format!("+{}", &text[1..]),
            id.to_string(),
            String::new(),
        ] {
            assert_eq!(JobId::from_hyphenated(&other), None, "{other}");
        }
    }

    #[test]
    fn the_beginning_of_an_id_stands_for_all_that_begin_so() {
        let id = JobId::from_bits(0x0190_0000_0000_7000_8000_0000_0000_0001);
        let text = id.to_string();
        for length in 4..=text.len() {
            let prefix: IdPrefix<JobKind> = text[..length].parse().unwrap();
            assert!(prefix.first <= id && id <= prefix.last, "{}", &text[..length]);
            assert!(prefix.first.to_string().starts_with(&text[..length]));
            assert!(prefix.last.to_string().starts_with(&text[..length]));
        }
        let whole: IdPrefix<JobKind> = text.parse().unwrap();
        assert_eq!((whole.first, whole.last), (id, id));
        let longer = format!("{text}0");
        for wrong in ["", "job", "jobs_", "evt_0", "job_8", "job_U", "job_0i", "job_\u{e9}", longer.as_str()] {
            assert!(wrong.parse::<IdPrefix<JobKind>>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = JobId::from_bits(7).to_string();
        assert!(id.parse::<OutputId>().is_err());
        assert_eq!(id.parse::<JobId>().unwrap().bits(), 7);
    }
}
