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
/// Media of the other tracks after which a Cluster ends though the leading track is silent, in
/// microseconds: more than muxers write ahead of it.
const LEAD_PATIENCE_US: i64 = 1_000_000;
/// Sample bytes after which a Cluster ends whatever its media: it is held in memory as a whole.
const MAX_CLUSTER_BYTES: usize = 4 << 20;
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
    /// Where its part of the leading track ends, in microseconds; `i64::MAX` for the last of the
    /// file, which is persisted when the connection ends well.
    pub(super) end_us: i64,
    /// It begins with a key frame of the leading video track, where the server ends the fragment
    /// before: no earlier Cluster reaches beyond its start.
    pub(super) begins_group: bool,
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
                let last = cutter.cluster(i64::MAX, position).map_err(|error| self.unusable(&error))?;
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
    /// Bytes of `samples`.
    sample_bytes: usize,
    begins_group: bool,
    tags: Vec<Tag>,
    /// How much later the newest key frame is shown than decoded, in microseconds.
    delay_us: i64,
    /// Added to the file's times, in microseconds.
    shift_us: i64,
    start_us: i64,
    /// Latest end of a sample so far, shifted.
    end_us: i64,
    /// Where the leading track ends so far, in the order of decoding, shifted.
    lead_end_us: i64,
    /// When its newest sample is decoded.
    lead_decoded_us: Option<i64>,
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
            sample_bytes: 0,
            begins_group: false,
            tags: Vec::new(),
            delay_us: 0,
            shift_us: lead_in_us,
            start_us: 0,
            end_us: 0,
            lead_end_us: 0,
            lead_decoded_us: None,
            new_header: false,
        }
    }

    fn take(&mut self, event: Event, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        match event {
            Event::Tracks(tracks) => {
                // The server ends its fragment here, too, where the leading track ends.
                let finished = self.cluster(self.lead_end_us, position)?;
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
        self.lead_decoded_us = None;
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
        let is_lead = self.lead == Some(sample.track);
        let is_full = self.sample_bytes.saturating_add(sample.data.len()) > MAX_CLUSTER_BYTES;
        let mut finished = None;
        if is_lead {
            let next_us = decoded_us.saturating_add(self.delay_us);
            if (is_video && sample.sync) || is_full || next_us.saturating_sub(self.start_us) >= CLUSTER_US {
                finished = self.cluster(next_us, position)?;
            }
            if sample.sync {
                self.delay_us = at_us.saturating_sub(decoded_us);
            }
            let stated_us = Some(lasts_us).filter(|us| *us > 0);
            let distance_us = || self.lead_decoded_us.map_or(0, |before| decoded_us.saturating_sub(before));
            let lasts_us = stated_us.unwrap_or_else(distance_us);
            self.lead_end_us = decoded_us.saturating_add(self.delay_us).saturating_add(lasts_us);
            self.lead_decoded_us = Some(decoded_us);
        } else if is_full || at_us.saturating_sub(self.start_us) >= LEAD_PATIENCE_US {
            finished = self.cluster(self.end_us, position)?;
        }
        if self.samples.is_empty() {
            self.start_us = at_us;
            self.begins_group = is_lead && is_video && sample.sync;
        }
        self.end_us = self.end_us.max(at_us.saturating_add(lasts_us));
        self.sample_bytes = self.sample_bytes.saturating_add(sample.data.len());
        self.samples.push(sample);
        Ok(finished)
    }

    /// What was collected as a Cluster, if there is something.
    fn cluster(&mut self, end_us: i64, position: u64) -> Result<Option<Cluster>, kinora_media::Error> {
        let Some(muxer) = self.muxer.as_ref().filter(|_| !self.samples.is_empty()) else { return Ok(None) };
        let mut pieces = muxer.cluster(&self.samples)?;
        self.samples.clear();
        self.sample_bytes = 0;
        if !self.tags.is_empty() {
            pieces.push(Muxer::tags(&std::mem::take(&mut self.tags)));
        }
        Ok(Some(Cluster {
            header: self.header.clone(),
            pieces,
            start_us: self.start_us,
            end_us,
            begins_group: self.begins_group,
            position,
        }))
    }
}

#[cfg(test)]
#[path = "source_test.rs"]
mod tests;
