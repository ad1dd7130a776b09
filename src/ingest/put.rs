//! One producer's connection, from its body to the store's writer and its acks: the only async
//! loop on the path of a fragment.
//!
//! It does not know HTTP: the body is a stream of bytes, the acks go into a channel.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, Stream, StreamExt};
use kinora_base::{Clock, ErrorKind, WallTime};
use kinora_media::demux::Container;
use kinora_store::{Begin, Begun, ConfigurationId, Durable, Finish, StreamWriter};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::ingest::ack::{Ack, AckedFragment, Refusal};
use crate::ingest::assembler::CutSettings;
use crate::ingest::producer_clock::Timing;
use crate::ingest::session::Session;
use crate::ingest::step::Step;

/// Settings of producers' connections.
#[derive(Debug, Clone)]
pub struct PutSettings {
    /// Where fragments and parts are cut.
    pub cut: CutSettings,
    /// A connection without a byte for this long is told that it is idle, and again after as long.
    pub idle_after: Duration,
    /// A connection without a complete sample for this long is ended, however many bytes it
    /// dribbles.
    pub stalled_after: Duration,
    /// Fragments that may wait for the disk before the body is read no further.
    pub max_in_flight: usize,
}

impl Default for PutSettings {
    fn default() -> Self {
        Self {
            cut: CutSettings::default(),
            idle_after: Duration::from_secs(5),
            stalled_after: Duration::from_secs(60),
            max_in_flight: 8,
        }
    }
}

/// How often idleness is looked at.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// The connection broke: the reason as the transport gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError(pub String);

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended before the producer ended it; none after a complete body.
    pub refusal: Option<Refusal>,
    /// Bytes of the body.
    pub bytes: u64,
    /// Fragments made of it.
    pub fragments: u64,
    /// Fragments among them that had been stored before.
    pub repeated: u64,
    /// Acks that were dropped because the producer does not read them.
    pub dropped_acks: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Put {
    writer: StreamWriter,
    session: Session,
    clock: Arc<dyn Clock>,
    settings: PutSettings,
    acks: mpsc::Sender<Ack>,
    configuration: Option<ConfigurationId>,
    /// Timecode of the fragment under way.
    open: Option<i64>,
    in_flight: FuturesOrdered<InFlight>,
    ending: Ending,
}

type InFlight =
    std::pin::Pin<Box<dyn Future<Output = (AckedFragment, Result<(), kinora_store::Error>)> + Send>>;

impl Put {
    /// A connection that writes through `writer` and reports into `acks`, whose capacity bounds
    /// what a producer that does not read its acks can make us keep.
    #[must_use]
    pub fn new(
        writer: StreamWriter,
        container: Option<Container>,
        timing: Timing,
        settings: PutSettings,
        clock: Arc<dyn Clock>,
        acks: mpsc::Sender<Ack>,
    ) -> Self {
        Self {
            writer,
            session: Session::new(container, settings.cut.clone(), timing),
            clock,
            settings,
            acks,
            configuration: None,
            open: None,
            in_flight: FuturesOrdered::new(),
            ending: Ending { refusal: None, bytes: 0, fragments: 0, repeated: 0, dropped_acks: 0 },
        }
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
        let refusal = match self.apply_steps() {
            Ok(()) => refusal,
            Err(failed) => refusal.or(Some(failed)),
        };
        // The writer goes first, so that a newer producer need not wait for the disk.
        let Self { writer, mut in_flight, acks, mut ending, .. } = self;
        drop(writer);
        let mut refusal = refusal;
        while let Some((fragment, durable)) = in_flight.next().await {
            match durable {
                Ok(()) => ending.dropped_acks += u64::from(acks.try_send(Ack::Persisted(fragment)).is_err()),
                Err(error) => refusal = refusal.or(Some(error.into())),
            }
        }
        if refusal.is_none() && ending.fragments == 0 {
            refusal = Some(no_media(ending.bytes));
        }
        if let Some(refusal) = &refusal {
            let _told = acks.try_send(Ack::Error(refusal.clone()));
        }
        ending.refusal = refusal;
        ending
    }

    async fn receive(
        &mut self,
        body: &mut (impl Stream<Item = Result<Bytes, BodyError>> + Unpin + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Refusal> {
        let superseded = self.writer.superseded();
        tokio::pin!(superseded, stop);
        let mut idle_check = interval(IDLE_CHECK_EVERY);
        idle_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_byte = self.clock.monotonic();
        let mut last_sample = (last_byte, 0);
        loop {
            let may_read = self.in_flight.len() < self.settings.max_in_flight;
            tokio::select! {
                biased;
                Some((fragment, durable)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    durable?;
                    self.tell(Ack::Persisted(fragment));
                }
                () = &mut superseded => return Err(superseded_by_newer()),
                () = &mut stop => return Err(stopping()),
                chunk = body.next(), if may_read => match chunk {
                    Some(Ok(chunk)) => {
                        self.ending.bytes += chunk.len() as u64;
                        last_byte = self.clock.monotonic();
                        let handled = self.session.handle(chunk, self.clock.wall());
                        self.apply_steps()?;
                        handled?;
                    }
                    Some(Err(error)) => return Err(connection_lost(&error, self.ending.bytes)),
                    None => {
                        let finished = self.session.finish(self.clock.wall());
                        self.apply_steps()?;
                        return finished.map_err(Refusal::from);
                    }
                },
                _ = idle_check.tick() => {
                    let now = self.clock.monotonic();
                    if self.session.samples() != last_sample.1 || !may_read {
                        last_sample = (now, self.session.samples());
                    } else if now.saturating_sub(last_sample.0) >= self.settings.stalled_after {
                        return Err(stalled(self.settings.stalled_after, self.ending.bytes));
                    }
                    if may_read && now.saturating_sub(last_byte) >= self.settings.idle_after {
                        last_byte = now;
                        self.tell(Ack::Idle);
                    }
                }
            }
        }
    }

    fn apply_steps(&mut self) -> Result<(), Refusal> {
        while let Some(step) = self.session.next_step() {
            match step {
                Step::Configure(bytes) => self.configuration = Some(self.writer.configuration(&bytes)?),
                Step::Begin { timecode, producer_time, server_time, discontinuity } => {
                    self.begin(timecode, producer_time, server_time, discontinuity)?;
                }
                Step::Part(part) => self.writer.part(part)?,
                Step::Finish { duration_us, flags, payload } => {
                    self.finish(Finish { duration_us, flags, payload })?;
                }
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        timecode: i64,
        producer_time: WallTime,
        server_time: WallTime,
        discontinuity: bool,
    ) -> Result<(), Refusal> {
        if producer_time < WallTime::EARLIEST || producer_time > WallTime::LATEST {
            return Err(impossible_time(timecode, producer_time));
        }
        let Some(configuration) = self.configuration else { return Ok(()) };
        let begun = self.writer.begin(Begin { producer_time, server_time, configuration, discontinuity })?;
        if let Begun::Live(number) = begun {
            self.tell(Ack::Buffering(AckedFragment {
                number,
                timecode,
                producer_time,
                server_time,
                duration_us: None,
                bytes: None,
            }));
        }
        self.open = Some(timecode);
        Ok(())
    }

    fn finish(&mut self, finish: Finish) -> Result<(), Refusal> {
        let Some(timecode) = self.open.take() else { return Ok(()) };
        let finished = self.writer.finish(finish)?;
        let fragment = AckedFragment {
            number: finished.fragment.number,
            timecode,
            producer_time: finished.fragment.producer_time,
            // Of a repetition this is when the stored fragment arrived.
            server_time: finished.fragment.server_time,
            duration_us: Some(finished.fragment.duration_us),
            bytes: Some(finished.fragment.bytes),
        };
        self.ending.fragments += 1;
        self.ending.repeated += u64::from(finished.repeated);
        self.tell(Ack::Received(fragment));
        self.in_flight.push_back(Box::pin(durable(fragment, finished.durable)));
        Ok(())
    }

    fn tell(&mut self, ack: Ack) {
        self.ending.dropped_acks += u64::from(self.acks.try_send(ack).is_err());
    }
}

async fn durable(
    fragment: AckedFragment,
    durable: Durable,
) -> (AckedFragment, Result<(), kinora_store::Error>) {
    (fragment, durable.await)
}

fn no_media(offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "no_media",
        message: "the body ended before a sample came".into(),
        hint: Some("check that the source delivers: ffprobe it".into()),
        offset: Some(offset),
    }
}

fn superseded_by_newer() -> Refusal {
    kinora_store::Error::new(ErrorKind::Conflict, "a newer connection took this stream over").into()
}

fn stopping() -> Refusal {
    Refusal {
        kind: ErrorKind::Unavailable,
        code: "server_stopping",
        message: "the server is stopping".into(),
        hint: Some("push again when it is back; what was persisted is kept".into()),
        offset: None,
    }
}

fn connection_lost(error: &BodyError, offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "connection_lost",
        message: format!("the connection broke in the middle of the body: {}", error.0),
        hint: Some("push again; repeated fragments are recognized".into()),
        offset: Some(offset),
    }
}

fn stalled(after: Duration, offset: u64) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "producer_stalled",
        message: format!("no complete sample arrived for {} seconds", after.as_secs()),
        hint: Some("push again when the camera delivers".into()),
        offset: Some(offset),
    }
}

fn impossible_time(timecode: i64, producer_time: WallTime) -> Refusal {
    Refusal {
        kind: ErrorKind::InvalidInput,
        code: "producer_time_out_of_range",
        message: format!(
            "timecode {timecode} makes the producer time {producer_time}, outside {} to {}",
            WallTime::EARLIEST,
            WallTime::LATEST
        ),
        hint: Some("check start=, and use timecode=absolute only for timecodes that count from 1970".into()),
        offset: None,
    }
}

#[cfg(test)]
#[path = "put_test.rs"]
mod tests;
