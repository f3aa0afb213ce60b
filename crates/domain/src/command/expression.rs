//! Expressions of ffmpeg's evaluator, read token by token.
//!
//! # Source
//! "Expression Evaluation" in <https://ffmpeg.org/ffmpeg-utils.html>. `print` writes to the log and `while` may never
//! end: both are left out.

use super::value::{is_suffix, leading_number};

/// How deep parentheses may nest.
const DEEPEST: u32 = 30;
/// Functions that are not evaluated here.
const REFUSED: &[&str] = &["print", "while"];

/// Reads an expression and gives it without spaces; none where it is none.
pub(super) fn read(text: &str) -> Option<String> {
    let mut reader = Reader { rest: text, spelled: String::with_capacity(text.len()), depth: 0 };
    reader.expression()?;
    reader.skip_spaces();
    reader.rest.is_empty().then_some(reader.spelled)
}

struct Reader<'a> {
    rest: &'a str,
    spelled: String,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, signs: &[char]) -> bool {
        self.skip_spaces();
        let Some(sign) = self.rest.chars().next().filter(|sign| signs.contains(sign)) else { return false };
        self.rest = &self.rest[sign.len_utf8()..];
        self.spelled.push(sign);
        true
    }

    /// Takes that many bytes.
    fn keep(&mut self, length: usize) -> &'a str {
        let (kept, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.spelled.push_str(kept);
        kept
    }

    fn expression(&mut self) -> Option<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        self.operand()?;
        while self.take(&['+', '-', '*', '/', '^']) {
            self.operand()?;
        }
        self.depth -= 1;
        Some(())
    }

    fn operand(&mut self) -> Option<()> {
        // A sign or two, as in `2*-1`.
        let _ = self.take(&['+', '-']) && self.take(&['+', '-']);
        if self.take(&['(']) {
            self.expression()?;
            return self.take(&[')']).then_some(());
        }
        self.skip_spaces();
        if let Some((digits, after)) = leading_number(self.rest) {
            let suffix = after.bytes().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let fits = is_suffix(&after[..suffix]);
            let length = digits.len() + suffix;
            return fits.then(|| self.keep(length)).map(drop);
        }
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = self.rest.bytes().take_while(inner).count();
        if length == 0 {
            return None;
        }
        let name = self.keep(length);
        if !self.take(&['(']) {
            return Some(());
        }
        if REFUSED.contains(&name) {
            return None;
        }
        // `random(0)`, `hypot(w,h)`, and functions of no argument.
        if self.take(&[')']) {
            return Some(());
        }
        loop {
            self.expression()?;
            if self.take(&[')']) {
                return Some(());
            }
            if !self.take(&[',']) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_whole_or_not_at_all() {
        for (text, spelled) in [
            ("iw/2", Some("iw/2")),
            ("-1", Some("-1")),
            ("2*-1", Some("2*-1")),
            ("trunc(oh*a/2)*2", Some("trunc(oh*a/2)*2")),
            ("if(gte(t, 1), W - w - 10, NAN)", Some("if(gte(t,1),W-w-10,NAN)")),
            ("(main_w-overlay_w)/2", Some("(main_w-overlay_w)/2")),
            ("10dB", Some("10dB")),
            ("N/FRAME_RATE/TB", Some("N/FRAME_RATE/TB")),
            ("/etc/passwd", None),
            ("a//b", None),
            ("file:x", None),
            ("..", None),
            ("while(1,0)", None),
            ("print(t)", None),
            ("a b", None),
            ("sin(", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), spelled, "{text}");
        }
        assert_eq!(read(&"(".repeat(10_000)), None);
    }
}
