//! `resize`: another picture size, everything else as good as it was.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Fit, Resize};

use super::video::{Keys, Rate, Wish, tier, tier_words};
use super::{Design, Desk, Resemblance, audio, size};

pub(super) fn design(desk: &Desk<'_>, resize: &Resize) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let Resize { ref size, fit, format, codec, quality } = *resize;
    let wish = Wish {
        codec,
        format,
        quality,
        rate: Rate::Factor(tier(codec, quality).1),
        size: size::target(video, size, fit, size::Sides::Even),
        frame_rate: None,
        keys: Keys::Free,
        reason: tier_words(codec, quality),
    };
    let design = desk.both(&wish, audio::Wish { format, copy: audio::Copy::WhereItFits, kbps: None, quality })?;
    let seen = design.seen.map(|seen| Resemblance { stretched: fit == Fit::Exact, ..seen });
    Ok(Design { seen, ..design })
}
