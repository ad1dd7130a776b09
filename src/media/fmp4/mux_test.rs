//! Fragment heads against an independent reader and committed bytes.

//! Fragment heads against golden bytes and against an independent reader.

use super::super::golden::assert_golden;
use super::*;
use mp4_atom::{Any, Decode, Moof, Styp};
use proptest::prelude::*;

fn sample(duration_ticks: u32, size_bytes: u32, sync: bool) -> RunSample {
    RunSample { duration_ticks, size_bytes, sync, composition_offset_ticks: 0 }
}

/// The boxes of a head, and the size that its `mdat` header announces.
fn read(head: &[u8]) -> (Option<Styp>, Moof, u64) {
    let mut rest = head;
    let mut styp = None;
    let moof = loop {
        match Any::decode(&mut rest).unwrap() {
            Any::Styp(read) => styp = Some(read),
            Any::Moof(moof) => break moof,
            other => panic!("{other:?}"),
        }
    };
    let size = match rest {
        [0, 0, 0, 1, b'm', b'd', b'a', b't', size @ ..] => u64::from_be_bytes(size.try_into().unwrap()),
        [a, b, c, d, b'm', b'd', b'a', b't'] => u32::from_be_bytes([*a, *b, *c, *d]).into(),
        other => panic!("{other:?}"),
    };
    (styp, moof, size)
}

fn picture_and_sound() -> Muxer {
    let mut muxer = Muxer::new(7).with_segment_type();
    let video = (0..3).map(|i: u32| RunSample {
        composition_offset_ticks: i32::try_from(i).unwrap() - 1,
        ..sample(512, 1000 + i, i == 0)
    });
    muxer.run(1, 90_000, video).unwrap();
    muxer.run(2, 48_000, [sample(1024, 300, true), sample(1024, 301, true)]).unwrap();
    muxer.run(1, 90_000 + 3 * 512, [sample(512, 900, false), sample(512, 901, false)]).unwrap();
    muxer.run(2, 48_000 + 2 * 1024, [sample(1024, 302, true)]).unwrap();
    muxer
}

#[test]
fn a_fragment_keeps_its_bytes() {
    assert_golden("media", include_str!("golden/media.hex"), &picture_and_sound().finish().unwrap());
}

#[test]
fn runs_of_one_track_share_a_traf_and_point_at_their_own_bytes() {
    let muxer = picture_and_sound();
    assert_eq!(muxer.data_bytes(), 3003 + 601 + 1801 + 302);
    let head = muxer.finish().unwrap();
    let (styp, moof, mdat) = read(&head);
    assert_eq!(styp.unwrap().compatible_brands.len(), 1);
    assert_eq!(mdat, 8 + 3003 + 601 + 1801 + 302);
    assert_eq!(moof.mfhd.sequence_number, 7);
    // Offsets count from the moof, which follows the 20 bytes of styp.
    let data = i32::try_from(head.len()).unwrap() - 20;
    let offsets =
        |traf: usize| moof.traf[traf].trun.iter().map(|t| t.data_offset.unwrap()).collect::<Vec<_>>();
    assert_eq!(offsets(0), [data, data + 3003 + 601]);
    assert_eq!(offsets(1), [data + 3003, data + 3003 + 601 + 1801]);
    let video = &moof.traf[0];
    assert!(video.tfhd.default_base_is_moof);
    assert_eq!(video.tfhd.default_sample_duration, Some(512));
    assert_eq!(video.tfhd.default_sample_flags, Some(FLAGS_NON_SYNC));
    assert_eq!(video.tfdt.as_ref().unwrap().base_media_decode_time, 90_000);
    let entries: Vec<_> = video.trun.iter().flat_map(|run| &run.samples).collect();
    assert_eq!(
        entries.iter().map(|e| e.flags).collect::<Vec<_>>(),
        [Some(FLAGS_SYNC), None, None, None, None]
    );
    assert_eq!(entries.iter().map(|e| e.cts.unwrap_or(0)).collect::<Vec<_>>(), [-1, 0, 1, 0, 0]);
    assert_eq!(moof.traf[1].tfhd.default_sample_flags, Some(FLAGS_SYNC));
}

#[test]
fn samples_alike_cost_no_bytes_each() {
    let size = |count: usize| {
        let mut muxer = Muxer::new(1);
        muxer.run(1, 0, std::iter::repeat_n(sample(160, 160, true), count)).unwrap();
        muxer.finish().unwrap().len()
    };
    assert_eq!(size(1), size(1000));
}

#[test]
fn a_hole_between_runs_stretches_the_sample_before_it() {
    let mut muxer = Muxer::new(1);
    muxer.run(1, 0, [sample(10, 1, true), sample(10, 1, false)]).unwrap();
    muxer.run(1, 35, [sample(10, 1, false)]).unwrap();
    muxer.run(1, 41, [sample(10, 1, false)]).unwrap();
    let (_, moof, _) = read(&muxer.finish().unwrap());
    assert_eq!(moof.traf.len(), 1);
    let entries = moof.traf[0].trun.iter().flat_map(|run| &run.samples);
    let default = moof.traf[0].tfhd.default_sample_duration;
    let durations: Vec<_> = entries.map(|e| e.duration.or(default).unwrap()).collect();
    assert_eq!(durations, [10, 25, 6, 10]);
}

#[test]
fn time_going_back_starts_another_traf() {
    let mut muxer = Muxer::new(1);
    muxer.run(1, 100, [sample(10, 1, true), sample(10, 1, false)]).unwrap();
    muxer.run(1, 50, [sample(10, 1, true)]).unwrap();
    let (_, moof, _) = read(&muxer.finish().unwrap());
    let bases: Vec<_> = moof.traf.iter().map(|t| t.tfdt.as_ref().unwrap().base_media_decode_time).collect();
    assert_eq!(bases, [100, 50]);
}

#[test]
fn only_tracks_that_were_given_are_in_it_and_nothing_is_in_an_empty_one() {
    let mut muxer = Muxer::new(1).with_segment_type();
    muxer.run(2, 5, [sample(10, 4, true)]).unwrap();
    muxer.run(1, 5, []).unwrap();
    let (styp, moof, _) = read(&muxer.finish().unwrap());
    assert_eq!(styp.unwrap().compatible_brands.len(), 2);
    assert_eq!(moof.traf.iter().map(|t| t.tfhd.track_id).collect::<Vec<_>>(), [2]);
    let (_, moof, mdat) = read(&Muxer::new(3).finish().unwrap());
    assert_eq!((moof.traf.len(), mdat), (0, 8));
}

#[test]
fn more_than_four_gibibytes_get_a_large_mdat() {
    let mut muxer = Muxer::new(1);
    muxer.run(1, 0, [sample(1, u32::MAX, true), sample(1, 100, false)]).unwrap();
    let (_, _, mdat) = read(&muxer.finish().unwrap());
    assert_eq!(mdat, 16 + u64::from(u32::MAX) + 100);
}

#[test]
fn says_what_mp4_cannot_express() {
    let mut muxer = Muxer::new(1);
    let error = muxer.run(3, -1, [sample(1, 1, true)]).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.message.contains("track 3 starts at decoding time -1"), "{error}");
    muxer.run(1, 0, [sample(1, u32::MAX, true)]).unwrap();
    let error = muxer.run(1, 1, [sample(1, 1, true)]).unwrap_err();
    assert_eq!(error.fault, Fault::Limit);
    let (_, moof, _) = read(&muxer.finish().unwrap());
    assert_eq!(moof.traf[0].trun.len(), 1);
    let mut muxer = Muxer::new(1);
    assert!(muxer.run(1, i64::MAX, [sample(1, 1, true)]).is_err());
}

proptest! {
    /// Whatever the runs, an independent reader gets every sample back with its place and time.
    #[test]
    fn an_independent_reader_finds_every_sample(
        runs in prop::collection::vec(
            (1_u32..4, prop::collection::vec((0_u32..3, 0_u32..3, any::<bool>(), -2_i32..3), 1..6)), 0..8),
    ) {
        let mut muxer = Muxer::new(1);
        let mut next_dts = [1000_u64; 4];
        let mut expected = Vec::new();
        let mut place = 0;
        for (track, samples) in &runs {
            let samples = samples.iter().map(|&(d, s, sync, c)| RunSample {
                duration_ticks: d, size_bytes: s, sync, composition_offset_ticks: c });
            let base = i64::try_from(next_dts[*track as usize]).unwrap();
            muxer.run(*track, base, samples.clone()).unwrap();
            for s in samples {
                let dts = &mut next_dts[*track as usize];
                expected.push((*track, *dts, place, s));
                *dts += u64::from(s.duration_ticks);
                place += u64::from(s.size_bytes);
            }
        }
        let head = muxer.finish().unwrap();
        let (_, moof, mdat) = read(&head);
        prop_assert_eq!(mdat, 8 + place);
        let mut found = Vec::new();
        for traf in &moof.traf {
            let mut dts = traf.tfdt.as_ref().unwrap().base_media_decode_time;
            for run in &traf.trun {
                let mut place = u64::try_from(run.data_offset.unwrap()).unwrap() - head.len() as u64;
                for e in &run.samples {
                    let s = RunSample {
                        duration_ticks: e.duration.or(traf.tfhd.default_sample_duration).unwrap(),
                        size_bytes: e.size.or(traf.tfhd.default_sample_size).unwrap(),
                        sync: e.flags.or(traf.tfhd.default_sample_flags).unwrap() == FLAGS_SYNC,
                        composition_offset_ticks: e.cts.unwrap_or(0).try_into().unwrap(),
                    };
                    found.push((traf.tfhd.track_id, dts, place, s));
                    dts += u64::from(s.duration_ticks);
                    place += u64::from(s.size_bytes);
                }
            }
        }
        // Trafs are in the order of first runs; sort both the same way.
        expected.sort_by_key(|(track, ..)| *track);
        found.sort_by_key(|(track, ..)| *track);
        prop_assert_eq!(expected, found);
    }
}
