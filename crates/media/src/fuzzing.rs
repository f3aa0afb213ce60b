//! Doors for the fuzz targets (`fuzz/`) to readers that nothing outside of this crate calls.

use std::io::Cursor;

use crate::{extent, matte, mp4, sniff};

/// Looks at the beginning of a file as a job does, before a tool sees it: what it is, and where it says that it ends.
pub fn look(bytes: &[u8]) {
    let head = &bytes[..bytes.len().min(sniff::HEAD)];
    let _kind = sniff::sniff(head);
    for demuxer in ["matroska", "avi"] {
        let _end = extent::claimed(head, demuxer);
    }
    let _layout = mp4::layout(&mut Cursor::new(bytes), bytes.len() as u64);
}

/// Reads a net as when a model is added, and writes it in the other format.
pub fn net(bytes: &[u8]) {
    matte::convert(bytes);
}
