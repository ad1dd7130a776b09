//! A stream's limits and pins as callers see and change them.
//!
//! What follows from a change is told in `enforce` and `pass`.

use std::sync::Arc;

use kinora_base::{ErrorKind, WallTime};

use crate::limits::{Expired, Limits, Pin};
use crate::retention::NextExpiry;
use crate::sync::lock;
use crate::{Error, Stream};

/// A pin and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The pin.
    pub pin: Pin,
    /// Fragments that it holds.
    pub fragments: u64,
    /// Their payload bytes.
    pub bytes: u64,
}

impl Stream {
    /// The limits that the stream sets itself.
    #[must_use]
    pub fn limits(&self) -> Limits {
        lock(&self.state).kept.limits
    }

    /// What has expired. It never comes back: raising a limit keeps longer what is still there.
    #[must_use]
    pub fn expired(&self) -> Expired {
        lock(&self.state).kept.expired
    }

    /// Why nothing expires in this stream, if nothing does: the file that says what shall be kept
    /// cannot be read. Setting limits writes a new one.
    #[must_use]
    pub fn expiry_suspended(&self) -> Option<String> {
        lock(&self.state).kept.suspended.clone()
    }

    /// When its own limits, or those that all streams are given, let go of something next if
    /// `bytes_per_second` go on arriving; none if they never do.
    #[must_use]
    pub fn next_expiry(&self, now: WallTime, bytes_per_second: u64) -> Option<NextExpiry> {
        let given = self.volume.limits().of(&self.name);
        let state = lock(&self.state);
        let most = state.kept.rule(given, now)?.most_bytes;
        let (fragments, bytes) = state.kept.all_below();
        if state.sums.fragments <= fragments {
            return None;
        }
        let left = most.map(|most| most.saturating_sub(state.sums.bytes.saturating_sub(bytes)));
        NextExpiry::of(now, state.kept.too_old(given.0), left, bytes_per_second)
    }

    /// The pins, by name, with what they hold. May read footers: blocks.
    ///
    /// # Errors
    /// As [`Self::timeline`].
    pub fn pins(&self) -> Result<Vec<Pinned>, Error> {
        let pins = lock(&self.state).kept.pins.to_vec();
        let held = |pin: Pin| {
            let runs = self.timeline((pin.start, pin.end), None, pin.end)?.runs;
            let (fragments, bytes) =
                runs.iter().fold((0, 0), |(count, bytes), run| (count + run.fragments, bytes + run.bytes));
            Ok(Pinned { pin, fragments, bytes })
        };
        pins.into_iter().map(held).collect()
    }

    /// Changes the limits, durably. What no longer may stay goes with the next
    /// [`crate::Store::enforce`]. Blocks.
    ///
    /// # Errors
    /// `NotFound` if the stream was deleted; `StorageFull` and `Unavailable` from the disk.
    pub fn set_limits(self: &Arc<Self>, limits: Limits) -> Result<(), Error> {
        self.resettle(|kept| {
            kept.limits = limits;
            Ok(())
        })
    }

    /// Keeps a stretch of time until it is unpinned, durably. A pin of the same name is replaced.
    /// Blocks.
    ///
    /// # Errors
    /// `InvalidInput` for a pin without a proper name or length, `LimitExceeded` for more than
    /// [`Pin::MOST`] pins; else as [`Self::set_limits`].
    pub fn pin(self: &Arc<Self>, pin: Pin) -> Result<(), Error> {
        check(&pin)?;
        self.resettle(|kept| {
            let mut pins = kept.pins.to_vec();
            pins.retain(|other| other.name != pin.name);
            if pins.len() >= Pin::MOST {
                let message = format!("a stream has at most {} pins", Pin::MOST);
                return Err(Error::new(ErrorKind::LimitExceeded, message));
            }
            pins.push(pin);
            pins.sort_by(|a, b| a.name.cmp(&b.name));
            kept.pins = pins.into();
            Ok(())
        })
    }

    /// Lets a pinned stretch go, durably. Blocks.
    ///
    /// # Errors
    /// `NotFound` if there is no such pin; else as [`Self::set_limits`].
    pub fn unpin(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        self.resettle(|kept| {
            let left: Vec<Pin> = kept.pins.iter().filter(|pin| pin.name != name).cloned().collect();
            if left.len() == kept.pins.len() {
                let message = format!("stream '{}' has no pin '{name}'", self.name);
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            kept.pins = left.into();
            Ok(())
        })
    }
}

fn check(pin: &Pin) -> Result<(), Error> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
    let proper = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if pin.name.is_empty() || pin.name.len() > Pin::LONGEST_NAME || !pin.name.bytes().all(proper) {
        return invalid(format!(
            "a pin's name has 1 to {} of the characters a-z, A-Z, 0-9, _ . and -",
            Pin::LONGEST_NAME
        ));
    }
    if pin.by.len() > Pin::LONGEST_TEXT || pin.reason.len() > Pin::LONGEST_TEXT {
        return invalid(format!("who and why have at most {} bytes each", Pin::LONGEST_TEXT));
    }
    if pin.start >= pin.end {
        return invalid(format!(
            "the pin ends at {}, which is not after its start at {}",
            pin.end, pin.start
        ));
    }
    Ok(())
}
