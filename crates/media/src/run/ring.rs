//! The last 64 KiB that a tool said on standard error.

use std::collections::VecDeque;

/// How much is kept.
const CAPACITY: usize = 64 * 1024;

/// A buffer that forgets its beginning.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    bytes: VecDeque<u8>,
}

impl Ring {
    /// Adds what was said.
    pub(crate) fn push(&mut self, said: &[u8]) {
        let said = &said[said.len().saturating_sub(CAPACITY)..];
        let over = (self.bytes.len() + said.len()).saturating_sub(CAPACITY);
        self.bytes.drain(..over);
        self.bytes.extend(said);
    }

    /// The last line with something in it, for the operator's log.
    pub(crate) fn last_line(&self) -> String {
        let text = self.text();
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }

    /// All that is kept.
    pub(crate) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_beginning_forgotten() {
        let mut ring = Ring::default();
        for number in 0..20_000 {
            ring.push(format!("line {number}\n").as_bytes());
        }
        ring.push(b"\n  \n");
        assert_eq!(ring.last_line(), "line 19999");
        assert_eq!(ring.text().len(), CAPACITY);
    }

    #[test]
    fn more_than_it_holds_at_once_keeps_the_last_of_it() {
        let mut ring = Ring::default();
        ring.push(b"before");
        ring.push(&[b'x'; CAPACITY + 10]);
        assert_eq!(ring.text(), "x".repeat(CAPACITY));
    }
}
