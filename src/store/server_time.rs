//! When things arrive, so that the order of server times is the order of arrival though the
//! machine's clock is set.
//!
//! A clock that was set forward is believed at once. After one that was set back, time goes on
//! from where it was at half its pace until the clock has caught up: an hour too much is gone in
//! two. Who asks, and for what, is unknown here.

use std::time::Duration;

use kinora_base::WallTime;

/// A clock set back further than this was wrong by more than anybody wants to see made up for, in
/// microseconds: it is believed, and order is lost once.
const LARGEST_STEP_US: i64 = 24 * 3600 * 1_000_000;

/// The newest server time given out, and when that was on the monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerTime(Option<(WallTime, Duration)>);

impl ServerTime {
    /// Goes on after `newest`, given out by an earlier process.
    pub(crate) fn after(newest: Option<WallTime>, monotonic: Duration) -> Self {
        Self(newest.map(|newest| (newest, monotonic)))
    }

    /// The server time of what arrives now, when the clocks show this.
    pub(crate) fn next(&mut self, wall: WallTime, monotonic: Duration) -> WallTime {
        let least = self.0.map(|(newest, at)| newest.plus(monotonic.saturating_sub(at) / 2));
        let time = match least {
            Some(least) if least.micros_since(wall) <= LARGEST_STEP_US => wall.max(least),
            _ => wall,
        };
        self.0 = Some((time, monotonic));
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: WallTime = WallTime::from_millis(1_800_000_000_000);
    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> WallTime {
        NOON.offset_micros(seconds * 1_000_000)
    }

    /// Server times of something that arrives each second, while the clock is off by `step(s)`.
    fn times(seconds: i64, step: impl Fn(i64) -> i64) -> Vec<WallTime> {
        let mut time = ServerTime::default();
        let given = |s: i64| time.next(at(s + step(s)), Duration::from_secs(s as u64));
        (0..seconds).map(given).collect()
    }

    #[test]
    fn a_clock_that_runs_is_believed() {
        assert_eq!(times(5, |_| 0), [at(0), at(1), at(2), at(3), at(4)]);
        assert_eq!(times(12, |s| if s < 10 { 0 } else { HOUR })[10..], [at(10 + HOUR), at(11 + HOUR)]);
    }

    #[test]
    fn a_clock_set_back_an_hour_is_caught_up_with_in_order() {
        let times = times(3 * HOUR, |s| if s < 10 { 0 } else { -HOUR });
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "in order, and no two the same");
        assert_eq!(times[11].micros_since(times[10]), 500_000);
        let caught_up = times.iter().enumerate().skip(10).find(|(s, time)| **time == at(*s as i64 - HOUR));
        assert!(caught_up.is_some_and(|(s, _)| (2 * HOUR..2 * HOUR + 30).contains(&(s as i64))));
    }

    #[test]
    fn a_year_too_much_is_not_made_up_for() {
        let times = times(20, |s| if s < 10 { 365 * 24 * HOUR } else { 0 });
        assert_eq!(times[10], at(10));
    }
}
