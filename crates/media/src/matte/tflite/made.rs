//! Small TFLite files, for tests: tables are written in the order in which they are said, what they point to after them.

/// A field of a table.
#[derive(Debug, Clone)]
pub(in crate::matte) enum Field {
    Byte(u8),
    Number(i32),
    Bytes(Vec<u8>),
    Numbers(Vec<i32>),
    Table(Table),
    Tables(Vec<Table>),
}

/// Fields by number.
pub(in crate::matte) type Table = Vec<(usize, Field)>;

/// A tensor: its sides, its kind by number, its bytes where it is constant.
#[derive(Debug, Clone)]
pub(in crate::matte) struct Tensor {
    sides: Vec<i32>,
    kind: u8,
    bytes: Vec<u8>,
}

impl Tensor {
    pub(in crate::matte) fn value(sides: &[i32]) -> Self {
        Self { sides: sides.to_vec(), kind: 0, bytes: Vec::new() }
    }

    pub(in crate::matte) fn floats(sides: &[i32], numbers: &[f32]) -> Self {
        Self { bytes: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(), ..Self::value(sides) }
    }

    pub(in crate::matte) fn halves(sides: &[i32], numbers: &[u16]) -> Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self { sides: sides.to_vec(), kind: 1, bytes }
    }

    pub(in crate::matte) fn whole(numbers: &[i32]) -> Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self { sides: vec![numbers.len() as i32], kind: 2, bytes }
    }
}

/// A step: the operator's number, what it takes and makes, its options.
#[derive(Debug, Clone)]
pub(in crate::matte) struct Step {
    code: i32,
    name: &'static str,
    inputs: Vec<i32>,
    output: i32,
    options: (u8, Table),
    custom: Vec<u8>,
}

impl Step {
    /// The kind of the options is their number in the schema's union.
    pub(in crate::matte) fn new(code: i32, inputs: &[i32], output: i32, kind: u8, options: Table) -> Self {
        Self { code, name: "", inputs: inputs.to_vec(), output, options: (kind, options), custom: Vec::new() }
    }

    pub(in crate::matte) fn custom(name: &'static str, inputs: &[i32], output: i32, custom: &[u8]) -> Self {
        Self { name, custom: custom.to_vec(), ..Self::new(32, inputs, output, 0, Vec::new()) }
    }
}

/// A file: tensor 0 goes in, that of `output` comes out.
pub(in crate::matte) fn file(tensors: &[Tensor], steps: &[Step], inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
    use Field::{Byte, Bytes, Number, Numbers, Table as One, Tables};
    let codes = steps.iter().map(|step| {
        let byte = Byte(u8::try_from(step.code.min(127)).expect("it is one"));
        vec![(0, byte), (1, Bytes(step.name.as_bytes().to_vec())), (2, Number(1)), (3, Number(step.code))]
    });
    let mut buffers = vec![Table::new()];
    buffers.extend(
        tensors.iter().map(
            |tensor| {
                if tensor.bytes.is_empty() { Table::new() } else { vec![(0, Bytes(tensor.bytes.clone()))] }
            },
        ),
    );
    let all = tensors.iter().enumerate().map(|(place, tensor)| {
        let name = format!("t{place}").into_bytes();
        let buffer = Number(place as i32 + 1);
        vec![(0, Numbers(tensor.sides.clone())), (1, Byte(tensor.kind)), (2, buffer), (3, Bytes(name))]
    });
    let operators = steps.iter().enumerate().map(|(place, step)| {
        let mut table = vec![(0, Number(place as i32)), (1, Numbers(step.inputs.clone()))];
        table.push((2, Numbers(vec![step.output])));
        if step.options.0 != 0 {
            table.extend([(3, Byte(step.options.0)), (4, One(step.options.1.clone()))]);
        }
        if !step.custom.is_empty() {
            table.push((5, Bytes(step.custom.clone())));
        }
        table
    });
    let net = vec![
        (0, Tables(all.collect())),
        (1, Numbers(inputs.to_vec())),
        (2, Numbers(outputs.to_vec())),
        (3, Tables(operators.collect())),
    ];
    let model = vec![(0, Number(3)), (1, Tables(codes.collect())), (2, Tables(vec![net])), (4, Tables(buffers))];
    let mut bytes = b"\0\0\0\0TFL3".to_vec();
    let root = write(&model, &mut bytes);
    bytes[..4].copy_from_slice(&(root as u32).to_le_bytes());
    bytes
}

fn write(table: &Table, bytes: &mut Vec<u8>) -> usize {
    let fields = table.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    align(bytes);
    let list = bytes.len();
    let length = (4 + fields * 2).next_multiple_of(4);
    let mut offsets = vec![0_u16; length / 2];
    (offsets[0], offsets[1]) = ((4 + fields * 2) as u16, 4 + table.len() as u16 * 4);
    for (place, (number, _)) in table.iter().enumerate() {
        offsets[2 + number] = 4 + place as u16 * 4;
    }
    bytes.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    let at = bytes.len();
    bytes.extend(((at - list) as i32).to_le_bytes());
    for (_, field) in table {
        bytes.extend(match field {
            Field::Byte(byte) => [*byte, 0, 0, 0],
            Field::Number(number) => number.to_le_bytes(),
            _ => [0; 4],
        });
    }
    for (place, (_, field)) in table.iter().enumerate() {
        let from = at + 4 + place * 4;
        let to = match field {
            Field::Byte(_) | Field::Number(_) => continue,
            Field::Table(table) => write(table, bytes),
            Field::Bytes(list) => {
                // The numbers in it want to lie at a multiple of 16.
                while !(bytes.len() + 4).is_multiple_of(16) {
                    bytes.push(0);
                }
                let to = bytes.len();
                bytes.extend((list.len() as u32).to_le_bytes());
                bytes.extend(list);
                bytes.push(0);
                to
            }
            Field::Numbers(list) => {
                align(bytes);
                let to = bytes.len();
                bytes.extend((list.len() as u32).to_le_bytes());
                bytes.extend(list.iter().flat_map(|number| number.to_le_bytes()));
                to
            }
            Field::Tables(list) => {
                align(bytes);
                let to = bytes.len();
                bytes.extend((list.len() as u32).to_le_bytes());
                bytes.extend(std::iter::repeat_n(0, list.len() * 4));
                for (item, table) in list.iter().enumerate() {
                    let table = write(table, bytes);
                    point(bytes, to + 4 + item * 4, table);
                }
                to
            }
        };
        point(bytes, from, to);
    }
    at
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn point(bytes: &mut [u8], from: usize, to: usize) {
    bytes[from..from + 4].copy_from_slice(&((to - from) as u32).to_le_bytes());
}
