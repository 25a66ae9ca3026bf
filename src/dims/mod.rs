//! The dimension algebra: terms, unification, freezing, explanations.
