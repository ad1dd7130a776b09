//! Opening all streams of a data directory, several at a time.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kinora_base::StreamName;

use super::{Failed, Known, Survey, open_stream};
use crate::deleted;
use crate::disk::sync_failed;
use crate::folder::{take_clean, taken};
use crate::format::{Clean, CleanStream, folder_name};
use crate::statistics::add;
use crate::stream::Lanes;
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Damage, Error, Foreign, OutOfService, Recovery, Stream};

/// Threads that look at streams while a store is opened: this is mostly waiting for the disk.
const OPENING_THREADS: usize = 8;

/// What opening all streams gave.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) streams: BTreeMap<StreamName, Arc<Stream>>,
    pub(crate) report: Recovery,
    /// How an orderly shutdown left the streams that are out of service: they still are so.
    pub(crate) untouched: Vec<CleanStream>,
}

/// Finishes what a crash interrupted and opens all streams.
pub(crate) fn open_streams(volume: &Arc<Volume>, lanes: &Lanes) -> Result<Opened, Error> {
    let disk = volume.disk.as_ref();
    for folder in [volume.streams(), volume.deleted()] {
        disk.create_folder(&folder).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => taken(&folder),
            _ => Error::io("create", &folder, &error),
        })?;
    }
    // A process that was killed may have left folders created or moved and not synced. What is
    // served from now on must not vanish, and what is removed must not come back.
    for folder in [&volume.folder, &volume.streams(), &volume.deleted()] {
        disk.sync_folder(folder).map_err(sync_failed).map_err(|error| Error::io("sync", folder, &error))?;
    }
    let mut survey = Survey::of(disk, &volume.streams())?;
    let (clean, flaw) = take_clean(disk, &volume.folder)?;
    let mut report = Recovery { clean: clean.is_some() || survey.names.is_empty(), ..Recovery::default() };
    report.foreign.append(&mut survey.foreign);
    remove_deleted(volume, &mut report);
    if let Some(reason) = flaw {
        let (file, message) = (Clean::NAME.into(), reason.to_string());
        report.damages.push(Damage { stream: None, file, offset: 0, fragment: None, message });
    }
    let mut rows: BTreeMap<_, _> =
        volume.database.streams()?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let last_seen = volume.database.last_seen()?.map(|(time, _)| time);
    let marks: BTreeMap<_, _> =
        volume.database.watermarks()?.into_iter().map(|mark| (mark.stream, mark)).collect();
    let mut damages = volume.database.damages()?;
    let mut left: BTreeMap<_, _> =
        clean.unwrap_or_default().streams.into_iter().map(|left| (left.name.clone(), left)).collect();
    let work: Vec<_> = survey
        .names
        .into_iter()
        .map(|name| {
            let row = rows.remove(&name);
            let watermark = row.as_ref().and_then(|row| marks.get(&row.id).copied());
            let clean = left.remove(&name);
            let damages = row.as_ref().and_then(|row| damages.remove(&row.id)).unwrap_or_default();
            (name, Mutex::new(Some(Known { row, clean, watermark, last_seen, damages })))
        })
        .collect();
    for gone in left.into_keys() {
        let file = PathBuf::from("streams").join(folder_name(&gone));
        let message = "the stream's folder is missing".to_owned();
        report.damages.push(Damage { stream: Some(gone), file, offset: 0, fragment: None, message });
    }
    for gone in rows.values() {
        volume.database.remove_stream(gone.id, gone.created)?;
    }
    let opened = open_all((volume, lanes), &work, report)?;
    let counters = &volume.counters;
    let open = opened.streams.values().filter(|stream| lock(&stream.state).segments.open.is_some()).count();
    add(&counters.open_segments, open as u64);
    add(&counters.discarded_bytes, opened.report.discarded_bytes);
    add(&counters.out_of_service, opened.report.out_of_service.len() as u64);
    Ok(opened)
}

/// Removes what is left of deleted streams, and reports what is not ours.
fn remove_deleted(volume: &Volume, report: &mut Recovery) {
    let deleted = volume.deleted();
    let relative = |path: PathBuf| path.strip_prefix(&volume.folder).unwrap_or(&path).to_owned();
    match deleted::empty_all(volume.disk.as_ref(), &deleted) {
        Ok(left) => {
            let foreign = left.foreign.into_iter().map(relative);
            const REASON: &str = "is not what is left of a deleted stream, or holds something that is not";
            report.foreign.extend(foreign.map(|path| Foreign { path, reason: REASON }));
            for (path, error) in left.stuck {
                tracing::warn!("a deleted stream still takes room: cannot empty {}: {error}", path.display());
            }
        }
        Err(error) => {
            tracing::warn!("deleted streams still take room: {}", Error::io("list", &deleted, &error))
        }
    }
}

/// A stream that is ready; if a stop waits to be written, its committer will learn of it.
fn announced(stream: Stream) -> Arc<Stream> {
    let stream = Arc::new(stream);
    let mut state = lock(&stream.state);
    if state.ledger.has_waiting() {
        stream.enqueue(&mut state);
    }
    drop(state);
    stream
}

/// Opens streams on several threads.
fn open_all(
    (volume, lanes): (&Arc<Volume>, &Lanes),
    work: &[(StreamName, Mutex<Option<Known>>)],
    report: Recovery,
) -> Result<Opened, Error> {
    let next = AtomicUsize::new(0);
    let opened = Mutex::new((Opened { report, ..Opened::default() }, None));
    let threads = if volume.by_hand { 1 } else { OPENING_THREADS };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(work.len()) {
            scope.spawn(|| {
                while let Some((name, known)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(known) = lock(known).take() else { continue };
                    let clean = known.clean.clone();
                    let mut found = Recovery::default();
                    let result = open_stream((volume, lanes), name, known, &mut found);
                    let mut opened = lock(&opened);
                    let (opened, failed) = &mut *opened;
                    opened.report.merge(found);
                    match result {
                        Ok(Some(stream)) => {
                            opened.streams.insert(name.clone(), announced(stream));
                        }
                        Ok(None) => {}
                        Err(Failed::Stream(error)) => {
                            let stream = name.clone();
                            opened.report.out_of_service.push(OutOfService { stream, error });
                            opened.untouched.extend(clean);
                        }
                        Err(Failed::All(error)) => *failed = Some(error),
                    }
                }
            });
        }
    });
    let (mut opened, failed) = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    opened.report.out_of_service.sort_unstable_by(|a, b| a.stream.cmp(&b.stream));
    failed.map_or(Ok(opened), Err)
}
