//! The producers' clocks by stream, as far as producers are connected.
//!
//! What the figures are for is unknown here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinora_base::StreamName;

use crate::ingest::drift::{Drift, Measured};

type Shared = Arc<Mutex<Drift>>;

/// See the module. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Clocks(Arc<Mutex<BTreeMap<StreamName, Shared>>>);

/// One producer's clock; forgotten when this is dropped.
#[derive(Debug)]
pub struct ClockWatch {
    clocks: Clocks,
    stream: StreamName,
    drift: Shared,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clocks {
    /// Begins to measure the clock of a producer of `stream`, in place of any other's.
    #[must_use]
    pub fn watch(&self, stream: &StreamName) -> ClockWatch {
        let drift = Shared::default();
        lock(&self.0).insert(stream.clone(), Arc::clone(&drift));
        ClockWatch { clocks: self.clone(), stream: stream.clone(), drift }
    }

    /// What is known of the clock of the producer that is connected to `stream`.
    #[must_use]
    pub fn measured(&self, stream: &StreamName) -> Option<Measured> {
        let drift = Arc::clone(lock(&self.0).get(stream)?);
        lock(&drift).measured()
    }
}

impl ClockWatch {
    /// What is measured.
    pub(super) fn drift(&self) -> MutexGuard<'_, Drift> {
        lock(&self.drift)
    }
}

impl Drop for ClockWatch {
    fn drop(&mut self) {
        let mut clocks = lock(&self.clocks.0);
        if clocks.get(&self.stream).is_some_and(|present| Arc::ptr_eq(present, &self.drift)) {
            clocks.remove(&self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successors_clock_outlives_its_predecessors() {
        let clocks = Clocks::default();
        let stream = StreamName::new("cam").unwrap();
        let note = |watch: &ClockWatch| {
            watch.drift().note(
                kinora_base::WallTime::EARLIEST,
                kinora_base::WallTime::EARLIEST,
                std::time::Duration::ZERO,
            );
        };
        let older = clocks.watch(&stream);
        note(&older);
        let newer = clocks.watch(&stream);
        assert_eq!(clocks.measured(&stream), None);
        note(&newer);
        drop(older);
        assert!(clocks.measured(&stream).is_some());
        drop(newer);
        assert_eq!(clocks.measured(&stream), None);
    }
}
