//! One producer's bytes as a state machine: `handle(bytes, now)`, then steps until there are none.
//!
//! It owns no store, no socket and no clock; whoever drives it applies the steps.

use bytes::Bytes;
use kinora_base::WallTime;
use kinora_media::demux::Container;
use kinora_media::{Demuxer, Error, Event};

use crate::ingest::assembler::Assembler;
use crate::ingest::cut_settings::CutSettings;
use crate::ingest::producer_clock::Timing;
use crate::ingest::step::Step;

/// See the module.
#[derive(Debug)]
pub struct Session {
    demuxer: Demuxer,
    assembler: Assembler,
    samples: u64,
    headers: u64,
}

impl Session {
    /// A session for media in `container`, or in whatever its first bytes show.
    #[must_use]
    pub fn new(container: Option<Container>, cut: CutSettings, timing: Timing) -> Self {
        Self {
            demuxer: Demuxer::new(container),
            assembler: Assembler::new(cut, timing),
            samples: 0,
            headers: 0,
        }
    }

    /// Takes the next bytes, which arrived at `now`.
    ///
    /// # Errors
    /// The first fault in the media; the session takes no more then, but what was complete before
    /// it can be kept with [`Self::abort`].
    pub fn handle(&mut self, bytes: Bytes, now: WallTime) -> Result<(), Error> {
        self.demuxer.push(bytes);
        self.drain(now)
    }

    /// The input ended as it should.
    ///
    /// # Errors
    /// As [`Self::handle`], and if the media ends in the middle of something.
    pub fn finish(&mut self, now: WallTime) -> Result<(), Error> {
        self.demuxer.finish();
        self.drain(now)?;
        self.assembler.end(true, now);
        Ok(())
    }

    /// The input ended as it should not: what is complete becomes a partial fragment.
    pub fn abort(&mut self, now: WallTime) {
        self.assembler.end(false, now);
    }

    /// The next step, in order.
    pub fn next_step(&mut self) -> Option<Step> {
        self.assembler.next_step()
    }

    /// Whether there is a step.
    #[must_use]
    pub fn has_steps(&self) -> bool {
        self.assembler.has_steps()
    }

    /// Frames so far that could not be kept.
    #[must_use]
    pub fn lost_frames(&self) -> u64 {
        self.demuxer.dropped().lost()
    }

    /// Samples taken so far: how one sees that a producer makes progress.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    fn drain(&mut self, now: WallTime) -> Result<(), Error> {
        while let Some(event) = self.demuxer.next()? {
            if self.demuxer.headers() > self.headers {
                self.headers = self.demuxer.headers();
                self.assembler.header();
            }
            match event {
                Event::Tracks(tracks) => self.assembler.tracks(&tracks, now),
                Event::Boundary(boundary) => self.assembler.boundary(boundary, now),
                Event::Sample(sample) => {
                    self.samples += 1;
                    self.assembler.sample(sample, now);
                }
                Event::Tags(tags) => self.assembler.tag(tags),
                Event::ProducerTime(reference) => self.assembler.producer_time(reference),
                Event::EndOfFragment => self.assembler.end_of_fragment(now),
            }
        }
        Ok(())
    }
}
