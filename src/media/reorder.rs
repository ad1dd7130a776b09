//! Decoding times from presentation times and the reorder depth.
