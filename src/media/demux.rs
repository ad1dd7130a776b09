//! The front door of the crate: bytes of either container in, tracks and samples out.

use bytes::Bytes;
use std::sync::Arc;

use crate::container::{Boundary, ProducerTime};
use crate::{Error, Sample, Tag, Track};

/// One step of the demuxer, in input order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The tracks that the following samples belong to, complete, with canonical and checked
    /// configurations. Comes again whenever any of them changes; samples before and after belong
    /// to different configurations.
    Tracks(Arc<[Track]>),
    /// A Cluster, or a movie fragment, begins.
    Boundary(Boundary),
    /// A sample of one of the tracks.
    Sample(Sample),
    /// Tags for the fragment under way.
    Tags(Vec<Tag>),
    /// The producer's own clock reading for a media time.
    ProducerTime(ProducerTime),
    /// The producer says that the fragment under way is complete.
    EndOfFragment,
}

/// Which container the input is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Matroska or WebM.
    Matroska,
    /// Fragmented MP4, or progressive MP4 whose `moov` comes first.
    Mp4,
}

/// Push demuxer: [`push`](Self::push) bytes in chunks of any size, then call
/// [`next`](Self::next) until it returns `Ok(None)`; after the last chunk call
/// [`finish`](Self::finish) and drain once more. An error is final.
#[derive(Debug, Default)]
pub struct Demuxer {}

impl Demuxer {
    /// A demuxer for `container`, or for whatever the first bytes show.
    #[must_use]
    pub fn new(_container: Option<Container>) -> Self {
        Self {}
    }

    /// Takes the next bytes of the input.
    pub fn push(&mut self, _chunk: Bytes) {}

    /// Says that the input is complete.
    pub fn finish(&mut self) {}

    /// The next event, or `None` when more input is needed (or, after `finish`, at the end).
    ///
    /// # Errors
    /// The first fault in the input; the same again on every later call.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: `None` asks for more input")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        Ok(None)
    }
}
