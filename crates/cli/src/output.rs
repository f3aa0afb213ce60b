//! The only place that prints.
//!
//! Results go to stdout, remarks to stderr. When the reader of stdout goes away (`reelhook jobs list | head -1`) that is
//! no failure: [`line`] answers [`Gone`], and `main` ends quietly when it finds one at the root of an error.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::logging;

/// Nobody reads stdout any more.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output is gone")]
pub(crate) struct Gone;

/// Prints one line of the result on stdout.
pub(crate) fn line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Gone.into()),
        Err(error) => Err(anyhow::Error::new(error).context("the result cannot be written to stdout")),
    }
}

/// Prints a value as indented JSON on stdout.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Prints a remark on stderr, through the log where there is one. A remark that nobody can read is no reason to stop.
pub(crate) fn note(text: impl Display) {
    let text = text.to_string();
    if !logging::note(&text) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Prints rows in columns as wide as their widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> anyhow::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// How often bars are drawn.
const TICK: Duration = Duration::from_millis(250);

/// The progress bars of one command, on stderr; invisible where stderr is no terminal.
#[derive(Debug, Clone)]
pub(crate) struct Bars(MultiProgress);

impl Bars {
    /// No bars yet.
    pub(crate) fn new() -> Self {
        Self(MultiProgress::new())
    }

    /// Whether anybody sees them.
    pub(crate) fn are_seen(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// A bar that counts bytes up to `total`.
    pub(crate) fn bytes(&self, name: &str, total: u64) -> ProgressBar {
        let template = "{prefix:<14} {bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  {eta}";
        self.add(ProgressBar::new(total), name, template)
    }

    /// A bar from 0 to 100.
    pub(crate) fn percent(&self, name: &str) -> ProgressBar {
        self.add(ProgressBar::new(100), name, "{prefix:<14} {bar:30} {pos:>3} %  {msg}")
    }

    /// A line that is asked for again and again.
    pub(crate) fn live(&self, line: impl Fn() -> String + Send + Sync + Clone + 'static) -> ProgressBar {
        let style = ProgressStyle::with_template("{line}").expect("the template is well formed");
        let write = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&line());
        };
        let bar = self.0.add(ProgressBar::new_spinner().with_style(style.with_key("line", write)));
        bar.enable_steady_tick(TICK);
        bar
    }

    fn add(&self, bar: ProgressBar, name: &str, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
        let bar = self.0.add(bar.with_style(style.progress_chars("=> ")).with_prefix(name.to_owned()));
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Prints a remark while bars are shown, above them.
    pub(crate) fn note(&self, text: impl Display) {
        self.0.suspend(|| note(text));
    }
}

/// A size for people: `1.7 MB`, `834 kB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // What would be rounded to 1000 is 1 of the next.
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if value < 99.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A span for people: `2.3 s`, `11 s`, `4:19`, `1:04:19`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    if seconds < 59.5 {
        return format!("{seconds:.0} s");
    }
    clock(span)
}

/// A span as a clock shows it: `0:09`, `4:19`, `1:04:19`.
pub(crate) fn clock(span: Duration) -> String {
    let seconds = span.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A word as a shell reads it back.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_spelled_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (834_400, "834 kB"),
            (999_999, "1.0 MB"),
            (12_345_678, "12.3 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn spans_are_spelled_for_people() {
        for (millis, short, long) in [
            (0, "0.0 s", "0:00"),
            (2340, "2.3 s", "0:02"),
            (11_200, "11 s", "0:11"),
            (59_700, "1:00", "1:00"),
            (259_000, "4:19", "4:19"),
            (3_859_000, "1:04:19", "1:04:19"),
        ] {
            let of = Duration::from_millis(millis);
            assert_eq!((span(of).as_str(), clock(of).as_str()), (short, long));
        }
    }

    #[test]
    fn a_shell_reads_a_word_back_as_it_was() {
        for (word, shown) in [
            ("/srv/reelhook-data", "/srv/reelhook-data"),
            ("/srv/my data", "'/srv/my data'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("~/x", "'~/x'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), shown);
        }
    }
}
