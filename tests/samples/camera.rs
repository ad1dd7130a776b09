//! An RTSP camera for one viewer (RFC 2326): it answers DESCRIBE, SETUP and PLAY, and sends RTP
//! inside the connection.
//!
//! The media comes from an ffmpeg that publishes to this camera in real time; its packets are
//! passed on as they are. It knows nothing of Kinora.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// What announces an RTP packet inside the connection (RFC 2326, section 10.12).
const INTERLEAVED: u8 = b'$';

/// A camera that waits for its viewer.
pub(crate) struct Camera {
    /// Where to watch it.
    pub(crate) address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Camera {
    /// A camera that shows `file` once, at its own pace.
    pub(crate) fn showing(file: PathBuf) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let serving = std::thread::spawn(move || serve(&socket, &file));
        Self { address, serving }
    }

    /// Waits until all has been shown.
    pub(crate) fn finish(self) {
        self.serving.join().expect("no panic").expect("a viewer that stays to the end");
    }
}

/// One end of a connection, request by request.
struct Peer(BufReader<TcpStream>);

struct Request {
    method: String,
    sequence: String,
    transport: String,
    body: Vec<u8>,
}

impl Peer {
    fn accept(socket: &TcpListener) -> std::io::Result<Self> {
        Ok(Self(BufReader::new(socket.accept()?.0)))
    }

    fn request(&mut self) -> std::io::Result<Request> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line)? > 0, "the connection ended after {lines:?}");
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_default().to_owned()
        };
        let mut body = vec![0; header("Content-Length").parse().unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        let method = lines[0].split(' ').next().unwrap_or_default().to_owned();
        Ok(Request { method, sequence: header("CSeq"), transport: header("Transport"), body })
    }

    fn answer(&mut self, request: &Request, headers: &str, body: &[u8]) -> std::io::Result<()> {
        let Request { sequence, .. } = request;
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n{headers}\r\n");
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat())
    }

    /// Answers OPTIONS and SETUP until a request of `method` comes, which is left to the caller.
    fn until(&mut self, method: &str) -> std::io::Result<Request> {
        loop {
            let request = self.request()?;
            if request.method == method {
                return Ok(request);
            }
            match request.method.as_str() {
                "OPTIONS" => {
                    self.answer(&request, "Public: DESCRIBE, SETUP, PLAY, ANNOUNCE, RECORD\r\n", b"")?;
                }
                "SETUP" => {
                    assert!(request.transport.starts_with("RTP/AVP/TCP"), "{}", request.transport);
                    self.answer(&request, &format!("Transport: {}\r\n", request.transport), b"")?;
                }
                other => panic!("{other} where {method} should come"),
            }
        }
    }

    /// The next RTP or RTCP packet with its four bytes of framing; `None` after the last.
    fn packet(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut packet = vec![0; 4];
        self.0.read_exact(&mut packet)?;
        if packet[0] != INTERLEAVED {
            return Ok(None);
        }
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        packet.resize(4 + length, 0);
        self.0.read_exact(&mut packet[4..])?;
        Ok(Some(packet))
    }
}

fn serve(socket: &TcpListener, file: &Path) -> std::io::Result<()> {
    let mut viewer = Peer::accept(socket)?;
    let describe = viewer.until("DESCRIBE")?;
    let door = TcpListener::bind("127.0.0.1:0")?;
    let mut source = publish(file, door.local_addr()?)?;
    let mut publisher = Peer::accept(&door)?;
    let announce = publisher.until("ANNOUNCE")?;
    publisher.answer(&announce, "", b"")?;
    let length = announce.body.len();
    let headers = format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n");
    viewer.answer(&describe, &headers, &announce.body)?;
    let play = viewer.until("PLAY")?;
    viewer.answer(&play, "", b"")?;
    let record = publisher.until("RECORD")?;
    publisher.answer(&record, "", b"")?;
    while let Some(packet) = publisher.packet()? {
        viewer.0.get_mut().write_all(&packet)?;
    }
    drop((viewer, publisher));
    source.wait()?;
    Ok(())
}

fn publish(file: &Path, to: SocketAddr) -> std::io::Result<Child> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-re", "-i"]).arg(file);
    ffmpeg.args(["-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp"]).arg(format!("rtsp://{to}/stream"));
    ffmpeg.stderr(Stdio::null()).spawn()
}
