//! The server's half of an ingest connection: acks as they arrive.
//!
//! It undoes HTTP/1.1's framing and picks out the acks; what they are measured against is the
//! sender's business.

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the benchmark reads of an ack.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Ack {
    /// `persisted`, `error` …
    pub event: String,
    /// The fragment's time as the producer wrote it.
    #[serde(default)]
    pub timecode: Option<i64>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<serde_json::Value>,
}

/// Reads a response whose body is acks, one JSON object a line.
#[derive(Debug)]
pub(crate) struct Acks<R> {
    input: R,
    /// Bytes read and not yet understood.
    raw: Vec<u8>,
    /// Body bytes without framing, up to an unfinished line.
    body: Vec<u8>,
    head_read: bool,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Acks<R> {
    /// Reads from `input`, which has not delivered anything yet.
    pub(crate) fn new(input: R) -> Self {
        Self { input, raw: Vec::new(), body: Vec::new(), head_read: false, ended: false }
    }

    /// The next ack; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Ack>, String> {
        loop {
            if let Some(end) = self.body.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.body.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line);
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|e| format!("not an ack: {e}: {text}"));
            }
            if self.ended {
                return Ok(None);
            }
            let count =
                self.input.read_buf(&mut self.raw).await.map_err(|e| format!("cannot read acks: {e}"))?;
            if count == 0 {
                return Err("the server closed the connection".to_owned());
            }
            self.understand()?;
        }
    }

    /// Moves what is complete from `raw` to `body`.
    fn understand(&mut self) -> Result<(), String> {
        if !self.head_read {
            let Some(end) = find(&self.raw, b"\r\n\r\n") else { return Ok(()) };
            let head = String::from_utf8_lossy(&self.raw[..end]).into_owned();
            if !head.starts_with("HTTP/1.1 200") {
                return Err(format!(
                    "the server answered {head} {}",
                    String::from_utf8_lossy(&self.raw[end..])
                ));
            }
            if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
                return Err(format!("acks must come in chunks, the server answered {head}"));
            }
            self.raw.drain(..end + 4);
            self.head_read = true;
        }
        while let Some(end) = find(&self.raw, b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end])
                .ok()
                .and_then(|text| usize::from_str_radix(text, 16).ok());
            let size = size.ok_or_else(|| format!("not a chunk size: {:?}", &self.raw[..end]))?;
            let start = end + 2;
            if self.raw.len() < start + size + 2 {
                break;
            }
            self.ended |= size == 0;
            self.body.extend_from_slice(&self.raw[start..start + size]);
            self.raw.drain(..start + size + 2);
        }
        Ok(())
    }
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    data.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte a read.
    struct Drip(std::collections::VecDeque<u8>);

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if let Some(byte) = self.0.pop_front() {
                buffer.put_slice(&[byte]);
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn lines_survive_any_chunking() {
        let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in [r#"{"event":"buffering","#, "\"timecode\":0}\n{\"event\":", "\"persisted\"}", "\n", ""]
        {
            text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
        }
        let mut acks = Acks::new(Drip(text.bytes().collect()));
        let mut events = Vec::new();
        while let Some(ack) = acks.next().await.unwrap() {
            events.push((ack.event, ack.timecode));
        }
        assert_eq!(events, [("buffering".to_owned(), Some(0)), ("persisted".to_owned(), None)]);
    }

    #[tokio::test]
    async fn refusal_and_disconnect_are_errors() {
        let mut refused = Acks::new(&b"HTTP/1.1 401 Unauthorized\r\n\r\n"[..]);
        assert!(refused.next().await.unwrap_err().contains("401"));
        let mut gone = Acks::new(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"[..]);
        assert!(gone.next().await.unwrap_err().contains("closed"));
    }
}
