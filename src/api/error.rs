//! Every error that leaves over HTTP: a status, a stable code, a sentence, and advice.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kinora_base::{ErrorKind, InvalidStreamName, StreamName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ingest::Refusal;

/// An error as JSON: `{"error":{"code","message","hint"?}}`.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

/// What an error answer holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable word for programs.
    #[schema(example = "stream_not_found")]
    code: String,
    /// One sentence for people.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Byte offset in the body that was sent, where the fault lies in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

/// The one place where an error's kind becomes a status.
const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    /// An error of `kind` with a code of its own.
    pub fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self::with_status(status(kind), code, message)
    }

    /// An error that HTTP itself has a status for.
    pub fn with_status(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { code: code.into(), message: message.into(), hint: None, offset: None };
        Self { status, body: ErrorBody { error: detail } }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.body.error.hint = Some(hint.into());
        self
    }

    /// A bad query parameter.
    pub fn bad_parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, "invalid_parameter", format!("parameter {name}: {message}"))
    }

    /// No stream of this name.
    #[must_use]
    pub fn stream_not_found(name: &StreamName) -> Self {
        Self::new(ErrorKind::NotFound, "stream_not_found", format!("there is no stream {name}"))
            .with_hint("GET /v1/streams lists the streams; pushing media to a new name creates it")
    }

    /// A defect of ours: logged, and not explained to the caller.
    pub fn internal(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "internal error");
        Self::new(ErrorKind::Internal, "internal", "the server failed; its log says why")
    }

    /// The error's body, for answers that have begun already.
    #[must_use]
    pub fn body(&self) -> &ErrorBody {
        &self.body
    }
}

impl ErrorBody {
    /// What went wrong.
    #[must_use]
    pub fn detail(&self) -> &ErrorDetail {
        &self.error
    }
}

impl ErrorDetail {
    /// The same without the offset, for where it stands beside.
    #[must_use]
    pub fn without_offset(&self) -> Self {
        Self { offset: None, ..self.clone() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<InvalidStreamName> for ApiError {
    fn from(error: InvalidStreamName) -> Self {
        Self::new(ErrorKind::InvalidInput, "invalid_stream_name", error.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.kind, refusal.code, refusal.message);
        error.body.error.hint = refusal.hint;
        error.body.error.offset = refusal.offset;
        error
    }
}

impl From<kinora_store::Error> for ApiError {
    fn from(error: kinora_store::Error) -> Self {
        if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Internal) {
            tracing::error!(error = %error, kind = error.kind.as_str(), "the store failed");
        }
        Self::new(error.kind, error.kind.as_str(), error.message)
    }
}

impl From<kinora_media::Error> for ApiError {
    fn from(error: kinora_media::Error) -> Self {
        let mut answer = Self::new(error.fault.kind(), error.fault.code(), error.message);
        answer.body.error.hint = error.hint;
        answer
    }
}
