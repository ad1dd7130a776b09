//! Streams: listing, creating, deleting, and what is known of one.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kinora_base::{FragmentNumber, StreamName, WallTime};
use kinora_media::{Shape, Track};
use kinora_store::{Fragment, Stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::gaps::AbsenceInfo;
use super::query::{Query, limit};
use super::retention::{Retention, StreamChange};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};
use crate::ingest::Measured;
use crate::playback::{Known, Presentation};

/// How much of the newest media the bitrate is measured over, in microseconds.
const BITRATE_OVER_US: u64 = 10_000_000;
/// Most streams in one answer.
const MAX_LIMIT: usize = 1000;

/// What is known of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamInfo {
    /// Its name.
    name: String,
    /// When it was created.
    created_at: String,
    /// Whether media is arriving.
    state: StreamState,
    /// When media last arrived.
    last_received_at: Option<String>,
    /// Why none arrives; null while it does, and before there was any.
    absence: Option<AbsenceInfo>,
    /// From the earliest to the latest producer time recorded.
    range: Option<TimeRange>,
    /// Its fragments.
    fragments: FragmentTotals,
    /// Damaged places in its files; `GET /v1/streams/{name}/damages` lists them.
    damaged_places: usize,
    /// Payload kilobits per second of the newest media.
    bitrate_kbps: Option<f64>,
    /// What is kept of it.
    retention: Retention,
    /// How the connected producer's clock runs against the server's; null if none is connected.
    clock: Option<ClockInfo>,
    /// The tracks of the newest fragment.
    tracks: Vec<TrackInfo>,
}

/// How a producer's clock runs against the server's, measured over its session. Times are recorded
/// as the producer states them all the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockInfo {
    /// Producer time less the server's, in milliseconds; the time that media is on its way counts
    /// against the producer.
    offset_ms: f64,
    /// How much faster the producer's clock runs, in parts per million. Null before a minute was
    /// measured, and if media is not sent as it is filmed.
    drift_ppm: Option<f64>,
    /// How many seconds were measured.
    measured_s: u64,
}

/// Whether media is arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// A producer is connected and media arrives.
    Live,
    /// Media is recorded, and none arrives.
    Offline,
    /// Nothing is recorded yet.
    Empty,
}

/// A stretch of producer time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeRange {
    /// Where it starts.
    start: String,
    /// Where it ends.
    end: String,
}

/// Totals over a stream's fragments.
#[derive(Debug, Serialize, ToSchema)]
pub struct FragmentTotals {
    /// Lowest number.
    first: Option<u64>,
    /// Highest number.
    last: Option<u64>,
    /// How many.
    count: u64,
    /// Payload bytes.
    bytes: u64,
}

/// What is known of a track.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackInfo {
    /// The producer's track number.
    number: u32,
    /// `video`, `audio` or `data`.
    kind: &'static str,
    /// The codec's name.
    #[schema(example = "H.264")]
    codec: String,
    /// The codec as RFC 6381 names it.
    #[schema(example = "avc1.64001f")]
    codec_string: Option<String>,
    /// Picture width in pixels.
    width: Option<u32>,
    /// Picture height in pixels.
    height: Option<u32>,
    /// Pictures per second, measured.
    frame_rate: Option<f64>,
    /// Sound samples per second.
    sample_rate: Option<u32>,
    /// Sound channels.
    channels: Option<u16>,
    /// Language as the producer gives it.
    language: String,
    /// The producer's name for the track.
    name: String,
    /// Whether HLS carries it.
    hls: bool,
    /// Why HLS leaves it out.
    hls_note: Option<String>,
}

/// A page of streams.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamList {
    /// The streams, by name.
    streams: Vec<StreamInfo>,
    /// Names of streams whose files cannot be used; the server's log says why. Those found at the
    /// start are on the last page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    out_of_service: Vec<String>,
    /// Pass it as `token` for the next page; null on the last.
    next_token: Option<String>,
}

/// Which streams to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only names that begin so.
    #[serde(default)]
    prefix: String,
    /// At most so many, 1 to 1000; 100 if not given.
    limit: Option<usize>,
    /// `next_token` of the page before.
    token: Option<String>,
}

/// Lists streams by name.
#[utoipa::path(get, path = "/v1/streams", tag = "streams", params(ListParams),
    responses((status = 200, body = StreamList), (status = 400, body = ErrorBody)))]
pub async fn list(
    State(state): State<AppState>,
    Query(params): Query<ListParams>,
) -> Result<Json<StreamList>, ApiError> {
    let limit = limit(params.limit, MAX_LIMIT)?;
    let after = params.token.as_deref();
    let mut found: Vec<Arc<Stream>> = state
        .store
        .streams()
        .into_iter()
        .filter(|stream| stream.name().as_str().starts_with(&params.prefix))
        .filter(|stream| after.is_none_or(|after| stream.name().as_str() > after))
        .take(limit + 1)
        .collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next_token = found.last().filter(|_| more).map(|stream| stream.name().to_string());
    let refused = state.store.recovery().out_of_service.iter().filter(|_| !more);
    let refused = refused.map(|refused| refused.stream.to_string());
    let mut out_of_service: Vec<String> = refused.filter(|name| name.starts_with(&params.prefix)).collect();
    let (streams, unusable) = blocking(move || {
        let (mut streams, mut unusable) = (Vec::new(), Vec::new());
        for stream in &found {
            match describe(&state, stream) {
                Ok(info) => streams.push(info),
                // It was deleted meanwhile, and there may be a new one of its name.
                Err(_) if state.store.stream(stream.name()).is_none_or(|now| !Arc::ptr_eq(&now, stream)) => {}
                // Whoever looks for the stream that is not well needs the list: it outlives any of them.
                Err(error) => {
                    tracing::error!(stream = %stream.name(), ?error, "a stream cannot be described");
                    unusable.push(stream.name().to_string());
                }
            }
        }
        Ok::<_, ApiError>((streams, unusable))
    })
    .await?;
    out_of_service.extend(unusable);
    Ok(Json(StreamList { streams, out_of_service, next_token }))
}

/// What is known of a stream.
#[utoipa::path(get, path = "/v1/streams/{name}", tag = "streams", params(("name", description = "stream name")),
    responses((status = 200, body = StreamInfo), (status = 404, body = ErrorBody)))]
pub async fn get(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<StreamInfo>, ApiError> {
    let stream = state.stream(&name)?;
    Ok(Json(blocking(move || describe(&state, &stream)).await?))
}

/// Creates a stream if there is none of the name, and changes what the body names; limits take effect
/// at once. Pushing media to a new name creates it, too.
#[utoipa::path(put, path = "/v1/streams/{name}", tag = "streams", request_body(content = Option<StreamChange>),
    params(("name", description = "stream name")),
    responses((status = 200, body = StreamInfo), (status = 201, body = StreamInfo), (status = 400, body = ErrorBody)))]
pub async fn put(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<StreamInfo>), ApiError> {
    let name = StreamName::new(&name)?;
    let change = StreamChange::read(&body?)?;
    let status = if state.store.stream(&name).is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let info = blocking(move || {
        let stream = state.store.create_stream(&name)?;
        change.apply(&state, &stream)?;
        describe(&state, &stream)
    })
    .await?;
    Ok((status, Json(info)))
}

/// Deletes a stream and everything recorded in it.
#[utoipa::path(delete, path = "/v1/streams/{name}", tag = "streams", params(("name", description = "stream name")),
    responses((status = 204, description = "it is gone"), (status = 404, body = ErrorBody)))]
pub async fn delete(State(state): State<AppState>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    let stream = state.stream(&name)?;
    blocking(move || state.store.delete_stream(stream.name())).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn describe(state: &AppState, stream: &Arc<Stream>) -> Result<StreamInfo, ApiError> {
    let now = state.clock.wall();
    let summary = stream.summary();
    let newest = newest(stream)?;
    let known = match newest.last() {
        Some(fragment) => state.catalog.readable(stream, fragment.configuration)?,
        None => None,
    };
    let tracks = known.map_or_else(Vec::new, |known| tracks(stream, &newest, &known));
    let number = |pick: fn((FragmentNumber, FragmentNumber)) -> FragmentNumber| {
        summary.numbers.map(|numbers| pick(numbers).get())
    };
    let activity = stream_state(&summary, now);
    let kbps = bitrate_kbps(&newest);
    // What is not live goes on at no rate.
    let live_kbps = kbps.filter(|_| activity == StreamState::Live).unwrap_or_default();
    Ok(StreamInfo {
        name: stream.name().to_string(),
        created_at: stream.created().to_string(),
        state: activity,
        last_received_at: summary.last_received.map(|time| time.to_string()),
        absence: stream.absence(now).map(AbsenceInfo::from),
        range: summary
            .producer_range
            .map(|(start, end)| TimeRange { start: start.to_string(), end: end.to_string() }),
        fragments: FragmentTotals {
            first: number(|(first, _)| first),
            last: number(|(_, last)| last),
            count: summary.fragments,
            bytes: summary.bytes,
        },
        damaged_places: stream.damage_count(),
        bitrate_kbps: kbps,
        retention: Retention::of(state, stream, (live_kbps * 125.0) as u64),
        clock: state.clocks.measured(stream.name()).map(clock_info),
        tracks,
    })
}

fn stream_state(summary: &kinora_store::Summary, now: WallTime) -> StreamState {
    let fresh = summary.last_received.is_some_and(|last| now.micros_since(last) < Stream::SILENT_AFTER_US);
    match summary.fragments {
        _ if summary.has_writer && fresh => StreamState::Live,
        0 => StreamState::Empty,
        _ => StreamState::Offline,
    }
}

/// The newest fragments, oldest first, until they cover the time that the bitrate is measured over.
fn newest(stream: &Stream) -> Result<Vec<Fragment>, ApiError> {
    const MOST: usize = 32;
    let all = stream.tail(MOST)?.fragments;
    let mut covered_us = 0;
    let wanted = all.iter().rev().take_while(|fragment| {
        let needed = covered_us < BITRATE_OVER_US;
        covered_us += fragment.duration_us;
        needed
    });
    let count = wanted.count();
    Ok(all.into_iter().rev().take(count).rev().collect())
}

fn clock_info(measured: Measured) -> ClockInfo {
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    ClockInfo {
        offset_ms: rounded(measured.offset_us as f64 / 1000.0),
        drift_ppm: measured.drift_ppm.map(rounded),
        measured_s: measured.over.as_secs(),
    }
}

fn bitrate_kbps(newest: &[Fragment]) -> Option<f64> {
    let us: u64 = newest.iter().map(|fragment| fragment.duration_us).sum();
    let bits: u64 = newest.iter().map(|fragment| u64::from(fragment.bytes) * 8).sum();
    (us > 0).then(|| (bits as f64 * 10_000.0 / us as f64).round() / 10.0)
}

fn tracks(stream: &Arc<Stream>, newest: &[Fragment], known: &Known) -> Vec<TrackInfo> {
    let frame_rate = known.frame_rate(stream, newest.iter());
    let mut is_first_video = true;
    let mut described = Vec::new();
    for track in &known.tracks {
        let mut info = track_info(track, &known.presentation);
        if info.width.is_some() && std::mem::take(&mut is_first_video) {
            info.frame_rate = frame_rate.map(|rate| (rate * 1000.0).round() / 1000.0);
        }
        described.push(info);
    }
    described
}

fn track_info(track: &Track, presentation: &Presentation) -> TrackInfo {
    let rendition = presentation.renditions.iter().find(|r| r.track.number == track.number);
    let left_out = presentation.left_out.iter().find(|left_out| left_out.track == track.number);
    let (width, height) = match track.shape {
        Shape::Video { width, height } => (Some(width), Some(height)),
        _ => (None, None),
    };
    let (sample_rate, channels) = match track.shape {
        Shape::Audio { sample_rate, channels, .. } => (Some(sample_rate), Some(channels)),
        _ => (None, None),
    };
    TrackInfo {
        number: track.number,
        kind: track.kind().as_str(),
        codec: track.codec.name().to_owned(),
        codec_string: kinora_media::codec::rfc6381(track),
        width,
        height,
        frame_rate: None,
        sample_rate,
        channels,
        language: track.language.clone(),
        name: track.name.clone(),
        hls: rendition.is_some(),
        hls_note: left_out.map(|left_out| left_out.reason.clone()),
    }
}
