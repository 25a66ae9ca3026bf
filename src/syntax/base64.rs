//! Bytes as text: base64 with padding, as RFC 4648 states it.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, i| {
            word << 8 | chunk.get(i).copied().unwrap_or(0) as u32
        });
        for i in 0..4 {
            text.push(if i <= chunk.len() {
                DIGITS[(word >> (18 - 6 * i) & 63) as usize] as char
            } else {
                '='
            });
        }
    }
    text
}

/// The bytes of a text; none if it is no base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let last = (text.len() / 4).checked_sub(1);
    for (n, chunk) in text.chunks(4).enumerate() {
        let pad = chunk.iter().rev().take_while(|c| **c == b'=').count();
        if pad > 2 || pad > 0 && Some(n) != last {
            return None;
        }
        let word = chunk[..4 - pad]
            .iter()
            .try_fold(0u32, |word, c| Some(word << 6 | digit(*c)?))?
            << (6 * pad);
        bytes.extend_from_slice(&word.to_be_bytes()[1..4 - pad]);
    }
    Some(bytes)
}

fn digit(c: u8) -> Option<u32> {
    Some(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    } as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        for len in 0..70usize {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 37 + len) as u8).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert_eq!(encode(b"fo"), "Zm8=");
        for bad in ["a", "Zm8", "=m8=", "Zm8=Zm8=", "Z===", "Zm 8", "Zmö"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
