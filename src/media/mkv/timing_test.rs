//! The clock against hours of container times: exact where they are a grid, close where not.

use proptest::prelude::*;

use super::{NS, Timing, boundary};

/// Container times of exact ones, as muxers round them.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    Down,
    Nearest,
    Up,
}

impl Rounding {
    /// Samples at `rate` in ticks of `scale_ns`.
    fn ticks(self, samples: i64, rate: u32, scale_ns: u64) -> i64 {
        let exact = i128::from(samples) * NS;
        let tick = i128::from(rate) * i128::from(scale_ns);
        let bias = match self {
            Self::Down => 0,
            Self::Nearest => tick / 2,
            Self::Up => tick - 1,
        };
        i64::try_from((exact + bias).div_euclid(tick)).unwrap()
    }
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::Down), Just(Rounding::Nearest), Just(Rounding::Up)]
}

/// How far `ticks` at `rate` is from what the container says, in billionths of a tick.
fn distance(ticks: i64, raw: i64, rate: u32, scale_ns: u64) -> i128 {
    (i128::from(ticks) * NS - i128::from(raw) * i128::from(scale_ns) * i128::from(rate)).abs()
}

#[test]
fn hours_of_aac_stay_exactly_1024_apart_however_the_muxer_rounds() {
    for rounding in [Rounding::Down, Rounding::Nearest, Rounding::Up] {
        for rate in [44_100, 48_000] {
            for start in [1, 86_167_709_521_680] {
                let mut timing = Timing::audio(1_000_000, rate, 0);
                let mut first = None;
                for index in 0..(i64::from(rate) * 10_800 / 1024) {
                    let raw = rounding.ticks(start + index * 1024, rate, 1_000_000);
                    let ticks = timing.at(raw, Some(1024)).unwrap();
                    let first = *first.get_or_insert(ticks);
                    assert_eq!(ticks - first, index * 1024, "{rounding:?} {rate} frame {index}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_time_is_further_from_the_container_than_a_tick_and_half_a_sample(
        rate in prop_oneof![Just(8_000_u32), Just(44_100), Just(48_000), 1_u32..1_000_000],
        scale_ns in prop_oneof![Just(1_000_000_u64), Just(11_111), Just(1), 1_u64..5_000_000],
        length in prop_oneof![Just(Some(1024_u32)), Just(None), (0_u32..100_000).prop_map(Some)],
        steps in prop::collection::vec((-3_i64..200, prop::option::weighted(0.02, -1_000_000_i64..1_000_000_000)), 1..300),
        start in -1_000_000_i64..2_000_000_000_000,
        delay_ns in prop_oneof![Just(0_u64), Just(6_500_000)],
    ) {
        let mut timing = Timing::audio(scale_ns, rate, delay_ns);
        let mut raw = start;
        let mut last: Option<(i64, i64)> = None;
        for (step, jump) in steps {
            raw = jump.map_or(raw + step, |jump| raw + jump);
            let ticks = timing.at(raw, length).unwrap();
            let delay = i128::from(delay_ns) * i128::from(rate);
            let said = i128::from(raw) * i128::from(scale_ns) * i128::from(rate) - delay;
            let off = (i128::from(ticks) * NS - said).abs();
            prop_assert!(off <= i128::from(scale_ns) * i128::from(rate) + NS / 2, "{off} off at {raw}");
            if let Some((last_raw, last_ticks)) = last {
                prop_assert!(raw < last_raw || ticks >= last_ticks, "a step back at {raw}");
            }
            last = Some((raw, ticks));
        }
    }

    #[test]
    fn frames_of_any_lengths_keep_them_exactly(
        rounding in rounding(),
        rate in prop_oneof![Just(44_100_u32), Just(48_000), Just(16_000)],
        start in 0_i64..80_000_000_000_000,
        lengths in prop::collection::vec(1_u32..6_000, 1..500),
    ) {
        let mut timing = Timing::audio(1_000_000, rate, 0);
        let mut at = start;
        let mut first = None;
        for length in lengths {
            let ticks = timing.at(rounding.ticks(at, rate, 1_000_000), Some(length)).unwrap();
            let first = *first.get_or_insert(ticks);
            prop_assert_eq!(ticks - first, at - start);
            at += i64::from(length);
        }
    }

    #[test]
    fn odd_segment_ticks_are_rounded_one_by_one(scale_ns in 1_u64..5_000_000_000, raw in -(1_i64 << 40)..(1 << 40)) {
        let mut timing = Timing::new(scale_ns);
        let ticks = timing.at(raw, None).unwrap();
        let off = distance(ticks, raw, timing.timescale(), scale_ns);
        prop_assert!(off * 2 <= NS, "{} at {}", off, timing.timescale());
    }

    #[test]
    fn no_numbers_overflow(
        scale_ns in 1_u64..=3_600_000_000_000, rate in 1_u32.., delay_ns: u64,
        raw in prop::collection::vec(prop::num::i64::ANY, 1..9), samples: Option<u32>,
    ) {
        for mut timing in [Timing::audio(scale_ns, rate, delay_ns), Timing::new(scale_ns)] {
            for &raw in &raw {
                if let Some(ticks) = timing.at(raw, samples) {
                    let _ = timing.next_in_lace(ticks, u32::MAX, samples);
                }
                let _ = timing.span(raw.unsigned_abs(), samples);
                let _ = timing.span_ns(raw.unsigned_abs());
            }
            let _ = boundary(raw[0].unsigned_abs(), scale_ns);
        }
    }
}

#[test]
fn a_gap_anchors_anew_and_the_grid_goes_on_behind_it() {
    let mut timing = Timing::audio(1_000_000, 48_000, 0);
    let mut times = Vec::new();
    for raw in [0, 21, 43, 5000, 5021, 5043] {
        times.push(timing.at(raw, Some(1024)).unwrap());
    }
    assert_eq!(times, [0, 1024, 2048, 240_000, 241_024, 242_048]);
}

#[test]
fn a_clock_that_runs_two_percent_fast_is_followed() {
    let mut timing = Timing::audio(1_000_000, 48_000, 0);
    for index in 0..200_000_i64 {
        let raw = index * 1024 * 1000 / 48_000 * 102 / 100;
        let ticks = timing.at(raw, Some(1024)).unwrap();
        assert!(distance(ticks, raw, 48_000, 1_000_000) <= 48 * NS + NS / 2);
    }
}

#[test]
fn video_keeps_the_segments_ticks_where_they_divide_a_second() {
    for (scale_ns, timescale) in
        [(1_000_000, 1000), (100_000, 10_000), (1_000, 1_000_000), (11_111, 1_000_000), (1, 1_000_000)]
    {
        assert_eq!(Timing::new(scale_ns).timescale(), timescale, "{scale_ns}");
    }
    let mut wished_90_khz = Timing::new(11_111);
    // 324 000 000 ticks are an hour at 90 kHz and 36 ms less at 11 111 ns: what is written counts.
    assert_eq!(wished_90_khz.at(324_000_000, None), Some(3_599_964_000));
}

#[test]
fn a_duration_that_is_the_rounding_of_the_frames_own_is_the_frames_own() {
    let timing = Timing::audio(1_000_000, 48_000, 0);
    assert_eq!(timing.span(21, Some(1024)), 1024);
    assert_eq!(timing.span(10, Some(1024)), 480, "the last frame is cut");
    assert_eq!(timing.span(u64::MAX, None), u32::MAX);
}
