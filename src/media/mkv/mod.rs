//! Matroska in and out.
