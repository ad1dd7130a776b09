//! Uploads over sockets to a real server that is killed again and again.

use std::path::Path;

use kinora_base::WallTime;
use kinora_test_support::{Producer as Connection, Server};
use serde_json::Value;

use super::chance::Chance;
use super::clip::START;
use super::producer::Producer;

const KINORA: &str = env!("CARGO_BIN_EXE_kinora");
/// So small that segments are sealed and begun all the time.
const SEGMENT_BYTES: &str = "150000";
/// Connections of each producer while a server lives, at most.
const CONNECTIONS: usize = 12;

/// Lets all producers upload side by side until they are done; how often the server was killed.
pub(crate) fn upload(folder: &Path, producers: &mut [Producer<'_>], chance: &mut Chance) -> usize {
    let mut kills = 0;
    while producers.iter().any(|producer| !producer.done) {
        let server =
            Server::start(Path::new(KINORA), &folder.join("data"), &["--segment-bytes", SEGMENT_BYTES]);
        let connections = 1 + chance.below(CONNECTIONS);
        std::thread::scope(|scope| {
            for producer in producers.iter_mut() {
                let address = server.address;
                scope.spawn(move || {
                    for _ in 0..connections {
                        if producer.done {
                            return;
                        }
                        connect(address, producer);
                    }
                });
            }
        });
        server.kill();
        kills += 1;
    }
    kills
}

/// One connection. What was cut has vanished, and is followed at once by the next.
fn connect(server: std::net::SocketAddr, producer: &mut Producer<'_>) {
    let upload = producer.next();
    let query = format!("?start={}", START.as_millis());
    let mut connection = Connection::connect(server, producer.clip.name, &query);
    let mut taken = true;
    for chunk in &upload.chunks {
        taken = taken && connection.send(chunk);
    }
    let lines = if upload.is_cut {
        let read = producer.reads(upload.whole);
        let mut lines: Vec<_> = (0..read).map(|_| connection.wait_for("persisted")).collect();
        lines.extend(connection.so_far());
        connection.vanish();
        lines
    } else {
        connection.finish();
        connection.rest()
    };
    for line in lines {
        let Ok(ack) = serde_json::from_str::<Value>(&line) else {
            assert!(line.contains(" 200 "), "{}: {line}", producer.clip.name);
            continue;
        };
        assert_ne!(ack["event"], "error", "{}: {line}", producer.clip.name);
        if ack["event"] == "persisted" && ack["partial"].is_null() {
            let time: WallTime = ack["producer_time"].as_str().unwrap().parse().unwrap();
            producer.persisted(producer.clip.nearest(time), ack["fragment"].as_u64().unwrap());
        }
    }
}
