//! The list at the end of a ZIP file, read byte by byte: the library that unpacks members tells their names as text, and
//! keeps one member of each name. Other programs may unpack either.
//!
//! # Source
//! APPNOTE 4.3.12 (central directory), 4.4.4 (bit 11: names are UTF-8), 4.5.3 (extra fields), 4.6.9 (Unicode path).

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::super::{Taking, over, unsafe_member};
use crate::error::MediaError;

/// Info-ZIP's field with the name in Unicode, and the two with times that know their time zone.
const UNICODE_PATH: u16 = 0x7075;
const UNIX_TIMES: u16 = 0x5455;
const NTFS_TIMES: u16 = 0x000A;

/// What the list says of one member.
#[derive(Debug)]
pub(super) struct Listed {
    /// Where this begins in the file.
    pub(super) at: u64,
    /// The name's bytes.
    pub(super) name: Vec<u8>,
    /// The number of the way it is packed.
    pub(super) method: u16,
    pub(super) header: Header,
}

/// What a ZIP file tells of a member beside its name and contents, and what is written again as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Header {
    /// Whether it says that the name is UTF-8 (bit 11). Where it does not, a reader takes its own code page.
    pub(in super::super) utf8: bool,
    /// The system that made it, by which some readers guess the code page.
    pub(in super::super) made_by: u8,
    /// Attributes of a file as that system knows them.
    pub(in super::super) attributes: u32,
    /// The comment on the member, in the code page of the name.
    pub(in super::super) comment: Vec<u8>,
    /// The extra fields that are kept, by their numbers.
    pub(in super::super) extra: Vec<(u16, Vec<u8>)>,
}

impl Listed {
    /// The name that is given in Unicode beside the bytes.
    pub(super) fn unicode(&self) -> Option<String> {
        let (_, field) = self.header.extra.iter().find(|(number, _)| *number == UNICODE_PATH)?;
        let [1, a, b, c, d, text @ ..] = field.as_slice() else { return None };
        // A program that knows nothing of the field may have changed the name since.
        if u32::from_le_bytes([*a, *b, *c, *d]) != crc(&self.name) {
            return None;
        }
        str::from_utf8(text).ok().filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

impl Header {
    /// When the member was changed, in seconds since 1970, where a field tells it with its time zone.
    pub(in super::super) fn modified(&self) -> Option<u64> {
        let (_, field) = self.extra.iter().find(|(number, _)| *number == UNIX_TIMES)?;
        let [_, a, b, c, d] = field.as_slice() else { return None };
        Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
    }
}

/// Reads the list, which begins at `start`.
pub(super) fn list(path: &Path, start: u64, taking: &Taking<'_>) -> Result<Vec<Listed>, MediaError> {
    let mut file = BufReader::new(File::open(path)?);
    file.seek(SeekFrom::Start(start))?;
    let (mut list, mut names, mut at, mut held) = (Vec::new(), HashSet::new(), start, 0);
    loop {
        let mut head = [0; 46];
        // Whatever stands where no further header is, ends the list.
        if file.read_exact(&mut head).is_err() || head[..4] != *b"PK\x01\x02" {
            return Ok(list);
        }
        let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let mut take = |length: u16| {
            let mut bytes = Vec::new();
            file.by_ref().take(u64::from(length)).read_to_end(&mut bytes).map(|_| bytes)
        };
        let (name, extra, comment) = (take(short(28))?, take(short(30))?, take(short(32))?);
        if !names.insert(name.clone()) {
            return Err(unsafe_member(&String::from_utf8_lossy(&name), "appears twice"));
        }
        if names.len() > taking.limits.entries {
            return Err(over(format!("the archive has more than {} members", taking.limits.entries)));
        }
        let length = 46 + name.len() + extra.len() + comment.len();
        held += length;
        let most = taking.limits.memory_of_names();
        if held > most {
            return Err(over(format!("the list of the archive's members has more than {most} bytes")));
        }
        let header = Header {
            utf8: short(8) & 1 << 11 != 0,
            made_by: head[5],
            attributes: u32::from_le_bytes([head[38], head[39], head[40], head[41]]),
            comment,
            extra: kept(&extra),
        };
        list.push(Listed { at, name, method: short(10), header });
        at += length as u64;
    }
}

/// The extra fields that mean the same in the file that is written. Others tell of what is no longer so (sizes, an
/// alignment, a signature) or of this machine's users.
fn kept(mut extra: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut kept = Vec::new();
    while let [a, b, c, d, rest @ ..] = extra {
        let (number, length) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
        let Some((field, rest)) = rest.split_at_checked(length) else { break };
        match number {
            UNICODE_PATH | NTFS_TIMES => kept.push((number, field.to_vec())),
            // The list has the first of the times alone, and says of all which ones stand at the member itself.
            UNIX_TIMES if field.len() >= 5 && field[0] & 1 != 0 => {
                kept.push((number, [&[1], &field[1..5]].concat()));
            }
            _ => {}
        }
        extra = rest;
    }
    kept
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
