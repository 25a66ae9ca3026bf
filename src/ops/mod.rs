//! The operator set: one file per operator or family.
