//! Which fragments a stream gives up: a pure function of what it holds, its limits and the time.
//!
//! Pins do not matter here: what they hold stays although it lies below the floor.

use kinora_base::WallTime;

/// What a stream's limits come to at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rule {
    /// Fragments that arrived before this time expire.
    pub(crate) cutoff: Option<WallTime>,
    /// At most so many payload bytes stay.
    pub(crate) most_bytes: Option<u64>,
}

/// A fragment as far as its expiry is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) number: u64,
    pub(crate) server_time: WallTime,
    pub(crate) bytes: u64,
}

/// A segment's fragments at or above the floor, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Latest arrival.
    pub(crate) server_last: WallTime,
    pub(crate) bytes: u64,
}

impl Rule {
    /// Whether a stream that holds `above` bytes, whose oldest fragment arrived at `oldest`, gives
    /// anything up.
    pub(crate) fn wants(&self, above: u64, oldest: Option<WallTime>) -> bool {
        let too_much = self.most_bytes.is_some_and(|most| above > most);
        // An oldest fragment that is unknown may be any age.
        let too_old = self.cutoff.is_some_and(|cutoff| oldest.is_none_or(|oldest| oldest < cutoff));
        too_much || too_old
    }

    /// Whether the oldest segment goes whole, of a stream that holds `above` bytes. If this cannot be
    /// told without looking at its fragments, it does not.
    pub(crate) fn drops_whole(&self, oldest: Whole, above: u64) -> bool {
        let too_old = self.cutoff.is_some_and(|cutoff| oldest.server_last < cutoff);
        let without = above.saturating_sub(oldest.bytes);
        too_old || self.most_bytes.is_some_and(|most| without >= most && oldest.bytes > 0)
    }

    /// How many of `pieces`, the oldest of a stream that holds `above` bytes, go: up to the first
    /// that may stay, in the order of arrival, whatever the clock said behind it.
    pub(crate) fn drops(&self, pieces: &[Piece], mut above: u64) -> usize {
        let goes = |piece: &&Piece| {
            let too_old = self.cutoff.is_some_and(|cutoff| piece.server_time < cutoff);
            let too_much = self.most_bytes.is_some_and(|most| above > most);
            above = above.saturating_sub(piece.bytes);
            too_old || too_much
        };
        pieces.iter().take_while(goes).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(us: i64) -> WallTime {
        WallTime::from_micros(us)
    }

    fn pieces(described: &[(i64, u64)]) -> Vec<Piece> {
        let piece = |(number, (arrived, bytes)): (u64, &(i64, u64))| Piece {
            number,
            server_time: at(*arrived),
            bytes: *bytes,
        };
        (1..).zip(described).map(piece).collect()
    }

    #[test]
    fn age_ends_at_the_first_fragment_that_is_young_enough() {
        let rule = Rule { cutoff: Some(at(20)), most_bytes: None };
        let held = pieces(&[(10, 1), (19, 1), (20, 1), (30, 1)]);
        assert_eq!(rule.drops(&held, 4), 2);
        // A clock that stepped back makes later arrivals look old; they are not judged by it yet.
        assert_eq!(rule.drops(&pieces(&[(10, 1), (25, 1), (5, 1)]), 3), 1);
    }

    #[test]
    fn bytes_end_where_the_rest_fits() {
        let rule = |most| Rule { cutoff: None, most_bytes: Some(most) };
        let held = pieces(&[(1, 10), (2, 20), (3, 30)]);
        let kept = [60, 59, 50, 49, 30, 29, 0].map(|most| rule(most).drops(&held, 60));
        assert_eq!(kept, [0, 1, 1, 2, 2, 3, 3]);
    }

    proptest! {
        /// Judging whole segments first never gives another result than judging each fragment.
        #[test]
        fn whole_segments_go_exactly_when_all_their_fragments_do(
            described in prop::collection::vec((0_i64..50, 1_u64..9), 1..40),
            cutoff in prop::option::of(0_i64..60),
            most in prop::option::of(0_u64..200),
            size in 1_usize..7,
        ) {
            let rule = Rule { cutoff: cutoff.map(at), most_bytes: most };
            let mut described = described;
            described.sort_unstable();
            let held = pieces(&described);
            let total: u64 = held.iter().map(|piece| piece.bytes).sum();
            let expected = rule.drops(&held, total);

            let (mut dropped, mut above) = (0, total);
            for segment in held.chunks(size) {
                let bytes = segment.iter().map(|piece| piece.bytes).sum();
                let server_last = segment.iter().map(|piece| piece.server_time).max().unwrap();
                let gone = if rule.drops_whole(Whole { server_last, bytes }, above) {
                    segment.len()
                } else {
                    rule.drops(segment, above)
                };
                dropped += gone;
                above -= segment.iter().take(gone).map(|piece| piece.bytes).sum::<u64>();
                if gone < segment.len() {
                    break;
                }
            }
            prop_assert_eq!(dropped, expected);
            let left = |from: usize| held.iter().skip(from).map(|piece| piece.bytes).sum::<u64>();
            prop_assert!(rule.wants(total, held.first().map(|piece| piece.server_time)) == (expected > 0));
            prop_assert!(most.is_none_or(|most| left(expected) <= most), "within the limit");
            if expected > 0 {
                let last = held[expected - 1];
                let needed = cutoff.is_some_and(|cutoff| last.server_time < at(cutoff))
                    || most.is_some_and(|most| left(expected - 1) > most);
                prop_assert!(needed, "nothing is given up that could stay");
            }
        }
    }
}
