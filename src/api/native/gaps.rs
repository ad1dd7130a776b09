//! Absences: when a stream has no media, and why.

use axum::Json;
use axum::extract::{Path, State};
use kinora_base::WallTime;
use kinora_store::{Absence, Gap, GapQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fragments::Order;
use super::query::{Query, Time, limit, ordered};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};

/// Most absences in one answer.
const MAX_LIMIT: usize = 1000;

/// An absence: a stretch of producer time without media.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapInfo {
    /// Where media ends.
    start: String,
    /// Where it goes on; null while it does not.
    end: Option<String>,
    /// Why: `producer_stopped`, `connection_lost`, `stall`, `input_refused`, `replaced` (by a newer
    /// producer), `server_down`, `disk_refused`, `clock_step`, `expired`, `damaged`, or `unknown`.
    #[schema(example = "connection_lost")]
    cause: &'static str,
    /// More in words, such as the error that ended the session.
    detail: Option<String>,
    /// Server time at which the end of media was noticed.
    noticed_at: Option<String>,
}

impl From<Gap> for GapInfo {
    fn from(gap: Gap) -> Self {
        Self {
            start: gap.start.to_string(),
            end: gap.end.map(|end| end.to_string()),
            cause: gap.cause.as_str(),
            detail: Some(gap.detail).filter(|detail| !detail.is_empty()),
            noticed_at: gap.noticed.map(|noticed| noticed.to_string()),
        }
    }
}

/// Why no media arrives now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AbsenceInfo {
    /// Server time since when.
    since: String,
    /// Why, in the words of an absence's `cause`.
    #[schema(example = "connection_lost")]
    cause: &'static str,
    /// More in words, such as the error that ended the session.
    detail: Option<String>,
}

impl From<Absence> for AbsenceInfo {
    fn from(absence: Absence) -> Self {
        Self {
            since: absence.since.to_string(),
            cause: absence.cause.as_str(),
            detail: Some(absence.detail).filter(|detail| !detail.is_empty()),
        }
    }
}

/// A page of absences.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapList {
    /// The absences.
    gaps: Vec<GapInfo>,
    /// Pass it as `token` for the next page; null on the last.
    next_token: Option<String>,
}

/// Which absences to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GapParams {
    /// Only absences that end after this producer time.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// Only absences that start before this producer time.
    #[param(value_type = Option<String>)]
    end: Option<Time>,
    /// `asc` (default) or `desc`.
    #[serde(default)]
    order: Order,
    /// At most so many, 1 to 1000; 100 if not given.
    limit: Option<usize>,
    /// `next_token` of the page before; the other parameters stay as they were.
    token: Option<String>,
}

/// When the stream has no media, and why. The last absence has no end while nothing arrives.
#[utoipa::path(get, path = "/v1/streams/{name}/gaps", tag = "fragments",
    params(("name", description = "stream name"), GapParams),
    responses((status = 200, body = GapList), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn list(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(params): Query<GapParams>,
) -> Result<Json<GapList>, ApiError> {
    let stream = state.stream(&name)?;
    let (start, end) = (params.start.map(|t| t.0), params.end.map(|t| t.0));
    ordered(start, end)?;
    let limit = limit(params.limit, MAX_LIMIT)?;
    let query = GapQuery {
        start,
        end,
        descending: params.order == Order::Desc,
        after: params.token.as_deref().map(parse_token).transpose()?,
        limit: limit + 1,
    };
    let now = state.clock.wall();
    let mut found = blocking(move || stream.gaps(&query, now)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_token = found.last().filter(|_| more).map(|last| last.start.as_micros().to_string());
    Ok(Json(GapList { gaps: found.into_iter().map(GapInfo::from).collect(), next_token }))
}

fn parse_token(token: &str) -> Result<WallTime, ApiError> {
    let start = token.parse().map(WallTime::from_micros);
    start.map_err(|_| ApiError::bad_parameter("token", "it is not one that a page before gave"))
}
