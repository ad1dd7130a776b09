//! Which time recordings are judged by: the wall clock, as long as it agrees with what has passed.
//!
//! It reads no clock: both times come in.

use std::time::Duration;

use kinora_base::WallTime;

/// How far wall and monotonic clock may drift apart between two looks without being called a jump, in
/// microseconds: far more than NTP slews in the seconds between them.
const TOLERANCE_US: i64 = 2_000_000;

/// The time by which recordings expire.
///
/// When the wall clock jumps (somebody set it, it was wrong after a start, or time passed while the
/// server was off: nothing tells these apart), it is not believed before it has shown the new time for
/// as long as the jump was wide. Until then the earlier counts of what the clock says and what it would
/// say without the jump, so recordings are kept longer, never shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trust {
    /// What the clock would say at the last look, had it not jumped.
    expected: WallTime,
    /// When that was.
    at: Duration,
    /// For how long the wall clock has been off by more than the tolerance, in microseconds.
    held_us: i64,
    /// By how much it is ahead, in microseconds; not known before the first look.
    ahead_us: Option<i64>,
}

impl Trust {
    /// Goes on from what was kept of the last run. Without it the wall clock is believed.
    pub(crate) fn resume(kept: Option<(WallTime, i64)>, wall: WallTime, monotonic: Duration) -> Self {
        let (expected, held_us) = kept.unwrap_or((wall, 0));
        let mut trust = Self { expected, at: monotonic, held_us, ahead_us: None };
        trust.look(wall, monotonic);
        trust
    }

    /// The trusted time at this moment.
    pub(crate) fn look(&mut self, wall: WallTime, monotonic: Duration) -> WallTime {
        let passed_us = i64::try_from(monotonic.saturating_sub(self.at).as_micros()).unwrap_or(i64::MAX);
        let expected = self.expected.offset_micros(passed_us);
        self.at = monotonic;
        let ahead_us = wall.micros_since(expected);
        let jumped = self.ahead_us.is_some_and(|before| before.abs_diff(ahead_us) > TOLERANCE_US as u64);
        self.held_us = if jumped { 0 } else { self.held_us.saturating_add(passed_us) };
        if ahead_us.abs() <= TOLERANCE_US || self.held_us >= ahead_us.abs() {
            (self.expected, self.held_us, self.ahead_us) = (wall, 0, Some(0));
            return wall;
        }
        (self.expected, self.ahead_us) = (expected, Some(ahead_us));
        expected.min(wall)
    }

    /// What the next run needs: the time without the jump, and for how long the jump has lasted.
    pub(crate) fn kept(&self) -> (WallTime, i64) {
        (self.expected, self.held_us)
    }

    /// By how much the wall clock is ahead of the time without its jump, in microseconds.
    pub(crate) fn ahead_us(&self) -> i64 {
        self.ahead_us.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;

    fn at(us: i64) -> WallTime {
        WallTime::from_micros(us)
    }

    fn after(us: i64) -> Duration {
        Duration::from_micros(us as u64)
    }

    #[test]
    fn a_clock_in_step_is_believed() {
        let mut trust = Trust::resume(None, at(100 * DAY), after(0));
        for second in 1..100 {
            // One that NTP slews by 500 parts in a million, too.
            let wall = at(100 * DAY + second * (SECOND + 500));
            assert_eq!(trust.look(wall, after(second * SECOND)), wall);
        }
    }

    #[test]
    fn a_jump_forward_is_believed_once_it_has_lasted_as_long_as_it_is_wide() {
        let mut trust = Trust::resume(None, at(0), after(0));
        for second in 1..=3600 {
            let now = trust.look(at(3600 * SECOND + second * SECOND), after(second * SECOND));
            assert_eq!(now, at(second * SECOND), "as if there had been no jump");
            assert_eq!(trust.ahead_us(), 3600 * SECOND);
        }
        let wall = at(7201 * SECOND);
        assert_eq!(trust.look(wall, after(3601 * SECOND)), wall);
        assert_eq!(trust.ahead_us(), 0);
    }

    #[test]
    fn a_jump_forward_that_is_taken_back_changes_nothing() {
        let mut trust = Trust::resume(None, at(0), after(0));
        assert_eq!(trust.look(at(3650 * DAY), after(SECOND)), at(SECOND));
        assert_eq!(trust.look(at(2 * SECOND), after(2 * SECOND)), at(2 * SECOND));
    }

    #[test]
    fn a_jump_back_makes_everything_younger_until_it_is_taken_back() {
        let mut trust = Trust::resume(None, at(100 * DAY), after(0));
        assert_eq!(trust.look(at(DAY), after(SECOND)), at(DAY));
        // A machine whose clock is wrong until the network sets it.
        assert_eq!(trust.look(at(100 * DAY + 2 * SECOND), after(2 * SECOND)), at(100 * DAY + 2 * SECOND));
        assert_eq!(trust.ahead_us(), 0);
    }

    #[test]
    fn one_jump_does_not_vouch_for_another() {
        let mut trust = Trust::resume(None, at(0), after(0));
        trust.look(at(10 * DAY), after(0));
        trust.look(at(15 * DAY), after(5 * DAY));
        assert_eq!(trust.look(at(8 * DAY), after(5 * DAY)), at(5 * DAY), "new, and only a second old");
        assert_eq!(trust.look(at(11 * DAY), after(8 * DAY)), at(11 * DAY));
    }

    #[test]
    fn time_that_passed_while_the_server_was_off_is_made_good_over_several_runs() {
        let mut kept = Some((at(0), 0));
        let mut wall = 10 * DAY;
        for run in 1..=5 {
            let mut trust = Trust::resume(kept, at(wall), after(7));
            wall += 2 * DAY;
            let now = trust.look(at(wall), after(7 + 2 * DAY));
            assert_eq!(now, if run < 5 { at(run * 2 * DAY) } else { at(wall) });
            kept = Some(trust.kept());
        }
    }
}
