//! How a stream gets its writer: who arrived later wins, after the earlier was told.
//!
//! What writers do with the stream is unknown here, and so is what makes one arrive.

use std::sync::Arc;

use kinora_base::ErrorKind;
use tokio::sync::watch;

use crate::state::{Holder, State};
use crate::sync::lock;
use crate::{Arrival, Error, Stream, StreamWriter};

/// One that waits to become the writer; forgotten when it stops waiting.
struct Taker<'a> {
    stream: &'a Stream,
    arrival: Arrival,
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.stream.state);
        if state.taker == Some(self.arrival) {
            state.taker = None;
        }
    }
}

impl Stream {
    /// Takes the stream over for one that arrives now: see [`Self::writer_for`].
    ///
    /// # Errors
    /// As [`Self::writer_for`].
    pub async fn writer(self: &Arc<Self>) -> Result<StreamWriter, Error> {
        self.writer_for(self.volume.arrivals.next()).await
    }

    /// Takes the stream over: tells the present writer, waits until it lets go or its grace is
    /// over, then fences it off: its calls fail from then on, what it had begun is abandoned.
    /// Of several that want the stream the one that arrived last gets it, whoever asks first: a
    /// connection that died is heard of late, and must not displace its successor.
    ///
    /// # Errors
    /// `Unavailable` if the volume failed or the store is closing; `StorageFull` if the stream is
    /// new or its server crashed, and there is no room to record that; `Conflict` if one that
    /// arrived later has the stream, or comes while this one waits; `NotFound` if the stream was
    /// deleted.
    pub async fn writer_for(self: &Arc<Self>, arrival: Arrival) -> Result<StreamWriter, Error> {
        let mut changes = self.changes.subscribe();
        let taker = Taker { stream: self, arrival };
        {
            let mut state = lock(&self.state);
            let newest = state.writer.as_ref().map(|writer| writer.arrival).max(state.taker);
            if newest.is_some_and(|newest| newest > arrival) {
                return Err(self.displaced());
            }
            state.taker = Some(arrival);
            state.mark_failed = None;
            if let Some(writer) = &state.writer {
                writer.superseded.send_replace(true);
            }
        }
        // An earlier taker that is still waiting must learn that it is too late.
        self.changed();
        let mut grace = std::pin::pin!(tokio::time::sleep(self.volume.options.takeover_grace));
        let mut over = false;
        loop {
            changes.borrow_and_update();
            let taken = self.try_take(&mut lock(&self.state), taker.arrival, over)?;
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

    fn displaced(&self) -> Error {
        Error::new(ErrorKind::Conflict, format!("a newer connection has or wants the stream '{}'", self.name))
    }

    /// Makes this taker the writer, if nobody holds the stream or `fence` is set.
    fn try_take(
        self: &Arc<Self>,
        state: &mut State,
        arrival: Arrival,
        fence: bool,
    ) -> Result<Option<StreamWriter>, Error> {
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        if let Some(failure) = self.volume.failure() {
            return Err(failure.clone());
        }
        if state.taker != Some(arrival) {
            return Err(self.displaced());
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
        state.writer = Some(Holder { epoch: state.epoch, arrival, superseded });
        Ok(Some(StreamWriter::new(Arc::clone(self), state.epoch, told)))
    }
}
