//! The timeline: when a stream has media, when it has not and why, and how much of it lies where.

use axum::Json;
use axum::extract::{Path, State};
use kinora_base::ErrorKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::gaps::GapInfo;
use super::query::{Query, Time, ordered};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};

/// Most buckets: the pixels of a wide screen.
const MAX_RESOLUTION: usize = 4000;

/// What a stream covers of a stretch of producer time.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Timeline {
    /// Where the stretch starts.
    start: Option<String>,
    /// Where it ends.
    end: Option<String>,
    /// The runs without a hole, in order; the first and the last may reach beyond the stretch.
    runs: Vec<CoveredRun>,
    /// The absences that reach into the stretch, in order.
    gaps: Vec<GapInfo>,
    /// Absences no longer than a bucket, which are left out.
    hidden_gaps: u64,
    /// How long a bucket is, in milliseconds; null without `resolution`.
    bucket_ms: Option<f64>,
    /// Payload bytes in each bucket; empty without `resolution`. Over long stretches those of a
    /// segment are taken to be spread evenly over each of its runs.
    bucket_bytes: Vec<u64>,
}

/// Media without a hole.
#[derive(Debug, Serialize, ToSchema)]
pub struct CoveredRun {
    start: String,
    end: String,
    /// How many fragments.
    fragments: u64,
    /// Their payload bytes.
    bytes: u64,
}

/// Which stretch, and how fine.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineParams {
    /// From this producer time; from the first recorded if not given.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// To this producer time; to the last recorded, with the absence that follows it, if not given.
    #[param(value_type = Option<String>)]
    end: Option<Time>,
    /// Into how many equal buckets the stretch is divided, such as the pixels it is drawn on, 1 to
    /// 4000: absences no longer than one are left out, and the bytes in each are told. Everything
    /// is told exactly if not given, for at most 10,000 runs.
    resolution: Option<usize>,
}

/// When the stream has media, and when and why it has not.
#[utoipa::path(get, path = "/v1/streams/{name}/timeline", tag = "fragments",
    params(("name", description = "stream name"), TimelineParams),
    responses((status = 200, body = Timeline), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn get(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(params): Query<TimelineParams>,
) -> Result<Json<Timeline>, ApiError> {
    let stream = state.stream(&name)?;
    let (start, end) = (params.start.map(|t| t.0), params.end.map(|t| t.0));
    ordered(start, end)?;
    if let Some(count) = params.resolution.filter(|count| !(1..=MAX_RESOLUTION).contains(count)) {
        let message = format!("{count} is not between 1 and {MAX_RESOLUTION}");
        return Err(ApiError::bad_parameter("resolution", message));
    }
    let recorded = stream.summary().producer_range;
    // A microsecond more, so that an absence that begins where the last run ends is in it.
    let last = recorded.map(|(_, last)| last.offset_micros(1));
    let (Some(start), Some(end)) = (start.or(recorded.map(|(first, _)| first)), end.or(last)) else {
        return Ok(Json(Timeline::default()));
    };
    if start >= end {
        return Ok(Json(Timeline::default()));
    }
    let now = state.clock.wall();
    let found = blocking(move || {
        stream.timeline((start, end), params.resolution, now).map_err(|error| match error.kind {
            ErrorKind::LimitExceeded => ApiError::bad_parameter("resolution", error.message)
                .with_hint("ask with resolution=1000, for a shorter stretch, or page through the gaps"),
            _ => error.into(),
        })
    })
    .await?;
    Ok(Json(Timeline {
        start: Some(start.to_string()),
        end: Some(end.to_string()),
        runs: found
            .runs
            .iter()
            .map(|run| CoveredRun {
                start: run.start.to_string(),
                end: run.end.to_string(),
                fragments: run.fragments,
                bytes: run.bytes,
            })
            .collect(),
        gaps: found.gaps.into_iter().map(GapInfo::from).collect(),
        hidden_gaps: found.hidden_gaps,
        bucket_ms: params.resolution.map(|_| found.bucket_us as f64 / 1000.0),
        bucket_bytes: found.bytes,
    }))
}
