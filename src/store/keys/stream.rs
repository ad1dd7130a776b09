//! The data keys of one stream: its key file, and the key of the day.
//!
//! When something is encrypted, and what, is decided elsewhere.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kinora_base::{ErrorKind, StreamName, WallTime};
use rustix::io::Errno;

use super::{Keyring, RecordCipher, Secret, Unusable, WrapPlace};
use crate::Error;
use crate::disk::{Disk, DiskFile, ListedKind, read_small, replace_small, write_all_at};
use crate::format::{KeyFile, KeySlot, Malformed, Record, SALT_BYTES, checksum};
use crate::sync::lock;

/// Microseconds in a day.
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// What a file is overwritten with, so much at a time.
const ZEROS: [u8; 4096] = [0; 4096];

/// A data key in use.
#[derive(Debug, Clone)]
pub(crate) struct DataKey {
    /// What record headers call it.
    pub(crate) id: u32,
    pub(crate) secret: Secret,
    pub(crate) ring: Arc<Keyring>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct StreamKeys {
    /// None while nothing is encrypted.
    sealing: Option<Sealing>,
}

#[derive(Debug)]
struct Sealing {
    ring: Arc<Keyring>,
    stream: StreamName,
    /// None where nothing is written.
    checksums: Option<Secret>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    file: KeyFile,
    /// The key of the day that was written to last.
    current: Option<(u32, DataKey)>,
}

/// Refuses to open a store whose data keys `ring` cannot unwrap. It only reads, and is asked before
/// anything is changed.
pub(crate) fn check_streams(disk: &dyn Disk, streams: &Path, ring: Option<&Keyring>) -> Result<(), Error> {
    // What cannot be listed or read is told by whoever opens it, with what it costs.
    let folders = disk.list(streams).unwrap_or_default();
    for folder in folders.into_iter().filter(|listed| listed.kind == ListedKind::Folder) {
        let folder = folder.name.to_string_lossy();
        let Ok(file) = read(disk, &streams.join(folder.as_ref())) else { continue };
        let given: Vec<String> =
            ring.iter().flat_map(|ring| ring.fingerprints()).map(|f| f.to_string()).collect();
        let wanted = file.keys().map(|key| super::Fingerprint(key.fingerprint).to_string());
        if let Some(wanted) = wanted.into_iter().find(|wanted| !given.contains(wanted)) {
            let message = if given.is_empty() {
                format!(
                    "stream '{folder}' is encrypted with key {wanted}, and no encryption key was given: start with it; nothing was changed"
                )
            } else {
                format!(
                    "stream '{folder}' is encrypted with key {wanted}, which is not among those given ({}); nothing was changed",
                    given.join(", ")
                )
            };
            return Err(Error::new(ErrorKind::Conflict, message));
        }
    }
    Ok(())
}

/// Reads the key file in `folder`; an empty one if there is none.
fn read(disk: &dyn Disk, folder: &Path) -> Result<KeyFile, Error> {
    let path = folder.join(KeyFile::NAME);
    let content =
        read_small(disk, &path, KeyFile::LARGEST).map_err(|error| Error::io("read", &path, &error))?;
    // What cannot be read must not be replaced by a new file.
    KeyFile::decode(&content.unwrap_or_default())
        .map_err(|reason| Error::damaged(&path, 0, format!("the key file {reason}; restore it from a copy, or move it away to go on without what it opens")))
}

/// Puts `file` in place, and overwrites the file that stood there.
fn replace(disk: &dyn Disk, folder: &Path, file: &KeyFile) -> io::Result<()> {
    let old = match disk.open(&folder.join(KeyFile::NAME), true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        old => Some(old?),
    };
    replace_small(disk, folder, KeyFile::NAME, &file.encode())?;
    // The new file is in place and says all; of the old one is overwritten what can be.
    if let Some(old) = old
        && let Err(error) = overwrite(old.as_ref())
    {
        tracing::warn!("cannot overwrite an outdated key file in {}: {error}", folder.display());
    }
    Ok(())
}

fn overwrite(file: &dyn DiskFile) -> io::Result<()> {
    let length = file.len()?;
    let mut done = 0;
    while done < length {
        let now = ZEROS.get(..(length - done).min(ZEROS.len() as u64) as usize).unwrap_or(&ZEROS);
        write_all_at(file, &[now], done)?;
        done += now.len() as u64;
    }
    file.sync_data()
}

/// Whether a file cannot be opened because there is none, but perhaps something else.
fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::LOOP | Errno::ISDIR))
        || error.kind() == io::ErrorKind::NotFound
}

/// Destroys the keys in the folder of a stream that is being deleted, durably.
pub(crate) fn destroy(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for name in [KeyFile::NAME.to_owned(), format!("{}.new", KeyFile::NAME)] {
        let path = folder.join(name);
        match disk.open(&path, true) {
            // What stands in their place is not ours, and stays as it is.
            Err(error) if is_none_of_ours(&error) => continue,
            file => overwrite(file?.as_ref())?,
        }
        disk.remove_file(&path)?;
        disk.sync_folder(folder)?;
    }
    Ok(())
}

impl StreamKeys {
    /// The keys of the stream `name`, whose files are in `folder`, for reading only. Also says which
    /// are lost.
    pub(crate) fn open(
        disk: &dyn Disk,
        folder: &Path,
        name: &StreamName,
        ring: Option<&Arc<Keyring>>,
    ) -> Result<(Self, Vec<String>), Error> {
        let Some(ring) = ring else { return Ok((Self::default(), Vec::new())) };
        let file = read(disk, folder)?;
        let mut lost = Vec::new();
        for slot in &file.slots {
            let KeySlot::Whole(key) = slot else {
                lost.push("a data key is damaged".to_owned());
                continue;
            };
            match ring.unwrap(WrapPlace { stream: name }, key) {
                Ok(_) => {}
                Err(Unusable::Forged) => lost.push(format!("data key {:08x} was changed", key.id)),
                Err(Unusable::Unknown(wanted)) => {
                    lost.push(format!("data key {:08x} needs key {wanted}, which was not given", key.id));
                }
            }
        }
        let held = Mutex::new(Held { file, current: None });
        let sealing = Sealing { ring: Arc::clone(ring), stream: name.clone(), checksums: None, held };
        Ok((Self { sealing: Some(sealing) }, lost))
    }

    /// As [`Self::open`], for writing, too. What an older key-encryption key has wrapped is wrapped
    /// by the current one.
    pub(crate) fn load(
        disk: &dyn Disk,
        folder: &Path,
        (name, created): (&StreamName, WallTime),
        ring: Option<&Arc<Keyring>>,
    ) -> Result<(Self, Vec<String>), Error> {
        let (mut keys, lost) = Self::open(disk, folder, name, ring)?;
        if let Some(sealing) = &mut keys.sealing {
            let checksums = sealing.ring.checksums(name, created);
            sealing.checksums = Some(checksums.map_err(|error| Error::io("make keys in", folder, &error))?);
            sealing.renew(disk, folder);
        }
        Ok((keys, lost))
    }

    /// The data key for what is written at `now`; none if nothing is encrypted. A new one is
    /// durable before it is returned, so before anything is encrypted with it.
    pub(crate) fn of_day(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        now: WallTime,
    ) -> io::Result<Option<DataKey>> {
        let Some(sealing) = &self.sealing else { return Ok(None) };
        let day = u32::try_from(now.as_micros().div_euclid(DAY_US)).unwrap_or(0);
        let mut held = lock(&sealing.held);
        if let Some((_, key)) = held.current.as_ref().filter(|(of, _)| *of == day) {
            return Ok(Some(key.clone()));
        }
        let place = WrapPlace { stream: &sealing.stream };
        let ring = &sealing.ring;
        let known = held.file.keys().rev().filter(|key| key.day == day);
        let known = known.filter_map(|key| Some((key.id, ring.unwrap(place, key).ok()?))).next();
        let (id, secret) = match known {
            Some(known) => known,
            None => {
                let id = held.unused_id(ring)?;
                let (secret, wrapped) = ring.generate(place, id, day)?;
                let mut file = held.file.clone();
                file.slots.push(KeySlot::Whole(wrapped));
                replace(disk, folder, &file)?;
                held.file = file;
                (id, secret)
            }
        };
        let key = DataKey { id, secret, ring: Arc::clone(ring) };
        held.current = Some((day, key.clone()));
        Ok(Some(key))
    }

    /// Whether there are keys to encrypt and decrypt with.
    pub(crate) fn are_given(&self) -> bool {
        self.sealing.is_some()
    }

    /// A fragment's checksum of its content, as it is kept: where the content is encrypted, its
    /// checksum is not to be told from it.
    pub(crate) fn content_checksum(&self, crc: u32) -> io::Result<u32> {
        let Some(sealing) = &self.sealing else { return Ok(crc) };
        let checksums = sealing.checksums.as_ref().ok_or_else(|| io::Error::other("opened for reading"))?;
        let keyed = checksums.derive(&[&crc.to_le_bytes()])?;
        Ok(keyed.bytes().first_chunk().copied().map_or(0, u32::from_le_bytes))
    }

    /// The cipher of a record whose payload begins with `salt`.
    pub(crate) fn cipher(&self, record: &Record, salt: &[u8; SALT_BYTES]) -> Result<RecordCipher, Malformed> {
        let sealing = self.sealing.as_ref();
        let sealing = sealing.ok_or(Malformed::Because("is encrypted, and no key was given"))?;
        let wrapped = lock(&sealing.held).file.keys().find(|key| key.id == record.key).copied();
        let wrapped = wrapped.ok_or(Malformed::Because("is encrypted with a key that is lost"))?;
        let secret = sealing.ring.unwrap(WrapPlace { stream: &sealing.stream }, &wrapped);
        let secret = secret.map_err(|_| Malformed::Because("is encrypted with a key that was changed"))?;
        RecordCipher::new(&secret, record, salt)
            .map_err(|_| Malformed::Because("has a length that no encrypted payload has"))
    }

    /// The content of a codec configuration, given its whole `record` as stored.
    pub(crate) fn configuration(&self, record: &Bytes) -> Result<Bytes, Malformed> {
        let block = record.first_chunk().ok_or(Malformed::Because("is cut short"))?;
        let (header, _) = Record::decode(block)?;
        let payload = record.slice(Record::BYTES..);
        if header.length as usize != payload.len() || checksum(&payload) != header.payload_crc {
            return Err(Malformed::Because("has a payload that fails its checksum"));
        }
        self.decrypt(&header, payload)
    }

    /// The plaintext of `payload`, which is that of `record` as stored.
    pub(crate) fn decrypt(&self, record: &Record, payload: Bytes) -> Result<Bytes, Malformed> {
        if record.key == 0 {
            return Ok(payload);
        }
        let salt = payload.first_chunk().ok_or(Malformed::Because("is too short to be encrypted"))?;
        self.cipher(record, salt)?.open_all(&payload).map(Bytes::from)
    }
}

impl Sealing {
    /// Wraps with the current key-encryption key what is wrapped by an older one.
    fn renew(&self, disk: &dyn Disk, folder: &Path) {
        let mut held = lock(&self.held);
        let place = WrapPlace { stream: &self.stream };
        let mut renewed = held.file.clone();
        for slot in &mut renewed.slots {
            if let KeySlot::Whole(key) = slot
                && !self.ring.is_current(key)
                && let Ok(secret) = self.ring.unwrap(place, key)
                && let Ok(wrapped) = self.ring.wrap(place, key.id, key.day, &secret)
            {
                *key = wrapped;
            }
        }
        if renewed == held.file {
            return;
        }
        match replace(disk, folder, &renewed) {
            Ok(()) => held.file = renewed,
            // Whether the old or the new file stands there, both are whole, and the older
            // key-encryption key is at hand.
            Err(error) => tracing::warn!("cannot renew the keys in {}: {error}", folder.display()),
        }
    }
}

impl Held {
    /// An identifier that no key of the stream has. It is random, so that after a loss of the file
    /// none is given to a second key.
    fn unused_id(&self, ring: &Keyring) -> io::Result<u32> {
        loop {
            let mut bytes = [0; 4];
            ring.random(&mut bytes)?;
            let id = u32::from_le_bytes(bytes);
            if id != 0 && self.file.keys().all(|key| key.id != id) {
                return Ok(id);
            }
        }
    }
}

impl DataKey {
    /// `record` with the length and checksum of its encrypted payload, and that payload.
    pub(crate) fn seal<'a>(
        &self,
        record: Record,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<(Record, Bytes)> {
        let mut salt = [0; SALT_BYTES];
        self.ring.random(&mut salt)?;
        let mut record = Record { key: self.id, ..record };
        let stored = RecordCipher::new(&self.secret, &record, &salt)?.seal(&salt, pieces)?;
        record.payload_crc = checksum(&stored);
        Ok((record, Bytes::from(stored)))
    }
}
