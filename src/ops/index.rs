//! Counting through row-major tensors: strides, broadcasting, and all index tuples of a shape.

/// Elements between neighbours along each axis of a row-major tensor.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Strides of an operand seen in the (broadcast) shape of the result: 0 along axes that it repeats over.
pub fn broadcast_strides(shape: &[usize], result: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    (0..result.len())
        .map(
            |axis| match (axis + shape.len()).checked_sub(result.len()) {
                Some(i) if shape[i] != 1 => own[i],
                _ => 0,
            },
        )
        .collect()
}

/// For every index tuple of `shape` in row-major order: its offset under each list of strides.
pub fn walk<const N: usize>(
    shape: &[usize],
    strides: [&[usize]; N],
    mut visit: impl FnMut([usize; N]),
) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    let mut at = [0; N];
    loop {
        visit(at);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            for (at, strides) in at.iter_mut().zip(&strides) {
                *at += strides[axis];
            }
            if index[axis] < shape[axis] {
                break;
            }
            for (at, strides) in at.iter_mut().zip(&strides) {
                *at -= strides[axis] * shape[axis];
            }
            index[axis] = 0;
        }
    }
}

/// The index tuple of a row-major offset.
pub fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}
