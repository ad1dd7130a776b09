//! Query parameters that several routes share.

use kinora_base::WallTime;
use serde::de::{Deserialize, Deserializer, Error};

use crate::api::ApiError;

/// A time in a query: RFC 3339 or milliseconds since 1970. A `+` that arrives as a blank, because
/// nobody escapes it, is understood.
#[derive(Debug, Clone, Copy)]
pub struct Time(pub WallTime);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.trim().replace(' ', "+").parse().map(Self).map_err(D::Error::custom)
    }
}

/// The query of a request, with errors in our own form.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T, S> axum::extract::FromRequestParts<S> for Query<T>
where
    T: serde::de::DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (name, message) = reason.split_once(": ").unwrap_or(("query", reason));
                Err(ApiError::bad_parameter(name, message))
            }
        }
    }
}

/// A list's page size: `asked`, or 100, between 1 and `most`.
///
/// # Errors
/// If it is 0 or more than `most`.
pub fn limit(asked: Option<usize>, most: usize) -> Result<usize, ApiError> {
    match asked {
        None => Ok(100.min(most)),
        Some(count) if (1..=most).contains(&count) => Ok(count),
        Some(count) => Err(ApiError::bad_parameter("limit", format!("{count} is not between 1 and {most}"))),
    }
}

/// Refuses a range that ends before it begins.
///
/// # Errors
/// Names both ends.
pub fn ordered(start: Option<WallTime>, end: Option<WallTime>) -> Result<(), ApiError> {
    match (start, end) {
        (Some(start), Some(end)) if start >= end => Err(ApiError::bad_parameter(
            "end",
            format!("the range ends at {end}, which is not after its start at {start}"),
        )),
        _ => Ok(()),
    }
}
