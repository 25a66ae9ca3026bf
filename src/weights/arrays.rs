//! Tensors in numpy's files: one array in `.npy`, several in `.npz`.
use super::{WeightsError, npy};
use crate::tensor::{DType, Tensor};
use half::f16;
use indexmap::IndexMap;
use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use zip::ZipArchive;

/// The arrays of a file, by name; that of a `.npy` file has the name of the file, without its extension.
pub fn read_arrays(path: &Path) -> Result<IndexMap<String, Tensor>, WeightsError> {
    let shown = path.display().to_string();
    let wrong = |message: String| WeightsError::Content(shown.clone(), message);
    let file = File::open(path).map_err(|e| WeightsError::Io(shown.clone(), e))?;
    let mut file = BufReader::new(file);
    if path.extension().is_none_or(|e| e != "npz") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let tensor = npy::read(&mut file).map_err(wrong)?;
        return Ok(IndexMap::from([(name.into_owned(), tensor)]));
    }
    let mut archive = ZipArchive::new(file).map_err(|e| wrong(e.to_string()))?;
    let mut all = IndexMap::new();
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).map_err(|e| wrong(e.to_string()))?;
        let Some(name) = member.name().strip_suffix(".npy").map(str::to_string) else {
            continue;
        };
        let tensor = npy::read(&mut member).and_then(|tensor| {
            // The end has to be looked for: there the archive compares its checksum.
            let end = member.read(&mut [0]).map_err(|e| e.to_string())?;
            (end == 0)
                .then_some(tensor)
                .ok_or("more than an array".into())
        });
        let tensor = tensor.map_err(|e| wrong(format!("`{name}`: {e}")))?;
        if all.insert(name.clone(), tensor).is_some() {
            return Err(wrong(format!("two arrays have the name `{name}`")));
        }
    }
    Ok(all)
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
            DType::I4 => {
                let wide = $tensor.cast(DType::I8).map_err(std::io::Error::other)?;
                elements!(@ i8, wide, $values => $body)
            }
            DType::U64 => elements!(@ u64, $tensor, $values => $body),
            DType::U32 => elements!(@ u32, $tensor, $values => $body),
            DType::U16 => elements!(@ u16, $tensor, $values => $body),
            DType::U8 => elements!(@ u8, $tensor, $values => $body),
            DType::U4 => {
                let wide = $tensor.cast(DType::U8).map_err(std::io::Error::other)?;
                elements!(@ u8, wide, $values => $body)
            }
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
                other => tensor.cast(other.in_bytes()).unwrap(),
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
