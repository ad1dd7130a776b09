//! The store's whole logic under one seed: writers that come and go, readers, committers and
//! keeper, deletions, a clock that steps, a disk that fails, fills up and loses power, crashes,
//! lost and outdated indexes, restarts. A naive model watches.
//!
//! There is one thread. Committers and keeper take turns by hand, and at every call to the disk
//! something else may happen first: so what threads could interleave, the seed does.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kinora_base::{Clock, ErrorKind, ManualClock, WallTime};
use kinora_store::{Begun, Durable, Error, Options, Store, Stream, StreamWriter};
use rustix::io::Errno;

use super::chance::Chance;
use super::harness::{self, START, begin, finish, memory_folder, name, part};
use super::model::{Compared, Made, Model, hold};
use super::sim::{Breach, Op, SimDisk};

/// Streams that are written to.
const STREAMS: [&str; 3] = ["a", "b", "c"];
/// Committers, and behind them the keeper.
const WORKERS: usize = 3;
/// How often the process starts in one run.
const LIVES: usize = 5;
/// What happens in one life, not counting what happens in between. Every other life is short.
const STEPS: usize = 70;
const FEW_STEPS: usize = 12;
/// Most of what happens in between, in one life.
const INTERRUPTIONS: usize = 80;
/// How deep things may happen while something else waits for the disk.
const DEEPEST: usize = 3;

/// What happened in one run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) acks: usize,
    pub(crate) power_cuts: usize,
    pub(crate) kills: usize,
    pub(crate) closes: usize,
    pub(crate) faults: usize,
    /// Calls to the disk.
    pub(crate) calls: usize,
    pub(crate) compared: Compared,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acks += other.acks;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.closes += other.closes;
        self.faults += other.faults;
        self.calls += other.calls;
        self.compared.fragments += other.compared.fragments;
        self.compared.bytes += other.compared.bytes;
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} power cuts, {} kills, {} shutdowns, {} disk faults | {} | {} fragments, {} bytes",
            self.power_cuts,
            self.kills,
            self.closes,
            self.faults,
            self.acks,
            self.compared.fragments,
            self.compared.bytes
        )
    }
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    PowerCut,
    Killed,
    Closed,
}

type Taker = Pin<Box<dyn Future<Output = Result<StreamWriter, Error>>>>;

/// One stream, as those who use it know it.
#[derive(Default)]
struct Slot {
    model: Model,
    stream: Option<Arc<Stream>>,
    writer: Option<StreamWriter>,
    /// What it has begun, with its number if that is known.
    begun: Option<(Option<u64>, Made)>,
    /// Writers that were taken over and do not know it yet.
    fenced: Vec<StreamWriter>,
    taker: Option<Taker>,
    promised: Vec<(u64, Durable)>,
    /// What was finished in this life, to be sent again.
    sent: Vec<Made>,
    /// Whether it was said to exist.
    created: bool,
    /// Whether a deletion was tried that did not succeed.
    perhaps_deleted: bool,
}

/// Everything of one run.
pub(crate) struct World {
    chance: RefCell<Chance>,
    disk: RefCell<SimDisk>,
    folder: tempfile::TempDir,
    options: Options,
    clock: Arc<ManualClock>,
    store: RefCell<Option<Store>>,
    slots: RefCell<Vec<Slot>>,
    runtime: tokio::runtime::Runtime,
    depth: Cell<usize>,
    interruptions: Cell<usize>,
    /// Nothing happens in between.
    alone: Cell<bool>,
    /// No worker may begin a turn: a deletion holds what they need.
    idle: Cell<bool>,
    made: Cell<u64>,
    wrong: RefCell<Option<String>>,
    figures: RefCell<Figures>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

fn interrupt() {
    let world = WORLD.with(|world| world.borrow().clone());
    if let Some(world) = world {
        world.figures.borrow_mut().calls += 1;
        world.interrupted();
    }
}

/// Runs the seed; says what was wrong.
pub(crate) fn simulate(seed: u64, breach: Option<Breach>) -> Result<Figures, String> {
    let mut chance = Chance(seed);
    let options = options([0, 0, 3000, 16 << 10][chance.below(4)]);
    let disk = SimDisk::seeded(seed ^ 0xD15C, chance.once_in(2), breach, interrupt);
    let world = Rc::new(World {
        disk: RefCell::new(disk),
        folder: memory_folder(),
        options,
        clock: Arc::new(ManualClock::at(START)),
        store: RefCell::default(),
        slots: RefCell::new(STREAMS.iter().map(|_| Slot::default()).collect()),
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap(),
        depth: Cell::new(0),
        interruptions: Cell::new(0),
        alone: Cell::new(true),
        idle: Cell::new(false),
        made: Cell::new(seed << 20),
        wrong: RefCell::default(),
        figures: RefCell::default(),
        chance: RefCell::new(chance),
    });
    WORLD.with(|slot| *slot.borrow_mut() = Some(Rc::clone(&world)));
    let result = world.run();
    WORLD.with(|slot| *slot.borrow_mut() = None);
    world.forget_handles();
    world.store.borrow_mut().take();
    let figures = *world.figures.borrow();
    result.map(|()| figures)
}

/// Small segments, so that their borders are crossed all the time.
fn options(preallocate_bytes: u64) -> Options {
    Options {
        segment_bytes: 12_000,
        preallocate_bytes,
        committers: WORKERS - 1,
        max_uncommitted_bytes: 60_000,
        ..harness::options()
    }
}

impl World {
    fn below(&self, bound: usize) -> usize {
        self.chance.borrow_mut().below(bound)
    }

    fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn store(&self) -> Option<Store> {
        self.store.borrow().clone()
    }

    fn disk(&self) -> SimDisk {
        self.disk.borrow().clone()
    }

    fn run(&self) -> Result<(), String> {
        self.open()?;
        for life in 0..LIVES {
            self.live()?;
            self.end(life + 1 == LIVES)?;
            self.open()?;
        }
        self.check_everything()
    }

    fn live(&self) -> Result<(), String> {
        self.interruptions.set(0);
        let steps = if self.once_in(2) { FEW_STEPS } else { STEPS };
        let calls = 1 + self.below(3 * steps);
        match self.below(4) {
            0 | 1 => self.disk().cut_power_after(calls),
            2 => self.disk().kill_after(calls),
            _ => {}
        }
        for _ in 0..steps {
            self.alone.set(false);
            let done = self.step();
            self.alone.set(true);
            done?;
            if let Some(wrong) = self.wrong.borrow_mut().take() {
                return Err(wrong);
            }
            if self.disk().power_is_cut() || self.disk().process_is_killed() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn step(&self) -> Result<(), String> {
        match self.below(100) {
            0..3 => self.create(),
            3 => self.delete(),
            4..9 => {
                self.fault();
                Ok(())
            }
            _ => self.small_step(),
        }
    }

    /// Something that may happen while something else waits for the disk.
    fn small_step(&self) -> Result<(), String> {
        match self.below(100) {
            0..50 => self.write(),
            50..70 => {
                self.turn();
                Ok(())
            }
            70..85 => self.hear(),
            85..92 => self.look(),
            _ => {
                self.pass_time();
                Ok(())
            }
        }
    }

    fn interrupted(&self) {
        let enough = self.depth.get() >= DEEPEST || self.interruptions.get() >= INTERRUPTIONS;
        if self.alone.get() || enough || !self.once_in(3) {
            return;
        }
        self.interruptions.set(self.interruptions.get() + 1);
        self.depth.set(self.depth.get() + 1);
        let done = self.small_step();
        self.depth.set(self.depth.get() - 1);
        if let Err(wrong) = done {
            self.wrong.borrow_mut().get_or_insert(wrong);
        }
    }

    fn turn(&self) {
        if let Some(store) = self.store().filter(|_| !self.idle.get()) {
            store.turn(self.below(WORKERS));
        }
    }

    fn pass_time(&self) {
        let mut span = Duration::from_millis(self.below(8000) as u64);
        if self.once_in(20) {
            span += Duration::from_secs(11 * 60);
        }
        self.clock.advance(span);
        self.runtime.block_on(tokio::time::advance(span));
        if self.once_in(10) {
            let step = self.below(4 * 86_400_000) as i64 - 2 * 86_400_000;
            self.clock.step_wall(self.clock.wall().offset_micros(step * 1000));
        }
    }

    fn fault(&self) {
        let disk = self.disk();
        match self.below(6) {
            0 => disk.set_capacity(Some(disk.used() + self.below(8000))),
            1 => disk.set_capacity(None),
            2 => disk.write_at_most(Some(1 + self.below(900))),
            3 => disk.write_at_most(None),
            _ if self.once_in(3) => {
                let ops = [
                    Op::Write,
                    Op::SyncData,
                    Op::SyncAll,
                    Op::SyncFolder,
                    Op::Create,
                    Op::Rename,
                    Op::Truncate,
                ];
                let errno = if self.once_in(4) { Errno::NOSPC } else { Errno::IO };
                disk.fail(ops[self.below(ops.len())], self.below(8), errno);
                self.figures.borrow_mut().faults += 1;
            }
            _ => {}
        }
    }

    fn create(&self) -> Result<(), String> {
        let (Some(store), at) = (self.store(), self.below(STREAMS.len())) else { return Ok(()) };
        let made = store.create_stream(&name(STREAMS[at]));
        let slot = &mut self.slots.borrow_mut()[at];
        if let Ok(stream) = made {
            (slot.stream, slot.created) = (Some(stream), true);
        }
        Ok(())
    }

    fn delete(&self) -> Result<(), String> {
        let (Some(store), at) = (self.store(), self.below(STREAMS.len())) else { return Ok(()) };
        self.idle.set(true);
        let deleted = store.delete_stream(&name(STREAMS[at]));
        self.idle.set(false);
        let slot = &mut self.slots.borrow_mut()[at];
        match deleted {
            // What is left to be cleaned up does not matter to anybody.
            _ if store.stream(&name(STREAMS[at])).is_none() => *slot = Slot::default(),
            Ok(()) => return Err("a deleted stream is there".to_owned()),
            Err(_) => slot.perhaps_deleted = true,
        }
        Ok(())
    }

    /// A producer does the next thing.
    fn write(&self) -> Result<(), String> {
        self.hear()?;
        let at = self.below(STREAMS.len());
        let healthy = self.store().is_some_and(|store| store.health().ok) && !self.idle.get();
        let slot = &mut self.slots.borrow_mut()[at];
        let Some(stream) = slot.stream.clone() else { return Ok(()) };
        if slot.taker.is_some() {
            return self.take_over(slot, healthy);
        }
        if slot.writer.is_none() || self.once_in(25) {
            let stream = Arc::clone(&stream);
            slot.taker = Some(Box::pin(async move { stream.writer().await }));
            return self.take_over(slot, healthy);
        }
        if self.once_in(30) {
            slot.writer = None;
            slot.begun = None;
            return Ok(());
        }
        if let Some(mut fenced) = slot.fenced.pop() {
            let made = self.make(slot);
            hold!(begin(&mut fenced, &made.take()).is_err(), "a writer that was taken over may still write");
        }
        let Some(writer) = slot.writer.as_mut() else { return Ok(()) };
        let outcome = match slot.begun.take() {
            None => {
                let made = self.make(slot);
                let Some(writer) = slot.writer.as_mut() else { return Ok(()) };
                match begin(writer, &made.take()) {
                    Ok(Begun::Live(number)) => {
                        slot.model.begun(number.get(), made.clone())?;
                        slot.begun = Some((Some(number.get()), made));
                        Ok(())
                    }
                    Ok(Begun::PossiblyRepeated) => {
                        slot.begun = Some((None, made));
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Some(_) if self.once_in(8) => {
                writer.abandon();
                Ok(())
            }
            Some((number, made)) => {
                if self.once_in(4) {
                    // Parts of another fragment than it will be: live readers may see them.
                    let _ = writer.part(part(0, &made.take().payload));
                }
                match finish(writer, &made.take()) {
                    Ok(finished) => {
                        let given = finished.fragment.number.get();
                        hold!(number.is_none_or(|number| number == given), "{number:?} became {given}");
                        hold!(
                            finished.repeated || !slot.model.holds(&made) || !slot.sent.contains(&made),
                            "{made:?} was stored a second time as number {given}"
                        );
                        slot.model.finished(given, &made, finished.repeated)?;
                        slot.sent.push(made);
                        slot.promised.push((given, finished.durable));
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match outcome {
            Err(error) if error.kind == ErrorKind::LimitExceeded => Ok(()),
            Err(error) if healthy && !slot.perhaps_deleted => {
                Err(format!("the writer of a sound volume is refused: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn make(&self, slot: &Slot) -> Made {
        if !slot.sent.is_empty() && self.once_in(6) {
            return slot.sent[self.below(slot.sent.len())].clone();
        }
        self.made.set(self.made.get() + 1);
        let now = self.clock.wall();
        let producer = match self.below(6) {
            0 => now.offset_micros(-(self.below(20_000_000) as i64)),
            1 if !slot.sent.is_empty() => slot.sent[self.below(slot.sent.len())].producer,
            _ => now,
        };
        let length = if self.once_in(30) { 20_000 + self.below(30_000) } else { 50 + self.below(3000) };
        let duration_us = 1 + self.below(3_000_000) as u64;
        Made { producer: inside(producer), server: inside(now), duration_us, seed: self.made.get(), length }
    }

    fn take_over(&self, slot: &mut Slot, healthy: bool) -> Result<(), String> {
        let Some(taker) = slot.taker.as_mut() else { return Ok(()) };
        let _timers = self.runtime.enter();
        let Poll::Ready(taken) = taker.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return Ok(());
        };
        slot.taker = None;
        match taken {
            Ok(writer) => {
                slot.fenced.extend(slot.writer.replace(writer));
                slot.begun = None;
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::StorageFull => Ok(()),
            Err(error) if healthy && !slot.perhaps_deleted => {
                Err(format!("nobody may write to a sound volume: {error}"))
            }
            Err(_) => Ok(()),
        }
    }

    /// Producers read their acknowledgements.
    fn hear(&self) -> Result<(), String> {
        let mut acks = 0;
        for slot in self.slots.borrow_mut().iter_mut() {
            let Slot { promised, model, perhaps_deleted, .. } = slot;
            let mut heard = Ok(());
            promised.retain_mut(|(number, durable)| {
                match Pin::new(durable).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Pending => return true,
                    Poll::Ready(told) => {
                        acks += usize::from(told.is_ok());
                        *perhaps_deleted &= told.is_err();
                        if heard.is_ok() {
                            heard = model.told(*number, told.is_ok());
                        }
                    }
                }
                false
            });
            heard?;
        }
        self.figures.borrow_mut().acks += acks;
        Ok(())
    }

    /// A reader looks at a stream.
    fn look(&self) -> Result<(), String> {
        self.hear()?;
        let at = self.below(STREAMS.len());
        let slot = &mut self.slots.borrow_mut()[at];
        if slot.perhaps_deleted || self.idle.get() {
            return Ok(());
        }
        let Some(stream) = slot.stream.clone() else { return Ok(()) };
        self.check(slot, &stream, 3, false).map_err(|wrong| format!("stream {}: {wrong}", STREAMS[at]))
    }

    fn check(
        &self,
        slot: &mut Slot,
        stream: &Arc<Stream>,
        payloads: usize,
        opened: bool,
    ) -> Result<(), String> {
        let listed = slot.model.check_list(stream, opened)?;
        if listed.is_empty() {
            return Ok(());
        }
        let mut compared = self.figures.borrow().compared;
        if payloads < usize::MAX {
            for _ in 0..payloads {
                slot.model.check_payload(stream, &listed[self.below(listed.len())], &mut compared)?;
            }
        } else {
            for fragment in &listed {
                slot.model.check_payload(stream, fragment, &mut compared)?;
            }
        }
        self.figures.borrow_mut().compared = compared;
        slot.model.check_range(stream, &listed, &mut self.chance.borrow_mut())
    }

    /// The process ends one way or the other.
    fn end(&self, last: bool) -> Result<(), String> {
        let (cut, killed) = (self.disk().power_is_cut(), self.disk().process_is_killed());
        let mut end = match self.below(3) {
            _ if cut || last => End::PowerCut,
            0 => End::PowerCut,
            1 => End::Killed,
            _ if killed => End::Killed,
            _ => End::Closed,
        };
        if let (End::Closed, Some(store)) = (end, self.store()) {
            store.close();
            self.hear()?;
        }
        if self.disk().a_folder_sync_failed() {
            // After a failed sync of a folder the kernel shows names that the disk does not have,
            // and only a restart of the machine tells.
            end = End::PowerCut;
        }
        self.forget_handles();
        self.store.borrow_mut().take();
        for slot in self.slots.borrow_mut().iter_mut() {
            slot.model.crashed();
        }
        let mut figures = self.figures.borrow_mut();
        match end {
            End::PowerCut => {
                let left = self.disk().after_power_cut(&mut self.chance.borrow_mut());
                *self.disk.borrow_mut() = left;
                figures.power_cuts += 1;
            }
            End::Killed => figures.kills += 1,
            End::Closed => figures.closes += 1,
        }
        self.disk().next_life();
        self.change_index();
        Ok(())
    }

    /// The index holds nothing that the files do not: it may be lost, or be an old copy.
    fn change_index(&self) {
        let path = |file: &str| self.folder.path().join(file);
        match self.below(10) {
            0 | 1 => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(path(&format!("meta.db{suffix}")));
                }
            }
            2 => {
                let _ = std::fs::copy(path("old"), path("meta.db"));
            }
            3..5 => {
                let _ = std::fs::copy(path("meta.db"), path("old"));
            }
            _ => {}
        }
    }

    fn forget_handles(&self) {
        for slot in self.slots.borrow_mut().iter_mut() {
            let _timers = self.runtime.enter();
            slot.taker = None;
            slot.begun = None;
            slot.writer = None;
            slot.fenced.clear();
            slot.promised.clear();
            slot.stream = None;
            slot.sent.clear();
        }
    }

    /// Starts the process, however often the power goes meanwhile, and looks at everything.
    fn open(&self) -> Result<(), String> {
        loop {
            let disk = self.disk();
            if self.once_in(5) {
                disk.cut_power_after(1 + self.below(30));
            }
            let open = || {
                let (disk, clock) = (Arc::new(disk.clone()), Arc::clone(&self.clock));
                Store::open_by_hand(disk, self.folder.path(), self.options.clone(), clock)
            };
            let opened = loop {
                match open() {
                    // Another test of this process starts a child, which has our lock, too, until
                    // it becomes another program.
                    Err(error) if error.kind == ErrorKind::Conflict => std::thread::yield_now(),
                    opened => break opened,
                }
            };
            match opened {
                Ok(store) => {
                    hold!(
                        store.recovery().damages.is_empty(),
                        "reported as damaged: {:?}",
                        store.recovery().damages
                    );
                    *self.store.borrow_mut() = Some(store);
                    break;
                }
                Err(_) if disk.power_is_cut() => {
                    *self.disk.borrow_mut() = disk.after_power_cut(&mut self.chance.borrow_mut());
                    self.figures.borrow_mut().power_cuts += 1;
                }
                Err(error) => return Err(format!("it does not open: {error}")),
            }
        }
        let Some(store) = self.store() else { return Ok(()) };
        for (slot, text) in self.slots.borrow_mut().iter_mut().zip(STREAMS) {
            let wrong = |wrong: String| format!("stream {text} after a restart: {wrong}");
            match store.stream(&name(text)) {
                Some(stream) => {
                    slot.stream = Some(Arc::clone(&stream));
                    slot.created = true;
                    slot.perhaps_deleted = false;
                    self.check(slot, &stream, 5, true).map_err(wrong)?;
                }
                None => {
                    hold!(
                        !slot.created || slot.perhaps_deleted,
                        "stream {text} is gone, with {} durable fragments",
                        slot.model.durable()
                    );
                    *slot = Slot::default();
                }
            }
        }
        Ok(())
    }

    fn check_everything(&self) -> Result<(), String> {
        for slot in self.slots.borrow_mut().iter_mut() {
            if let Some(stream) = slot.stream.clone() {
                self.check(slot, &stream, usize::MAX, false)?;
            }
        }
        Ok(())
    }
}

/// A time that can be stored.
fn inside(time: WallTime) -> WallTime {
    time.clamp(WallTime::EARLIEST, WallTime::LATEST)
}
