//! `kinora limits`: what a running server keeps, for how long it has room, and changes to it.
//!
//! What limits do is the server's business.

use clap::Args;
use kinora_base::StreamName;
use kinora_store::Limit;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Failure;
use super::amount::{age_limit, age_text, size_limit, size_text};
use super::server::{Server, reason};

/// Streams asked for at a time.
const PAGE: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Only this stream, instead of all
    stream: Option<StreamName>,
    /// From now on it keeps what arrived so long, such as 7d; or 'unlimited'; or 'default', as the
    /// server's settings say
    #[arg(long, value_name = "TIME", value_parser = age_limit, requires = "stream")]
    max_age: Option<Limit>,
    /// From now on it keeps so much media, such as 50GB; or 'unlimited'; or 'default'
    #[arg(long, value_name = "SIZE", value_parser = size_limit, requires = "stream")]
    max_bytes: Option<Limit>,
    #[command(flatten)]
    server: Server,
}

/// What the server says of a stream.
#[derive(Debug, Deserialize)]
struct Stream {
    name: String,
    fragments: Fragments,
    range: Option<Range>,
    retention: Retention,
}

#[derive(Debug, Deserialize)]
struct Fragments {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Range {
    start: String,
}

#[derive(Debug, Deserialize)]
struct Retention {
    max_age_s: Value,
    max_bytes: Value,
    effective_max_age_s: Option<u64>,
    effective_max_bytes: Option<u64>,
    suspended: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    streams: Vec<Stream>,
    next_token: Option<String>,
}

/// What the server says of its room.
#[derive(Debug, Deserialize)]
struct Storage {
    state: String,
    disk_bytes: Option<u64>,
    free_bytes: Option<u64>,
    keep_free_bytes: u64,
    used_bytes: u64,
    max_total_bytes: Option<u64>,
    bytes_per_second: u64,
    forecast: Forecast,
}

#[derive(Debug, Deserialize)]
struct Forecast {
    full_at: Option<String>,
    limit: Option<String>,
    next_stream: Option<String>,
    next_recorded_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: Refused,
}

#[derive(Debug, Deserialize)]
struct Refused {
    message: String,
    hint: Option<String>,
}

impl Limits {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
        runtime.block_on(async {
            let client = self.server.client()?;
            let streams = match &self.stream {
                Some(name) => vec![self.one(&client, name).await?],
                None => self.all(&client).await?,
            };
            let storage: Storage = ask(client.get(self.server.url("/v1/storage")?)).await?;
            print!("{}", table(&streams));
            print!("{}", outlook(&storage));
            Ok(())
        })
    }

    /// The one stream, changed first if that is wanted.
    async fn one(&self, client: &Client, name: &StreamName) -> Result<Stream, Failure> {
        let url = self.server.url(&format!("/v1/streams/{name}"))?;
        // A name that is mistyped shall not create a stream.
        let found = ask(client.get(&url)).await?;
        let wanted = [("max_age_s", self.max_age), ("max_bytes", self.max_bytes)];
        let change: serde_json::Map<String, Value> = wanted
            .into_iter()
            .filter_map(|(key, limit)| limit.map(|limit| (key.to_owned(), value(limit))))
            .collect();
        if change.is_empty() {
            return Ok(found);
        }
        ask(client.put(&url).json(&json!({ "retention": change }))).await
    }

    async fn all(&self, client: &Client) -> Result<Vec<Stream>, Failure> {
        let mut streams = Vec::new();
        let mut token = String::new();
        loop {
            let path = format!("/v1/streams?limit={PAGE}{token}");
            let page: Page = ask(client.get(self.server.url(&path)?)).await?;
            streams.extend(page.streams);
            match page.next_token {
                Some(next) => token = format!("&token={next}"),
                None => return Ok(streams),
            }
        }
    }
}

fn value(limit: Limit) -> Value {
    match limit {
        Limit::Inherited => Value::Null,
        Limit::Unlimited => json!("unlimited"),
        Limit::Most(most) => json!(most),
    }
}

/// Sends the request; what the server refuses is told in its own words.
async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    let unreachable = |error: reqwest::Error| {
        let place = error.url().map(|url| format!("{url}: ")).unwrap_or_default();
        Failure::new(format!("{place}{}", reason(&error)))
    };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        return Err(refused(status, &body));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::new(format!("the server's answer is not understood: {error}")))
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(Refusal { error }) = serde_json::from_slice(body) else {
        return Failure::new(format!("the server answered {status}"));
    };
    let failure = Failure::new(error.message);
    match error.hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// One line for each stream; a star marks what the stream was given over the API.
fn table(streams: &[Stream]) -> String {
    let mut rows = vec![["STREAM", "MAX AGE", "MAX BYTES", "USED", "SINCE"].map(str::to_owned)];
    for stream in streams {
        let retention = &stream.retention;
        rows.push([
            stream.name.clone(),
            limit(&retention.max_age_s, retention.effective_max_age_s, age_text),
            limit(&retention.max_bytes, retention.effective_max_bytes, size_text),
            size_text(stream.fragments.bytes),
            stream.range.as_ref().map_or_else(|| "-".to_owned(), |range| range.start.clone()),
        ]);
    }
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    let own =
        |stream: &Stream| !stream.retention.max_age_s.is_null() || !stream.retention.max_bytes.is_null();
    if streams.iter().any(own) {
        text.push_str("* the stream's own; the others are the server's\n");
    }
    for stream in streams {
        if let Some(why) = &stream.retention.suspended {
            text.push_str(&format!("nothing of {} expires: {why}\n", stream.name));
        }
    }
    text
}

fn limit(own: &Value, effective: Option<u64>, write: fn(u64) -> String) -> String {
    let star = if own.is_null() { "" } else { "*" };
    format!("{}{star}", effective.map_or_else(|| "unlimited".to_owned(), write))
}

/// The room that all streams share, and what comes at the present rate.
fn outlook(storage: &Storage) -> String {
    let mut lines = vec![String::new()];
    let most = storage.max_total_bytes.map(|most| format!(" of {}", size_text(most))).unwrap_or_default();
    lines.push(format!("all streams: {}{most} on disk", size_text(storage.used_bytes)));
    if let Some((free, total)) = storage.free_bytes.zip(storage.disk_bytes) {
        let kept = size_text(storage.keep_free_bytes);
        let state = match storage.state.as_str() {
            "full" => "; it is full: nothing is recorded",
            "low" => "; it is low: the oldest recordings go",
            _ => "",
        };
        lines.push(format!(
            "disk: {} of {} free, {kept} stay free{state}",
            size_text(free),
            size_text(total)
        ));
    }
    let rate = size_text(storage.bytes_per_second);
    let forecast = &storage.forecast;
    lines.push(match (&forecast.full_at, forecast.limit.as_deref()) {
        (Some(at), Some("total")) => format!("forecast: at {rate}/s all streams reach their limit at {at}"),
        (Some(at), _) => format!("forecast: at {rate}/s the disk has no more room at {at}"),
        (None, _) => format!("forecast: at {rate}/s never full"),
    });
    if let (Some(stream), Some(at)) = (&forecast.next_stream, &forecast.next_recorded_at) {
        lines.push(format!("first to go for room: what {stream} recorded at {at}"));
    }
    lines.push(String::new());
    lines.join("\n")
}
