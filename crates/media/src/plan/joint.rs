//! The graph that makes one timeline of several inputs: each brought to the same shape, then one after another.

use reelhook_domain::media::{SampleDepth, VideoInfo};
use reelhook_domain::recipe::Format;

use super::canvas;
use super::color::{Alpha, Hdr, Meaning};
use super::timeline;
use crate::probe::Source;
use crate::spell::{on_file_time, seconds};

/// One input among those that are joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clip<'a> {
    /// Its place, which is its number on ffmpeg's command line.
    pub(super) input: usize,
    pub(super) source: &'a Source,
}

/// What all pictures become before they are joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture<'a> {
    pub(super) target: (u32, u32),
    pub(super) rate: f64,
    pub(super) keeps_hdr: bool,
    /// The colours of all of them afterwards.
    pub(super) meaning: &'a Meaning,
}

impl Picture<'_> {
    /// The filters of one input up to its label `[xN]`: fitted into the size with bars where its shape differs, at the
    /// rate, and with exactly so many frames where that is known.
    pub(super) fn chain(
        &self,
        clip: &Clip<'_>,
        video: &VideoInfo,
        hdr: Hdr,
        deinterlaces: bool,
        frames: Option<u64>,
    ) -> String {
        let (width, height) = self.target;
        let mut filters = timeline::first_filters(clip.source);
        filters.push(on_file_time("setpts", &seconds(clip.source.video_start)));
        filters.extend(Meaning::told(video));
        if canvas::may_change(clip.source) {
            filters.extend(canvas::filters(video));
        }
        if video.interlaced && deinterlaces {
            filters.push("bwdif=mode=send_frame".to_owned());
        }
        let alpha = Alpha::of(video.has_alpha(), false, Alpha::OnBlack);
        filters.extend(alpha.before(true).iter().map(|&filter| filter.to_owned()));
        filters.extend(hdr.filters(video));
        let mut scale = fitted(video, self.target);
        if !self.keeps_hdr {
            scale += &format!(":out_color_matrix={}:out_range=tv", self.meaning.matrix);
        }
        filters.push(scale);
        filters.push(format!("pad={width}:{height}:-1:-1,setsar=1"));
        filters.push(format!("fps={}:start_time=0", rate_words(self.rate)));
        if let Some(frames) = frames {
            filters.push(format!("tpad=stop_mode=clone:stop=-1,trim=end_frame={frames}"));
        }
        filters.push(format!("format={}", if self.keeps_hdr { "yuv420p10le" } else { "yuv420p" }));
        if !self.keeps_hdr {
            filters.push(self.meaning.tags());
        }
        let index = clip.source.video_index.unwrap_or(0);
        format!("[{0}:{index}]{1}[x{0}]", clip.input, filters.join(","))
    }

    /// Joins sounds with the picture, where its chains are given. Parts that are as long as each other are joined
    /// stream by stream; others by what is longer in each input.
    pub(super) fn with_sound(pictures: Option<String>, sounds: &[String], inputs: usize, exact: bool) -> String {
        let all = |label: &str| (0..inputs).map(|input| format!("[{label}{input}]")).collect::<String>();
        let sounds = sounds.join(";");
        let sound_alone = format!("{sounds};{}concat=n={inputs}:v=0:a=1[a0]", all("y"));
        match pictures {
            None => sound_alone,
            Some(pictures) if exact => {
                format!("{};{sound_alone}", Self::alone(&pictures, inputs))
            }
            Some(pictures) => {
                let pairs: String = (0..inputs).map(|input| format!("[x{input}][y{input}]")).collect();
                format!("{pictures};{sounds};{pairs}concat=n={inputs}:v=1:a=1[whole][a0]")
            }
        }
    }

    /// Joins pictures.
    pub(super) fn alone(pictures: &str, inputs: usize) -> String {
        let all: String = (0..inputs).map(|input| format!("[x{input}]")).collect();
        format!("{pictures};{all}concat=n={inputs}:v=1:a=0[whole]")
    }

    /// Gives the joined picture even times: where every part has a known number of frames, by counting.
    pub(super) fn finished(graph: &str, rate: f64, exact: bool) -> String {
        let rate = rate_words(rate);
        let counted = if exact { format!("setpts=N/({rate})/TB,") } else { String::new() };
        format!("{graph};[whole]{counted}fps={rate}[v0]")
    }
}

/// The picture inside the box, its aspect kept, sides even.
fn fitted(video: &VideoInfo, (width, height): (u32, u32)) -> String {
    let (own_width, own_height) = (f64::from(video.width.max(1)), f64::from(video.height.max(1)));
    let scale = (f64::from(width) / own_width).min(f64::from(height) / own_height);
    let side = |own: f64, most: u32| (((own * scale / 2.0).round() as u32) * 2).clamp(2, most);
    format!("scale={}:{}", side(own_width, width), side(own_height, height))
}

/// A rate as ffmpeg reads it: the fractions of television are written as such, as their decimals would lose a frame in
/// a long film.
pub(super) fn rate_words(rate: f64) -> String {
    let whole = (rate * 1.001).round();
    if (rate - whole / 1.001).abs() < 1e-4 && (rate - rate.round()).abs() > 1e-4 {
        return format!("{}/1001", whole * 1000.0);
    }
    seconds(rate)
}

/// What all sounds become before they are joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    /// Samples per second.
    pub(super) rate: u32,
    pub(super) channels: u32,
    /// The depth that all fit into; none where no input has one.
    pub(super) depth: Option<SampleDepth>,
}

impl Sound {
    /// The rate of the first that is heard, where the format takes it, and as many channels as the one with most has.
    pub(super) fn of(clips: &[Clip<'_>], format: Format) -> Self {
        let all = || clips.iter().filter_map(|clip| clip.source.info.audio.as_ref());
        let own = all().map(|audio| audio.sample_rate).next().unwrap_or(48_000);
        let plain = matches!(format, Format::Wav | Format::Flac) && (8_000..=192_000).contains(&own);
        let opus = matches!(format, Format::Webm | Format::Opus);
        let rate = if !opus && (plain || matches!(own, 44_100 | 48_000)) { own } else { 48_000 };
        let channels = all().map(|audio| audio.channels).max().unwrap_or(2).clamp(1, 2);
        let depth = all().filter_map(|audio| audio.depth).reduce(SampleDepth::with);
        Self { rate, channels, depth }
    }

    const fn layout(self) -> &'static str {
        if self.channels == 1 { "mono" } else { "stereo" }
    }

    /// The filters of each input up to its label `[yN]`. Where inputs end at known seconds of the whole, each gives
    /// exactly its share of samples.
    pub(super) fn chains(self, clips: &[Clip<'_>], ends: Option<&[f64]>) -> Vec<String> {
        let sample = |second: f64| (second * f64::from(self.rate)).round() as u64;
        let mut begun = 0;
        let mut chains = Vec::with_capacity(clips.len());
        for (place, clip) in clips.iter().enumerate() {
            let samples = ends.map(|ends| sample(ends[place]).saturating_sub(begun).max(1));
            begun += samples.unwrap_or(0);
            chains.push(self.chain(clip, samples));
        }
        chains
    }

    /// The same with each sound as long as it is, and silence for those that have none.
    pub(super) fn own_chains(self, clips: &[Clip<'_>], length: impl Fn(&Clip<'_>) -> Option<f64>) -> Vec<String> {
        let silence = |clip: &Clip<'_>| (length(clip).unwrap_or(0.0) * f64::from(self.rate)).round() as u64;
        let heard = |clip: &Clip<'_>| clip.source.info.audio.is_some();
        clips.iter().map(|clip| self.chain(clip, (!heard(clip)).then(|| silence(clip).max(1)))).collect()
    }

    fn chain(self, clip: &Clip<'_>, samples: Option<u64>) -> String {
        let (input, rate, layout) = (clip.input, self.rate, self.layout());
        // A float of 32 bits holds 24 of a whole number.
        let wide = self.depth.is_some_and(|depth| depth.bits > if depth.float { 32 } else { 24 });
        let layout_of_samples = if wide { "dblp" } else { "fltp" };
        let same = format!("aformat=sample_fmts={layout_of_samples}:sample_rates={rate}:channel_layouts={layout}");
        let Some(index) = clip.source.audio_index.filter(|_| clip.source.info.audio.is_some()) else {
            // Of unknown length: what joins them fills up with silence by itself.
            let samples = samples.unwrap_or_else(|| u64::from(rate) / 10);
            return format!("anullsrc=r={rate}:cl={layout},{same},atrim=end_sample={samples}[y{input}]");
        };
        let times = on_file_time("asetpts", &seconds(clip.source.audio_start));
        let part =
            samples.map_or_else(String::new, |samples| format!(",apad=whole_len={samples},atrim=end_sample={samples}"));
        format!("[{input}:{index}]{times},aresample={rate}:async=1:first_pts=0,{same}{part}[y{input}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rates_of_television_are_fractions() {
        for (rate, words) in [
            (25.0, "25"),
            (29.97002997, "30000/1001"),
            (23.976, "24000/1001"),
            (59.94, "60000/1001"),
            (12.5, "12.5"),
            (24.0, "24"),
            (30.0, "30"),
        ] {
            assert_eq!(rate_words(rate), words);
        }
    }
}
