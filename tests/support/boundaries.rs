//! Where a file can be cut so that what follows is complete: found in the bytes, by no demuxer.

/// Where each Cluster of a Matroska file begins.
#[must_use]
pub fn clusters(file: &[u8]) -> Vec<usize> {
    let id = [0x1F, 0x43, 0xB6, 0x75];
    file.windows(4).enumerate().filter(|(_, bytes)| *bytes == id).map(|(at, _)| at).collect()
}

/// Where each `moof` of an MP4 file begins.
#[must_use]
pub fn movie_fragments(file: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = file.get(at..at + 8) {
        if &head[4..] == b"moof" {
            found.push(at);
        }
        at += u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    }
    found
}
