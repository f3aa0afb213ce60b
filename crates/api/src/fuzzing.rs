//! Doors for the fuzz targets (`fuzz/`) to readers that nothing outside of this crate calls.

use crate::multipart;

/// The names, file names and contents of all parts of a body that comes in those pieces and has the boundary `edge`, or
/// the status of the refusal.
pub async fn multipart(pieces: Vec<Vec<u8>>) -> Result<Vec<(String, String, Vec<u8>)>, u16> {
    multipart::read(pieces).await
}
