//! Models that tell a subject from its background: ONNX files in a folder, by name.
//!
//! `NAME.onnx` is a model, and `NAME.toml` beside it, where it needs one, says how pictures are brought into it
//! ([`card`]). The operator puts them there, by hand or with [`install`]; a server fetches nothing.
//!
//! ```text
//! NAME.tflite --tflite--> graph --onnx--> NAME.onnx        when a model is added
//!                           |executor         |model       either is a net
//! frame --grid, look, steady, guided, colors--> RGBA       matting: one clip, frame after frame
//! ```
//!
//! [`Matting`] runs in a sandboxed child (`cutter`), on frames that the sandboxed ffmpeg has decoded and scaled: no byte of
//! the input's own reaches a net.

mod card;
mod colors;
pub mod drawn;
mod executor;
mod graph;
mod grid;
mod guided;
pub mod install;
mod look;
mod matting;
mod model;
mod onnx;
mod plane;
mod report;
#[cfg(test)]
mod score;
mod steady;
mod tflite;

use std::io;
use std::path::Path;

pub use self::matting::Matting;
pub use self::model::ModelError;
pub use self::report::MatteReport;

/// Whether a model may have that name: 1 to 64 of `a` to `z`, digits, `-` and `_`.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Names of the models in a folder, sorted; none where there is no folder. Links are followed.
///
/// # Errors
/// When the folder cannot be read.
pub fn installed(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".onnx"));
        if let Some(name) = name.filter(|name| is_name(name) && path.is_file()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a model of that name is in the folder.
pub fn is_installed(folder: &Path, name: &str) -> bool {
    is_name(name) && folder.join(format!("{name}.onnx")).is_file()
}

/// Reads a TFLite file and writes its net as ONNX, for the fuzzer. A small net is run too.
#[cfg(fuzzing)]
pub(crate) fn convert(bytes: &[u8]) {
    if let Ok(graph) = tflite::read(bytes) {
        let _file = onnx::write(&graph);
        if bytes.len() < 4096 && graph.values.iter().map(|shape| shape.len()).sum::<usize>() < 1 << 16 {
            let count = graph.values[0].len();
            let _matte = executor::Executor::new(&graph).compute((0..count).map(|place| place as f32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_files_with_plain_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["u2net.onnx", "isnet-2_1.onnx", "Upper.onnx", "a b.onnx", ".onnx", "u2net.toml", "readme"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.onnx")).unwrap();
        std::os::unix::fs::symlink("u2net.onnx", folder.path().join("linked.onnx")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.onnx")).unwrap();
        assert_eq!(installed(folder.path()).unwrap(), ["isnet-2_1", "linked", "u2net"]);
        assert!(installed(&folder.path().join("none")).unwrap().is_empty());
        assert!(is_installed(folder.path(), "linked") && !is_installed(folder.path(), "dangling"));
        assert!(!is_installed(folder.path(), "../u2net") && !is_installed(folder.path(), ""));
    }
}
