//! Which container the first bytes show, or what else they look like.

use bytes::Bytes;

use super::Container;
use crate::{Error, Fault};

/// So many bytes tell a container: the size and the type of an MP4 box.
const ENOUGH_BYTES: usize = 8;
/// So many more help to say what else it is: two packets of an MPEG transport stream.
const HEAD_BYTES: usize = 192;

const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
/// Types of box that a file or a stream of fragments may begin with.
const BOXES: [&[u8; 4]; 12] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"free", b"skip", b"wide", b"mdat", b"emsg", b"prft",
    b"uuid",
];

/// Looks at the first bytes of an input.
#[derive(Debug)]
pub(super) struct Sniffer {
    wanted: Option<Container>,
    chunks: Vec<Bytes>,
    head: Vec<u8>,
    finished: bool,
}

impl Sniffer {
    pub(super) const fn new(wanted: Option<Container>) -> Self {
        Self { wanted, chunks: Vec::new(), head: Vec::new(), finished: false }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        let missing = HEAD_BYTES - self.head.len().min(HEAD_BYTES);
        self.head.extend(chunk.iter().take(missing));
        if !chunk.is_empty() {
            self.chunks.push(chunk);
        }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The chunks taken so far.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.chunks)
    }

    /// The container; none if more bytes are needed to tell.
    pub(super) fn verdict(&self) -> Result<Option<Container>, Error> {
        let head = &self.head[..];
        if head.starts_with(&EBML) {
            return Ok(Some(Container::Matroska));
        }
        if let Some(kind) = head.get(4..ENOUGH_BYTES)
            && BOXES.iter().any(|known| kind == *known)
        {
            return Ok(Some(Container::Mp4));
        }
        if head.len() < HEAD_BYTES && !self.finished {
            // A container is told by its first 8 bytes. Only what is none is looked at longer.
            return Ok(None);
        }
        if head.is_empty() {
            let error = Error::new(Fault::Truncated, 0, "the body is empty");
            return Err(error.with_hint("send Matroska or fragmented MP4 as the request body"));
        }
        if EBML.starts_with(head) || head.len() < ENOUGH_BYTES {
            let message =
                format!("the body ends after {} bytes, before its container can be told", head.len());
            return Err(Error::new(Fault::Truncated, head.len() as u64, message));
        }
        Err(self.foreign(head))
    }

    fn foreign(&self, head: &[u8]) -> Error {
        let (seen, hint) = looks_like(head);
        let said = match self.wanted {
            Some(Container::Matroska) => ", though it is declared as Matroska",
            Some(Container::Mp4) => ", though it is declared as MP4",
            None => "",
        };
        let message = format!("the body is neither Matroska nor MP4{said}; it looks like {seen}");
        let error = Error::new(Fault::Container, 0, message);
        error.with_hint(
            hint.unwrap_or(
                "convert it first: ffmpeg -i INPUT -c copy -f matroska -method POST http://…/media",
            ),
        )
    }
}

/// What bytes that are no container of ours look like, and advice if it is not the usual one.
fn looks_like(head: &[u8]) -> (String, Option<&'static str>) {
    const STARTS: [(&[u8], &str); 16] = [
        (b"FLV\x01", "FLV"),
        (b"OggS", "Ogg"),
        (b"fLaC", "FLAC"),
        (b"ID3", "MP3 with an ID3 tag"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"GIF8", "a GIF picture"),
        (b"DKIF", "IVF"),
        (b"#EXTM3U", "an HLS playlist"),
        (b"\x30\x26\xb2\x75", "ASF or WMV"),
        (b"\x00\x00\x01\xba", "an MPEG program stream"),
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x00\x00\x00\x01", "a bare H.264 or H.265 stream"),
        (b"\x00\x00\x01", "a bare H.264 or H.265 stream"),
        (b"v=0\r\n", "an SDP description"),
    ];
    if let Some((_, name)) = STARTS.iter().find(|(start, _)| head.starts_with(start)) {
        return ((*name).into(), None);
    }
    if head.starts_with(b"RIFF") {
        return (if head.get(8..12) == Some(b"AVI ") { "AVI" } else { "RIFF, such as WAV" }.into(), None);
    }
    const TS_PACKET_BYTES: usize = 188;
    if head.first() == Some(&0x47) && head.get(TS_PACKET_BYTES).is_none_or(|byte| *byte == 0x47) {
        return ("an MPEG transport stream".into(), None);
    }
    if matches!(head, [0xff, second, ..] if second & 0xe0 == 0xe0) {
        return ("bare MP3 or AAC frames".into(), None);
    }
    if let Ok(text) = std::str::from_utf8(head.get(..head.len().min(64)).unwrap_or_default()) {
        let trimmed = text.trim_start().to_ascii_lowercase();
        if trimmed.starts_with("<!doctype html") || trimmed.starts_with("<html") {
            return ("an HTML page".into(), Some("send the media itself, not the page about it"));
        }
        if trimmed.starts_with("--") {
            let hint = "send the file itself as the request body (curl -T FILE), not as a form";
            return ("a multipart form".into(), Some(hint));
        }
        if trimmed.starts_with('{') || trimmed.starts_with('[') {
            return ("JSON".into(), None);
        }
        if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return ("text".into(), None);
        }
    }
    let bytes: Vec<String> = head.iter().take(ENOUGH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    (format!("nothing known (it begins with {})", bytes.join(" ")), None)
}

#[cfg(test)]
#[path = "sniff_test.rs"]
mod tests;
