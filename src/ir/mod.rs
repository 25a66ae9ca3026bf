//! The program: modules, values, params, the table of dims, propagation.
