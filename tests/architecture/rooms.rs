//! Who may import whom, and what each room must not touch (ARCHITECTURE.md, "Rooms").

use crate::source::{Source, is_test_file};

/// What one room may and must not name.
struct Room {
    /// Files that belong to it start with this.
    prefix: &'static str,
    /// Which other rooms and floor crates it may name.
    may_use: &'static [&'static str],
    /// Paths that it must not reach, each with the reason.
    never: &'static [(&'static str, &'static str)],
}

const FLOOR: [&str; 3] = ["kinora_base", "kinora_media", "kinora_store"];
/// The rooms of package `kinora`.
const ROOMS: [&str; 4] = ["ingest", "playback", "api", "cli"];

const CLOCK: &str = "time and chance come from the injected kinora_base::Clock and Random";
const SANS_IO: &str = "media is bytes in, events out";
const FILES: &str = "only store opens data files";
const ENVIRONMENT: &str = "only cli reads the environment";
const HTTP: &str = "only api speaks HTTP";

const AMBIENT: [(&str, &str); 7] = [
    ("std::time::SystemTime", CLOCK),
    ("std::time::Instant::now", CLOCK),
    ("tokio::time::Instant::now", CLOCK),
    ("rand", CLOCK),
    ("getrandom", CLOCK),
    ("fastrand", CLOCK),
    ("aws_lc_rs::rand", CLOCK),
];

const RULES: [Room; 8] = [
    Room {
        prefix: "src/base/",
        may_use: &[],
        never: &[("std::env", ENVIRONMENT), ("std::fs", FILES), ("tokio", SANS_IO)],
    },
    Room {
        prefix: "src/media/",
        may_use: &["kinora_base"],
        never: &[
            ("std::env", ENVIRONMENT),
            ("std::fs", SANS_IO),
            ("std::net", SANS_IO),
            ("std::process", SANS_IO),
            ("std::thread", SANS_IO),
            ("std::time", SANS_IO),
            ("tokio", SANS_IO),
        ],
    },
    Room {
        prefix: "src/store/",
        may_use: &["kinora_base"],
        never: &[
            ("std::env", ENVIRONMENT),
            ("std::net", "store knows files, not sockets"),
            ("axum", HTTP),
            ("http", HTTP),
        ],
    },
    Room {
        prefix: "src/ingest/",
        may_use: &["kinora_base", "kinora_media", "kinora_store", "ingest"],
        never: IN_BETWEEN,
    },
    Room {
        prefix: "src/playback/",
        may_use: &["kinora_base", "kinora_media", "kinora_store", "playback"],
        never: PLAYBACK,
    },
    Room {
        prefix: "src/api/",
        may_use: &["kinora_base", "kinora_media", "kinora_store", "ingest", "playback", "api"],
        never: &[
            ("std::env", ENVIRONMENT),
            ("std::fs", FILES),
            ("tokio::fs", FILES),
            ("clap", "cli alone has a command line"),
        ],
    },
    Room {
        prefix: "src/cli/",
        may_use: &["kinora_base", "kinora_media", "kinora_store", "ingest", "playback", "api", "cli"],
        never: &[],
    },
    Room { prefix: "src/main.rs", may_use: &["cli"], never: &[("std::env", ENVIRONMENT)] },
];

const IN_BETWEEN: &[(&str, &str)] = &[
    ("std::env", ENVIRONMENT),
    ("std::fs", FILES),
    ("tokio::fs", FILES),
    ("std::net", HTTP),
    ("tokio::net", HTTP),
    ("axum", HTTP),
    ("hyper", HTTP),
    ("http", HTTP),
    ("tower", HTTP),
    ("tower_http", HTTP),
    ("clap", "cli alone has a command line"),
];

const PLAYBACK: &[(&str, &str)] = &[
    ("std::env", ENVIRONMENT),
    ("std::fs", FILES),
    ("tokio::fs", FILES),
    ("std::net", HTTP),
    ("tokio::net", HTTP),
    ("axum", HTTP),
    ("hyper", HTTP),
    ("http", HTTP),
    ("tower", HTTP),
    ("tower_http", HTTP),
    ("clap", "cli alone has a command line"),
    ("kinora_store::StreamWriter", "playback never writes"),
    ("kinora_store::Begin", "playback never writes"),
    ("kinora_store::Finish", "playback never writes"),
];

/// Everything in `source` that its room forbids.
pub(crate) fn complaints(source: &Source) -> Vec<String> {
    if is_test_file(&source.file) || source.file == "src/lib.rs" {
        return Vec::new();
    }
    let Some(room) = RULES.iter().find(|room| source.file.starts_with(room.prefix)) else {
        return vec![format!("{}: belongs to no room: add it to tests/architecture/rooms.rs", source.file)];
    };
    let clocked = room.prefix != "src/cli/" && source.file != "src/base/clock.rs";
    let ambient = AMBIENT.iter().filter(|_| clocked);
    let never: Vec<_> = room.never.iter().chain(ambient).collect();
    let mut complaints = Vec::new();
    for mention in &source.mentions {
        let at = format!("{}:{}: {}", source.file, mention.line, mention.text());
        let first = mention.segments[0].as_str();
        let other = match mention.segments.get(1) {
            // In the floor's crates `crate::…` is the crate itself.
            Some(second) if matches!(first, "crate" | "kinora") && !is_floor(room.prefix) => {
                ROOMS.iter().find(|name| *name == second).copied()
            }
            _ => FLOOR.iter().find(|name| **name == first).copied(),
        };
        if let Some(other) = other.filter(|other| !room.may_use.contains(other)) {
            complaints.push(format!("{at}: {} must not know {other}", room.prefix));
        }
        for (path, reason) in never.iter().filter(|(path, _)| mention.reaches(path)) {
            complaints.push(format!("{at}: {} must not reach {path}: {reason}", room.prefix));
        }
    }
    complaints
}

fn is_floor(prefix: &str) -> bool {
    matches!(prefix, "src/base/" | "src/media/" | "src/store/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        complaints(&Source::parse(file, text).unwrap()).len()
    }

    #[test]
    fn each_forbidden_import_is_found() {
        for (file, text) in [
            ("src/base/time.rs", "use kinora_media::Track;"),
            ("src/media/mkv/demux.rs", "use kinora_store::Store;"),
            ("src/media/mkv/demux.rs", "fn f() { std::fs::read(p) }"),
            ("src/media/mkv/demux.rs", "use std::{fs, io};"),
            ("src/media/mkv/demux.rs", "use tokio::sync::mpsc;"),
            ("src/media/mkv/demux.rs", "use std::time;"),
            ("src/store/tail.rs", "fn f(t: kinora_media::Track) {}"),
            ("src/ingest/put.rs", "use crate::api::Caller;"),
            ("src/ingest/put.rs", "use crate::playback::Window;"),
            ("src/ingest/put.rs", "use super::super::playback::Window;"),
            ("src/ingest/put.rs", "use axum::body::Body;"),
            ("src/ingest/put.rs", "fn f() { m!(std::env::var(\"A\")) }"),
            ("src/playback/hls/media.rs", "use crate::ingest::Ack;"),
            ("src/playback/window.rs", "use kinora_store::{Store, StreamWriter};"),
            ("src/api/router.rs", "use crate::cli::Config;"),
            ("src/api/router.rs", "use std::fs::File;"),
            ("src/api/router.rs", "let t = std::time::SystemTime::now();"),
            ("src/api/router.rs", "let t = rand::random();"),
            ("src/main.rs", "use kinora::api::router;"),
            ("src/attic/x.rs", ""),
        ] {
            assert!(count(file, text) > 0, "{file}: {text}");
        }
    }

    #[test]
    fn what_lies_below_may_be_used() {
        for (file, text) in [
            ("src/media/mkv/demux.rs", "use crate::api::x; use kinora_base::WallTime; use std::io::Read;"),
            (
                "src/ingest/put.rs",
                "use crate::ingest::Ack; use kinora_store::StreamWriter; use kinora_media::Demuxer;",
            ),
            ("src/playback/hls/media.rs", "use kinora_store::Store; use super::window;"),
            (
                "src/api/router.rs",
                "use crate::{ingest, playback}; use axum::Router; use std::time::Duration;",
            ),
            (
                "src/cli/serve.rs",
                "use crate::api; fn f() { std::env::var(\"A\"); std::time::SystemTime::now() }",
            ),
            ("src/base/clock.rs", "fn f() { std::time::SystemTime::now() }"),
            ("src/main.rs", "fn main() { kinora::cli::main() }"),
            ("src/ingest/put_test.rs", "use crate::api::Caller;"),
        ] {
            assert_eq!(count(file, text), 0, "{file}: {text}");
        }
    }
}
