//! Names of members: how they are read, and which ones could harm the machine that unpacks the archive.
//!
//! # Theory of operation
//! A name is bytes. Where they are UTF-8 they are text to every reader; elsewhere an archive does not say in which code
//! page they are, and each machine reads them by its own. So what is judged is not one decoding but all that are plausible:
//!
//! - **What leads out** (`..`, absolute names) is looked for with *every* byte 0x5C taken for a separator. In Shift-JIS,
//!   GBK and Big5 that byte may be the second half of a letter (`表` is 95 5C) and separates nothing there; a reader that
//!   knows of no such letters, Windows in any other country, sees a backslash. The strict reading finds all that the other
//!   one would: neither `/` nor `.` is ever half of a letter in any of these, so a part that is `..` in one of them is
//!   `..` in the strict one too. It costs the names in which such a letter is followed by exactly `..`.
//! - **What is there twice** is looked for with a byte below 0x80 right after one above taken for half of a letter, as all from
//!   0x40 on may be: it neither separates nor has a case. `ア` and `チ` are 83 41 and 83 61, which differ by the case of an A; to call them
//!   one name would refuse half of Japan's archives. A pair that is one name only to a reader that garbles both is let in.
//!   It can at worst be unpacked one over the other, by a program that asks before it does.
//! - A name that Info-ZIP's Unicode field gives beside the bytes is judged like them: either may be what a reader goes by.
//!
//! Of each name, and of each folder that leads to it, a hash is remembered. All of them, and the names themselves, have one
//! budget of bytes, since a few KiB of archive can hold many long names.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use super::{ArchiveLimits, over, unsafe_member};
use crate::error::MediaError;

/// The name of a member, as it lies in the archive and as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Its bytes, exactly.
    pub(super) bytes: Vec<u8>,
    /// The same name in Unicode, where the archive gives it beside the bytes.
    pub(super) unicode: Option<String>,
    /// As it can be shown: the Unicode one, the bytes where they are UTF-8, or what can be made of them.
    pub(super) shown: String,
}

impl Name {
    /// A name without a second one beside it. Bytes that are not UTF-8 are shown by `otherwise`.
    pub(super) fn of(bytes: Vec<u8>, otherwise: impl FnOnce(&[u8]) -> String) -> Self {
        let shown = str::from_utf8(&bytes).map_or_else(|_| otherwise(&bytes), str::to_owned);
        Self { bytes, unicode: None, shown }
    }

    /// A name with its Unicode beside it.
    pub(super) fn with_unicode(bytes: Vec<u8>, unicode: String) -> Self {
        Self { bytes, shown: unicode.clone(), unicode: Some(unicode) }
    }

    /// Its bytes for an archive whose names are UTF-8 by custom.
    pub(super) fn best(&self) -> &[u8] {
        self.unicode.as_ref().map_or(&self.bytes, |unicode| unicode.as_bytes())
    }

    /// Whether it names a folder, as far as the name tells.
    pub(super) fn is_folder(&self) -> bool {
        let text = self.identity();
        text.ends_with(['/', '\\'])
    }

    /// The bytes as text in which each byte that is not ASCII, and as `is_half` says each after such a one, stands for
    /// itself: a letter without case and without another spelling.
    fn opaque(&self, is_half: impl Fn(u8, u8) -> bool) -> String {
        let before = [0].into_iter().chain(self.bytes.iter().copied());
        let letter = |(before, &byte): (u8, &u8)| match byte {
            // Of the private use area.
            _ if byte >= 0x80 || is_half(before, byte) => {
                char::from_u32(0xF700 + u32::from(byte)).unwrap_or('\u{FFFD}')
            }
            _ => char::from(byte),
        };
        before.zip(&self.bytes).map(letter).collect()
    }

    /// The bytes as a reader sees them for whom every backslash separates.
    fn strict(&self) -> String {
        str::from_utf8(&self.bytes).map_or_else(|_| self.opaque(|_, _| false), str::to_owned)
    }

    /// The bytes as a reader sees them who knows what is half of a letter.
    fn identity(&self) -> String {
        let is_half = |before, byte| before >= 0x80 && byte >= 0x40;
        str::from_utf8(&self.bytes).map_or_else(|_| self.opaque(is_half), str::to_owned)
    }
}

/// The names of an archive so far, each as a machine that ignores case and spelling would know it.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_bytes: Known,
    /// The same for readers that go by the Unicode beside the bytes, where there is any.
    by_unicode: Known,
    /// About how many bytes are held for all names so far.
    held: usize,
}

/// By the first half of the SHA-256 of the folded path, which nobody can make two of.
type Known = HashMap<[u8; 16], Use>;

/// About how many bytes one entry of [`Known`] takes, with the room that a map keeps free.
const ENTRY: usize = 40;

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    File,
    /// A folder with a member of its own.
    Folder,
    /// A folder that other names lead through.
    Way,
}

impl Names {
    /// Judges a name, and remembers it.
    pub(super) fn admit(&mut self, name: &Name, is_folder: bool, limits: &ArchiveLimits) -> Result<(), MediaError> {
        let shown = name.shown.as_str();
        let longest = name.bytes.len().max(name.best().len());
        if longest > limits.name {
            return Err(over(format!("the name {} has more than {} bytes", self::shown(shown), limits.name)));
        }
        leads_nowhere_else(&name.strict(), shown)?;
        if let Some(unicode) = &name.unicode {
            leads_nowhere_else(unicode, shown)?;
        }
        let bytes = name.identity();
        remember(&mut self.by_bytes, &bytes, shown, is_folder, limits)?;
        remember(&mut self.by_unicode, name.unicode.as_ref().unwrap_or(&bytes), shown, is_folder, limits)?;
        self.held += name.bytes.len() + name.shown.len() + name.unicode.as_ref().map_or(0, String::len);
        let most = limits.memory_of_names();
        if self.held + ENTRY * (self.by_bytes.len() + self.by_unicode.len()) > most {
            return Err(over(format!("the names of the members need more than {most} bytes of memory")));
        }
        Ok(())
    }
}

/// The parts of a name. Archives made on Windows may separate by backslashes, and readers there will.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['/', '\\']).filter(|part| !matches!(*part, "" | "."))
}

fn leads_nowhere_else(name: &str, shown: &str) -> Result<(), MediaError> {
    if name.chars().any(char::is_control) {
        return Err(unsafe_member(shown, "has a control character in its name"));
    }
    let has_drive = name.get(1..2) == Some(":") && name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if name.starts_with(['/', '\\']) || has_drive {
        return Err(unsafe_member(shown, "has an absolute name"));
    }
    if parts(name).any(|part| part == "..") {
        return Err(unsafe_member(shown, "leads out of its folder"));
    }
    Ok(())
}

fn remember(
    known: &mut Known,
    name: &str,
    shown: &str,
    is_folder: bool,
    limits: &ArchiveLimits,
) -> Result<(), MediaError> {
    let parts: Vec<&str> = parts(name).collect();
    if parts.len() > limits.depth {
        let message = format!("the member {} lies more than {} folders deep", self::shown(shown), limits.depth);
        return Err(over(message));
    }
    if parts.is_empty() && !is_folder {
        return Err(unsafe_member(shown, "has no name"));
    }
    let (mut path, mut length) = (Sha256::new(), 0);
    for (at, part) in parts.iter().enumerate() {
        let part = folded(part);
        length += part.chars().count() + 1;
        // Some letters stand for whole words, which a machine that ignores spelling keeps in place of them.
        if length > limits.name + 1 {
            let message =
                format!("the name {} has more than {} letters when spelled out", self::shown(shown), limits.name);
            return Err(over(message));
        }
        path.update(b"/");
        path.update(part);
        let mut key = [0; 16];
        key.copy_from_slice(&path.clone().finalize()[..16]);
        let is_last = at + 1 == parts.len();
        let used = match (is_last, is_folder) {
            (true, false) => Use::File,
            (true, true) => Use::Folder,
            (false, _) => Use::Way,
        };
        match (known.get(&key), used) {
            (None, _) | (Some(Use::Way), Use::Folder) => {
                known.insert(key, used);
            }
            (Some(Use::Way | Use::Folder), Use::Way) => {}
            _ => {
                return Err(unsafe_member(shown, "has the same name as another member, at least on some machines"));
            }
        }
    }
    Ok(())
}

/// A name as a machine knows it that ignores case and the ways to write an accent.
fn folded(part: &str) -> String {
    part.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// A name that can be shown: quoted, without control characters, cut.
pub(super) fn shown(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(120).collect();
    format!("\"{plain}\"")
}
