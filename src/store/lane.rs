//! The queue in front of one committer thread.
//!
//! What waits in it is unknown here.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::sync::lock;

/// How a committer shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// After everything that is queued.
    Drained,
    /// At once, as in a crash.
    Abruptly,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: Vec<T>,
    stop: Option<Stop>,
}

/// What waits for one committer.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    queue: Mutex<Queue<T>>,
    wake: Condvar,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue { waiting: Vec::new(), stop: None }), wake: Condvar::new() }
    }
}

impl<T> Lane<T> {
    /// Adds one that waits.
    pub(crate) fn push(&self, item: T) {
        lock(&self.queue).waiting.push(item);
        self.wake.notify_one();
    }

    /// Makes the committer end.
    pub(crate) fn stop(&self, stop: Stop) {
        let mut queue = lock(&self.queue);
        queue.stop = Some(stop);
        if stop == Stop::Abruptly {
            queue.waiting.clear();
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// What waits now.
    pub(crate) fn waiting(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.queue).waiting)
    }

    /// Waits until something waits; none when it is time to end.
    pub(crate) fn next(&self) -> Option<Vec<T>> {
        let mut queue = lock(&self.queue);
        loop {
            match queue.stop {
                Some(Stop::Abruptly) => return None,
                Some(Stop::Drained) if queue.waiting.is_empty() => return None,
                _ if !queue.waiting.is_empty() => return Some(std::mem::take(&mut queue.waiting)),
                _ => queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
