//! A producer: it knows what was acknowledged to it, and decides what each of its connections sends
//! and where it is cut.

use std::collections::BTreeMap;

use bytes::Bytes;
use kinora_base::WallTime;

use super::archive::Kept;
use super::chance::Chance;
use super::clip::Clip;

/// Most pieces that a connection sends before it is cut.
const MOST_PIECES: usize = 7;

/// See the module.
#[derive(Debug)]
pub(crate) struct Producer<'a> {
    pub(crate) clip: &'a Clip,
    chance: Chance,
    /// Number under which the fragment of each time was acknowledged as persisted.
    promised: BTreeMap<WallTime, u64>,
    /// Connections that were cut.
    pub(crate) cuts: usize,
    /// Acks of what was acknowledged before.
    pub(crate) acknowledged_again: usize,
    /// The last connection ended well, with all that there is.
    pub(crate) done: bool,
}

/// What a connection sends.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) chunks: Vec<Bytes>,
    /// It breaks off after them.
    pub(crate) is_cut: bool,
    /// So many fragments are in them whole, which will be acknowledged.
    pub(crate) whole: usize,
}

impl<'a> Producer<'a> {
    pub(crate) fn new(clip: &'a Clip, chance: Chance) -> Self {
        Self { clip, chance, promised: BTreeMap::new(), cuts: 0, acknowledged_again: 0, done: false }
    }

    /// The next connection: the head, and pieces from behind the last fragment that is known to be
    /// persisted, from that fragment, or from one before it.
    pub(crate) fn next(&mut self) -> Upload {
        let known =
            self.clip.fragments.iter().take_while(|(time, _)| self.promised.contains_key(time)).count();
        let from = match self.chance.below(4) {
            0 => self.chance.below(known + 1),
            1 => known.saturating_sub(1),
            _ => known,
        };
        let first = self.clip.fragments.get(from).map_or(self.clip.pieces.len() - 1, |(_, piece)| *piece);
        let pieces = &self.clip.pieces[first..];
        let sent: usize =
            pieces.iter().take(MOST_PIECES).map(Bytes::len).sum::<usize>() + self.clip.head.len();
        let cut = self.chance.below(sent);
        let reaches_end = pieces.len() <= MOST_PIECES && self.chance.once_in(3);
        let mut left = if reaches_end { usize::MAX } else { cut };
        self.done = reaches_end;
        self.cuts += usize::from(!reaches_end);
        let mut chunks = Vec::new();
        let mut ended = first;
        for (n, mut bytes) in [&self.clip.head].into_iter().chain(pieces).cloned().enumerate() {
            let length = bytes.len();
            bytes.truncate(left);
            ended += usize::from(n > 0 && bytes.len() == length);
            left -= bytes.len();
            while !bytes.is_empty() {
                let longest = if self.chance.once_in(20) { 10 } else { 20_000 };
                chunks.push(bytes.split_to(bytes.len().min(1 + self.chance.below(longest))));
            }
        }
        // A fragment ends where the next one's first piece, now sent, begins.
        let next = self.clip.fragments.iter().skip(from + 1);
        let whole = next.take_while(|(_, piece)| *piece < ended).count();
        Upload { chunks, is_cut: !reaches_end, whole }
    }

    /// How many of the acks that were sent are read before the connection is gone.
    pub(crate) fn reads(&mut self, sent: usize) -> usize {
        if self.done || self.chance.once_in(2) { sent } else { self.chance.below(sent + 1) }
    }

    /// An ack says that the fragment of this time is persisted whole, under this number.
    pub(crate) fn persisted(&mut self, time: WallTime, number: u64) {
        self.clip.piece_of(time);
        if let Some(before) = self.promised.insert(time, number) {
            self.acknowledged_again += 1;
            assert_eq!(before, number, "{}: {time} was acknowledged under another number", self.clip.name);
        }
    }

    /// How many fragments were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.promised.len()
    }

    /// Every promise is kept, under its number.
    pub(crate) fn assert_promises(&self, whole: &[&Kept], of: &str) {
        assert_eq!(self.promised.len(), self.clip.fragments.len(), "{of}: not everything was acknowledged");
        for kept in whole {
            assert_eq!(self.promised.get(&kept.time), Some(&kept.number), "{of}: {}", kept.time);
        }
    }
}
