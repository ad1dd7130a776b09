//! What is in the store in the end, sample by sample.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kinora_base::{ManualClock, MediaTime, StreamName, WallTime};
use kinora_media::packed::Head;
use kinora_media::{TrackKind, configuration};
use kinora_store::{Flags, Options, Store};

use super::clip::{Clip, START};

/// A fragment.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) time: WallTime,
    pub(crate) partial: bool,
    key_frame_start: bool,
    duration_us: i64,
    configuration: Bytes,
    /// By track.
    tracks: BTreeMap<u32, Vec<KeptSample>>,
    rounding_us: i64,
}

#[derive(Debug)]
struct KeptSample {
    data: Bytes,
    sync: bool,
    /// Presentation time, to be met exactly by pictures.
    pts_us: i64,
    is_picture: bool,
}

/// The fragments of a clip's stream in the store at `data`, in arrival order.
pub(crate) fn of(data: &Path, clip: &Clip) -> Vec<Kept> {
    let store = Store::open(data, Options::default(), Arc::new(ManualClock::at(START))).unwrap();
    let kept = in_store(&store, clip);
    store.close();
    kept
}

/// The same of an open store.
pub(crate) fn in_store(store: &Store, clip: &Clip) -> Vec<Kept> {
    let stream = store.stream(&StreamName::new(clip.name).unwrap()).expect("the clip's stream");
    let fragments = stream.tail(10_000).unwrap().fragments;
    let kept = fragments.into_iter().map(|fragment| {
        let configured = stream.configuration(fragment.configuration).unwrap();
        let known = configuration::decode(&configured).unwrap();
        let payload = stream.read(fragment.number).unwrap().whole().unwrap();
        let mut tracks: BTreeMap<u32, Vec<KeptSample>> = BTreeMap::new();
        let head = Head::parse(&payload[0], u64::from(fragment.bytes)).unwrap();
        for sample in head.samples(&payload) {
            let track = known.iter().find(|track| track.number == sample.track).expect("its track");
            tracks.entry(sample.track).or_default().push(KeptSample {
                data: sample.data,
                sync: sample.sync,
                pts_us: MediaTime::new(sample.pts_ticks, track.timescale).unwrap().as_micros(),
                is_picture: track.kind() == TrackKind::Video,
            });
        }
        Kept {
            number: fragment.number.get(),
            time: fragment.producer_time,
            partial: fragment.flags.has(Flags::PARTIAL),
            key_frame_start: fragment.flags.has(Flags::KEY_FRAME_START),
            duration_us: i64::try_from(fragment.duration_us).unwrap(),
            configuration: configured,
            tracks,
            rounding_us: clip.rounding_us,
        }
    });
    kept.collect()
}

impl Kept {
    /// How many samples it holds.
    pub(crate) fn samples(&self) -> usize {
        self.tracks.values().map(Vec::len).sum()
    }

    /// Panics unless it is the same as in a clean upload.
    pub(crate) fn assert_equals(&self, clean: &Self, of: &str) {
        let at = format!("{of}: fragment {} of {}", self.number, self.time);
        assert_eq!(self.configuration, clean.configuration, "{at}");
        assert_eq!(self.key_frame_start, clean.key_frame_start, "{at}");
        let off_us = (self.duration_us - clean.duration_us).abs();
        assert!(off_us <= self.rounding_us, "{at} lasts {} us, not {}", self.duration_us, clean.duration_us);
        let count = |kept: &Self| kept.tracks.iter().map(|(n, track)| (*n, track.len())).collect::<Vec<_>>();
        assert_eq!(count(self), count(clean), "{at}: samples by track");
        for (track, samples) in &self.tracks {
            for (n, (sample, clean)) in samples.iter().zip(&clean.tracks[track]).enumerate() {
                assert!(sample.data == clean.data, "{at}: sample {n} of track {track} has other bytes");
                assert_eq!(sample.sync, clean.sync, "{at}: sample {n} of track {track}");
                let allowed_us = if sample.is_picture { 0 } else { self.rounding_us };
                let off_us = (sample.pts_us - clean.pts_us).abs();
                assert!(off_us <= allowed_us, "{at}: sample {n} of track {track} is {off_us} us off");
            }
        }
    }

    /// Whether `long` begins with all samples of this one.
    pub(crate) fn begins(&self, long: &Self) -> bool {
        let begins = |(track, samples): (&u32, &Vec<KeptSample>)| {
            let long = long.tracks.get(track).map_or(&[][..], Vec::as_slice);
            samples.len() <= long.len() && samples.iter().zip(long).all(|(a, b)| a.data == b.data)
        };
        self.time == long.time && self.tracks.iter().all(begins)
    }
}
