//! How far a job is, for people: a per cent with a decimal, the time it took so far and about how long it takes, its speed.
//!
//! The server reports whole per cents, seconds apart. Between two reports a number goes on at the pace so far and stops
//! before the next whole one, so it is never wrong by more than one; and neither a number nor a stage ever goes back,
//! whatever order reports come in. Pure: the time comes in as an argument.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::output::clock;

/// The stages in their order; the last are those of an output that ended.
const STAGES: [&str; 12] = [
    "queued",
    "waiting",
    "fetching",
    "probing",
    "planning",
    "processing",
    "encoding",
    "verifying",
    "storing",
    "completed",
    "failed",
    "canceled",
];
/// How wide a bar is.
const BAR: usize = 16;
/// How much must have been made before its pace is believed.
const ENOUGH: f64 = 3.0;

/// A number that only rises.
#[derive(Debug, Default)]
struct Meter {
    reported: f64,
    since: Duration,
    shown: f64,
}

impl Meter {
    fn report(&mut self, percent: f64, now: Duration) {
        if percent > self.reported {
            (self.reported, self.since) = (percent, now);
        }
    }

    /// The number at `now`, where `pace` is in per cents a second.
    fn read(&mut self, pace: f64, now: Duration) -> f64 {
        let on = (pace * now.saturating_sub(self.since).as_secs_f64()).clamp(0.0, 0.9);
        self.shown = self.shown.max((self.reported + on).min(100.0));
        // What is not over is not at its end.
        if self.reported < 100.0 { self.shown.min(99.9) } else { 100.0 }
    }
}

/// One output.
#[derive(Debug)]
struct Row {
    name: String,
    stage: usize,
    meter: Meter,
}

/// A job as it was last seen.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    rows: Vec<Row>,
    total: Meter,
    /// When a worker took it.
    began: Option<Duration>,
    /// When encoding began, and at how many per cents.
    encoding: Option<(Duration, f64)>,
    estimate: Option<Duration>,
    /// How long its input plays.
    media: Option<f64>,
}

impl Progress {
    /// Takes a look at the job. `ran` is how long it ran before it was first looked at.
    pub(crate) fn see(&mut self, job: &Value, now: Duration) {
        if self.began.is_none() && job["started_at"].is_string() {
            self.began = Some(now);
        }
        self.total.report(job["progress"].as_f64().unwrap_or(0.0), now);
        if job["stage"] == "encoding" && self.encoding.is_none() {
            self.encoding = Some((now, self.total.reported));
        }
        let seconds = |value: &Value| value.as_f64().filter(|seconds| (0.001..1e9).contains(seconds));
        self.estimate = seconds(&job["estimate"]["wall_seconds"]).map(Duration::from_secs_f64).or(self.estimate);
        self.media = seconds(&job["input"]["media"]["duration_seconds"]).or(self.media);
        for (index, output) in job["outputs"].as_array().into_iter().flatten().enumerate() {
            if index >= self.rows.len() {
                let name = output["name"].as_str().unwrap_or_default().to_owned();
                self.rows.push(Row { name, stage: 0, meter: Meter::default() });
            }
            let row = &mut self.rows[index];
            row.meter.report(output["progress"].as_f64().unwrap_or(0.0), now);
            let stage = stage_of(job, output);
            let place = STAGES.iter().position(|known| *known == stage).unwrap_or(0);
            row.stage = row.stage.max(place);
        }
    }

    /// The outputs with their stages.
    pub(crate) fn stages(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.rows.iter().map(|row| (row.name.as_str(), STAGES[row.stage]))
    }

    /// Per cents of the whole job in a second.
    fn pace(&self, now: Duration) -> f64 {
        if let Some((since, from)) = self.encoding {
            let (made, took) = (self.total.reported - from, now.saturating_sub(since).as_secs_f64());
            if made >= ENOUGH && took > 0.0 {
                return made / took;
            }
        }
        self.estimate.map_or(0.0, |estimate| 100.0 / estimate.as_secs_f64())
    }

    /// How long the job takes from its beginning to its end, as it looks now.
    fn about(&self, now: Duration) -> Option<Duration> {
        let ran = now.saturating_sub(self.began?);
        let measured = self.encoding.is_some_and(|(_, from)| self.total.reported - from >= ENOUGH);
        let whole = if measured {
            let left = (100.0 - self.total.reported) / self.pace(self.total.since).max(f64::EPSILON);
            let then = self.total.since.saturating_sub(self.began?).as_secs_f64() + left;
            Duration::try_from_secs_f64(then).ok()?
        } else {
            self.estimate?
        };
        Some(whole.max(ran))
    }

    /// How much media is made in the time that it plays.
    fn speed(&self) -> Option<f64> {
        let (since, from) = self.encoding?;
        let took = self.total.since.saturating_sub(since).as_secs_f64();
        let made = self.total.reported - from;
        (made >= ENOUGH && took > 0.0 && from < 95.0).then(|| made / (95.0 - from) * self.media.unwrap_or(0.0) / took)
    }

    /// `1.8 %  0:09 of about 4:19  0.35x`: the whole job in a line.
    pub(crate) fn summary(&mut self, now: Duration) -> String {
        let pace = self.pace(now);
        let mut line = format!("{:.1} %", self.total.read(pace, now));
        if let Some(began) = self.began {
            let _ = write!(line, "  {}", clock(now.saturating_sub(began)));
            if let Some(about) = self.about(now) {
                let _ = write!(line, " of about {}", clock(about));
            }
        }
        if let Some(speed) = self.speed().filter(|speed| *speed > 0.0) {
            let digits = if speed < 10.0 { 2 } else { 0 };
            let _ = write!(line, "  {speed:.digits$}x");
        }
        line
    }

    /// The lines of bars: one for each output, and one for the whole where there are several.
    pub(crate) fn line(&mut self, line: usize, now: Duration) -> String {
        let alone = self.rows.len() == 1;
        let pace = self.pace(now);
        if line >= self.rows.len() {
            let shown = self.total.read(pace, now);
            return format!("{:<14} {}  {}", "total", bar(shown), self.summary(now));
        }
        let row = &mut self.rows[line];
        let (shown, stage, name) = (row.meter.read(pace, now), STAGES[row.stage], row.name.clone());
        if alone {
            let whole = self.total.read(pace, now);
            return format!("{name:<14} {}  {}  {stage}", bar(whole), self.summary(now));
        }
        format!("{name:<14} {}  {shown:.1} %  {stage}", bar(shown))
    }

    /// How many lines there are.
    pub(crate) fn lines(&self) -> usize {
        if self.rows.len() == 1 { 1 } else { self.rows.len() + 1 }
    }
}

/// What is done for an output: what its job's worker does, until it has ended.
fn stage_of<'a>(job: &'a Value, output: &'a Value) -> &'a str {
    let state = output["state"].as_str().unwrap_or_default();
    match state {
        "waiting" if job["state"] == "queued" => "queued",
        "waiting" | "processing" => job["stage"].as_str().unwrap_or(state),
        _ => state,
    }
}

fn bar(percent: f64) -> String {
    let full = ((percent / 100.0) * BAR as f64) as usize;
    let tip = if full < BAR { ">" } else { "" };
    format!("[{:<BAR$}]", format!("{}{tip}", "=".repeat(full)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(progress: u8, stage: &str, outputs: &[(u8, &str)]) -> Value {
        let outputs: Vec<_> = outputs
            .iter()
            .enumerate()
            .map(
                |(index, (progress, state))| json!({"name": format!("o{index}"), "progress": progress, "state": state}),
            )
            .collect();
        json!({"state": "processing", "progress": progress, "stage": stage, "outputs": outputs, "started_at": "2026-01-01T00:00:00Z",
            "estimate": {"wall_seconds": 259.0}, "input": {"media": {"duration_seconds": 90.0}}})
    }

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn it_moves_between_two_reports_and_never_past_the_next_or_back() {
        let mut progress = Progress::default();
        let mut before = 0.0;
        let reports = [(0.0, 0), (1.0, 5), (30.0, 9), (31.0, 7), (60.0, 30), (70.0, 31)];
        for tenth in 0..800 {
            let now = f64::from(tenth) / 10.0;
            for (_, reported) in reports.iter().filter(|(when, _)| (when - now).abs() < 0.01) {
                progress.see(&job(*reported, "encoding", &[(*reported, "processing")]), at(now));
            }
            let most = reports.iter().filter(|(when, _)| *when <= now + 0.01).map(|(_, reported)| *reported).max();
            let shown: f64 = progress.summary(at(now)).split(' ').next().unwrap().parse().unwrap();
            assert!(shown >= before, "{now}: {shown} after {before}");
            let most = f64::from(most.unwrap());
            assert!((most..most + 1.0).contains(&shown), "{now}: {shown}, reported {most}");
            before = shown;
        }
    }

    #[test]
    fn the_estimate_is_shown_until_the_pace_is_known() {
        let mut progress = Progress::default();
        progress.see(&job(0, "fetching", &[(0, "waiting")]), at(0.0));
        assert_eq!(progress.summary(at(9.0)), "0.9 %  0:09 of about 4:19");
        progress.see(&job(5, "encoding", &[(0, "processing")]), at(10.0));
        assert_eq!(progress.summary(at(12.0)), "5.8 %  0:12 of about 4:19");
        // 40 % in 80 s: 10 + 80 + 110 s in all, and 40 of 90 of the 90 s of media.
        progress.see(&job(45, "encoding", &[(44, "processing")]), at(90.0));
        assert_eq!(progress.summary(at(90.0)), "45.0 %  1:30 of about 3:20  0.50x");
        progress.see(&job(99, "storing", &[(100, "processing")]), at(300.0));
        assert_eq!(
            progress.line(0, at(310.0)),
            "o0             [===============>]  99.9 %  5:10 of about 5:10  0.32x  storing"
        );
    }

    #[test]
    fn a_stage_does_not_go_back() {
        let mut progress = Progress::default();
        let mut seen = Vec::new();
        let looks = [
            json!({"state": "queued", "progress": 0, "outputs": [{"name": "a", "state": "waiting", "progress": 0}]}),
            job(0, "fetching", &[(0, "waiting")]),
            json!({"state": "probing", "progress": 0, "stage": null, "outputs": [{"name": "a", "state": "waiting", "progress": 0}]}),
            job(0, "fetching", &[(0, "waiting")]),
            job(9, "encoding", &[(1, "processing")]),
            job(9, "probing", &[(1, "processing")]),
            job(100, "storing", &[(100, "completed")]),
        ];
        for look in looks {
            progress.see(&look, at(1.0));
            seen.extend(progress.stages().map(|(_, stage)| stage));
        }
        assert_eq!(seen, ["queued", "fetching", "fetching", "fetching", "encoding", "encoding", "completed"]);
    }

    #[test]
    fn several_outputs_have_a_total() {
        let mut progress = Progress::default();
        progress.see(&job(50, "encoding", &[(100, "completed"), (10, "processing")]), at(0.0));
        assert_eq!(progress.lines(), 3);
        assert_eq!(progress.line(0, at(0.0)), "o0             [================]  100.0 %  completed");
        assert_eq!(progress.line(1, at(0.0)), "o1             [=>              ]  10.0 %  encoding");
        assert_eq!(progress.line(2, at(0.0)), "total          [========>       ]  50.0 %  0:00 of about 4:19");
        // A picture plays no time and has no speed.
        let mut picture = Progress::default();
        picture.see(&json!({"state": "processing", "progress": 0, "outputs": []}), at(0.0));
        assert_eq!(picture.summary(at(3.0)), "0.0 %");
    }
}
