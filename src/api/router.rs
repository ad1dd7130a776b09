//! Every route on one page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kinora_base::ErrorKind;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::native::fragments::{By, Order};
use crate::api::native::media::Timecode;
use crate::api::native::{damages, fragments, gaps, hls, login, media, retention, streams, timeline};
use crate::api::{ApiError, AppState, auth, description, operations, origin, web};

/// Most bytes of a request body that is not media.
const MAX_SMALL_BODY_BYTES: usize = 64 * 1024;

/// How long a request that carries no media may take until its answer begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Ends requests whose small bodies do not come.
async fn require_haste(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request took longer than {} seconds", ANSWER_WITHIN.as_secs());
            ApiError::with_status(StatusCode::REQUEST_TIMEOUT, "request_timeout", message).into_response()
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kinora",
        description = "A self-hosted video fragment service. Times are RFC 3339 or milliseconds since 1970; \
                   answers give RFC 3339 with milliseconds."
    ),
    components(schemas(By, Order, Timecode))
)]
struct Document;

fn routes() -> OpenApiRouter<AppState> {
    let small = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(streams::list))
        .routes(routes!(streams::get, streams::put, streams::delete))
        .routes(routes!(retention::pins))
        .routes(routes!(retention::pin, retention::unpin))
        .routes(routes!(retention::storage))
        .routes(routes!(fragments::list))
        .routes(routes!(fragments::get))
        .routes(routes!(timeline::get))
        .routes(routes!(gaps::list))
        .routes(routes!(damages::list))
        .routes(routes!(hls::multivariant))
        .routes(routes!(hls::media))
        .routes(routes!(hls::file))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY_BYTES))
        .layer(from_fn(require_haste));
    // Media has no size limit; memory is bounded by what a session holds.
    let media = OpenApiRouter::new().routes(routes!(media::post)).layer(DefaultBodyLimit::disable());
    small.merge(media)
}

/// The OpenAPI description of the native dialect, as JSON.
#[must_use]
pub fn openapi() -> String {
    let mut api = routes().to_openapi();
    description::complete(&mut api);
    api.to_pretty_json().unwrap_or_default()
}

/// The whole HTTP service.
pub fn router(state: AppState) -> Router {
    let description = openapi();
    let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
    let (api, _) = routes().split_for_parts();
    api.route("/openapi.json", get(move || async move { (json, description) }))
        .fallback(web::serve)
        .method_not_allowed_fallback(refuse_method)
        .layer(from_fn(require_legible))
        .layer(from_fn_with_state(Arc::clone(&state.auth), auth::require))
        .layer(from_fn_with_state(state.clone(), origin::require_own))
        .layer(from_fn_with_state(state.clone(), operations::count))
        .with_state(state)
}

async fn refuse_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(&method, uri.path())
}

/// Refuses paths that are not UTF-8 once decoded, for all routes alike.
async fn require_legible(
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    match params {
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => {
            let message = format!("{} is not UTF-8", request.uri().path());
            ApiError::new(ErrorKind::InvalidInput, "invalid_path", message)
                .with_hint("escape the UTF-8 bytes of names, as %C3%A9 for é")
                .into_response()
        }
        _ => next.run(request).await,
    }
}
