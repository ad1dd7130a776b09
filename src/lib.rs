//! Kinora: a self-hosted video fragment service.

pub mod ingest;
