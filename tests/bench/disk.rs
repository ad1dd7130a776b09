//! The disk alone: how long an append and fdatasync take without any server, for comparison.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::latency::Latencies;

/// Space laid out before the first write, so that only data is synced, as a store would do it.
const LAID_OUT_BYTES: u64 = 64 << 20;
/// Pause between two writes while a server is measured: seldom enough to cost it nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// One append after another to a file of its own.
struct Appender {
    file: File,
    path: PathBuf,
    block: Vec<u8>,
}

impl Appender {
    fn new(folder: &Path, bytes: usize) -> Self {
        let path = folder.join("disk-probe");
        let open = || -> std::io::Result<File> {
            let mut file = File::create(&path)?;
            let zeros = vec![0; 1 << 20];
            for _ in 0..LAID_OUT_BYTES / zeros.len() as u64 {
                file.write_all(&zeros)?;
            }
            file.sync_all()?;
            file.rewind()?;
            Ok(file)
        };
        let file = open().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { file, path, block: vec![0xA5; bytes] }
    }

    fn append(&mut self) -> Duration {
        let started = Instant::now();
        let mut once = || -> std::io::Result<()> {
            if self.file.stream_position()? + self.block.len() as u64 > LAID_OUT_BYTES {
                self.file.seek(SeekFrom::Start(0))?;
            }
            self.file.write_all(&self.block)?;
            self.file.sync_data()
        };
        once().unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        started.elapsed()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// `count` appends of `bytes` each, one after another, nothing else going on.
pub(crate) fn quiet(folder: &Path, bytes: usize, count: usize) -> Latencies {
    let mut appender = Appender::new(folder, bytes);
    let mut latencies = Latencies::default();
    for _ in 0..count {
        latencies.add(appender.append());
    }
    latencies
}

/// Appends now and then beside a server under load.
#[derive(Debug)]
pub(crate) struct Beside {
    stop: Arc<AtomicBool>,
    appended: Arc<AtomicU64>,
    thread: JoinHandle<Latencies>,
}

impl Beside {
    /// Starts appending `bytes` at a time in `folder`.
    pub(crate) fn start(folder: &Path, bytes: usize) -> Self {
        let mut appender = Appender::new(folder, bytes);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let appended = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&appended);
        let thread = std::thread::spawn(move || {
            let mut latencies = Latencies::default();
            while !asked.load(Ordering::Relaxed) {
                std::thread::sleep(PAUSE);
                latencies.add(appender.append());
                counted.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            latencies
        });
        Self { stop, appended, thread }
    }

    /// Bytes that it has appended so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Stops and tells what it measured.
    pub(crate) fn finish(self) -> Latencies {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| panic!("the disk probe failed"))
    }
}

/// Bytes ever written to the disk that `folder` is on, by everybody; `None` where the file system
/// is on no single disk. Sectors in the kernel's statistics are of 512 bytes whatever the disk's.
pub(crate) fn device_bytes(folder: &Path) -> Option<u64> {
    let device = std::fs::metadata(folder).ok()?.dev();
    // As glibc's major() and minor() take it apart.
    let major = (device >> 8 & 0xFFF) | (device >> 32 & !0xFFF);
    let minor = (device & 0xFF) | (device >> 12 & !0xFF);
    let text = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = text.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * 512)
}
