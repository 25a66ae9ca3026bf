//! Host tensors: data types, extents, mapped files, tolerances.
mod compare;
mod dtype;
mod extent;
mod gather;
pub mod mapped;
mod random;

pub use compare::difference;
pub use dtype::{DType, Element, I4, U4};
pub use extent::{Extent, ExtentFactor, quoted};
pub use gather::Pick;
pub use random::Random;

use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes that are looked at together.
const BLOCK: usize = 4 << 20;

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

/// A dense row-major tensor; its bytes are owned, a range of a mapped file, or chosen from those of another tensor each
/// time they are asked for. Cheap to clone.
#[derive(Clone)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Here(Bytes),
    Chosen(Arc<Chosen>),
}

/// The bytes at the picked positions of each axis of a tensor, which are there.
struct Chosen {
    whole: Tensor,
    picks: Vec<Arc<Pick>>,
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.bytes() == other.bytes()
    }
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
            data: Data::Here(data),
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
            data: Data::Here(dtype::into_bytes(vec![value])),
        }
    }
    /// The bytes, little endian.
    pub fn bytes(&self) -> Cow<'_, Bytes> {
        match &self.data {
            Data::Here(bytes) => Cow::Borrowed(bytes),
            Data::Chosen(chosen) => {
                let picked = chosen.whole.pick(&chosen.picks);
                chosen.whole.release();
                // All positions are there, so that there is no other case.
                Cow::Owned(picked.map_or(Bytes::new(), |t| t.bytes().into_owned()))
            }
        }
    }
    /// How many bytes there are in memory.
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype.size()
    }
    /// Says that the elements are not needed for now: where they lie in a mapped file, its pages may go.
    pub fn release(&self) {
        match &self.data {
            Data::Here(bytes) => mapped::release(bytes),
            Data::Chosen(chosen) => chosen.whole.release(),
        }
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
        (self.dtype == T::DTYPE).then(|| match self.bytes() {
            Cow::Borrowed(bytes) => dtype::from_bytes(bytes),
            Cow::Owned(bytes) => Cow::Owned(dtype::from_bytes(&bytes).into_owned()),
        })
    }
    /// The elements as f32, converted from whatever they are.
    pub fn to_f32(&self) -> Result<Cow<'_, [f32]>, TensorError> {
        if let Some(view) = self.view::<f32>() {
            return Ok(view);
        }
        Ok(Cow::Owned(dtype::floats(self)))
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
            return Tensor::new(dtype, &self.shape, self.bytes().into_owned());
        }
        Tensor::new(dtype, &self.shape, dtype::cast_bytes(self, dtype))
    }
    /// The same elements under another shape.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor, TensorError> {
        Tensor::new(self.dtype, shape, self.bytes().into_owned())
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
    /// The elements in tensors of one axis, whole rows of `row` elements together, a few MiB at a time: who releases each
    /// after use holds no more than that of a mapped file.
    pub fn blocks(&self, row: usize) -> impl Iterator<Item = Tensor> + use<> {
        let (dtype, bytes) = (self.dtype, self.bytes().into_owned());
        let row = row.max(1) * dtype.size();
        let step = (BLOCK / row).max(1) * row;
        let starts = (0..bytes.len()).step_by(step);
        starts.map(move |at| {
            let data = bytes.slice(at..bytes.len().min(at + step));
            Tensor {
                dtype,
                shape: vec![data.len() / dtype.size()],
                data: Data::Here(data),
            }
        })
    }
    /// Whether some element is not a number.
    pub fn has_nan(&self) -> bool {
        // No early end inside: the loop over all of a few becomes vector code.
        let some = |few: &[f32]| few.iter().fold(false, |nan, x| nan | x.is_nan());
        self.dtype.is_float()
            && self.blocks(1).any(|block| {
                let found = block.to_f32().is_ok_and(|x| x.chunks(4096).any(some));
                block.release();
                found
            })
    }
    /// Per axis, whether all positions hold the same (and there is more than one).
    pub fn uniform_axes(&self) -> Vec<bool> {
        let (size, bytes) = (self.dtype.size(), self.bytes());
        (0..self.shape.len())
            .map(|axis| {
                let (n, inner) = (
                    self.shape[axis],
                    self.shape[axis + 1..].iter().product::<usize>() * size,
                );
                n > 1
                    && inner > 0
                    && bytes
                        .chunks(n * inner)
                        .all(|rows| rows[inner..] == rows[..(n - 1) * inner])
            })
            .collect()
    }
}
