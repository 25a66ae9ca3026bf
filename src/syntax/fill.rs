//! Where the elements of params come from.
use crate::diag::{Diagnostic, nearest};
use crate::tensor::{DType, Random, Tensor};
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// What has the elements of params, and of constants that the text does not hold.
pub trait Weights {
    /// The elements of `name`, which the text says is of this type and shape. The parser checks what it is given, and
    /// adds the place to an error.
    fn get(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic>;
}

fn missing<'a>(name: &str, all: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("the weights have no `{name}`"));
    match nearest(name, all) {
        Some(near) => diagnostic.help(format!("they have `{near}`")),
        None => diagnostic,
    }
}

impl<S: BuildHasher> Weights for HashMap<String, Tensor, S> {
    fn get(&self, name: &str, _: DType, _: &[usize]) -> Result<Tensor, Diagnostic> {
        let tensor = HashMap::get(self, name);
        tensor
            .cloned()
            .ok_or_else(|| missing(name, self.keys().map(|k| &**k)))
    }
}

impl<S: BuildHasher> Weights for indexmap::IndexMap<String, Tensor, S> {
    fn get(&self, name: &str, _: DType, _: &[usize]) -> Result<Tensor, Diagnostic> {
        let tensor = indexmap::IndexMap::get(self, name);
        tensor
            .cloned()
            .ok_or_else(|| missing(name, self.keys().map(|k| &**k)))
    }
}

/// Elements of all tensors that one [`Seeded`] makes.
const MOST: usize = 1 << 31;

/// Fills params with values that depend on the seed and the param's name alone.
///
/// Weights of two and more axes are normal with the variance that keeps activations in range; vectors are positive and
/// near 1, but small of either sign where the name says bias or mean; wide integers count along the last axis. No
/// tensor is constant.
pub struct Seeded {
    seed: u64,
    left: Cell<usize>,
}

impl Seeded {
    /// The filling of a seed.
    pub fn new(seed: u64) -> Seeded {
        let left = Cell::new(MOST);
        Seeded { seed, left }
    }
}

impl Weights for Seeded {
    fn get(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        let count = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        let left = count.and_then(|count| self.left.get().checked_sub(count));
        let (Some(count), Some(left)) = (count, left) else {
            return Err(Diagnostic::new(format!(
                "`{name}` does not fit: a seed fills at most {MOST} elements"
            )));
        };
        self.left.set(left);
        let wrong = |e: crate::tensor::TensorError| Diagnostic::new(e.to_string());
        let mut random = named(self.seed, name);
        if dtype == DType::Bool {
            let values = (0..count).map(|_| random.next() >> 63 == 1).collect();
            return Tensor::from_vec::<bool>(shape, values).map_err(wrong);
        }
        if dtype.is_integer() {
            let last = shape.last().copied().unwrap_or(1).max(1);
            let value = |i: usize| match dtype.size() {
                1 => (random.next() >> 57) as i64,
                _ => (i % last) as i64,
            };
            let values = (0..count).map(value).collect();
            return Tensor::from_i64(shape, values)
                .and_then(|t| t.cast(dtype))
                .map_err(wrong);
        }
        let signed = ["bias", "mean", "beta"]
            .iter()
            .any(|word| name.contains(word));
        let scale = match shape {
            [_, _, ..] => (2.0 / fan_in(shape) as f32).sqrt(),
            _ => 0.1,
        };
        let values = match (shape.len(), signed) {
            (0 | 1, false) => (0..count).map(|_| 0.5 + random.unit()).collect(),
            _ => (0..count).map(|_| scale * normal(&mut random)).collect(),
        };
        Tensor::from_f32(shape, values)
            .and_then(|t| t.cast(dtype))
            .map_err(wrong)
    }
}

/// How many inputs one output of a weight sums over; of a matrix the longer side, whichever way it is used.
fn fan_in(shape: &[usize]) -> usize {
    match shape {
        [a, b] => (*a).max(*b).max(1),
        _ => shape.iter().skip(1).product::<usize>().max(1),
    }
}

/// The numbers of a seed and a name.
fn named(seed: u64, name: &str) -> Random {
    let mut random = Random(seed);
    for byte in name.bytes() {
        random.0 = random.next() ^ u64::from(byte);
    }
    random
}

/// Near enough to normal: four uniform numbers out of one word.
fn normal(random: &mut Random) -> f32 {
    let word = random.next();
    let sum: i32 = (0..4).map(|i| (word >> (16 * i) & 0xFFFF) as i32).sum();
    (sum - 2 * 0xFFFF) as f32 / (0xFFFF as f32 * (1.0f32 / 3.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_fill_sensibly() {
        let get = |seed, name: &str, dtype, shape: &[usize]| {
            Seeded::new(seed).get(name, dtype, shape).unwrap()
        };
        let weight = get(1, "w", DType::F32, &[64, 32, 3, 3]);
        assert_eq!(weight, get(1, "w", DType::F32, &[64, 32, 3, 3]));
        assert_ne!(weight, get(2, "w", DType::F32, &[64, 32, 3, 3]));
        assert_ne!(weight, get(1, "v", DType::F32, &[64, 32, 3, 3]));
        let values = weight.to_f64();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance =
            values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
        assert!(
            mean.abs() < 1e-3 && (variance * 288.0 - 2.0).abs() < 0.1,
            "{mean} {variance}"
        );
        let var = get(1, "bn.running_var", DType::F16, &[7]).to_f64();
        assert!(var.iter().all(|x| *x >= 0.5 && *x <= 1.5));
        assert_eq!(
            get(1, "i", DType::I64, &[2, 3]).to_i64().unwrap(),
            [0, 1, 2, 0, 1, 2]
        );
        assert!(
            Seeded::new(0)
                .get("w", DType::F32, &[1 << 40, 1 << 40])
                .is_err()
        );
        assert!(Seeded::new(0).get("w", DType::F32, &[1 << 33]).is_err());
    }
}
