//! The Segment under way: its clock, its tracks, its Cluster, and the events that their elements
//! bring forth.
//!
//! It acts on elements that have been read whole. It does not know where the bytes come from or
//! which elements may stand where.

use std::collections::VecDeque;

use bytes::Bytes;

use super::document::{DEFAULT_TIMESTAMP_SCALE_NS, timestamp_scale_ns};
use super::ebml::uint;
use super::frames::{Framed, Frames, Group};
use super::id::Id;
use super::tracks::TrackEntry;
use super::{tags, timing, tracks};
use crate::container::{Boundary, Event};
use crate::{Error, Fault};

/// The Segment under way. Before the first one it is an empty one.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// TimestampScale, once Info has come.
    scale_ns: Option<u64>,
    /// The tracks, and whether they have been announced.
    entries: Vec<(TrackEntry, u64)>,
    announced: bool,
    frames: Frames,
    /// The Block of the present BlockGroup, and what the group says of it.
    block: Option<Framed>,
    group: Group,
    /// Events that came with another one.
    ready: VecDeque<Event>,
}

impl Segment {
    /// An event that waits to be handed out, before anything else is read.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// A new Segment begins.
    pub(super) fn begin(&mut self) {
        self.scale_ns = None;
        self.entries.clear();
        self.announced = false;
        self.frames.retire_tracks();
    }

    /// A Cluster begins. Info is mandatory, but its defaults serve a Segment that lacks it.
    pub(super) fn begin_cluster(&mut self) {
        self.frames.set_cluster(None);
        self.announce();
    }

    /// Whether the present Cluster's Timestamp has come.
    pub(super) const fn has_time(&self) -> bool {
        self.frames.cluster().is_some()
    }

    /// A BlockGroup begins.
    pub(super) fn begin_group(&mut self) {
        self.group = Group::default();
    }

    /// Whether the present BlockGroup's Block has come.
    pub(super) const fn has_block(&self) -> bool {
        self.block.is_some()
    }

    /// The present BlockGroup names a block that it refers to: its own is no key frame.
    pub(super) fn refer(&mut self) {
        self.group.references = true;
    }

    /// A BlockGroup ends and brings forth its frames.
    pub(super) fn end_group(&mut self) -> Result<Option<Event>, Error> {
        let Some(mut framed) = self.block.take() else { return Ok(None) };
        framed.group = Some(self.group);
        match self.frames.read(framed, &mut self.ready)? {
            Some(event) => Ok(Some(event)),
            None => Ok(self.ready.pop_front()),
        }
    }

    /// Acts on the element `id` that begins at `offset` and whose data `body` begins at `start`.
    #[inline]
    pub(super) fn read(
        &mut self,
        id: Id,
        offset: u64,
        start: u64,
        body: Bytes,
    ) -> Result<Option<Event>, Error> {
        match id {
            Id::SIMPLE_BLOCK => {
                let framed = Framed { id, offset, data: body, group: None };
                return self.frames.read(framed, &mut self.ready);
            }
            Id::BLOCK => self.block = Some(Framed { id, offset, data: body, group: None }),
            Id::BLOCK_DURATION => self.group.duration = uint(&body),
            Id::TIMESTAMP => return self.cluster_time(&body, offset).map(Some),
            Id::INFO => self.info(timestamp_scale_ns(&body, start)?, offset)?,
            Id::TRACKS => self.tracks(tracks::parse(&body, start)?),
            Id::TAGS => {
                let found = tags::parse(&body, start)?;
                if !found.tags.is_empty() {
                    self.ready.push_back(Event::Tags(found.tags));
                }
                if found.end_of_fragment {
                    self.ready.push_back(Event::EndOfFragment);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn cluster_time(&mut self, body: &[u8], offset: u64) -> Result<Event, Error> {
        let scale_ns = self.scale_ns.unwrap_or(DEFAULT_TIMESTAMP_SCALE_NS);
        let raw = uint(body);
        self.frames.set_cluster(raw);
        let time = raw.and_then(|raw| timing::boundary(raw, scale_ns));
        let Some((timecode, timescale)) = time else {
            let what = "the Timestamp of the Cluster does not fit 64 bits";
            return Err(Error::new(Fault::Limit, offset, what));
        };
        Ok(Event::Boundary(Boundary { timecode, timescale }))
    }

    fn info(&mut self, scale_ns: u64, offset: u64) -> Result<(), Error> {
        if self.announced && self.scale_ns.unwrap_or(DEFAULT_TIMESTAMP_SCALE_NS) != scale_ns {
            let what = format!("the {} changes the TimestampScale within a Segment", Id::INFO);
            return Err(Error::new(Fault::Container, offset, what));
        }
        self.scale_ns = Some(scale_ns);
        self.announce();
        Ok(())
    }

    /// Takes a Tracks element; the same one again within a Segment changes nothing.
    fn tracks(&mut self, entries: Vec<(TrackEntry, u64)>) {
        let same = self.announced
            && entries.len() == self.entries.len()
            && entries.iter().zip(&self.entries).all(|((new, _), (old, _))| new == old);
        if same {
            return;
        }
        self.entries = entries;
        self.announced = false;
        if self.scale_ns.is_some() {
            self.announce();
        }
    }

    /// Announces the tracks, once the clock they count in is known.
    fn announce(&mut self) {
        if self.announced || self.entries.is_empty() {
            return;
        }
        self.announced = true;
        let scale_ns = self.scale_ns.unwrap_or(DEFAULT_TIMESTAMP_SCALE_NS);
        let (tracks, readers) =
            self.entries.iter().map(|(entry, offset)| entry.declare(scale_ns, *offset)).unzip();
        self.frames.set_readers(readers);
        self.ready.push_back(Event::Tracks(tracks));
    }
}
