//! The index of sealed segments: one row each in `meta.db`, and the questions it answers.
//!
//! It holds nothing that the data files do not, and knows nothing of open segments.

mod coverage;
mod damages;
mod database;
mod row;
mod runs;
mod segments;
mod stops;
mod streams;

pub(crate) use database::Database;
pub(crate) use row::{SegmentRow, Span};
pub(crate) use runs::merge_runs;
pub(crate) use segments::Beginning;
pub(crate) use streams::{StreamRow, Totals, Watermark};
