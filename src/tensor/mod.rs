//! Host tensors: data types, extents, mapped files, tolerances.
mod compare;
mod dtype;
mod extent;
mod gather;
pub mod mapped;
mod random;

pub use compare::difference;
pub use dtype::{DType, Element};
pub use extent::{Extent, ExtentFactor, quoted};
pub use gather::Pick;
pub use random::Random;

use bytes::Bytes;
use std::borrow::Cow;

/// What a tensor cannot be made or read as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The bytes do not fit the shape.
    #[error("{have} bytes for a tensor {dtype}{shape:?}")]
    Size {
        /// How many bytes there are.
        have: usize,
        /// The element type.
        dtype: &'static str,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Elements of another type are needed.
    #[error("elements are {have}, {need} are needed")]
    DType {
        /// What they are.
        have: &'static str,
        /// What is needed.
        need: &'static str,
    },
}

/// A dense row-major tensor; its bytes are owned, or a range of a mapped file. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Vec<usize>,
    data: Bytes,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype.name(), self.shape)
    }
}

impl Tensor {
    /// A tensor of little-endian bytes, whose length must fit.
    pub fn new(dtype: DType, shape: &[usize], data: Bytes) -> Result<Tensor, TensorError> {
        let size = shape
            .iter()
            .try_fold(dtype.size(), |all, n| all.checked_mul(*n));
        if size != Some(data.len()) {
            return Err(TensorError::Size {
                have: data.len(),
                dtype: dtype.name(),
                shape: shape.to_vec(),
            });
        }
        Ok(Tensor {
            dtype,
            shape: shape.to_vec(),
            data,
        })
    }
    /// A tensor of elements.
    pub fn from_vec<T: Element>(shape: &[usize], values: Vec<T>) -> Result<Tensor, TensorError> {
        Tensor::new(T::DTYPE, shape, dtype::into_bytes(values))
    }
    /// A tensor of floats.
    pub fn from_f32(shape: &[usize], values: Vec<f32>) -> Result<Tensor, TensorError> {
        Tensor::from_vec(shape, values)
    }
    /// A tensor of 64-bit integers.
    pub fn from_i64(shape: &[usize], values: Vec<i64>) -> Result<Tensor, TensorError> {
        Tensor::from_vec(shape, values)
    }
    /// A scalar.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor {
            dtype: T::DTYPE,
            shape: vec![],
            data: dtype::into_bytes(vec![value]),
        }
    }
    /// The bytes, little endian.
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }
    /// Says that the elements are not needed for now: where they lie in a mapped file, its pages may go.
    pub fn release(&self) {
        mapped::release(&self.data);
    }
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }
    /// The elements, if they are of type `T`; copied only where they are not aligned.
    pub fn view<T: Element>(&self) -> Option<Cow<'_, [T]>> {
        (self.dtype == T::DTYPE).then(|| dtype::from_bytes(&self.data))
    }
    /// The elements as f32, converted from whatever they are.
    pub fn to_f32(&self) -> Result<Cow<'_, [f32]>, TensorError> {
        if let Some(view) = self.view::<f32>() {
            return Ok(view);
        }
        Ok(Cow::Owned(dtype::convert(self, |x| x as f32, |n| n as f32)))
    }
    /// The elements as f64, converted from whatever they are.
    pub fn to_f64(&self) -> Vec<f64> {
        dtype::convert(self, |x| x, |n| n as f64)
    }
    /// The elements as i64; floats are refused.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        if self.dtype.is_float() {
            return Err(TensorError::DType {
                have: self.dtype.name(),
                need: "integers",
            });
        }
        Ok(dtype::convert(self, |x| x as i64, |n| n))
    }
    /// The elements converted to another type, as C converts; floats to f16 and bf16 round to nearest even.
    pub fn cast(&self, dtype: DType) -> Result<Tensor, TensorError> {
        if self.dtype == dtype {
            return Ok(self.clone());
        }
        Tensor::new(dtype, &self.shape, dtype::cast_bytes(self, dtype))
    }
    /// The same elements under another shape.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor, TensorError> {
        Tensor::new(self.dtype, shape, self.data.clone())
    }
    /// Whether every float is finite.
    pub fn is_finite(&self) -> bool {
        match self.dtype {
            DType::F32 => self
                .view::<f32>()
                .is_none_or(|all| all.iter().all(|x| x.is_finite())),
            d if d.is_float() => self.to_f64().iter().all(|x| x.is_finite()),
            _ => true,
        }
    }
    /// Whether some element is not a number.
    pub fn has_nan(&self) -> bool {
        match (self.dtype, self.view::<f32>()) {
            // No early end: the loop over all of a block becomes vector code.
            (_, Some(all)) => all
                .chunks(4096)
                .any(|block| block.iter().fold(false, |nan, x| nan | x.is_nan())),
            (d, None) if d.is_float() => self.to_f64().iter().any(|x| x.is_nan()),
            _ => false,
        }
    }
    /// Per axis, whether all positions hold the same (and there is more than one).
    pub fn uniform_axes(&self) -> Vec<bool> {
        let size = self.dtype.size();
        (0..self.shape.len())
            .map(|axis| {
                let (n, inner) = (
                    self.shape[axis],
                    self.shape[axis + 1..].iter().product::<usize>() * size,
                );
                n > 1
                    && inner > 0
                    && self
                        .data
                        .chunks(n * inner)
                        .all(|rows| rows[inner..] == rows[..(n - 1) * inner])
            })
            .collect()
    }
}
