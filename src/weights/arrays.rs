//! Tensors in numpy's files: one array in `.npy`, several in `.npz`.
use super::WeightsError;
use crate::tensor::{DType, Tensor};
use half::f16;
use indexmap::IndexMap;
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{NpyFile, Order, WriterBuilder};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Most elements of an array that are believed before they are read.
const MOST: u64 = 1 << 32;

/// The arrays of a file, by name; that of a `.npy` file has the name of the file, without its extension.
pub fn read_arrays(path: &Path) -> Result<IndexMap<String, Tensor>, WeightsError> {
    let shown = path.display().to_string();
    let wrong = |e: std::io::Error| WeightsError::Content(shown.clone(), e.to_string());
    let file = File::open(path).map_err(|e| WeightsError::Io(shown.clone(), e))?;
    if path.extension().is_some_and(|e| e == "npz") {
        let mut archive = NpzArchive::new(BufReader::new(file)).map_err(wrong)?;
        let names: Vec<String> = archive.array_names().map(str::to_string).collect();
        let mut all = IndexMap::new();
        for name in names {
            let array = archive.by_name(&name).map_err(wrong)?;
            let array = array.ok_or_else(|| wrong(std::io::Error::other("an array is gone")))?;
            all.insert(name, tensor(array).map_err(wrong)?);
        }
        return Ok(all);
    }
    let array = NpyFile::new(BufReader::new(file)).map_err(wrong)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(IndexMap::from([(
        name.into_owned(),
        tensor(array).map_err(wrong)?,
    )]))
}

fn tensor<R: Read>(array: NpyFile<R>) -> std::io::Result<Tensor> {
    let wrong = |message: String| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
    let shape: Vec<usize> = array.shape().iter().map(|n| *n as usize).collect();
    let count = array
        .shape()
        .iter()
        .try_fold(1u64, |all, n| all.checked_mul(*n));
    if count.is_none_or(|n| n > MOST) {
        return Err(wrong(format!("an array of shape {shape:?} is too large")));
    }
    if array.order() != Order::C && shape.iter().filter(|n| **n > 1).count() > 1 {
        return Err(wrong("an array in Fortran's order".into()));
    }
    let kind = array.dtype().descr();
    macro_rules! by_kind {
        ($($text:literal $ty:ty),*) => {
            match kind.trim_matches(['\'', '<', '>', '|', '=']) {
                $($text => Tensor::from_vec::<$ty>(&shape, array.into_vec()?),)*
                _ => return Err(wrong(format!("an array of type {kind}"))),
            }
        };
    }
    let made = by_kind!(
        "f8" f64, "f4" f32, "f2" f16, "i8" i64, "i4" i32, "i2" i16, "i1" i8, "u8" u64, "u4" u32, "u2" u16, "u1" u8,
        "b1" bool
    );
    made.map_err(|e| wrong(e.to_string()))
}

/// Writes tensors as arrays: several into `.npz`, exactly one into `.npy`. bf16, which numpy lacks, becomes f32.
pub fn write_arrays(tensors: &IndexMap<String, Tensor>, path: &Path) -> Result<(), WeightsError> {
    let shown = path.display().to_string();
    let io = |e: std::io::Error| WeightsError::Io(shown.clone(), e);
    if path.extension().is_some_and(|e| e == "npz") {
        let mut archive = NpzWriter::new(BufWriter::new(File::create(path).map_err(io)?));
        for (name, tensor) in tensors {
            archive_one(&mut archive, name, tensor).map_err(io)?;
        }
        return archive
            .zip_writer()
            .finish()
            .map(drop)
            .map_err(|e| WeightsError::Content(path.display().to_string(), e.to_string()));
    }
    let [tensor] = &tensors.values().collect::<Vec<_>>()[..] else {
        let message = format!(
            "{} arrays do not fit one `.npy` file; `.npz` holds several",
            tensors.len()
        );
        return Err(WeightsError::Content(shown, message));
    };
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    plain_one(&mut file, tensor).map_err(io)
}

/// Calls a macro's body with the elements of a tensor under their type.
macro_rules! elements {
    ($tensor:expr, $values:ident => $body:expr) => {
        match $tensor.dtype {
            DType::F64 => elements!(@ f64, $tensor, $values => $body),
            DType::F32 => elements!(@ f32, $tensor, $values => $body),
            DType::F16 => elements!(@ f16, $tensor, $values => $body),
            DType::BF16 => {
                let wide = $tensor.cast(DType::F32).map_err(std::io::Error::other)?;
                elements!(@ f32, wide, $values => $body)
            }
            DType::I64 => elements!(@ i64, $tensor, $values => $body),
            DType::I32 => elements!(@ i32, $tensor, $values => $body),
            DType::I16 => elements!(@ i16, $tensor, $values => $body),
            DType::I8 => elements!(@ i8, $tensor, $values => $body),
            DType::U64 => elements!(@ u64, $tensor, $values => $body),
            DType::U32 => elements!(@ u32, $tensor, $values => $body),
            DType::U16 => elements!(@ u16, $tensor, $values => $body),
            DType::U8 => elements!(@ u8, $tensor, $values => $body),
            DType::Bool => elements!(@ bool, $tensor, $values => $body),
        }
    };
    (@ $ty:ty, $tensor:expr, $values:ident => $body:expr) => {{
        let $values = $tensor.view::<$ty>().unwrap_or_default();
        $body
    }};
}

fn archive_one(
    archive: &mut NpzWriter<BufWriter<File>>,
    name: &str,
    tensor: &Tensor,
) -> std::io::Result<()> {
    let shape: Vec<u64> = tensor.shape.iter().map(|n| *n as u64).collect();
    elements!(tensor, values => {
        let builder = archive.array(name, Default::default())?;
        let mut writer = builder.default_dtype().shape(&shape).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })
}

fn plain_one(file: &mut BufWriter<File>, tensor: &Tensor) -> std::io::Result<()> {
    let shape: Vec<u64> = tensor.shape.iter().map(|n| *n as u64).collect();
    elements!(tensor, values => {
        let builder = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut writer = builder.writer(&mut *file).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = IndexMap::new();
        for dtype in DType::ALL {
            let tensor = Tensor::from_i64(&[2, 3], vec![0, 1, 1, 0, 1, 0]).unwrap();
            all.insert(format!("a.{}", dtype.name()), tensor.cast(dtype).unwrap());
        }
        let path = dir.path().join("x.npz");
        write_arrays(&all, &path).unwrap();
        let back = read_arrays(&path).unwrap();
        for (name, tensor) in &all {
            let expected = match tensor.dtype {
                DType::BF16 => tensor.cast(DType::F32).unwrap(),
                _ => tensor.clone(),
            };
            assert_eq!(back[name], expected, "{name}");
        }
        let path = dir.path().join("x.npy");
        assert!(write_arrays(&all, &path).is_err());
        let scalar = IndexMap::from([("y".to_string(), Tensor::scalar(2.5f32))]);
        write_arrays(&scalar, &path).unwrap();
        assert_eq!(read_arrays(&path).unwrap()["x"], Tensor::scalar(2.5f32));
        std::fs::write(&path, b"\x93NUMPY\x01\x00").unwrap();
        assert!(read_arrays(&path).is_err());
    }
}
