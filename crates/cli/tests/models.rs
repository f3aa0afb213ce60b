//! `reelhook models`, without a server: the package that npm brings, and files that are none.

use std::path::{Path, PathBuf};

use reelhook_testkit::clips;
use serde_json::{Value, json};

mod program;

/// The package, where `make models` keeps it.
fn package() -> PathBuf {
    let name = "../../target/models/mediapipe-selfie_segmentation-0.1.1675465747.tgz";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    assert!(file.is_file(), "run `make models` first: there is no {}", file.display());
    file
}

/// Runs the command on the models of a data folder.
fn models(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let place = ["--data", data.to_str().expect("it is text")];
    program::shown(&program::run(&[&["models"], arguments, &place].concat(), ""))
}

#[test]
fn the_package_is_installed_listed_verified_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, out, err) = models(&data, &["list", "--json"]);
    assert_eq!((code, &*out, &*err), (Some(0), "[]\n", ""));
    let package = package();
    let add = ["add", "human", "--from", package.to_str().unwrap(), "--json"];
    // A second time puts the same there.
    for _ in 0..2 {
        let (code, out, err) = models(&data, &add);
        assert_eq!(code, Some(0), "{err}");
        let added: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&added["name"], &added["width"], &added["licence"]),
            (&json!("human"), &json!(256), &json!("Apache-2.0"))
        );
        let (_, out, _) = models(&data, &["list", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!([added]));
    }
    let (code, out, _) = models(&data, &["verify"]);
    assert_eq!((code, &*out), (Some(0), "human: as it was added\n"));
    for file in ["human.onnx", "human.tflite", "human.whole.onnx", "human.whole.tflite"] {
        let path = data.join("models").join(file);
        let bytes = std::fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&path, changed).unwrap();
        let (code, out, _) = models(&data, &["verify", "human"]);
        assert_eq!(code, Some(1), "{file}: {out}");
        assert!(out.contains(&format!("{file} is not the file that was installed")), "{file}: {out}");
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(models(&data, &["remove", "human"]).0, Some(0));
    assert_eq!(std::fs::read_dir(data.join("models")).unwrap().count(), 0);
    let (code, _, err) = models(&data, &["remove", "human"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no model human is in"), "{err}");
}

#[test]
fn what_is_not_the_package_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let whole = std::fs::read(package()).unwrap();
    let file = folder.path().join("file.tgz");
    for (bytes, words) in [
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (packed("package/selfie_segmentation.tflite", b"TFL3"), "its SHA-256 is another"),
        (packed("package/readme", b"hello"), "there is no package/selfie_segmentation.tflite in it"),
        (Vec::new(), "cannot be added as human"),
        (b"\x1c\0\0\0TFL3".to_vec(), "is not the net of"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let (code, out, err) = models(&data, &["add", "human", "--from", file.to_str().unwrap()]);
        assert_eq!((code, &*out), (Some(2), ""), "{err}");
        assert!(err.contains(words) && err.trim_end().lines().count() == 1, "{err:?} does not say {words:?}");
        assert!(!data.exists());
    }
    let (code, _, err) = models(&data, &["add", "isnet"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("give the file of isnet with --from FILE"), "{err}");
    let (code, _, err) = models(&data, &["add", "isnet", "--from", "nowhere.onnx"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nowhere.onnx cannot be read"), "{err}");
}

/// A package of one file.
fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    // A header of tar: the name, the mode, the size in octal, and a sum of its own bytes.
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(bytes);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    stored(&tar)
}

/// As gzip, not pressed.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let length = u16::try_from(bytes.len()).expect("it is short");
    gzip.extend(length.to_le_bytes());
    gzip.extend((!length).to_le_bytes());
    gzip.extend(bytes);
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    gzip.extend((!crc).to_le_bytes());
    gzip.extend(u32::from(length).to_le_bytes());
    gzip
}

#[test]
fn the_demo_cuts_a_person_out_and_leaves_a_contact_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let (data, sheet) = (folder.path().join("data"), folder.path().join("sheet.png"));
    let (installed, words) = (data.join("models"), sheet.to_str().unwrap());
    let demo = ["demo", "--background", "--sheet", words, "--models", installed.to_str().unwrap()];
    let (code, _, err) = program::shown(&program::run(&demo, ""));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("`reelhook models add human --models"), "{err}");

    assert_eq!(models(&data, &["add", "human", "--from", package().to_str().unwrap()]).0, Some(0));
    let (code, out, err) = program::shown(&program::run(&demo, ""));
    assert_eq!(code, Some(0), "{out}{err}");
    // Three rows of four pictures of 384 x 216, 4 pixels apart; in each the upper left corner, and the person's coat.
    let raw = folder.path().join("sheet.rgb");
    clips::ffmpeg(["-i", words, "-f", "rawvideo", "-pix_fmt", "rgb24"], &raw);
    let rgb = std::fs::read(raw).unwrap();
    assert_eq!(rgb.len(), 1548 * 656 * 3);
    let at = |column: usize, row: usize, x: usize, y: usize| {
        let place = ((row * 220 + y) * 1548 + column * 388 + x) * 3;
        [rgb[place], rgb[place + 1], rgb[place + 2]]
    };
    for column in 0..4 {
        assert_eq!((at(column, 1, 5, 5), at(column, 1, 17, 5)), ([204; 3], [255; 3]), "{column}: it is clear there");
        let far = at(column, 2, 5, 5).iter().zip([47, 111, 143]).map(|(one, other)| one.abs_diff(other)).max();
        assert!(far < Some(8), "{column}: the colour is there: {:?}", at(column, 2, 5, 5));
        let is_blue = |[red, _, blue]: [u8; 3]| blue > red.saturating_add(20);
        assert!((0..384).any(|x| is_blue(at(column, 1, x, 205))), "{column}: the coat is there");
    }
}
