//! The page: figures with their baselines, as Markdown or JSON.

use std::fmt::Write as _;
use std::fs;

use serde::Serialize;

use crate::ambient;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    command: String,
    version: &'static str,
    measured_at: String,
    machine: Machine,
    sections: Vec<Section>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    memory_gb: f64,
    kernel: String,
    /// Runnable processes over the last minute, as the page was written: more than one a core was noise.
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
    baseline: String,
    baseline_value: f64,
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// The value, at most.
    Value(f64),
    /// The ratio, at most.
    Ratio(f64),
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
        let ratio = value / baseline_value;
        let (name, baseline) = (name.into(), baseline.into());
        Self { name, value, unit, baseline, baseline_value, ratio, target: None, met: None }
    }

    /// With a target.
    pub(super) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.met = Some(match target {
            Target::Value(most) => self.value <= most,
            Target::Ratio(most) => self.ratio <= most,
        });
        self
    }

    fn row(&self) -> String {
        let Self { name, unit, baseline, .. } = self;
        let target = match self.target {
            None => "-".to_owned(),
            Some(Target::Value(most)) => format!("at most {} {unit}", number(most)),
            Some(Target::Ratio(most)) => format!("at most {most:.2} x"),
        };
        let verdict = match self.met {
            None => "-",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let (value, other) = (number(self.value), number(self.baseline_value));
        let ratio = if self.ratio < 0.1 { format!("{:.4}", self.ratio) } else { format!("{:.2}", self.ratio) };
        format!("| {name} | {value} {unit} | {baseline}: {other} {unit} | {ratio} x | {target} | {verdict} |")
    }
}

impl Page {
    /// The page of these sections, measured here and now.
    pub(super) fn new(sections: Vec<Section>) -> Self {
        let words: Vec<_> = std::env::args().skip(1).collect();
        Self {
            command: format!("reelhook {}", words.join(" ")),
            version: env!("CARGO_PKG_VERSION"),
            measured_at: ambient::system().now().to_string(),
            machine: Machine::here(),
            sections,
        }
    }

    /// The page for people.
    pub(super) fn markdown(&self) -> String {
        let Machine { cores, processor, memory_gb, kernel, load_average } = &self.machine;
        let mut page = String::from("# Benchmarks\n\n");
        let _ = writeln!(page, "What `{}` printed; `scripts/bench.sh` writes this page.\n", self.command);
        let _ = writeln!(page, "- Version: {}, measured {}", self.version, self.measured_at);
        let _ = writeln!(page, "- Machine: {cores} cores ({processor}), {memory_gb:.1} GB, Linux {kernel}");
        let _ = writeln!(page, "- Load average at the end: {load_average}");
        page.push_str(
            "\nEach figure stands beside a baseline measured in the same run: the ratio carries over to other \
             machines better than the number does.\n",
        );
        for section in &self.sections {
            let _ = writeln!(page, "\n## {}\n", section.title);
            page.push_str("| Figure | Measured | Baseline | Ratio | Target | Verdict |\n");
            page.push_str("| --- | --- | --- | --- | --- | --- |\n");
            for figure in &section.figures {
                let _ = writeln!(page, "{}", figure.row());
            }
            page.push('\n');
            for sentence in &section.method {
                let _ = writeln!(page, "- {sentence}");
            }
        }
        page
    }
}

impl Machine {
    fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
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
            load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(", "),
        }
    }
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
        assert_eq!(figure().target(Target::Value(100.0)).met, Some(true));
        assert_eq!(figure().target(Target::Ratio(1.05)).met, Some(false));
        insta::assert_snapshot!(
            figure().target(Target::Value(100.0)).row(),
            @"| start | 50.0 ms | a process: 10.0 ms | 5.00 x | at most 100 ms | met |"
        );
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
