//! How much memory a picture takes, and the asking for it.
//!
//! A picture takes many times the bytes of its file, and its size is known once its header was read. So before its pixels
//! are decoded, the memory is claimed from the process that shares it out among all pictures in work.

use super::ImageLimits;
use super::guard::rejected;
use super::header::Inspected;
use crate::error::MediaError;

/// About what a pixel takes at its peak: as decoded, as turned, resized or converted, and as its encoder holds it.
const BYTES_A_PIXEL: u64 = 16;

/// Claims that many bytes of memory, until the picture is made. Blocks while the pictures before it have not left enough.
pub type Claim<'a> = &'a dyn Fn(u64) -> Result<(), MediaError>;

/// Claims nothing: for a process that makes no other picture at the same time.
///
/// # Errors
/// None.
pub const fn unclaimed(_bytes: u64) -> Result<(), MediaError> {
    Ok(())
}

/// Claims what the picture will take.
///
/// # Errors
/// `over_limit` for a picture that takes more than all pictures together may.
pub(crate) fn claim(found: &Inspected, limits: &ImageLimits, claim: Claim<'_>) -> Result<(), MediaError> {
    let needed = needed(found);
    let most = limits.memory();
    if needed > most {
        let Inspected { width, height, .. } = *found;
        let message = format!(
            "the input has {width} x {height} pixels, which take about {needed} bytes of memory; the limit for all images together is {most} (`image.memory_bytes`)"
        );
        return Err(rejected("over_limit", message));
    }
    claim(needed)
}

/// About how many bytes the picture takes at its peak, with its file, which is held too.
fn needed(found: &Inspected) -> u64 {
    let pixels = u64::from(found.width) * u64::from(found.height);
    pixels.saturating_mul(BYTES_A_PIXEL).saturating_add(found.size_bytes.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::header::still;
    use super::super::kind::Kind;
    use super::*;

    #[test]
    fn a_picture_claims_what_it_takes_and_never_more_than_there_is() {
        let limits = ImageLimits { memory_bytes: 100 * 100 * BYTES_A_PIXEL, ..ImageLimits::default() };
        let claimed = Cell::new(0);
        let note = |bytes| {
            claimed.set(bytes);
            Ok(())
        };
        claim(&still(Kind::Png, (100, 50), 1), &limits, &note).unwrap();
        assert_eq!(claimed.get(), 100 * 50 * BYTES_A_PIXEL);
        let Err(MediaError::Rejected(failure)) = claim(&still(Kind::Png, (101, 100), 1), &limits, &note) else {
            panic!("it is too large")
        };
        assert_eq!(failure.code, "over_limit");
        assert!(failure.message.contains("101 x 100 pixels") && failure.message.contains("160000"), "{failure:?}");
    }
}
