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

use std::ops::Range;

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

    fn bytes(&self) -> u64 {
        self.entries.iter().map(|e| u64::from(e.size)).sum()
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

/// What the head of a payload says, or the encoded runs of a live part: the sample table, and where
/// each sample's bytes lie. The bytes themselves are not needed to read it.
#[derive(Debug, Clone)]
pub struct Head {
    tags: Vec<Tag>,
    runs: Vec<Run>,
    /// Where the samples' bytes begin.
    data_start: u64,
}

/// One sample: its row of the table with absolute times, and where its bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of the track.
    pub track: u32,
    /// Decoding time in ticks.
    pub dts_ticks: i64,
    /// Presentation time in ticks.
    pub pts_ticks: i64,
    /// Decoding duration in ticks.
    pub duration_ticks: u32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Its bytes in the payload, or in the part's data.
    pub place: Range<u64>,
}

impl Head {
    /// So many bytes of a payload tell the length of its head.
    pub const PREFIX_BYTES: u64 = PREFIX_BYTES as u64;

    /// The length of the head, [`Self::PREFIX_BYTES`] with it, of a payload that begins with these
    /// bytes.
    ///
    /// # Errors
    /// [`Fault::Stored`] if no payload begins so.
    pub fn length(payload: &[u8]) -> Result<u64, Error> {
        match payload.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(stored(&format!("payload of unknown version {other}"))),
            None => return Err(stored("the payload is empty")),
        }
        let length = payload.get(1..PREFIX_BYTES).and_then(|field| field.try_into().ok());
        let length = u32::from_le_bytes(length.ok_or_else(|| stored(ENDS_IN_HEAD))?);
        Ok(u64::from(length))
    }

    /// Reads the head of a payload of `payload_bytes`: `payload` holds at least the head.
    ///
    /// # Errors
    /// [`Fault::Stored`] if the head does not describe the payload.
    pub fn parse(payload: &[u8], payload_bytes: u64) -> Result<Self, Error> {
        let data_start = Self::length(payload)?;
        let head = payload.get(..data_start as usize).ok_or_else(|| stored(ENDS_IN_HEAD))?;
        let data_bytes = payload_bytes.checked_sub(data_start).ok_or_else(|| stored(ENDS_IN_HEAD))?;
        let mut reader = Reader::new(head);
        for _ in 0..PREFIX_BYTES {
            reader.byte("the head")?;
        }
        let tags = tags(&mut reader)?;
        Self::describe(&mut reader, tags, (data_start, data_bytes))
    }

    /// Reads the encoded runs of a live part with `data_bytes` of data.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_part(runs: &[u8], data_bytes: u64) -> Result<Self, Error> {
        Self::describe(&mut Reader::new(runs), Vec::new(), (0, data_bytes))
    }

    fn describe(
        reader: &mut Reader<'_>,
        tags: Vec<Tag>,
        (data_start, data_bytes): (u64, u64),
    ) -> Result<Self, Error> {
        let mut runs = Vec::new();
        while !reader.is_empty() {
            runs.push(run(reader)?);
        }
        let described = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.bytes()));
        if described != data_bytes {
            return Err(
                reader.fault(format!("the head describes {described} bytes of samples, {data_bytes} follow"))
            );
        }
        Ok(Self { tags, runs, data_start })
    }

    /// How many bytes it is.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.data_start
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

    /// The runs of one track and where their data lies, in order.
    pub fn track(&self, track: u32) -> impl Iterator<Item = (&Run, Range<u64>)> {
        let mut end = self.data_start;
        let placed = self.runs.iter().map(move |run| {
            let start = end;
            end = end.saturating_add(run.bytes());
            (run, start..end)
        });
        placed.filter(move |(run, _)| run.track == track)
    }

    /// All samples, run after run.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let mut end = self.data_start;
        self.runs
            .iter()
            .flat_map(|run| {
                let mut dts_ticks = run.base_dts_ticks;
                run.entries.iter().map(move |entry| {
                    let before = dts_ticks;
                    dts_ticks = dts_ticks.saturating_add(i64::from(entry.duration_ticks));
                    (run.track, before, entry)
                })
            })
            .map(move |(track, dts_ticks, entry)| {
                let start = end;
                end = end.saturating_add(u64::from(entry.size));
                Row {
                    track,
                    dts_ticks,
                    pts_ticks: dts_ticks.saturating_add(entry.composition_ticks),
                    duration_ticks: entry.duration_ticks,
                    sync: entry.sync,
                    place: start..end,
                }
            })
    }
}

impl Head {
    /// All samples, run after run, their bytes taken from `payload`, which is the whole payload (or
    /// all data of the part) in pieces: without copying, but for a sample that spans pieces.
    #[must_use]
    pub fn samples(&self, payload: &[Bytes]) -> Vec<Sample> {
        let mut rest = payload.iter();
        let (mut piece, mut begins) = (Bytes::new(), 0_u64);
        let mut take = |place: Range<u64>| {
            let mut gathered = Vec::new();
            loop {
                let ends = begins.saturating_add(piece.len() as u64);
                if place.end <= ends || rest.len() == 0 {
                    let within = |at: u64| at.clamp(begins, ends).saturating_sub(begins) as usize;
                    let last = piece.slice(within(place.start)..within(place.end));
                    if gathered.is_empty() {
                        return last;
                    }
                    gathered.extend_from_slice(&last);
                    return gathered.into();
                }
                if place.start < ends {
                    let from = place.start.saturating_sub(begins) as usize;
                    gathered.extend_from_slice(piece.get(from..).unwrap_or_default());
                }
                begins = ends;
                piece = rest.next().cloned().unwrap_or_default();
            }
        };
        let sample = |row: Row| Sample {
            track: row.track,
            dts_ticks: row.dts_ticks,
            pts_ticks: row.pts_ticks,
            duration_ticks: row.duration_ticks,
            sync: row.sync,
            data: take(row.place),
        };
        self.rows().map(sample).collect()
    }
}

const ENDS_IN_HEAD: &str = "the payload ends inside its head";

fn stored(message: &str) -> Error {
    Error::new(Fault::Stored, 0, message)
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
