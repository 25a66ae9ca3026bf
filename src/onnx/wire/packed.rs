//! Elements of four bits: two to a byte in a file, the first in the lower half; one to a byte in memory.
use crate::tensor::{DType, Tensor};
use bytes::Bytes;
use std::borrow::Cow;

/// How many bytes that many elements have in a file.
pub fn length(dtype: DType, count: usize) -> Option<usize> {
    Some(count.checked_mul(dtype.bits())?.div_ceil(8))
}

/// The bytes of a tensor in a file.
pub fn pack(tensor: &Tensor) -> Cow<'_, Bytes> {
    let bytes = tensor.bytes();
    if tensor.dtype.bits() != 4 {
        return bytes;
    }
    let two = |pair: &[u8]| pair[0] & 15 | pair.get(1).map_or(0, |high| high << 4);
    Cow::Owned(bytes.chunks(2).map(two).collect())
}

/// The elements of a tensor in a file; of packed ones, `count`.
pub fn unpack(dtype: DType, count: usize, bytes: Bytes) -> Bytes {
    let wide = |half: u8| match dtype {
        DType::I4 => ((half << 4) as i8 >> 4) as u8,
        _ => half & 15,
    };
    match dtype.bits() {
        4 => {
            let halves = bytes.iter().flat_map(|b| [wide(*b), wide(*b >> 4)]);
            halves.take(count).collect()
        }
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_come_back() {
        for (dtype, numbers) in [(DType::I4, [-8i64, 7, -1]), (DType::U4, [0, 15, 8])] {
            let tensor = Tensor::from_i64(&[3], numbers.to_vec())
                .unwrap()
                .cast(dtype)
                .unwrap();
            let packed = pack(&tensor).into_owned();
            assert_eq!(length(dtype, 3), Some(packed.len()));
            let back = Tensor::new(dtype, &[3], unpack(dtype, 3, packed)).unwrap();
            assert_eq!(back, tensor);
            assert_eq!(back.to_i64().unwrap(), numbers);
        }
    }
}
