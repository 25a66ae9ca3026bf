//! Changes of ONNX models that stay ONNX models: bytes that are changed blindly rarely decode.
use prost::Message;
use tpc::onnx::wire::proto::*;
use tpc::tensor::Random;

/// Numbers that readers stumble over.
const NUMBERS: [i64; 18] = [
    0,
    1,
    -1,
    2,
    3,
    -2,
    4,
    7,
    8,
    64,
    1 << 16,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];
/// Operators that make up shapes, and those that the reader treats apart.
const OPS: [&str; 92] = [
    "Shape",
    "Gather",
    "Concat",
    "Slice",
    "Unsqueeze",
    "Squeeze",
    "Reshape",
    "Cast",
    "Mul",
    "Div",
    "Add",
    "Sub",
    "Mod",
    "Floor",
    "Ceil",
    "Where",
    "Equal",
    "Less",
    "Range",
    "ConstantOfShape",
    "Expand",
    "Tile",
    "Size",
    "ReduceProd",
    "ReduceSum",
    "ReduceMax",
    "Split",
    "Transpose",
    "Flatten",
    "Identity",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Pad",
    "Resize",
    "MaxPool",
    "AveragePool",
    "Einsum",
    "LSTM",
    "GRU",
    "Attention",
    "GatherND",
    "ScatterND",
    "TopK",
    "OneHot",
    "DepthToSpace",
    "If",
    "SplitToSequence",
    "SequenceAt",
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "MatMulInteger",
    "ConvInteger",
    "DynamicQuantizeLinear",
    "LayerNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "BatchNormalization",
    "RotaryEmbedding",
    "Compress",
    "CenterCropPad",
    "MaxUnpool",
    "Col2Im",
    "GridSample",
    "AffineGrid",
    "RoiAlign",
    "DeformConv",
    "NonZero",
    "NonMaxSuppression",
    "Unique",
    "GatherElements",
    "ScatterElements",
    "ReverseSequence",
    "SpaceToDepth",
    "CumSum",
    "Trilu",
    "EyeLike",
    "ArgMax",
    "Softmax",
    "Clip",
    "DFT",
    "STFT",
    "LRN",
    "Det",
    "RNN",
    "TensorScatter",
    "Upsample",
    "GlobalAveragePool",
];

struct Mutator {
    random: Random,
    names: Vec<String>,
}

/// A model with a few changes; none where the bytes are no model, and for some seeds.
pub fn model(data: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut model = ModelProto::decode(data).ok()?;
    let mut m = Mutator {
        random: Random(u64::from(seed)),
        names: vec![],
    };
    if m.below(8) == 0 {
        return None;
    }
    for _ in 0..1 + m.below(4) {
        if let Some(set) = model.opset_import.first_mut()
            && m.below(16) == 0
        {
            set.version = Some(11 + m.below(15) as i64);
        }
        let graph = model.graph.as_mut()?;
        m.names = names(graph);
        m.graph(graph);
    }
    Some(model.encode_to_vec())
}

/// The first model with operations of the second, which take values of either.
pub fn joined(a: &[u8], b: &[u8], seed: u32) -> Option<Vec<u8>> {
    let (mut a, b) = (ModelProto::decode(a).ok()?, ModelProto::decode(b).ok()?);
    let (graph, more) = (a.graph.as_mut()?, b.graph?);
    let mut m = Mutator {
        random: Random(u64::from(seed)),
        names: names(graph),
    };
    graph.initializer.extend(more.initializer);
    graph.value_info.extend(more.value_info);
    for mut node in more.node {
        for name in &mut node.input {
            if !m.names.is_empty() && m.below(3) == 0 {
                *name = m.pick_name();
            }
        }
        graph.node.push(node);
    }
    for input in more.input {
        if !m.names.contains(&input.name.clone().unwrap_or_default()) {
            graph.input.push(input);
        }
    }
    a.functions.extend(b.functions);
    Some(a.encode_to_vec())
}

fn names(graph: &GraphProto) -> Vec<String> {
    let infos = graph.input.iter().filter_map(|i| i.name.clone());
    let stored = graph.initializer.iter().filter_map(|t| t.name.clone());
    let made = graph.node.iter().flat_map(|n| n.output.clone());
    infos.chain(stored).chain(made).collect()
}

impl Mutator {
    fn below(&mut self, n: usize) -> usize {
        (self.random.next() % n.max(1) as u64) as usize
    }
    fn at<'a, T>(&mut self, all: &'a mut [T]) -> Option<&'a mut T> {
        let at = self.below(all.len());
        all.get_mut(at)
    }
    fn number(&mut self) -> i64 {
        match self.below(3) {
            0 => self.below(12) as i64 - 3,
            _ => NUMBERS[self.below(NUMBERS.len())],
        }
    }
    fn numbers(&mut self, all: &mut Vec<i64>) {
        let n = self.number();
        match (self.below(5), self.at(all)) {
            (0, _) => all.push(n),
            (1, Some(_)) => drop(all.pop()),
            (2, Some(x)) => *x = x.wrapping_add(1),
            (_, Some(x)) => *x = n,
            (_, None) => all.push(n),
        }
    }
    fn pick_name(&mut self) -> String {
        let at = self.below(self.names.len());
        self.names.get(at).cloned().unwrap_or_default()
    }
    fn graph(&mut self, graph: &mut GraphProto) {
        match self.below(10) {
            0..=3 => {
                let at = self.below(graph.node.len());
                if let Some(node) = graph.node.get_mut(at) {
                    self.node(node);
                }
            }
            4 | 5 => self.new_node(graph),
            6 => {
                let at = self.below(graph.initializer.len());
                match graph.initializer.get_mut(at) {
                    Some(tensor) => self.tensor(tensor),
                    None => self.new_node(graph),
                }
            }
            7 => {
                let tensor = TensorProto {
                    name: Some(format!("i{}", self.random.next() % 1000)),
                    dims: vec![1 + self.below(4) as i64],
                    data_type: Some(7),
                    int64_data: (0..4).map(|_| self.number()).collect(),
                    ..TensorProto::default()
                };
                graph.initializer.push(tensor);
            }
            8 => {
                let all = graph.input.iter_mut().chain(&mut graph.value_info);
                let mut all: Vec<_> = all.chain(&mut graph.output).collect();
                if let Some(info) = self.at(&mut all) {
                    self.info(info);
                }
            }
            _ => {
                let name = Some(self.pick_name());
                let output = ValueInfoProto {
                    name,
                    ..ValueInfoProto::default()
                };
                match self.at(&mut graph.output) {
                    Some(old) => *old = output,
                    None => graph.output.push(output),
                }
            }
        }
    }
    /// An operation more: one that is there with its results renamed, or one of the names that the reader knows.
    fn new_node(&mut self, graph: &mut GraphProto) {
        let at = self.below(graph.node.len());
        let copied = graph.node.get(at).cloned();
        let mut node = match (copied, self.below(2)) {
            (Some(node), 0) => node,
            _ => NodeProto {
                op_type: Some(OPS[self.below(OPS.len())].into()),
                input: (0..1 + self.below(3)).map(|_| self.pick_name()).collect(),
                output: vec![String::new()],
                ..NodeProto::default()
            },
        };
        for name in &mut node.output {
            *name = format!("n{}", self.random.next() % 100_000);
        }
        let made = node.output.first().cloned();
        graph.node.push(node);
        // What is made is used: as an output, or by another operation.
        let user = self.below(graph.node.len());
        match (graph.node.get_mut(user), graph.output.first_mut()) {
            (Some(node), _) if self.below(2) == 0 => {
                if let (Some(input), Some(made)) = (self.at(&mut node.input), made) {
                    *input = made;
                }
            }
            (_, Some(output)) => {
                output.name = made;
                output.r#type = None;
            }
            _ => {}
        }
    }
    fn node(&mut self, node: &mut NodeProto) {
        let name = self.pick_name();
        match self.below(10) {
            0 => node.op_type = Some(OPS[self.below(OPS.len())].into()),
            1 => node.input.push(name),
            2 => drop(node.input.pop()),
            3 => {
                if let Some(input) = self.at(&mut node.input) {
                    *input = name;
                }
            }
            4 => {
                if let Some(input) = self.at(&mut node.input) {
                    input.clear();
                }
            }
            5 => drop(node.attribute.pop()),
            _ => {
                let at = self.below(node.attribute.len());
                match node.attribute.get_mut(at) {
                    Some(attribute) => self.attribute(attribute),
                    None => node.attribute.push(AttributeProto {
                        name: Some("axis".into()),
                        r#type: Some(2),
                        i: Some(self.number()),
                        ..AttributeProto::default()
                    }),
                }
            }
        }
    }
    fn attribute(&mut self, a: &mut AttributeProto) {
        if let Some(graph) = &mut a.g {
            let outer = std::mem::take(&mut self.names);
            self.names = names(graph);
            self.names.extend(outer.iter().cloned());
            self.graph(graph);
            self.names = outer;
        } else if let Some(tensor) = &mut a.t {
            self.tensor(tensor);
        } else if a.i.is_some() {
            a.i = Some(self.number());
        } else if a.f.is_some() {
            let all = [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-38, 3.5];
            a.f = Some(all[self.below(all.len())]);
        } else {
            self.numbers(&mut a.ints);
        }
    }
    fn tensor(&mut self, t: &mut TensorProto) {
        let values = t.data_type == Some(7) && self.below(3) > 0;
        match values {
            // Integers are moved out of the raw bytes, where single ones can be changed.
            true => {
                if let Some(raw) = t.raw_data.take() {
                    let words = raw.chunks_exact(8);
                    let number = |c: &[u8]| c.try_into().map(i64::from_le_bytes).unwrap_or(0);
                    t.int64_data = words.map(number).collect();
                }
                self.numbers(&mut t.int64_data);
                if self.below(4) > 0 && t.dims.len() == 1 {
                    t.dims = vec![t.int64_data.len() as i64];
                }
            }
            false if self.below(4) == 0 => t.data_type = Some(self.below(18) as i32),
            false => {
                self.numbers(&mut t.dims);
                if self.below(2) == 0 {
                    // An empty tensor may claim any other extents.
                    t.dims.push(0);
                    t.raw_data = None;
                    t.float_data.clear();
                    t.int64_data.clear();
                }
            }
        }
    }
    fn info(&mut self, info: &mut ValueInfoProto) {
        let shape = info.r#type.as_mut().and_then(|t| t.tensor_type.as_mut());
        let Some(tensor) = shape else { return };
        if self.below(8) == 0 {
            tensor.elem_type = Some(self.below(18) as i32);
        }
        let Some(shape) = &mut tensor.shape else {
            return;
        };
        let (n, kind) = (self.number(), self.below(5));
        match (kind, self.at(&mut shape.dim)) {
            (0, _) | (_, None) => shape.dim.push(Dimension::default()),
            (1, _) => drop(shape.dim.pop()),
            (2 | 3, Some(dim)) => {
                dim.dim_value = Some(n);
                dim.dim_param = None;
            }
            (_, Some(dim)) => {
                dim.dim_value = None;
                dim.dim_param = Some(["N", "H", "W", "N+1"][(n & 3) as usize].into());
            }
        }
    }
}
