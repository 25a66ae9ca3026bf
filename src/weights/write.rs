//! Writing weights: the header, then the bytes of each tensor.
use super::{TYPES, WeightsError};
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::path::Path;

struct Stored<'a>(&'a Tensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        let found = TYPES.iter().find(|(ours, _)| *ours == self.0.dtype);
        found.map_or(Dtype::U8, |(_, theirs)| *theirs)
    }
    fn shape(&self) -> &[usize] {
        &self.0.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        match self.0.bytes() {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes),
            Cow::Owned(bytes) => Cow::Owned(bytes.into()),
        }
    }
    fn data_len(&self) -> usize {
        self.0.byte_len()
    }
}

/// Writes tensors as a safetensors file.
pub fn write<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    path: &Path,
) -> Result<(), WeightsError> {
    let all = tensors.into_iter().map(|(name, t)| (name, Stored(t)));
    safetensors::serialize_to_file(all, None, path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(e) => WeightsError::Io(path.display().to_string(), e),
        e => WeightsError::Content(path.display().to_string(), e.to_string()),
    })
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
