//! Sealing: footer and trailer behind the records, the room ahead given back, the final name.
//!
//! The index row is the caller's business; a crash before it is repaired at the next start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, sync_failed, write_all_at};
use crate::format::{Entry, Footer, Trailer};
use crate::index::SegmentRow;

use super::{Appender, Sealed};

/// A segment that is complete but still has its open name.
#[derive(Debug, Clone)]
pub(crate) struct Sealing {
    pub(crate) sealed: Arc<Sealed>,
    pub(crate) path: PathBuf,
    trailer: Trailer,
}

impl Sealing {
    /// The segment that `appender` wrote, with the `entries` of its fragments.
    pub(crate) fn new(appender: &Appender, entries: Vec<Entry>, damaged: bool) -> Self {
        let header = &appender.header;
        let footer = Footer {
            entries,
            configurations: appender.configurations.clone(),
            stops: appender.stops.clone(),
        };
        let (_, footer_crc) = footer.encode();
        let trailer = Trailer {
            id: header.id,
            footer_offset: appender.end,
            counts: footer.counts(),
            footer_crc,
            last_crc: appender.last_crc,
            spent: appender.spent,
            epoch: appender.epoch,
            damaged,
        };
        let row = SegmentRow::new(header, &footer, &trailer);
        let file = Arc::clone(&appender.file);
        let sealed = Arc::new(Sealed::new(row, header, footer, file, false));
        Self { sealed, path: appender.path.clone(), trailer }
    }

    /// Bytes of footer and trailer.
    pub(crate) fn extra_bytes(&self) -> u64 {
        self.sealed.row.file_bytes.saturating_sub(self.trailer.footer_offset)
    }
}

/// Seals. Repeating it after a failure or a crash is harmless: the records are not touched.
/// When it returns, content and name are durable.
pub(crate) fn seal(disk: &dyn Disk, folder: &Path, sealing: &Sealing) -> io::Result<()> {
    let (file, trailer) = (sealing.sealed.file.as_ref(), &sealing.trailer);
    let (footer, _) = sealing.sealed.footer.encode();
    write_all_at(file, &[&footer, &trailer.encode()], trailer.footer_offset)?;
    file.truncate(sealing.sealed.row.file_bytes)?;
    file.sync_all().map_err(sync_failed)?;
    disk.rename(&sealing.path, &folder.join(sealing.sealed.row.file_name()))?;
    disk.sync_folder(folder).map_err(sync_failed)
}
