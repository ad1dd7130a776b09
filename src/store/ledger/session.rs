//! What one writer has stored so far, as far as the ledger wants to know: where its media ends,
//! and whether a fragment continues there.

use kinora_base::WallTime;

use super::{Cause, Stop};
use crate::{Begin, Run};

/// The media of one writer.
#[derive(Debug, Default)]
pub(crate) struct Session {
    last: Option<Last>,
}

/// Its newest fragment.
#[derive(Debug, Clone, Copy)]
struct Last {
    end: WallTime,
    /// When its end must have arrived, had it come in real time.
    arrived: WallTime,
    number: u64,
}

impl Session {
    /// Notes a finished fragment. Gives a stop if the one before it ended elsewhere: the producer
    /// paused, or its time jumped. A `repeated` fragment was judged when it was stored.
    pub(crate) fn finished(
        &mut self,
        begin: &Begin,
        duration_us: u64,
        number: u64,
        repeated: bool,
    ) -> Option<Stop> {
        let duration_us = i64::try_from(duration_us).unwrap_or(i64::MAX);
        let before = self.last.replace(Last {
            end: begin.producer_time.offset_micros(duration_us),
            arrived: begin.server_time.offset_micros(duration_us),
            number: self.last.map_or(number, |last| last.number.max(number)),
        });
        before.filter(|_| !repeated)?.jump_to(begin)
    }

    /// Where its media ends, and the highest number of its fragments; none before there is any.
    pub(crate) fn end(&self) -> Option<(WallTime, u64)> {
        self.last.map(|last| (last.end, last.number))
    }
}

impl Last {
    fn jump_to(self, next: &Begin) -> Option<Stop> {
        let jump_us = next.producer_time.micros_since(self.end);
        if jump_us.saturating_abs() <= Run::LARGEST_HOLE_US {
            return None;
        }
        let waited_us = next.server_time.micros_since(self.arrived);
        // If about as much time went by here, nothing came; else the producer's clock moved.
        let paused = jump_us > 0 && waited_us >= jump_us / 2;
        let seconds = |us: i64| us as f64 / 1e6;
        let (cause, detail) = if paused {
            (Cause::Stall, format!("the producer delivered nothing for {:.1} s", seconds(jump_us)))
        } else {
            let way = if jump_us > 0 { "ahead" } else { "back" };
            let by = seconds(jump_us.saturating_abs());
            (Cause::ClockStep, format!("the producer's time jumped {way} by {by:.1} s"))
        };
        Some(Stop::new((self.end, next.server_time), cause, &detail, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConfigurationId;

    const NOON: WallTime = WallTime::from_millis(1_800_000_000_000);

    fn begin(producer_s: i64, server_s: i64) -> Begin {
        Begin {
            producer_time: NOON.offset_micros(producer_s * 1_000_000),
            server_time: NOON.offset_micros(server_s * 1_000_000),
            media_us: 0,
            configuration: ConfigurationId(1),
            discontinuity: false,
        }
    }

    /// What a session of one-second fragments at these times (producer, server) is told.
    fn stops(times: &[(i64, i64)]) -> Vec<(i64, Cause, u64)> {
        let mut session = Session::default();
        let judged = times.iter().enumerate().filter_map(|(index, (producer_s, server_s))| {
            session.finished(&begin(*producer_s, *server_s), 1_000_000, index as u64 + 1, false)
        });
        judged.map(|stop| (stop.ended.micros_since(NOON) / 1_000_000, stop.cause, stop.number)).collect()
    }

    #[test]
    fn media_that_goes_on_is_no_stop_however_it_arrives() {
        assert_eq!(stops(&[(0, 0), (1, 1), (2, 60), (3, 60), (4, 60)]), []);
    }

    #[test]
    fn a_pause_is_told_from_a_clock_that_jumps() {
        assert_eq!(stops(&[(0, 0), (1, 1), (32, 32)]), [(2, Cause::Stall, 2)]);
        assert_eq!(stops(&[(0, 0), (1, 1), (3602, 2)]), [(2, Cause::ClockStep, 2)]);
        assert_eq!(
            stops(&[(0, 0), (100, 1), (50, 2)]),
            [(1, Cause::ClockStep, 1), (101, Cause::ClockStep, 2)]
        );
    }

    #[test]
    fn what_is_sent_again_is_not_judged_again() {
        let mut session = Session::default();
        assert_eq!(session.finished(&begin(0, 100), 1_000_000, 1, true), None);
        assert_eq!(session.finished(&begin(50, 100), 1_000_000, 9, true), None);
        assert_eq!(session.finished(&begin(51, 101), 1_000_000, 12, false), None);
        assert_eq!(session.end(), Some((NOON.offset_micros(52_000_000), 12)));
    }
}
