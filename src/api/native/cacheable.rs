//! Answers that never change: validators, ranges, and bodies that are read as the socket takes
//! them.
//!
//! What the bytes are is unknown here.

use std::ops::Range;
use std::sync::Arc;

use axum::BoxError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use kinora_store::Stream;

use crate::api::ApiError;
use crate::playback::{MUXER_VERSION, Media};

/// Media that never changes: its validator and how long caches may keep it.
#[derive(Debug)]
pub struct Cacheable {
    etag: String,
}

/// Which bytes of an answer are wanted (RFC 9110 §14).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

impl Cacheable {
    /// The answer called `part` of a stream. The stream's creation time tells it from one of the
    /// same name that was deleted, the muxer's version from what another release made of it.
    #[must_use]
    pub fn new(stream: &Stream, part: &str) -> Self {
        Self { etag: format!("\"{}-{MUXER_VERSION}-{part}\"", stream.created().as_micros()) }
    }

    /// `304` if the caller has it already.
    #[must_use]
    pub fn not_modified(&self, headers: &HeaderMap) -> Option<Response> {
        let known = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
        let matches = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag);
        matches.then(|| {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.stamp(&mut response);
            response
        })
    }

    /// Bytes that were made.
    #[must_use]
    pub fn made(&self, content_type: &'static str, bytes: Bytes) -> Response {
        let mut response = ([(header::CONTENT_TYPE, content_type)], bytes).into_response();
        self.stamp(&mut response);
        response
    }

    /// The media, or the range of it that is asked for.
    #[must_use]
    pub fn media(&self, content_type: &'static str, media: Media, headers: &HeaderMap) -> Response {
        let length = media.len();
        let mut response = match self.wanted(headers, length) {
            Wanted::All => body(media, 0..length).into_response(),
            Wanted::Part(range) => {
                let place = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
                (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, place)], body(media, range))
                    .into_response()
            }
            Wanted::Nothing => {
                let message = format!("the range begins behind the last of {length} bytes");
                let error = ApiError::with_status(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "range_not_satisfiable",
                    message,
                );
                let place = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
                return (place, error.with_hint("ask for a range within that, or for all")).into_response();
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        self.stamp(&mut response);
        response
    }

    fn wanted(&self, headers: &HeaderMap, length: u64) -> Wanted {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match text(header::RANGE) {
            // §13.1.5: the range of something else is worth nothing.
            Some(_) if text(header::IF_RANGE).is_some_and(|tag| tag != self.etag) => Wanted::All,
            Some(range) => wanted(range, length),
            None => Wanted::All,
        }
    }

    fn stamp(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        // Private, because a shared cache does not know who may see a camera.
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    }
}

/// Reads a `Range` field for something of this length. What is not one range of bytes is ignored, as
/// §14.2 allows.
fn wanted(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (first.trim().is_empty(), number(first), number(last)) {
        (false, Some(first), None) if last.trim().is_empty() => (first, length),
        (false, Some(first), Some(last)) if first <= last => (first, length.min(last.saturating_add(1))),
        (true, None, Some(count)) => (length.saturating_sub(count), length),
        _ => return Wanted::All,
    };
    if start < end { Wanted::Part(start..end) } else { Wanted::Nothing }
}

/// A body of known length that keeps little of a large fragment in memory: the next piece is read
/// when the connection has room for it.
fn body(media: Media, range: Range<u64>) -> Response {
    let length = [(header::CONTENT_LENGTH, range.end.saturating_sub(range.start))];
    if let Some(pieces) = media.held(range.clone()) {
        let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
        return (length, Body::from_stream(stream::iter(pieces))).into_response();
    }
    let pieces = stream::try_unfold((Arc::new(media), range), |(media, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let (reader, asked) = (Arc::clone(&media), range.clone());
        let piece = match tokio::task::spawn_blocking(move || reader.read(asked)).await? {
            // The head is out: all that is left is to break the connection off.
            Err(why) => {
                tracing::warn!("an answer broke off: {why}");
                return Err(why.into());
            }
            Ok(piece) if piece.is_empty() => return Ok(None),
            Ok(piece) => piece,
        };
        let rest = range.start.saturating_add(piece.len() as u64)..range.end;
        Ok::<_, BoxError>(Some((piece, (media, rest))))
    });
    (length, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_read_and_all_else_ignored() {
        let part = |range| Wanted::Part(range);
        for (text, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=5-", part(5..100)),
            ("bytes=5-7", part(5..8)),
            ("bytes=90-200", part(90..100)),
            ("bytes=-10", part(90..100)),
            ("bytes=-200", part(0..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=7-5", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-5", Wanted::All),
            ("bytes=18446744073709551615-", Wanted::Nothing),
            ("seconds=1-2", Wanted::All),
        ] {
            assert_eq!(wanted(text, 100), expected, "{text}");
        }
    }
}
