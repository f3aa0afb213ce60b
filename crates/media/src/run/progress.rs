//! How far a step is, read from ffmpeg's machine stream (`-progress pipe:1`): `key=value` lines, a block every half
//! second.
//!
//! # Source
//! <https://ffmpeg.org/ffmpeg.html#Advanced-options>, `-progress`. `out_time_ms` is in microseconds in all versions,
//! by an old mistake; `out_time_us` says so.

use super::process::Listener;

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Share of the step's timeline that is done, 0 to 1; never goes back within a run.
    pub fraction: f64,
    /// Seconds of media per second of time, once known.
    pub rate: Option<f64>,
    /// Frames written so far.
    pub frames: u64,
}

/// Listens to one ffmpeg and tells of every block.
pub(crate) struct Meter<'a> {
    /// Seconds of media that this ffmpeg walks; zero when nobody knows.
    timeline: f64,
    /// Which part of the step this ffmpeg is: from, to.
    share: (f64, f64),
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    rest: Vec<u8>,
    now: Progress,
    seconds: f64,
    bytes: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(timeline: f64, share: (f64, f64), tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        let now = Progress { fraction: share.0, rate: None, frames: 0 };
        Self { timeline, share, tell, rest: Vec::new(), now, seconds: 0.0, bytes: 0 }
    }

    fn line(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        match key.trim() {
            "frame" => self.now.frames = value.parse().unwrap_or(self.now.frames),
            "total_size" => self.bytes = value.parse().unwrap_or(self.bytes),
            // "N/A" and negative times are said before the first packet.
            "out_time_us" => self.seconds = value.parse().map_or(self.seconds, |us: f64| (us / 1e6).max(self.seconds)),
            "speed" => self.now.rate = value.trim_end_matches('x').trim().parse().ok().or(self.now.rate),
            "progress" => self.block(),
            _ => {}
        }
    }

    fn block(&mut self) {
        let (from, to) = self.share;
        let done = if self.timeline > 0.0 { (self.seconds / self.timeline).clamp(0.0, 1.0) } else { 0.0 };
        self.now.fraction = (from + (to - from) * done).max(self.now.fraction);
        (self.tell)(self.now);
    }
}

impl Listener for Meter<'_> {
    fn hear(&mut self, said: &[u8]) {
        self.rest.extend_from_slice(said);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&String::from_utf8_lossy(&line));
        }
        // No line of this stream is long; a tool that never ends one is not listened to.
        if self.rest.len() > 4096 {
            self.rest.clear();
        }
    }

    fn mark(&self) -> [u64; 3] {
        [self.seconds.to_bits(), self.now.frames, self.bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn blocks_become_progress_even_when_they_arrive_in_pieces() {
        let heard = Mutex::new(Vec::new());
        let tell = |progress: Progress| heard.lock().unwrap().push(progress);
        let mut meter = Meter::new(10.0, (0.5, 1.0), &tell);
        for piece in [
            "frame=5\nout_time_us=N/A\nspeed=N/A\nprogr",
            "ess=continue\nframe=50\nout_time_us=5000000\nspeed=2.5",
            "x\nprogress=continue\nout_time_us=4000000\nprogress=end\n",
        ] {
            meter.hear(piece.as_bytes());
        }
        assert_eq!(
            *heard.lock().unwrap(),
            [
                Progress { fraction: 0.5, rate: None, frames: 5 },
                Progress { fraction: 0.75, rate: Some(2.5), frames: 50 },
                Progress { fraction: 0.75, rate: Some(2.5), frames: 50 },
            ]
        );
    }
}
