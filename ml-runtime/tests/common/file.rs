//! Writes model files of a few operators, for tests that need many of them.

/// Something in a flatbuffer.
enum Value {
    /// A number, in its bytes.
    Inline(Vec<u8>),
    /// Fields by number.
    Table(Vec<(usize, Value)>),
    /// Elements: numbers of `size` bytes, back to back.
    Numbers { size: usize, bytes: Vec<u8> },
    /// Elements that are tables.
    Tables(Vec<Value>),
}

fn inline(bytes: impl AsRef<[u8]>) -> Value {
    Value::Inline(bytes.as_ref().to_vec())
}

fn numbers<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Value {
    Value::Numbers { size: N, bytes: values.into_iter().flatten().collect() }
}

/// Appends `value`, which is not inline, and returns where it begins.
fn write(file: &mut Vec<u8>, value: &Value) -> usize {
    let offset = |file: &mut Vec<u8>, at: usize, value: &Value| {
        let target = write(file, value);
        file[at..at + 4].copy_from_slice(&((target - at) as u32).to_le_bytes());
    };
    match value {
        Value::Inline(_) => unreachable!("numbers lie in their tables"),
        Value::Numbers { size, bytes } => {
            let start = file.len();
            file.extend(((bytes.len() / size) as u32).to_le_bytes());
            file.extend(bytes);
            start
        }
        Value::Tables(tables) => {
            let start = file.len();
            file.extend((tables.len() as u32).to_le_bytes());
            file.resize(file.len() + 4 * tables.len(), 0);
            tables.iter().enumerate().for_each(|(i, table)| offset(file, start + 4 + 4 * i, table));
            start
        }
        Value::Table(fields) => {
            let slots = fields.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
            let vtable_bytes = 4 + 2 * slots;
            let mut vtable = vec![0u16; slots];
            let mut body = vec![0u8; 4];
            let mut children = Vec::new();
            for (number, value) in fields {
                vtable[*number] = body.len() as u16;
                match value {
                    Value::Inline(bytes) => body.extend(bytes),
                    child => {
                        children.push((body.len(), child));
                        body.extend([0; 4]);
                    }
                }
            }
            body[..4].copy_from_slice(&(vtable_bytes as i32).to_le_bytes());
            file.extend((vtable_bytes as u16).to_le_bytes());
            file.extend((body.len() as u16).to_le_bytes());
            file.extend(vtable.iter().flat_map(|slot| slot.to_le_bytes()));
            let start = file.len();
            file.extend(body);
            children.into_iter().for_each(|(at, child)| offset(file, start + at, child));
            start
        }
    }
}

/// A model of one subgraph.
#[derive(Default)]
pub struct ModelFile {
    tensors: Vec<Tensor>,
    operators: Vec<Operator>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

/// Dimensions, type, scale and zero point, and values if it is constant.
type Tensor = (Vec<u32>, u8, Option<(f32, i64)>, Vec<u8>);

struct Operator {
    code: u32,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: u8,
    fields: Vec<(usize, Vec<u8>)>,
}

impl ModelFile {
    fn tensor(&mut self, dims: &[u32], kind: u8, quantised: Option<(f32, i64)>, values: Vec<u8>) -> i32 {
        self.tensors.push((dims.to_vec(), kind, quantised, values));
        self.tensors.len() as i32 - 1
    }

    /// An int8 tensor.
    pub fn int8(&mut self, dims: &[u32], scale: f32, zero_point: i64) -> i32 {
        self.tensor(dims, 9, Some((scale, zero_point)), Vec::new())
    }

    /// An int8 tensor that is an input of the model.
    pub fn input(&mut self, dims: &[u32], scale: f32, zero_point: i64) -> i32 {
        let tensor = self.int8(dims, scale, zero_point);
        self.inputs.push(tensor);
        tensor
    }

    /// Constant int8 values.
    pub fn constant(&mut self, dims: &[u32], scale: f32, values: &[i8]) -> i32 {
        self.tensor(dims, 9, Some((scale, 0)), values.iter().map(|value| *value as u8).collect())
    }

    /// Constant int32 values, as a vector.
    pub fn numbers(&mut self, values: &[i32]) -> i32 {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(&[values.len() as u32], 2, None, bytes)
    }

    /// An operator by the schema's numbers: its own, that of its options, and those options that are not default.
    pub fn operator(&mut self, code: u32, inputs: &[i32], outputs: &[i32], options: u8, fields: &[(usize, &[u8])]) {
        let fields = fields.iter().map(|(number, bytes)| (*number, bytes.to_vec())).collect();
        self.operators.push(Operator { code, inputs: inputs.to_vec(), outputs: outputs.to_vec(), options, fields });
    }

    /// Makes `tensor` an output of the model.
    pub fn output(&mut self, tensor: i32) {
        self.outputs.push(tensor);
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let list = |values: &[i32]| numbers(values.iter().map(|value| value.to_le_bytes()));
        let mut buffers = vec![Value::Table(Vec::new())];
        let mut tensors = Vec::new();
        for (dims, kind, quantised, values) in &self.tensors {
            let mut fields = vec![(0, numbers(dims.iter().map(|dim| dim.to_le_bytes()))), (1, inline([*kind]))];
            if !values.is_empty() {
                fields.push((2, inline((buffers.len() as u32).to_le_bytes())));
                buffers.push(Value::Table(vec![(0, numbers(values.iter().map(|value| [*value])))]));
            }
            if let Some((scale, zero_point)) = quantised {
                let quantisation = [(2, numbers([scale.to_le_bytes()])), (3, numbers([zero_point.to_le_bytes()]))];
                fields.push((4, Value::Table(quantisation.into())));
            }
            tensors.push(Value::Table(fields));
        }
        let mut codes = Vec::new();
        let mut operators = Vec::new();
        for (i, operator) in self.operators.iter().enumerate() {
            codes.push(Value::Table(vec![(3, inline(operator.code.to_le_bytes()))]));
            let options = operator.fields.iter().map(|(number, bytes)| (*number, inline(bytes))).collect();
            operators.push(Value::Table(vec![
                (0, inline((i as u32).to_le_bytes())),
                (1, list(&operator.inputs)),
                (2, list(&operator.outputs)),
                (3, inline([operator.options])),
                (4, Value::Table(options)),
            ]));
        }
        let subgraph = Value::Table(vec![
            (0, Value::Tables(tensors)),
            (1, list(&self.inputs)),
            (2, list(&self.outputs)),
            (3, Value::Tables(operators)),
        ]);
        let model = Value::Table(vec![
            (0, inline(3u32.to_le_bytes())),
            (1, Value::Tables(codes)),
            (2, Value::Tables(vec![subgraph])),
            (4, Value::Tables(buffers)),
        ]);
        let mut file = b"\0\0\0\0TFL3".to_vec();
        let root = write(&mut file, &model);
        file[..4].copy_from_slice(&(root as u32).to_le_bytes());
        file
    }
}
