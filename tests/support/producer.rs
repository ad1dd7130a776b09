//! A producer that pushes by hand: it decides which bytes go out when, and sees each ack as it
//! comes.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// An ack that does not come within this time never comes.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// An open `POST …/media` with a chunked body.
#[derive(Debug)]
pub struct Producer {
    socket: TcpStream,
    lines: Receiver<String>,
}

impl Producer {
    /// Begins to push into `stream`, with a query like `?start=0`, or none.
    #[must_use]
    pub fn connect(server: SocketAddr, stream: &str, query: &str) -> Self {
        Self::try_connect(server, stream, query).unwrap_or_else(|e| panic!("cannot connect: {e}"))
    }

    /// As [`Self::connect`], to a server that may be gone.
    ///
    /// # Errors
    /// If the server does not take the connection.
    pub fn try_connect(server: SocketAddr, stream: &str, query: &str) -> std::io::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        let head = format!(
            "POST /v1/streams/{stream}/media{query} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        socket.write_all(head.as_bytes())?;
        let reading = socket.try_clone()?;
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reading);
            let mut line = String::new();
            // Chunk sizes and header lines pass by; what looks like JSON is told.
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                let text = line.trim();
                if (text.starts_with('{') || text.starts_with("HTTP/")) && tell.send(text.to_owned()).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { socket, lines })
    }

    /// Sends bytes as one chunk; whether the server still takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.socket.write_all(&chunk).is_ok()
    }

    /// Ends the body as it should end.
    pub fn finish(&mut self) {
        let _ = self.socket.write_all(b"0\r\n\r\n");
    }

    /// Vanishes without a word.
    pub fn vanish(self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The next line of the answer that contains `text`; panics if the answer ends, or nothing
    /// comes, before it does.
    pub fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(ACK_TIMEOUT) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(e) => panic!("no {text} ({e}), only:\n{}", seen.join("\n")),
            }
        }
    }

    /// Every line that is yet to come, until the server closes the answer.
    pub fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.recv_timeout(ACK_TIMEOUT).ok()).collect()
    }

    /// What has come so far, without waiting.
    pub fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}
