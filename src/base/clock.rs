//! The seam through which time enters: one trait, and the clock that tests turn by hand.
//!
//! It does not read the machine's clock; the implementation that does lives in `cli`.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::WallTime;

/// A source of time.
///
/// Wall time may step in either direction; monotonic time never goes back, counts from an
/// arbitrary origin and is what spans are measured with.
pub trait Clock: Send + Sync + Debug {
    /// The present UTC time, as good as the machine knows it.
    fn wall(&self) -> WallTime;
    /// Time since an arbitrary origin, never decreasing within one process.
    fn monotonic(&self) -> Duration;
}

/// A clock that moves only when told to. Wall and monotonic time move apart with
/// [`ManualClock::step_wall`], as they do when an operator or NTP steps a real clock.
#[derive(Debug)]
pub struct ManualClock {
    wall_us: AtomicI64,
    monotonic_us: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `wall` and stands still.
    #[must_use]
    pub fn at(wall: WallTime) -> Self {
        Self { wall_us: AtomicI64::new(wall.as_micros()), monotonic_us: AtomicU64::new(0) }
    }

    /// Lets `span` pass on both the wall and the monotonic clock.
    pub fn advance(&self, span: Duration) {
        let us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.monotonic_us.fetch_add(us, Ordering::SeqCst);
        self.wall_us.fetch_add(i64::try_from(us).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock without letting monotonic time pass.
    pub fn step_wall(&self, wall: WallTime) {
        self.wall_us.store(wall.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.wall_us.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_us.load(Ordering::SeqCst))
    }
}
