//! Fragments: listing them by time, and fetching one as data or as a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use kinora_base::{ErrorKind, FragmentNumber, WallTime};
use kinora_store::{Axis, Cursor, Flags, Fragment, Query as StoreQuery, Stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cacheable::Cacheable;
use super::query::{Query, Time, limit, ordered};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};
use crate::playback::{Source, file, head};

/// Most fragments in one answer.
const MAX_LIMIT: usize = 1000;
/// A page of tagged fragments ends early when so many bytes of heads were read for their tags.
const MAX_BYTES_READ_FOR_TAGS: u64 = 32 << 20;

/// What is known of a fragment.
#[derive(Debug, Serialize, ToSchema)]
pub struct FragmentInfo {
    /// Its number.
    number: u64,
    /// When its first sample was captured, according to the producer.
    producer_time: String,
    /// When its first byte arrived.
    server_time: String,
    /// Presentation time of its first sample on the producer's own timeline, in milliseconds.
    media_time_ms: i64,
    /// Media duration in milliseconds.
    duration_ms: u64,
    /// Payload bytes.
    bytes: u32,
    /// Numbers of its configuration's tracks.
    tracks: Vec<u32>,
    /// The producer's tags.
    tags: BTreeMap<String, String>,
    /// Decoding can start at its first sample.
    key_frame_start: bool,
    /// `buffered`, or `persisted` once it survives a power cut.
    state: &'static str,
    /// It does not continue the fragment before it.
    discontinuity: bool,
    /// The producer went away before it was complete.
    partial: bool,
}

/// A page of fragments.
#[derive(Debug, Serialize, ToSchema)]
pub struct FragmentList {
    /// The fragments.
    fragments: Vec<FragmentInfo>,
    /// Pass it as `token` for the next page; null on the last.
    next_token: Option<String>,
}

/// Which fragments to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only fragments that reach beyond this time.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// Only fragments that start before this time.
    #[param(value_type = Option<String>)]
    end: Option<Time>,
    /// What `start`, `end` and the order are about: `producer` (default) or `server` time.
    #[serde(default)]
    by: By,
    /// `asc` (default) or `desc`.
    #[serde(default)]
    order: Order,
    /// At most so many, 1 to 1000; 100 if not given.
    limit: Option<usize>,
    /// `next_token` of the page before; the other parameters stay as they were.
    token: Option<String>,
}

/// Which time a range is in.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// When media was captured, according to the producer.
    #[default]
    Producer,
    /// When media arrived.
    Server,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// Lists fragments by producer or server time.
#[utoipa::path(get, path = "/v1/streams/{name}/fragments", tag = "fragments",
    params(("name", description = "stream name"), ListParams),
    responses((status = 200, body = FragmentList), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn list(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(params): Query<ListParams>,
) -> Result<Json<FragmentList>, ApiError> {
    let stream = state.stream(&name)?;
    let (start, end) = (params.start.map(|t| t.0), params.end.map(|t| t.0));
    ordered(start, end)?;
    let limit = limit(params.limit, MAX_LIMIT)?;
    let axis = match params.by {
        By::Producer => Axis::Producer,
        By::Server => Axis::Server,
    };
    let query = StoreQuery {
        axis,
        start,
        end,
        descending: params.order == Order::Desc,
        after: params.token.as_deref().map(parse_token).transpose()?,
        limit: limit + 1,
    };
    let list = blocking(move || {
        let mut found = stream.fragments(&query)?;
        let mut more = found.len() > limit;
        found.truncate(limit);
        let mut fragments = Vec::new();
        let mut read_bytes = 0;
        for fragment in &found {
            // Tags lie in the payload's head, and a page must not read a whole archive for them.
            if read_bytes >= MAX_BYTES_READ_FOR_TAGS {
                more = true;
                break;
            }
            let (info, head_bytes) = describe(&state, &stream, fragment)?;
            read_bytes += head_bytes;
            fragments.push(info);
        }
        let last = fragments.len().checked_sub(1).and_then(|place| found.get(place));
        let next_token = last.filter(|_| more).map(|last| token(last, axis));
        Ok::<_, ApiError>(FragmentList { fragments, next_token })
    })
    .await?;
    Ok(Json(list))
}

/// One fragment: `12` is what is known of it, `12.mp4` and `12.mkv` are files that any player
/// opens.
#[utoipa::path(get, path = "/v1/streams/{name}/fragments/{fragment}", tag = "fragments",
    params(("name", description = "stream name"), ("fragment", description = "a fragment's number, with .mp4 or .mkv for its media")),
    responses((status = 200, content((FragmentInfo = "application/json"), (Vec<u8> = "video/mp4"), (Vec<u8> = "video/x-matroska"))),
        (status = 206, description = "the range of the media that was asked for"), (status = 416, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 415, body = ErrorBody)))]
pub async fn get(
    State(state): State<AppState>,
    Path((name, fragment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stream = state.stream(&name)?;
    let (number, format) = match fragment.split_once('.') {
        None => (fragment.as_str(), None),
        Some((number, format)) => (number, Some(format)),
    };
    let number: FragmentNumber =
        number.parse().map_err(|message| ApiError::bad_parameter("fragment", message))?;
    let build = match format {
        None => {
            let info = blocking(move || {
                let found = fragment_of(&stream, number)?;
                describe(&state, &stream, &found).map(|(info, _)| info)
            });
            return Ok(Json(info.await?).into_response());
        }
        Some("mp4") => file::mp4,
        Some("mkv") => file::mkv,
        Some(other) => {
            let message = format!("a fragment can be fetched as .mp4 or .mkv, not as .{other}");
            return Err(ApiError::new(ErrorKind::NotFound, "no_such_format", message));
        }
    };
    let content_type = if format == Some("mp4") { "video/mp4" } else { "video/x-matroska" };
    let cacheable = Cacheable::new(&stream, &fragment);
    let disposition = format!("inline; filename=\"{name}-{fragment}\"");
    blocking(move || {
        // First, for what has expired is gone for those who know it, too.
        let found = fragment_of(&stream, number)?;
        if let Some(not_modified) = cacheable.not_modified(&headers) {
            return Ok(not_modified);
        }
        let known = state.catalog.known(&stream, found.configuration)?;
        let source = Source::open(stream.read(number)?)?;
        let file = build(source.head(), &known.tracks)?;
        let mut response = cacheable.media(content_type, source.media(file), &headers);
        if let Ok(value) = disposition.parse() {
            response.headers_mut().insert(axum::http::header::CONTENT_DISPOSITION, value);
        }
        Ok::<_, ApiError>(response)
    })
    .await
}

/// The fragment, or an error with a code of its own.
pub fn fragment_of(stream: &Stream, number: FragmentNumber) -> Result<Fragment, ApiError> {
    stream.fragment(number).map_err(|error| match error.kind {
        ErrorKind::NotFound => ApiError::new(ErrorKind::NotFound, "fragment_not_found", error.message)
            .with_hint("numbers that were never stored, or have expired, are gaps"),
        _ => error.into(),
    })
}

/// What is known of a fragment, and how many bytes were read to know it.
fn describe(
    state: &AppState,
    stream: &Arc<Stream>,
    fragment: &Fragment,
) -> Result<(FragmentInfo, u64), ApiError> {
    let known = state.catalog.readable(stream, fragment.configuration)?;
    let (mut tags, mut read_bytes) = (BTreeMap::new(), 0);
    if fragment.flags.has(Flags::TAGS) && known.is_some() {
        let head = head(&stream.read(fragment.number)?)?;
        read_bytes = head.bytes();
        tags.extend(head.tags().iter().map(|tag| (tag.name.clone(), tag.value.clone())));
    }
    let info = FragmentInfo {
        number: fragment.number.get(),
        producer_time: fragment.producer_time.to_string(),
        server_time: fragment.server_time.to_string(),
        media_time_ms: fragment.media_us.div_euclid(1000),
        duration_ms: (fragment.duration_us + 500) / 1000,
        bytes: fragment.bytes,
        tracks: known.iter().flat_map(|known| &known.tracks).map(|track| track.number).collect(),
        tags,
        key_frame_start: fragment.flags.has(Flags::KEY_FRAME_START),
        state: fragment.state.as_str(),
        discontinuity: fragment.flags.has(Flags::DISCONTINUITY),
        partial: fragment.flags.has(Flags::PARTIAL),
    };
    Ok((info, read_bytes))
}

/// A position in a list: the time in microseconds and the number.
fn token(last: &Fragment, axis: Axis) -> String {
    format!("{}-{}", last.start(axis).as_micros(), last.number)
}

fn parse_token(token: &str) -> Result<Cursor, ApiError> {
    let parts = token.rsplit_once('-');
    let cursor = parts.and_then(|(us, number)| {
        Some(Cursor { time: WallTime::from_micros(us.parse().ok()?), number: number.parse().ok()? })
    });
    cursor.ok_or_else(|| ApiError::bad_parameter("token", "it is not one that a page before gave"))
}
