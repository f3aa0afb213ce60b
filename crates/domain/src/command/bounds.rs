//! What a command may make the tool hold in memory, and whether it comes to an end, as far as its words tell.
//!
//! Sizes that are written as numbers are held against [`MOST_PIXELS`], counts of frames that are kept against
//! [`MOST_FRAMES`]. What an expression comes to, and how much `reverse` keeps of an input whose length is not known here,
//! is told by no word: the memory limit of the tool ends such a run.

use super::{CommandInput, CommandOutput, Unsupported};

/// Most pixels of a picture that a command names: as many as an input may have by default (`media.max_pixels`), 7680 times
/// 4320.
pub(super) const MOST_PIXELS: u64 = 7680 * 4320;
/// Longest side of a picture that a command names.
const LONGEST_SIDE: u64 = 32_767;
/// Most pictures that one filter keeps, or puts beside each other.
const MOST_FRAMES: u64 = 1000;
/// Most samples of sound that a filter keeps: a minute and a half at 96 kHz.
const MOST_SAMPLES: u64 = 10_000_000;
/// How often an input may be read anew without counting as endless.
const MOST_TURNS: f64 = 1000.0;

/// Whether a picture of that size may be made. A side that is not known counts as one pixel.
pub(super) fn size_fits(width: u64, height: u64) -> bool {
    width.max(height) <= LONGEST_SIDE && width.max(1).saturating_mul(height.max(1)) <= MOST_PIXELS
}

/// Holds the options of a filter against the limits.
///
/// # Errors
/// What is too large, in words that follow the option's name.
pub(super) fn filter(name: &str, options: &[(&'static str, String)]) -> Result<(), String> {
    let text = |names: &[&str]| options.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| value.as_str());
    let number = |names: &[&str]| text(names).and_then(whole);
    let most = |names: &[&str], most: u64| match number(names).filter(|&value| value > most) {
        Some(value) => Err(format!("gives the filter {name} {}={value}; the limit is {most}", names[0])),
        None => Ok(()),
    };
    let (width, height) = (number(&["w", "width", "out_w"]), number(&["h", "height", "out_h"]));
    let sizes = matches!(name, "scale" | "scale2ref" | "zscale" | "pad" | "crop");
    if sizes && !size_fits(width.unwrap_or(0), height.unwrap_or(0)) {
        let side = |side: Option<u64>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
        let size = format!("{}x{}", side(width), side(height));
        return Err(format!("makes images of {size} with the filter {name}; the limit is {MOST_PIXELS} pixels"));
    }
    match name {
        "loop" | "thumbnail" | "random" | "tmix" | "shuffleframes" => most(&["size", "n", "frames"], MOST_FRAMES),
        "aloop" => most(&["size"], MOST_SAMPLES),
        "hstack" | "vstack" | "xstack" | "split" | "asplit" | "amix" | "amerge" => most(&["inputs", "outputs"], 64),
        "tile" => match text(&["layout"]).and_then(|layout| layout.split_once('x')) {
            Some((columns, rows)) if !fits_product(columns, rows) => {
                Err(format!("gives the filter tile {columns}x{rows} images; the limit is {MOST_FRAMES}"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn fits_product(columns: &str, rows: &str) -> bool {
    whole(columns).zip(whole(rows)).is_some_and(|(columns, rows)| columns.saturating_mul(rows) <= MOST_FRAMES)
}

/// The number that a text is, rounded up; none for what is an expression, a word or negative.
fn whole(text: &str) -> Option<u64> {
    let (number, power) = match text.strip_suffix(['k', 'K', 'M', 'G', 'T', 'P']) {
        Some(number) => (number, [1e3, 1e3, 1e6, 1e9, 1e12, 1e15]["kKMGTP".find(text.chars().last()?)?]),
        None => (text, 1.0),
    };
    let hex = number.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16).ok().map(|value| value as f64));
    let value = hex.unwrap_or_else(|| number.parse::<f64>().ok())? * power;
    (value >= 0.0).then_some(value.ceil() as u64)
}

/// Refuses outputs that would never end: an input that is read without end is cut by a length of its own, or by the end
/// of each output.
///
/// # Errors
/// With the option that makes the input endless.
pub(super) fn ends(inputs: &[CommandInput], outputs: &[CommandOutput]) -> Result<(), Unsupported> {
    let endless: Vec<_> = inputs.iter().filter_map(|input| Some((input, endless(&input.options)?))).collect();
    let Some((_, option)) = endless.first() else { return Ok(()) };
    // The shortest of several streams ends where one of them does.
    let some_end = endless.len() < inputs.len();
    // A still has a picture alone; with a sound, frames that are counted end the picture and not the sound.
    let only_stills = endless.iter().all(|(_, option)| *option == "-loop");
    let has_end = |output: &CommandOutput| {
        let ends = |option: &String| match option.as_str() {
            "-t" | "-to" | "-fs" | "-frames" => true,
            "-frames:v" => only_stills,
            "-shortest" => some_end,
            _ => false,
        };
        output.options.iter().any(ends)
    };
    match outputs.iter().all(has_end) {
        true => Ok(()),
        false => {
            let reason = "reads an endless input; end each output with -t, -to, -frames or -fs, or with -shortest and another input that ends";
            Err(Unsupported::new(option, reason))
        }
    }
}

/// The option that makes an input endless, if one does and none ends it.
fn endless(options: &[String]) -> Option<&'static str> {
    if options.iter().any(|option| matches!(option.as_str(), "-t" | "-to")) {
        return None;
    }
    options.windows(2).find_map(|pair| {
        let turns = pair[1].parse::<f64>();
        match pair[0].as_str() {
            // A number with a suffix is many.
            "-stream_loop" if !turns.is_ok_and(|turns| (0.0..=MOST_TURNS).contains(&turns)) => Some("-stream_loop"),
            "-loop" if pair[1] != "0" => Some("-loop"),
            _ => None,
        }
    })
}
