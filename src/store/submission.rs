//! What a writer hands in, and what it gets back.
//!
//! Who the writer is, and what becomes of a fragment, is told elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber, WallTime};
use tokio::sync::oneshot;

use crate::Error;
use crate::fragment::{ConfigurationId, Flags, Fragment};

/// What is known of a fragment when its first byte arrives.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// See [`Fragment::producer_time`].
    pub producer_time: WallTime,
    /// See [`Fragment::server_time`].
    pub server_time: WallTime,
    /// See [`Fragment::media_us`].
    pub media_us: i64,
    /// See [`Fragment::configuration`].
    pub configuration: ConfigurationId,
    /// Whether media time, tracks or configuration do not continue from the fragment before it.
    pub discontinuity: bool,
}

/// How a fragment began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It has this number and its parts are visible to live readers.
    Live(FragmentNumber),
    /// One of the newest fragments has the same producer time, so this may be the same content
    /// again. It has no number and is not visible before [`crate::StreamWriter::finish`] tells.
    PossiblyRepeated,
}

/// What is known of a fragment when it is complete.
#[derive(Debug, Clone)]
pub struct Finish {
    /// See [`Fragment::duration_us`].
    pub duration_us: u64,
    /// See [`Flags`]; the store adds [`Flags::DISCONTINUITY`] itself.
    pub flags: Flags,
    /// What the payload begins with. It may differ when the same content is sent again.
    pub head: Bytes,
    /// The rest of the payload, in pieces that share memory with the parts: the content.
    pub data: Vec<Bytes>,
}

/// A finished fragment and the promise of its durability.
#[derive(Debug)]
pub struct Finished {
    /// The fragment; of a repeated one, the fragment that was stored the first time.
    pub fragment: Fragment,
    /// Whether the content was stored before and nothing was added.
    pub repeated: bool,
    /// Resolves when the fragment is known to survive a power cut, or never will.
    pub durable: Durable,
}

/// Resolves once a fragment survives a power cut (`Ok`) or is known to be lost (`Err`).
/// Dropping it changes nothing.
#[derive(Debug)]
pub struct Durable(pub(crate) oneshot::Receiver<Result<(), Error>>);

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|sent| {
            sent.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Unavailable, "the store stopped before the fragment was durable"))
            })
        })
    }
}
