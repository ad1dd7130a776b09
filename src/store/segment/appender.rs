//! The open segment of a stream as its one writer sees it: where the next record goes.
//!
//! It writes records and says when they are durable. When to seal, whom to tell and what to do
//! after a failure is decided elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kinora_base::WallTime;

use crate::Fragment;
use crate::disk::{Disk, DiskFile, sync_failed, write_all_at};
use crate::error::is_full;
use crate::format::{
    ConfigurationEntry, Entry, Kind, Record, SegmentHeader, StopEntry, checksum, open_name, stored_length,
};
use crate::keys::DataKey;
use crate::ledger::Stop;

/// The first step of reserving room ahead, in bytes. Steps double up to the configured one, so a
/// thousand quiet streams do not take 16 GB, and a busy one is at the full step after five.
const FIRST_STEP: u64 = 1 << 20;

/// A fragment to append.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) fragment: Fragment,
    pub(crate) payload: Vec<Bytes>,
    pub(crate) payload_crc: u32,
    pub(crate) epoch: u64,
    /// The content of its codec configuration.
    pub(crate) configuration: Bytes,
}

/// What was written, not durable before [`Appended::file`] is synced.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
    /// First number of the segment.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) configurations: Vec<ConfigurationEntry>,
    pub(crate) stops: Vec<StopEntry>,
    /// The codec configurations among the records, as they were written.
    pub(crate) configuration_records: Vec<(u32, Bytes)>,
    /// Highest number that the records spend.
    pub(crate) spent: u64,
    /// Bytes that went to the disk.
    pub(crate) bytes: u64,
    end: u64,
    last_crc: u32,
    epoch: u64,
}

impl Appended {
    /// Where its records end.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
}

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum AppendFailed {
    /// There was no room. The segment is as before and can go on.
    Full(io::Error),
    /// The volume failed.
    Io(io::Error),
}

impl From<io::Error> for AppendFailed {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error) } else { Self::Io(error) }
    }
}

/// The open segment.
#[derive(Debug)]
pub(crate) struct Appender {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the durable records end and the next goes.
    pub(crate) end: u64,
    /// Up to where room is reserved.
    pub(crate) allocated: u64,
    /// Checksum of the last record's header.
    pub(crate) last_crc: u32,
    pub(crate) spent: u64,
    pub(crate) epoch: u64,
    pub(crate) fragments: u32,
    /// What its records are encrypted with since it was begun or opened.
    pub(crate) key: Option<DataKey>,
    pub(crate) configurations: Vec<ConfigurationEntry>,
    pub(crate) stops: Vec<StopEntry>,
    /// Server time of its first fragment.
    pub(crate) begun: Option<WallTime>,
    step: u64,
}

/// Settings that bound a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Sealed when it is at least so long.
    pub(crate) segment_bytes: u64,
    /// Largest step of reserving room ahead.
    pub(crate) preallocate_bytes: u64,
    /// Whether more room may be taken than is reserved already.
    pub(crate) may_grow: bool,
}

impl Appender {
    /// Most fragments in one segment: its footer stays below a megabyte.
    pub(crate) const MOST_FRAGMENTS: u32 = 16_384;

    /// Most stops in one segment, which with their longest details take five megabytes.
    pub(crate) const MOST_STOPS: usize = 4096;

    /// Longest time of arrival that one segment covers, in microseconds: a quiet stream's
    /// segments can still expire piece by piece, and every segment has "some minutes".
    pub(crate) const LONGEST_US: i64 = 10 * 60 * 1_000_000;

    /// Longest segment that its 32-bit offsets allow, with room for a footer.
    const LARGEST: u64 = u32::MAX as u64 - (16 << 20);

    /// Creates the segment's file in `folder`, durable under its name.
    pub(crate) fn create(
        disk: &dyn Disk,
        folder: &Path,
        header: SegmentHeader,
        bounds: Bounds,
    ) -> io::Result<Self> {
        let ahead = FIRST_STEP.min(bounds.preallocate_bytes).max(SegmentHeader::BYTES_U64);
        let path = folder.join(open_name(header.first));
        let file = disk.create(&path)?;
        let (block, crc) = header.encode();
        let written = file
            .allocate(0, ahead)
            .and_then(|()| write_all_at(file.as_ref(), &[&block], 0))
            .and_then(|()| file.sync_all().map_err(sync_failed))
            .and_then(|()| disk.sync_folder(folder).map_err(sync_failed));
        if let Err(error) = written {
            if is_full(&error) {
                // Nothing is in it yet; a later attempt creates it again under the same name.
                disk.remove_file(&path)?;
            }
            return Err(error);
        }
        Ok(Self::resume(header, path, file, crc, ahead))
    }

    /// An empty segment whose file exists; the caller fills in what is known of its records.
    pub(crate) fn resume(
        header: SegmentHeader,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        header_crc: u32,
        allocated: u64,
    ) -> Self {
        Self {
            end: SegmentHeader::BYTES_U64,
            allocated,
            last_crc: header_crc,
            spent: header.first.saturating_sub(1),
            epoch: header.epoch,
            fragments: 0,
            key: None,
            configurations: Vec::new(),
            stops: Vec::new(),
            begun: None,
            step: FIRST_STEP,
            header,
            path,
            file,
        }
    }

    /// Whether the segment must be sealed before `next` can be appended anywhere.
    pub(crate) fn is_full(&self, bounds: Bounds, next: Option<&Fragment>) -> bool {
        let Some(next) = next.filter(|_| self.fragments > 0) else { return false };
        self.end >= bounds.segment_bytes
            || self.fragments >= Self::MOST_FRAGMENTS
            || self.stops.len() >= Self::MOST_STOPS
            || self.begun.is_some_and(|begun| next.server_time.micros_since(begun) >= Self::LONGEST_US)
            || next.number.get() - self.header.first >= u64::from(u32::MAX)
            || self.end.saturating_add(record_bytes(next.bytes)) > Self::LARGEST
    }

    /// How many of the coming fragments fit into a segment that ends at `end` and holds `fragments`
    /// already, given the bytes that each may add without its headers: the one that reaches the
    /// segment's size is its last.
    pub(crate) fn take(
        bounds: Bounds,
        (mut end, fragments): (u64, u32),
        coming: impl Iterator<Item = u64>,
    ) -> usize {
        let mut taken = 0;
        let most = Self::MOST_FRAGMENTS.saturating_sub(fragments) as usize;
        for bytes in coming.take(most) {
            let after = end.saturating_add(2 * Record::BYTES_U64).saturating_add(bytes);
            if taken > 0 && (end >= bounds.segment_bytes || after > Self::LARGEST) {
                break;
            }
            end = after;
            taken += 1;
        }
        taken
    }

    /// Writes `configurations`, fragments with the configurations they need, both only where the
    /// segment does not hold them yet, `stops`, and a mark that spends all numbers up to `mark`.
    /// What holds media is encrypted if there is a `key`, which is durable already. Nothing is durable before the file is synced
    /// and [`Appender::synced`] called; until then, and after a failure, the next append goes to
    /// the same place.
    pub(crate) fn append(
        &self,
        (bounds, key): (Bounds, Option<&DataKey>),
        configurations: &[(u32, Bytes)],
        fragments: &[Append],
        stops: &[Stop],
        mark: Option<u64>,
    ) -> Result<(Appended, u64), AppendFailed> {
        let mut batch = Batch::new(self, key);
        for (id, content) in configurations {
            batch.configuration(*id, content)?;
        }
        for append in fragments {
            batch.fragment(append)?;
        }
        for stop in stops {
            batch.stop(stop)?;
        }
        if let Some(number) = mark {
            batch.mark(number)?;
        }
        let allocated = self.reserve(bounds, batch.end)?;
        let mut pieces: Vec<&[u8]> = Vec::new();
        for piece in &batch.pieces {
            match piece {
                Piece::Header(header) => pieces.push(header),
                Piece::Payload(payload) => pieces.push(payload),
                Piece::Encrypted(payload) => pieces.push(payload),
            }
        }
        write_all_at(self.file.as_ref(), &pieces, self.end)?;
        let appended = Appended {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            first: self.header.first,
            bytes: batch.end - self.end,
            entries: batch.entries,
            configurations: batch.configurations,
            stops: batch.stops,
            configuration_records: batch.configuration_records,
            spent: batch.spent,
            end: batch.end,
            last_crc: batch.last_crc,
            epoch: batch.epoch,
        };
        Ok((appended, allocated))
    }

    /// Reserves room up to `end` at least; says up to where there is room.
    fn reserve(&self, bounds: Bounds, end: u64) -> Result<u64, AppendFailed> {
        if end <= self.allocated {
            return Ok(self.allocated);
        }
        if !bounds.may_grow {
            return Err(AppendFailed::Full(io::ErrorKind::StorageFull.into()));
        }
        let missing = end - self.allocated;
        // Not much further than where the segment will be sealed, footer included.
        let useful = bounds.segment_bytes.saturating_add(FIRST_STEP).saturating_sub(self.allocated);
        let ahead = self.step.min(bounds.preallocate_bytes).min(useful).max(missing);
        match self.file.allocate(self.allocated, ahead) {
            Ok(()) => Ok(self.allocated + ahead),
            Err(error) if is_full(&error) && ahead > missing => {
                self.file.allocate(self.allocated, missing)?;
                Ok(self.allocated + missing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that there is room up to `allocated`.
    pub(crate) fn reserved(&mut self, allocated: u64) {
        if allocated > self.allocated {
            self.allocated = allocated;
            self.step = self.step.saturating_mul(2);
        }
    }

    /// Notes that `appended` is durable.
    pub(crate) fn synced(&mut self, appended: &Appended) {
        self.end = appended.end;
        self.last_crc = appended.last_crc;
        self.spent = self.spent.max(appended.spent);
        self.epoch = self.epoch.max(appended.epoch);
        self.fragments = self.fragments.saturating_add(appended.entries.len() as u32);
        self.configurations.extend_from_slice(&appended.configurations);
        self.stops.extend_from_slice(&appended.stops);
        self.begun = self.begun.or_else(|| appended.entries.first().map(|entry| entry.server_time));
    }

    /// Drops what a failed append may have left behind the durable records, so that it neither
    /// takes room nor looks like anything after a restart.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.file.truncate(self.end)?;
        self.allocated = self.end;
        self.step = FIRST_STEP;
        Ok(())
    }
}

/// What a record takes whose payload has `length` bytes, at most: if it is encrypted.
fn record_bytes(length: u32) -> u64 {
    Record::BYTES_U64 + stored_length(length)
}

/// The length of a payload of `length` bytes once it is encrypted.
fn stored_bytes(length: u32) -> io::Result<u32> {
    u32::try_from(stored_length(length)).map_err(io::Error::other)
}

enum Piece<'a> {
    Header([u8; Record::BYTES]),
    Payload(&'a [u8]),
    Encrypted(Bytes),
}

/// Records on their way into one write.
struct Batch<'a> {
    appender: &'a Appender,
    key: Option<&'a DataKey>,
    pieces: Vec<Piece<'a>>,
    entries: Vec<Entry>,
    configurations: Vec<ConfigurationEntry>,
    stops: Vec<StopEntry>,
    configuration_records: Vec<(u32, Bytes)>,
    end: u64,
    last_crc: u32,
    spent: u64,
    epoch: u64,
}

impl<'a> Batch<'a> {
    fn new(appender: &'a Appender, key: Option<&'a DataKey>) -> Self {
        Self {
            key,
            pieces: Vec::new(),
            entries: Vec::new(),
            configurations: Vec::new(),
            stops: Vec::new(),
            configuration_records: Vec::new(),
            end: appender.end,
            last_crc: appender.last_crc,
            spent: appender.spent,
            epoch: appender.epoch,
            appender,
        }
    }

    fn record(&mut self, kind: Kind) -> Record {
        Record {
            kind,
            flags: 0,
            segment: self.appender.header.id,
            offset: self.end,
            epoch: self.epoch,
            number: 0,
            ordinal: 0,
            producer_time: WallTime::from_micros(0),
            server_time: WallTime::from_micros(0),
            duration_us: 0,
            length: 0,
            configuration: 0,
            key: 0,
            payload_crc: 0,
            previous_crc: self.last_crc,
            durable_to: self.appender.end,
            content_crc: 0,
            discontinuities: 0,
            media_us: 0,
        }
    }

    /// Adds `record` with the payload that `pieces` make, encrypted if need be; gives it as it is
    /// stored.
    fn push(&mut self, record: Record, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> io::Result<Record> {
        let holds_media = matches!(record.kind, Kind::Fragment | Kind::Configuration);
        let (record, encrypted) = match self.key.filter(|_| holds_media) {
            Some(key) => {
                let record = Record { length: stored_bytes(record.length)?, ..record };
                let (record, payload) = key.seal(record, pieces.clone())?;
                (record, Some(payload))
            }
            None => (record, None),
        };
        let (header, crc) = record.encode();
        self.pieces.push(Piece::Header(header));
        match encrypted {
            Some(payload) => self.pieces.push(Piece::Encrypted(payload)),
            None => self.pieces.extend(pieces.map(Piece::Payload)),
        }
        self.last_crc = crc;
        self.end = record.end();
        Ok(record)
    }

    fn fragment(&mut self, append: &'a Append) -> io::Result<()> {
        let fragment = &append.fragment;
        self.epoch = self.epoch.max(append.epoch);
        self.configuration(fragment.configuration.0, &append.configuration)?;
        let record = Record {
            flags: fragment.flags.bits(),
            number: fragment.number.get(),
            ordinal: fragment.ordinal,
            producer_time: fragment.producer_time,
            server_time: fragment.server_time,
            duration_us: fragment.duration_us,
            length: fragment.bytes,
            configuration: fragment.configuration.0,
            payload_crc: append.payload_crc,
            content_crc: fragment.content_crc,
            discontinuities: fragment.discontinuities,
            media_us: fragment.media_us,
            ..self.record(Kind::Fragment)
        };
        let record = self.push(record, append.payload.iter().map(Bytes::as_ref))?;
        self.entries.push(Entry::new(&record, self.appender.header.first));
        self.spent = self.spent.max(record.number);
        Ok(())
    }

    fn configuration(&mut self, id: u32, content: &'a Bytes) -> io::Result<()> {
        let mut held = self.appender.configurations.iter().chain(&self.configurations);
        if held.any(|entry| entry.id == id) {
            return Ok(());
        }
        let record = Record {
            length: content.len() as u32,
            configuration: id,
            payload_crc: checksum(content),
            ..self.record(Kind::Configuration)
        };
        let record = self.push(record, std::iter::once(content.as_ref()))?;
        self.configurations.push(ConfigurationEntry { id, offset: record.offset as u32 });
        let payload = match self.pieces.last() {
            Some(Piece::Encrypted(payload)) => payload,
            _ => content,
        };
        self.configuration_records.push((id, record.with_payload(payload)));
        Ok(())
    }

    fn stop(&mut self, stop: &'a Stop) -> io::Result<()> {
        let detail = stop.detail.as_bytes();
        let record = Record {
            flags: stop.cause.code(),
            number: stop.number,
            producer_time: stop.ended,
            server_time: stop.noticed,
            length: detail.len() as u32,
            payload_crc: checksum(detail),
            ..self.record(Kind::Stop)
        };
        self.spent = self.spent.max(stop.number);
        self.stops.push(StopEntry::new(&record));
        self.push(record, std::iter::once(detail))?;
        Ok(())
    }

    fn mark(&mut self, number: u64) -> io::Result<()> {
        let record = Record { number, ..self.record(Kind::Mark) };
        self.spent = self.spent.max(number);
        self.push(record, std::iter::empty())?;
        Ok(())
    }
}
