//! The least HTTP/1.1 client that can ask a server on loopback: one request a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that says nothing for this long has failed.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks for `target` with `GET`.
#[must_use]
pub fn get(server: SocketAddr, target: &str) -> Answer {
    request(server, "GET", target, &[], b"")
}

/// Sends a request with a body of known length and further header lines; panics if the
/// connection fails.
#[must_use]
pub fn request(server: SocketAddr, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_read_timeout(Some(SILENCE_TIMEOUT))?;
        socket.write_all(head.as_bytes())?;
        socket.write_all(body)?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().unwrap_or_else(|e| panic!("{method} {target}: {e}"));
    parse(&answer)
        .unwrap_or_else(|| panic!("{method} {target}: not HTTP: {}", String::from_utf8_lossy(&answer)))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers = lines.map(pair).collect::<Option<Vec<_>>>()?;
    let body = answer.get(end + 4..)?;
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Some(Answer { status, headers, body: if chunked { dechunk(body)? } else { body.to_vec() } })
}

/// Undoes the chunked coding (RFC 9112, section 7.1); `None` if the last chunk is missing.
fn dechunk(mut coded: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = coded.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(coded.get(..end)?).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(coded.get(end + 2..end + 2 + size)?);
        coded = coded.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_chunked_answers() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nContent-Type: a\r\n\r\nno").unwrap();
        assert_eq!(
            (plain.status, plain.header("content-type"), plain.text().as_str()),
            (404, Some("a"), "no")
        );
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().text(), "abcd");
        assert!(parse(&chunked[..chunked.len() - 5]).is_none());
    }
}
