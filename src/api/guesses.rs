//! Callers who show wrong tokens: they are told late, and logged once in a while.
//!
//! Right tokens are never slowed, unless from the address of somebody who guesses many at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who shows a wrong token learns it so much later.
pub(super) const TOLD_AFTER: Duration = Duration::from_millis(250);
/// So many wrong tokens of one address may wait for that; further ones are not looked at.
const MAX_WAITING: u32 = 16;
/// Wrong tokens of one address are logged once in so long.
const LOGGED_EVERY: Duration = Duration::from_secs(60);
/// So many addresses are told apart; all others count as one.
const MAX_PEERS: usize = 1024;

/// What is kept of an address.
#[derive(Debug, Default)]
struct Peer {
    waiting: u32,
    /// Wrong tokens since the last line in the log.
    unlogged: u64,
    logged: Option<Duration>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, Peer>>);

/// A wrong token whose caller has not been told yet.
#[derive(Debug)]
pub(super) struct Guess<'a> {
    guesses: &'a Guesses,
    peer: IpAddr,
    /// How many there were since the last line in the log, if one is due.
    pub(super) to_log: Option<u64>,
}

impl Guesses {
    /// Whether no further token of `peer` is to be looked at.
    pub(super) fn is_busy(&self, peer: IpAddr) -> bool {
        self.peers().get(&peer).is_some_and(|peer| peer.waiting >= MAX_WAITING)
    }

    /// A token of `peer` was wrong, at `now` on the monotonic clock.
    pub(super) fn wrong(&self, peer: IpAddr, now: Duration) -> Guess<'_> {
        let mut peers = self.peers();
        let is_over = |peer: &Peer| {
            peer.waiting == 0 && peer.logged.is_none_or(|at| now.saturating_sub(at) >= LOGGED_EVERY)
        };
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, peer| !is_over(peer));
        }
        let known = peers.contains_key(&peer) || peers.len() < MAX_PEERS;
        let peer = if known { peer } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let kept = peers.entry(peer).or_default();
        kept.waiting = kept.waiting.saturating_add(1);
        kept.unlogged += 1;
        let due = kept.logged.is_none_or(|at| now.saturating_sub(at) >= LOGGED_EVERY);
        let to_log = due.then(|| {
            kept.logged = Some(now);
            std::mem::take(&mut kept.unlogged)
        });
        Guess { guesses: self, peer, to_log }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.guesses.peers().get_mut(&self.peer) {
            peer.waiting = peer.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn guesses_of_one_address_are_bounded_and_logged_once_in_a_while() {
        let guesses = Guesses::default();
        let second = Duration::from_secs;
        let held: Vec<_> = (0..MAX_WAITING).map(|_| guesses.wrong(address(1), second(1))).collect();
        assert_eq!(held.iter().filter_map(|guess| guess.to_log).collect::<Vec<_>>(), [1]);
        assert!(guesses.is_busy(address(1)) && !guesses.is_busy(address(2)));
        drop(held);
        assert!(!guesses.is_busy(address(1)));
        assert_eq!(guesses.wrong(address(1), second(60)).to_log, None);
        assert_eq!(guesses.wrong(address(1), second(61)).to_log, Some(u64::from(MAX_WAITING) + 1));
    }

    #[test]
    fn any_number_of_addresses_costs_as_much_as_some() {
        let guesses = Guesses::default();
        for n in 0..10_000 {
            drop(guesses.wrong(address(n), Duration::from_secs(1)));
        }
        assert!(guesses.peers().len() <= MAX_PEERS + 1);
        drop(guesses.wrong(address(7), Duration::from_secs(100)));
        assert!(guesses.peers().len() <= 2, "what is over is forgotten");
    }
}
