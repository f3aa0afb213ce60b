//! Reads a net out of a TFLite file: a FlatBuffer with the tables of the schema below, of which few are needed.
//!
//! What comes in is a stranger's file. All reading goes through [`Table`] and [`Bytes`], which answer `None` past the end;
//! sizes have bounds before anything is made of them; what is not known is refused by its name.
//!
//! Weights as numbers of 16 bits, which the file has a step `DEQUANTIZE` for, are widened here.
//!
//! # Source
//! FlatBuffers' "Internals" page for the layout; TensorFlow's `schema.fbs` (version 3) for the fields; its `SAME` padding
//! puts the odd row and column at the end. `Convolution2DTransposeBias` is MediaPipe's own operator: three little-endian
//! numbers, padding and both strides.

use super::graph::{Activation, Corners, Graph, Kernel, Kind, Shape, Step};

/// Bytes of a file at most.
pub(super) const LARGEST: u64 = 64 << 20;
/// Tensors, and steps, at most.
const MOST: usize = 4096;
/// Numbers in a value at most, and the longest side.
const MOST_NUMBERS: usize = 1 << 26;
const LONGEST: usize = 1 << 14;
/// Numbers of all values together at most.
const MOST_IN_ALL: usize = 1 << 27;
/// What such a file has after its first four bytes.
const MARK: &[u8] = b"TFL3";

/// Whether that is the beginning of such a file.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.get(4..8) == Some(MARK)
}

/// Reads a file; the error says what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Graph, String> {
    if !is_one(bytes) {
        return Err("it is not a TFLite file".to_owned());
    }
    let file = Bytes(bytes);
    let root = file.follow(0).and_then(|at| file.table(at)).ok_or_else(cut_off)?;
    let nets = root.tables(2)?;
    let [net] = nets[..] else { return Err(format!("it has {} nets; it must have one", nets.len())) };
    let codes = root.tables(1)?;
    let buffers = root.tables(4)?;
    let tensors =
        net.tables(0)?.into_iter().map(|table| Tensor::read(table, &buffers)).collect::<Result<Vec<_>, _>>()?;
    let operators = net.tables(3)?;
    Builder { tensors, places: Vec::new(), values: Vec::new(), steps: Vec::new(), widened: 0, most: bytes.len() }
        .build(&net, &codes, &operators)
}

fn cut_off() -> String {
    "the file is damaged: it points past its end".to_owned()
}

/// Bytes with little-endian numbers in them.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(self, at: usize) -> Option<usize> {
        self.take(at).map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn u32(self, at: usize) -> Option<usize> {
        self.take(at).map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn i32(self, at: usize) -> Option<i32> {
        self.take(at).map(i32::from_le_bytes)
    }

    /// Where the offset at that place leads to.
    fn follow(self, at: usize) -> Option<usize> {
        at.checked_add(self.u32(at)?).filter(|to| *to < self.0.len())
    }

    fn table(self, at: usize) -> Option<Table<'a>> {
        let back = i64::from(self.i32(at)?);
        let fields = usize::try_from(i64::try_from(at).ok()? - back).ok()?;
        let length = self.u16(fields)?;
        // Two bytes each, after the length of the list and that of the table.
        (length >= 4 && self.0.len() >= fields + length).then_some(Table { file: self, at, fields, length })
    }
}

/// A table: fields by number, each of which may be left out.
#[derive(Clone, Copy)]
struct Table<'a> {
    file: Bytes<'a>,
    at: usize,
    fields: usize,
    length: usize,
}

impl<'a> Table<'a> {
    /// Where a field's value is.
    fn field(&self, number: usize) -> Option<usize> {
        let place = 4 + number * 2;
        let offset = (place + 2 <= self.length).then(|| self.file.u16(self.fields + place))??;
        (offset != 0).then_some(self.at + offset)
    }

    /// A number of 32 bits, or what stands for it where it is left out.
    fn number(&self, number: usize, usual: i32) -> Result<i32, String> {
        self.field(number).map_or(Ok(usual), |at| self.file.i32(at).ok_or_else(cut_off))
    }

    fn byte(&self, number: usize) -> Result<u8, String> {
        self.field(number).map_or(Ok(0), |at| self.file.take(at).map(|[byte]| byte).ok_or_else(cut_off))
    }

    fn table(&self, number: usize) -> Result<Option<Self>, String> {
        let Some(at) = self.field(number) else { return Ok(None) };
        self.file.follow(at).and_then(|at| self.file.table(at)).map(Some).ok_or_else(cut_off)
    }

    /// A list whose items have that many bytes: how many, and where the first is.
    fn list(&self, number: usize, bytes: usize) -> Result<(usize, usize), String> {
        let Some(at) = self.field(number) else { return Ok((0, 0)) };
        let list = self.file.follow(at).and_then(|at| {
            let (count, first) = (self.file.u32(at)?, at + 4);
            (self.file.0.len() >= first.checked_add(count.checked_mul(bytes)?)?).then_some((count, first))
        });
        list.ok_or_else(cut_off)
    }

    fn bytes(&self, number: usize) -> Result<&'a [u8], String> {
        let (count, first) = self.list(number, 1)?;
        Ok(&self.file.0[first..first + count])
    }

    fn numbers(&self, number: usize) -> Result<Vec<i32>, String> {
        let (count, first) = self.list(number, 4)?;
        if count > MOST {
            return Err(format!("a list in it has {count} numbers; at most {MOST} are taken"));
        }
        (0..count).map(|item| self.file.i32(first + item * 4).ok_or_else(cut_off)).collect()
    }

    fn tables(&self, number: usize) -> Result<Vec<Self>, String> {
        let (count, first) = self.list(number, 4)?;
        if count > MOST {
            return Err(format!("a list in it has {count} parts; at most {MOST} are taken"));
        }
        let table = |item| self.file.follow(first + item * 4).and_then(|at| self.file.table(at)).ok_or_else(cut_off);
        (0..count).map(table).collect()
    }
}

/// What a number is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    F32,
    F16,
    I32,
    Other(u8),
}

/// A tensor: constant where it has bytes.
#[derive(Clone)]
struct Tensor<'a> {
    shape: Vec<usize>,
    width: Width,
    bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    fn read(table: Table<'a>, buffers: &[Table<'a>]) -> Result<Self, String> {
        let side = |side: i32| {
            let side = usize::try_from(side).ok().filter(|side| (1..=MOST_NUMBERS).contains(side));
            side.ok_or_else(|| "a tensor in it has a side that is not from 1 to 67108864".to_owned())
        };
        let shape = table.numbers(0)?.into_iter().map(side).collect::<Result<Vec<_>, _>>()?;
        let numbers = shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side));
        if numbers.is_none_or(|numbers| numbers > MOST_NUMBERS) {
            return Err(format!("a tensor in it has more than {MOST_NUMBERS} numbers"));
        }
        let width = match table.byte(1)? {
            0 => Width::F32,
            1 => Width::F16,
            2 => Width::I32,
            other => Width::Other(other),
        };
        let buffer = usize::try_from(table.number(2, 0)?).ok().and_then(|place| buffers.get(place));
        let bytes = buffer.ok_or("a tensor in it points to a buffer that is not there")?.bytes(0)?;
        Ok(Self { shape, width, bytes })
    }

    /// As a picture: one of a batch of one.
    fn picture(&self) -> Option<Shape> {
        let &[1, height, width, channels] = &self.shape[..] else { return None };
        let short = height <= LONGEST && width <= LONGEST && channels <= LONGEST;
        (self.width == Width::F32 && short).then_some(Shape::new(height, width, channels))
    }
}

/// Where a tensor is found while the net is put together.
#[derive(Clone)]
enum Place {
    /// Not made yet.
    Nowhere,
    /// It is that value.
    Value(usize),
    /// It is constant.
    Constant(Vec<f32>),
}

struct Builder<'a> {
    tensors: Vec<Tensor<'a>>,
    places: Vec<Place>,
    values: Vec<Shape>,
    steps: Vec<Step>,
    /// Numbers of constants so far, and at most: a file must not say the same bytes over and over.
    widened: usize,
    most: usize,
}

impl<'a> Builder<'a> {
    fn build(mut self, net: &Table<'a>, codes: &[Table<'a>], operators: &[Table<'a>]) -> Result<Graph, String> {
        self.places = vec![Place::Nowhere; self.tensors.len()];
        let (inputs, outputs) = (net.numbers(1)?, net.numbers(2)?);
        let [input] = inputs[..] else { return Err(format!("it has {} inputs; it must have one", inputs.len())) };
        let [output] = outputs[..] else { return Err(format!("it has {} outputs; it must have one", outputs.len())) };
        let picture = self.value(input)?;
        let Shape { channels, .. } = self.values[picture];
        if channels != 3 {
            return Err(format!("its input has {channels} channels; it must have 3: red, green, blue"));
        }
        for operator in operators {
            let code = usize::try_from(operator.number(0, 0)?).ok().and_then(|place| codes.get(place));
            self.add(code.ok_or("a step in it has an operator that is not in its list")?, operator)?;
        }
        let Some(Place::Value(output)) = usize::try_from(output).ok().and_then(|output| self.places.get(output)) else {
            return Err("nothing makes its output".to_owned());
        };
        let Shape { channels, .. } = self.values[*output];
        if channels != 1 {
            return Err(format!("its output has {channels} channels; it must have one, the matte"));
        }
        let graph = Graph { output: *output, values: self.values, steps: self.steps };
        graph.check()?;
        Ok(graph)
    }

    fn tensor(&self, tensor: i32) -> Result<(usize, &Tensor<'a>), String> {
        let place = usize::try_from(tensor).ok();
        let found = place.and_then(|place| Some((place, self.tensors.get(place)?)));
        found.ok_or_else(|| "a step in it takes a tensor that is not there".to_owned())
    }

    /// Makes a new value of a tensor.
    fn value(&mut self, tensor: i32) -> Result<usize, String> {
        let (place, found) = self.tensor(tensor)?;
        let picture = found.picture().ok_or_else(|| {
            let (shape, width) = (&found.shape, found.width);
            format!("a value in it is {shape:?} of {width:?}; it must be [1, height, width, channels] of F32")
        })?;
        if !matches!(self.places[place], Place::Nowhere) {
            return Err("two steps in it make the same tensor".to_owned());
        }
        self.values.push(picture);
        if self.values.iter().map(|shape| shape.len()).sum::<usize>() > MOST_IN_ALL {
            return Err(format!("its values have more than {MOST_IN_ALL} numbers together"));
        }
        self.places[place] = Place::Value(self.values.len() - 1);
        Ok(self.values.len() - 1)
    }

    /// The numbers of a constant, and its sides.
    fn constant(&mut self, tensor: i32) -> Result<(Vec<f32>, Vec<usize>), String> {
        let (place, found) = self.tensor(tensor)?;
        let shape = found.shape.clone();
        if let Place::Constant(numbers) = &self.places[place] {
            let numbers = numbers.clone();
            self.count(numbers.len())?;
            return Ok((numbers, shape));
        }
        let numbers: Vec<f32> = match found.width {
            Width::F32 => found.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Width::F16 => found.bytes.as_chunks().0.iter().map(|bytes| widened(u16::from_le_bytes(*bytes))).collect(),
            Width::I32 | Width::Other(_) => {
                return Err(format!("weights in it are {:?}; they must be F32 or F16", found.width));
            }
        };
        if numbers.len() != shape.iter().product::<usize>() {
            return Err("weights in it are not as many as the file says".to_owned());
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err("weights in it are not finite numbers".to_owned());
        }
        self.count(numbers.len())?;
        Ok((numbers, shape))
    }

    fn count(&mut self, numbers: usize) -> Result<(), String> {
        self.widened = self.widened.saturating_add(numbers);
        if self.widened > self.most { Err("it uses the same weights too many times".to_owned()) } else { Ok(()) }
    }

    /// Whole numbers, such as a size.
    fn sides(&self, tensor: i32) -> Result<Vec<i32>, String> {
        let (_, found) = self.tensor(tensor)?;
        if found.width != Width::I32 || found.bytes.len() > 32 {
            return Err("a size in it is not made of whole numbers".to_owned());
        }
        Ok(found.bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    fn add(&mut self, code: &Table<'a>, operator: &Table<'a>) -> Result<(), String> {
        // The older field has a byte; the newer one is used where the number does not fit into it.
        let number = i32::from(code.byte(0)?).max(code.number(3, 0)?);
        let name = if number == CUSTOM {
            String::from_utf8_lossy(code.bytes(1)?).chars().take(64).collect()
        } else {
            operator_name(number)
        };
        let (inputs, outputs) = (operator.numbers(1)?, operator.numbers(2)?);
        let [output] = outputs[..] else {
            return Err(format!("the operator {name} in it has {} outputs; it must have one", outputs.len()));
        };
        let options = operator.table(4)?;
        let step = Operator { name: &name, inputs: &inputs, options, custom: operator.bytes(5)? };
        if name == "DEQUANTIZE" {
            let (numbers, _) = self.constant(step.input(0)?)?;
            let (place, _) = self.tensor(output)?;
            if !matches!(self.places[place], Place::Nowhere) {
                return Err("two steps in it make the same tensor".to_owned());
            }
            self.places[place] = Place::Constant(numbers);
            return Ok(());
        }
        let output = self.value(output)?;
        let (kind, then) = self.kind(&step, output)?;
        let taken = if matches!(kind, Kind::Add | Kind::Multiply) { 2 } else { 1 };
        let inputs = (0..taken).map(|input| self.made(&step, input)).collect::<Result<_, _>>()?;
        self.steps.push(Step { kind, inputs, output, then });
        Ok(())
    }

    /// The value that a step takes.
    fn made(&self, step: &Operator<'_>, input: usize) -> Result<usize, String> {
        let (place, found) = self.tensor(step.input(input)?)?;
        match self.places[place] {
            Place::Value(value) => Ok(value),
            Place::Nowhere if found.bytes.is_empty() => Err(step.fault("takes a value that nothing has made")),
            Place::Nowhere | Place::Constant(_) => Err(step.fault("takes a constant, which is not supported")),
        }
    }

    fn kind(&mut self, step: &Operator<'_>, output: usize) -> Result<(Kind, Activation), String> {
        Ok(match step.name {
            "CONV_2D" => {
                let kernel = self.kernel(step, false, (4, 5))?;
                (Kind::Convolution(kernel), step.activation(3)?)
            }
            "DEPTHWISE_CONV_2D" => {
                let kernel = self.kernel(step, true, (5, 6))?;
                (Kind::Depthwise(kernel), step.activation(4)?)
            }
            "Convolution2DTransposeBias" => (Kind::Transposed(self.transposed(step)?), Activation::None),
            "ADD" => (Kind::Add, step.activation(0)?),
            "MUL" => (Kind::Multiply, step.activation(0)?),
            "AVERAGE_POOL_2D" => {
                let from = self.values[self.made(step, 0)?];
                if step.size(4, 3)? != (from.height, from.width) || self.values[output].len() != from.channels {
                    return Err(step.fault("covers a part of the picture; only the whole is supported"));
                }
                (Kind::Mean, step.activation(5)?)
            }
            "MEAN" => {
                let mut axes = self.sides(step.input(1)?)?;
                axes.sort_unstable();
                if axes != [1, 2] {
                    return Err(step.fault("goes over other than rows and columns"));
                }
                (Kind::Mean, Activation::None)
            }
            "RESIZE_BILINEAR" => {
                let size = self.sides(step.input(1)?)?;
                let made = self.values[output];
                if size.iter().map(|&side| usize::try_from(side).unwrap_or(0)).ne([made.height, made.width]) {
                    return Err(step.fault("makes another size than the file says"));
                }
                let corners = match (step.flag(2)?, step.flag(3)?) {
                    (false, true) => Corners::HalfPixel,
                    (true, false) => Corners::Aligned,
                    (false, false) => Corners::Asymmetric,
                    (true, true) => return Err(step.fault("aligns corners and centers at once")),
                };
                (Kind::Resize(corners), Activation::None)
            }
            "RELU" => (Kind::Pass, Activation::Relu),
            "RELU6" => (Kind::Pass, Activation::Relu6),
            "HARD_SWISH" => (Kind::Pass, Activation::HardSwish),
            "LOGISTIC" => (Kind::Pass, Activation::Logistic),
            name => return Err(format!("it uses the operator {name}, which is not supported")),
        })
    }

    /// The numbers of a convolution. Its options begin with the padding and both strides.
    fn kernel(&mut self, step: &Operator<'_>, depthwise: bool, dilation: (usize, usize)) -> Result<Kernel, String> {
        let (weights, shape) = self.constant(step.input(1)?)?;
        let &[outer, height, width, inner] = &shape[..] else { return Err(step.fault("has weights of another shape")) };
        let outputs = if depthwise { inner } else { outer };
        if depthwise && outer != 1 {
            return Err(step.fault("has weights of another shape"));
        }
        let bias = self.bias(step, outputs)?;
        for number in [dilation.0, dilation.1] {
            if step.number(number, 1)? != 1 {
                return Err(step.fault("leaves gaps between the pixels that it takes (dilation)"));
            }
        }
        let stride = step.size(2, 1)?;
        let from = self.values[self.made(step, 0)?];
        let pads = match step.padding()? {
            Padding::Same => {
                let (top, bottom) = same(from.height, height, stride.0);
                let (left, right) = same(from.width, width, stride.1);
                [top, left, bottom, right]
            }
            Padding::Valid => [0; 4],
        };
        Ok(Kernel { height, width, weights, bias, stride, pads })
    }

    fn transposed(&mut self, step: &Operator<'_>) -> Result<Kernel, String> {
        let (weights, shape) = self.constant(step.input(1)?)?;
        let &[outputs, height, width, _] = &shape[..] else { return Err(step.fault("has weights of another shape")) };
        let bias = self.bias(step, outputs)?;
        let numbers: Vec<i32> = step.custom.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
        let side = |place: usize| numbers.get(place).and_then(|&side| usize::try_from(side).ok());
        if side(2) != Some(height) || side(1) != Some(width) {
            return Err(step.fault("makes blocks that overlap or leave gaps"));
        }
        Ok(Kernel { height, width, weights, bias, stride: (height, width), pads: [0; 4] })
    }

    fn bias(&mut self, step: &Operator<'_>, outputs: usize) -> Result<Vec<f32>, String> {
        // A step without a bias has no such input, or says -1.
        let bias = match step.inputs.get(2) {
            Some(&tensor) if tensor >= 0 => self.constant(tensor)?.0,
            _ => {
                self.count(outputs)?;
                vec![0.0; outputs]
            }
        };
        if bias.len() == outputs { Ok(bias) } else { Err(step.fault("has a bias of another length")) }
    }
}

enum Padding {
    Same,
    Valid,
}

/// A step as the file says it.
struct Operator<'a> {
    name: &'a str,
    inputs: &'a [i32],
    options: Option<Table<'a>>,
    custom: &'a [u8],
}

impl Operator<'_> {
    fn fault(&self, why: &str) -> String {
        format!("the operator {} in it {why}", self.name)
    }

    fn input(&self, place: usize) -> Result<i32, String> {
        self.inputs.get(place).copied().ok_or_else(|| self.fault("takes too little"))
    }

    fn number(&self, number: usize, usual: i32) -> Result<i32, String> {
        self.options.map_or(Ok(usual), |options| options.number(number, usual))
    }

    fn flag(&self, number: usize) -> Result<bool, String> {
        Ok(self.options.map_or(Ok(0), |options| options.byte(number))? != 0)
    }

    /// Two sides: the numbers of the fields of the height and of the width.
    fn size(&self, height: usize, width: usize) -> Result<(usize, usize), String> {
        let side = |number| {
            let side = usize::try_from(self.number(number, 0)?).ok().filter(|side| (1..=LONGEST).contains(side));
            side.ok_or_else(|| self.fault("has a size that cannot be"))
        };
        Ok((side(height)?, side(width)?))
    }

    fn padding(&self) -> Result<Padding, String> {
        match self.options.map_or(Ok(0), |options| options.byte(0))? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            _ => Err(self.fault("has an unknown padding")),
        }
    }

    fn activation(&self, number: usize) -> Result<Activation, String> {
        match self.options.map_or(Ok(0), |options| options.byte(number))? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            3 => Ok(Activation::Relu6),
            _ => Err(self.fault("ends in a function that is not supported")),
        }
    }
}

/// Rows before and after, so that a side becomes as long as it is divided by the stride.
const fn same(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let all = ((side.div_ceil(stride) - 1) * stride + kernel).saturating_sub(side);
    (all / 2, all - all / 2)
}

/// A number of 16 bits (IEEE 754) in 32.
fn widened(half: u16) -> f32 {
    let (exponent, mantissa) = (half >> 10 & 31, f32::from(half & 1023));
    let size = match exponent {
        0 => mantissa * 2_f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + mantissa) * 2_f32.powi(i32::from(exponent) - 25),
    };
    if half >> 15 == 1 { -size } else { size }
}

/// Its number is that of all operators that a file brings a name for.
const CUSTOM: i32 = 32;

fn operator_name(number: i32) -> String {
    let name = usize::try_from(number).ok().and_then(|number| OPERATORS.split_whitespace().nth(number));
    name.map_or_else(|| format!("number {number}"), ToOwned::to_owned)
}

/// The operators by number.
const OPERATORS: &str = "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE \
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION \
    LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX \
    SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE \
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE \
    BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL \
    SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW \
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN \
    FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE \
    MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG \
    QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE";

#[cfg(test)]
pub(super) mod made;
#[cfg(test)]
mod tests;
