//! The one handle through which a stream grows.

use std::future::Future;

use bytes::Bytes;
use kinora_base::{FragmentNumber, WallTime};

use crate::Error;
use crate::fragment::{ConfigurationId, Flags, Fragment};
use crate::tail::Part;

/// What is known of a fragment when its first byte arrives.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// See [`Fragment::producer_time`].
    pub producer_time: WallTime,
    /// See [`Fragment::server_time`].
    pub server_time: WallTime,
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
    /// again. It has no number and is not visible before [`StreamWriter::finish`] tells.
    PossiblyRepeated,
}

/// What is known of a fragment when it is complete.
#[derive(Debug, Clone)]
pub struct Finish {
    /// See [`Fragment::duration_us`].
    pub duration_us: u64,
    /// See [`Flags`]; the store adds [`Flags::DISCONTINUITY`] itself.
    pub flags: Flags,
    /// The payload, in pieces that share memory with the parts.
    pub payload: Vec<Bytes>,
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
pub struct Durable(pub(crate) tokio::sync::oneshot::Receiver<Result<(), Error>>);

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|sent| {
            sent.unwrap_or_else(|_| {
                Err(Error::new(
                    kinora_base::ErrorKind::Unavailable,
                    "the store stopped before the fragment was durable",
                ))
            })
        })
    }
}

/// The exclusive right to add fragments to a stream, until a newer writer takes it over. No call
/// blocks on the disk.
#[derive(Debug)]
pub struct StreamWriter {}

impl StreamWriter {
    /// The identifier of this codec configuration, registered if it is new. It becomes durable
    /// no later than the first fragment that names it.
    ///
    /// # Errors
    /// `Conflict` if a newer writer took over; `LimitExceeded` past 65,535 configurations or
    /// 1 MiB in one.
    pub fn configuration(&mut self, _configuration: &Bytes) -> Result<ConfigurationId, Error> {
        unimplemented!()
    }

    /// Begins a fragment. One that was begun and not finished is abandoned: its number is spent.
    ///
    /// # Errors
    /// `Conflict` if a newer writer took over, `Unavailable` if the volume failed or the store is
    /// closing, `StorageFull` if there is no room.
    pub fn begin(&mut self, _begin: Begin) -> Result<Begun, Error> {
        unimplemented!()
    }

    /// Publishes a part of the fragment under way to live readers.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn part(&mut self, _part: Part) -> Result<(), Error> {
        unimplemented!()
    }

    /// Completes the fragment under way and queues it for the disk.
    ///
    /// # Errors
    /// As [`Self::begin`]; `LimitExceeded` if the payload is larger than
    /// [`crate::Options::max_fragment_bytes`] or too much is waiting for the disk.
    pub fn finish(&mut self, _finish: Finish) -> Result<Finished, Error> {
        unimplemented!()
    }

    /// Gives up the fragment under way, if any; its number is spent.
    pub fn abandon(&mut self) {}

    /// Resolves when a newer writer wants the stream: finish or abandon what is under way and
    /// drop this handle soon, before [`crate::Options::takeover_grace`] is over.
    pub fn superseded(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }
}
