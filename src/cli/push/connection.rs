//! One connection of `kinora push`: Clusters out, acks in, at the same time.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use kinora_base::WallTime;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{Progress, Queue};
use crate::cli::Failure;
use crate::cli::server::{distrusted, reason};

/// Pieces waiting for the socket.
const MAX_WAITING_PIECES: usize = 64;
/// Longest line that is taken for an ack, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Why a connection ended early.
#[derive(Debug)]
pub(super) enum Broken {
    /// Trying again may help.
    Retry(String),
    /// It will not.
    Refused(Failure),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    request: reqwest::RequestBuilder,
    body: Option<mpsc::Sender<Bytes>>,
    queue: &'a mut Queue,
    progress: &'a Progress,
    /// The header that the last Cluster sent belongs to.
    header: Option<Bytes>,
}

/// An ack, as far as pushing needs it.
#[derive(Debug, Deserialize)]
struct Line {
    event: String,
    fragment: Option<u64>,
    producer_time: Option<String>,
    duration_ms: Option<i64>,
    error: Option<Detail>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    code: String,
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    error: Detail,
}

impl<'a> Connection<'a> {
    pub(super) fn open(
        client: &reqwest::Client,
        url: &str,
        queue: &'a mut Queue,
        progress: &'a Progress,
    ) -> Self {
        let (sender, receiver) = mpsc::channel::<Bytes>(MAX_WAITING_PIECES);
        let body = stream::unfold(receiver, |mut receiver| async move {
            Some((Ok::<_, std::convert::Infallible>(receiver.recv().await?), receiver))
        });
        let request = client
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, "video/x-matroska")
            .body(reqwest::Body::wrap_stream(body));
        Self { request, body: Some(sender), queue, progress, header: None }
    }

    /// Sends until there is nothing left, and takes acks until the server ends its answer.
    pub(super) async fn run(self) -> Result<(), Broken> {
        let Self { request, mut body, queue, progress, mut header } = self;
        let answer = answers(request);
        tokio::pin!(answer);
        let mut waiting: std::collections::VecDeque<Bytes> = std::collections::VecDeque::new();
        loop {
            // Pieces go out one by one, so that acks are taken while the socket is full.
            let can_send = body.is_some() && !waiting.is_empty();
            let can_take = body.is_some() && waiting.is_empty();
            let is_over = tokio::select! {
                line = answer.next() => match line {
                    Some(Ok(line)) => {
                        take(line, queue, progress)?;
                        false
                    }
                    Some(Err(broken)) => return Err(broken),
                    None => return Ok(()),
                },
                permit = reserve(body.as_ref()), if can_send => match (permit, waiting.pop_front()) {
                    (Some(permit), Some(piece)) => {
                        permit.send(piece);
                        false
                    }
                    // The request has ended; its answer says why.
                    _ => true,
                },
                cluster = queue.next(), if can_take => match cluster {
                    Some(cluster) => {
                        if header.as_ref() != Some(&cluster.header) {
                            header = Some(cluster.header.clone());
                            waiting.push_back(cluster.header.clone());
                        }
                        waiting.extend(cluster.pieces.iter().cloned());
                        progress.at(cluster.position);
                        false
                    }
                    None => true,
                },
            };
            if is_over {
                body = None;
            }
        }
    }
}

async fn reserve(body: Option<&mpsc::Sender<Bytes>>) -> Option<mpsc::Permit<'_, Bytes>> {
    body?.reserve().await.ok()
}

/// The lines of the answer, as they come.
fn answers(request: reqwest::RequestBuilder) -> impl stream::Stream<Item = Result<Line, Broken>> {
    let opened = stream::once(async move {
        let lost = |error: reqwest::Error| match distrusted(&error) {
            Some(hint) => Broken::Refused(Failure::new(reason(&error)).with_hint(hint)),
            None => Broken::Retry(reason(&error)),
        };
        let answer = request.send().await.map_err(lost)?;
        if !answer.status().is_success() {
            let status = answer.status();
            let text = answer.text().await.map_err(lost)?;
            return Err(refused(status, &text));
        }
        Ok(lines(answer))
    });
    opened.flat_map(|opened| match opened {
        Ok(lines) => lines.left_stream(),
        Err(broken) => stream::once(async { Err(broken) }).right_stream(),
    })
}

fn lines(answer: reqwest::Response) -> impl stream::Stream<Item = Result<Line, Broken>> {
    let state = (Box::pin(answer.bytes_stream()), BytesMut::new());
    stream::unfold(state, |(mut chunks, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1);
                let parsed = serde_json::from_slice(&line).map_err(|error| {
                    Broken::Retry(format!("the server sent a line that is no ack: {error}"))
                });
                return Some((parsed, (chunks, buffer)));
            }
            match chunks.next().await? {
                Ok(chunk) if buffer.len() + chunk.len() <= MAX_LINE_BYTES => buffer.extend_from_slice(&chunk),
                Ok(_) => {
                    return Some((
                        Err(Broken::Retry("the server sent an endless line".into())),
                        (chunks, buffer),
                    ));
                }
                Err(error) => return Some((Err(Broken::Retry(reason(&error))), (chunks, buffer))),
            }
        }
    })
}

fn take(line: Line, queue: &mut Queue, progress: &Progress) -> Result<(), Broken> {
    let time = line.producer_time.and_then(|time| time.parse::<WallTime>().ok());
    match (line.event.as_str(), line.fragment.zip(time.zip(line.duration_ms)), line.error) {
        ("persisted", Some((fragment, (time, duration_ms))), _) => {
            queue.persist(fragment, time, duration_ms);
            progress.persisted(queue.persisted());
            Ok(())
        }
        ("error", _, Some(detail)) => Err(detail.into()),
        _ => Ok(()),
    }
}

impl From<Detail> for Broken {
    fn from(detail: Detail) -> Self {
        match detail.code.as_str() {
            // These pass; whatever else the server says of the media will not.
            "server_stopping" | "store_unavailable" | "connection_lost" | "producer_stalled"
            | "unavailable" => Self::Retry(detail.message),
            _ => {
                let failure = Failure::new(format!("the server refused the media: {}", detail.message));
                Self::Refused(match detail.hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                })
            }
        }
    }
}

fn refused(status: reqwest::StatusCode, text: &str) -> Broken {
    match serde_json::from_str::<ErrorAnswer>(text) {
        Ok(answer) => answer.error.into(),
        Err(_) if status.is_server_error() => Broken::Retry(format!("the server answered {status}")),
        Err(_) => Broken::Refused(Failure::new(format!("the server answered {status}: {text}"))),
    }
}
