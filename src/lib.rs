//! Kinora: a self-hosted video fragment service.

pub mod api;
pub mod cli;
pub mod ingest;
pub mod playback;
