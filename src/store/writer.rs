//! The one handle through which a stream grows.

use std::future::Future;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use kinora_base::{ErrorKind, FragmentNumber, WallTime};
use tokio::sync::{oneshot, watch};

use crate::State as FragmentState;
use crate::format::{checksum_joined, checksum_pieces};
use crate::ledger::Session;
use crate::state::{NUMBERS_IN_FLIGHT, Pending, State, UnderWay};
use crate::statistics::add;
use crate::sync::lock;
use crate::{
    Begin, Begun, Cause, ConfigurationId, Durable, Error, Finish, Finished, Flags, Fragment, Part, Stop,
    Stream,
};

/// The exclusive right to add fragments to a stream, until a newer writer takes it over. No call
/// blocks on the disk.
#[derive(Debug)]
pub struct StreamWriter {
    stream: Arc<Stream>,
    epoch: u64,
    superseded: watch::Receiver<bool>,
    session: Session,
}

impl StreamWriter {
    pub(crate) fn new(stream: Arc<Stream>, epoch: u64, superseded: watch::Receiver<bool>) -> Self {
        Self { stream, epoch, superseded, session: Session::default() }
    }

    /// The identifier of this codec configuration, registered if it is new. It becomes durable
    /// no later than the first fragment that names it.
    ///
    /// # Errors
    /// `Conflict` if a newer writer took over; `LimitExceeded` past 65,535 configurations, 1 MiB
    /// in one, or 16 new ones that wait for the disk.
    pub fn configuration(&mut self, configuration: &Bytes) -> Result<ConfigurationId, Error> {
        let mut state = self.enter()?;
        let before = state.configurations.next();
        let id = state.configurations.register(configuration)?;
        if state.configurations.next() != before {
            self.stream.enqueue(&mut state);
        }
        Ok(id)
    }

    /// Begins a fragment. One that was begun and not finished is abandoned: its number is spent.
    ///
    /// # Errors
    /// `Conflict` if a newer writer took over, `Unavailable` if the volume failed or the store is
    /// closing, `LimitExceeded` if too many fragments wait for the disk, `InvalidInput` for a
    /// time that cannot be stored or a configuration that was not registered.
    pub fn begin(&mut self, begin: Begin) -> Result<Begun, Error> {
        let mut state = self.enter()?;
        state.under_way = None;
        for time in [begin.producer_time, begin.server_time] {
            if time < WallTime::EARLIEST || time > WallTime::LATEST {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "{}us since 1970 lies outside {} to {}",
                        time.as_micros(),
                        WallTime::EARLIEST,
                        WallTime::LATEST
                    ),
                ));
            }
        }
        let configuration = state.configurations.get(begin.configuration.0).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("codec configuration {} was not registered lately", begin.configuration.0),
            )
        })?;
        let number = if state.newest.begun_at(begin.producer_time).next().is_some() {
            None
        } else {
            Some(self.spend_number(&mut state)?)
        };
        state.under_way = Some(UnderWay { number, begin, configuration, parts: Vec::new(), bytes: 0 });
        state.last_received = Some(begin.server_time);
        drop(state);
        Ok(match number.and_then(FragmentNumber::new) {
            Some(number) => {
                self.stream.changed();
                Begun::Live(number)
            }
            None => Begun::PossiblyRepeated,
        })
    }

    /// The server time of what arrives now, when the wall clock shows `wall`: never before that of
    /// anything that arrived in this stream before, though the clock was set back.
    #[must_use]
    pub fn server_time(&self, wall: WallTime) -> WallTime {
        let monotonic = self.stream.volume.clock.monotonic();
        lock(&self.stream.state).server_time.next(wall, monotonic)
    }

    /// Publishes a part of the fragment under way to live readers.
    ///
    /// # Errors
    /// As [`Self::begin`]; `LimitExceeded` if the parts together are larger than
    /// [`crate::Options::max_fragment_bytes`].
    pub fn part(&mut self, part: Part) -> Result<(), Error> {
        let now = self.stream.volume.clock.wall();
        let limit = self.stream.volume.options.max_fragment_bytes;
        let mut state = self.enter()?;
        let under_way = state.under_way.as_mut().ok_or_else(nothing_begun)?;
        let bytes = part.head.len() + part.data.iter().map(Bytes::len).sum::<usize>();
        under_way.bytes = under_way.bytes.saturating_add(bytes as u64);
        if under_way.bytes > u64::from(limit) {
            state.under_way = None;
            drop(state);
            self.stream.changed();
            return Err(too_large(limit));
        }
        let visible = under_way.number.is_some();
        if visible {
            under_way.parts.push(Arc::new(part));
        }
        state.last_received = Some(now);
        drop(state);
        if visible {
            self.stream.changed();
        }
        Ok(())
    }

    /// Completes the fragment under way and queues it for the disk. After an error nothing is
    /// under way any more.
    ///
    /// # Errors
    /// As [`Self::begin`]; `LimitExceeded` if the payload is larger than
    /// [`crate::Options::max_fragment_bytes`] or too much is waiting for the disk.
    pub fn finish(&mut self, finish: Finish) -> Result<Finished, Error> {
        let volume = Arc::clone(&self.stream.volume);
        // Before the lock is taken: this is the only work here that grows with the payload.
        let (content_crc, data_length) = checksum_pieces(finish.data.iter().map(Bytes::as_ref));
        let sums = Checksums {
            length: (finish.head.len() + data_length) as u64,
            payload_crc: checksum_joined(&finish.head, (content_crc, data_length)),
            content_crc: self.stream.keys.content_checksum(content_crc).map_err(no_checksum)?,
        };
        let finished = volume.clock.monotonic();
        let mut state = self.enter()?;
        let under_way = state.under_way.take().ok_or_else(nothing_begun)?;
        let begin = under_way.begin;
        let duration_us = finish.duration_us;
        let result = self.queue(&mut state, under_way, finish, &sums, finished);
        drop(state);
        if let Ok(Finished { fragment, repeated, .. }) = &result {
            let number = fragment.number.get();
            if let Some(stop) = self.session.finished(&begin, duration_us, number, *repeated) {
                self.stream.note(&mut lock(&self.stream.state), stop);
            }
        }
        self.stream.changed();
        result
    }

    fn queue(
        &self,
        state: &mut State,
        under_way: UnderWay,
        finish: Finish,
        sums: &Checksums,
        finished: Duration,
    ) -> Result<Finished, Error> {
        let volume = &self.stream.volume;
        let limits = &volume.options;
        let &Checksums { length, payload_crc, content_crc } = sums;
        let bytes = match u32::try_from(length) {
            Ok(bytes) if bytes <= limits.max_fragment_bytes => bytes,
            _ => return Err(too_large(limits.max_fragment_bytes)),
        };
        if u32::try_from(finish.duration_us).is_err() {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("a fragment lasts at most {} s", u32::MAX / 1_000_000),
            ));
        }
        let begin = under_way.begin;
        let is_partial = finish.flags.has(Flags::PARTIAL);
        if under_way.number.is_none()
            && let Some(fragment) = state.newest.find(begin.producer_time, content_crc, is_partial).cloned()
        {
            return Ok(self.repeated(state, fragment));
        }
        let waiting = state.pending_bytes.saturating_add(length);
        if waiting > limits.max_uncommitted_bytes && !state.pending.is_empty() {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "{} bytes of stream '{}' wait for the disk, at most {} may",
                    state.pending_bytes, self.stream.name, limits.max_uncommitted_bytes
                ),
            ));
        }
        let (sender, receiver) = oneshot::channel();
        let durable = Durable(receiver);
        let number = match under_way.number {
            Some(number) => number,
            None => self.spend_number(state)?,
        };
        let fragment = Fragment {
            number: FragmentNumber::new(number).unwrap_or(FragmentNumber::FIRST),
            ordinal: state.coming_ordinal(),
            producer_time: begin.producer_time,
            server_time: begin.server_time,
            media_us: begin.media_us,
            duration_us: finish.duration_us,
            bytes,
            configuration: begin.configuration,
            flags: finish.flags.with_if(Flags::DISCONTINUITY, begin.discontinuity),
            content_crc,
            discontinuities: state.discontinuities().saturating_add(u32::from(begin.discontinuity)),
            state: FragmentState::Buffered,
        };
        let payload: Vec<_> = std::iter::once(finish.head).chain(finish.data).collect();
        state.newest.push(fragment.clone());
        state.pending_bytes = waiting;
        state.pending.push_back(Pending {
            fragment: fragment.clone(),
            payload,
            payload_crc,
            configuration: under_way.configuration,
            epoch: self.epoch,
            finished,
            waiting: vec![sender],
        });
        add(&volume.counters.received_fragments, 1);
        add(&volume.counters.received_bytes, length);
        add(&volume.counters.queued_bytes, length);
        self.stream.enqueue(state);
        Ok(Finished { fragment, repeated: false, durable })
    }

    /// The fragment `again` once more: durable when the first time is.
    fn repeated(&self, state: &mut State, again: Fragment) -> Finished {
        add(&self.stream.volume.counters.repeated_fragments, 1);
        let (sender, receiver) = oneshot::channel();
        let pending = state.pending.iter_mut().find(|pending| pending.fragment.number == again.number);
        let state = match pending {
            Some(pending) => {
                pending.waiting.push(sender);
                FragmentState::Buffered
            }
            None => {
                // Nobody else has the receiver, so this arrives.
                let _ = sender.send(Ok(()));
                FragmentState::Persisted
            }
        };
        Finished { fragment: Fragment { state, ..again }, repeated: true, durable: Durable(receiver) }
    }

    /// Completes the fragment under way, which [`Begun::PossiblyRepeated`] said may be repeated, as
    /// a repeat of the fragment `number`, whose samples the caller has compared.
    ///
    /// # Errors
    /// As [`Self::begin`]; `NotFound` if `number` is not among [`Self::begun_alike`].
    pub fn repeat(&mut self, number: FragmentNumber) -> Result<Finished, Error> {
        let alike = self.begun_alike();
        let mut state = self.enter()?;
        state.under_way = None;
        let again = alike.into_iter().find(|fragment| fragment.number == number).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("fragment {number} did not begin at the same time"))
        })?;
        Ok(self.repeated(&mut state, again))
    }

    /// Whether [`Self::finish`] would recognize this as repeated, by the content's checksum.
    #[must_use]
    pub fn recognizes(&self, finish: &Finish) -> bool {
        let (content_crc, _) = checksum_pieces(finish.data.iter().map(Bytes::as_ref));
        let state = lock(&self.stream.state);
        let under_way = state.under_way.as_ref().filter(|under_way| under_way.number.is_none());
        let is_partial = finish.flags.has(Flags::PARTIAL);
        under_way.is_some_and(|under_way| {
            state.newest.find(under_way.begin.producer_time, content_crc, is_partial).is_some()
        })
    }

    /// The newest fragments that began at the same producer time as the one under way, if that
    /// may be a repeated one.
    #[must_use]
    pub fn begun_alike(&self) -> Vec<Fragment> {
        let state = lock(&self.stream.state);
        let under_way = state.under_way.as_ref().filter(|under_way| under_way.number.is_none());
        under_way.map_or_else(Vec::new, |under_way| {
            state.newest.begun_at(under_way.begin.producer_time).cloned().collect()
        })
    }

    /// The stream that it writes.
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Gives up the fragment under way, if any; its number is spent.
    pub fn abandon(&mut self) {
        if let Ok(mut state) = self.enter() {
            let was_visible = state.under_way.take().is_some_and(|under_way| under_way.number.is_some());
            drop(state);
            if was_visible {
                self.stream.changed();
            }
        }
    }

    /// Writes down why this writer's media ends, if it has finished any. Nobody waits for the disk.
    pub fn stop(&mut self, cause: Cause, detail: &str) {
        let Some((ended, highest)) = self.session.end() else { return };
        let noticed = self.stream.volume.clock.wall();
        let mut state = lock(&self.stream.state);
        // What the disk did not take is no media: it ended before.
        let lost = state.newest.last().filter(|newest| newest.number.get() < highest);
        let ended = lost.map_or(ended, Fragment::producer_end);
        let holds = state.writer.as_ref().is_some_and(|writer| writer.epoch == self.epoch);
        let number = if holds { state.next_number.saturating_sub(1) } else { highest };
        self.stream.note(&mut state, Stop::new((ended, noticed), cause, detail, number));
    }

    /// How many payload bytes of the stream wait for the disk. A producer that can be slowed
    /// down should be, before [`crate::Options::max_uncommitted_bytes`] is reached.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> u64 {
        lock(&self.stream.state).pending_bytes
    }

    /// Resolves when a newer writer wants the stream: finish or abandon what is under way and
    /// drop this handle soon, before [`crate::Options::takeover_grace`] is over.
    pub fn superseded(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut superseded = self.superseded.clone();
        async move {
            // If the other end is gone, so is this writer's right.
            let _ = superseded.wait_for(|superseded| *superseded).await;
        }
    }

    /// The stream's state, if this writer may still change it.
    fn enter(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = lock(&self.stream.state);
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        if let Some(failure) = self.stream.volume.failure() {
            return Err(failure.clone());
        }
        if state.writer.as_ref().is_none_or(|writer| writer.epoch != self.epoch) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("a newer writer has taken the stream '{}' over", self.stream.name),
            ));
        }
        Ok(state)
    }

    /// Gives out the next number, if not too many are out already.
    fn spend_number(&self, state: &mut State) -> Result<u64, Error> {
        let number = state.next_number;
        let in_flight = number.saturating_sub(state.recorded);
        if in_flight > NUMBERS_IN_FLIGHT / 2 && state.pending.is_empty() {
            // They were abandoned or lost; once the disk knows that, they no longer count.
            state.mark = true;
            self.stream.enqueue(state);
        }
        if in_flight > NUMBERS_IN_FLIGHT {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("{NUMBERS_IN_FLIGHT} fragments of stream '{}' wait for the disk", self.stream.name),
            ));
        }
        state.next_number = number.saturating_add(1);
        Ok(number)
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        let mut state = lock(&self.stream.state);
        if state.writer.as_ref().is_some_and(|writer| writer.epoch == self.epoch) {
            state.writer = None;
            state.under_way = None;
            drop(state);
            self.stream.changed();
        }
    }
}

/// What is computed of a payload.
struct Checksums {
    length: u64,
    payload_crc: u32,
    content_crc: u32,
}

fn no_checksum(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot make the checksum of a fragment: {error}"))
}

fn nothing_begun() -> Error {
    Error::new(ErrorKind::Internal, "no fragment was begun")
}

fn too_large(limit: u32) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("a fragment has at most {limit} bytes"))
}
