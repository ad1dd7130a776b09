//! How much room the volume has left, and how careful that makes the store.
//!
//! What takes the room, and what could be deleted, is unknown here.

use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use kinora_base::ErrorKind;

use super::Ballast;
use crate::disk::Room;
use crate::sync::lock;
use crate::{Disk, Error};

/// Unless the settings say otherwise, this share of the volume is kept free.
const KEEP_FREE_SHARE: u64 = 50;
/// The least that is kept free by default, in bytes.
const KEEP_FREE_LEAST: u64 = 16 << 20;
/// The most that is kept free by default, in bytes.
const KEEP_FREE_MOST: u64 = 1 << 30;
/// Fragments are refused when less than this share of what shall be kept free is left: the rest is
/// for the index, for footers and for whoever else uses the disk.
const REFUSE_SHARE: u64 = 4;

/// How careful the store is with the volume's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// There is room.
    Ample,
    /// Less is free than shall be: nothing is reserved ahead of need.
    Low,
    /// So little is free that fragments are refused. Everything else goes on.
    Full,
}

/// The volume's room as it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the volume, in bytes; none where that cannot be told.
    pub total_bytes: Option<u64>,
    /// What is free of it for recordings, in bytes: not what the store needs for itself.
    pub free_bytes: Option<u64>,
    /// Below this much the store is careful, in bytes.
    pub keep_free_bytes: u64,
    /// Below this much it refuses fragments, in bytes.
    pub refuse_below_bytes: u64,
    /// See [`Pressure`].
    pub pressure: Pressure,
}

impl Space {
    /// What `room` means to a store that shall keep `keep_free` bytes free and was under
    /// `before`.
    fn judge(room: Option<Room>, keep_free: Option<u64>, before: Pressure) -> Self {
        let default =
            |room: Room| (room.total_bytes / KEEP_FREE_SHARE).clamp(KEEP_FREE_LEAST, KEEP_FREE_MOST);
        let keep_free_bytes = keep_free.or(room.map(default)).unwrap_or(0);
        let refuse_below_bytes = keep_free_bytes / REFUSE_SHARE;
        // Once fragments were refused they are taken again only with some room to go on for a
        // while, so that producers do not come and go with every megabyte.
        let take_again = refuse_below_bytes.saturating_add(refuse_below_bytes / 2);
        let refuse = if before == Pressure::Full { take_again } else { refuse_below_bytes };
        let pressure = match room {
            Some(room) if room.free_bytes < refuse => Pressure::Full,
            Some(room) if room.free_bytes < keep_free_bytes => Pressure::Low,
            _ => Pressure::Ample,
        };
        Self {
            total_bytes: room.map(|room| room.total_bytes),
            free_bytes: room.map(|room| room.free_bytes),
            keep_free_bytes,
            refuse_below_bytes,
            pressure,
        }
    }
}

/// Keeps an eye on the volume.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// What the settings say shall stay free.
    keep_free: Option<u64>,
    space: Space,
    /// The operating system said that there is no room, whatever it says of the volume: a quota.
    refused: bool,
}

impl Watch {
    /// A watch that has not looked yet.
    pub(crate) fn new(keep_free: Option<u64>) -> Self {
        let space = Space::judge(None, keep_free, Pressure::Ample);
        Self { seen: Mutex::new(Seen { keep_free, space, refused: false }) }
    }

    /// Keeps so much free from the next look on.
    pub(crate) fn keep_free(&self, keep_free: Option<u64>) {
        lock(&self.seen).keep_free = keep_free;
    }

    /// Looks at the volume that holds `folder`.
    pub(crate) fn look(&self, disk: &dyn Disk, folder: &Path) -> Space {
        // A volume that cannot be asked still says so when it is full.
        let mut room = disk.room(folder).ok().flatten();
        if let Some(room) = &mut room
            && !Ballast::exists(disk, folder)
        {
            // It is set aside again before recordings get any of it.
            room.free_bytes = room.free_bytes.saturating_sub(Ballast::bytes(room.total_bytes));
        }
        let mut seen = lock(&self.seen);
        seen.space = Space::judge(room, seen.keep_free, seen.space.pressure);
        seen.refused = false;
        seen.space
    }

    /// What was last seen.
    pub(crate) fn space(&self) -> Space {
        lock(&self.seen).space
    }

    /// Notes that the operating system refused room.
    pub(crate) fn refused(&self) {
        lock(&self.seen).refused = true;
    }

    /// Why no fragments are taken, if none are.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let seen = lock(&self.seen);
        let space = seen.space;
        let message = match (space.pressure, space.free_bytes.zip(space.total_bytes)) {
            (Pressure::Full, Some((free, total))) => format!(
                "the disk is full: {} of {} are free, and recording needs {}",
                Bytes(free),
                Bytes(total),
                Bytes(space.refuse_below_bytes)
            ),
            _ if seen.refused => "the disk is full: the operating system gives no more room".to_owned(),
            _ => return None,
        };
        Some(Error::new(ErrorKind::StorageFull, message))
    }
}

/// An amount of bytes for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            less if less < 10_000_000 => write!(f, "{:.1} MB", less as f64 / 1e6),
            less if less < 10_000_000_000 => write!(f, "{:.0} MB", less as f64 / 1e6),
            more => write!(f, "{:.0} GB", more as f64 / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn pressure(free_mib: u64, keep_free: Option<u64>, before: Pressure) -> Pressure {
        let room = Room { total_bytes: 10_000 * MIB, free_bytes: free_mib * MIB };
        Space::judge(Some(room), keep_free, before).pressure
    }

    #[test]
    fn pressure_rises_with_what_is_left() {
        use Pressure::{Ample, Full, Low};
        // 2 % of 10,000 MiB are kept free, and a quarter of that is the end.
        let found: Vec<_> = [200, 199, 50, 49, 0].map(|free| pressure(free, None, Ample)).into();
        assert_eq!(found, [Ample, Low, Low, Full, Full]);
        let found: Vec<_> = [100, 99, 25, 24].map(|free| pressure(free, Some(100 * MIB), Ample)).into();
        assert_eq!(found, [Ample, Low, Low, Full]);
        assert_eq!(pressure(0, Some(0), Ample), Ample, "nothing shall be kept free");
    }

    #[test]
    fn fragments_are_taken_again_only_with_some_room_to_go_on() {
        let found = [50, 74, 75].map(|free| pressure(free, None, Pressure::Full));
        assert_eq!(found, [Pressure::Full, Pressure::Full, Pressure::Low]);
    }

    #[test]
    fn what_is_kept_free_by_default_has_bounds() {
        let keep = |total| {
            let room = Room { total_bytes: total, free_bytes: 0 };
            Space::judge(Some(room), None, Pressure::Ample).keep_free_bytes
        };
        assert_eq!([keep(60 * MIB), keep(4_000 * MIB), keep(u64::MAX)], [16 * MIB, 80 * MIB, 1024 * MIB]);
    }

    #[test]
    fn a_volume_that_cannot_be_asked_is_not_full_until_it_says_so() {
        let watch = Watch::new(None);
        assert_eq!(watch.refusal(), None);
        watch.refused();
        assert!(watch.refusal().is_some_and(|error| error.kind == ErrorKind::StorageFull));
    }
}
