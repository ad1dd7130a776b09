//! Tests of opus.
