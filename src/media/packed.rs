//! The packed payload: how the samples of a fragment are kept, whatever container they came in
//! and whatever they leave in.
//!
//! ```text
//! payload  = head data
//! head     = version(u8) head_length(u32 LE, of the whole head) tags runs
//! tags     = count { name value }*
//! run      = track part base_dts count { duration composition size<<1|sync }*
//! data     = the samples' bytes, run after run
//! ```
//!
//! Counts and lengths are LEB128, `base_dts` and `composition` zigzag-coded; times are in ticks of
//! the track. A run holds samples of one track in decoding order, each starting where the one
//! before it ends. Runs are grouped by part in publishing order, so the runs of a live part can be
//! encoded once and become part of the fragment's head as they are.

use bytes::{BufMut, Bytes, BytesMut};

use crate::varint::{self, Reader};
use crate::{Error, Fault, Sample, Tag};

/// Version of the layout; the first byte of a payload.
const VERSION: u8 = 1;
/// Bytes before the tags.
const PREFIX_BYTES: usize = 5;

/// One sample's row in the sample table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Decoding duration in ticks.
    pub duration_ticks: u32,
    /// Presentation time minus decoding time in ticks.
    pub composition_ticks: i64,
    /// Size in bytes.
    pub size: u32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// Consecutive samples of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Number of the track.
    pub track: u32,
    /// Index of the part that the samples were published in.
    pub part: u32,
    /// Decoding time of the first sample in ticks.
    pub base_dts_ticks: i64,
    /// The samples.
    pub entries: Vec<Entry>,
}

impl Run {
    /// Decoding time at which the last sample ends.
    #[must_use]
    pub fn end_dts_ticks(&self) -> i64 {
        let span: i64 = self.entries.iter().map(|e| i64::from(e.duration_ticks)).sum();
        self.base_dts_ticks.saturating_add(span)
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|e| e.size as usize).sum()
    }
}

/// Encodes the runs of one part. Sample data is kept by reference, in order.
#[derive(Debug)]
pub struct PartWriter {
    part: u32,
    head: BytesMut,
    data: Vec<Bytes>,
}

impl PartWriter {
    /// Starts the part with this index.
    #[must_use]
    pub fn new(part: u32) -> Self {
        Self { part, head: BytesMut::with_capacity(256), data: Vec::new() }
    }

    /// Appends a run. All samples are of one track, and each `duration_ticks` is the distance to
    /// the next sample's decoding time.
    pub fn run(&mut self, samples: &[Sample]) {
        let Some(first) = samples.first() else { return };
        varint::put(&mut self.head, u64::from(first.track));
        varint::put(&mut self.head, u64::from(self.part));
        varint::put_signed(&mut self.head, first.dts_ticks);
        varint::put(&mut self.head, samples.len() as u64);
        for sample in samples {
            varint::put(&mut self.head, u64::from(sample.duration_ticks));
            varint::put_signed(&mut self.head, sample.pts_ticks.saturating_sub(sample.dts_ticks));
            varint::put(&mut self.head, (sample.data.len() as u64) << 1 | u64::from(sample.sync));
            self.data.push(sample.data.clone());
        }
    }

    /// The encoded runs, and the data they describe.
    #[must_use]
    pub fn finish(self) -> (Bytes, Vec<Bytes>) {
        (self.head.freeze(), self.data)
    }
}

/// The head of a fragment whose parts have these encoded runs, in order.
#[must_use]
pub fn head<'a>(tags: &[Tag], parts: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    out.put_u8(VERSION);
    out.put_u32_le(0);
    varint::put(&mut out, tags.len() as u64);
    for tag in tags {
        varint::put_bytes(&mut out, tag.name.as_bytes());
        varint::put_bytes(&mut out, tag.value.as_bytes());
    }
    for part in parts {
        out.put_slice(part);
    }
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(1..PREFIX_BYTES) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    out.freeze()
}

/// A payload, or the part of one, taken apart.
#[derive(Debug, Clone)]
pub struct Payload {
    tags: Vec<Tag>,
    runs: Vec<Run>,
    data: Vec<Bytes>,
}

impl Payload {
    /// Reads a payload that is in one piece, or in pieces of which the first holds the whole head
    /// and the others hold whole samples.
    ///
    /// # Errors
    /// [`Fault::Stored`] if the head does not describe the data.
    pub fn parse(pieces: &[Bytes]) -> Result<Self, Error> {
        let stored = |message: &str| Error::new(Fault::Stored, 0, message);
        let (first, rest) = pieces.split_first().ok_or_else(|| stored("the payload is empty"))?;
        match first.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(stored(&format!("payload of unknown version {other}"))),
            None => return Err(stored("the payload is empty")),
        }
        let length = first.get(1..PREFIX_BYTES).and_then(|field| field.try_into().ok());
        let length = u32::from_le_bytes(length.ok_or_else(|| stored("the payload ends inside its head"))?);
        let head = first.get(..length as usize).ok_or_else(|| stored("the payload ends inside its head"))?;
        let mut reader = Reader::new(head);
        for _ in 0..PREFIX_BYTES {
            reader.byte("the head")?;
        }
        let tags = tags(&mut reader)?;
        let mut data = Vec::with_capacity(rest.len() + 1);
        if first.len() > length as usize {
            data.push(first.slice(length as usize..));
        }
        data.extend_from_slice(rest);
        Self::describe(&mut reader, tags, data)
    }

    /// Reads a live part: its encoded runs and its data.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_part(head: &Bytes, data: &[Bytes]) -> Result<Self, Error> {
        Self::describe(&mut Reader::new(head), Vec::new(), data.to_vec())
    }

    fn describe(reader: &mut Reader<'_>, tags: Vec<Tag>, data: Vec<Bytes>) -> Result<Self, Error> {
        let mut runs = Vec::new();
        while !reader.is_empty() {
            runs.push(run(reader)?);
        }
        let described: usize = runs.iter().map(Run::bytes).sum();
        let held: usize = data.iter().map(Bytes::len).sum();
        if described != held {
            return Err(
                reader.fault(format!("the head describes {described} bytes of samples, {held} follow"))
            );
        }
        Ok(Self { tags, runs, data })
    }

    /// The producer's tags.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The sample table, in the order of the data.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs of one track with the pieces of their data, in order, without copying.
    #[must_use]
    pub fn track(&self, track: u32) -> Vec<(&Run, Vec<Bytes>)> {
        let mut cursor = Pieces { pieces: &self.data, within: 0 };
        let mut found = Vec::new();
        for run in &self.runs {
            let mut data = Vec::new();
            let wanted = run.track == track;
            cursor.take(run.bytes(), |piece| {
                if wanted {
                    data.push(piece);
                }
            });
            if wanted {
                found.push((run, data));
            }
        }
        found
    }

    /// All samples with absolute times, run after run, without copying: a sample that spans
    /// pieces (which no writer of ours makes) is gathered.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut cursor = Pieces { pieces: &self.data, within: 0 };
        let mut samples = Vec::with_capacity(self.runs.iter().map(|r| r.entries.len()).sum());
        for run in &self.runs {
            let mut dts = run.base_dts_ticks;
            for entry in &run.entries {
                samples.push(Sample {
                    track: run.track,
                    dts_ticks: dts,
                    pts_ticks: dts.saturating_add(entry.composition_ticks),
                    duration_ticks: entry.duration_ticks,
                    sync: entry.sync,
                    data: cursor.one(entry.size as usize),
                });
                dts = dts.saturating_add(i64::from(entry.duration_ticks));
            }
        }
        samples
    }
}

/// Walks data that lies in pieces.
struct Pieces<'a> {
    pieces: &'a [Bytes],
    /// Bytes of the first piece that are already taken.
    within: usize,
}

impl Pieces<'_> {
    fn take(&mut self, mut length: usize, mut each: impl FnMut(Bytes)) {
        while length > 0 {
            let Some((first, rest)) = self.pieces.split_first() else { return };
            let taken = length.min(first.len() - self.within);
            if taken > 0 {
                each(first.slice(self.within..self.within + taken));
            }
            self.within += taken;
            length -= taken;
            if self.within == first.len() {
                self.pieces = rest;
                self.within = 0;
            }
        }
    }

    fn one(&mut self, length: usize) -> Bytes {
        let mut taken = Vec::new();
        self.take(length, |piece| taken.push(piece));
        if taken.len() == 1 {
            return taken.pop().unwrap_or_default();
        }
        taken.concat().into()
    }
}

fn tags(reader: &mut Reader<'_>) -> Result<Vec<Tag>, Error> {
    let count: u16 = reader.small("the tag count")?;
    let mut tags = Vec::new();
    for _ in 0..count {
        tags.push(Tag { name: reader.text("a tag name")?, value: reader.text("a tag value")? });
    }
    Ok(tags)
}

fn run(reader: &mut Reader<'_>) -> Result<Run, Error> {
    let track = reader.small("a track number")?;
    let part = reader.small("a part index")?;
    let base_dts_ticks = reader.signed("a decoding time")?;
    let count: u32 = reader.small("a sample count")?;
    // Not reserved ahead: a damaged count must not allocate more than the head can describe.
    let mut entries = Vec::new();
    for _ in 0..count {
        let duration_ticks = reader.small("a sample duration")?;
        let composition_ticks = reader.signed("a composition offset")?;
        let size_and_sync = reader.varint("a sample size")?;
        let size = u32::try_from(size_and_sync >> 1).map_err(|_| reader.fault("a sample of over 4 GiB"))?;
        entries.push(Entry { duration_ticks, composition_ticks, size, sync: size_and_sync & 1 == 1 });
    }
    Ok(Run { track, part, base_dts_ticks, entries })
}

#[cfg(test)]
#[path = "packed_test.rs"]
mod tests;
