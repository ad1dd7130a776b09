//! One producer's connection, from its body to the store's writer and its acks: the only async
//! loop on the path of a fragment.
//!
//! It does not know HTTP: the body is a stream of bytes, the acks go into a channel.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, Stream, StreamExt};
use kinora_base::{Clock, FragmentNumber, WallTime};
use kinora_store::{Begin, Begun, Cause, ConfigurationId, Durable, Finish, Flags, StreamWriter};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::ingest::ack::{Ack, AckedFragment};
use crate::ingest::clocks::ClockWatch;
use crate::ingest::connection::{BodyError, Ending, PutSettings};
use crate::ingest::opening::Opening;
use crate::ingest::refusal::{self, Refusal};
use crate::ingest::repeat;
use crate::ingest::session::Session;
use crate::ingest::step::Step;

/// How long an ack may wait for a producer to take it before the producer is taken not to read.
const ACK_PATIENCE: Duration = Duration::from_millis(250);
/// The same for the last word of a session.
const LAST_WORD_PATIENCE: Duration = Duration::from_secs(1);

/// How often idleness is looked at.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Put {
    writer: StreamWriter,
    session: Session,
    clock: Arc<dyn Clock>,
    settings: PutSettings,
    acks: mpsc::Sender<Ack>,
    /// The producer has taken every ack so far, or took one lately.
    reads_acks: bool,
    /// The body has ended already.
    ended: bool,
    configuration: Option<ConfigurationId>,
    /// Timecode of the fragment under way.
    open: Option<i64>,
    in_flight: FuturesOrdered<InFlight>,
    ending: Ending,
    /// Measures the producer's clock.
    watch: Option<ClockWatch>,
}

type InFlight =
    std::pin::Pin<Box<dyn Future<Output = (AckedFragment, Result<(), kinora_store::Error>)> + Send>>;

impl Put {
    /// Goes on with a connection whose media has begun, writing through `writer` and reporting
    /// into `acks`, whose capacity bounds what a producer that does not read its acks can make us
    /// keep.
    #[must_use]
    pub fn new(opening: Opening, writer: StreamWriter, acks: mpsc::Sender<Ack>) -> Self {
        let Opening { session, clock, settings, bytes, ended } = opening;
        let ending = Ending { bytes, ..Ending::default() };
        let in_flight = FuturesOrdered::new();
        Self {
            writer,
            session,
            clock,
            settings,
            acks,
            ended,
            reads_acks: true,
            configuration: None,
            open: None,
            in_flight,
            ending,
            watch: None,
        }
    }

    /// The same, measuring the producer's clock with `watch`.
    #[must_use]
    pub fn watched(self, watch: ClockWatch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Runs until the body ends or something ends it: a fault, a newer producer, a stall, or
    /// `stop`. What was complete is stored and acknowledged before this returns.
    pub async fn run(
        mut self,
        mut body: impl Stream<Item = Result<Bytes, BodyError>> + Unpin + Send,
        stop: impl Future<Output = ()> + Send,
    ) -> Ending {
        let refusal = self.receive(&mut body, stop).await.err();
        if refusal.is_some() {
            self.session.abort(self.clock.wall());
        }
        let refusal = match self.apply_steps().await {
            Ok(()) => refusal,
            Err(failed) => refusal.or(Some(failed)),
        };
        match &refusal {
            None => self.writer.stop(Cause::ProducerStopped, ""),
            Some(refusal) => self.writer.stop(refusal.cause(), &refusal.detail()),
        }
        // The writer goes first, so that a newer producer need not wait for the disk.
        let Self { writer, session, mut in_flight, acks, mut ending, .. } = self;
        drop(writer);
        ending.lost_frames = session.lost_frames();
        let mut refusal = refusal;
        while let Some((fragment, durable)) = in_flight.next().await {
            match durable {
                Ok(()) => {
                    let told = timeout(ACK_PATIENCE, acks.send(Ack::Persisted(fragment))).await;
                    ending.dropped_acks += u64::from(!matches!(told, Ok(Ok(()))));
                }
                Err(error) => refusal = refusal.or(Some(error.into())),
            }
        }
        if refusal.is_none() && ending.fragments == 0 {
            refusal = Some(refusal::no_media(ending.bytes));
        }
        if let Some(refusal) = &refusal {
            let _told = timeout(LAST_WORD_PATIENCE, acks.send(Ack::Error(refusal.clone()))).await;
        }
        ending.refusal = refusal;
        ending
    }

    async fn receive(
        &mut self,
        body: &mut (impl Stream<Item = Result<Bytes, BodyError>> + Unpin + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Refusal> {
        self.apply_steps().await?;
        if self.ended {
            return Ok(());
        }
        let superseded = self.writer.superseded();
        tokio::pin!(superseded, stop);
        let mut idle_check = interval(IDLE_CHECK_EVERY);
        idle_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_byte = self.clock.monotonic();
        let mut last_sample = (last_byte, 0);
        loop {
            let may_read = self.in_flight.len() < self.settings.max_in_flight
                && self.writer.uncommitted_bytes() <= self.settings.max_in_flight_bytes;
            tokio::select! {
                biased;
                Some((fragment, durable)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    durable?;
                    self.tell(Ack::Persisted(fragment)).await;
                }
                () = &mut superseded => return Err(refusal::superseded_by_newer()),
                () = &mut stop => return Err(refusal::stopping()),
                chunk = body.next(), if may_read => match chunk {
                    Some(Ok(chunk)) => {
                        self.ending.bytes += chunk.len() as u64;
                        last_byte = self.clock.monotonic();
                        let handled = self.session.handle(chunk, self.clock.wall());
                        self.apply_steps().await?;
                        handled?;
                    }
                    Some(Err(error)) => return Err(refusal::connection_lost(&error.0, self.ending.bytes)),
                    None => {
                        let finished = self.session.finish(self.clock.wall());
                        self.apply_steps().await?;
                        return finished.map_err(Refusal::from);
                    }
                },
                _ = idle_check.tick() => {
                    let now = self.clock.monotonic();
                    if self.session.samples() != last_sample.1 || !may_read {
                        last_sample = (now, self.session.samples());
                    } else if now.saturating_sub(last_sample.0) >= self.settings.stalled_after {
                        return Err(refusal::stalled(self.settings.stalled_after, self.ending.bytes));
                    }
                    if may_read && now.saturating_sub(last_byte) >= self.settings.idle_after {
                        last_byte = now;
                        self.tell(Ack::Idle).await;
                    }
                }
            }
        }
    }

    async fn apply_steps(&mut self) -> Result<(), Refusal> {
        while let Some(step) = self.session.next_step() {
            match step {
                Step::Configure(bytes) => {
                    // A configuration waits for the disk with its first fragment, in limited number.
                    self.wait_for_disk(0).await?;
                    self.configuration = Some(self.writer.configuration(&bytes)?);
                }
                Step::Begin { timecode, producer_time, media_us, server_time, discontinuity } => {
                    let configuration = self.configuration.ok_or_else(refusal::no_configuration)?;
                    let begin = Begin { producer_time, server_time, media_us, configuration, discontinuity };
                    self.begin(timecode, begin).await?;
                }
                Step::Part(part) => self.writer.part(part)?,
                Step::Finish { duration_us, flags, head, data } => {
                    // One chunk can hold more fragments than may wait for the disk.
                    self.wait_for_disk(self.settings.max_in_flight).await?;
                    self.finish(Finish { duration_us, flags, head, data }).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until at most so many fragments wait for the disk, and not too many bytes.
    async fn wait_for_disk(&mut self, fragments: usize) -> Result<(), Refusal> {
        while self.in_flight.len() > fragments
            || self.writer.uncommitted_bytes() > self.settings.max_in_flight_bytes
        {
            let Some((fragment, durable)) = self.in_flight.next().await else { return Ok(()) };
            durable?;
            self.tell(Ack::Persisted(fragment)).await;
        }
        Ok(())
    }

    async fn begin(&mut self, timecode: i64, mut begin: Begin) -> Result<(), Refusal> {
        if let Some(watch) = &self.watch {
            watch.drift().note(begin.producer_time, begin.server_time, self.clock.monotonic());
        }
        begin.server_time = self.writer.server_time(begin.server_time);
        let Begin { producer_time, server_time, .. } = begin;
        if producer_time < WallTime::EARLIEST || producer_time > WallTime::LATEST {
            return Err(refusal::impossible_time(timecode, producer_time));
        }
        let begun = self.writer.begin(begin)?;
        if let Begun::Live(number) = begun {
            self.tell(Ack::Buffering(AckedFragment {
                number,
                timecode,
                producer_time,
                server_time,
                duration_us: None,
                bytes: None,
                partial: false,
            }))
            .await;
        }
        self.open = Some(timecode);
        Ok(())
    }

    async fn finish(&mut self, finish: Finish) -> Result<(), Refusal> {
        let Some(timecode) = self.open.take() else { return Ok(()) };
        let finished = match self.stored_before(&finish).await {
            Some(number) => self.writer.repeat(number)?,
            None => self.writer.finish(finish)?,
        };
        let fragment = AckedFragment {
            number: finished.fragment.number,
            timecode,
            producer_time: finished.fragment.producer_time,
            // Of a repetition this is when the stored fragment arrived.
            server_time: finished.fragment.server_time,
            duration_us: Some(finished.fragment.duration_us),
            bytes: Some(finished.fragment.bytes),
            partial: finished.fragment.flags.has(Flags::PARTIAL),
        };
        self.ending.fragments += 1;
        self.ending.repeated += u64::from(finished.repeated);
        self.tell(Ack::Received(fragment)).await;
        self.in_flight.push_back(Box::pin(durable(fragment, finished.durable)));
        Ok(())
    }

    /// The fragment that was stored before and has these samples, if it takes a look at them to
    /// tell: only what begins at the same time and has another checksum needs one.
    async fn stored_before(&mut self, finish: &Finish) -> Option<FragmentNumber> {
        let alike = self.writer.begun_alike();
        if alike.is_empty() || self.writer.recognizes(finish) {
            return None;
        }
        let payload: Vec<Bytes> = std::iter::once(&finish.head).chain(&finish.data).cloned().collect();
        let broke_off = finish.flags.has(Flags::PARTIAL);
        let stream = Arc::clone(self.writer.stream());
        let look = move || repeat::find(&payload, broke_off, &alike, &stream);
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    /// Gives an ack to the producer. One that reads its acks gets every one of them; for one that
    /// does not, they are dropped and counted.
    async fn tell(&mut self, ack: Ack) {
        let unsent = match self.acks.try_send(ack) {
            Ok(()) => {
                self.reads_acks = true;
                return;
            }
            Err(TrySendError::Full(ack)) if self.reads_acks => ack,
            Err(_) => {
                self.ending.dropped_acks += 1;
                return;
            }
        };
        if timeout(ACK_PATIENCE, self.acks.send(unsent)).await.is_err() {
            self.reads_acks = false;
            self.ending.dropped_acks += 1;
        }
    }
}

async fn durable(
    fragment: AckedFragment,
    durable: Durable,
) -> (AckedFragment, Result<(), kinora_store::Error>) {
    (fragment, durable.await)
}

#[cfg(test)]
#[path = "put_test.rs"]
mod tests;
