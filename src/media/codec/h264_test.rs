//! Tests of h264.
