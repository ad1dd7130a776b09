//! Tests of vp9.
