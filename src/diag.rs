//! Spans and diagnostics: whatever points into a source.
