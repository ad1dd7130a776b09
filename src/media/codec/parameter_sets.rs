//! The parameter sets of one H.264 or H.265 track: what is current, and whether it changed.
//!
//! It keeps whole NAL units by type and id and does not read them.

use bytes::{BufMut, Bytes, BytesMut};

use super::configured::Invalid;

/// Most bytes of parameter sets that one track may have current: real ones have some hundred.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// Most parameter sets that one track may have current: real ones have two or three.
pub(crate) const MAX_SETS: usize = 320;

/// What the NAL units of one frame say together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// There is a coded picture at all.
    pub(crate) picture: bool,
    /// The picture is an IDR picture, or in H.265 any random access point.
    pub(crate) random_access: bool,
    /// All its slices are intra coded. Meaningless without a picture.
    pub(crate) only_intra: bool,
    /// A recovery point message comes with it.
    pub(crate) recovery_point: bool,
}

/// A checked configuration of an H.264 or H.265 track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Canonical, as `Codec` says.
    pub(crate) configuration: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// None where the parameter sets leave it open.
    pub(crate) reorder_depth: Option<u8>,
    /// Nominal duration of a frame as a fraction of seconds.
    pub(crate) frame_seconds: Option<(u32, u32)>,
}

#[derive(Debug, Clone)]
struct Set {
    kind: u8,
    id: u16,
    unit: Bytes,
    /// In which round it was last seen, see [`ParameterSets::begin_round`].
    round: u32,
}

/// The current parameter sets of a track.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParameterSets {
    sets: Vec<Set>,
    bytes: usize,
    round: u32,
}

impl ParameterSets {
    /// Says that the sets taken from here on belong to another frame.
    pub(crate) fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Takes a parameter set and tells whether it is new or differs from the one it replaces.
    pub(crate) fn take(&mut self, unit: &[u8], id: u16, kind: u8) -> Result<bool, Invalid> {
        let round = self.round;
        let count = self.sets.len();
        let known = self.sets.iter_mut().find(|set| set.kind == kind && set.id == id);
        let mut bytes = self.bytes + unit.len();
        if let Some(set) = &known {
            bytes -= set.unit.len();
        } else if count >= MAX_SETS {
            return Err(Invalid::new(format!("there are more than {MAX_SETS} parameter sets")));
        }
        if bytes > MAX_BYTES {
            return Err(Invalid::new(format!(
                "the parameter sets have {bytes} bytes together, more than {MAX_BYTES}"
            )));
        }
        match known {
            Some(set) if set.unit == unit => {
                set.round = round;
                return Ok(false);
            }
            // A copy, so that a few bytes do not keep a whole network buffer in memory.
            Some(set) => *set = Set { kind, id, unit: Bytes::copy_from_slice(unit), round },
            None => self.sets.push(Set { kind, id, unit: Bytes::copy_from_slice(unit), round }),
        }
        self.bytes = bytes;
        Ok(true)
    }

    /// Forgets what was not seen in this round.
    pub(crate) fn keep_only_this_round(&mut self) {
        self.sets.retain(|set| set.round == self.round);
        self.bytes = self.sets.iter().map(|set| set.unit.len()).sum();
    }

    /// Whether this round brought a set of the type.
    pub(crate) fn has_in_this_round(&self, kind: u8) -> bool {
        self.sets.iter().any(|set| set.kind == kind && set.round == self.round)
    }

    /// The current sets of a type, in order of first appearance.
    pub(crate) fn of(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.sets.iter().filter(move |set| set.kind == kind).map(|set| &set.unit[..])
    }

    /// Bytes of all current sets.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How many sets of a type there are, checked against what the record's field can hold.
pub(crate) fn count(sets: &ParameterSets, kind: u8, max: usize, name: &str) -> Result<u8, Invalid> {
    let count = sets.of(kind).count();
    if count > max {
        return Err(Invalid::new(format!("{count} {name} parameter sets; a record holds {max} at most")));
    }
    Ok(u8::try_from(count).unwrap_or(u8::MAX))
}

/// Writes all sets of a type, each after its length in two bytes.
pub(crate) fn put_all(sets: &ParameterSets, kind: u8, out: &mut BytesMut) -> Result<(), Invalid> {
    for unit in sets.of(kind) {
        let length = u16::try_from(unit.len()).map_err(|_| {
            Invalid::new(format!("a parameter set has {} bytes, more than 65535", unit.len()))
        })?;
        out.put_u16(length);
        out.put_slice(unit);
    }
    Ok(())
}
