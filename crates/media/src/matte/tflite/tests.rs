//! Each operator against numbers of a reference run: the same files in LiteRT 2.3.0 (package `ai-edge-litert`); the
//! transposed convolution, which it does not have, as `ConvTranspose` in onnxruntime 1.32.0.

use super::made::{Field, Step, Table, Tensor, file};
use super::*;
use crate::matte::executor::Executor;
use crate::matte::onnx;

use Field::{Byte, Number};

/// Numbers of 0 to 1 that look like chance.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|place| ((place + seed) * 7919 % 251) as f32 / 250.0).collect()
}

/// Numbers around 0.
fn weights(count: usize, seed: usize) -> Vec<f32> {
    numbers(count, seed).iter().map(|number| number - 0.5).collect()
}

/// A net of one picture, some steps of which the last makes tensor 1 of three channels, and one that sums up its channels:
/// `x + 10 y + 100 z`.
fn net(input: [i32; 3], made: [i32; 3], constants: &[Tensor], steps: &[Step]) -> Vec<u8> {
    let side = |[height, width, channels]: [i32; 3]| [1, height, width, channels];
    let mut tensors = vec![Tensor::value(&side(input)), Tensor::value(&side(made))];
    tensors.push(Tensor::value(&side([made[0], made[1], 1])));
    tensors.push(Tensor::floats(&[1, 1, 1, 3], &[1.0, 10.0, 100.0]));
    tensors.extend_from_slice(constants);
    tensors.push(Tensor::floats(&[1], &[0.0]));
    let bias = tensors.len() as i32 - 1;
    let mut steps = steps.to_vec();
    steps.push(Step::new(3, &[1, 3, bias], 2, 1, vec![(0, Byte(1)), (1, Number(1)), (2, Number(1))]));
    file(&tensors, &steps, &[0], &[2])
}

fn strides(stride: i32) -> Table {
    vec![(1, Number(stride)), (2, Number(stride))]
}

/// The nets, by what they are for.
fn nets() -> Vec<(&'static str, Vec<u8>)> {
    let kernel = || Tensor::floats(&[3, 3, 3, 3], &weights(81, 5));
    let bias = || Tensor::floats(&[3], &[0.1, -0.2, 0.3]);
    // 0.5, -2, 2^-24, 65504, -0, 1/3 ...
    let halves = [0x3800, 0xc000, 0x0001, 0x3c00, 0x8000, 0x3555, 0x0400, 0xb800, 0x4200];
    let plain = |code, kind| Step::new(code, &[0], 1, kind, Vec::new());
    vec![
        (
            "halves",
            net(
                [2, 2, 3],
                [2, 2, 3],
                &[Tensor::halves(&[3, 1, 1, 3], &halves), Tensor::floats(&[3, 1, 1, 3], &[]), bias()],
                &[Step::new(6, &[4], 5, 0, Vec::new()), Step::new(3, &[0, 5, 6], 1, 1, strides(1))],
            ),
        ),
        ("odd", net([5, 4, 3], [3, 2, 3], &[kernel(), bias()], &[Step::new(3, &[0, 4, 5], 1, 1, strides(2))])),
        ("even", net([4, 6, 3], [2, 3, 3], &[kernel(), bias()], &[Step::new(3, &[0, 4, 5], 1, 1, strides(2))])),
        (
            "valid",
            net(
                [4, 6, 3],
                [2, 4, 3],
                &[kernel(), bias()],
                &[Step::new(3, &[0, 4, 5], 1, 1, [vec![(0, Byte(1)), (3, Byte(3))], strides(1)].concat())],
            ),
        ),
        (
            "depthwise",
            net(
                [4, 5, 3],
                [2, 3, 3],
                &[Tensor::floats(&[1, 3, 3, 3], &weights(27, 9)), bias()],
                &[Step::new(4, &[0, 4, 5], 1, 2, [strides(2), vec![(3, Number(1)), (4, Byte(1))]].concat())],
            ),
        ),
        (
            "wide",
            net(
                [6, 6, 3],
                [6, 6, 3],
                &[Tensor::floats(&[1, 5, 5, 3], &weights(75, 2)), bias()],
                &[Step::new(4, &[0, 4, 5], 1, 2, [strides(1), vec![(3, Number(1))]].concat())],
            ),
        ),
        ("half_pixel", resize(true)),
        ("asymmetric", resize(false)),
        ("hard_swish", wide_range(117, 0)),
        ("logistic", wide_range(14, 0)),
        ("relu6", wide_range(21, 0)),
        (
            "mean",
            net([3, 4, 3], [1, 1, 3], &[Tensor::whole(&[1, 2])], &[Step::new(40, &[0, 4], 1, 27, vec![(0, Byte(1))])]),
        ),
        (
            "pool",
            net(
                [3, 4, 3],
                [1, 1, 3],
                &[],
                &[Step::new(
                    1,
                    &[0],
                    1,
                    5,
                    vec![(0, Byte(1)), (1, Number(4)), (2, Number(3)), (3, Number(4)), (4, Number(3))],
                )],
            ),
        ),
        (
            "gate",
            net(
                [3, 4, 3],
                [3, 4, 3],
                &[Tensor::whole(&[1, 2]), Tensor::value(&[1, 1, 1, 3]), Tensor::value(&[1, 3, 4, 3])],
                &[
                    Step::new(40, &[0, 4], 5, 27, vec![(0, Byte(1))]),
                    Step::new(18, &[0, 5], 6, 21, Vec::new()),
                    Step::new(0, &[6, 0], 1, 11, Vec::new()),
                ],
            ),
        ),
        (
            "transposed",
            net(
                [2, 3, 3],
                [4, 6, 3],
                &[Tensor::floats(&[3, 2, 2, 3], &weights(36, 3)), bias()],
                &[Step::custom("Convolution2DTransposeBias", &[0, 4, 5], 1, &[1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0])],
            ),
        ),
        ("relu", net([2, 2, 3], [2, 2, 3], &[], &[plain(19, 0)])),
    ]
}

fn resize(half_pixel: bool) -> Vec<u8> {
    let options = vec![(2, Byte(0)), (3, Byte(u8::from(half_pixel)))];
    net([2, 3, 3], [4, 6, 3], &[Tensor::whole(&[4, 6])], &[Step::new(23, &[0, 4], 1, 15, options)])
}

/// A function of each number, over -4 to 4.
fn wide_range(code: i32, kind: u8) -> Vec<u8> {
    let scale = Tensor::floats(&[3, 1, 1, 3], &[8.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0]);
    let spread = Step::new(3, &[0, 4, 5], 6, 1, strides(1));
    net(
        [2, 2, 3],
        [2, 2, 3],
        &[scale, Tensor::floats(&[3], &[-4.0; 3]), Tensor::value(&[1, 2, 2, 3])],
        &[spread, Step::new(code, &[6], 1, kind, Vec::new())],
    )
}

/// What comes out, by the ONNX file that is written.
fn run(graph: &Graph) -> Vec<f32> {
    use rten_tensor::prelude::*;
    let model = rten::Model::load(onnx::write(graph)).unwrap();
    let Shape { height, width, channels } = graph.values[0];
    let picture = numbers(height * width * channels, 0);
    let picture = rten_tensor::NdTensor::from_data([1, height, width, channels], picture);
    let picture = picture.permuted([0, 3, 1, 2]).to_tensor();
    let made = model.run_one(picture.view().into(), None).unwrap();
    let Shape { height, width, channels } = graph.values[graph.output];
    let (shape, numbers) = made.into_shape_vec::<f32, 4>().unwrap();
    assert_eq!(shape, [1, channels, height, width]);
    numbers
}

/// What the reference run made of [`numbers`] from 0.
const EXPECTED: &[(&str, &[f32])] = &[
    ("halves", &[29.7293, 252.656, 108.2808, 26.6618]),
    ("odd", &[7.0774, 7.4327, 46.1487, 12.3696, 89.8596, -17.8678]),
    ("even", &[-58.2121, 62.7462, 38.4973, 11.4459, -38.5815, 64.3195]),
    ("valid", &[0.5476, 118.9359, 69.9904, 0.7611, 2.7845, 238.2082, 0.0, 2.4517]),
    ("depthwise", &[4.7952, 62.8388, 97.7388, 41.79, 39.2188, 55.9662]),
    (
        "wide",
        &[
            26.3203, 125.0859, 75.5608, 51.6145, 104.3089, 66.8228, 44.5859, 92.6756, 47.0238, 46.0044, 96.1159,
            53.2274, 77.4804, -40.8514, 78.0176, 97.9575, -40.1363, 69.925, 82.0914, 54.2151, -16.5045, 118.293,
            69.7192, 8.538, 43.2799, 73.083, 49.2993, 38.2208, 134.9707, 58.912, -1.0158, 24.0, 46.9293, -60.4921,
            51.8299, 75.588,
        ],
    ),
    (
        "half_pixel",
        &[
            15.52, 31.103, 62.269, 70.594, 56.078, 48.82, 14.328, 29.8482, 60.8887, 69.151, 54.635, 47.377, 11.944,
            27.3387, 58.1283, 66.265, 51.749, 44.491, 10.752, 26.084, 56.748, 64.822, 50.306, 43.048,
        ],
    ),
    (
        "asymmetric",
        &[
            15.52, 46.686, 77.852, 63.336, 48.82, 48.82, 13.136, 44.051, 74.966, 60.45, 45.934, 45.934, 10.752, 41.416,
            72.08, 57.564, 43.048, 43.048, 10.752, 41.416, 72.08, 57.564, 43.048, 43.048,
        ],
    ),
    ("hard_swish", &[2.3684, 166.992, -2.4102, 3.616]),
    ("logistic", &[9.9598, 89.8498, 40.6059, 8.5924]),
    ("relu6", &[4.16, 202.816, 28.16, 3.616]),
    ("mean", &[55.7237]),
    ("pool", &[55.7237]),
    (
        "gate",
        &[
            23.1075, 117.1864, 73.1246, 15.9341, 108.5167, 64.4549, 158.5338, 99.8471, 55.7853, 149.8642, 91.1775,
            47.1157,
        ],
    ),
    ("relu", &[15.52, 77.852, 48.82, 10.752]),
    (
        "transposed",
        &[
            28.2028, 4.2861, 80.4417, 32.0672, 48.682, -4.0743, 34.2319, 24.4395, -9.8697, 71.1834, 21.1279, 39.7239,
            57.2148, 9.1488, 76.892, 33.5163, 45.1323, -2.6252, 1.6966, 48.5568, -7.5983, 68.5341, 23.3993, 37.0746,
        ],
    ),
];

#[test]
fn each_operator_makes_what_the_reference_makes() {
    for (name, file) in nets() {
        let graph = read(&file).unwrap_or_else(|why| panic!("{name}: {why}"));
        let (_, expected) = EXPECTED.iter().find(|(net, _)| *net == name).expect("each has one");
        let input = numbers(graph.values[0].len(), 0);
        let own = Executor::new(&graph).compute(input.into_iter());
        for (way, made) in [("as ONNX", run(&graph)), ("by the executor", own)] {
            assert_eq!(made.len(), expected.len(), "{name} {way}");
            for (made, expected) in made.iter().zip(*expected) {
                assert!((made - expected).abs() < 2e-4, "{name} {way}: {made} is not {expected}");
            }
        }
    }
    assert_eq!(EXPECTED.len(), nets().len());
}

#[test]
fn halves_are_widened_exactly() {
    for (half, expected) in [
        (0x0000, 0.0),
        (0x0001, 5.960_464_5e-8),
        (0x03ff, 6.097_555e-5),
        (0x0400, 6.103_515_6e-5),
        (0x3555, 0.333_251_95),
        (0x3c00, 1.0),
        (0xc500, -5.0),
        (0x7bff, 65504.0),
    ] {
        assert_eq!(widened(half), expected, "{half:#x}");
    }
    assert!(widened(0x8000).is_sign_negative() && widened(0x7e00).is_nan() && widened(0xfc00) == f32::NEG_INFINITY);
}

/// The error that a net with that step is refused with.
fn refused(constants: &[Tensor], step: Step) -> String {
    read(&net([4, 6, 3], [4, 6, 3], constants, &[step])).unwrap_err()
}

#[test]
fn what_is_not_supported_is_named() {
    let kernel = || Tensor::floats(&[3, 3, 3, 3], &weights(81, 5));
    let bias = || Tensor::floats(&[3], &[0.0; 3]);
    let dilated = Step::new(3, &[0, 4, 5], 1, 1, [strides(1), vec![(4, Number(2))]].concat());
    let tanh = Step::new(3, &[0, 4, 5], 1, 1, [strides(1), vec![(3, Byte(4))]].concat());
    let part = vec![(1, Number(2)), (2, Number(2)), (3, Number(2)), (4, Number(2))];
    for (why, words) in [
        (refused(&[], Step::new(17, &[0], 1, 5, part.clone())), "the operator MAX_POOL_2D, which is not supported"),
        (refused(&[], Step::new(0, &[0], 1, 11, Vec::new())), "ADD in it takes too little"),
        (refused(&[], Step::new(128, &[0], 1, 0, Vec::new())), "number 128"),
        (refused(&[], Step::custom("Landmarks", &[0], 1, &[])), "the operator Landmarks"),
        (refused(&[], Step::new(1, &[0], 1, 5, part)), "AVERAGE_POOL_2D in it covers a part"),
        (refused(&[kernel(), bias()], dilated), "CONV_2D in it leaves gaps"),
        (refused(&[kernel(), bias()], tanh), "CONV_2D in it ends in a function"),
        (
            refused(&[kernel(), bias()], Step::new(3, &[0, 4, 5], 1, 1, strides(2))),
            "not of the size that the file says",
        ),
        (refused(&[kernel(), bias()], Step::new(3, &[0, 4, 5], 1, 1, strides(0))), "a size that cannot be"),
        (refused(&[kernel(), bias()], Step::new(3, &[0, 4, 99], 1, 1, strides(1))), "a tensor that is not there"),
        (
            refused(&[kernel(), bias()], Step::new(3, &[0, 4, 5], 0, 1, strides(1))),
            "two steps in it make the same tensor",
        ),
        (
            refused(&[Tensor::floats(&[1, 4, 6, 3], &[0.5; 72])], Step::new(0, &[0, 4], 1, 11, Vec::new())),
            "takes a constant",
        ),
        (
            refused(
                &[Tensor::floats(&[3, 3, 3, 3], &[f32::NAN; 81]), bias()],
                Step::new(3, &[0, 4, 5], 1, 1, strides(1)),
            ),
            "not finite",
        ),
        (
            refused(&[Tensor::floats(&[3, 3, 3, 3], &[0.0; 80]), bias()], Step::new(3, &[0, 4, 5], 1, 1, strides(1))),
            "not as many",
        ),
    ] {
        assert!(why.contains(words), "{why:?} does not say {words:?}");
    }
}

#[test]
fn a_net_of_other_inputs_and_outputs_is_refused() {
    let picture = |channels| Tensor::value(&[1, 2, 2, channels]);
    let pass = |from, to| Step::new(19, &[from], to, 0, Vec::new());
    for (file, words) in [
        (file(&[picture(3), picture(3)], &[pass(0, 1)], &[0, 0], &[1]), "2 inputs"),
        (file(&[picture(3), picture(3)], &[pass(0, 1)], &[0], &[]), "0 outputs"),
        (file(&[picture(4), picture(4)], &[pass(0, 1)], &[0], &[1]), "its input has 4 channels"),
        (file(&[picture(1), picture(1)], &[pass(0, 1)], &[0], &[1]), "its input has 1 channels"),
        (file(&[picture(3), picture(3)], &[pass(0, 1)], &[0], &[1]), "its output has 3 channels"),
        (file(&[Tensor::value(&[2, 2, 2, 3]), picture(3)], &[pass(0, 1)], &[0], &[1]), "[2, 2, 2, 3]"),
        (file(&[Tensor::value(&[1 << 14, 1 << 14, 1 << 14]), picture(3)], &[], &[0], &[1]), "more than 67108864"),
        (b"RIFF....WEBP".to_vec(), "not a TFLite file"),
        ([b"\xff\xff\xff\x7f".as_slice(), b"TFL3"].concat(), "damaged"),
    ] {
        let why = read(&file).unwrap_err();
        assert!(why.contains(words), "{why:?} does not say {words:?}");
    }
}

#[test]
fn what_is_cut_off_or_changed_never_panics() {
    for (_, file) in nets() {
        for end in 0..file.len() {
            let _ = read(&file[..end]);
        }
        // Each byte, to what breaks lengths, offsets and signs.
        for (place, &byte) in file.iter().enumerate() {
            for other in [0, 1, 127, 128, 255] {
                let mut changed = file.clone();
                changed[place] = byte ^ other;
                let _ = read(&changed);
            }
        }
    }
}
