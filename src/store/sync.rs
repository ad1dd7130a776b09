//! Locking without poison: a panic elsewhere must not take every stream down with it.
//!
//! It does not know what is locked. Sections guarded this way leave their data consistent at
//! every point where they could unwind.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, whether or not a holder panicked before.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
