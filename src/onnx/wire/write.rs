//! Writing ONNX files: the graph is encoded without its weights, which are streamed into their places.
use super::packed::{length, pack};
use super::proto::{ModelProto, StringStringEntryProto, TensorProto};
use crate::tensor::{DType, Tensor};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Above this many bytes protobuf readers refuse a file, and weights go beside it.
const MOST: u64 = (1 << 31) - (64 << 20);
/// Where an external tensor begins: at a multiple of this.
const ALIGN: u64 = 4096;

/// A weight to be written: its name, type and elements.
pub struct Initializer<'a> {
    /// The name.
    pub name: &'a str,
    /// Type, shape and bytes.
    pub tensor: &'a Tensor,
}

/// The ONNX code of an element type.
pub fn code_of(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
        DType::U4 => 21,
        DType::I4 => 22,
    }
}

fn header(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        dims: tensor.shape.iter().map(|n| *n as i64).collect(),
        data_type: Some(code_of(tensor.dtype)),
        name: Some(name.to_string()),
        ..TensorProto::default()
    }
}

/// A tensor message with its bytes in it.
pub fn tensor_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        raw_data: Some(pack(tensor).into_owned()),
        ..header(name, tensor)
    }
}

/// How many bytes a tensor has in a file.
fn stored(tensor: &Tensor) -> u64 {
    length(tensor.dtype, tensor.len()).unwrap_or_default() as u64
}

/// Bytes of a length-delimited field of `length` bytes.
fn field_len(tag: u32, length: u64) -> u64 {
    key_len(tag) as u64 + encoded_len_varint(length) as u64 + length
}

/// Writes a model whose graph has no initializers, with the given ones in their place.
///
/// Where the file would be too large for protobuf, the weights go to `external` (a file beside it, addressed by its
/// name).
pub fn write(
    path: &Path,
    model: &ModelProto,
    weights: &[Initializer<'_>],
    external: &Path,
) -> std::io::Result<()> {
    let total: u64 = weights.iter().map(|w| stored(w.tensor)).sum();
    let beside = total > MOST;
    let mut data = if beside {
        Some(BufWriter::new(File::create(external)?))
    } else {
        None
    };
    let (mut heads, mut at) = (vec![], 0u64);
    for weight in weights {
        let mut head = header(weight.name, weight.tensor);
        let length = stored(weight.tensor);
        if let Some(data) = &mut data {
            let offset = at.div_ceil(ALIGN) * ALIGN;
            data.write_all(&vec![0; (offset - at) as usize])?;
            data.write_all(&pack(weight.tensor))?;
            at = offset + length;
            let entry = |key: &str, value: String| StringStringEntryProto {
                key: Some(key.into()),
                value: Some(value),
            };
            let location = external
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            head.external_data = vec![
                entry("location", location),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ];
            head.data_location = Some(1);
        }
        heads.push(head.encode_to_vec());
    }
    if let Some(mut data) = data {
        data.flush()?;
    }
    let raw = |w: &Initializer<'_>| {
        if beside {
            0
        } else {
            field_len(9, stored(w.tensor))
        }
    };
    let mut rest = model.clone();
    let graph = rest.graph.take().unwrap_or_default();
    let (rest, graph) = (rest.encode_to_vec(), graph.encode_to_vec());
    let inner: u64 = weights
        .iter()
        .zip(&heads)
        .map(|(w, h)| field_len(5, h.len() as u64 + raw(w)))
        .sum();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let key = |out: &mut BufWriter<File>, tag: u32, length: u64| {
        let mut bytes = Vec::with_capacity(16);
        encode_key(tag, WireType::LengthDelimited, &mut bytes);
        encode_varint(length, &mut bytes);
        out.write_all(&bytes)
    };
    out.write_all(&rest)?;
    key(&mut out, 7, graph.len() as u64 + inner)?;
    out.write_all(&graph)?;
    for (weight, head) in weights.iter().zip(&heads) {
        key(&mut out, 5, head.len() as u64 + raw(weight))?;
        out.write_all(head)?;
        if !beside {
            key(&mut out, 9, stored(weight.tensor))?;
            out.write_all(&pack(weight.tensor))?;
        }
    }
    out.flush()
}
