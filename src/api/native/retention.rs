//! What streams keep, over HTTP: limits, pins, and how much room there is.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kinora_base::{ErrorKind, WallTime};
use kinora_store::{Limit, Limits, NextExpiry, Pin, Pinned, Pressure, Stream};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::api::error::ErrorBody;
use crate::api::native::query::Time;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};

/// A limit of a stream: a number, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "a limit is a whole number above 0, \"unlimited\", or null for the server's own"
)]
pub enum LimitValue {
    /// At most so much.
    #[schema(value_type = u64)]
    Most(std::num::NonZeroU64),
    /// Whatever the server's settings say, this stream has none.
    Unlimited(Unlimited),
}

/// The absence of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unlimited {
    /// None.
    Unlimited,
}

/// Changes to a stream.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamChange {
    /// What of it shall be kept.
    #[serde(default)]
    retention: RetentionChange,
}

/// Changes to what a stream keeps. What is not named stays as it is; null means the server's own
/// limit from now on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetentionChange {
    /// Seconds since a fragment arrived.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LimitValue>)]
    max_age_s: Option<Option<LimitValue>>,
    /// Payload bytes; what only a pin holds does not count.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LimitValue>)]
    max_bytes: Option<Option<LimitValue>>,
}

/// Tells null from absence.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<LimitValue>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl StreamChange {
    /// Reads a body; an empty one changes nothing.
    ///
    /// # Errors
    /// If it is not JSON, or says what is not understood.
    pub fn read(body: &Bytes) -> Result<Self, ApiError> {
        if body.is_empty() { Ok(Self::default()) } else { json(body) }
    }

    /// Applies it. Blocks.
    ///
    /// # Errors
    /// Whatever the store reports.
    pub fn apply(&self, state: &AppState, stream: &std::sync::Arc<Stream>) -> Result<(), ApiError> {
        let before = stream.limits();
        let changed = |change: Option<Option<LimitValue>>, before| change.map_or(before, limit);
        let limits = Limits {
            age_s: changed(self.retention.max_age_s, before.age_s),
            bytes: changed(self.retention.max_bytes, before.bytes),
        };
        let asked = self.retention.max_age_s.is_some() || self.retention.max_bytes.is_some();
        if asked && (limits != before || stream.expiry_suspended().is_some()) {
            stream.set_limits(limits)?;
            state.store.enforce()?;
        }
        Ok(())
    }
}

fn json<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::new(ErrorKind::InvalidInput, "invalid_body", format!("the body is not understood: {error}"))
            .with_hint("GET /openapi.json describes it")
    })
}

fn limit(value: Option<LimitValue>) -> Limit {
    match value {
        None => Limit::Inherited,
        Some(LimitValue::Unlimited(_)) => Limit::Unlimited,
        Some(LimitValue::Most(most)) => Limit::Most(most.get()),
    }
}

fn value(limit: Limit) -> Option<LimitValue> {
    match limit {
        Limit::Inherited => None,
        Limit::Unlimited => Some(LimitValue::Unlimited(Unlimited::Unlimited)),
        Limit::Most(most) => std::num::NonZeroU64::new(most).map(LimitValue::Most),
    }
}

/// What a stream keeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct Retention {
    /// Its own limit by age, in seconds since arrival; null: the server's.
    max_age_s: Option<LimitValue>,
    /// Its own limit by payload bytes; null: the server's.
    max_bytes: Option<LimitValue>,
    /// The limit by age that holds; null: none.
    effective_max_age_s: Option<u64>,
    /// The limit by bytes that holds; null: none.
    effective_max_bytes: Option<u64>,
    /// Fragments below this number have expired, but for those that a pin holds.
    floor: u64,
    /// Fragments whose files were deleted.
    expired_fragments: u64,
    /// When these limits let go of something next, at the present bitrate; null: never.
    next_expiry: Option<Expiry>,
    /// Why nothing expires, if nothing does: setting limits ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<String>,
}

/// When a stream's limits let go of its oldest recording.
#[derive(Debug, Serialize, ToSchema)]
pub struct Expiry {
    /// When.
    at: String,
    /// What is reached then: `age` or `bytes`.
    limit: &'static str,
}

impl From<NextExpiry> for Expiry {
    fn from(NextExpiry { at, by_bytes }: NextExpiry) -> Self {
        Self { at: at.to_string(), limit: if by_bytes { "bytes" } else { "age" } }
    }
}

impl Retention {
    /// What `stream` keeps while so many bytes arrive.
    #[must_use]
    pub fn of(state: &AppState, stream: &Stream, bytes_per_second: u64) -> Self {
        let (limits, expired) = (stream.limits(), stream.expired());
        let (age_s, bytes) = state.store.default_limits().of(stream.name());
        Self {
            max_age_s: value(limits.age_s),
            max_bytes: value(limits.bytes),
            effective_max_age_s: limits.age_s.or(age_s),
            effective_max_bytes: limits.bytes.or(bytes),
            floor: expired.floor,
            expired_fragments: expired.fragments,
            next_expiry: stream.next_expiry(state.clock.wall(), bytes_per_second).map(Expiry::from),
            suspended: stream.expiry_suspended(),
        }
    }
}

/// A stretch of producer time to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Fragments that end after this time ...
    #[schema(value_type = String)]
    start: Time,
    /// ... and begin before this one are kept.
    #[schema(value_type = String)]
    end: Time,
    /// Who wants it.
    #[serde(default)]
    by: String,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// A pin and what it holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct PinInfo {
    /// Its name.
    name: String,
    /// Where the stretch starts.
    start: String,
    /// Where it ends.
    end: String,
    /// When it was set.
    created_at: String,
    /// Who wanted it.
    by: String,
    /// Why.
    reason: String,
    /// Fragments that it holds now.
    fragments: u64,
    /// Their payload bytes.
    bytes: u64,
}

/// The pins of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct PinList {
    /// By name.
    pins: Vec<PinInfo>,
}

impl From<Pinned> for PinInfo {
    fn from(Pinned { pin, fragments, bytes }: Pinned) -> Self {
        Self {
            name: pin.name,
            start: pin.start.to_string(),
            end: pin.end.to_string(),
            created_at: pin.created.to_string(),
            by: pin.by,
            reason: pin.reason,
            fragments,
            bytes,
        }
    }
}

/// Lists what is pinned in a stream.
#[utoipa::path(get, path = "/v1/streams/{name}/pins", tag = "retention",
    params(("name", description = "stream name")),
    responses((status = 200, body = PinList), (status = 404, body = ErrorBody)))]
pub async fn pins(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<PinList>, ApiError> {
    let stream = state.stream(&name)?;
    let pins = blocking(move || stream.pins()).await?;
    Ok(Json(PinList { pins: pins.into_iter().map(PinInfo::from).collect() }))
}

/// Keeps a stretch of time whatever the limits say, until it is unpinned. What has expired already
/// does not come back.
#[utoipa::path(put, path = "/v1/streams/{name}/pins/{pin}", tag = "retention", request_body = PinRequest,
    params(("name", description = "stream name"), ("pin", description = "the pin's name; one of that name is replaced")),
    responses((status = 200, body = PinInfo), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn pin(
    State(state): State<AppState>,
    Path((name, pin)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PinInfo>, ApiError> {
    let stream = state.stream(&name)?;
    let PinRequest { start, end, by, reason } = json(&body?)?;
    let created = state.clock.wall();
    let pin = Pin { name: pin, start: start.0, end: end.0, created, by, reason };
    let held = blocking(move || {
        let name = pin.name.clone();
        stream.pin(pin)?;
        state.store.enforce()?;
        Ok::<_, kinora_store::Error>(stream.pins()?.into_iter().find(|held| held.pin.name == name))
    })
    .await?;
    held.map(|held| Json(held.into())).ok_or_else(|| ApiError::internal(&"the pin was removed at once"))
}

/// Lets a pinned stretch go. What the limits do not keep of it is deleted.
#[utoipa::path(delete, path = "/v1/streams/{name}/pins/{pin}", tag = "retention",
    params(("name", description = "stream name"), ("pin", description = "the pin's name")),
    responses((status = 204, description = "it is gone"), (status = 404, body = ErrorBody)))]
pub async fn unpin(
    State(state): State<AppState>,
    Path((name, pin)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let stream = state.stream(&name)?;
    blocking(move || {
        stream.unpin(&pin)?;
        state.store.enforce()
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How much room there is, what limits it, and when it will be used up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Storage {
    /// `ample`, `low` (the oldest segments are being deleted) or `full` (nothing is recorded).
    state: &'static str,
    /// Size of the disk, in bytes.
    disk_bytes: Option<u64>,
    /// What is free of it for recordings.
    free_bytes: Option<u64>,
    /// Below this the oldest segments go.
    keep_free_bytes: u64,
    /// Below this fragments are refused.
    refuse_below_bytes: u64,
    /// Bytes that all recordings take on disk.
    used_bytes: u64,
    /// The limit for all recordings together; null: none.
    max_total_bytes: Option<u64>,
    /// The limit by age of streams without their own, in seconds; null: none.
    default_max_age_s: Option<u64>,
    /// The limit by bytes of streams without their own; null: none.
    default_max_bytes: Option<u64>,
    /// Bytes recorded per second lately.
    bytes_per_second: u64,
    /// See [`Forecast`].
    forecast: Forecast,
    /// By how many seconds the clock is ahead of the time without its last jump. While this is not 0,
    /// recordings expire by the earlier of the two.
    clock_ahead_s: i64,
}

/// What comes if recording goes on at the present rate.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forecast {
    /// When the oldest recordings begin to go to make room; null: never at this rate.
    #[schema(example = "2027-01-01T00:00:00.000Z")]
    full_at: Option<String>,
    /// What is reached then: `disk` or `total`.
    limit: Option<&'static str>,
    /// The stream that would lose its oldest recording first.
    next_stream: Option<String>,
    /// When that recording arrived.
    next_recorded_at: Option<String>,
}

/// How much room there is.
#[utoipa::path(get, path = "/v1/storage", tag = "retention", responses((status = 200, body = Storage)))]
pub async fn storage(State(state): State<AppState>) -> Result<Json<Storage>, ApiError> {
    Ok(Json(blocking(move || describe(&state)).await?))
}

fn describe(state: &AppState) -> Result<Storage, ApiError> {
    let (space, defaults) = (state.store.space(), state.store.default_limits());
    let outlook = state.store.outlook()?;
    let at = |time: WallTime| time.to_string();
    let (next_stream, next_recorded_at) =
        outlook.next.map(|(name, time)| (name.to_string(), at(time))).unzip();
    Ok(Storage {
        state: match space.pressure {
            Pressure::Ample => "ample",
            Pressure::Low => "low",
            Pressure::Full => "full",
        },
        disk_bytes: space.total_bytes,
        free_bytes: space.free_bytes,
        keep_free_bytes: space.keep_free_bytes,
        refuse_below_bytes: space.refuse_below_bytes,
        used_bytes: outlook.used_bytes,
        max_total_bytes: defaults.total_bytes,
        default_max_age_s: defaults.age_s,
        default_max_bytes: defaults.bytes,
        bytes_per_second: outlook.bytes_per_second,
        forecast: Forecast {
            full_at: outlook.full_at.map(at),
            limit: outlook.full_at.map(|_| if outlook.by_total { "total" } else { "disk" }),
            next_stream,
            next_recorded_at,
        },
        clock_ahead_s: state.store.clock_ahead_us() / 1_000_000,
    })
}
