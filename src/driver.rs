//! The pipelines, as straight lines.
