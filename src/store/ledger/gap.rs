//! An absence, and which stop explains it.

use kinora_base::WallTime;

use super::{Cause, Stop};
use crate::Run;

/// An absence: a stretch of producer time that no fragment covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where media ends.
    pub start: WallTime,
    /// Where it goes on; none while it does not.
    pub end: Option<WallTime>,
    /// Why.
    pub cause: Cause,
    /// More in words; may be empty.
    pub detail: String,
    /// Server time at which the end of media was noticed, if it was.
    pub noticed: Option<WallTime>,
}

impl Gap {
    /// The absence from `start` to `end`, which `stop` explains.
    pub(crate) fn new(start: WallTime, end: Option<WallTime>, stop: Option<Stop>) -> Self {
        match stop {
            Some(Stop { cause, detail, noticed, .. }) => {
                Self { start, end, cause, detail, noticed: Some(noticed) }
            }
            None => Self { start, end, cause: Cause::Unknown, detail: String::new(), noticed: None },
        }
    }

    /// The times of stops that can explain an absence from `start` to `end`: before it only as far
    /// as holes are too small to be absences, so that the cause of an earlier one is not taken.
    pub(crate) fn explained_from(start: WallTime) -> WallTime {
        start.offset_micros(-Run::LARGEST_HOLE_US)
    }

    /// Up to when a stop lies at the start of an absence, and not inside it.
    pub(crate) fn explained_to(start: WallTime) -> WallTime {
        start.offset_micros(Run::LARGEST_HOLE_US)
    }
}

/// Of `stops`, oldest first, the one that explains an absence from `start` to `end`: the one
/// nearest to its start; of several as near, the newest.
pub(crate) fn nearest<'a>(
    stops: impl IntoIterator<Item = &'a Stop>,
    start: WallTime,
    end: Option<WallTime>,
) -> Option<&'a Stop> {
    let from = Gap::explained_from(start);
    let belongs = |stop: &&Stop| stop.ended >= from && end.is_none_or(|end| stop.ended < end);
    // `min_by_key` gives the first of equals, and the newest is the last.
    let mut best: Option<&Stop> = None;
    for stop in stops.into_iter().filter(belongs) {
        let distance = |stop: &Stop| stop.ended.micros_since(start).saturating_abs();
        if best.is_none_or(|best| distance(stop) <= distance(best)) {
            best = Some(stop);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> WallTime {
        WallTime::from_millis(1_800_000_000_000 + ms)
    }

    fn stop(ended_ms: i64, cause: Cause) -> Stop {
        Stop::new((at(ended_ms), at(ended_ms)), cause, "", 1)
    }

    #[test]
    fn the_stop_nearest_to_the_start_explains_and_the_newest_of_equals() {
        let stops = [
            stop(0, Cause::ClockStep),
            stop(10_000, Cause::ConnectionLost),
            stop(9_800, Cause::ProducerStopped),
            stop(12_000, Cause::DiskRefused),
            stop(10_000, Cause::Stall),
            stop(40_000, Cause::ServerDown),
        ];
        let cause = |start, end: Option<i64>| nearest(&stops, at(start), end.map(at)).map(|stop| stop.cause);
        assert_eq!(cause(10_000, Some(20_000)), Some(Cause::Stall));
        assert_eq!(cause(11_500, Some(20_000)), Some(Cause::DiskRefused));
        assert_eq!(cause(20_000, Some(30_000)), None);
        assert_eq!(cause(20_000, None), Some(Cause::ServerDown));
        assert_eq!(cause(10_300, Some(10_400)), Some(Cause::Stall), "within a hole's length");
        assert_eq!(cause(10_501, Some(10_600)), None);
        assert_eq!(cause(-1, Some(0)), None, "the end belongs to what follows");
    }

    #[test]
    fn codes_are_kept_and_details_are_cut() {
        for cause in Cause::ALL.into_iter().take(8) {
            assert_eq!(Cause::from_code(cause.code()), cause);
        }
        let codes: Vec<u16> = Cause::ALL.into_iter().map(Cause::code).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0]);
        assert_eq!(Cause::from_code(0), Cause::Unknown);
        assert_eq!(Cause::from_code(999), Cause::Unknown);
        let long = Stop::new((at(0), at(0)), Cause::Stall, &"é".repeat(600), 1);
        assert_eq!(long.detail.len(), Stop::MAX_DETAIL_BYTES);
        let long = Stop::new((at(0), at(0)), Cause::Stall, &format!("x{}", "é".repeat(600)), 1);
        assert_eq!(long.detail.len(), Stop::MAX_DETAIL_BYTES - 1);
    }
}
