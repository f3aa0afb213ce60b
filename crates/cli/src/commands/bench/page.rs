//! The page: figures with their baselines, as Markdown or JSON.
//!
//! A run that measures only some sections replaces those on a page that exists and leaves the others, each of which says
//! when, where and by which command it was measured.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use anyhow::Context as _;
use serde::Serialize;

use crate::ambient;

/// The order of the sections; sections of other titles, which people wrote, stay behind them.
const ORDER: [&str; 15] = [
    "Server",
    "Media",
    "Pictures",
    "Uploads",
    "Delivery: throughput",
    "Delivery: latency",
    "Delivery: fan-out",
    "Delivery: isolation",
    "Delivery: dead endpoint",
    "Delivery: backlog",
    "Delivery: retention",
    "Delivery: crash",
    "Delivery: idle",
    "Tenants",
    "Soak",
];

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    command: String,
    version: &'static str,
    machine: Machine,
    sections: Vec<Measured>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    memory_gb: f64,
    kernel: String,
}

/// A section, and when it was measured.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    section: Section,
    measured_at: String,
    /// Runnable processes over the last minute, at the end: more than the measured ones were noise.
    load_average: String,
}

/// Figures of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
    /// How it was measured, a sentence or two each.
    pub(super) method: Vec<String>,
}

/// One number, and what it can be compared with.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Baseline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    must: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
}

/// What a figure is compared with, in the same unit.
#[derive(Debug, Serialize)]
struct Baseline {
    name: String,
    value: f64,
    /// The figure divided by this.
    ratio: f64,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// The value, at most.
    Value(f64),
    /// The ratio, at most.
    Ratio(f64),
    /// The ratio, at least.
    RatioFrom(f64),
}

/// How a figure stands to its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Missed,
    Met,
    AimMet,
}

impl Figure {
    /// A value beside its baseline, which has the same unit.
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        baseline: impl Into<String>,
        baseline_value: f64,
    ) -> Self {
        let baseline = Baseline { name: baseline.into(), value: baseline_value, ratio: value / baseline_value };
        Self { baseline: Some(baseline), ..Self::alone(name, value, unit) }
    }

    /// A value without a baseline.
    pub(super) fn alone(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, baseline: None, must: None, aim: None, verdict: None }
    }

    /// With what it must be.
    pub(super) fn target(mut self, target: Target) -> Self {
        self.must = Some(target);
        self.judged()
    }

    /// With what it shall become.
    pub(super) fn aim(mut self, target: Target) -> Self {
        self.aim = Some(target);
        self.judged()
    }

    fn judged(mut self) -> Self {
        let is_met = |target: &Target| self.meets(*target);
        self.verdict = match (self.must.as_ref().map(is_met), self.aim.as_ref().map(is_met)) {
            (None, None) => None,
            (Some(false), _) | (None, Some(false)) => Some(Verdict::Missed),
            (_, Some(true)) => Some(Verdict::AimMet),
            (Some(true), _) => Some(Verdict::Met),
        };
        self
    }

    /// What could not be measured meets nothing.
    fn meets(&self, target: Target) -> bool {
        let ratio = self.baseline.as_ref().map_or(f64::NAN, |baseline| baseline.ratio);
        match target {
            Target::Value(most) => self.value <= most,
            Target::Ratio(most) => ratio <= most,
            Target::RatioFrom(least) => ratio >= least,
        }
    }

    fn row(&self) -> String {
        let Self { name, unit, .. } = self;
        let spell = |target| match target {
            None => "-".to_owned(),
            Some(Target::Value(most)) => format!("at most {} {unit}", number(most)),
            Some(Target::Ratio(most)) => format!("at most {most:.2} x"),
            Some(Target::RatioFrom(least)) => format!("at least {least:.2} x"),
        };
        let verdict = match self.verdict {
            None => "-",
            Some(Verdict::AimMet) => "aim met",
            Some(Verdict::Met) => "met",
            Some(Verdict::Missed) => "**missed**",
        };
        let (baseline, ratio) = match &self.baseline {
            None => ("-".to_owned(), "-".to_owned()),
            Some(Baseline { name, value, ratio }) => {
                let places = if *ratio < 0.1 { 4 } else { 2 };
                (format!("{name}: {} {unit}", number(*value)), format!("{ratio:.places$} x"))
            }
        };
        let (value, must, aim) = (number(self.value), spell(self.must), spell(self.aim));
        format!("| {name} | {value} {unit} | {baseline} | {ratio} | {must} | {aim} | {verdict} |")
    }
}

impl Page {
    /// An empty page, of this machine.
    pub(super) fn new() -> Self {
        let words: Vec<_> = std::env::args().skip(1).collect();
        Self {
            command: format!("reelhook {}", words.join(" ")),
            version: env!("CARGO_PKG_VERSION"),
            machine: Machine::here(),
            sections: Vec::new(),
        }
    }

    /// Adds what was measured just now.
    pub(super) fn add(&mut self, section: Section) {
        self.sections.push(Measured {
            section,
            measured_at: ambient::system().now().to_string(),
            load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(", "),
        });
    }

    /// Whether a figure misses what it must be, or shall become.
    pub(super) fn has_missed(&self) -> bool {
        let mut figures = self.sections.iter().flat_map(|measured| &measured.section.figures);
        figures.any(|figure| figure.verdict == Some(Verdict::Missed))
    }

    /// The page for people.
    pub(super) fn markdown(&self) -> String {
        self.over("")
    }

    /// Puts these sections in place on the page at `path`, which need not exist.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let old = match fs::read_to_string(path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        fs::write(path, self.over(&old)).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The page for people, with the sections of `old` that were not measured now.
    fn over(&self, old: &str) -> String {
        let mut page = String::from(
            "# Benchmarks\n\nWhat `reelhook bench` printed; `make bench` writes this page.\n\nEach figure stands beside \
             a baseline measured in the same run: the ratio carries over to other machines better than the number does. \
             Must and Aim are what it has to reach and what it shall reach. Payloads have 1 KiB, and every commit is \
             synced before its answer, unless a section says otherwise. Load, receiver and server share the cores: with \
             the first two elsewhere the rates are higher.\n",
        );
        let kept = old.split("\n## ").skip(1).filter_map(|text| text.split_once('\n'));
        let kept = kept.filter(|(title, _)| self.sections.iter().all(|measured| measured.section.title != *title));
        let kept = kept.map(|(title, text)| (title, text.trim().to_owned()));
        let new = self.sections.iter().map(|measured| (measured.section.title, self.section(measured)));
        let mut sections: Vec<_> = kept.chain(new).collect();
        sections.sort_by_key(|(title, _)| ORDER.iter().position(|known| known == title).unwrap_or(ORDER.len()));
        for (title, text) in sections {
            let _ = writeln!(page, "\n## {title}\n\n{text}");
        }
        page
    }

    fn section(&self, measured: &Measured) -> String {
        let Machine { cores, processor, memory_gb, kernel } = &self.machine;
        let Measured { section, measured_at, load_average } = measured;
        let mut text = String::from("| Figure | Measured | Baseline | Ratio | Must | Aim | Verdict |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for figure in &section.figures {
            let _ = writeln!(text, "{}", figure.row());
        }
        text.push('\n');
        for sentence in &section.method {
            let _ = writeln!(text, "- {sentence}");
        }
        let _ = write!(
            text,
            "- `{}`, version {}, {measured_at}, on {cores} cores ({processor}), {memory_gb:.1} GB, Linux {kernel}; load \
             average at the end {load_average}.",
            self.command, self.version
        );
        text
    }
}

impl Machine {
    fn here() -> Self {
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kilobytes: f64 = memory.split(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0.0);
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_gb: kilobytes * 1024.0 / 1e9,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The middle one, or the lower of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Three figures that count, more where the number is large.
fn number(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_value_or_its_ratio() {
        let figure = || Figure::new("start", 50.0, "ms", "a process", 10.0);
        for (must, aim, verdict) in [
            (Target::Value(100.0), Target::Value(40.0), Verdict::Met),
            (Target::Value(100.0), Target::Value(50.0), Verdict::AimMet),
            (Target::Ratio(1.05), Target::Value(50.0), Verdict::Missed),
            (Target::RatioFrom(5.0), Target::RatioFrom(5.1), Verdict::Met),
        ] {
            assert_eq!(figure().target(must).aim(aim).verdict, Some(verdict), "{must:?} {aim:?}");
        }
        assert_eq!(Figure::alone("start", f64::NAN, "ms").target(Target::Value(1.0)).verdict, Some(Verdict::Missed));
        insta::assert_snapshot!(
            figure().target(Target::Value(100.0)).row(),
            @"| start | 50.0 ms | a process: 10.0 ms | 5.00 x | at most 100 ms | - | met |"
        );
        insta::assert_snapshot!(Figure::alone("all", 2.0, "s").row(), @"| all | 2.00 s | - | - | - | - | - |");
    }

    #[test]
    fn sections_that_were_not_measured_stay_on_the_page() {
        let mut page = Page::new();
        let figures = vec![Figure::alone("new", 1.0, "ms")];
        page.add(Section { title: "Media", figures, method: Vec::new() });
        let old = "# Old\n\nOld words.\n\n## Notes\n\nBy hand.\n\n## Delivery: crash\n\nkept\n\n## Media\n\nold\n\n## Server\n\nkept\n";
        let once = page.over(old);
        let titles: Vec<_> = once.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(titles, ["Server", "Media", "Delivery: crash", "Notes"]);
        assert!(!once.contains("old\n") && !once.contains("Old") && once.contains("| new |"), "{once}");
        assert_eq!(once.matches("kept").count(), 2);
        assert_eq!(page.over(&once), once, "a page over itself is the same");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
