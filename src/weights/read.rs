//! Reading weights: one safetensors file, or the shards that an index names.
use super::{TYPES, WeightsError};
use crate::tensor::{Tensor, mapped};
use indexmap::IndexMap;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Largest index that is believed, in bytes.
const LARGEST_INDEX: u64 = 64 << 20;

/// The index of a sharded file: which shard has which tensor.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of a safetensors file, by name; their bytes are ranges of the mapped file.
///
/// A path that ends in `.json` is an index of shards (`{"weight_map": {"name": "shard file"}}`), which lie beside it.
pub fn read(path: &Path) -> Result<IndexMap<String, Tensor>, WeightsError> {
    if path.extension().is_some_and(|e| e == "json") {
        return sharded(path);
    }
    let shown = path.display().to_string();
    let wrong = |message: String| WeightsError::Content(shown.clone(), message);
    let bytes = mapped::map(path).map_err(|e| WeightsError::Io(shown.clone(), e))?;
    let (header, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|e| wrong(format!("not safetensors: {e}")))?;
    let start = 8 + header;
    let mut tensors: Vec<(usize, String, Tensor)> = vec![];
    for (name, info) in metadata.tensors() {
        let Some((dtype, _)) = TYPES.iter().find(|(_, theirs)| *theirs == info.dtype) else {
            return Err(wrong(format!(
                "`{name}` is of type {:?}, which is not supported",
                info.dtype
            )));
        };
        let (from, to) = info.data_offsets;
        if from > to || to > bytes.len() - start {
            return Err(wrong(format!("`{name}` lies past the end of the file")));
        }
        let tensor = Tensor::new(*dtype, &info.shape, bytes.slice(start + from..start + to))
            .map_err(|e| wrong(format!("`{name}`: {e}")))?;
        tensors.push((from, name, tensor));
    }
    tensors.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(tensors.into_iter().map(|(_, n, t)| (n, t)).collect())
}

fn sharded(path: &Path) -> Result<IndexMap<String, Tensor>, WeightsError> {
    let shown = path.display().to_string();
    let wrong = |message: String| WeightsError::Content(shown.clone(), message);
    let io = |e| WeightsError::Io(shown.clone(), e);
    if std::fs::metadata(path).map_err(io)?.len() > LARGEST_INDEX {
        return Err(wrong("the index is too large".into()));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut shards: BTreeMap<&str, IndexMap<String, Tensor>> = BTreeMap::new();
    for shard in index.weight_map.values() {
        let plain = matches!(
            Path::new(shard).components().collect::<Vec<_>>()[..],
            [Component::Normal(_)]
        );
        if !plain {
            return Err(wrong(format!(
                "the shard `{shard}` does not lie beside the index"
            )));
        }
        if !shards.contains_key(&shard[..]) {
            shards.insert(shard, read(&directory.join(shard))?);
        }
    }
    let mut all = IndexMap::new();
    for (name, shard) in &index.weight_map {
        let Some(tensor) = shards[&shard[..]].get(name) else {
            return Err(wrong(format!("`{shard}` has no `{name}`")));
        };
        all.insert(name.clone(), tensor.clone());
    }
    Ok(all)
}
