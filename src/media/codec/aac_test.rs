//! Tests of aac.
