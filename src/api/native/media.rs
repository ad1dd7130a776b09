//! Ingest: a body of media in, a line of JSON per ack out, both at once.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use kinora_base::StreamName;
use kinora_media::demux::Container;
use kinora_store::Arrival;
use metrics::counter;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};
use utoipa::{IntoParams, ToSchema};

use super::query::{Query, Time};
use crate::api::error::{ErrorBody, ErrorDetail};
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};
use crate::ingest::{Ack, AckedFragment, BodyError, Ending, Opening, Put, Timing};

/// Acks kept for a producer that does not read them; further ones are dropped and counted.
const MAX_WAITING_ACKS: usize = 256;
/// After a refusal the body is still read for this long, so that the answer reaches a producer
/// that sends before it looks: a connection closed with unread input is reset.
const LINGER: Duration = Duration::from_secs(1);

/// How the media states its times.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PutParams {
    /// Producer time of media time 0. Without it, and without `timecode=absolute`, the first
    /// sample is taken to be captured when it arrives.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// `absolute`: media times count from 1970. `relative` is the default.
    timecode: Option<Timecode>,
}

/// What media times count from.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Timecode {
    /// From `start`, or from arrival.
    Relative,
    /// From 1970.
    Absolute,
}

/// One line of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct AckLine {
    /// What happened: `buffering` when a fragment begins, `received` when it is complete,
    /// `persisted` when it survives a power cut, `error` before the connection ends, `idle` while
    /// nothing arrives.
    event: &'static str,
    #[serde(flatten)]
    fragment: Option<AckLineFragment>,
    /// Why the input was refused, on `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetail>,
    /// Byte offset in the body of what was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

/// The fragment that an ack is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct AckLineFragment {
    /// Its number.
    fragment: u64,
    /// Its time as the producer wrote it, in the producer's ticks.
    timecode: i64,
    /// When it was captured, according to the producer.
    producer_time: String,
    /// When its first byte arrived.
    server_time: String,
    /// Media duration in milliseconds, once complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// Payload bytes, once complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    /// True if the connection broke off, stalled or was replaced inside the fragment: the rest of
    /// it is yet to be sent. Left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// Pushes media into a stream, which is created if it does not exist. The answer begins with the
/// first ack and goes on while the body is still being sent, one JSON object a line. Input that is
/// refused before anything was acknowledged gets an error status instead.
#[utoipa::path(post, path = "/v1/streams/{name}/media", tag = "media",
    params(("name", description = "stream name"), PutParams),
    request_body(content((String = "video/x-matroska"), (String = "video/mp4"))),
    responses((status = 200, body = AckLine, content_type = "application/x-ndjson"),
        (status = 400, body = ErrorBody), (status = 415, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn post(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(params): Query<PutParams>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let name = StreamName::new(&name)?;
    let timing = timing(&params)?;
    let mut body = Box::pin(body.into_data_stream().map(|chunk| chunk.map_err(|e| BodyError(e.to_string()))));
    let settings = state.settings.put.clone();
    let mut opening = Opening::new(container(&headers), timing, settings, state.clock.clone());
    let stopping = state.stopping.clone();
    // Reading also sends "100 Continue" to producers that wait for it.
    if let Err(refusal) = opening.read(&mut body, stopping.cancelled()).await {
        report(&name, &opening.refused(refusal.clone()));
        tokio::spawn(linger(body));
        return Err(refusal.into());
    }
    let stream = match state.store.stream(&name) {
        Some(stream) => stream,
        None => {
            let store = state.store.clone();
            let name = name.clone();
            blocking(move || store.create_stream(&name)).await?
        }
    };
    let writer = stream.writer_for(arrival).await?;
    let (sender, mut acks) = mpsc::channel(MAX_WAITING_ACKS);
    let put = Put::new(opening, writer, sender).watched(state.clocks.watch(&name));
    tokio::spawn(async move {
        let ending = put.run(&mut body, stopping.cancelled_owned()).await;
        report(&name, &ending);
        if ending.refusal.is_some() {
            linger(body).await;
        }
    });
    let first = if reads_while_sending(&headers) { acks.recv().await } else { last(&mut acks).await };
    match first {
        Some(Ack::Error(refusal)) => Err(refusal.into()),
        Some(first) => Ok(answer(first, acks)),
        None => Err(ApiError::internal(&"a producer's session ended without a word")),
    }
}

/// Whether the producer takes acks while it sends. FFmpeg never looks at the answer, and closes
/// the connection as soon as it has sent everything: were there acks it had not read, its kernel
/// would reset the connection, and with it what we had not yet read of the media.
fn reads_while_sending(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    !agent.is_some_and(|agent| agent.starts_with("Lavf/"))
}

/// The last ack of the session, which tells a refusal or how far it came.
async fn last(acks: &mut mpsc::Receiver<Ack>) -> Option<Ack> {
    let mut last = None;
    while let Some(ack) = acks.recv().await {
        last = Some(ack);
    }
    last
}

fn timing(params: &PutParams) -> Result<Timing, ApiError> {
    match (params.start, params.timecode) {
        (Some(_), Some(Timecode::Absolute)) => {
            Err(ApiError::bad_parameter("start", "timecode=absolute needs no start; send one of the two"))
        }
        (None, Some(Timecode::Absolute)) => Ok(Timing::Absolute),
        (Some(Time(start)), _) => Ok(Timing::Start(start)),
        (None, _) => Ok(Timing::Arrival),
    }
}

/// What the Content-Type promises; anything else leaves it to the first bytes.
fn container(headers: &HeaderMap) -> Option<Container> {
    let stated = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match stated.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "video/x-matroska" | "audio/x-matroska" | "video/matroska" | "audio/matroska" | "video/webm"
        | "audio/webm" => Some(Container::Matroska),
        "video/mp4" | "audio/mp4" | "application/mp4" | "video/iso.segment" => Some(Container::Mp4),
        _ => None,
    }
}

fn answer(first: Ack, acks: mpsc::Receiver<Ack>) -> Response {
    let rest = stream::unfold(acks, |mut acks| async move { Some((acks.recv().await?, acks)) });
    let lines = stream::once(async { first }).chain(rest).map(|ack| line(&ack));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
        // Reverse proxies that buffer answers would hold acks back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(lines)).into_response()
}

fn line(ack: &Ack) -> Result<Bytes, serde_json::Error> {
    let (event, fragment, error) = match ack {
        Ack::Buffering(fragment) => ("buffering", Some(fragment), None),
        Ack::Received(fragment) => ("received", Some(fragment), None),
        Ack::Persisted(fragment) => ("persisted", Some(fragment), None),
        Ack::Error(refusal) => ("error", None, Some(refusal)),
        Ack::Idle => ("idle", None, None),
    };
    let line = AckLine {
        event,
        fragment: fragment.map(ack_fragment),
        offset: error.and_then(|refusal| refusal.offset),
        error: error.map(|refusal| ApiError::from(refusal.clone()).body().detail().without_offset()),
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text.into())
}

fn ack_fragment(fragment: &AckedFragment) -> AckLineFragment {
    AckLineFragment {
        fragment: fragment.number.get(),
        timecode: fragment.timecode,
        producer_time: fragment.producer_time.to_string(),
        server_time: fragment.server_time.to_string(),
        duration_ms: fragment.duration_us.map(|us| (us + 500) / 1000),
        bytes: fragment.bytes,
        partial: fragment.partial,
    }
}

fn report(name: &StreamName, ending: &Ending) {
    let Ending { bytes, fragments, repeated, lost_frames, dropped_acks, .. } = ending;
    let code = ending.refusal.as_ref().map_or("complete", |refusal| refusal.code);
    counter!("kinora_ingest_sessions_total", "ending" => code).increment(1);
    counter!("kinora_ingest_lost_frames_total").increment(*lost_frames);
    counter!("kinora_ingest_dropped_acks_total").increment(*dropped_acks);
    match &ending.refusal {
        None => {
            tracing::info!(stream = %name, bytes, fragments, repeated, lost_frames, dropped_acks, "producer finished")
        }
        Some(refusal) => tracing::warn!(
            stream = %name, bytes, fragments, repeated, lost_frames, dropped_acks,
            code = refusal.code, offset = refusal.offset, "producer's session ended: {}", refusal.message
        ),
    }
}

async fn linger(mut body: impl Stream<Item = Result<Bytes, BodyError>> + Unpin) {
    let drain = async { while let Some(Ok(_)) = body.next().await {} };
    let _over = timeout(LINGER, drain).await;
}
