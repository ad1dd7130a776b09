//! How a stream gets its writer: the newer wins, after the older was told.
//!
//! What writers do with the stream is unknown here.

use std::sync::Arc;

use kinora_base::ErrorKind;
use tokio::sync::watch;

use crate::state::{Holder, State};
use crate::sync::lock;
use crate::{Error, Stream, StreamWriter};

impl Stream {
    /// Takes the stream over: tells the present writer, waits until it lets go or its grace is
    /// over, then fences it off: its calls fail from then on, what it had begun is abandoned.
    /// Of several that want the stream at once, the last one gets it.
    ///
    /// # Errors
    /// `Unavailable` if the volume failed or the store is closing; `StorageFull` if the stream is
    /// new or its server crashed, and there is no room to record that; `Conflict` if a newer taker
    /// came while this one waited; `NotFound` if the stream was deleted.
    pub async fn writer(self: &Arc<Self>) -> Result<StreamWriter, Error> {
        let mut changes = self.changes.subscribe();
        let ticket = {
            let mut state = lock(&self.state);
            state.takers += 1;
            if let Some(writer) = &state.writer {
                writer.superseded.send_replace(true);
            }
            state.takers
        };
        // An earlier taker that is still waiting must learn that it is too late.
        self.changed();
        let mut grace = std::pin::pin!(tokio::time::sleep(self.volume.options.takeover_grace));
        let mut over = false;
        lock(&self.state).mark_failed = None;
        loop {
            changes.borrow_and_update();
            let taken = self.try_take(&mut lock(&self.state), ticket, over)?;
            if let Some(writer) = taken {
                self.changed();
                return Ok(writer);
            }
            tokio::select! {
                // The sender lives as long as the stream, so this fails never.
                _ = changes.changed() => {}
                () = &mut grace, if !over => over = true,
            }
        }
    }

    /// Makes the taker with `ticket` the writer, if nobody holds the stream or `fence` is set.
    fn try_take(
        self: &Arc<Self>,
        state: &mut State,
        ticket: u64,
        fence: bool,
    ) -> Result<Option<StreamWriter>, Error> {
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        if let Some(failure) = self.volume.failure() {
            return Err(failure.clone());
        }
        if state.takers != ticket {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("a newer writer wants the stream '{}'", self.name),
            ));
        }
        if state.writer.is_some() && !fence {
            return Ok(None);
        }
        if let Some(error) = state.mark_failed.take() {
            return Err(error);
        }
        if !state.grounded {
            // The numbers this writer will give out must be told apart from all others even after
            // a crash before any of its fragments is durable.
            state.mark = true;
            self.enqueue(state);
            return Ok(None);
        }
        let (superseded, told) = watch::channel(false);
        state.epoch += 1;
        state.under_way = None;
        state.writer = Some(Holder { epoch: state.epoch, superseded });
        Ok(Some(StreamWriter::new(Arc::clone(self), state.epoch, told)))
    }
}
