//! The index of sealed segments: one row each in `meta.db`, and the questions it answers.
//!
//! It holds nothing that the data files do not, and knows nothing of open segments.

mod cache;
mod database;
mod row;
mod runs;

pub(crate) use cache::Cache;
pub(crate) use database::{Beginning, Database, StreamRow, Totals, Watermark};
pub(crate) use row::{SegmentRow, Span};
pub(crate) use runs::merge_runs;
