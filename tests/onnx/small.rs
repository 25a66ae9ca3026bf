//! Small ONNX models, made of messages.
use std::path::PathBuf;
use tpc::diag::Diagnostic;
use tpc::ir::{Facts, Module, propagate};
use tpc::onnx::wire::proto::*;
use tpc::onnx::wire::{read, tensor_proto, write};
use tpc::tensor::Tensor;

pub fn node(op_type: &str, input: &[&str], output: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.into()),
        input: input.iter().map(|n| n.to_string()).collect(),
        output: output.iter().map(|n| n.to_string()).collect(),
        name: Some(format!("/{}", output.first().unwrap_or(&op_type))),
        ..NodeProto::default()
    }
}

pub fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(2),
        i: Some(i),
        ..AttributeProto::default()
    }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(7),
        ints: ints.to_vec(),
        ..AttributeProto::default()
    }
}

pub fn graph_attribute(name: &str, g: GraphProto) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(5),
        g: Some(g),
        ..AttributeProto::default()
    }
}

/// A value of floats; an axis is a number, a name, or nothing where the text is empty.
pub fn value(name: &str, axes: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| match text.parse::<i64>() {
        Ok(n) => Dimension {
            dim_value: Some(n),
            ..Dimension::default()
        },
        Err(_) => Dimension {
            dim_param: Some(text.to_string()).filter(|t| !t.is_empty()),
            ..Dimension::default()
        },
    };
    let shape = ShapeProto {
        dim: axes.iter().map(dim).collect(),
    };
    typed(name, 1, Some(shape))
}

pub fn typed(name: &str, code: i32, shape: Option<ShapeProto>) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(TypeTensor {
                elem_type: Some(code),
                shape,
            }),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub fn floats(name: &str, shape: &[usize]) -> TensorProto {
    let count = shape.iter().product::<usize>();
    let all = (0..count).map(|i| i as f32 * 0.5 - 1.0).collect();
    tensor_proto(name, &Tensor::from_f32(shape, all).unwrap())
}

pub fn numbers(name: &str, all: &[i64]) -> TensorProto {
    tensor_proto(name, &Tensor::from_i64(&[all.len()], all.to_vec()).unwrap())
}

pub fn number(name: &str, n: i64) -> TensorProto {
    tensor_proto(name, &Tensor::scalar(n))
}

pub fn model(
    opset: i64,
    inputs: Vec<ValueInfoProto>,
    initializer: Vec<TensorProto>,
    nodes: Vec<NodeProto>,
    outputs: Vec<ValueInfoProto>,
) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        producer_name: Some("by hand".into()),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(opset),
        }],
        graph: Some(GraphProto {
            name: Some("small".into()),
            node: nodes,
            initializer,
            input: inputs,
            output: outputs,
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// A directory with a model in it.
pub struct Files {
    pub directory: tempfile::TempDir,
}

impl Files {
    pub fn new() -> Files {
        Files {
            directory: tempfile::tempdir().unwrap(),
        }
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
    pub fn put(&self, model: &ModelProto) -> PathBuf {
        let path = self.path("model.onnx");
        write(&path, model, &[], &self.path("model.onnx.data")).unwrap();
        path
    }
    pub fn module(&self, model: &ModelProto) -> Result<Module, Diagnostic> {
        tpc::onnx::read(&self.put(model))
    }
    /// The file that a module is written as.
    pub fn written(&self, module: &Module, facts: &Facts) -> ModelProto {
        let path = self.path("out.onnx");
        tpc::onnx::write(module, facts, &path).unwrap();
        read(&path).unwrap()
    }
}

/// Reads a model and propagates.
pub fn taken(model: &ModelProto) -> (Module, Facts) {
    let module = Files::new().module(model).unwrap_or_else(|e| panic!("{e}"));
    let facts = propagate(&module).unwrap_or_else(|e| panic!("{e}"));
    (module, facts)
}

/// Reads a model and writes it again.
pub fn there_and_back(model: &ModelProto) -> GraphProto {
    let (module, facts) = taken(model);
    Files::new().written(&module, &facts).graph.unwrap()
}

pub fn op_types(graph: &GraphProto) -> Vec<&str> {
    graph
        .node
        .iter()
        .map(|n| n.op_type.as_deref().unwrap())
        .collect()
}

/// The integers of an initializer.
pub fn initializer(graph: &GraphProto, name: &str) -> Vec<i64> {
    let proto = graph
        .initializer
        .iter()
        .find(|t| t.name.as_deref() == Some(name))
        .unwrap();
    let nowhere = tpc::onnx::wire::Files::beside(std::path::Path::new(""));
    tpc::onnx::wire::tensor(proto, &nowhere)
        .unwrap()
        .to_i64()
        .unwrap()
}
