//! The codec configurations of a stream that are in memory.
//!
//! Their inside is opaque; the others are in the index.

use std::collections::VecDeque;

use bytes::Bytes;
use kinora_base::ErrorKind;

use crate::{ConfigurationId, Error};

/// See the module.
#[derive(Debug)]
pub(crate) struct Configurations {
    /// Ascending by identifier.
    known: VecDeque<Known>,
    next: u32,
    /// Identifiers to leave out before the next new one: an unclean stop may have lost as many
    /// that live readers saw.
    gap: u32,
}

#[derive(Debug)]
struct Known {
    id: u32,
    content: Bytes,
    durable: bool,
}

impl Configurations {
    /// Highest identifier (16 bits in a footer).
    pub(crate) const MOST: u32 = 65_535;
    /// Largest configuration, in bytes.
    pub(crate) const LARGEST: usize = 1 << 20;
    /// How many are kept in memory beside those not durable yet. A configuration that was last
    /// new longer ago gets a second identifier when it comes again, which costs nothing.
    pub(crate) const KEPT: usize = 16;
    /// Most bytes of durable ones that are kept in memory.
    const KEPT_BYTES: usize = 256 << 10;
    /// Most that may be registered and not durable.
    pub(crate) const MOST_IN_FLIGHT: u32 = 16;

    /// `known` are durable; new ones count from `next`, after `gap` were left out.
    pub(crate) fn new(known: Vec<(u32, Bytes)>, next: u32, gap: u32) -> Self {
        let known = known.into_iter().map(|(id, content)| Known { id, content, durable: true });
        let mut configurations = Self { known: known.collect(), next, gap };
        configurations.trim();
        configurations
    }

    /// The identifier of `content`, a new one if it is not known.
    pub(crate) fn register(&mut self, content: &Bytes) -> Result<ConfigurationId, Error> {
        if let Some(known) = self.known.iter().rev().find(|known| known.content == content) {
            return Ok(ConfigurationId(known.id));
        }
        let refuse = |message: String| Err(Error::new(ErrorKind::LimitExceeded, message));
        if content.len() > Self::LARGEST {
            return refuse(format!(
                "a codec configuration has at most {} bytes, this one has {}",
                Self::LARGEST,
                content.len()
            ));
        }
        let id = self.next.saturating_add(self.gap);
        if id > Self::MOST {
            return refuse(format!(
                "the stream has had {} codec configurations, as many as it may",
                Self::MOST
            ));
        }
        let in_flight = self.known.iter().filter(|known| !known.durable).count();
        if in_flight >= Self::MOST_IN_FLIGHT as usize {
            return refuse(format!("{in_flight} new codec configurations wait for the disk"));
        }
        self.gap = 0;
        self.next = id + 1;
        self.known.push_back(Known { id, content: content.clone(), durable: false });
        Ok(ConfigurationId(id))
    }

    /// Those that are not durable yet, ascending.
    pub(crate) fn waiting(&self) -> Vec<(u32, Bytes)> {
        let waiting = self.known.iter().filter(|known| !known.durable);
        waiting.map(|known| (known.id, known.content.clone())).collect()
    }

    /// The content of a configuration, if it is in memory.
    pub(crate) fn get(&self, id: u32) -> Option<&Bytes> {
        self.known.iter().find(|known| known.id == id).map(|known| &known.content)
    }

    /// Notes that a configuration is durable; says whether that is news.
    pub(crate) fn durable(&mut self, id: u32) -> bool {
        let waiting = self.known.iter_mut().find(|known| known.id == id && !known.durable);
        let Some(known) = waiting else { return false };
        known.durable = true;
        self.trim();
        true
    }

    /// The identifier the next new one gets, for an orderly shutdown.
    pub(crate) fn next(&self) -> u32 {
        self.next.saturating_add(self.gap)
    }

    fn trim(&mut self) {
        let mut bytes: usize =
            self.known.iter().filter(|known| known.durable).map(|known| known.content.len()).sum();
        while self.known.len() > 1 && (self.known.len() > Self::KEPT || bytes > Self::KEPT_BYTES) {
            let Some(oldest) = self.known.iter().position(|known| known.durable) else { break };
            if let Some(known) = self.known.remove(oldest) {
                bytes -= known.content.len();
            }
        }
    }
}
