//! The timeline: when a stream has media, and when it has not.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{Query, Time, ordered};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};

/// What a stream covers of a stretch of producer time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// Where the stretch starts.
    start: Option<String>,
    /// Where it ends.
    end: Option<String>,
    /// The runs without a hole, in order; the first and the last may reach beyond the stretch.
    runs: Vec<CoveredRun>,
    /// The holes between them.
    gaps: Vec<Gap>,
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

/// An absence between two runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gap {
    start: String,
    end: String,
}

/// Which stretch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineParams {
    /// From this producer time; from the first recorded if not given.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// To this producer time; to the last recorded if not given.
    #[param(value_type = Option<String>)]
    end: Option<Time>,
}

/// When the stream has media.
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
    let recorded = stream.summary().producer_range;
    let (Some(start), Some(end)) =
        (start.or(recorded.map(|(first, _)| first)), end.or(recorded.map(|(_, last)| last)))
    else {
        return Ok(Json(Timeline { start: None, end: None, runs: Vec::new(), gaps: Vec::new() }));
    };
    let runs = blocking(move || stream.runs(start, end)).await?;
    let gaps = runs
        .iter()
        .zip(runs.iter().skip(1))
        .map(|(before, after)| Gap { start: before.end.to_string(), end: after.start.to_string() });
    Ok(Json(Timeline {
        start: Some(start.to_string()),
        end: Some(end.to_string()),
        gaps: gaps.collect(),
        runs: runs
            .iter()
            .map(|run| CoveredRun {
                start: run.start.to_string(),
                end: run.end.to_string(),
                fragments: run.fragments,
                bytes: run.bytes,
            })
            .collect(),
    }))
}
