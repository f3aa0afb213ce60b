//! Models of the shapes that are in use, as graphs of a few nodes: what their cards say is done.

use std::path::Path;

use reelhook_domain::recipe::Refine;
use reelhook_media::matte::Matting;
use reelhook_media::matte::install::{self, AddError};

use crate::onnx::{Part, Side, clip, node, sum, tensor, transposed, write, write_graph};

const SIZE: (u32, u32) = (64, 48);

fn picture(channels: u64) -> [Side; 4] {
    [Side::Is(1), Side::Is(channels), Side::Is(48), Side::Is(64)]
}

/// `red * weight.0 + green * weight.1 + blue * weight.2 + bias`, and the bounds of a clip.
fn constants(weights: [f32; 3], bias: f32) -> Vec<Part> {
    vec![
        tensor("weights", &[1, 3, 1, 1], &weights),
        tensor("bias", &[1], &[bias]),
        tensor("low", &[], &[0.0]),
        tensor("high", &[], &[1.0]),
    ]
}

fn graph(path: &Path, nodes: Vec<Part>, inputs: &[(&str, &[Side])], outputs: &[(&str, &[Side])]) {
    write_graph(path, &[nodes, constants([1.0, 0.5, 0.0], 0.0)].concat(), inputs, outputs);
}

/// The alpha that a model gives frames of one colour.
fn alpha(folder: &Path, name: &str, card: &str, refine: Refine, frames: &[[u8; 3]]) -> Vec<[u8; 4]> {
    let path = folder.join(format!("{name}.card"));
    std::fs::write(&path, card).unwrap();
    install::add(folder, name, &folder.join(format!("{name}.in")), Some(&path))
        .unwrap_or_else(|error| panic!("{error}"));
    install::verify(folder, name).unwrap();
    let mut matting = Matting::load(folder, name, refine, SIZE).unwrap();
    let pixel = |frame: &[u8; 3]| {
        let mut rgba = vec![9; 64 * 48 * 4];
        matting.frame(&frame.repeat(64 * 48), &mut rgba).unwrap();
        let pixels = rgba.as_chunks::<4>().0;
        assert!(pixels.iter().all(|pixel| *pixel == pixels[0]), "one colour gives one alpha");
        pixels[0]
    };
    frames.iter().map(pixel).collect()
}

#[test]
fn numbers_go_in_as_the_card_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // 0.6 red + 0.3 green, of which 0.5 is taken and which is divided by 0.5 as MODNet wants: -1 to 1.
    graph(
        &folder.join("modnet.in"),
        vec![sum("input", "s"), clip("s", "output")],
        &[("input", &picture(3))],
        &[("output", &picture(1))],
    );
    let card = "mean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\nkind = 'matte'\nlicence = 'Apache-2.0'";
    let made = alpha(folder, "modnet", card, Refine::None, &[[191, 153, 0], [127, 127, 9], [0, 0, 0]]);
    // (0.749 - 0.5) / 0.5 + 0.5 * (0.6 - 0.5) / 0.5 = 0.598
    assert_eq!(made.map_alpha(), [153, 0, 0]);
    graph(
        &folder.join("bgr.in"),
        vec![sum("input", "s"), clip("s", "output")],
        &[("input", &picture(3))],
        &[("output", &picture(1))],
    );
    let made = alpha(folder, "bgr", "order = 'bgr'", Refine::None, &[[255, 0, 0], [0, 0, 102], [0, 102, 0]]);
    assert_eq!(made.map_alpha(), [0, 102, 51]);
    let rows = [Side::Is(1), Side::Is(48), Side::Is(64), Side::Is(3)];
    let nodes = vec![
        transposed("input", "planes", &[0, 3, 1, 2]),
        sum("planes", "s"),
        clip("s", "m"),
        transposed("m", "output", &[0, 2, 3, 1]),
    ];
    graph(
        &folder.join("rows.in"),
        nodes,
        &[("input", &rows)],
        &[("output", &[rows[0], rows[1], rows[2], Side::Is(1)])],
    );
    let made = alpha(folder, "rows", "layout = 'nhwc'", Refine::None, &[[102, 102, 0], [0, 0, 255]]);
    assert_eq!(made.map_alpha(), [153, 0]);
}

#[test]
fn numbers_come_out_as_the_card_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // As U2-Net: several outputs. As BiRefNet: numbers that are no shares yet.
    let nodes = || vec![sum("input", "d1"), node("Mul", &["d1", "half"], "d0"), tensor("half", &[], &[0.5])];
    let outputs: [(&str, &[Side]); 2] = [("d1", &picture(1)), ("d0", &picture(1))];
    graph(&folder.join("u2net.in"), nodes(), &[("input", &picture(3))], &outputs);
    assert_eq!(alpha(folder, "u2net", "output = 'd0'", Refine::None, &[[204, 0, 0]]).map_alpha(), [102]);
    graph(&folder.join("birefnet.in"), nodes(), &[("input", &picture(3))], &outputs);
    let made = alpha(folder, "birefnet", "output = 'd1'\nsigmoid = true", Refine::None, &[[0, 0, 0], [255, 0, 0]]);
    assert_eq!(made.map_alpha(), [128, 186]);
    // What is not a number is background.
    let nodes = vec![sum("input", "s"), node("Log", &["low"], "nothing"), node("Mul", &["s", "nothing"], "output")];
    graph(&folder.join("nan.in"), nodes, &[("input", &picture(3))], &[("output", &picture(1))]);
    for refine in [Refine::None, Refine::Fast, Refine::Full] {
        assert_eq!(alpha(folder, "nan", "", refine, &[[0, 0, 255]]), [[0; 4]]);
    }
}

#[test]
fn recurrent_models_are_given_what_they_said_of_the_frame_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The matte is the sum of all frames so far, each times a number that is an input of its own.
    let any = [Side::Any("n"), Side::Any("c"), Side::Any("h"), Side::Any("w")];
    let nodes = vec![
        sum("src", "s"),
        node("Mul", &["s", "downsample_ratio"], "part"),
        node("Add", &["part", "r1i"], "r1o"),
        clip("r1o", "pha"),
        node("Mul", &["src", "downsample_ratio"], "fgr"),
    ];
    let inputs: [(&str, &[Side]); 3] = [("src", &picture(3)), ("r1i", &any), ("downsample_ratio", &[Side::Is(1)])];
    let outputs: [(&str, &[Side]); 3] = [("fgr", &picture(3)), ("pha", &picture(1)), ("r1o", &any)];
    graph(&folder.join("rvm.in"), nodes, &inputs, &outputs);
    let card = "output = 'pha'\nforeground = 'fgr'\nkind = 'matte'\nrecurrent = [['r1o', 'r1i']]\n[numbers]\ndownsample_ratio = 0.5\n";
    let frames = [[102, 0, 0], [102, 0, 0], [0, 51, 10]];
    let made = alpha(folder, "rvm", card, Refine::Full, &frames);
    assert_eq!(made.map_alpha(), [51, 102, 115]);
    // The colours are those that the model brings.
    assert_eq!(made[0], [51, 0, 0, 51]);
    // Another scene starts anew.
    let made = alpha(folder, "rvm", card, Refine::Full, &[[102, 0, 0], [102, 255, 255]]);
    assert_eq!(made.map_alpha(), [51, 115]);
}

#[test]
fn what_cannot_be_a_model_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (models, files) = (folder.path().join("models"), folder.path());
    write(&files.join("good.onnx"), [1.0, 0.0, 0.0], 0.0, Some((64, 48)));
    let good = std::fs::read(files.join("good.onnx")).unwrap();
    std::fs::write(files.join("cut.onnx"), &good[..good.len() / 2]).unwrap();
    std::fs::write(files.join("empty.onnx"), b"").unwrap();
    std::fs::write(files.join("noise.tgz"), [&[0x1f, 0x8b][..], &[7; 99]].concat()).unwrap();
    std::fs::write(files.join("damaged.tflite"), [&b"\x20\0\0\0TFL3"[..], &[0xee; 99]].concat()).unwrap();
    for (channels, name) in [(1, "grey.onnx"), (4, "four.onnx")] {
        let parts = vec![node("Identity", &["input"], "output")];
        graph(&files.join(name), parts, &[("input", &picture(channels))], &[("output", &picture(channels))]);
    }
    let two: [(&str, &[Side]); 2] = [("a", &picture(3)), ("b", &picture(3))];
    graph(&files.join("two.onnx"), vec![node("Add", &["a", "b"], "output")], &two, &[("output", &picture(3))]);
    graph(
        &files.join("odd.onnx"),
        vec![node("Whirl", &["input"], "output")],
        &[("input", &picture(3))],
        &[("output", &picture(1))],
    );
    std::fs::write(files.join("hash.toml"), format!("sha256 = '{}'", "0".repeat(64))).unwrap();
    std::fs::write(files.join("wrong.toml"), "outptu = 'x'").unwrap();
    for (name, file, card, words) in [
        ("a", "cut.onnx", None, "cannot be added as a"),
        ("a", "empty.onnx", None, "cannot be added as a"),
        ("a", "damaged.tflite", None, "damaged"),
        ("human", "noise.tgz", None, "damaged"),
        ("a", "noise.tgz", None, "for human alone"),
        ("a", "grey.onnx", None, "1 channels; it must have 3"),
        ("a", "four.onnx", None, "4 channels; it must have 3"),
        ("a", "two.onnx", None, "it has 2 inputs, and its card does not say what goes into b"),
        ("a", "odd.onnx", None, "Whirl"),
        ("a", "good.onnx", Some("hash.toml"), "another SHA-256"),
        ("a", "good.onnx", Some("wrong.toml"), "outptu"),
        ("Upper", "good.onnx", None, "cannot be called"),
        ("../a", "good.onnx", None, "cannot be called"),
        ("chroma", "good.onnx", None, "built in"),
    ] {
        let card = card.map(|card| files.join(card));
        let error = install::add(&models, name, &files.join(file), card.as_deref()).unwrap_err();
        let AddError::Refused(why) = error else { panic!("{file}: {error:?}") };
        assert!(why.contains(words), "{file}: {why:?} does not say {words:?}");
    }
    assert!(!models.exists(), "nothing was made");
}

#[test]
fn installed_models_are_listed_verified_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (models, file) = (folder.path().join("models"), folder.path().join("tiny.onnx"));
    write(&file, [1.0, 0.0, 0.0], 0.0, Some((64, 48)));
    let added = install::add(&models, "tiny", &file, None).unwrap();
    assert_eq!((added.width, added.height, added.source.as_deref()), (64, 48, Some("tiny.onnx")));
    let listed = install::list(&models).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1.as_ref().unwrap(), &added);
    assert_eq!(install::verify(&models, "tiny").unwrap(), added);
    // Another file in its place is noticed, and a job does not use it.
    write(&models.join("tiny.onnx"), [0.0, 1.0, 0.0], 0.0, Some((64, 48)));
    for error in [
        install::verify(&models, "tiny").unwrap_err(),
        Matting::load(&models, "tiny", Refine::Full, SIZE).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("tiny.onnx is not the file that was installed"), "{error}");
    }
    write(&file, [0.0, 1.0, 0.0], 0.0, Some((32, 32)));
    assert_eq!(install::add(&models, "tiny", &file, None).unwrap().width, 32);
    assert_eq!(install::verify(&models, "tiny").unwrap().height, 32);
    assert!(install::remove(&models, "tiny").unwrap());
    assert!(!install::remove(&models, "tiny").unwrap());
    assert_eq!(std::fs::read_dir(&models).unwrap().count(), 0);
}

trait Alphas {
    fn map_alpha(&self) -> Vec<u8>;
}

impl Alphas for Vec<[u8; 4]> {
    fn map_alpha(&self) -> Vec<u8> {
        self.iter().map(|pixel| pixel[3]).collect()
    }
}
