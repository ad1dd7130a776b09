//! Decoding times: by hand, and by random streams. `demux_test` compares with real encoders.

use super::*;
use proptest::prelude::*;

const FRAME: i64 = 40;

fn run(reorder: &mut Reorder, pts: &[i64]) -> Vec<i64> {
    pts.iter().enumerate().map(|(i, pts)| reorder.next(*pts, i == 0)).collect()
}

#[test]
fn without_reordering_both_times_are_equal() {
    let pts = [0, 40, 80, 121, 160];
    assert_eq!(run(&mut Reorder::new(1000, 0, 40), &pts), pts);
}

#[test]
fn a_pyramid_is_decoded_two_frames_ahead() {
    let pts = [0, 160, 80, 40, 120, 320, 240, 200, 280];
    assert_eq!(run(&mut Reorder::new(1000, 2, 40), &pts), [-80, -40, 0, 40, 80, 120, 160, 200, 240]);
}

#[test]
fn an_untold_depth_is_learnt_from_the_stream() {
    let mut reorder = Reorder::new(1000, 0, 40);
    let dts = run(&mut reorder, &[0, 160, 80, 40, 120, 320, 240, 200, 280, 480, 400, 360, 440]);
    assert_eq!(dts, [0, 160, 161, 162, 163, 164, 165, 200, 240, 280, 320, 360, 400]);
    assert_eq!(reorder.depth(), 2);
}

#[test]
fn equal_times_are_moved_apart_by_one_tick() {
    assert_eq!(run(&mut Reorder::new(1000, 0, 40), &[0, 40, 40, 40, 80]), [0, 40, 41, 42, 80]);
    assert_eq!(run(&mut Reorder::new(1000, 1, 40), &[0, 40, 40, 80, 120]), [-40, 0, 40, 41, 80]);
}

#[test]
fn a_key_frame_behind_everything_begins_anew() {
    let mut reorder = Reorder::new(1000, 0, 40);
    run(&mut reorder, &[5000, 5040, 5080]);
    assert_eq!(reorder.next(4000, true), 4000);
    assert_eq!(reorder.next(4040, false), 4040);
    let mut reorder = Reorder::new(1000, 2, 40);
    run(&mut reorder, &[5000, 5080, 5040]);
    assert_eq!(reorder.next(0, true), -80);
}

#[test]
fn a_key_frame_that_jitters_back_is_no_discontinuity() {
    let mut reorder = Reorder::new(1000, 0, 40);
    run(&mut reorder, &[0, 40, 80]);
    assert_eq!(reorder.next(75, true), 81);
    assert_eq!(reorder.depth(), 0, "nothing that is shown earlier follows a key frame");
}

#[test]
fn a_step_of_the_clock_begins_anew_in_either_direction() {
    for (step, restarts) in [(-1_000, false), (-3_000, true), (9_000, false), (11_000, true)] {
        let mut reorder = Reorder::new(1000, 1, 40);
        run(&mut reorder, &[100_000, 100_040, 100_080]);
        let dts = reorder.next(100_080 + step, false);
        assert_eq!(dts == 100_080 + step - 40, restarts, "step {step} gives {dts}");
    }
}

#[test]
fn the_ends_of_the_axis_do_not_overflow() {
    let mut reorder = Reorder::new(u32::MAX, 16, u32::MAX);
    for pts in [i64::MAX, i64::MIN, 0, i64::MIN, i64::MAX, i64::MAX] {
        reorder.next(pts, false);
        reorder.next(pts, true);
    }
}

#[test]
fn a_deeper_configuration_goes_on_increasing() {
    let mut reorder = Reorder::new(1000, 0, 40);
    let mut dts = run(&mut reorder, &[0, 40, 80]);
    reorder.set_depth(2);
    dts.extend(run(&mut reorder, &[120, 280, 200, 160, 240]));
    assert!(dts.windows(2).all(|pair| pair[0] < pair[1]), "{dts:?}");
    assert_eq!(dts[5..], [120, 160, 200]);
}

/// Frame numbers in decoding order: groups of an anchor and the frames shown before it, which
/// are in any order.
fn stream() -> impl Strategy<Value = Vec<i64>> {
    let group =
        (0_usize..8).prop_flat_map(|count| Just((0..count as i64).collect::<Vec<_>>()).prop_shuffle());
    prop::collection::vec(group, 1..30).prop_map(|groups| {
        let mut order = vec![0];
        for group in groups {
            let start = order.len() as i64;
            order.push(start + group.len() as i64);
            order.extend(group.iter().map(|frame| start + frame));
        }
        order
    })
}

/// How many frames at most are decoded before a frame and shown after it.
fn true_depth(order: &[i64]) -> u8 {
    let before = |i: usize| order[..i].iter().filter(|other| **other > order[i]).count();
    (0..order.len()).map(before).max().unwrap_or(0) as u8
}

proptest! {
    #[test]
    fn a_true_depth_gives_the_times_of_a_steady_decoder(order in stream(), start in -10_000_i64..10_000) {
        let depth = true_depth(&order);
        let pts: Vec<i64> = order.iter().map(|frame| start + frame * FRAME).collect();
        let dts = run(&mut Reorder::new(1000, depth, FRAME as u32), &pts);
        let steady: Vec<i64> = (0..pts.len() as i64).map(|i| start + (i - i64::from(depth)) * FRAME).collect();
        prop_assert_eq!(&dts, &steady);
        prop_assert!(dts.iter().zip(&pts).all(|(dts, pts)| dts <= pts));
    }

    #[test]
    fn a_false_depth_still_increases_and_is_corrected(order in stream(), told in 0_u8..4) {
        let depth = true_depth(&order);
        let pts: Vec<i64> = order.iter().map(|frame| frame * FRAME).collect();
        let mut reorder = Reorder::new(1000, told, FRAME as u32);
        let dts = run(&mut reorder, &pts);
        prop_assert!(dts.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", dts);
        prop_assert!(reorder.depth() >= depth.min(MAX_DEPTH), "{} < {}", reorder.depth(), depth);
        prop_assert!(reorder.depth() <= depth.max(told), "{} > {}", reorder.depth(), depth);
    }

    #[test]
    fn any_times_end_in_runs_that_increase(
        frames in prop::collection::vec((prop_oneof![-100_i64..100, any::<i64>()], any::<bool>()), 1..200),
        depth in 0_u8..20, timescale in any::<u32>(), frame in any::<u32>(),
    ) {
        let mut reorder = Reorder::new(timescale, depth, frame);
        let mut last = None;
        for (pts, key) in frames {
            let begins = reorder.is_discontinuity(pts, key);
            let dts = reorder.next(pts, key);
            if let Some(last) = last.filter(|last| !begins && *last < i64::MAX) {
                prop_assert!(dts > last);
            }
            last = Some(dts);
        }
    }
}
