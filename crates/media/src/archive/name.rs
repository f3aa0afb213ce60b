//! Names of members: which ones could harm whoever unpacks the archive.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

use super::{ArchiveLimits, over, unsafe_member};
use crate::error::MediaError;

/// The names of an archive so far, each as a machine that ignores case and spelling would know it.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<String, Use>,
}

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
    pub(super) fn admit(&mut self, name: &str, is_folder: bool, limits: &ArchiveLimits) -> Result<(), MediaError> {
        if name.len() > limits.name {
            return Err(over(format!("the name {} has more than {} bytes", shown(name), limits.name)));
        }
        if name.chars().any(char::is_control) {
            return Err(unsafe_member(name, "has a control character in its name"));
        }
        // Archives made on Windows may separate by backslashes, and readers there will.
        let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
        let has_drive = name.get(1..2) == Some(":") && name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if name.starts_with(['/', '\\']) || has_drive {
            return Err(unsafe_member(name, "has an absolute name"));
        }
        if parts.contains(&"..") {
            return Err(unsafe_member(name, "leads out of its folder"));
        }
        if parts.len() > limits.depth {
            return Err(over(format!("the member {} lies more than {} folders deep", shown(name), limits.depth)));
        }
        if parts.is_empty() && !is_folder {
            return Err(unsafe_member(name, "has no name"));
        }
        let mut key = String::new();
        for (at, part) in parts.iter().enumerate() {
            key.push('/');
            key.push_str(&folded(part));
            let is_last = at + 1 == parts.len();
            let used = match (is_last, is_folder) {
                (true, false) => Use::File,
                (true, true) => Use::Folder,
                (false, _) => Use::Way,
            };
            match (self.known.get(&key), used) {
                (None, _) | (Some(Use::Way), Use::Folder) => {
                    self.known.insert(key.clone(), used);
                }
                (Some(Use::Way | Use::Folder), Use::Way) => {}
                _ => {
                    return Err(unsafe_member(
                        name,
                        "has the name of another member, or one that is the same on some machines",
                    ));
                }
            }
        }
        Ok(())
    }
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
