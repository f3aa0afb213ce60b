//! Colours and transparency: untagged, wide and high dynamic range, laid on a ground or kept.
