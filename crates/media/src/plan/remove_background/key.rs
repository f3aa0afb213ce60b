//! How a screen of one colour is told from what stands before it.
//!
//! A pixel at the subject's edge is a mixture: `P = a F + (1 - a) K`, with the subject's colour `F`, the screen's `K` and
//! the subject's share `a`. Two things are made of it: the share, and from that the subject's own colour again,
//! `F = (P - (1 - a) K) / a`, which takes the screen out of soft edges instead of darkening them.
//!
//! A screen with one strong channel (green, blue, red) is measured by how far that channel is above the others, the
//! *spill*: what has none is opaque whatever its brightness, and mixtures are linear in it. The channel is then cut down
//! to the higher of the others, which removes light that the screen throws on the subject and touches no yellow, cyan or
//! skin. Other hues are measured by their distance in the plane of colour, greys by their distance in RGB.
//!
//! # Source
//! The colour difference key is the one of optical compositing (Vlahos, US patent 3158477, 1964).

use reelhook_domain::recipe::Rgb;

/// The screen where nobody says and nothing is measured: the green of cloth and paint.
pub(crate) const GREEN: Rgb = Rgb([0, 177, 64]);

/// A channel this far above the others can be keyed by itself.
const STRONG: u8 = 40;
/// A colour this far from grey, as a share of the longest distance, can be keyed by hue.
const COLORED: f64 = 0.06;
/// Which share of the screen's strength is still the subject: noise, and its own tint.
const NOISE: f64 = 0.1;
/// Which share of the screen's strength is nothing but screen: shadows and folds are weaker than the rest.
const CERTAIN: f64 = 0.75;

/// What a screen is recognised by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sign {
    /// By how far a channel (0 red, 1 green, 2 blue) is above both others: this far on the screen.
    Channel { channel: usize, strength: u8 },
    /// By its place in the plane of colour, and how far that is from grey.
    Hue { cb: u8, cr: u8, distance: f64 },
    /// By its place in RGB.
    Place,
}

fn sign(Rgb(key): Rgb) -> Sign {
    let channel = (0..3).max_by_key(|&channel| key[channel]).unwrap_or(1);
    let others = (0..3).filter(|&other| other != channel).map(|other| key[other]).max().unwrap_or(0);
    let strength = key[channel] - others;
    if strength >= STRONG {
        return Sign::Channel { channel, strength };
    }
    let [r, g, b] = key.map(f64::from);
    // BT.601 in full range, as JPEG has it.
    let cb = 128.0 - 0.168_74 * r - 0.331_26 * g + 0.5 * b;
    let cr = 128.0 + 0.5 * r - 0.418_69 * g - 0.081_31 * b;
    let distance = ((cb - 128.0).hypot(cr - 128.0)) / (255.0 * std::f64::consts::SQRT_2);
    if distance >= COLORED {
        return Sign::Hue { cb: cb.round() as u8, cr: cr.round() as u8, distance };
    }
    Sign::Place
}

/// Filters that turn opaque `gbrp` into `gbrap` without the screen; pads are named `key...`.
pub(super) fn filters(key: Rgb) -> String {
    match sign(key) {
        Sign::Channel { channel, strength } => by_channel(key, channel, strength),
        Sign::Hue { cb, cr, distance } => {
            let matte = |from: f64, over: f64| {
                let color = format!("0x80{cb:02x}{cr:02x}");
                let to = "scale=out_color_matrix=bt601:out_range=pc:flags=accurate_rnd,format=yuva444p";
                format!("{to},chromakey=color={color}:yuv=1:similarity={from:.4}:blend={over:.4},alphaextract")
            };
            let soft = matte(0.01, (distance * 0.9).max(0.02));
            by_distance(key, &soft, &matte((distance * 0.3).max(0.01), (distance * 0.5).max(0.02)))
        }
        Sign::Place => {
            let matte = |from: f64, over: f64| {
                format!("format=rgba,colorkey=color=0x{}:similarity={from}:blend={over},alphaextract", hex(key))
            };
            by_distance(key, &matte(0.01, 0.3), &matte(0.08, 0.2))
        }
    }
}

/// In words, for the caller.
pub(super) fn words(key: Rgb) -> String {
    let how = match sign(key) {
        Sign::Channel { channel, .. } => ["red screen", "green screen", "blue screen"][channel],
        Sign::Hue { .. } => "screen keyed by hue",
        Sign::Place => "screen keyed by brightness",
    };
    format!("{how}, key {key}")
}

fn hex(Rgb([r, g, b]): Rgb) -> String {
    format!("{r:02x}{g:02x}{b:02x}")
}

fn by_channel(Rgb(key): Rgb, channel: usize, strength: u8) -> String {
    let names = ["r", "g", "b"];
    let (main, others) = (names[channel], [names[(channel + 1) % 3], names[(channel + 2) % 3]]);
    let [one, two] = others;
    let limited = key[channel] - strength;
    let strength = f64::from(strength);
    let (low, high) = ((strength * NOISE).max(6.0), strength * CERTAIN);
    // What is left of the screen's colour after its channel was cut down, by channel.
    let rest: Vec<u8> = (0..3).map(|c| if c == channel { limited } else { key[c] }).collect();
    let mut parts = vec![
        "extractplanes=r+g+b[keyr][keyg][keyb]".to_owned(),
        format!("[key{one}]split=2[key{one}1][key{one}2]"),
        format!("[key{two}]split=2[key{two}1][key{two}2]"),
        format!("[key{main}]split=2[key{main}1][key{main}2]"),
        format!("[key{one}2][key{two}2]blend=all_mode=lighten,split=2[keym1][keym2]"),
        format!("[key{main}2][keym1]blend=all_mode=subtract,split=2[keys1][keys2]"),
        format!("[key{main}1][keym2]blend=all_mode=darken[key{main}0]"),
        format!("[key{one}1]null[key{one}0]"),
        format!("[key{two}1]null[key{two}0]"),
        format!("[keys1]lut=c0='clip(255-(val-{low:.1})*255/{:.1},0,255)'[keyalpha]", high - low),
    ];
    let shares = 1 + rest.iter().filter(|&&value| value > 0).count();
    let outs: String = (0..shares).map(|n| format!("[keyl{n}]")).collect();
    // `split` passes on one stream as well as several.
    parts.push(format!("[keys2]lut=c0='clip(255-val*255/{strength:.1},0,255)',split={shares}{outs}"));
    unmix(&mut parts, &rest);
    parts.join(";")
}

fn by_distance(Rgb(key): Rgb, soft: &str, hard: &str) -> String {
    let shares = 1 + key.iter().filter(|&&value| value > 0).count();
    let outs: String = (0..shares).map(|n| format!("[keyl{n}]")).collect();
    let mut parts = vec![
        "split=3[keyx][keyy][keyz]".to_owned(),
        "[keyx]extractplanes=r+g+b[keyr0][keyg0][keyb0]".to_owned(),
        format!("[keyy]{hard}[keyalpha]"),
        format!("[keyz]{soft},split={shares}{outs}"),
    ];
    unmix(&mut parts, &key);
    parts.join(";")
}

/// From the planes `[key?0]`, the shares `[keyl0..]` and the final alpha `[keyalpha]`: the subject's own colours.
fn unmix(parts: &mut Vec<String>, key: &[u8]) {
    let mut share = 1;
    for (name, value) in ["r", "g", "b"].iter().zip(key) {
        if *value == 0 {
            parts.push(format!("[key{name}0]null[key{name}9]"));
            continue;
        }
        parts.push(format!("[keyl{share}]lut=c0='(255-val)*{value}/255'[keyk{name}]"));
        parts.push(format!("[key{name}0][keyk{name}]blend=all_mode=subtract[key{name}9]"));
        share += 1;
    }
    // Planes of planar RGB are in the order green, blue, red.
    let planes = "mergeplanes=map0s=0:map1s=1:map2s=2:map3s=3:format=gbrap";
    // Taken apart and put together again: what ffmpeg 9 makes of `alphamerge` after `unpremultiply` has another alpha.
    let apart = "unpremultiply=inplace=1,extractplanes=r+g+b[keyr8][keyg8][keyb8]";
    parts.push(format!("[keyg9][keyb9][keyr9][keyl0]{planes},{apart}"));
    parts.push(format!("[keyg8][keyb8][keyr8][keyalpha]{planes}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_recognised_by_its_strongest_sign() {
        let channel = |channel, strength| Sign::Channel { channel, strength };
        assert_eq!(sign(GREEN), channel(1, 113));
        assert_eq!(sign(Rgb([0, 0, 255])), channel(2, 255));
        assert_eq!(sign(Rgb([200, 20, 20])), channel(0, 180));
        assert!(matches!(sign(Rgb([255, 0, 255])), Sign::Hue { distance, .. } if distance > 0.3));
        assert!(matches!(sign(Rgb([255, 255, 0])), Sign::Hue { .. }));
        assert_eq!(sign(Rgb([255, 255, 255])), Sign::Place);
        assert_eq!(sign(Rgb([10, 10, 12])), Sign::Place);
    }

    proptest::proptest! {
        #[test]
        fn every_pad_is_written_and_read_once(r: u8, g: u8, b: u8) {
            let text = filters(Rgb([r, g, b]));
            let mut pads: Vec<&str> = text.split('[').skip(1).filter_map(|rest| rest.split(']').next()).collect();
            pads.sort_unstable();
            proptest::prop_assert!(pads.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]), "{}", text);
        }
    }
}
