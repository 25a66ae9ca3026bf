//! Element types, and conversion between them.
use super::Tensor;
use bytes::Bytes;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::borrow::Cow;

/// An element type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    I4,
    U64,
    U32,
    U16,
    U8,
    U4,
    Bool,
}

impl DType {
    /// All element types.
    pub const ALL: [DType; 15] = [
        DType::F64,
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::I4,
        DType::U64,
        DType::U32,
        DType::U16,
        DType::U8,
        DType::U4,
        DType::Bool,
    ];
    /// The name in the language.
    pub fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::I4 => "i4",
            DType::U64 => "u64",
            DType::U32 => "u32",
            DType::U16 => "u16",
            DType::U8 => "u8",
            DType::U4 => "u4",
            DType::Bool => "bool",
        }
    }
    /// The type of that name.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }
    /// Bytes per element in memory, where four bits have a byte of their own.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
            DType::I8 | DType::I4 | DType::U8 | DType::U4 | DType::Bool => 1,
        }
    }
    /// Bits per element in a file that packs them.
    pub fn bits(self) -> usize {
        match self {
            DType::I4 | DType::U4 => 4,
            _ => 8 * self.size(),
        }
    }
    /// The type of the same values in whole bytes, for files that know no smaller one.
    pub fn in_bytes(self) -> DType {
        match self {
            DType::I4 => DType::I8,
            DType::U4 => DType::U8,
            _ => self,
        }
    }
    /// Whether weights in it are quantized ones: integers of at most eight bits.
    pub fn is_quantized(self) -> bool {
        self.is_integer() && self.size() == 1
    }
    /// The least and the most of an integer type of at most 32 bits, or nothing.
    pub fn range(self) -> Option<(i64, i64)> {
        if !self.is_integer() || self.bits() > 32 {
            return None;
        }
        let signed = matches!(self, DType::I32 | DType::I16 | DType::I8 | DType::I4);
        let all = 1i64 << self.bits();
        Some(if signed {
            (-all / 2, all / 2 - 1)
        } else {
            (0, all - 1)
        })
    }
    /// Whether it is a float type.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
    }
    /// Whether it is an integer type (`bool` is not).
    pub fn is_integer(self) -> bool {
        !self.is_float() && self != DType::Bool
    }
}

/// A Rust type that is an element type.
pub trait Element: Copy + 'static {
    /// Which one.
    const DTYPE: DType;
    /// The value of little-endian bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends the value's little-endian bytes.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! elements {
    ($($ty:ty = $dtype:ident),*) => {$(
        impl Element for $ty {
            const DTYPE: DType = DType::$dtype;
            fn read(bytes: &[u8]) -> Self { Self::from_le_bytes(bytes.try_into().unwrap_or_default()) }
            fn write(self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_le_bytes()); }
        }
    )*};
}
elements!(
    f64 = F64,
    f32 = F32,
    f16 = F16,
    bf16 = BF16,
    i64 = I64,
    i32 = I32,
    i16 = I16,
    i8 = I8,
    u64 = U64,
    u32 = U32,
    u16 = U16,
    u8 = U8
);

/// A signed integer of four bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct I4(i8);

/// An unsigned integer of four bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct U4(u8);

macro_rules! four_bits {
    ($($ty:ident($of:ty), $range:expr);*) => {$(
        impl $ty {
            /// The number, if it is in the range of the type.
            pub fn new(value: impl TryInto<$of>) -> Option<$ty> {
                value.try_into().ok().filter(|n| $range.contains(n)).map($ty)
            }
            /// The number.
            pub fn get(self) -> $of { self.0 }
            /// The number of the lowest four bits.
            fn wrap(value: i64) -> $ty { $ty(((value as $of) << 4) >> 4) }
        }
        impl Element for $ty {
            const DTYPE: DType = DType::$ty;
            fn read(bytes: &[u8]) -> Self { $ty(bytes[0] as $of) }
            fn write(self, out: &mut Vec<u8>) { out.push(self.0 as u8); }
        }
    )*};
}
four_bits!(I4(i8), (-8..8); U4(u8), (0..16));

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn read(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
    fn write(self, out: &mut Vec<u8>) {
        out.push(self as u8);
    }
}

/// Bytes of elements.
pub(super) fn into_bytes<T: Element>(values: Vec<T>) -> Bytes {
    super::mapped::owned_bytes(values)
}

/// Elements of bytes; borrowed where they are aligned.
pub(super) fn from_bytes<T: Element>(bytes: &[u8]) -> Cow<'_, [T]> {
    match super::mapped::aligned(bytes) {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(bytes.chunks_exact(T::DTYPE.size()).map(T::read).collect()),
    }
}

/// Every element through one of two functions: of its value as a float, or as an integer.
pub(super) fn convert<U>(
    t: &Tensor,
    float: impl Fn(f64) -> U,
    integer: impl Fn(i64) -> U,
) -> Vec<U> {
    fn all<T: Element, U>(t: &Tensor, f: impl Fn(T) -> U) -> Vec<U> {
        t.bytes()
            .chunks_exact(T::DTYPE.size())
            .map(|b| f(T::read(b)))
            .collect()
    }
    match t.dtype {
        DType::F64 => all(t, |x: f64| float(x)),
        DType::F32 => all(t, |x: f32| float(x as f64)),
        DType::F16 => all(t, |x: f16| float(x.to_f64())),
        DType::BF16 => all(t, |x: bf16| float(x.to_f64())),
        DType::I64 => all(t, |x: i64| integer(x)),
        DType::I32 => all(t, |x: i32| integer(x as i64)),
        DType::I16 => all(t, |x: i16| integer(x as i64)),
        DType::I8 => all(t, |x: i8| integer(x as i64)),
        DType::I4 => all(t, |x: I4| integer(x.0 as i64)),
        DType::U64 => all(t, |x: u64| integer(x as i64)),
        DType::U32 => all(t, |x: u32| integer(x as i64)),
        DType::U16 => all(t, |x: u16| integer(x as i64)),
        DType::U8 => all(t, |x: u8| integer(x as i64)),
        DType::U4 => all(t, |x: U4| integer(x.0 as i64)),
        DType::Bool => all(t, |x: bool| integer(x as i64)),
    }
}

/// Every element as f32.
pub(super) fn floats(t: &Tensor) -> Vec<f32> {
    // Weights are often of these two, and by way of f64 it takes several times as long.
    match t.dtype {
        DType::BF16 => (t.bytes().chunks_exact(2))
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
            .collect(),
        DType::F16 => match t.view::<f16>() {
            Some(view) => {
                let mut out = vec![0.0; view.len()];
                view.convert_to_f32_slice(&mut out);
                out
            }
            None => vec![],
        },
        _ => convert(t, |x| x as f32, |n| n as f32),
    }
}

/// The bytes of a tensor's elements in another type.
pub(super) fn cast_bytes(t: &Tensor, to: DType) -> Bytes {
    match to {
        DType::F64 => into_bytes(convert(t, |x| x, |n| n as f64)),
        DType::F32 => into_bytes(floats(t)),
        DType::F16 => into_bytes(convert(
            t,
            |x| f16::from_f32(x as f32),
            |n| f16::from_f64(n as f64),
        )),
        DType::BF16 => into_bytes(convert(
            t,
            |x| bf16::from_f32(x as f32),
            |n| bf16::from_f64(n as f64),
        )),
        DType::I64 => into_bytes(convert(t, |x| x as i64, |n| n)),
        DType::I32 => into_bytes(convert(t, |x| x as i32, |n| n as i32)),
        DType::I16 => into_bytes(convert(t, |x| x as i32 as i16, |n| n as i16)),
        DType::I8 => into_bytes(convert(t, |x| x as i32 as i8, |n| n as i8)),
        DType::I4 => into_bytes(convert(t, |x| I4::wrap(x as i64), I4::wrap)),
        DType::U64 => into_bytes(convert(t, |x| x as u64, |n| n as u64)),
        DType::U32 => into_bytes(convert(t, |x| x as u32, |n| n as u32)),
        DType::U16 => into_bytes(convert(t, |x| x as u32 as u16, |n| n as u16)),
        DType::U8 => into_bytes(convert(t, |x| x as u32 as u8, |n| n as u8)),
        DType::U4 => into_bytes(convert(t, |x| U4::wrap(x as i64), U4::wrap)),
        DType::Bool => into_bytes(convert(t, |x| x != 0.0, |n| n != 0)),
    }
}
