//! One stream: its writer, its tail, its index.

use std::sync::Arc;

use bytes::Bytes;
use kinora_base::{FragmentNumber, StreamName, WallTime};
use tokio::sync::watch;

use crate::{ConfigurationId, Error, Fragment, OpenFragment, Query, Run, StreamWriter};

/// A stream's figures at a glance, from memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lowest and highest stored number.
    pub numbers: Option<(FragmentNumber, FragmentNumber)>,
    /// Earliest producer start and latest producer end.
    pub producer_range: Option<(WallTime, WallTime)>,
    /// Stored fragments.
    pub fragments: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Server time of the newest part or fragment.
    pub last_received: Option<WallTime>,
    /// Whether a writer holds the stream.
    pub has_writer: bool,
}

/// A consistent view of the newest end of a stream.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// The newest complete fragments in arrival order, as many as asked for.
    pub fragments: Vec<Fragment>,
    /// The fragment under way.
    pub open: Option<OpenFragment>,
}

/// A stream of the store.
#[derive(Debug)]
pub struct Stream {}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        unimplemented!()
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> WallTime {
        unimplemented!()
    }

    /// Its figures, without touching the disk.
    #[must_use]
    pub fn summary(&self) -> Summary {
        unimplemented!()
    }

    /// Takes the stream over: tells the present writer, waits until it lets go or its grace is
    /// over, then fences it off.
    ///
    /// # Errors
    /// `Unavailable` if the volume failed or the store is closing.
    pub async fn writer(self: &Arc<Self>) -> Result<StreamWriter, Error> {
        unimplemented!()
    }

    /// Changes whenever a part or fragment is published, a fragment becomes durable, or the
    /// writer comes or goes. The value counts the changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// The newest `count` fragments and the one under way, without touching the disk where they
    /// are in the open segment.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn tail(&self, _count: usize) -> Result<Tail, Error> {
        unimplemented!()
    }

    /// Lists fragments. May read footers from disk: blocks.
    ///
    /// # Errors
    /// `Unavailable` for input and output errors, `Corrupt` for a damaged footer.
    pub fn fragments(&self, _query: &Query) -> Result<Vec<Fragment>, Error> {
        unimplemented!()
    }

    /// The fragment `number`. May read a footer from disk: blocks.
    ///
    /// # Errors
    /// `NotFound`, else as [`Self::fragments`].
    pub fn fragment(&self, _number: FragmentNumber) -> Result<Fragment, Error> {
        unimplemented!()
    }

    /// The payload of a fragment, from memory or disk, its checksum verified: blocks. It comes
    /// in the pieces it was written in, or in one.
    ///
    /// # Errors
    /// `NotFound` if it is gone, `Corrupt` if the checksum fails, `Unavailable` for input and
    /// output errors.
    pub fn read(&self, _number: FragmentNumber) -> Result<Vec<Bytes>, Error> {
        unimplemented!()
    }

    /// A codec configuration, from memory or disk: blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn configuration(&self, _id: ConfigurationId) -> Result<Bytes, Error> {
        unimplemented!()
    }

    /// The stretches of producer time from `start` to `end` that fragments cover, in order.
    ///
    /// # Errors
    /// As [`Self::fragments`].
    pub fn runs(&self, _start: WallTime, _end: WallTime) -> Result<Vec<Run>, Error> {
        unimplemented!()
    }
}
