//! A disk in memory that behaves as badly as real ones may: it fails on demand, writes short,
//! fills up, holds calls back, and loses power, keeping of what was not synced whatever chance
//! decides, sector by sector.
//!
//! It knows nothing of the store's formats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use kinora_store::{Disk, DiskFile, Listed, ListedKind};

/// What a power cut may tear a write into.
const SECTOR: usize = 512;

/// A block that was never written to.
const ZEROS: [u8; 4096] = [0; 4096];

/// The calls that can be failed, held or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Write,
    SyncData,
    SyncAll,
    Allocate,
    Truncate,
    Rename,
    Remove,
    SyncFolder,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(*length, 0),
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Naming {
    folders: Vec<PathBuf>,
    change: NameChange,
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(PathBuf, usize),
    AddFolder(PathBuf),
    Remove(PathBuf),
    Move(PathBuf, PathBuf),
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add(path, id) => drop(self.files.insert(path.clone(), *id)),
            NameChange::AddFolder(path) => drop(self.folders.insert(path.clone())),
            NameChange::Remove(path) => {
                self.files.remove(path);
                self.folders.remove(path);
            }
            NameChange::Move(from, to) => {
                let moved = |path: &PathBuf| path.strip_prefix(from).ok().map(|rest| to.join(rest));
                let fix =
                    |path: PathBuf| if path == *from { to.clone() } else { moved(&path).unwrap_or(path) };
                self.files =
                    std::mem::take(&mut self.files).into_iter().map(|(p, id)| (fix(p), id)).collect();
                self.folders = std::mem::take(&mut self.folders).into_iter().map(fix).collect();
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    now: Names,
    durable: Names,
    unsynced: Vec<Naming>,
    log: Vec<(Op, PathBuf)>,
    /// Fail the call of this kind once it has been made this many times more.
    fail: Vec<(Op, usize, rustix::io::Errno)>,
    /// At this many calls from the start, the power goes.
    cut_at: Option<usize>,
    calls: usize,
    /// The disk as it was when the power went.
    after_cut: Option<Box<Survivors>>,
    most_bytes_per_write: Option<usize>,
    /// Room for files, in bytes.
    capacity: Option<usize>,
    held: Option<Op>,
    waiting: usize,
}

#[derive(Debug)]
struct Survivors {
    contents: Vec<Content>,
    durable: Names,
    unsynced: Vec<Naming>,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<(Mutex<State>, Condvar)>,
}

/// A small deterministic source of chance.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

impl SimDisk {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.0.lock().unwrap())
    }

    /// Fails the `nth` call of this kind from now on (0: the next).
    pub(crate) fn fail(&self, op: Op, nth: usize, errno: rustix::io::Errno) {
        self.with(|state| state.fail.push((op, nth, errno)));
    }

    /// Lets the power go at the call number `calls` from now on.
    pub(crate) fn cut_power_after(&self, calls: usize) {
        self.with(|state| state.cut_at = Some(state.calls + calls));
    }

    pub(crate) fn power_is_cut(&self) -> bool {
        self.with(|state| state.after_cut.is_some())
    }

    pub(crate) fn write_at_most(&self, bytes: usize) {
        self.with(|state| state.most_bytes_per_write = Some(bytes));
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.with(|state| state.capacity = bytes);
    }

    /// Bytes that files take.
    pub(crate) fn used(&self) -> usize {
        self.with(|state| used(state))
    }

    /// Holds back the calls of this kind, or none any more.
    pub(crate) fn hold(&self, op: Option<Op>) {
        self.with(|state| state.held = op);
        self.state.1.notify_all();
    }

    /// Waits until a call is held back.
    pub(crate) fn wait_until_held(&self) {
        let (mutex, changed) = &*self.state;
        drop(changed.wait_while(mutex.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    pub(crate) fn log(&self) -> Vec<(Op, PathBuf)> {
        self.with(|state| state.log.clone())
    }

    /// The disk as it is found after the power cut (or a cut right now), by chance.
    pub(crate) fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let survivors =
            self.with(|state| state.after_cut.take().unwrap_or_else(|| Box::new(survivors(state))));
        let mut names = survivors.durable;
        // Changes of names reach the disk in order.
        let kept = chance.below(survivors.unsynced.len() + 1);
        for naming in survivors.unsynced.iter().take(kept) {
            names.apply(&naming.change);
        }
        let contents = survivors.contents.into_iter().map(|content| torn(content, chance)).collect();
        let state = State { contents, now: names.clone(), durable: names, ..State::default() };
        Self { state: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    fn call<T>(&self, op: Op, path: &Path, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let (mutex, changed) = &*self.state;
        let mut state = mutex.lock().unwrap();
        if state.held == Some(op) {
            state.waiting += 1;
            changed.notify_all();
            state = changed.wait_while(state, |state| state.held == Some(op)).unwrap();
            state.waiting -= 1;
        }
        if state.after_cut.is_some() {
            return Err(io::Error::other("the power is gone"));
        }
        state.calls += 1;
        if state.cut_at.is_some_and(|at| state.calls >= at) {
            // The call under way may have come through or not.
            let _ = work(&mut state);
            let survivors = survivors(&state);
            state.after_cut = Some(Box::new(survivors));
            return Err(io::Error::other("the power is gone"));
        }
        state.log.push((op, path.to_owned()));
        let mut failed = None;
        state.fail.retain_mut(|(kind, nth, errno)| {
            if *kind != op || failed.is_some() {
                return true;
            }
            if *nth == 0 {
                failed = Some(*errno);
                return false;
            }
            *nth -= 1;
            true
        });
        match failed {
            Some(errno) => Err(errno.into()),
            None => work(&mut state),
        }
    }
}

fn survivors(state: &State) -> Survivors {
    Survivors {
        contents: state.contents.clone(),
        durable: state.durable.clone(),
        unsynced: state.unsynced.clone(),
    }
}

fn used(state: &State) -> usize {
    state.now.files.values().map(|id| state.contents[*id].now.len()).sum()
}

/// What is left of a file: what was synced, and of later changes whatever chance decides.
fn torn(content: Content, chance: &mut Chance) -> Content {
    let mut left = content.durable;
    for change in &content.unsynced {
        match change {
            Change::Length(_) if chance.below(2) == 0 => {}
            Change::Length(_) => change.apply(&mut left),
            Change::Write(offset, bytes) => match chance.below(3) {
                0 => {}
                1 => change.apply(&mut left),
                _ => {
                    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                        if chance.below(2) == 0 {
                            Change::Write(offset + index * SECTOR, sector.to_vec()).apply(&mut left);
                        }
                    }
                }
            },
        }
    }
    Content { now: left.clone(), durable: left, unsynced: Vec::new() }
}

fn not_found() -> io::Error {
    rustix::io::Errno::NOENT.into()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

fn rename_in(state: &mut State, folders: Vec<PathBuf>, change: NameChange) {
    state.now.apply(&change);
    state.unsynced.push(Naming { folders, change });
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.call(Op::Create, path, |state| {
            if state.now.files.contains_key(path) {
                return Err(rustix::io::Errno::EXIST.into());
            }
            if !state.now.folders.contains(&parent(path))
                && parent(path).parent().is_some_and(|p| state.now.folders.contains(p))
            {
                return Err(not_found());
            }
            let id = state.contents.len();
            state.contents.push(Content::default());
            rename_in(state, vec![parent(path)], NameChange::Add(path.to_owned(), id));
            Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), id }) as Arc<dyn DiskFile>)
        })
    }

    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.with(|state| state.now.files.get(path).copied()).ok_or_else(not_found)?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Op::Rename, from, |state| {
            if !state.now.files.contains_key(from) && !state.now.folders.contains(from) {
                return Err(not_found());
            }
            let change = NameChange::Move(from.to_owned(), to.to_owned());
            rename_in(state, vec![parent(from), parent(to)], change);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, path, |state| {
            if !state.now.files.contains_key(path) {
                return Err(not_found());
            }
            rename_in(state, vec![parent(path)], NameChange::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Create, path, |state| {
            if !state.now.folders.contains(path) {
                rename_in(state, vec![parent(path)], NameChange::AddFolder(path.to_owned()));
            }
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, path, |state| {
            if state.now.files.keys().any(|file| file.parent() == Some(path)) {
                return Err(rustix::io::Errno::NOTEMPTY.into());
            }
            rename_in(state, vec![parent(path)], NameChange::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::SyncFolder, path, |state| {
            let State { unsynced, durable, .. } = state;
            for naming in unsynced.iter_mut() {
                naming.folders.retain(|folder| folder != path);
            }
            // Changes reach the disk in order; one that is certain takes those before it along.
            if let Some(last) = unsynced.iter().rposition(|naming| naming.folders.is_empty()) {
                for naming in unsynced.drain(..=last) {
                    durable.apply(&naming.change);
                }
            }
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.with(|state| {
            let files = state.now.files.keys().map(|path| (path, ListedKind::File));
            let inside = files.chain(state.now.folders.iter().map(|path| (path, ListedKind::Folder)));
            let inside = inside.filter(|(inside, _)| inside.parent() == Some(path));
            Ok(inside.map(|(path, kind)| Listed { name: path.file_name().unwrap().into(), kind }).collect())
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    id: usize,
}

impl SimFile {
    fn sync(&self, op: Op) -> io::Result<()> {
        self.disk.call(op, &self.path, |state| {
            let content = &mut state.contents[self.id];
            for change in content.unsynced.drain(..) {
                change.apply(&mut content.durable);
            }
            Ok(())
        })
    }

    fn change(&self, state: &mut State, change: Change) -> io::Result<()> {
        let grown = match &change {
            Change::Write(offset, bytes) => offset + bytes.len(),
            Change::Length(length) => *length,
        };
        let before = state.contents[self.id].now.len();
        if state.capacity.is_some_and(|room| used(state) + grown.saturating_sub(before) > room) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        let content = &mut state.contents[self.id];
        change.apply(&mut content.now);
        content.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.call(Op::Write, &self.path, |state| {
            let mut bytes = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<_>>();
            bytes.truncate(state.most_bytes_per_write.unwrap_or(usize::MAX));
            let length = bytes.len();
            self.change(state, Change::Write(offset as usize, bytes))?;
            Ok(length)
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.with(|state| {
            let content = &state.contents[self.id].now;
            let rest = content.get(offset as usize..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Op::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Op::SyncAll)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.call(Op::Allocate, &self.path, |state| {
            let length = (offset + length) as usize;
            if state.contents[self.id].now.len() >= length {
                return Ok(());
            }
            self.change(state, Change::Length(length))
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.call(Op::Truncate, &self.path, |state| self.change(state, Change::Length(length as usize)))
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.with(|state| Ok(state.contents[self.id].now.len() as u64))
    }

    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.with(|state| {
            let content = &state.contents[self.id].now;
            let rest = content.get(offset as usize..).unwrap_or_default();
            let is_hole = |block: &[u8]| block == &ZEROS[..block.len()];
            let Some(start) = rest.chunks(ZEROS.len()).position(|block| !is_hole(block)) else {
                return Ok(None);
            };
            let start = start * ZEROS.len();
            let data = rest[start..].chunks(ZEROS.len()).take_while(|block| !is_hole(block));
            let end = start + data.map(<[u8]>::len).sum::<usize>();
            Ok(Some(offset + start as u64..offset + end as u64))
        })
    }
}
