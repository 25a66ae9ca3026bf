//! How far two tensors are apart.
use super::Tensor;

/// The largest difference of two tensors of one shape, relative to the largest magnitude of the second.
///
/// Infinite where shapes differ, where either has a NaN, or where integers or truth values differ at all; infinities
/// must be equal.
pub fn difference(a: &Tensor, b: &Tensor) -> f64 {
    if a.shape != b.shape {
        return f64::INFINITY;
    }
    let both_float = a.dtype.is_float() && b.dtype.is_float();
    let (Ok(x), Ok(y)) = (a.to_f32(), b.to_f32()) else {
        return f64::INFINITY;
    };
    if !both_float {
        return if a.to_f64() == b.to_f64() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let (mut most, mut scale) = (0f32, 0f32);
    for (x, y) in x.iter().zip(y.iter()) {
        if x == y {
            if y.is_finite() {
                scale = scale.max(y.abs());
            }
            continue;
        }
        let d = (x - y).abs();
        if !d.is_finite() {
            return f64::INFINITY;
        }
        most = most.max(d);
        scale = scale.max(y.abs());
    }
    if most == 0.0 {
        0.0
    } else {
        most as f64 / (scale as f64).max(1e-30)
    }
}
