//! Writing weights: the header, then the bytes of each tensor; in several files where they are many.
use super::{TYPES, WeightsError};
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes of the largest file, but for one that has a single tensor (those who publish models keep to this, too).
const LARGEST: u64 = 5_000_000_000;

/// Writes tensors as a safetensors file, or, where they are too many for one, as shards beside it
/// (`STEM-00001-of-00002.safetensors`) that an index (`STEM.safetensors.index.json`) lists. Gives what was written.
pub fn write<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    path: &Path,
) -> Result<Vec<PathBuf>, WeightsError> {
    write_in(tensors.into_iter().collect(), path, LARGEST)
}

fn write_in(
    tensors: Vec<(&str, &Tensor)>,
    path: &Path,
    largest: u64,
) -> Result<Vec<PathBuf>, WeightsError> {
    let mut shards: Vec<Vec<(&str, &Tensor)>> = vec![];
    let (mut size, mut total) = (0, 0);
    for (name, tensor) in tensors {
        let own = tensor.byte_len() as u64;
        if size + own > largest || shards.is_empty() {
            shards.push(vec![]);
            size = 0;
        }
        size += own;
        total += own;
        if let Some(last) = shards.last_mut() {
            last.push((name, tensor));
        }
    }
    if shards.len() <= 1 {
        one(shards.pop().unwrap_or_default(), path)?;
        return Ok(vec![path.to_path_buf()]);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let (mut written, mut places) = (vec![], BTreeMap::new());
    let count = shards.len();
    for (i, shard) in shards.into_iter().enumerate() {
        let file = format!("{stem}-{:05}-of-{count:05}.safetensors", i + 1);
        places.extend(
            shard
                .iter()
                .map(|(name, _)| (name.to_string(), file.clone())),
        );
        let path = path.with_file_name(file);
        one(shard, &path)?;
        written.push(path);
    }
    let index = serde_json::json!({"metadata": {"total_size": total}, "weight_map": places});
    let path = path.with_extension("safetensors.index.json");
    let io = |e| WeightsError::Io(path.display().to_string(), e);
    let text = serde_json::to_string_pretty(&index).map_err(|e| io(e.into()))?;
    std::fs::write(&path, text + "\n").map_err(io)?;
    written.push(path);
    Ok(written)
}

/// One file; the types of the largest elements come first, so that all are aligned.
fn one(mut tensors: Vec<(&str, &Tensor)>, path: &Path) -> Result<(), WeightsError> {
    let dtype = |tensor: &Tensor| {
        let found = TYPES
            .iter()
            .find(|(ours, _)| *ours == tensor.dtype.in_bytes());
        found.map_or(Dtype::U8, |(_, theirs)| *theirs)
    };
    tensors.sort_by(|(a, x), (b, y)| dtype(y).cmp(&dtype(x)).then(a.cmp(b)));
    let (mut infos, mut at) = (vec![], 0);
    for (name, tensor) in &tensors {
        let info = TensorInfo {
            dtype: dtype(tensor),
            shape: tensor.shape.clone(),
            data_offsets: (at, at + tensor.byte_len()),
        };
        at += tensor.byte_len();
        infos.push((name.to_string(), info));
    }
    let wrong = |e: String| WeightsError::Content(path.display().to_string(), e);
    let header = Metadata::new(None, infos).map_err(|e| wrong(e.to_string()))?;
    let mut header = serde_json::to_vec(&header).map_err(|e| wrong(e.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let stream = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (_, tensor) in &tensors {
            file.write_all(&tensor.bytes())?;
            tensor.release();
        }
        file.flush()
    };
    stream().map_err(|e| WeightsError::Io(path.display().to_string(), e))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let a = Tensor::from_f32(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let b = Tensor::from_i64(&[0], vec![]).unwrap();
        let c = Tensor::scalar(true);
        let path = dir.path().join("x.safetensors");
        write([("a/b", &a), ("b", &b), ("c", &c)], &path).unwrap();
        let all = read(&path).unwrap();
        assert_eq!((&all["a/b"], &all["b"], &all["c"]), (&a, &b, &c));
        let index = dir.path().join("model.safetensors.index.json");
        std::fs::write(&index, r#"{"weight_map": {"c": "x.safetensors"}}"#).unwrap();
        assert_eq!(read(&index).unwrap()["c"], c);
        for bad in ["../x.safetensors", "/x.safetensors", "", "."] {
            std::fs::write(&index, format!(r#"{{"weight_map": {{"c": "{bad}"}}}}"#)).unwrap();
            let error = read(&index).unwrap_err().to_string();
            assert!(error.contains("does not lie beside"), "{error}");
        }
    }

    #[test]
    fn many_are_written_in_shards() {
        let dir = tempfile::tempdir().unwrap();
        let tensors: Vec<(String, Tensor)> = (0..5)
            .map(|i| {
                (
                    format!("t{i}"),
                    Tensor::from_i64(&[2], vec![i, -i]).unwrap(),
                )
            })
            .collect();
        let all = || tensors.iter().map(|(n, t)| (&n[..], t)).collect();
        let path = dir.path().join("x.safetensors");
        let written = write_in(all(), &path, 32).unwrap();
        let names: Vec<_> = written
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap())
            .collect();
        let expected = [
            "x-00001-of-00003.safetensors",
            "x-00002-of-00003.safetensors",
            "x-00003-of-00003.safetensors",
            "x.safetensors.index.json",
        ];
        assert_eq!(names, expected);
        let back = read(&written[3]).unwrap();
        assert!(back.len() == 5 && tensors.iter().all(|(n, t)| back[n] == *t));
        assert_eq!(write_in(all(), &path, 80).unwrap().len(), 1);
        assert_eq!(read(&path).unwrap().len(), 5);
        // One that is larger than a file may be has a file of its own.
        assert_eq!(write_in(all(), &path, 8).unwrap().len(), 6);
    }

    #[test]
    fn headers_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let header = r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        for length in [0, 15, 17] {
            let mut bad = file.clone();
            bad.resize(file.len() + length, 0);
            std::fs::write(&path, bad).unwrap();
            assert!(read(&path).is_err());
        }
        std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, b"").unwrap();
        assert!(read(&path).is_err());
    }
}
