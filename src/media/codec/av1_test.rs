//! Tests of av1.
