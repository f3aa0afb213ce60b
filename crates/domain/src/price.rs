//! What a job is expected to take, what it took, and what that costs.
//!
//! Price of an output = minutes x base x codec x size x frames a second / 30 x tier. What has no timeline of pictures
//! costs nothing.
//!
//! # Source
//! `shared/MEDIA.md`, Cost and confirmation, which follows Transcodely's documented factors.

use serde::{Deserialize, Serialize};

use crate::recipe::{Quality, VideoCodec};

/// The factors of a price, by what is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceTable {
    /// Currency code of ISO 4217.
    pub currency: String,
    /// One minute of 1080p H.264 at 30 frames a second and the standard tier.
    pub per_minute: f64,
    /// h264, h265, vp9, av1.
    pub codecs: [f64; 4],
    /// 480p, 720p, 1080p, 1440p, 2160p, 4320p.
    pub sizes: [f64; 6],
    /// economy, standard, premium.
    pub tiers: [f64; 3],
}

impl Default for PriceTable {
    fn default() -> Self {
        Self {
            currency: "EUR".to_owned(),
            per_minute: 0.06,
            codecs: [1.0, 1.5, 1.3, 2.5],
            sizes: [0.5, 0.75, 1.0, 1.5, 2.5, 5.0],
            tiers: [0.75, 1.0, 2.0],
        }
    }
}

/// One encoding of a timeline of pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    /// Its length.
    pub seconds: f64,
    /// Its codec.
    pub codec: VideoCodec,
    /// Its size in pixels.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: f64,
    /// Its tier.
    pub quality: Quality,
}

/// Pixels of the named sizes, 480p to 4320p, in landscape 16:9.
const PIXELS: [u64; 6] = [854 * 480, 1280 * 720, 1920 * 1080, 2560 * 1440, 3840 * 2160, 7680 * 4320];

impl PriceTable {
    /// What one encoding costs, in units of the currency. A size between two named ones costs as the larger.
    pub fn price(&self, encoding: &Encoding) -> f64 {
        let codec = match encoding.codec {
            VideoCodec::H264 => self.codecs[0],
            VideoCodec::H265 => self.codecs[1],
            VideoCodec::Vp9 => self.codecs[2],
            VideoCodec::Av1 => self.codecs[3],
        };
        let tier = match encoding.quality {
            Quality::Economy => self.tiers[0],
            Quality::Standard => self.tiers[1],
            Quality::Premium => self.tiers[2],
        };
        let pixels = u64::from(encoding.width) * u64::from(encoding.height);
        let size = PIXELS.iter().position(|most| pixels <= *most).unwrap_or(PIXELS.len() - 1);
        encoding.seconds / 60.0 * self.per_minute * codec * self.sizes[size] * (encoding.frame_rate / 30.0) * tier
    }
}

/// The estimated resources of a job, from its probed input and its plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Estimate {
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
    /// Elapsed time, in seconds.
    pub wall_seconds: f64,
    /// Size of all outputs together, in bytes.
    pub size_bytes: u64,
    /// Estimated cost.
    pub cost: Cost,
}

/// The cost of a job and of each of its outputs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cost {
    /// Amount in units of the currency, to four decimals.
    pub amount: f64,
    /// Currency code of ISO 4217.
    pub currency: String,
    /// The cost of each output, in the order of the request.
    pub outputs: Vec<f64>,
}

impl Cost {
    /// The sum of what each output costs, rounded to four decimals.
    pub fn of(outputs: Vec<f64>, currency: &str) -> Self {
        // The sum of nothing is a negative zero, which nobody wants to read.
        let round = |amount: f64| (amount * 10_000.0).round() / 10_000.0 + 0.0;
        let outputs: Vec<_> = outputs.into_iter().map(round).collect();
        Self { amount: round(outputs.iter().sum()), currency: currency.to_owned(), outputs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(codec: VideoCodec, (width, height): (u32, u32), frame_rate: f64, quality: Quality) -> Encoding {
        Encoding { seconds: 120.0, codec, width, height, frame_rate, quality }
    }

    #[test]
    fn what_costs_nothing_costs_plainly_nothing() {
        for outputs in [Vec::new(), vec![0.0, -0.0]] {
            assert_eq!(serde_json::to_string(&Cost::of(outputs, "EUR").amount).unwrap(), "0.0");
        }
    }

    #[test]
    fn the_price_is_the_product_of_the_documented_factors() {
        let table = PriceTable::default();
        let price = |codec, size, rate, quality| {
            Cost::of(vec![table.price(&encoding(codec, size, rate, quality))], "EUR").amount
        };
        // Two minutes of 1080p H.264 in the standard tier: the service's own example.
        assert_eq!(price(VideoCodec::H264, (1920, 1080), 30.0, Quality::Standard), 0.12);
        assert_eq!(price(VideoCodec::H264, (1440, 1080), 30.0, Quality::Standard), 0.12);
        assert_eq!(price(VideoCodec::H265, (854, 480), 30.0, Quality::Economy), 0.0675);
        assert_eq!(price(VideoCodec::Vp9, (1280, 720), 60.0, Quality::Standard), 0.234);
        assert_eq!(price(VideoCodec::Av1, (3840, 2160), 24.0, Quality::Premium), 1.2);
        assert_eq!(price(VideoCodec::H264, (7680, 4320), 30.0, Quality::Standard), 0.6);
    }
}
