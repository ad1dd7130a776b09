//! The machine's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kinora_base::{Clock, WallTime};

/// Reads the operating system's clocks.
#[derive(Debug)]
pub(super) struct SystemClock {
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is where time enters the program")]
impl SystemClock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where time enters the program")]
impl Clock for SystemClock {
    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime::EARLIEST.plus(since)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}
