//! The load generator against a server of ten lines: does it count and time what it should?

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::clip::{Clip, Kind};
use crate::ingest::{Load, producers};
use crate::sender::Pace;

/// How long the sink pretends to need for durability.
const DELAY: Duration = Duration::from_millis(40);
const CLUSTER: [u8; 4] = [0x1F, 0x43, 0xB6, 0x75];

/// Takes one producer; whenever a Cluster starts, says that the one before it is durable.
async fn sink(mut socket: TcpStream, refuse_after: usize) {
    socket.set_nodelay(true).unwrap();
    let mut head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let (mut data, mut searched, mut under_way, mut seen) = (Vec::new(), 0, None, 0);
    while socket.read_buf(&mut data).await.unwrap() > 0 {
        // Cluster, eight bytes of size, Timestamp's ID and size, eight bytes of value.
        while let Some(at) = data[searched..].windows(4).position(|bytes| bytes == CLUSTER) {
            let at = searched + at;
            let Some(value) = data.get(at + 14..at + 22) else { break };
            let timecode = u64::from_be_bytes(value.try_into().unwrap());
            searched = at + 22;
            seen += 1;
            if let Some(complete) = under_way.replace(timecode) {
                tokio::time::sleep(DELAY).await;
                let mut line = format!("{{\"event\":\"persisted\",\"timecode\":{complete}}}\n");
                if seen > refuse_after {
                    line = "{\"event\":\"error\",\"error\":{\"code\":\"disk_full\"}}\n".to_owned();
                }
                head.extend(format!("{:x}\r\n{line}\r\n", line.len()).bytes());
                socket.write_all(&std::mem::take(&mut head)).await.unwrap();
            }
        }
        if data.ends_with(b"0\r\n\r\n") {
            break;
        }
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
}

async fn measure(pace: Pace, streams: u32, refuse_after: usize) -> Vec<crate::sender::Report> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(sink(socket, refuse_after));
        }
    });
    let clip = Rc::new(Clip::load(Kind::Camera));
    let load = Load { name: String::new(), kind: Kind::Camera, pace, streams };
    producers(address, &clip, &load, Duration::from_millis(100), Duration::from_secs(3), || ()).await.0
}

#[tokio::test]
async fn counts_and_times_what_is_sent() {
    for report in measure(Pace::RealTime, 4, usize::MAX).await {
        assert_eq!(report.failure, None);
        // A key frame each second, for three seconds.
        assert!((2..=4).contains(&report.fragments), "{report:?}");
        assert!((500_000..1_100_000).contains(&report.bytes), "{report:?}");
        let summary = report.acks.summary().unwrap();
        assert_eq!(summary.count, report.fragments);
        assert!(summary.p50_ms >= DELAY.as_millis() as f64, "{summary:?}");
    }
}

#[tokio::test]
async fn a_sender_that_need_not_be_in_time_waits_for_acks_only() {
    for report in measure(Pace::AsFastAsAcknowledged, 2, usize::MAX).await {
        assert_eq!(report.failure, None);
        // One ack each delay at most, and far more than one fragment a second.
        assert!((6..=75).contains(&report.fragments), "{report:?}");
        let summary = report.acks.summary().unwrap();
        assert_eq!(summary.count, report.fragments);
        assert!(summary.p50_ms >= DELAY.as_millis() as f64, "{summary:?}");
    }
}

#[tokio::test]
async fn a_refused_sender_is_reported() {
    for report in measure(Pace::RealTime, 1, 2).await {
        assert!(report.failure.as_ref().is_some_and(|why| why.contains("disk_full")), "{report:?}");
    }
}
