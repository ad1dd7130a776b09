//! The front door of the crate: bytes of either container in, tracks and samples out.
//!
//! It joins what the containers' demuxers and `elementary` give and decides only about order: when
//! tracks are announced, and how long one that is not yet usable may hold up the others.

mod announcement;
mod sniff;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::container::{self, Boundary, DeclaredTrack, ProducerTime};
use crate::elementary::{Dropped, Elementary};
use crate::{Error, Fault, Sample, Tag, Track, fmp4, mkv};

use announcement::Announcement;
use sniff::Sniffer;

pub use announcement::{MAX_HELD_BYTES, MAX_HELD_EVENTS};

/// One step of the demuxer, in input order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The tracks that the following samples belong to, complete, with canonical and checked
    /// configurations. Comes again whenever any of them changes; samples before and after belong
    /// to different configurations. A track whose configuration comes inline is left out until
    /// it has come; see [`MAX_HELD_BYTES`] for how long the others wait for it.
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

/// The container's own demuxer, once the first bytes have shown which it is.
#[derive(Debug)]
enum Inner {
    Unknown(Sniffer),
    Matroska(Box<mkv::Demuxer>),
    Mp4(Box<fmp4::Demuxer>),
}

/// Push demuxer: [`push`](Self::push) bytes in chunks of any size, then call
/// [`next`](Self::next) until it returns `Ok(None)`; after the last chunk call
/// [`finish`](Self::finish) and drain once more. An error is final.
#[derive(Debug)]
pub struct Demuxer {
    inner: Inner,
    elementaries: Vec<Elementary>,
    announcement: Announcement,
    ready: VecDeque<Event>,
    headers: u64,
    /// Of tracks that a later header has replaced.
    dropped_before: Dropped,
    finished: bool,
    failed: Option<Error>,
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Demuxer {
    /// A demuxer for `container`, or for whatever the first bytes show. Where the two contradict
    /// each other the bytes are right: senders guess types from file names.
    #[must_use]
    pub fn new(container: Option<Container>) -> Self {
        Self {
            inner: Inner::Unknown(Sniffer::new(container)),
            elementaries: Vec::new(),
            announcement: Announcement::default(),
            ready: VecDeque::new(),
            headers: 0,
            dropped_before: Dropped::default(),
            finished: false,
            failed: None,
        }
    }

    /// The container that the bytes are in, once they have shown it.
    #[must_use]
    pub const fn container(&self) -> Option<Container> {
        match self.inner {
            Inner::Unknown(_) => None,
            Inner::Matroska(_) => Some(Container::Matroska),
            Inner::Mp4(_) => Some(Container::Mp4),
        }
    }

    /// Headers that declared tracks so far, the same ones again included: after one more, the
    /// media's times may begin anew.
    #[must_use]
    pub fn headers(&self) -> u64 {
        self.headers
    }

    /// Frames that did not become samples so far.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        let mut sum = self.dropped_before;
        self.elementaries.iter().for_each(|elementary| sum += elementary.dropped());
        sum
    }

    /// Takes the next bytes of the input.
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_some() {
            return;
        }
        match &mut self.inner {
            Inner::Matroska(inner) => inner.push(chunk),
            Inner::Mp4(inner) => inner.push(chunk),
            Inner::Unknown(sniffer) => {
                sniffer.push(chunk);
                self.settle();
            }
        }
    }

    /// Says that the input is complete.
    pub fn finish(&mut self) {
        self.finished = true;
        if let Inner::Unknown(sniffer) = &mut self.inner {
            sniffer.finish();
            self.settle();
        }
        match &mut self.inner {
            Inner::Matroska(inner) => inner.finish(),
            Inner::Mp4(inner) => inner.finish(),
            Inner::Unknown(_) => {}
        }
    }

    /// Chooses the container's demuxer if the bytes so far show which it is.
    fn settle(&mut self) {
        let Inner::Unknown(sniffer) = &mut self.inner else { return };
        match sniffer.verdict() {
            Ok(None) => {}
            Ok(Some(container)) => {
                let chunks = sniffer.take();
                self.inner = match container {
                    Container::Matroska => Inner::Matroska(Box::default()),
                    Container::Mp4 => Inner::Mp4(Box::default()),
                };
                chunks.into_iter().for_each(|chunk| self.push(chunk));
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// The next event, or `None` when more input is needed (or, after `finish`, at the end).
    ///
    /// # Errors
    /// The first fault in the input; the same again on every later call.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: `None` asks for more input")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            let step = match &mut self.inner {
                Inner::Unknown(_) => Ok(None),
                Inner::Matroska(inner) => inner.next(),
                Inner::Mp4(inner) => inner.next(),
            };
            let stepped = match step {
                Ok(Some(event)) => self.step(event),
                Ok(None) if self.finished => {
                    self.announcement.release(&self.elementaries, &mut self.ready);
                    if self.ready.is_empty() {
                        return Ok(None);
                    }
                    Ok(())
                }
                Ok(None) => return Ok(None),
                Err(error) => Err(error),
            };
            if let Err(error) = stepped {
                // What came before the fault is sound and goes out first.
                self.announcement.release(&self.elementaries, &mut self.ready);
                self.failed = Some(error);
            }
        }
    }

    fn step(&mut self, event: container::Event) -> Result<(), Error> {
        let event = match event {
            container::Event::Tracks(declared) => return self.declare(declared),
            container::Event::Frame(frame) => return self.frame(frame),
            container::Event::Boundary(boundary) => Event::Boundary(boundary),
            container::Event::Tags(tags) => Event::Tags(tags),
            container::Event::ProducerTime(time) => Event::ProducerTime(time),
            container::Event::EndOfFragment => Event::EndOfFragment,
        };
        self.announcement.pass(event, &self.elementaries, &mut self.ready);
        Ok(())
    }

    /// Takes a set of declared tracks. A track that is declared as before goes on as it was: live
    /// producers repeat their headers before each fragment.
    fn declare(&mut self, declared: Vec<DeclaredTrack>) -> Result<(), Error> {
        self.headers += 1;
        let goes_on = |track: &DeclaredTrack| self.elementaries.iter().any(|old| same(old, track));
        if declared.len() == self.elementaries.len() && declared.iter().all(goes_on) {
            return Ok(());
        }
        self.announcement.release(&self.elementaries, &mut self.ready);
        let mut before = std::mem::take(&mut self.elementaries);
        let mut fault = None;
        for track in declared {
            if let Some(at) = before.iter().position(|old| same(old, &track)) {
                self.elementaries.push(before.swap_remove(at));
                continue;
            }
            match Elementary::new(track) {
                Ok(elementary) => self.elementaries.push(elementary),
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        before.iter().for_each(|elementary| self.dropped_before += elementary.dropped());
        match fault {
            Some(error) => Err(error),
            None => {
                self.announcement.declared();
                Ok(())
            }
        }
    }

    fn frame(&mut self, frame: container::Frame) -> Result<(), Error> {
        let number = frame.track;
        let offset = frame.offset;
        let of_track = |elementary: &&mut Elementary| elementary.declared().track.number == number;
        let Some(elementary) = self.elementaries.iter_mut().find(of_track) else {
            let message = format!("a frame names track {number}, which was never declared");
            return Err(Error::new(Fault::UnknownTrack, offset, message));
        };
        let taken = elementary.take(frame)?;
        if taken.track_changed {
            self.announcement.changed(&self.elementaries, &mut self.ready);
        }
        if let Some(sample) = taken.sample {
            self.announcement.pass(Event::Sample(sample), &self.elementaries, &mut self.ready);
        }
        Ok(())
    }
}

/// Whether the track under way is declared once more, unchanged.
fn same(old: &Elementary, again: &DeclaredTrack) -> bool {
    old.declared().track == again.track && old.declared().convention == again.convention
}

#[cfg(test)]
#[path = "../demux_test.rs"]
mod tests;
