//! The file as Clusters: what `kinora push` sends, in pieces that can be sent again.

use std::fs::File;
use std::io::{Read, Stdin};
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kinora_base::MediaTime;
use kinora_media::mkv::Muxer;
use kinora_media::{Demuxer, Event, Sample, Tag, Track, TrackKind};
use tokio::sync::mpsc;

use crate::cli::Failure;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Longest Cluster, so that a paced sender sends about as evenly as a camera.
const CLUSTER_US: i64 = 200_000;
/// Media that goes back further than this follows what came before: a concatenated file.
const RESTART_US: i64 = 500_000;

/// Some samples as a Matroska Cluster.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    /// What must precede it: equal, and the same, for all Clusters of one set of tracks.
    pub(super) header: Bytes,
    /// Its bytes, in pieces.
    pub(super) pieces: Vec<Bytes>,
    /// Media time of its first sample, in microseconds.
    pub(super) start_us: i64,
    /// Where its part of the leading track ends, in microseconds; `i64::MAX` where only the end of
    /// the file tells.
    pub(super) end_us: i64,
    /// How much of the file has been read for it, in bytes.
    pub(super) position: u64,
}

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(Stdin),
}

#[derive(Debug)]
pub(super) struct Source {
    input: Input,
    name: String,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self { input: Input::Stdin(std::io::stdin()), name: "standard input".into() });
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Failure::new(format!("cannot open {name}: {error}")))?;
        Ok(Self { input: Input::File(file), name })
    }

    /// Reads to the end, or until nobody takes the Clusters; `lead_in_us` is added to all times.
    /// Blocks.
    pub(super) fn read(mut self, clusters: &mpsc::Sender<Cluster>, lead_in_us: i64) -> Result<(), Failure> {
        let mut demuxer = Demuxer::new(None);
        let mut cutter = Cutter::new(lead_in_us);
        let mut position = 0;
        loop {
            let mut buffer = BytesMut::zeroed(READ_BYTES);
            let read = match &mut self.input {
                Input::File(file) => file.read(&mut buffer),
                Input::Stdin(stdin) => stdin.read(&mut buffer),
            };
            let read = read.map_err(|error| Failure::new(format!("cannot read {}: {error}", self.name)))?;
            position += read as u64;
            if read == 0 {
                demuxer.finish();
            } else {
                buffer.truncate(read);
                demuxer.push(buffer.freeze());
            }
            while let Some(event) = demuxer.next().map_err(|error| self.unusable(&error))? {
                let finished = cutter.take(event, position).map_err(|error| self.unusable(&error))?;
                if finished.is_some_and(|cluster| clusters.blocking_send(cluster).is_err()) {
                    return Ok(());
                }
            }
            if read == 0 {
                let last = cutter.flush(position).map_err(|error| self.unusable(&error))?;
                if let Some(cluster) = last {
                    let _nobody_cares = clusters.blocking_send(cluster);
                }
                return Ok(());
            }
        }
    }

    fn unusable(&self, error: &kinora_media::Error) -> Failure {
        let failure = Failure::new(format!("{}: {error}", self.name));
        match &error.hint {
            Some(hint) => failure.with_hint(hint.clone()),
            None => failure,
        }
    }
}

/// Cuts samples into Clusters.
#[derive(Debug)]
struct Cutter {
    tracks: Vec<Track>,
    muxer: Option<Muxer>,
    header: Bytes,
    /// Number of the track whose samples end Clusters: the first video track, else the first.
    lead: Option<u32>,
    samples: Vec<Sample>,
    tags: Vec<Tag>,
    /// How much later the newest key frame is shown than decoded, in microseconds.
    delay_us: i64,
    /// Added to the file's times, in microseconds.
    shift_us: i64,
    start_us: i64,
    /// Latest end of a sample so far, shifted.
    end_us: i64,
    new_header: bool,
}

impl Cutter {
    fn new(lead_in_us: i64) -> Self {
        Self {
            tracks: Vec::new(),
            muxer: None,
            header: Bytes::new(),
            lead: None,
            samples: Vec::new(),
            tags: Vec::new(),
            delay_us: 0,
            shift_us: lead_in_us,
            start_us: 0,
            end_us: 0,
            new_header: false,
        }
    }

    fn take(&mut self, event: Event, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        match event {
            Event::Tracks(tracks) => {
                let finished = self.flush(position)?;
                self.set_tracks(&tracks);
                Ok(finished)
            }
            Event::Sample(sample) => self.sample(sample, position),
            Event::Tags(tags) => {
                self.tags.extend(tags);
                Ok(None)
            }
            Event::Boundary(_) | Event::ProducerTime(_) | Event::EndOfFragment => Ok(None),
        }
    }

    fn set_tracks(&mut self, tracks: &Arc<[Track]>) {
        self.tracks = tracks.to_vec();
        let video = tracks.iter().find(|track| track.kind() == TrackKind::Video);
        self.lead = video.or(tracks.first()).map(|track| track.number);
        self.new_header = true;
        self.mux();
    }

    fn mux(&mut self) {
        // Exact, so that what is sent again after a broken connection is recognized to the sample.
        let mut muxer = Muxer::new(&self.tracks).exact();
        if let Some(shift) = MediaTime::new(self.shift_us, 1_000_000) {
            muxer = muxer.shifted(shift);
        }
        self.header = muxer.header();
        self.muxer = Some(muxer);
    }

    fn sample(&mut self, sample: Sample, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        let track = self.tracks.iter().find(|track| track.number == sample.track);
        let timescale = track.map_or(1, |track| track.timescale);
        let is_video = track.is_some_and(|track| track.kind() == TrackKind::Video);
        let micros = |ticks: i64| MediaTime::new(ticks, timescale).map_or(0, MediaTime::as_micros);
        let pts_us = micros(sample.pts_ticks);
        let lasts_us = micros(i64::from(sample.duration_ticks));
        if std::mem::take(&mut self.new_header)
            && pts_us.saturating_add(self.shift_us) < self.end_us - RESTART_US
        {
            self.shift_us = self.end_us.saturating_sub(pts_us);
            self.mux();
        }
        let at_us = pts_us.saturating_add(self.shift_us);
        let decoded_us = micros(sample.dts_ticks).saturating_add(self.shift_us);
        let mut finished = None;
        if self.lead == Some(sample.track) {
            let next_us = decoded_us.saturating_add(self.delay_us);
            if (is_video && sample.sync) || next_us.saturating_sub(self.start_us) >= CLUSTER_US {
                finished = self.cluster(next_us, position)?;
            }
            if sample.sync {
                self.delay_us = at_us.saturating_sub(decoded_us);
            }
        }
        if self.samples.is_empty() {
            self.start_us = at_us;
        }
        self.end_us = self.end_us.max(at_us.saturating_add(lasts_us));
        self.samples.push(sample);
        Ok(finished)
    }

    /// The last Cluster of the file, or of a set of tracks.
    fn flush(&mut self, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        self.cluster(i64::MAX, position)
    }

    fn cluster(&mut self, end_us: i64, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        let Some(muxer) = self.muxer.as_ref().filter(|_| !self.samples.is_empty()) else { return Ok(None) };
        let mut pieces = muxer.cluster(&self.samples)?;
        self.samples.clear();
        if !self.tags.is_empty() {
            pieces.push(Muxer::tags(&std::mem::take(&mut self.tags)));
        }
        Ok(Some(Cluster { header: self.header.clone(), pieces, start_us: self.start_us, end_us, position }))
    }
}
