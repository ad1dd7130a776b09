//! For whoever runs the server: whether it lives, whether it is ready, and its figures.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kinora_base::WallTime;
use kinora_store::{Cause, Statistics, Store, Summary};
use metrics::{counter, gauge, histogram};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::AppState;

/// The server's state in a word.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, `stopping`, `full` or `failed`.
    status: &'static str,
    /// Why it is not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn answer(health: Health) -> Response {
    let status = if health.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

fn volume(state: &AppState) -> Health {
    let health = state.store.health();
    let status = if health.ok { "ok" } else { "failed" };
    Health { status, reason: health.reason }
}

/// Whether the server works at all: its volume takes writes.
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn healthz(State(state): State<AppState>) -> Response {
    answer(volume(&state))
}

/// Whether the server takes new work: it is neither stopping, nor failed, nor is its disk full.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn readyz(State(state): State<AppState>) -> Response {
    if state.stopping.is_cancelled() {
        return answer(Health { status: "stopping", reason: Some("the server is shutting down".into()) });
    }
    let health = volume(&state);
    match state.store.refusal() {
        Some(full) if health.status == "ok" => answer(Health { status: "full", reason: Some(full.message) }),
        _ => answer(health),
    }
}

/// Figures in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(state): State<AppState>) -> Response {
    gauge!("kinora_store_scrub_last_full_pass_timestamp_seconds")
        .set(state.store.statistics().scrubbed_at_us as f64 / 1e6);
    gauge!("kinora_store_healthy").set(f64::from(u8::from(state.store.health().ok)));
    let statistics = state.store.statistics();
    record(&statistics);
    record_room(&state.store);
    state.metrics.run_upkeep();
    let text = state.metrics.render()
        + &streams(&state.store)
        + &clocks(&state)
        + &absent(&state.store, state.clock.wall())
        + &commit_latency(&statistics);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn record(statistics: &Statistics) {
    for (name, count) in [
        ("kinora_store_received_fragments_total", statistics.received_fragments),
        ("kinora_store_received_bytes_total", statistics.received_bytes),
        ("kinora_store_repeated_fragments_total", statistics.repeated_fragments),
        ("kinora_store_durable_fragments_total", statistics.durable_fragments),
        ("kinora_store_lost_fragments_total", statistics.lost_fragments),
        ("kinora_store_written_bytes_total", statistics.written_bytes),
        ("kinora_store_syncs_total", statistics.syncs),
        ("kinora_store_sealed_segments_total", statistics.sealed_segments),
        ("kinora_store_expired_segments_total", statistics.expired_segments),
        ("kinora_store_discarded_bytes_total", statistics.discarded_bytes),
        ("kinora_store_scrubbed_bytes_total", statistics.scrubbed_bytes),
        ("kinora_store_scrub_passes_total", statistics.scrub_passes),
    ] {
        counter!(name).absolute(count);
    }
    for (cause, count) in Cause::ALL.into_iter().zip(statistics.stops) {
        if count > 0 {
            counter!("kinora_store_stops_total", "cause" => cause.as_str()).absolute(count);
        }
    }
    for (name, value) in [
        ("kinora_store_damaged_places", statistics.damaged_places),
        ("kinora_store_streams_out_of_service", statistics.out_of_service),
        ("kinora_store_queued_bytes", statistics.queued_bytes),
        ("kinora_store_open_segments", statistics.open_segments),
    ] {
        gauge!(name).set(value as f64);
    }
}

/// How much room there is, and for how long.
fn record_room(store: &Store) {
    let space = store.space();
    gauge!("kinora_storage_keep_free_bytes").set(space.keep_free_bytes as f64);
    gauge!("kinora_storage_full").set(f64::from(u8::from(store.refusal().is_some())));
    for (name, bytes) in
        [("kinora_storage_disk_bytes", space.total_bytes), ("kinora_storage_free_bytes", space.free_bytes)]
    {
        if let Some(bytes) = bytes {
            gauge!(name).set(bytes as f64);
        }
    }
    // Whatever is wrong with the index is told elsewhere.
    let Ok(outlook) = store.outlook() else { return };
    gauge!("kinora_storage_used_bytes").set(outlook.used_bytes as f64);
    gauge!("kinora_storage_bytes_per_second").set(outlook.bytes_per_second as f64);
    // 0 while it is never full.
    let full_at = outlook.full_at.map_or(0.0, |at| at.as_micros() as f64 / 1e6);
    gauge!("kinora_storage_full_timestamp_seconds").set(full_at);
}

/// The figures of each stream, read when they are asked for: those of a deleted one end with it.
fn streams(store: &Store) -> String {
    let streams: Vec<_> =
        store.streams().into_iter().map(|stream| (stream.name().clone(), stream.summary())).collect();
    let figures: [Figure; 4] = [
        ("kinora_stream_fragments", |summary| Some(summary.fragments as f64)),
        ("kinora_stream_bytes", |summary| Some(summary.bytes as f64)),
        ("kinora_stream_producer_connected", |summary| Some(f64::from(u8::from(summary.has_writer)))),
        ("kinora_stream_last_received_timestamp_seconds", |summary| {
            summary.last_received.map(|last| last.as_micros() as f64 / 1e6)
        }),
    ];
    let mut text = String::new();
    for (name, figure) in figures {
        let _infallible = writeln!(text, "# TYPE {name} gauge");
        for (stream, summary) in &streams {
            if let Some(value) = figure(summary) {
                let stream = escaped(stream.as_str());
                let _infallible = writeln!(text, "{name}{{stream=\"{stream}\"}} {value}");
            }
        }
    }
    text
}

/// How the clocks of connected producers run against the server's.
fn clocks(state: &AppState) -> String {
    let measured: Vec<_> = state
        .store
        .streams()
        .iter()
        .filter_map(|stream| Some((escaped(stream.name().as_str()), state.clocks.measured(stream.name())?)))
        .collect();
    let mut text = String::from("# TYPE kinora_stream_clock_offset_seconds gauge\n");
    for (stream, measured) in &measured {
        let seconds = measured.offset_us as f64 / 1e6;
        let _infallible =
            writeln!(text, "kinora_stream_clock_offset_seconds{{stream=\"{stream}\"}} {seconds}");
    }
    text.push_str("# TYPE kinora_stream_clock_drift_ppm gauge\n");
    for (stream, measured) in &measured {
        if let Some(ppm) = measured.drift_ppm {
            let _infallible = writeln!(text, "kinora_stream_clock_drift_ppm{{stream=\"{stream}\"}} {ppm}");
        }
    }
    text
}

/// How many streams have no media arriving now, by cause.
fn absent(store: &Store, now: WallTime) -> String {
    const NAME: &str = "kinora_streams_absent";
    let absences: Vec<_> = store.streams().iter().filter_map(|stream| stream.absence(now)).collect();
    let mut text = format!("# TYPE {NAME} gauge\n");
    for cause in Cause::ALL {
        let count = absences.iter().filter(|absence| absence.cause == cause).count();
        if count > 0 {
            let _infallible = writeln!(text, "{NAME}{{cause=\"{cause}\"}} {count}");
        }
    }
    text
}

/// A figure's name, and where a stream's summary has it.
type Figure = (&'static str, fn(&Summary) -> Option<f64>);

/// A label's value as the Prometheus text format writes it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// The time from a fragment's completion to its durability, which the store counts in buckets of
/// its own.
fn commit_latency(statistics: &Statistics) -> String {
    const NAME: &str = "kinora_store_commit_seconds";
    let mut text = format!("# TYPE {NAME} histogram\n");
    let mut below = 0;
    let bounds = Statistics::LATENCY_BOUNDS_US.iter().map(|us| (*us as f64 / 1e6).to_string());
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(statistics.commit_latency) {
        below += count;
        let _infallible = writeln!(text, "{NAME}_bucket{{le=\"{bound}\"}} {below}");
    }
    let sum = statistics.commit_latency_us as f64 / 1e6;
    let _infallible = writeln!(text, "{NAME}_sum {sum}\n{NAME}_count {below}");
    text
}

/// The method's name as a label. Anybody can invent methods, and every label is kept.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Counts requests by route and status, and how long their answers took to begin.
pub async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("web app", MatchedPath::as_str);
    let route: Arc<str> = route.into();
    let method = known(request.method());
    let began = state.clock.monotonic();
    let response = next.run(request).await;
    let took = state.clock.monotonic().saturating_sub(began);
    let route = route.to_string();
    let status = response.status().as_u16().to_string();
    counter!("kinora_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!("kinora_http_response_seconds", "route" => route.clone()).record(took.as_secs_f64());
    // Media goes out piece by piece, so that only its header says how long it is.
    let stated = response.headers().get(header::CONTENT_LENGTH);
    let stated = stated.and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(bytes) = response.body().size_hint().exact().or(stated) {
        counter!("kinora_http_response_bytes_total", "route" => route).increment(bytes);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_the_format_demands() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
