//! The beginning of a producer's connection, up to its first sample: nothing is created or taken
//! over for input that never becomes media.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use kinora_base::Clock;
use kinora_media::demux::Container;

use crate::ingest::connection::{BodyError, Ending, PutSettings};
use crate::ingest::producer_clock::Timing;
use crate::ingest::refusal::{self, Refusal};
use crate::ingest::session::Session;

/// See the module.
#[derive(Debug)]
pub struct Opening {
    pub(super) session: Session,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: PutSettings,
    /// Bytes of the body so far.
    pub(super) bytes: u64,
    /// The body is complete.
    pub(super) ended: bool,
}

impl Opening {
    /// A connection of which nothing has been read.
    #[must_use]
    pub fn new(
        container: Option<Container>,
        timing: Timing,
        settings: PutSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let session = Session::new(container, settings.cut.clone(), timing);
        Self { session, clock, settings, bytes: 0, ended: false }
    }

    /// Reads until the first sample.
    ///
    /// # Errors
    /// Whatever is wrong with the media, or with a body that ends, breaks off, stalls or is
    /// stopped before there is any.
    pub async fn read(
        &mut self,
        body: &mut (impl Stream<Item = Result<Bytes, BodyError>> + Unpin + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Refusal> {
        let patience = tokio::time::sleep(self.settings.stalled_after);
        tokio::pin!(patience, stop);
        while !self.session.has_steps() {
            let chunk = tokio::select! {
                biased;
                () = &mut stop => return Err(refusal::stopping()),
                chunk = body.next() => chunk,
                () = &mut patience => return Err(refusal::stalled(self.settings.stalled_after, self.bytes)),
            };
            match chunk {
                Some(Ok(chunk)) => {
                    self.bytes += chunk.len() as u64;
                    let handled = self.session.handle(chunk, self.clock.wall());
                    if !self.session.has_steps() {
                        handled?;
                    }
                }
                Some(Err(error)) => return Err(refusal::connection_lost(&error.0, self.bytes)),
                None => {
                    self.ended = true;
                    self.session.finish(self.clock.wall())?;
                    if !self.session.has_steps() {
                        return Err(refusal::no_media(self.bytes));
                    }
                }
            }
        }
        Ok(())
    }

    /// How a connection ended that was refused before its media began.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> Ending {
        Ending { refusal: Some(refusal), bytes: self.bytes, ..Ending::default() }
    }
}
