//! Tests of h265.
