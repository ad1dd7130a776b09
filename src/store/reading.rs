//! Finding what to read of a stream: its live tail, one fragment, its payload, a codec
//! configuration.

use std::sync::Arc;

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber};

use crate::segment::read_configuration;
use crate::segments::Location;
use crate::sync::lock;
use crate::{ConfigurationId, Error, Fragment, OpenFragment, Payload, Stream};

/// A consistent view of the newest end of a stream.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// The newest complete fragments in arrival order, as many as asked for.
    pub fragments: Vec<Fragment>,
    /// The fragment under way.
    pub open: Option<OpenFragment>,
}

impl Stream {
    /// The newest `count` fragments and the one under way, without touching the disk where they
    /// are in the open segment.
    ///
    /// # Errors
    /// As [`Self::fragments`].
    pub fn tail(&self, count: usize) -> Result<Tail, Error> {
        let mut tail = Tail::default();
        let below = {
            let state = lock(&self.state);
            self.exists(&state)?;
            let pending = state.pending.iter().rev().map(|pending| pending.fragment.clone());
            let view = state.kept.view();
            let shown = pending.chain(state.segments.newest_first()).filter(|fragment| view.shows(fragment));
            tail.fragments.extend(shown.take(count));
            tail.open = state.under_way.as_ref().and_then(|under_way| {
                let begin = under_way.begin;
                Some(OpenFragment {
                    number: FragmentNumber::new(under_way.number?)?,
                    ordinal: state.coming_ordinal(),
                    producer_time: begin.producer_time,
                    server_time: begin.server_time,
                    configuration: begin.configuration,
                    discontinuity: begin.discontinuity,
                    parts: under_way.parts.clone(),
                })
            });
            state.segments.first_in_memory()
        };
        if tail.fragments.len() < count {
            self.older(below, count, &mut tail.fragments)?;
        }
        tail.fragments.reverse();
        Ok(tail)
    }

    /// The fragment `number`. May read a footer from disk: blocks.
    ///
    /// # Errors
    /// `NotFound`, else as [`Self::fragments`].
    pub fn fragment(&self, number: FragmentNumber) -> Result<Fragment, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            let found = state.pending.iter().find(|pending| pending.fragment.number == number);
            if let Some(pending) = found {
                return Ok(pending.fragment.clone());
            }
        }
        Ok(self.locate(number)?.fragment)
    }

    /// The payload of the fragment `number`, to be read from: nothing of it is read yet, but a
    /// footer may be: blocks.
    ///
    /// # Errors
    /// `NotFound`, else as [`Self::fragments`].
    pub fn read(self: &Arc<Self>, number: FragmentNumber) -> Result<Payload, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            let found = state.pending.iter().find(|pending| pending.fragment.number == number);
            if let Some(pending) = found {
                return Ok(Payload::new(self, pending.fragment.clone(), None));
            }
        }
        let location = self.locate(number)?;
        let fragment = location.fragment.clone();
        let in_memory = lock(&self.state).payload(number).is_some();
        Ok(Payload::new(self, fragment, (!in_memory).then_some(location)))
    }

    /// A codec configuration, from memory or disk: blocks.
    ///
    /// # Errors
    /// As [`Self::fragments`].
    pub fn configuration(&self, id: ConfigurationId) -> Result<Bytes, Error> {
        let place = {
            let state = lock(&self.state);
            self.exists(&state)?;
            if let Some(content) = state.configurations.get(id.0) {
                return Ok(content.clone());
            }
            state.segments.configuration(id.0)
        };
        // The index learns of them behind the acknowledgements, and may be far behind.
        let recorded =
            place.and_then(|(file, segment, offset)| read_configuration(file.as_ref(), segment, offset).ok());
        let record = match recorded {
            Some(record) => Some(record),
            None => self.volume.database.configuration(self.id, id.0)?,
        };
        let record = record.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("stream '{}' has no codec configuration {}", self.name, id.0),
            )
        })?;
        self.keys.configuration(&record).map_err(|reason| {
            let message = format!("codec configuration {} of stream '{}' {reason}", id.0, self.name);
            Error::new(ErrorKind::Corrupt, message)
        })
    }

    /// Where a durable fragment lies.
    pub(crate) fn locate(&self, number: FragmentNumber) -> Result<Location, Error> {
        let missing =
            || Error::new(ErrorKind::NotFound, format!("stream '{}' has no fragment {number}", self.name));
        let (below, view) = {
            let state = lock(&self.state);
            let view = state.kept.view();
            if let Some(location) = state.segments.find(number.get()) {
                return Some(location).filter(|found| view.shows(&found.fragment)).ok_or_else(missing);
            }
            (state.segments.first_in_memory(), view)
        };
        let row = self.volume.database.segment_of(self.id, number.get())?;
        let row = row.filter(|row| row.first < below && number.get() <= row.last).ok_or_else(missing)?;
        let sealed = self.shown(row)?.ok_or_else(missing)?;
        let found = Location::in_sealed(&sealed, number.get());
        found.filter(|found| view.shows(&found.fragment)).ok_or_else(missing)
    }
}
