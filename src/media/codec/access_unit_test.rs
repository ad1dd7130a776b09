//! Tests of access_unit.
