//! The damaged places of a stream: what of it counts as absent because stored bytes are wrong.

use axum::Json;
use axum::extract::{Path, State};
use kinora_base::FragmentNumber;
use kinora_store::DamagedPlace;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ErrorBody;
use crate::api::{ApiError, AppState};

/// Most places in one answer. A disk that has more is to be replaced.
const MOST: usize = 1000;

/// A damaged place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Damage {
    /// The file, in the stream's folder.
    file: String,
    /// Where in it.
    offset: u64,
    /// The fragment that is lost, where that can be told. Lists and playlists leave it out.
    fragment: Option<u64>,
    /// What is wrong.
    reason: String,
    /// When it was found.
    found_at: String,
}

/// The damaged places of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct DamageList {
    /// The places, by file and offset; at most 1000.
    damages: Vec<Damage>,
    /// How many there are.
    count: usize,
}

impl From<DamagedPlace> for Damage {
    fn from(place: DamagedPlace) -> Self {
        Self {
            file: place.file,
            offset: place.offset,
            fragment: place.fragment.map(FragmentNumber::get),
            reason: place.reason,
            found_at: place.found.to_string(),
        }
    }
}

/// Lists the damaged places of a stream that are known: found at the start, by reading, or by the
/// checks that run in the background.
#[utoipa::path(get, path = "/v1/streams/{name}/damages", tag = "streams", params(("name", description = "stream name")),
    responses((status = 200, body = DamageList), (status = 404, body = ErrorBody)))]
pub async fn list(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<DamageList>, ApiError> {
    let places = state.stream(&name)?.damages();
    let count = places.len();
    Ok(Json(DamageList { damages: places.into_iter().take(MOST).map(Damage::from).collect(), count }))
}
