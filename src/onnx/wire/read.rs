//! Reading ONNX files: everything that a file claims is checked before it is believed.
use super::packed;
use super::proto::{ModelProto, TensorProto};
use crate::tensor::{DType, Tensor, TensorError, mapped};
use bytes::Bytes;
use prost::Message;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Why an ONNX file, or a tensor in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The file cannot be opened.
    #[error("cannot read `{0}`: {1}")]
    Io(String, std::io::Error),
    /// The bytes are no ONNX model.
    #[error("`{0}` is no ONNX model, or is damaged: {1}")]
    Decode(String, String),
    /// A tensor whose claims do not hold.
    #[error("tensor `{0}`: {1}")]
    Tensor(String, String),
}

/// Most axes that a tensor may have.
pub const MOST_AXES: usize = 64;

/// Reads a model; the weights stay in the mapped file.
pub fn read(path: &Path) -> Result<ModelProto, WireError> {
    let name = path.display().to_string();
    let bytes = mapped::map(path).map_err(|e| WireError::Io(name.clone(), e))?;
    let model =
        ModelProto::decode(bytes).map_err(|e| WireError::Decode(name.clone(), e.to_string()))?;
    if model.graph.is_none() {
        return Err(WireError::Decode(name, "it has no graph".into()));
    }
    Ok(model)
}

/// The element type of an ONNX type code, if it can be stored.
pub fn dtype_of(code: i32) -> Option<DType> {
    Some(match code {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        21 => DType::U4,
        22 => DType::I4,
        _ => return None,
    })
}

/// The directory beside a model, and the external files that were mapped so far.
pub struct Files {
    directory: PathBuf,
    mapped: RefCell<HashMap<String, Bytes>>,
}

impl Files {
    /// The files beside a model.
    pub fn beside(model: &Path) -> Files {
        let directory = model.parent().map(Path::to_path_buf).unwrap_or_default();
        Files {
            directory,
            mapped: RefCell::default(),
        }
    }
    /// The bytes of an external file, which must lie in the directory.
    fn get(&self, location: &str) -> Result<Bytes, String> {
        if let Some(bytes) = self.mapped.borrow().get(location) {
            return Ok(bytes.clone());
        }
        let relative = Path::new(location);
        if location.is_empty()
            || !relative
                .components()
                .all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
        {
            return Err(format!(
                "external data `{location}` lies outside the model's directory"
            ));
        }
        let base = if self.directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.directory
        };
        let path = base.join(relative);
        let (real, home) = (path.canonicalize(), base.canonicalize());
        match (real, home) {
            (Ok(real), Ok(home)) if real.starts_with(&home) => {}
            (Ok(_), Ok(_)) => {
                return Err(format!(
                    "external data `{location}` lies outside the model's directory"
                ));
            }
            (Err(e), _) | (_, Err(e)) => {
                return Err(format!("external data `{location}` cannot be read: {e}"));
            }
        }
        let bytes = mapped::map(&path)
            .map_err(|e| format!("external data `{location}` cannot be read: {e}"))?;
        self.mapped
            .borrow_mut()
            .insert(location.to_string(), bytes.clone());
        Ok(bytes)
    }
}

/// The elements of a tensor: a range of the mapped file where they are raw, converted where they are packed fields.
pub fn tensor(proto: &TensorProto, files: &Files) -> Result<Tensor, WireError> {
    let name = proto.name.clone().unwrap_or_default();
    elements(proto, files).map_err(|message| WireError::Tensor(name, message))
}

fn elements(proto: &TensorProto, files: &Files) -> Result<Tensor, String> {
    let code = proto.data_type.unwrap_or(0);
    let dtype = dtype_of(code).ok_or_else(|| format!("element type {code} is not supported"))?;
    if proto.dims.len() > MOST_AXES {
        return Err(format!("{} axes", proto.dims.len()));
    }
    let shape: Option<Vec<usize>> = proto
        .dims
        .iter()
        .map(|n| usize::try_from(*n).ok())
        .collect();
    let shape = shape.ok_or_else(|| format!("a negative extent in {:?}", proto.dims))?;
    let count = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
    let size = count.and_then(|n| Some((n, packed::length(dtype, n)?)));
    let (count, size) = size.ok_or_else(|| format!("{shape:?} overflows"))?;
    let stored = |bytes: Bytes| {
        let bytes = packed::unpack(dtype, count, bytes);
        Tensor::new(dtype, &shape, bytes).map_err(|e| e.to_string())
    };
    if proto.data_location == Some(1) {
        return stored(external(proto, files, size)?);
    }
    if let Some(raw) = &proto.raw_data
        && (!raw.is_empty() || size == 0)
    {
        return stored(raw.clone());
    }
    let made = match dtype {
        DType::F32 => Tensor::from_vec(&shape, proto.float_data.clone()),
        DType::F64 => Tensor::from_vec(&shape, proto.double_data.clone()),
        DType::I64 => Tensor::from_vec(&shape, proto.int64_data.clone()),
        DType::U64 => Tensor::from_vec(&shape, proto.uint64_data.clone()),
        DType::U32 => Tensor::from_vec(
            &shape,
            proto.uint64_data.iter().map(|n| *n as u32).collect(),
        ),
        DType::I32 => Tensor::from_vec(&shape, proto.int32_data.clone()),
        DType::F16 | DType::BF16 | DType::I16 | DType::U16 => {
            let bits = Tensor::from_vec(
                &[proto.int32_data.len()],
                proto.int32_data.iter().map(|n| *n as u16).collect(),
            );
            bits.and_then(|bits| Tensor::new(dtype, &shape, bits.bytes().into_owned()))
        }
        DType::I8 | DType::I4 | DType::U8 | DType::U4 | DType::Bool => {
            let bytes: Vec<u8> = proto.int32_data.iter().map(|n| *n as u8).collect();
            Tensor::new(dtype, &shape, packed::unpack(dtype, count, bytes.into()))
        }
    };
    made.map_err(|e: TensorError| match (e, count) {
        (TensorError::Size { have: 0, .. }, 1..) => "it has no data".to_string(),
        (e, _) => e.to_string(),
    })
}

fn external(proto: &TensorProto, files: &Files, size: usize) -> Result<Bytes, String> {
    let entry = |key: &str| {
        proto
            .external_data
            .iter()
            .find(|e| e.key.as_deref() == Some(key))
            .and_then(|e| e.value.as_deref())
    };
    let number = |key: &str, default: usize| match entry(key) {
        None => Ok(default),
        Some(text) => text
            .trim()
            .parse::<usize>()
            .map_err(|_| format!("external data has {key} `{text}`")),
    };
    let location = entry("location").ok_or("external data has no location")?;
    let bytes = files.get(location)?;
    let offset = number("offset", 0)?;
    let length = number("length", size)?;
    let end = offset.checked_add(length).filter(|end| *end <= bytes.len());
    match end {
        Some(end) if length == size => Ok(bytes.slice(offset..end)),
        Some(_) => Err(format!(
            "external data has {length} bytes, {size} are needed"
        )),
        None => Err(format!(
            "external data `{location}` ends before byte {offset} + {length}"
        )),
    }
}
