//! A tiny model, written byte by byte: a weighted sum of the channels of each pixel, brought to 0 to 1.
//!
//! # Source
//! ONNX's `onnx.proto` for the numbers of the fields; the wire format of Protocol Buffers, of which two kinds are used:
//! numbers of variable length and what has a length.

use std::path::Path;

/// `matte = clip(weights . pixel + bias)`, over pictures of that size, or of any where there is none.
pub(crate) fn write(path: &Path, weights: [f32; 3], bias: f32, size: Option<(u64, u64)>) {
    let sides = size.map_or([Side::Any("h"), Side::Any("w")], |(width, height)| [Side::Is(height), Side::Is(width)]);
    let shape = |channels| [Side::Is(1), Side::Is(channels), sides[0], sides[1]];
    let mut convolution = node("Conv", &["picture", "weights", "bias"], "sum");
    convolution.extend(message(5, &numbers("strides", &[1, 1])));
    convolution.extend(message(5, &numbers("dilations", &[1, 1])));
    convolution.extend(message(5, &numbers("pads", &[0, 0, 0, 0])));
    convolution.extend(message(5, &numbers("kernel_shape", &[1, 1])));
    let graph = [
        message(1, &convolution),
        message(1, &node("Clip", &["sum", "low", "high"], "matte")),
        message(2, b"tiny"),
        message(5, &tensor("weights", &[1, 3, 1, 1], &weights)),
        message(5, &tensor("bias", &[1], &[bias])),
        message(5, &tensor("low", &[], &[0.0])),
        message(5, &tensor("high", &[], &[1.0])),
        message(11, &value("picture", &shape(3))),
        message(12, &value("matte", &shape(1))),
    ];
    let operators = [message(1, b""), number(2, 13)].concat();
    let model = [number(1, 8), message(7, &graph.concat()), message(8, &operators)];
    std::fs::write(path, model.concat()).expect("it works");
}

#[derive(Clone, Copy)]
enum Side {
    Is(u64),
    Any(&'static str),
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|input| message(1, input.as_bytes())).collect();
    bytes.extend(message(2, output.as_bytes()));
    bytes.extend(message(4, operator.as_bytes()));
    bytes
}

/// An attribute of a node.
fn numbers(name: &str, values: &[u64]) -> Vec<u8> {
    let mut bytes = message(1, name.as_bytes());
    bytes.extend(values.iter().flat_map(|&value| number(8, value)));
    bytes.extend(number(20, 7));
    bytes
}

fn tensor(name: &str, sides: &[u64], numbers: &[f32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = sides.iter().flat_map(|&side| number(1, side)).collect();
    bytes.extend(number(2, 1));
    bytes.extend(message(8, name.as_bytes()));
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.extend(message(9, &raw));
    bytes
}

fn value(name: &str, shape: &[Side]) -> Vec<u8> {
    let side = |side: &Side| match side {
        Side::Is(side) => message(1, &number(1, *side)),
        Side::Any(name) => message(1, &message(2, name.as_bytes())),
    };
    let shape: Vec<u8> = shape.iter().flat_map(side).collect();
    let kind = message(1, &[number(1, 1), message(2, &shape)].concat());
    [message(1, name.as_bytes()), message(2, &kind)].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [variable(field << 3), variable(value)].concat()
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [variable(field << 3 | 2), variable(bytes.len() as u64), bytes.to_vec()].concat()
}

fn variable(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
