//! What first bytes show.

use super::*;

fn verdict(body: &[u8], chunk_bytes: usize) -> Result<Option<Container>, Error> {
    let mut sniffer = Sniffer::new(None);
    for chunk in body.chunks(chunk_bytes) {
        sniffer.push(Bytes::copy_from_slice(chunk));
        if let Some(container) = sniffer.verdict()? {
            return Ok(Some(container));
        }
    }
    sniffer.finish();
    sniffer.verdict()
}

#[test]
fn containers_are_told_by_their_first_bytes_in_chunks_of_any_size() {
    for chunk_bytes in [1, 3, 100] {
        let ebml = [0x1a, 0x45, 0xdf, 0xa3, 0x9f];
        assert_eq!(verdict(&ebml, chunk_bytes).unwrap(), Some(Container::Matroska));
        for kind in ["ftyp", "styp", "moof", "free"] {
            let body = [&[0, 0, 0, 24], kind.as_bytes(), &[0; 16]].concat();
            assert_eq!(verdict(&body, chunk_bytes).unwrap(), Some(Container::Mp4), "{kind}");
        }
    }
}

#[test]
fn other_bodies_are_named() {
    let mut ts = vec![0x47; 1];
    ts.resize(188, 0xff);
    ts.push(0x47);
    for (body, says) in [
        (&b"FLV\x01\x05\0\0\0\x09"[..], "FLV"),
        (b"RIFF\x24\0\0\0AVI LIST", "AVI"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF, such as WAV"),
        (&ts, "an MPEG transport stream"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"\0\0\0\x01\x67\x64\0\x28", "a bare H.264 or H.265 stream"),
        (b"  <!DOCTYPE html><html>", "an HTML page"),
        (b"------WebKitFormBoundary\r\n", "a multipart form"),
        (b"{\"name\": \"cam1\"}", "JSON"),
        (b"hello, here is no video", "text"),
        (b"\xff\xf1\x4c\x80\x10\x1f\xfc\x21", "bare MP3 or AAC frames"),
        (b"\x01\x02\x03\x04\x05\x06\x07\x08", "nothing known (it begins with 01 02 03 04 05 06 07 08)"),
    ] {
        let error = verdict(body, 7).unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::Container, 0), "{says}");
        assert!(error.message.ends_with(says), "{:?} does not say {says:?}", error.message);
        assert!(error.hint.is_some());
    }
}

#[test]
fn nothing_and_too_little_are_told_apart() {
    let error = verdict(&[], 1).unwrap_err();
    assert_eq!((error.fault, error.message.as_str()), (Fault::Truncated, "the body is empty"));
    for body in [&[0x1a, 0x45][..], &[0, 0, 0, 24, b'f', b't']] {
        let error = verdict(body, 1).unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::Truncated, body.len() as u64));
        assert!(error.message.contains(&format!("after {} bytes", body.len())), "{error}");
    }
}

#[test]
fn a_wrong_declaration_is_mentioned() {
    let mut sniffer = Sniffer::new(Some(Container::Matroska));
    sniffer.push(Bytes::from_static(b"FLV\x01\x05\0\0\0\x09"));
    sniffer.finish();
    let message = sniffer.verdict().unwrap_err().message;
    assert!(message.contains("though it is declared as Matroska"), "{message}");
}
