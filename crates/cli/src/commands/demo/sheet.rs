//! The contact sheet of `reelhook demo --background`: the clip, the subject alone, the subject on a colour.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;

use super::clip;
use crate::settings::Settings;

/// Where it is written unless `--sheet` says otherwise.
pub(super) const NAME: &str = "reelhook-background.png";
/// Pictures in a row, at these parts of the clip's length.
const MOMENTS: [f64; 4] = [0.1, 0.35, 0.6, 0.85];
/// Of one picture, in pixels.
const CELL: (u32, u32) = (384, 216);

/// Puts pictures of the clip and of the two results side by side.
pub(super) async fn draw(settings: &Settings, rows: [&Path; 3], seconds: f64, sheet: &Path) -> anyhow::Result<()> {
    let mut words: Vec<OsString> = ["-nostdin", "-hide_banner", "-v", "error", "-y"].map(Into::into).into();
    let mut graph = String::new();
    let mut cells = String::new();
    let (width, height) = CELL;
    // What is clear shows a checkerboard, as in an editor of pictures.
    let checkers = format!(
        "color=white:s={width}x{height},format=gray,geq=lum='if(mod(floor(X/12)+floor(Y/12),2),255,204)',format=rgba"
    );
    for (row, path) in rows.into_iter().enumerate() {
        for (column, part) in MOMENTS.into_iter().enumerate() {
            let number = row * MOMENTS.len() + column;
            // The subject alone is VP9, of whose decoders one reads alpha.
            if row == 1 {
                words.extend(["-c:v", "libvpx-vp9"].map(Into::into));
            }
            words.extend(["-ss".into(), format!("{:.3}", part * seconds).into(), "-i".into(), path.into()]);
            graph += &format!(
                "[{number}]trim=end_frame=1,setpts=0,format=rgba,scale={width}:{height}:force_original_aspect_ratio=decrease,\
                 pad={width}:{height}:-1:-1:color=black@0[p{number}];{checkers},trim=end_frame=1,setpts=0[c{number}];\
                 [c{number}][p{number}]overlay=format=rgb,trim=end_frame=1,setpts=0[o{number}];"
            );
            cells += &format!("[o{number}]");
        }
    }
    let (across, down) = (MOMENTS.len(), 3);
    graph += &format!("{cells}concat=n={}:v=1,tile={across}x{down}:padding=4:color=white,format=rgb24", across * down);
    words.extend([
        "-filter_complex".into(),
        graph.into(),
        "-frames:v".into(),
        "1".into(),
        "-update".into(),
        "1".into(),
    ]);
    words.extend(["-f".into(), "image2".into(), "-c:v".into(), "png".into(), sheet.into()]);
    clip::ffmpeg(settings, words).await.with_context(|| format!("{} cannot be written", sheet.display()))
}
