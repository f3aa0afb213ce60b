//! An AVIF image sequence as a tool should see it: its tracks alone.
//!
//! Such a file also holds its first picture as an item, for programs that show no more than that. Some versions of ffmpeg
//! take the item for the first stream, and a video of one frame is what comes of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Where the name of a box begins in it, and how many bytes its header has at most.
const NAME: u64 = 4;
const HEADER: usize = 16;

/// Copies the sequence at `input` to `output` with its items left out: their box becomes free space, and no byte moves.
/// Blocks.
///
/// # Errors
/// Those of the operating system.
pub fn without_items(input: &Path, output: &Path) -> io::Result<()> {
    fs::copy(input, output)?;
    let mut file = File::options().read(true).write(true).open(output)?;
    let end = file.metadata()?.len();
    let mut at = 0;
    while at + 8 <= end {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(HEADER);
        io::Read::by_ref(&mut file).take(HEADER as u64).read_to_end(&mut head)?;
        let Some((name, size)) = header(&head, end - at) else { break };
        if name == *b"meta" {
            file.seek(SeekFrom::Start(at + NAME))?;
            file.write_all(b"free")?;
        }
        at = at.saturating_add(size);
    }
    Ok(())
}

/// Name and size of the box that begins so, with `left` bytes to the end of the file; `None` for what is none.
fn header(head: &[u8], left: u64) -> Option<([u8; 4], u64)> {
    let short = u32::from_be_bytes(head.get(..4)?.try_into().ok()?);
    let name = head.get(4..8)?.try_into().ok()?;
    let size = match short {
        0 => left,
        1 => u64::from_be_bytes(head.get(8..16)?.try_into().ok()?),
        short => short.into(),
    };
    (size >= 8).then_some((name, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_items_are_left_out() {
        let pack =
            |name: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat();
        let inner = pack(b"meta", b"of a track");
        let parts = [pack(b"ftyp", b"avis"), pack(b"meta", b"items"), pack(b"moov", &inner), b"\0\0\0\0mdatx".to_vec()];
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, parts.concat()).unwrap();
        without_items(&from, &to).unwrap();
        let expected = [parts[0].clone(), pack(b"free", b"items"), parts[2].clone(), parts[3].clone()].concat();
        assert_eq!(fs::read(&to).unwrap(), expected);
        for cut in 0..expected.len() {
            fs::write(&from, &expected[..cut]).unwrap();
            without_items(&from, &to).unwrap();
        }
    }
}
