//! Every error that leaves over HTTP: a status, a stable code, a sentence, and advice.

use axum::Json;
use axum::extract::rejection::BytesRejection;
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

    /// The stream exists, but its files cannot be used.
    #[must_use]
    pub fn out_of_service(name: &StreamName) -> Self {
        let message = format!("the stream {name} is out of service: its files cannot be used");
        Self::new(ErrorKind::Unavailable, "stream_out_of_service", message)
            .with_hint("the server's log says what is wrong and where; put it right, then restart the server")
    }

    /// A defect of ours: logged, and not explained to the caller.
    pub fn internal(what: &dyn std::fmt::Display) -> Self {
        Self::ours(ErrorKind::Internal, what)
    }

    /// A defect or damage on our side: logged, and not explained to the caller, to whom our files'
    /// names say nothing.
    fn ours(kind: ErrorKind, what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, kind = kind.as_str(), "the server failed");
        let message = match kind {
            ErrorKind::Corrupt => "what is stored is damaged; the server's log says where",
            _ => "the server failed; its log says why",
        };
        Self::new(kind, kind.as_str(), message)
    }

    /// The route exists, and takes other methods.
    #[must_use]
    pub fn method_not_allowed(method: &axum::http::Method, path: &str) -> Self {
        let message = format!("{path} does not take {method}");
        Self::with_status(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
            .with_hint("the header Allow names the methods that it takes; GET /openapi.json describes them")
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

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::with_status(
                status,
                "body_too_large",
                "the body is larger than any this route takes",
            )
            .with_hint("GET /openapi.json describes it");
        }
        Self::with_status(
            status,
            "invalid_body",
            format!("the body cannot be read: {}", rejection.body_text()),
        )
    }
}

impl From<InvalidStreamName> for ApiError {
    fn from(error: InvalidStreamName) -> Self {
        Self::new(ErrorKind::InvalidInput, "invalid_stream_name", error.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        if is_ours(refusal.kind) {
            return Self::ours(refusal.kind, &refusal.message);
        }
        let mut error = Self::new(refusal.kind, refusal.code, refusal.message);
        error.body.error.hint = refusal.hint;
        error.body.error.offset = refusal.offset;
        error
    }
}

impl From<kinora_store::Error> for ApiError {
    fn from(error: kinora_store::Error) -> Self {
        match error.kind {
            // A producer is told that its stream is gone; a reader may miss something in it.
            ErrorKind::NotFound => Self::new(error.kind, error.kind.as_str(), error.message),
            _ => Refusal::from(error).into(),
        }
    }
}

impl From<kinora_media::Error> for ApiError {
    fn from(error: kinora_media::Error) -> Self {
        // The offset is one in what is stored, not in what was sent.
        Refusal { offset: None, ..Refusal::from(error) }.into()
    }
}

/// Whether nothing that the caller sent is at fault.
fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Internal)
}

#[cfg(test)]
mod tests {
    use kinora_media::Fault;

    use super::*;

    fn detail(error: impl Into<ApiError>) -> (u16, String, String) {
        let error = error.into();
        (error.status.as_u16(), error.body.error.code, error.body.error.message)
    }

    #[test]
    fn what_is_broken_here_is_not_explained_to_callers() {
        let damaged = kinora_store::Error::new(ErrorKind::Corrupt, "/secret/cam/1.seg at byte 7: bad");
        let unreadable = kinora_media::Error::new(Fault::Stored, 7, "/secret part head");
        for (status, code, message) in
            [detail(damaged.clone()), detail(Refusal::from(damaged)), detail(unreadable)]
        {
            assert_eq!((status, code.as_str()), (500, "corrupt"));
            assert!(!message.contains("secret"), "{message}");
        }
        let (status, code, message) = detail(kinora_store::Error::new(ErrorKind::Internal, "/secret"));
        assert_eq!((status, code.as_str()), (500, "internal"));
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn callers_are_not_told_the_names_of_files() {
        for (kind, says) in
            [(ErrorKind::Unavailable, "cannot store"), (ErrorKind::StorageFull, "disk is full")]
        {
            let error = kinora_store::Error::new(kind, "cannot write to /secret/cam/1.open: no");
            for (_, _, message) in [detail(error.clone()), detail(Refusal::from(error))] {
                assert!(!message.contains("secret") && message.contains(says), "{message}");
            }
        }
        let (_, _, message) = detail(kinora_store::Error::new(ErrorKind::StorageFull, "1 MB are free"));
        assert_eq!(message, "1 MB are free");
    }

    #[test]
    fn a_fault_has_the_same_code_on_every_path() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Conflict, ErrorKind::StorageFull, ErrorKind::Corrupt]
        {
            let error = kinora_store::Error::new(kind, "it failed");
            assert_eq!(detail(error.clone()), detail(Refusal::from(error)));
        }
    }
}
