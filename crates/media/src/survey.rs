//! What is learned from the packets of a file: how many there are, how long they are together, where the first key frame is.
//!
//! Not every container tells how long it is, and those that tell it by a clock are wrong where that clock jumps: two
//! recordings of a transport stream that were joined, or one over the wrap of its 33 bits. So such files are read through
//! once; nothing is decoded. A jump ends one stretch of the clock and begins another, and the length is that of all
//! stretches together, as in what ffmpeg makes of them.
//!
//! # Source
//! ITU-T H.222.0, 2.4.3.6 (33 bits of 90 kHz); the thresholds are ffmpeg's (`dts_delta_threshold`, and the tenth of a second
//! in `ts_discontinuity_detect`).

use std::collections::BTreeMap;

use crate::run::process::Listener;

/// A step of the clock that is longer than this, in seconds, is a jump.
const FORWARD: f64 = 10.0;
/// A step back by more than this is one.
const BACK: f64 = 0.1;

/// Whether the clock of a container jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// It is what the file says.
    Steady,
    /// Recordings are joined without setting it.
    Jumping,
}

/// One stream, walked through.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Walk {
    /// How many packets with something in them there are.
    pub(crate) packets: u64,
    /// How many times the clock jumped.
    pub(crate) jumps: u32,
    /// How many packets come before the first key frame, where there is one.
    pub(crate) before_key: Option<u64>,
    /// When the first key frame is shown, by the file's clock.
    pub(crate) key: Option<f64>,
    /// When the stream begins, by the file's clock.
    pub(crate) begins: Option<f64>,
    /// The current stretch of the clock: from, to.
    stretch: Option<(f64, f64)>,
    /// The stretches before.
    done: f64,
    /// Where the clock should be next.
    next: Option<f64>,
    /// Packets without times, by their lengths.
    untimed: f64,
    /// All packets, by their lengths.
    pub(crate) lengths: f64,
}

/// One packet.
#[derive(Debug, Clone, Copy, Default)]
struct Packet {
    stream: u32,
    shown: Option<f64>,
    decoded: Option<f64>,
    length: f64,
    bytes: u64,
    is_key: bool,
    is_discarded: bool,
}

impl Walk {
    /// How long it is, in seconds; `None` where no packet tells.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let open = self.stretch.map_or(0.0, |(from, to)| to - from);
        Some(self.done + open + self.untimed).filter(|&seconds| seconds > 0.0)
    }

    fn take(&mut self, packet: Packet, clock: Clock) {
        if packet.is_key && self.before_key.is_none() {
            (self.before_key, self.key) = (Some(self.packets), packet.shown.or(packet.decoded));
        }
        self.packets += 1;
        self.lengths += packet.length;
        let Some(shown) = packet.shown.or(packet.decoded) else {
            self.untimed += packet.length;
            return;
        };
        let decoded = packet.decoded.unwrap_or(shown);
        if clock == Clock::Jumping && self.next.is_some_and(|next| decoded - next > FORWARD || next - decoded > BACK) {
            self.jumps += 1;
            self.done += self.stretch.take().map_or(0.0, |(from, to)| to - from);
        }
        self.next = Some(decoded + packet.length);
        let (from, to) = self.stretch.unwrap_or((shown, shown));
        self.stretch = Some((from.min(shown), to.max(shown + packet.length)));
        if self.jumps == 0 {
            self.begins = self.stretch.map(|(from, _)| from);
        }
    }
}

/// All streams of a file. Listens to ffprobe's [`Survey::ENTRIES`].
#[derive(Debug)]
pub(crate) struct Survey {
    clock: Clock,
    /// Packets of this size or less show nothing: old codecs mark with them that a frame is shown longer.
    empty: u64,
    streams: BTreeMap<u32, Walk>,
    rest: Vec<u8>,
    heard: u64,
}

/// No line that is understood is longer.
const LONGEST_LINE: usize = 4096;

impl Survey {
    /// What ffprobe is asked for, a line for each packet.
    pub(crate) const ENTRIES: [&str; 4] =
        ["-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,size,flags", "-of", "compact=p=0"];

    pub(crate) fn new(demuxer: &str) -> Self {
        let clock = if matches!(demuxer, "mpegts" | "mpeg" | "ogg") { Clock::Jumping } else { Clock::Steady };
        let empty = if demuxer == "avi" { 1 } else { 0 };
        Self { clock, empty, streams: BTreeMap::new(), rest: Vec::new(), heard: 0 }
    }

    /// What was learned of one stream.
    pub(crate) fn of(&self, stream: u32) -> Option<&Walk> {
        self.streams.get(&stream).filter(|walk| walk.packets > 0)
    }

    /// Length of the longest stream.
    pub(crate) fn seconds(&self) -> Option<f64> {
        self.streams.values().filter_map(Walk::seconds).reduce(f64::max)
    }

    fn line(&mut self, line: &str) {
        let mut packet = Packet::default();
        let mut named = false;
        for (key, value) in line.split('|').filter_map(|field| field.split_once('=')) {
            let seconds = || value.parse().ok().filter(|seconds: &f64| seconds.is_finite());
            match key {
                "stream_index" => (packet.stream, named) = (value.parse().unwrap_or(u32::MAX), true),
                "pts_time" => packet.shown = seconds(),
                "dts_time" => packet.decoded = seconds(),
                "duration_time" => packet.length = seconds().unwrap_or(0.0).max(0.0),
                "size" => packet.bytes = value.parse().unwrap_or(0),
                "flags" => (packet.is_key, packet.is_discarded) = (value.contains('K'), value.contains('D')),
                _ => {}
            }
        }
        if named && !packet.is_discarded && packet.bytes > self.empty {
            self.streams.entry(packet.stream).or_default().take(packet, self.clock);
        }
    }
}

impl Listener for Survey {
    fn hear(&mut self, said: &[u8]) {
        self.heard += said.len() as u64;
        self.rest.extend_from_slice(said);
        let mut rest = std::mem::take(&mut self.rest);
        let mut begun = 0;
        while let Some(length) = rest[begun..].iter().position(|&byte| byte == b'\n') {
            self.line(String::from_utf8_lossy(&rest[begun..begun + length]).trim());
            begun += length + 1;
        }
        rest.drain(..begun);
        rest.truncate(LONGEST_LINE);
        self.rest = rest;
    }

    fn mark(&self) -> [u64; 3] {
        [self.heard, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 40 ms at those times, the first of them a key frame.
    fn walk(demuxer: &str, times: &[f64]) -> Walk {
        let mut survey = Survey::new(demuxer);
        for (number, time) in times.iter().enumerate() {
            let flags = if number == 0 { "K__" } else { "___" };
            let line = format!(
                "stream_index=0|pts_time={time}|dts_time={time}|duration_time=0.04|size=100|flags={flags}|\n\n"
            );
            let (first, second) = line.as_bytes().split_at(20);
            survey.hear(first);
            survey.hear(second);
        }
        *survey.of(0).unwrap()
    }

    fn seconds(demuxer: &str, times: &[f64]) -> f64 {
        (walk(demuxer, times).seconds().unwrap() * 1000.0).round() / 1000.0
    }

    #[test]
    fn a_jump_of_the_clock_is_no_length() {
        for after in [3600.0, 1.0, 95_000.0, -5.0] {
            let times = [1.0, 1.04, 1.08, after, after + 0.04];
            assert_eq!(seconds("mpegts", &times), 0.2, "{after}");
            assert_eq!(walk("mpegts", &times).jumps, 1);
        }
        // Where the clock is the file's own, it is one.
        assert_eq!(seconds("matroska", &[1.0, 1.04, 3600.0]), 3599.04);
        // So is a pause.
        assert_eq!(seconds("mpegts", &[1.0, 1.04, 4.0]), 3.04);
    }

    #[test]
    fn what_is_before_the_first_key_frame_is_counted() {
        let mut survey = Survey::new("mpegts");
        for (time, flags) in [(2.0, "__"), (2.04, "__"), (2.08, "K_"), (2.12, "__")] {
            survey
                .line(&format!("stream_index=3|pts_time={time}|dts_time=N/A|duration_time=0.04|size=9|flags={flags}"));
        }
        let walk = survey.of(3).unwrap();
        assert_eq!((walk.before_key, walk.key, walk.begins), (Some(2), Some(2.08), Some(2.0)));
    }

    #[test]
    fn packets_without_times_are_as_long_as_they_say() {
        let mut survey = Survey::new("h264");
        let line = "stream_index=0|pts_time=N/A|dts_time=N/A|duration_time=0.040000|size=100|flags=K_";
        (0..25).for_each(|_| survey.line(line));
        assert_eq!(survey.of(0).unwrap().seconds().map(|seconds| (seconds * 1000.0).round()), Some(1000.0));
    }

    #[test]
    fn what_is_not_shown_is_not_counted() {
        let mut survey = Survey::new("avi");
        for (size, flags) in [(100, "K_"), (0, "__"), (1, "__"), (100, "_D"), (100, "__")] {
            survey.line(&format!("stream_index=0|pts_time=0|dts_time=0|duration_time=0.04|size={size}|flags={flags}"));
        }
        assert_eq!(survey.of(0).unwrap().packets, 2);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(said in proptest::collection::vec(proptest::num::u8::ANY, 0..512)) {
            let mut survey = Survey::new("mpegts");
            survey.hear(&said);
            survey.hear(b"\nstream_index=|pts_time=nan|size=-1\n");
        }
    }
}
