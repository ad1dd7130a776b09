//! Logging browsers in and out.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::error::ErrorBody;
use crate::api::{ApiError, AppState};

/// A login.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Login {
    /// The server's token.
    token: String,
}

/// Trades the token for a cookie, for browsers.
#[utoipa::path(post, path = "/v1/login", tag = "login", request_body = Login,
    responses((status = 204, description = "the cookie is set"), (status = 401, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub async fn login(
    State(state): State<AppState>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    login: Result<Json<Login>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(login) = login.map_err(|rejection| {
        ApiError::with_status(rejection.status(), "invalid_login", rejection.body_text())
            .with_hint(r#"send the JSON {"token":"…"} with Content-Type: application/json"#)
    })?;
    state.auth.look(peer.ip())?;
    let Some(cookie) = state.auth.log_in(&login.token) else {
        state.auth.was_wrong(peer.ip()).await;
        let message = "that is not this server's token";
        return Err(ApiError::with_status(StatusCode::UNAUTHORIZED, "wrong_token", message)
            .with_hint("it is what the server was started with: --token or KINORA_TOKEN"));
    };
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Ends a browser's login.
#[utoipa::path(post, path = "/v1/logout", tag = "login",
    responses((status = 204, description = "the cookie is gone")))]
pub async fn logout(State(state): State<AppState>) -> Response {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, state.auth.log_out())]).into_response()
}
