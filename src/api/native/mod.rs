//! The native dialect: JSON and NDJSON over `/v1`.

mod cacheable;
pub mod damages;
pub mod fragments;
pub mod gaps;
pub mod hls;
pub mod login;
pub mod media;
mod query;
pub mod retention;
pub mod streams;
pub mod timeline;
