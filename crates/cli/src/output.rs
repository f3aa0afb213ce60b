//! The only place that prints.
//!
//! Results go to stdout, remarks to stderr. When the reader of stdout goes away (`reelhook jobs list | head -1`) that is
//! no failure: [`line`] answers [`Gone`], and `main` ends quietly when it finds one at the root of an error.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::logging;

/// Nobody reads stdout any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
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

    fn add(&self, bar: ProgressBar, name: &str, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
        let bar = self.0.add(bar.with_style(style.progress_chars("=> ")).with_prefix(name.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// Prints a remark while bars are shown, above them.
    pub(crate) fn note(&self, text: impl Display) {
        self.0.suspend(|| note(text));
    }
}

/// A size for people: `12.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_spelled_for_people() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (u64::MAX, "18446744.1 TB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
