//! Blocks to frames: lacing undone, stripped headers put back, times in track ticks.
//!
//! Only the first frame of a lace has a timestamp. Each later one follows the one before by that
//! one's duration: its length in samples for audio that tells it, else its share of BlockDuration,
//! else DefaultDuration. Where none of these is known, all frames of the lace get the same time.
//!
//! It knows the tracks and the Cluster's time, and nothing of where blocks come from.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::block::{Block, Lacing, lace};
use super::encoding::restore;
use super::id::Id;
use super::tracks::Reader;
use crate::container::{Event, Frame};
use crate::{Error, Fault};

/// What turns blocks into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    readers: Vec<Reader>,
    /// Those of the Segment before, whose clocks may go on.
    retired: Vec<Reader>,
    /// The present Cluster's Timestamp in Segment ticks.
    cluster: Option<u64>,
    /// Sizes of the frames in a lace; kept to spare an allocation.
    sizes: Vec<usize>,
}

/// A block and what its group says of it.
#[derive(Debug)]
pub(super) struct Framed {
    /// SimpleBlock or Block, for errors.
    pub(super) id: Id,
    /// Where the block's element begins in the input.
    pub(super) offset: u64,
    pub(super) data: Bytes,
    pub(super) group: Option<Group>,
}

/// What a BlockGroup says of its Block.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Group {
    pub(super) duration: Option<u64>,
    pub(super) references: bool,
}

impl Frames {
    /// Takes the readers of a new set of tracks. A track that stays as it was keeps its clock, so
    /// that repeated headers do not disturb a grid of samples.
    pub(super) fn set_readers(&mut self, mut readers: Vec<Reader>) {
        self.retire_tracks();
        for reader in &mut readers {
            let same = |old: &&mut Reader| {
                old.number == reader.number
                    && Reader { timing: old.timing.restarted(), ..(**old).clone() } == *reader
            };
            if let Some(old) = self.retired.iter_mut().find(same) {
                std::mem::swap(&mut old.timing, &mut reader.timing);
            }
        }
        self.retired.clear();
        self.readers = readers;
    }

    /// Forgets the tracks but for what a following set may take over from them.
    pub(super) fn retire_tracks(&mut self) {
        if !self.readers.is_empty() {
            self.retired = std::mem::take(&mut self.readers);
        }
        self.cluster = None;
    }

    pub(super) fn set_cluster(&mut self, timestamp: Option<u64>) {
        self.cluster = timestamp;
    }

    pub(super) const fn cluster(&self) -> Option<u64> {
        self.cluster
    }

    /// The frames of a block: the only one, or all of a lace into `ready`.
    #[inline]
    pub(super) fn read(
        &mut self,
        framed: Framed,
        ready: &mut VecDeque<Event>,
    ) -> Result<Option<Event>, Error> {
        let Framed { id, offset, mut data, group } = framed;
        let wrong = |what: &str| Error::new(Fault::Container, offset, format!("the {id} {what}"));
        let block = Block::parse(&data).map_err(wrong)?;
        let Some(reader) = self.readers.iter_mut().find(|reader| reader.number == block.track) else {
            return Err(unknown_track(id, offset, block.track, self.readers.is_empty()));
        };
        let Some(cluster) = self.cluster else {
            return Err(wrong("comes before the Timestamp of its Cluster"));
        };
        let far =
            || Error::new(Fault::Limit, offset, format!("the {id} has a time that does not fit 64 bits"));
        let raw = i64::try_from(cluster)
            .ok()
            .and_then(|cluster| cluster.checked_add(i64::from(block.relative)))
            .ok_or_else(far)?;
        let key = group.map_or(block.key, |group| !group.references);
        data.advance(block.length);
        let mut frame = Frame {
            track: block.track as u32,
            pts_ticks: 0,
            dts_ticks: None,
            duration_ticks: 0,
            key,
            data: Bytes::new(),
            offset,
        };
        let group_duration = group.and_then(|group| group.duration);

        if block.lacing == Lacing::None {
            frame.data = restore(&reader.frame_prefix, data);
            let samples = reader.frame_length.samples(&frame.data);
            frame.pts_ticks = reader.timing.at(raw, samples).ok_or_else(far)?;
            frame.duration_ticks = reader.duration(group_duration, samples);
            return Ok(Some(Event::Frame(frame)));
        }

        let header = lace(block.lacing, &data, &mut self.sizes).map_err(wrong)?;
        data.advance(header);
        // A BlockDuration is that of all frames together.
        let share = group_duration.map(|duration| duration / self.sizes.len().max(1) as u64);
        let mut previous: Option<Frame> = None;
        for &size in &self.sizes {
            let mut frame =
                Frame { data: restore(&reader.frame_prefix, data.split_to(size)), ..frame.clone() };
            let samples = reader.frame_length.samples(&frame.data);
            frame.duration_ticks = reader.duration(share, samples);
            let time = match &previous {
                None => reader.timing.at(raw, samples),
                Some(before) => reader.timing.next_in_lace(before.pts_ticks, before.duration_ticks, samples),
            };
            frame.pts_ticks = time.ok_or_else(far)?;
            ready.extend(previous.replace(frame).map(Event::Frame));
        }
        ready.extend(previous.map(Event::Frame));
        Ok(None)
    }
}

impl Reader {
    /// A frame's duration: what its group says, else its own length in samples, else the track's
    /// default, else 0.
    #[inline]
    fn duration(&self, group: Option<u64>, samples: Option<u32>) -> u32 {
        match (group, samples) {
            (Some(duration), _) => self.timing.span(duration, samples),
            (None, Some(samples)) => samples,
            (None, None) => self.default_duration_ticks,
        }
    }
}

#[cold]
fn unknown_track(id: Id, offset: u64, track: u64, none: bool) -> Error {
    if none {
        return Error::new(
            Fault::UnknownTrack,
            offset,
            format!("the {id} names track {track}, but no Tracks element came before it"),
        )
        .with_hint("send the whole header, EBML to Tracks, before the first Cluster");
    }
    Error::new(Fault::UnknownTrack, offset, format!("the {id} names track {track}, which was never declared"))
        .with_hint("declare every track in Tracks before its first block")
}
