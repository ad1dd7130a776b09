//! The order in which producers arrive.
//!
//! What makes one arrive, and what follows from the order, is told elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// A place in the order in which producers arrived at the server: of two, the later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(u64);

/// Gives out places.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(AtomicU64);

impl Arrivals {
    /// The place of whoever arrives now.
    pub(crate) fn next(&self) -> Arrival {
        Arrival(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
