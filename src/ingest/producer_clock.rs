//! Media time to producer time: when, in UTC, the producer says that a sample was captured.
//!
//! It keeps one anchor, a media time and the wall time it stands for, and moves it only where the
//! media timeline itself broke. Drift between the producer's clock and ours is left as it is.

use kinora_base::WallTime;

/// How a producer states its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Media time 0 is this wall time (`?start=`).
    Start(WallTime),
    /// Media time counts from 1970 (`?timecode=absolute`).
    Absolute,
    /// The first sample was captured when it arrived, unless the producer sends reference times
    /// (`prft`).
    Arrival,
}

/// A media timeline that goes back further than this before the end of the last fragment was
/// restarted, in microseconds. B-frames and jitter stay below.
const RESTART_US: i64 = 500_000;
/// A media timeline that jumps ahead further than this was restarted, in microseconds. A camera
/// that slept overnight did not restart.
const FORWARD_RESTART_US: i64 = 24 * 3600 * 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct ProducerClock {
    timing: Timing,
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    media_us: i64,
    wall: WallTime,
}

impl ProducerClock {
    pub(crate) fn new(timing: Timing) -> Self {
        let anchor = match timing {
            Timing::Start(wall) => Some(Anchor { media_us: 0, wall }),
            Timing::Absolute => Some(Anchor { media_us: 0, wall: WallTime::EARLIEST }),
            Timing::Arrival => None,
        };
        Self { timing, anchor }
    }

    /// Takes the producer's own statement that `media_us` was captured at `wall`. What the
    /// connection was opened with is stronger.
    pub(crate) fn reference(&mut self, media_us: i64, wall: WallTime) {
        if self.timing == Timing::Arrival {
            self.anchor = Some(Anchor { media_us, wall });
        }
    }

    /// The producer time of a fragment that starts at `media_us` and arrived at `arrival`.
    /// `previous_end` is the media time and the producer time at which the fragment before it
    /// ended; `new_header` says that a new container header came in between.
    ///
    /// With absolute times the producer is always believed. Otherwise a timeline that restarts
    /// goes on where the last fragment ended, or at `arrival` if that is later.
    pub(crate) fn fragment_start(
        &mut self,
        media_us: i64,
        arrival: WallTime,
        previous_end: Option<(i64, WallTime)>,
        new_header: bool,
    ) -> WallTime {
        let ahead_us = previous_end.map_or(0, |(end_us, _)| media_us.saturating_sub(end_us));
        let back = ahead_us < -RESTART_US;
        let restarted = match self.timing {
            Timing::Absolute => false,
            Timing::Start(_) => back && new_header,
            Timing::Arrival => back || ahead_us > FORWARD_RESTART_US,
        };
        let anchor = match self.anchor {
            Some(anchor) if !restarted => anchor,
            _ => {
                let wall = match (self.timing, previous_end) {
                    (Timing::Start(_), Some((_, end))) => end,
                    (_, Some((_, end))) => end.max(arrival),
                    (_, None) => arrival,
                };
                Anchor { media_us, wall }
            }
        };
        self.anchor = Some(anchor);
        anchor.wall.offset_micros(media_us.saturating_sub(anchor.media_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_millis(1_800_000_000_000);

    fn later(seconds: i64) -> WallTime {
        NOW.offset_micros(seconds * 1_000_000)
    }

    fn ended(media_s: i64, wall_s: i64) -> Option<(i64, WallTime)> {
        Some((media_s * 1_000_000, later(wall_s)))
    }

    #[test]
    fn arrival_anchors_once_and_does_not_follow_jitter() {
        let mut clock = ProducerClock::new(Timing::Arrival);
        assert_eq!(clock.fragment_start(5_000_000, NOW, None, true), NOW);
        assert_eq!(clock.fragment_start(6_000_000, later(3), ended(6, 1), false), later(1));
        // Ten minutes without media, on both clocks: an absence, not a restart.
        assert_eq!(clock.fragment_start(606_000_000, later(600), ended(7, 2), false), later(601));
    }

    #[test]
    fn a_restarted_timeline_goes_on_at_arrival_or_where_the_last_fragment_ended() {
        let mut clock = ProducerClock::new(Timing::Arrival);
        clock.fragment_start(60_000_000, NOW, None, true);
        assert_eq!(clock.fragment_start(0, later(9), ended(62, 2), true), later(9));
        assert_eq!(clock.fragment_start(2_000_000, later(9), ended(2, 11), false), later(11));
        assert_eq!(clock.fragment_start(0, later(9), ended(4, 13), true), later(13));
    }

    #[test]
    fn a_stated_start_holds_and_concatenated_files_follow_each_other() {
        let mut clock = ProducerClock::new(Timing::Start(NOW));
        assert_eq!(clock.fragment_start(2_000_000, later(500), None, true), later(2));
        // The same header: the producer's own time went back, and is believed.
        assert_eq!(clock.fragment_start(0, later(500), ended(4, 4), false), NOW);
        assert_eq!(clock.fragment_start(2_000_000, later(500), ended(2, 2), false), later(2));
        assert_eq!(clock.fragment_start(0, later(500), ended(4, 4), true), later(4));
    }

    #[test]
    fn absolute_times_are_always_believed() {
        let mut clock = ProducerClock::new(Timing::Absolute);
        let us = NOW.as_micros();
        assert_eq!(clock.fragment_start(us, later(70), None, true), NOW);
        let end = Some((us + 1_000_000, later(1)));
        assert_eq!(clock.fragment_start(us - 9_000_000, later(71), end, true), later(-9));
    }

    #[test]
    fn a_reference_time_moves_arrival_but_not_a_stated_start() {
        let mut clock = ProducerClock::new(Timing::Arrival);
        clock.reference(1_000_000, later(-3));
        assert_eq!(clock.fragment_start(2_000_000, NOW, None, true), later(-2));
        let mut clock = ProducerClock::new(Timing::Start(NOW));
        clock.reference(1_000_000, later(-3));
        assert_eq!(clock.fragment_start(2_000_000, NOW, None, true), later(2));
    }
}
