//! Who does the work behind the store: threads of their own, or whoever takes their turns by hand,
//! as a simulation does to decide what happens when.
//!
//! What the work is, is told in `commit` and `keeper`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::JoinHandle;

use kinora_base::ErrorKind;

use crate::keeper::{Job, Keeper};
use crate::lane::{Lane, Stop};
use crate::stream::{Lanes, Streams};
use crate::sync::lock;
use crate::volume::Volume;
use crate::{Error, Stream, commit};

/// The committers, one for each lane, and the keeper behind them.
#[derive(Debug)]
pub(crate) enum Workers {
    /// Each has a thread.
    Threads(Threads),
    /// They work when [`ByHand::turn`] is called.
    ByHand(Arc<ByHand>),
}

/// Workers that have threads.
#[derive(Debug)]
pub(crate) struct Threads {
    lanes: Lanes,
    committers: Vec<JoinHandle<()>>,
    keeper: (Sender<Job>, JoinHandle<()>),
    abrupt: Arc<AtomicBool>,
}

/// Workers without threads.
#[derive(Debug)]
pub(crate) struct ByHand {
    volume: Arc<Volume>,
    committers: Vec<Mutex<Arc<Lane<Arc<Stream>>>>>,
    keeper: Mutex<(Keeper, Receiver<Job>)>,
    jobs: Sender<Job>,
}

impl Workers {
    /// Workers for `lanes`.
    pub(crate) fn start(volume: &Arc<Volume>, lanes: &Lanes, streams: &Streams) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel();
        let abrupt = Arc::new(AtomicBool::new(false));
        let keeper = Keeper::new(Arc::clone(volume), Arc::clone(streams), Arc::clone(&abrupt));
        if volume.by_hand {
            return Ok(Self::ByHand(Arc::new(ByHand {
                volume: Arc::clone(volume),
                committers: lanes.iter().map(|lane| Mutex::new(Arc::clone(lane))).collect(),
                keeper: Mutex::new((keeper, waiting)),
                jobs,
            })));
        }
        let mut committers = Vec::new();
        for (index, lane) in lanes.iter().enumerate() {
            let (volume, lane, jobs) = (Arc::clone(volume), Arc::clone(lane), jobs.clone());
            committers.push(spawn(format!("commit-{index}"), move || commit::run(&volume, &lane, &jobs))?);
        }
        let keeper = (jobs, spawn("keeper".to_owned(), move || keeper.run(&waiting))?);
        Ok(Self::Threads(Threads { lanes: lanes.clone(), committers, keeper, abrupt }))
    }

    /// Ends them; whether none of them broke.
    pub(crate) fn stop(self, how: Stop) -> bool {
        match self {
            Self::Threads(threads) => threads.stop(how),
            Self::ByHand(workers) => {
                if how == Stop::Drained {
                    workers.drain();
                }
                for committer in &workers.committers {
                    lock(committer).stop(how);
                }
                true
            }
        }
    }
}

impl Threads {
    fn stop(self, how: Stop) -> bool {
        self.abrupt.store(how == Stop::Abruptly, Ordering::Release);
        for lane in &self.lanes {
            lane.stop(how);
        }
        let mut sound = true;
        for thread in self.committers {
            sound &= thread.join().is_ok();
        }
        // It waits for the end of its own queue, or sees that it shall not.
        let (jobs, keeper) = self.keeper;
        let _ = jobs.send(Job::Stop);
        sound & keeper.join().is_ok()
    }
}

impl ByHand {
    /// Lets a worker do what waits for it: a committer, or behind the last one the keeper, whose
    /// turn without work is its routine. Nothing happens if it is in the middle of a turn.
    pub(crate) fn turn(&self, worker: usize) {
        match self.committers.get(worker) {
            Some(committer) => {
                if let Some(lane) = unless_busy(committer) {
                    commit::turn(&self.volume, lane.waiting(), &self.jobs);
                }
            }
            None => {
                if let Some(mut keeper) = unless_busy(&self.keeper) {
                    let (keeper, jobs) = &mut *keeper;
                    keeper.turn(jobs.try_recv().map_err(|_| RecvTimeoutError::Timeout));
                }
            }
        }
    }

    fn drain(&self) {
        for committer in &self.committers {
            let Some(lane) = unless_busy(committer) else { continue };
            loop {
                let streams = lane.waiting();
                if streams.is_empty() {
                    break;
                }
                commit::turn(&self.volume, streams, &self.jobs);
            }
        }
        let Some(mut keeper) = unless_busy(&self.keeper) else { return };
        let (keeper, jobs) = &mut *keeper;
        while keeper.turn(Ok(jobs.try_recv().unwrap_or(Job::Stop))) {}
    }
}

fn unless_busy<T>(worker: &Mutex<T>) -> Option<std::sync::MutexGuard<'_, T>> {
    match worker.try_lock() {
        Ok(worker) => Some(worker),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Starts a thread.
pub(crate) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(|error| Error::new(ErrorKind::Unavailable, format!("cannot start a thread: {error}")))
}
