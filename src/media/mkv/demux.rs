//! The push demuxer: finds its way through the elements of a Matroska or WebM document.
//!
//! It walks the input once and keeps only what is needed to go on: what matters is gathered and
//! handed to `segment`, everything else is passed over, however long it is. It knows which elements
//! may stand where, and nothing of their content.

use bytes::Bytes;

use super::document::check_ebml_header;
use super::ebml::{Header, Size};
use super::id::Id;
use super::input::{Input, Next};
use super::limit::{MAX_BLOCK_BYTES, MAX_EBML_HEADER_BYTES, MAX_HEADER_ELEMENT_BYTES};
use super::place::{Extent, Level, Place};
use super::segment::Segment;
use crate::container::Event;
use crate::{Error, Fault};

/// Push demuxer for Matroska and WebM: [`push`](Self::push) bytes in chunks of any size and call
/// [`next`](Self::next) until it returns `Ok(None)`; after the last chunk call
/// [`finish`](Self::finish) and drain once more. An error is final.
///
/// Frames come in input order with presentation times only. `pts_ticks` are in the declared
/// track's timescale: samples for audio (see `timing`), usually milliseconds else.
#[derive(Debug, Default)]
pub struct Demuxer {
    input: Input,
    /// What the next bytes belong to.
    task: Task,
    /// Where the element under way begins.
    start: u64,
    place: Place,
    /// Whether an EBML header has been read and checked, and no Segment has followed the last one.
    headed: bool,
    awaits_segment: bool,
    segment: Segment,
    ended: bool,
    failed: Option<Error>,
}

/// What the next bytes belong to.
#[derive(Debug, Default, Clone, Copy)]
enum Task {
    /// An element header.
    #[default]
    Header,
    /// An element to pass over, of which this many bytes are left.
    Skip(Id, u64),
    /// An element to read whole.
    Body(Id, usize),
}

/// How far one step has come.
enum Step {
    Event(Event),
    /// Something was read; go on.
    On,
    /// More input is needed.
    Starved,
}

impl Demuxer {
    /// A demuxer at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the input. Drain with [`next`](Self::next) before the next push:
    /// chunks wait in memory until they are read. After an error nothing is kept.
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_none() {
            self.input.push(chunk);
        }
    }

    /// Says that the input is complete.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// The next event, or `None` when more input is needed (or, after
    /// [`finish`](Self::finish), at the end).
    ///
    /// # Errors
    /// The first fault in the input; the same again on every later call.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends; this goes on after a push")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        if let Some(event) = self.segment.pop() {
            return Ok(Some(event));
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let error = loop {
            match self.step() {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::On) => {
                    if let Some(event) = self.segment.pop() {
                        return Ok(Some(event));
                    }
                }
                Ok(Step::Starved) => match self.ending() {
                    Ok(()) => return Ok(None),
                    Err(error) => break error,
                },
                Err(error) => break error,
            }
        };
        self.failed = Some(error.clone());
        self.input = Input::default();
        // Events may have come to light in the step that failed; they are before the fault.
        self.segment.pop().map_or(Err(error), |event| Ok(Some(event)))
    }

    #[inline]
    fn step(&mut self) -> Result<Step, Error> {
        match self.task {
            Task::Header => {
                if !self.input.inside_header() {
                    if let Some(event) = self.close_complete()? {
                        return Ok(Step::Event(event));
                    }
                    self.start = self.input.position();
                }
                match self.input.header() {
                    Next::Header(header) => self.open(header),
                    Next::More => Ok(Step::Starved),
                    Next::Invalid(why) => Err(self.not_an_element(why)),
                }
            }
            Task::Skip(id, left) => {
                let left = left - self.input.skip(left);
                if left > 0 {
                    self.task = Task::Skip(id, left);
                    return Ok(Step::Starved);
                }
                self.task = Task::Header;
                Ok(Step::On)
            }
            Task::Body(id, size) => {
                let Some(body) = self.input.take(size) else { return Ok(Step::Starved) };
                self.task = Task::Header;
                Ok(self.body(id, body)?.map_or(Step::On, Step::Event))
            }
        }
    }

    /// Leaves the open elements that end here. The end of a BlockGroup brings forth its frames.
    #[inline]
    fn close_complete(&mut self) -> Result<Option<Event>, Error> {
        let here = self.input.position();
        if self.place.leave_group(here)
            && let Some(event) = self.segment.end_group()?
        {
            return Ok(Some(event));
        }
        self.place.leave_complete(here);
        Ok(None)
    }

    /// Acts on an element header that begins at `start` and has just been read.
    #[inline]
    fn open(&mut self, header: Header) -> Result<Step, Error> {
        let Header { id, size, .. } = header;
        self.place.leave_for(id);
        let end = self.place.end_of(header, self.input.position()).map_err(|message| self.wrong(message))?;
        let extent = Extent { start: self.start, end };
        match self.place.level() {
            Level::Root => self.open_at_root(id, size, extent),
            Level::Segment => self.open_in_segment(id, size, extent),
            Level::Cluster => self.open_in_cluster(id, size, extent),
            Level::BlockGroup => self.open_in_group(id, size),
        }
    }

    fn open_at_root(&mut self, id: Id, size: Size, extent: Extent) -> Result<Step, Error> {
        match id {
            Id::EBML => self.gather(id, size, MAX_EBML_HEADER_BYTES),
            Id::SEGMENT if self.headed => {
                self.place.enter_segment(extent);
                self.awaits_segment = false;
                self.segment.begin();
                Ok(Step::On)
            }
            Id::VOID | Id::CRC32 if self.headed => self.skip(id, size),
            _ if self.headed => Err(self.wrong(format!(
                "the {id} stands outside a Segment, where only a Segment or another EBML header may follow"
            ))),
            _ => Err(self.not_an_element(&format!("it begins with the {id}"))),
        }
    }

    fn open_in_segment(&mut self, id: Id, size: Size, extent: Extent) -> Result<Step, Error> {
        match id {
            Id::INFO | Id::TRACKS | Id::TAGS => self.gather(id, size, MAX_HEADER_ELEMENT_BYTES),
            Id::CLUSTER => {
                self.place.enter_cluster(extent);
                self.segment.begin_cluster();
                Ok(Step::On)
            }
            Id::SIMPLE_BLOCK | Id::BLOCK_GROUP => {
                Err(self.wrong(format!("the {id} stands outside a Cluster")))
            }
            _ if id.is_root() => Err(self.misplaced(id, Id::SEGMENT)),
            _ => self.skip(id, size),
        }
    }

    #[inline]
    fn open_in_cluster(&mut self, id: Id, size: Size, extent: Extent) -> Result<Step, Error> {
        match id {
            Id::SIMPLE_BLOCK => self.gather(id, size, MAX_BLOCK_BYTES),
            Id::BLOCK_GROUP => {
                self.place.enter_group(extent);
                self.segment.begin_group();
                Ok(Step::On)
            }
            Id::TIMESTAMP => {
                if self.segment.has_time() {
                    return Err(self.wrong(format!("the Cluster has a second {id}")));
                }
                self.gather(id, size, 8)
            }
            Id::ENCRYPTED_BLOCK => {
                Err(Error::new(Fault::Unsupported, self.start, format!("the {id} is not supported")))
            }
            _ if id.is_root() || id.is_top_level() => Err(self.misplaced(id, Id::CLUSTER)),
            _ => self.skip(id, size),
        }
    }

    fn open_in_group(&mut self, id: Id, size: Size) -> Result<Step, Error> {
        match id {
            Id::BLOCK => {
                if self.segment.has_block() {
                    return Err(self.wrong(format!("the BlockGroup has a second {id}")));
                }
                self.gather(id, size, MAX_BLOCK_BYTES)
            }
            Id::BLOCK_DURATION => self.gather(id, size, 8),
            Id::REFERENCE_BLOCK => {
                self.segment.refer();
                self.skip(id, size)
            }
            _ if id.is_root() || id.is_top_level() => Err(self.misplaced(id, Id::BLOCK_GROUP)),
            _ => self.skip(id, size),
        }
    }

    /// Acts on an element that has been read whole.
    #[inline]
    fn body(&mut self, id: Id, body: Bytes) -> Result<Option<Event>, Error> {
        let start = self.input.position() - body.len() as u64;
        if id == Id::EBML {
            check_ebml_header(&body, self.start, start)?;
            self.headed = true;
            self.awaits_segment = true;
            return Ok(None);
        }
        self.segment.read(id, self.start, start, body)
    }

    /// Begins to read an element whole.
    #[inline]
    fn gather(&mut self, id: Id, size: Size, limit_bytes: u64) -> Result<Step, Error> {
        let size = match size {
            Size::Known(size) => size,
            Size::Unknown => u64::MAX,
        };
        match usize::try_from(size) {
            Ok(bytes) if size <= limit_bytes => {
                self.task = Task::Body(id, bytes);
                Ok(Step::On)
            }
            _ => Err(Error::new(
                Fault::Limit,
                self.start,
                format!("the {id} claims {size} bytes; at most {limit_bytes} are read"),
            )),
        }
    }

    /// Begins to pass over an element.
    fn skip(&mut self, id: Id, size: Size) -> Result<Step, Error> {
        if let Size::Known(size) = size {
            self.task = Task::Skip(id, size);
        }
        Ok(Step::On)
    }

    /// What is wrong if the input ends where it has been read to.
    fn ending(&self) -> Result<(), Error> {
        if !self.ended {
            return Ok(());
        }
        let truncated = |offset, what: String| Err(Error::new(Fault::Truncated, offset, what));
        match self.task {
            Task::Body(id, _) | Task::Skip(id, _) => {
                return truncated(self.start, format!("the input ends inside the {id}"));
            }
            Task::Header if self.input.inside_header() => {
                return truncated(
                    self.start,
                    format!("the input ends inside an element's header, {}", self.place.name()),
                );
            }
            Task::Header => {}
        }
        if !self.headed {
            return truncated(0, "the input is empty".to_owned());
        }
        if let Some((id, start, end)) = self.place.unfinished() {
            let missing = end - self.input.position();
            return truncated(
                start,
                format!("the input ends inside the {id}, {missing} bytes before its end"),
            );
        }
        if self.awaits_segment {
            return truncated(0, format!("the input ends after its {}, before a Segment", Id::EBML));
        }
        Ok(())
    }

    fn wrong(&self, message: String) -> Error {
        Error::new(Fault::Container, self.start, message)
    }

    fn misplaced(&self, id: Id, parent: Id) -> Error {
        self.wrong(format!("the {id} stands inside a {parent} of known size, which has not ended"))
            .with_hint("a Cluster or Segment that is cut off must be of unknown size")
    }

    /// The bytes at `start` are no element that may stand here.
    fn not_an_element(&self, why: &str) -> Error {
        if self.headed {
            return self.wrong(format!("no element begins here: {why}"));
        }
        self.wrong(format!("the input is not Matroska or WebM: {why}"))
            .with_hint("the first bytes must be an EBML header, 1A 45 DF A3")
    }
}

#[cfg(test)]
#[path = "demux_test.rs"]
mod tests;

#[cfg(test)]
#[path = "hostile_test.rs"]
mod hostile_tests;
