//! HLS over HTTP: playlists that are made anew for each request, media that never changes.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kinora_base::{ErrorKind, FragmentNumber, WallTime};
use kinora_media::Track;
use kinora_store::{ConfigurationId, Fragment, Stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::cacheable::Cacheable;
use super::fragments::fragment_of;
use super::query::{Query, Time, ordered};
use crate::api::error::ErrorBody;
use crate::api::state::blocking;
use crate::api::{ApiError, AppState};
use crate::playback::hls::{MultivariantInput, media_playlist, multivariant_playlist};
use crate::playback::{Presentation, Source, Span, Window, init, segment};

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// Which part of the stream to play.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpanParams {
    /// Play from this producer time. Without `start` and `end` the playlist is live.
    #[param(value_type = Option<String>)]
    start: Option<Time>,
    /// Play to this producer time; without it the playlist grows while the stream does.
    #[param(value_type = Option<String>)]
    end: Option<Time>,
}

impl SpanParams {
    fn span(&self) -> Result<Span, ApiError> {
        let (start, end) = (self.start.map(|t| t.0), self.end.map(|t| t.0));
        ordered(start, end)?;
        Ok(match (start, end) {
            (None, None) => Span::Live,
            (Some(start), None) => Span::From(start),
            (start, Some(end)) => Span::Range(start.unwrap_or(WallTime::EARLIEST), end),
        })
    }

    /// The same, as a query for the URIs in the multivariant playlist.
    fn text(&self) -> String {
        let start = self.start.map(|t| format!("start={}", t.0.as_millis()));
        let end = self.end.map(|t| format!("end={}", t.0.as_millis()));
        start.into_iter().chain(end).collect::<Vec<_>>().join("&")
    }
}

/// The multivariant playlist: live, or of a range.
#[utoipa::path(get, path = "/v1/streams/{name}/hls/index.m3u8", tag = "playback",
    params(("name", description = "stream name"), SpanParams),
    responses((status = 200, body = String, content_type = PLAYLIST), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody)))]
pub async fn multivariant(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(params): Query<SpanParams>,
) -> Result<Response, ApiError> {
    let stream = state.stream(&name)?;
    let span = params.span()?;
    let query = params.text();
    let (text, next) = blocking(move || {
        let window = window(&stream, span)?;
        let known = state.catalog.presentations(&stream, &window)?;
        let newest = known.last().map(|(id, _)| *id);
        let presentations: Vec<Presentation> =
            known.into_iter().map(|(_, presentation)| presentation).collect();
        if presentations.iter().all(|presentation| presentation.renditions.is_empty()) {
            return Err(nothing_to_play(&presentations));
        }
        let fragments = window.entries.iter().map(|entry| &entry.fragment);
        let newest = newest.and_then(|id| state.catalog.known(&stream, id).ok());
        let frame_rate = newest.and_then(|newest| newest.frame_rate(&stream, fragments));
        let text = multivariant_playlist(&MultivariantInput {
            presentations: &presentations,
            frame_rate,
            bandwidth: window.bandwidth(),
            query: &query,
        });
        Ok((text, next(&window)))
    })
    .await?;
    Ok(playlist(text, next))
}

/// A media playlist: live, or of a range.
#[utoipa::path(get, path = "/v1/streams/{name}/hls/{rendition}/index.m3u8", tag = "playback",
    params(("name", description = "stream name"), ("rendition", description = "video, audio, video2 …"), SpanParams),
    responses((status = 200, body = String, content_type = PLAYLIST), (status = 404, body = ErrorBody)))]
pub async fn media(
    State(state): State<AppState>,
    Path((name, rendition)): Path<(String, String)>,
    Query(params): Query<SpanParams>,
) -> Result<Response, ApiError> {
    let stream = state.stream(&name)?;
    let span = params.span()?;
    let (text, next) = blocking(move || {
        let window = window(&stream, span)?;
        let presentations: HashMap<ConfigurationId, Presentation> =
            state.catalog.presentations(&stream, &window)?.into_iter().collect();
        if presentations.values().all(|presentation| presentation.rendition(&rendition).is_none()) {
            return Err(no_rendition(&rendition));
        }
        Ok((media_playlist(&window, &rendition, &presentations), next(&window)))
    })
    .await?;
    Ok(playlist(text, next))
}

/// An init segment (`init-{configuration}.mp4`) or a media segment (`{fragment}.m4s`).
#[utoipa::path(get, path = "/v1/streams/{name}/hls/{rendition}/{file}", tag = "playback",
    params(("name", description = "stream name"), ("rendition", description = "video, audio, video2 …"),
        ("file", description = "init-{configuration}.mp4 or {fragment}.m4s")),
    responses((status = 200, body = Vec<u8>, content_type = "video/mp4"),
        (status = 206, description = "the range of the media that was asked for"),
        (status = 404, body = ErrorBody), (status = 416, body = ErrorBody)))]
pub async fn file(
    State(state): State<AppState>,
    Path((name, rendition, file)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stream = state.stream(&name)?;
    let wanted = Wanted::parse(&file).ok_or_else(|| {
        let message = format!("there is no {file}; media is init-{{configuration}}.mp4 and {{fragment}}.m4s");
        ApiError::new(ErrorKind::NotFound, "no_such_file", message)
    })?;
    let cacheable = Cacheable::new(&stream, &format!("{rendition}-{file}"));
    let content_type = if rendition.starts_with("audio") { "audio/mp4" } else { "video/mp4" };
    blocking(move || {
        // First, for what has expired is gone for those who know it, too.
        let found = wanted.find(&state, &stream, &rendition)?;
        if let Some(not_modified) = cacheable.not_modified(&headers) {
            return Ok(not_modified);
        }
        let Some(fragment) = &found.fragment else {
            return Ok(cacheable.made(content_type, init(&found.track)?));
        };
        let source = Source::open(stream.read(fragment.number)?)?;
        let segment = segment(fragment, source.head(), &found.track)?;
        Ok::<_, ApiError>(cacheable.media(content_type, source.media(segment), &headers))
    })
    .await
}

/// What a media file's name asks for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Init(ConfigurationId),
    Segment(FragmentNumber),
}

impl Wanted {
    fn parse(file: &str) -> Option<Self> {
        let init = file.strip_prefix("init-").and_then(|rest| rest.strip_suffix(".mp4"));
        if let Some(id) = init {
            return Some(Self::Init(ConfigurationId(id.parse().ok()?)));
        }
        Some(Self::Segment(file.strip_suffix(".m4s")?.parse().ok()?))
    }

    fn find(self, state: &AppState, stream: &Stream, rendition: &str) -> Result<Found, ApiError> {
        let (configuration, fragment) = match self {
            Self::Init(id) => (id, None),
            Self::Segment(number) => {
                let fragment = fragment_of(stream, number)?;
                (fragment.configuration, Some(fragment))
            }
        };
        let known = state.catalog.known(stream, configuration)?;
        let found = known.presentation.rendition(rendition).ok_or_else(|| no_rendition(rendition))?;
        Ok(Found { track: found.track.clone(), fragment })
    }
}

/// A media file that can be had: an init segment without a fragment, else a media segment.
#[derive(Debug)]
struct Found {
    track: Track,
    fragment: Option<Fragment>,
}

fn window(stream: &Arc<Stream>, span: Span) -> Result<Window, ApiError> {
    Window::of(stream, span).map_err(|error| match error.kind {
        ErrorKind::NotFound => ApiError::new(ErrorKind::NotFound, "no_media", error.message)
            .with_hint("GET …/timeline shows when the stream has media"),
        _ => error.into(),
    })
}

fn no_rendition(rendition: &str) -> ApiError {
    let message = format!("the stream has no rendition {rendition} that HLS can carry");
    ApiError::new(ErrorKind::NotFound, "rendition_not_found", message).with_hint(
        "the multivariant playlist lists the renditions; GET the stream to see what is left out and why",
    )
}

fn nothing_to_play(presentations: &[Presentation]) -> ApiError {
    let reasons: Vec<&str> =
        presentations.iter().flat_map(|p| &p.left_out).map(|left_out| left_out.reason.as_str()).collect();
    let message = format!("HLS can carry none of this stream's tracks: {}", reasons.join("; "));
    ApiError::new(ErrorKind::Unsupported, "nothing_to_play", message)
        .with_hint("fetch fragments as .mkv, which carries everything")
}

fn playlist(text: String, next: Option<HeaderValue>) -> Response {
    // A live playlist is new with every fragment, and late uploads change even a range's.
    let headers = [(header::CONTENT_TYPE, PLAYLIST), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, text).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

/// Where the playlist is that goes on after one that is full (RFC 8288 §3).
fn next(window: &Window) -> Option<HeaderValue> {
    let end = match window.span {
        Span::Range(_, end) => format!("&end={}", end.as_millis()),
        Span::From(_) | Span::Live => String::new(),
    };
    let link = format!("<index.m3u8?start={}{end}>; rel=\"next\"", window.rest?.as_millis());
    HeaderValue::try_from(link).ok()
}
