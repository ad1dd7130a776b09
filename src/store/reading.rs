//! Reading a stream: its live tail, one fragment, its payload, a codec configuration.

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber};

use crate::segment::{ReadFailed, read_record};
use crate::segments::Location;
use crate::sync::lock;
use crate::{ConfigurationId, Error, Fragment, OpenFragment, Stream};

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
    /// As [`Self::read`].
    pub fn tail(&self, count: usize) -> Result<Tail, Error> {
        let mut tail = Tail::default();
        let below = {
            let state = lock(&self.state);
            self.exists(&state)?;
            let pending = state.pending.iter().rev().map(|pending| pending.fragment.clone());
            tail.fragments.extend(pending.chain(state.segments.newest_first()).take(count));
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

    /// The payload of a fragment, from memory or disk, its checksum verified: blocks. It comes
    /// in the pieces it was written in, or in one.
    ///
    /// # Errors
    /// `NotFound` if it is gone, `Corrupt` if the checksum fails, `Unavailable` for input and
    /// output errors.
    pub fn read(&self, number: FragmentNumber) -> Result<Vec<Bytes>, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            let found = state.pending.iter().find(|pending| pending.fragment.number == number);
            if let Some(pending) = found {
                return Ok(pending.payload.clone());
            }
            if let Some(payload) = state.ring.get(number.get()) {
                return Ok(payload);
            }
        }
        let place = self.locate(number)?;
        let record = read_record(place.file.as_ref(), place.segment, place.offset, place.fragment.bytes);
        match record {
            Ok((record, payload)) if record.number == number.get() => Ok(vec![payload]),
            Ok((record, _)) => Err(self.damaged(number, format!("its place holds {}", record.number))),
            Err(ReadFailed::Damaged(reason)) => Err(self.damaged(number, format!("the record {reason}"))),
            Err(ReadFailed::Io(error)) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("cannot read fragment {number} of stream '{}': {error}", self.name),
            )),
        }
    }

    /// A codec configuration, from memory or disk: blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn configuration(&self, id: ConfigurationId) -> Result<Bytes, Error> {
        {
            let state = lock(&self.state);
            self.exists(&state)?;
            if let Some(content) = state.configurations.get(id.0) {
                return Ok(content.clone());
            }
        }
        self.volume.database.configuration(self.id, id.0)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("stream '{}' has no codec configuration {}", self.name, id.0),
            )
        })
    }

    fn damaged(&self, number: FragmentNumber, reason: String) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!("fragment {number} of stream '{}' is damaged: {reason}", self.name),
        )
    }

    /// Where a durable fragment lies.
    fn locate(&self, number: FragmentNumber) -> Result<Location, Error> {
        let missing =
            || Error::new(ErrorKind::NotFound, format!("stream '{}' has no fragment {number}", self.name));
        let below = {
            let state = lock(&self.state);
            if let Some(location) = state.segments.find(number.get()) {
                return Ok(location);
            }
            state.segments.first_in_memory()
        };
        let row = self.volume.database.segment_of(self.id, number.get())?;
        let row = row.filter(|row| row.first < below).ok_or_else(missing)?;
        if number.get() > row.last {
            return Err(missing());
        }
        Location::in_sealed(self.sealed(row)?.as_ref(), number.get()).ok_or_else(missing)
    }
}
