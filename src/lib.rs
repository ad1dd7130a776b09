//! Kinora: a self-hosted video fragment service.

pub mod ingest;
pub mod playback;
