//! A set of tracks as stored bytes.
