//! Opening all streams of a data directory, several at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kinora_base::StreamName;

use super::{Known, open_stream, stream_names};
use crate::disk::sync_failed;
use crate::folder::take_clean;
use crate::format::Clean;
use crate::statistics::add;
use crate::stream::Lanes;
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Damage, Error, Recovery, Stream};

/// Threads that look at streams while a store is opened: this is mostly waiting for the disk.
const OPENING_THREADS: usize = 8;

/// Finishes what a crash interrupted and opens all streams.
pub(crate) fn open_streams(
    volume: &Arc<Volume>,
    lanes: &Lanes,
) -> Result<(BTreeMap<StreamName, Arc<Stream>>, Recovery), Error> {
    let disk = volume.disk.as_ref();
    let mut folders = Ok(());
    for folder in [volume.streams(), volume.deleted()] {
        folders = folders.and_then(|()| disk.create_folder(&folder));
    }
    folders
        .and_then(|()| disk.sync_folder(&volume.folder).map_err(sync_failed))
        .map_err(|error| Error::io("create folders in", &volume.folder, &error))?;
    volume.remove_deleted()?;
    let names = stream_names(disk, &volume.streams())?;
    let (clean, flaw) = take_clean(disk, &volume.folder)?;
    let mut report = Recovery { clean: clean.is_some() || names.is_empty(), ..Recovery::default() };
    if let Some(reason) = flaw {
        let file = Clean::NAME.into();
        report.damages.push(Damage {
            stream: None,
            file,
            offset: 0,
            fragment: None,
            message: reason.to_string(),
        });
    }
    let mut rows: BTreeMap<_, _> =
        volume.database.streams()?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let marks: BTreeMap<_, _> =
        volume.database.watermarks()?.into_iter().map(|mark| (mark.stream, mark)).collect();
    let mut left: BTreeMap<_, _> =
        clean.unwrap_or_default().streams.into_iter().map(|left| (left.name.clone(), left)).collect();
    let work: Vec<_> = names
        .into_iter()
        .map(|name| {
            let row = rows.remove(&name);
            let watermark = row.as_ref().and_then(|row| marks.get(&row.id).copied());
            let clean = left.remove(&name);
            (name, Mutex::new(Some(Known { row, clean, watermark })))
        })
        .collect();
    for gone in rows.values() {
        volume.database.remove_stream(gone.id, gone.created)?;
    }
    let streams = open_all((volume, lanes), &work, &mut report)?;
    let counters = &volume.counters;
    let open = streams.values().filter(|stream| lock(&stream.state).segments.open.is_some()).count();
    add(&counters.open_segments, open as u64);
    add(&counters.discarded_bytes, report.discarded_bytes);
    add(&counters.damaged_places, report.damages.len() as u64);
    Ok((streams, report))
}

/// Opens streams on several threads.
fn open_all(
    (volume, lanes): (&Arc<Volume>, &Lanes),
    work: &[(StreamName, Mutex<Option<Known>>)],
    report: &mut Recovery,
) -> Result<BTreeMap<StreamName, Arc<Stream>>, Error> {
    let next = AtomicUsize::new(0);
    let opened = Mutex::new((BTreeMap::new(), std::mem::take(report), None));
    let threads = if volume.by_hand { 1 } else { OPENING_THREADS };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(work.len()) {
            scope.spawn(|| {
                while let Some((name, known)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(known) = lock(known).take() else { continue };
                    let mut found = Recovery::default();
                    let result = open_stream((volume, lanes), name, known, &mut found);
                    let mut opened = lock(&opened);
                    opened.1.merge(found);
                    match result {
                        Ok(Some(stream)) => {
                            opened.0.insert(name.clone(), Arc::new(stream));
                        }
                        Ok(None) => {}
                        Err(error) => opened.2 = Some(error),
                    }
                }
            });
        }
    });
    let (streams, found, error) = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    *report = found;
    error.map_or(Ok(streams), Err)
}
