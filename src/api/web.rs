//! The web app, embedded in the binary.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use crate::api::ApiError;

#[derive(Embed)]
#[folder = "web/dist/"]
#[allow_missing = true]
struct App;

/// What the app's pages may load and talk to: this server only. hls.js plays through blob URLs and
/// runs its demuxer in a worker made from one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
    worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Serves the app's files; any other path without a dot is one of its pages.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("v1/") || !matches!(method, Method::GET | Method::HEAD) {
        let message = format!("there is no {method} {}", uri.path());
        return ApiError::with_status(StatusCode::NOT_FOUND, "no_such_route", message)
            .with_hint("GET /openapi.json describes every route")
            .into_response();
    }
    if let Some(found) = App::get(path) {
        return file(&found, path.starts_with("assets/"), &headers);
    }
    let is_page = !path.rsplit('/').next().is_some_and(|name| name.contains('.'))
        || path.strip_prefix("streams/").is_some_and(|name| !name.contains('/'));
    match App::get("index.html") {
        Some(index) if is_page => file(&index, false, &headers),
        Some(_) => {
            ApiError::with_status(StatusCode::NOT_FOUND, "no_such_file", format!("there is no /{path}"))
                .into_response()
        }
        None => ApiError::with_status(
            StatusCode::NOT_FOUND,
            "web_app_not_built",
            "this binary was built without the web app",
        )
        .with_hint("`make build` builds it in; the API works without it")
        .into_response(),
    }
}

/// A file with its validator; names under `assets/` change with their content.
fn file(found: &EmbeddedFile, immutable: bool, request: &HeaderMap) -> Response {
    let hash: String =
        found.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{hash}\"");
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag.clone()),
        (header::CONTENT_TYPE, found.metadata.mimetype().to_owned()),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, found.data.clone().into_owned()).into_response()
}
