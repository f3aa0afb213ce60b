//! CIE L*a*b* to sRGB, white to white.
//!
//! # Source
//! CIE 15:2018, 8.2.1; D50 as profiles have it (ICC.1:2022, 6.3.4.3).

use super::meaning;
use super::tone::srgb;

/// White of the connection space of profiles.
const D50: [f32; 3] = [0.9642, 1.0, 0.8249];

/// Three samples as shares of their most, to sRGB. `signed`: a and b are two's complement rather than moved by half.
pub(crate) fn to_srgb([lightness, a, b]: [f32; 3], signed: bool) -> [f32; 3] {
    let signed_share = |share: f32| {
        let number = share * 255.0;
        if !signed {
            number - 128.0
        } else if number >= 128.0 {
            number - 256.0
        } else {
            number
        }
    };
    let y = (lightness * 100.0 + 16.0) / 116.0;
    let (x, z) = (y + signed_share(a) / 500.0, y - signed_share(b) / 200.0);
    let light = |root: f32| if root > 6.0 / 29.0 { root.powi(3) } else { (root - 4.0 / 29.0) * 108.0 / 841.0 };
    let xyz = [light(x) * D50[0], light(y) * D50[1], light(z) * D50[2]];
    let matrix = meaning::from_connection_space();
    matrix.map(|row| srgb(row.iter().zip(xyz).map(|(share, light)| share * light).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_grey_and_colours_come_out_as_they_are_known() {
        // L, a, b and sRGB by the formulas, of white, middle grey, a red and a blue.
        let cases = [
            ([100.0, 0.0, 0.0], [255, 255, 255]),
            ([53.585, 0.0, 0.0], [128, 128, 128]),
            ([54.29, 80.81, 69.89], [255, 0, 0]),
            ([29.57, 68.30, -112.03], [0, 0, 255]),
        ];
        for (lab, expected) in cases {
            let of = |number: f32, signed: bool| {
                if signed { (number + 256.0) % 256.0 / 255.0 } else { (number + 128.0) / 255.0 }
            };
            for signed in [false, true] {
                let made = to_srgb([lab[0] / 100.0, of(lab[1], signed), of(lab[2], signed)], signed);
                let made = made.map(|share| (share * 255.0).round() as i32);
                assert!(
                    made.iter().zip(expected).all(|(made, expected)| (made - expected).abs() <= 2),
                    "{lab:?}: {made:?}"
                );
            }
        }
    }
}
