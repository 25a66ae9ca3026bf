//! Host tensors: data types, extents, mapped files, tolerances.
