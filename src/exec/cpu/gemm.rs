//! The unsafe corner of the CPU: matrix products by the `gemm` crate, with their bounds checked.
#![allow(unsafe_code)]
use gemm::Parallelism;

/// A matrix inside a slice: where it begins, and how far rows and columns are apart.
#[derive(Copy, Clone)]
pub struct Matrix<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Elements between rows, and between columns.
    pub step: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Matrix<'a> {
        Matrix {
            data,
            shape: (rows, columns),
            step: (columns, 1),
        }
    }
    /// The matrix on its side.
    pub fn transposed(self) -> Matrix<'a> {
        Matrix {
            data: self.data,
            shape: (self.shape.1, self.shape.0),
            step: (self.step.1, self.step.0),
        }
    }
    fn fits(&self) -> bool {
        fits(self.data.len(), self.shape, self.step)
    }
}

fn fits(len: usize, (rows, columns): (usize, usize), (down, right): (usize, usize)) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * down + (columns - 1) * right < len
}

/// `out = alpha * a b` (`add`: is added to what is there); rows of `out` are `pitch` elements apart.
///
/// # Panics
/// Where a matrix does not lie inside its slice, or the shapes do not fit.
pub fn product(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    pitch: usize,
    add: bool,
    threads: usize,
) {
    let (m, k) = a.shape;
    let n = b.shape.1;
    assert!(b.shape.0 == k && a.fits() && b.fits() && fits(out.len(), (m, n), (pitch, 1)));
    if m == 0 || n == 0 {
        return;
    }
    let parallelism = match threads {
        0 | 1 => Parallelism::None,
        n => Parallelism::Rayon(n),
    };
    // SAFETY: all three matrices lie inside their slices, as was checked, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            pitch as isize,
            add,
            a.data.as_ptr(),
            a.step.1 as isize,
            a.step.0 as isize,
            b.data.as_ptr(),
            b.step.1 as isize,
            b.step.0 as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}
