//! Framing of NAL units, by hand and by random round trips.

use super::*;
use proptest::prelude::*;

fn list(frame: &[u8], framing: Framing) -> Vec<Vec<u8>> {
    units(frame, framing).map(|unit| unit.unwrap().to_vec()).collect()
}

#[test]
fn finds_units_between_start_codes_of_both_lengths() {
    let frame = [0, 0, 0, 1, 0x67, 9, 9, 0, 0, 1, 0x68, 7, 0, 0, 0, 0, 1, 0x65, 1, 2, 3, 0, 0];
    assert_eq!(list(&frame, Framing::StartCodes), [vec![0x67, 9, 9], vec![0x68, 7], vec![0x65, 1, 2, 3]]);
}

#[test]
fn a_length_beyond_the_frame_is_named() {
    let frame = [0, 0, 0, 9, 0x65, 1];
    assert_eq!(
        units(&frame, Framing::Lengths(4)).next().unwrap().unwrap_err(),
        Overrun { length: 9, left: 2 }
    );
    assert_eq!(
        units(&[0, 0], Framing::Lengths(4)).next().unwrap().unwrap_err(),
        Overrun { length: 4, left: 2 }
    );
}

#[test]
fn reframing_drops_empty_units() {
    let frame = [0, 0, 0, 2, 0x65, 0];
    let out = reframe(&frame, Framing::Lengths(2)).unwrap();
    assert_eq!(out[..], [0, 0, 0, 2, 0x65, 0]);
    assert!(reframe(&[], Framing::StartCodes).unwrap().is_empty());
}

#[test]
fn removes_emulation_prevention() {
    let escaped = [1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 2, 3];
    assert_eq!(unescaped(&escaped).collect::<Vec<_>>(), [1, 0, 0, 1, 0, 0, 0, 0, 2, 3]);
}

/// A NAL unit as encoders write it: no start code inside, no zero at the end, not empty.
fn unit() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 1..40).prop_map(|raw| {
        let mut out: Vec<u8> = Vec::new();
        for byte in raw {
            if byte <= 3 && out.ends_with(&[0, 0]) {
                out.push(3);
            }
            out.push(byte);
        }
        out.push(0x80);
        out
    })
}

proptest! {
    #[test]
    fn every_framing_gives_the_same_units(
        wanted in prop::collection::vec(unit(), 1..6), long in any::<bool>(), size in 1_u8..=4
    ) {
        let mut coded = Vec::new();
        let mut counted = Vec::new();
        for unit in &wanted {
            coded.extend_from_slice(if long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
            coded.extend_from_slice(unit);
            let length = (unit.len() as u32).to_be_bytes();
            counted.extend_from_slice(&length[4 - usize::from(size)..]);
            counted.extend_from_slice(unit);
        }
        prop_assert_eq!(&list(&coded, Framing::StartCodes), &wanted);
        prop_assert_eq!(&list(&counted, Framing::Lengths(size)), &wanted);
        prop_assert_eq!(
            reframe(&coded, Framing::StartCodes).unwrap(),
            reframe(&counted, Framing::Lengths(size)).unwrap()
        );
    }

    #[test]
    fn any_bytes_end(frame in prop::collection::vec(any::<u8>(), 0..200), size in 1_u8..=4) {
        let _ = units(&frame, Framing::Lengths(size)).count();
        let _ = units(&frame, Framing::StartCodes).count();
    }
}
