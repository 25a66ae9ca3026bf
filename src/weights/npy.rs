//! One array of numpy's format, read with bounds: of the Python literal in its header, only what numpy itself writes is taken.
use crate::tensor::{DType, Tensor};
use std::io::Read;

/// Most elements of an array that are believed before they are read; an empty axis counts as one position.
const MOST: u64 = 1 << 32;
/// Longest header that is believed, in bytes.
const LONGEST: u64 = 1 << 16;

/// What a header says.
struct Header<'t> {
    descr: &'t str,
    is_fortran: bool,
    shape: Vec<u64>,
}

/// Reads an array; what is wrong with it otherwise.
pub fn read(file: &mut dyn Read) -> Result<Tensor, String> {
    let text = header_text(file)?;
    let header = header(text.trim()).ok_or("its header is not what numpy writes")?;
    let shape = &header.shape;
    let mut extents = shape.iter().map(|n| (*n).max(1));
    let count = extents.try_fold(1u64, |all, n| all.checked_mul(n));
    if count.is_none_or(|n| n > MOST) {
        return Err(format!("an array of shape {shape:?} is too large"));
    }
    if header.is_fortran && shape.iter().filter(|n| **n > 1).count() > 1 {
        return Err("an array in Fortran's order".into());
    }
    let (dtype, is_big_endian) =
        element_type(header.descr).ok_or_else(|| format!("an array of type '{}'", header.descr))?;
    let size = shape.iter().product::<u64>() * dtype.size() as u64;
    let mut bytes = taken(file, size)?;
    if is_big_endian {
        bytes.chunks_mut(dtype.size()).for_each(<[u8]>::reverse);
    }
    if dtype == DType::Bool {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    let shape: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
    Tensor::new(dtype, &shape, bytes.into()).map_err(|e| e.to_string())
}

/// That many bytes: nothing is set aside for what is not there.
fn taken(file: &mut dyn Read, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![];
    let read = file.take(size).read_to_end(&mut bytes);
    read.map_err(|e| e.to_string())?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => Err(format!("it ends early: {} of {size} bytes", bytes.len())),
    }
}

fn header_text(file: &mut dyn Read) -> Result<String, String> {
    let start = taken(file, 8)?;
    let wide = match start[..] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => 2,
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => 4,
        _ => return Err("it is no array of numpy's".into()),
    };
    let length = taken(file, wide)?;
    let length = length
        .iter()
        .rev()
        .fold(0u64, |all, b| all << 8 | u64::from(*b));
    if length > LONGEST {
        return Err(format!("its header has {length} bytes"));
    }
    String::from_utf8(taken(file, length)?).map_err(|_| "its header is no text".into())
}

/// A header: a dictionary of the three keys, in any order.
fn header(text: &str) -> Option<Header<'_>> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let (mut descr, mut is_fortran, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        rest = match key {
            "descr" => {
                let (text, after) = quoted(value)?;
                descr = Some(text);
                after
            }
            "fortran_order" => {
                let (truth, after) = match value.strip_prefix("True") {
                    Some(after) => (true, after),
                    None => (false, value.strip_prefix("False")?),
                };
                is_fortran = Some(truth);
                after
            }
            "shape" => {
                let (inner, after) = value.strip_prefix('(')?.split_once(')')?;
                let extents = inner.split(',').map(str::trim).filter(|n| !n.is_empty());
                shape = Some(extents.map(|n| n.parse().ok()).collect::<Option<_>>()?);
                after
            }
            _ => return None,
        }
        .trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(Header {
        descr: descr?,
        is_fortran: is_fortran?,
        shape: shape?,
    })
}

/// What stands between quotes, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// The element type that a code names, and whether the greatest byte is first.
fn element_type(descr: &str) -> Option<(DType, bool)> {
    let code = descr.trim_start_matches(['<', '>', '|', '=']);
    let dtype = match code {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "i1" => DType::I8,
        "u8" => DType::U64,
        "u4" => DType::U32,
        "u2" => DType::U16,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        _ => return None,
    };
    Some((dtype, descr.starts_with('>')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn what_numpy_writes_is_read() {
        let header = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }   \n";
        let read = read(&mut &array(header, &[0, 1, 1, 0])[..]).unwrap();
        assert_eq!((read.dtype, &read.shape[..]), (DType::I16, &[2][..]));
        assert_eq!(read.to_i64().unwrap(), [1, 256]);
    }

    #[test]
    fn lies_are_refused() {
        let says = |header: &str| read(&mut &array(header, &[0; 8])[..]).unwrap_err();
        let of = |rest: &str| says(&format!("{{'descr': '<f4', 'fortran_order': {rest}}}"));
        assert_eq!(of("False, 'shape': (3,)"), "it ends early: 8 of 12 bytes");
        assert_eq!(of("True, 'shape': (2, 2)"), "an array in Fortran's order");
        for shape in [
            "1099511627776, 1099511627776",
            "0, 4294967297",
            "18446744073709551615",
        ] {
            let said = of(&format!("False, 'shape': ({shape},)"));
            assert!(said.ends_with("is too large"), "{said}");
        }
        for rest in [
            "False",
            "0, 'shape': (2,)",
            "False, 'shape': (-1,)",
            "False, 'shape': (((((",
        ] {
            assert_eq!(of(rest), "its header is not what numpy writes", "{rest}");
        }
        let records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}";
        assert_eq!(says(records), "its header is not what numpy writes");
        let complex = "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}";
        assert_eq!(says(complex), "an array of type '<c8'");
        let long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff";
        assert_eq!(
            read(&mut &long[..]).unwrap_err(),
            "its header has 4294967295 bytes"
        );
    }
}
