//! Values of options: each kind reads a text into tokens and spells those, so that nothing passes that was not read.
//!
//! No kind takes a name of a file: a slash is a division or a fraction, a colon stands in a time or a ratio.

use super::{bounds, expression};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number: `-1.5`, `1e3`, `2M`, `128k`, `-16dB`, `50%`.
    Number,
    /// A word or a number: the name of a constant.
    Word,
    /// An expression of `libavutil`'s evaluator.
    Expression,
    /// A point in time or a length: `1.5`, `250ms`, `00:01:02.5`.
    Time,
    /// `1280x720`, or the name of a size.
    Size,
    /// `25`, `30000/1001`, `16:9`, or the name of a rate.
    Ratio,
    /// `red`, `#rrggbb`, `0xrrggbb`, with `@alpha`.
    Color,
    /// Words joined by `+` and `-`.
    Flags,
    /// Words and numbers joined by `|`, spaces or signs.
    List,
    /// Pairs of numbers: `0/0 0.5/0.6`.
    Points,
}

impl Kind {
    /// The kind of that letter in a table.
    pub(super) const fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'n' => Self::Number,
            b'w' => Self::Word,
            b'e' => Self::Expression,
            b't' => Self::Time,
            b's' => Self::Size,
            b'r' => Self::Ratio,
            b'c' => Self::Color,
            b'f' => Self::Flags,
            b'l' => Self::List,
            b'p' => Self::Points,
            _ => return None,
        })
    }

    /// What it takes, in words that follow "takes".
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Word => "a word or a number",
            Self::Expression => "an expression",
            Self::Time => "a time such as 1.5 or 00:01:02",
            Self::Size => "a size such as 1280x720, of at most 33177600 pixels",
            Self::Ratio => "a number or a ratio such as 30000/1001",
            Self::Color => "a colour",
            Self::Flags => "words joined by + or -",
            Self::List => "a list of words and numbers",
            Self::Points => "pairs of numbers such as 0/0 1/1",
        }
    }

    /// Reads a text and gives it as it is spelled; none where it is something else.
    pub(super) fn read(self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        match self {
            Self::Number => number(text),
            Self::Word => word(text),
            Self::Expression => expression::read(text),
            Self::Time => time(text),
            Self::Size => size(text),
            Self::Ratio => ratio(text),
            Self::Color => made_of(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'@' | b'.')),
            Self::Flags => made_of(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-')),
            Self::List => list(text),
            Self::Points => points(text),
        }
    }
}

/// Longest value, in bytes.
const LONGEST: usize = 2000;

/// The text, where it is made of such bytes alone.
pub(super) fn made_of(text: &str, fits: impl Fn(u8) -> bool) -> Option<String> {
    text.bytes().all(fits).then(|| text.to_owned())
}

/// A word, or a number. A dot never begins one, nor comes after another: neither `..` nor a hidden file is a word.
fn word(text: &str) -> Option<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.' | b'(' | b')');
    let fits = !text.starts_with('.') && !text.contains("..");
    made_of(text, inner).filter(|_| fits).or_else(|| number(text))
}

/// How many bytes at the beginning are such.
fn run(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|&byte| fits(byte)).count()
}

/// The number at the beginning, without a sign, and what follows it.
pub(super) fn leading_number(text: &str) -> Option<(&str, &str)> {
    let digit = |byte: u8| byte.is_ascii_digit();
    if let Some(hex) = text.strip_prefix("0x") {
        let end = 2 + run(hex, |byte| byte.is_ascii_hexdigit());
        return (end > 2).then(|| text.split_at(end));
    }
    let whole = run(text, digit);
    let mut end = whole;
    if text[end..].starts_with('.') {
        let fraction = run(&text[end + 1..], digit);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    }
    if end == 0 {
        return None;
    }
    let rest = &text[end..];
    if rest.starts_with(['e', 'E']) {
        let sign = usize::from(rest[1..].starts_with(['+', '-']));
        let exponent = run(&rest[1 + sign..], digit);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    Some(text.split_at(end))
}

/// What may follow a number: a power (`k`, `Mi`), bytes, decibels, per cent.
pub(super) fn is_suffix(text: &str) -> bool {
    let rest = text.strip_prefix(['y', 'z', 'a', 'f', 'p', 'n', 'u', 'm', 'c', 'd', 'h', 'k', 'K', 'M', 'G', 'T', 'P']);
    let rest = rest.map_or(text, |rest| rest.strip_prefix('i').unwrap_or(rest));
    matches!(rest, "" | "B") || matches!(text, "dB" | "%" | "d")
}

fn number(text: &str) -> Option<String> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (digits, suffix) = leading_number(text.strip_prefix(['+', '-']).unwrap_or(text))?;
    is_suffix(suffix).then(|| format!("{sign}{digits}{suffix}"))
}

/// # Source
/// "Time duration" in <https://ffmpeg.org/ffmpeg-utils.html>: `[-][HH:]MM:SS[.m...]` or `[-]S+[.m...][s|ms|us]`.
fn time(text: &str) -> Option<String> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let parts: Vec<&str> = bare.split(':').collect();
    let whole = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let (last, before) = parts.split_last()?;
    if before.len() > 2 || !before.iter().all(|part| whole(part)) {
        return None;
    }
    let (_, unit) = leading_number(last)?;
    let fits = if before.is_empty() { matches!(unit, "" | "s" | "ms" | "us") } else { unit.is_empty() };
    fits.then(|| format!("{sign}{bare}"))
}

fn size(text: &str) -> Option<String> {
    let whole = |part: &str| (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((width, height)) = text.split_once('x').filter(|(width, height)| whole(width) && whole(height)) {
        let fits = bounds::size_fits(width.parse().ok()?, height.parse().ok()?);
        return fits.then(|| format!("{width}x{height}"));
    }
    made_of(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn ratio(text: &str) -> Option<String> {
    if let Some(at) = text.find(['/', ':']) {
        let (above, below) = (number(&text[..at])?, number(&text[at + 1..])?);
        return Some(format!("{above}{}{below}", &text[at..=at]));
    }
    number(text).or_else(|| made_of(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')))
}

fn list(text: &str) -> Option<String> {
    let sign = |byte: u8| b"_-+.*=<|&()#@ ".contains(&byte);
    made_of(text, |byte| byte.is_ascii_alphanumeric() || sign(byte)).filter(|text| !text.contains(".."))
}

fn points(text: &str) -> Option<String> {
    let point = |point: &str| match point.split_once(['/', ',']) {
        Some((x, y)) => Some(format!("{}{}{}", number(x)?, &point[x.len()..=x.len()], number(y)?)),
        None => number(point),
    };
    let bars = |part: &str| Some(part.split('|').map(point).collect::<Option<Vec<_>>>()?.join("|"));
    Some(text.split_whitespace().map(bars).collect::<Option<Vec<_>>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_spelled_and_the_rest_refused() {
        for (kind, text, spelled) in [
            (Kind::Number, "+2.50M", Some("2.50M")),
            (Kind::Number, "-16dB", Some("-16dB")),
            (Kind::Number, "1e-3", Some("1e-3")),
            (Kind::Number, "1/2", None),
            (Kind::Number, "NaN", None),
            (Kind::Word, "yuv420p", Some("yuv420p")),
            (Kind::Word, "5.1(side)", Some("5.1(side)")),
            (Kind::Word, "../x", None),
            (Kind::Word, "a:b", None),
            (Kind::Word, ".bashrc", None),
            (Kind::Time, "00:01:02.5", Some("00:01:02.5")),
            (Kind::Time, "250ms", Some("250ms")),
            (Kind::Time, "1:2:3:4", None),
            (Kind::Time, "/etc", None),
            (Kind::Size, "1280x720", Some("1280x720")),
            (Kind::Size, "hd720", Some("hd720")),
            (Kind::Ratio, "30000/1001", Some("30000/1001")),
            (Kind::Ratio, "16:9", Some("16:9")),
            (Kind::Ratio, "/etc/passwd", None),
            (Kind::Ratio, "file:1", None),
            (Kind::Color, "#ff0000@0.5", Some("#ff0000@0.5")),
            (Kind::Flags, "+faststart-x", Some("+faststart-x")),
            (Kind::Flags, "a/b", None),
            (Kind::List, "stereo|FL=0.5*FL|FR<FR", Some("stereo|FL=0.5*FL|FR<FR")),
            (Kind::List, "a/b", None),
            (Kind::Points, "0/0 0.5/0.6 1/1", Some("0/0 0.5/0.6 1/1")),
            (Kind::Points, "0/etc", None),
        ] {
            assert_eq!(kind.read(text).as_deref(), spelled, "{kind:?} {text}");
        }
    }
}
