//! Frames of H.264 and H.265: any framing in, 4-byte lengths out; parameter sets noted; key frames
//! recognised.
//!
//! Parameter sets stay in the sample as well as going into the configuration: players tolerate
//! them there, removing them would copy every key frame, and a stream stays decodable for programs
//! that look for them there. A change of configuration takes effect at a key frame, where
//! decoders switch too.

use bytes::Bytes;

use super::configured::{Configured, Invalid};
use super::nal::{self, Framing};
use super::parameter_sets::{ParameterSets, Record, Summary};
use super::unit::{Rejected, Unit};
use super::{h264, h265};
use crate::Shape;

/// Bytes of a length in canonical samples, and where nothing says otherwise.
const USUAL_LENGTH_BYTES: u8 = 4;

/// Which of the two codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    H264,
    H265,
}

impl Syntax {
    fn unit_type(self, unit: &[u8]) -> Option<u8> {
        match self {
            Self::H264 => h264::unit_type(unit),
            Self::H265 => h265::unit_type(unit),
        }
    }

    fn set_id(self, unit: &[u8]) -> Result<Option<u16>, Invalid> {
        match self {
            Self::H264 => h264::set_id(unit),
            Self::H265 => h265::set_id(unit),
        }
    }

    fn note(self, unit: &[u8], kind: u8, summary: &mut Summary) {
        match self {
            Self::H264 => h264::note(unit, kind, summary),
            Self::H265 => h265::note(kind, summary),
        }
    }

    /// The types of set that a decoder needs.
    const fn needed(self) -> &'static [u8] {
        match self {
            Self::H264 => &[h264::SPS, h264::PPS],
            Self::H265 => &h265::SETS,
        }
    }

    fn configure(self, sets: &ParameterSets, given: Option<&Bytes>) -> Result<Record, Invalid> {
        match self {
            Self::H264 => h264::configure(sets, given),
            Self::H265 => h265::configure(sets, given),
        }
    }
}

/// Reads the frames of one track.
#[derive(Debug)]
pub(crate) struct AccessUnits {
    syntax: Syntax,
    /// Bytes of a NAL unit's length, where frames have lengths.
    length_bytes: u8,
    /// The newest frame had start codes, so one that may be read either way has them too.
    start_codes: bool,
    sets: ParameterSets,
    /// The configuration that samples now belong to.
    current: Option<Bytes>,
    /// Parameter sets differ from those in `current`.
    changed: bool,
}

impl AccessUnits {
    /// A reader for a track with the container's `configuration`, and what that says if it is
    /// complete. An empty one, or a record without sets, leaves them to come inline.
    pub(crate) fn new(syntax: Syntax, configuration: &Bytes) -> Result<(Self, Option<Configured>), Invalid> {
        let mut sets = ParameterSets::default();
        let mut given = None;
        let length_bytes = if configuration.is_empty() {
            USUAL_LENGTH_BYTES
        } else if nal::start_code_bytes(configuration).is_some() {
            // Some producers put the sets themselves where the record belongs.
            for unit in nal::units(configuration, Framing::StartCodes).flatten() {
                if let Some((kind, id)) = syntax.unit_type(unit).zip(syntax.set_id(unit)?) {
                    sets.take(unit, id, kind)?;
                }
            }
            USUAL_LENGTH_BYTES
        } else {
            given = Some(configuration);
            match syntax {
                Syntax::H264 => h264::read_record(configuration, &mut sets)?,
                Syntax::H265 => h265::read_record(configuration, &mut sets)?,
            }
        };
        let mut reader =
            Self { syntax, length_bytes, start_codes: false, sets, current: None, changed: true };
        // What is missing here may come inline (`avc3`, `hev1`); the first key frame decides.
        let configured = if reader.complete() { Some(reader.configure(given)?) } else { None };
        Ok((reader, configured))
    }

    /// Whether there is a set of each type that a decoder needs.
    fn complete(&self) -> bool {
        self.syntax.needed().iter().all(|kind| self.sets.of(*kind).next().is_some())
    }

    fn configure(&mut self, given: Option<&Bytes>) -> Result<Configured, Invalid> {
        let record = self.syntax.configure(&self.sets, given)?;
        self.current = Some(record.configuration.clone());
        self.changed = false;
        Ok(Configured {
            configuration: record.configuration,
            shape: Shape::Video { width: record.width, height: record.height },
            reorder_depth: record.reorder_depth,
            frame_seconds: record.frame_seconds,
        })
    }

    /// Which framing `frame` has. Start codes are recognised whatever the record says, because
    /// producers exist that send a record and start codes; but a frame whose lengths add up is
    /// taken by its lengths, for `00 00 01 2c` may be either.
    fn framing_of(&self, frame: &[u8]) -> Result<(Framing, bool), Rejected> {
        let has_start_code = nal::start_code_bytes(frame).is_some();
        if self.start_codes && has_start_code {
            return Ok((Framing::StartCodes, false));
        }
        let mut any_empty = false;
        for unit in nal::units(frame, Framing::Lengths(self.length_bytes)) {
            let said = match unit {
                Ok([]) => {
                    any_empty = true;
                    continue;
                }
                Ok(unit) if self.syntax.unit_type(unit).is_some() => continue,
                Ok(unit) => format!(
                    "a NAL unit begins with the impossible header {:02x?}",
                    unit.get(..2).unwrap_or(unit)
                ),
                Err(overrun) => {
                    format!("a NAL unit claims {} bytes where {} are left", overrun.length, overrun.left)
                }
            };
            if has_start_code {
                return Ok((Framing::StartCodes, false));
            }
            return Err(Rejected::Broken(said));
        }
        Ok((Framing::Lengths(self.length_bytes), self.length_bytes == USUAL_LENGTH_BYTES && !any_empty))
    }

    /// Reads one frame. `key` is what the container says of it.
    pub(crate) fn read(&mut self, frame: &Bytes, key: bool) -> Result<Unit, Rejected> {
        let (framing, canonical) = self.framing_of(frame)?;
        let mut summary =
            Summary { picture: false, random_access: false, only_intra: true, recovery_point: false };
        self.sets.begin_round();
        let mut set_fault = None;
        for unit in nal::units(frame, framing).flatten() {
            let Some(kind) = self.syntax.unit_type(unit) else {
                if unit.is_empty() {
                    continue;
                }
                return Err(Rejected::Broken("a NAL unit has an impossible header".into()));
            };
            if self.syntax.needed().contains(&kind) {
                match self.take_set(unit, kind) {
                    Ok(changed) => self.changed |= changed,
                    Err(fault) => set_fault = Some(fault),
                }
            }
            self.syntax.note(unit, kind, &mut summary);
        }
        self.start_codes = framing == Framing::StartCodes;
        // The container's flag alone makes no key frame: producers exist that flag everything.
        // Without the flag only an IDR picture, or H.265's random access picture, is one.
        let sync = summary.picture
            && (summary.random_access || (key && (summary.recovery_point || summary.only_intra)));
        // A stream that refreshes gradually has no key frame at all, so complete sets do as well.
        let starts = sync || (summary.picture && (key || (self.current.is_none() && self.complete())));
        let configured = self.reconfigure(starts, set_fault)?;
        if !summary.picture {
            return Err(Rejected::NoPicture);
        }
        let data = if canonical {
            frame.clone()
        } else {
            nal::reframe(frame, framing)
                .map_err(|_| Rejected::Broken("a NAL unit ends beyond its frame".into()))?
        };
        Ok(Unit { data, sync, configured })
    }

    fn take_set(&mut self, unit: &[u8], kind: u8) -> Result<bool, Invalid> {
        match self.syntax.set_id(unit)? {
            Some(id) => self.sets.take(unit, id, kind),
            None => Ok(false),
        }
    }

    /// The configuration that begins with this frame, if one does.
    fn reconfigure(&mut self, starts: bool, fault: Option<Invalid>) -> Result<Option<Configured>, Rejected> {
        if !starts {
            return if self.current.is_none() { Err(Rejected::NoConfiguration) } else { Ok(None) };
        }
        if let Some(fault) = fault
            && self.current.is_none()
        {
            return Err(Rejected::Configuration(fault));
        }
        if !self.changed {
            return Ok(None);
        }
        // Sets that come whole replace all older ones: an old PPS need not fit a new SPS.
        if self.syntax.needed().iter().all(|kind| self.sets.has_in_this_round(*kind)) {
            self.sets.keep_only_this_round();
        }
        let before = self.current.clone();
        match self.configure(None) {
            Ok(configured) if before.as_ref() == Some(&configured.configuration) => Ok(None),
            Ok(configured) => Ok(Some(configured)),
            // The sets in force stay in force; the next key frame may repair it.
            Err(fault) if before.is_some() => {
                Err(Rejected::Broken(format!("its parameter sets are unusable: {fault}")))
            }
            Err(fault) => Err(Rejected::Configuration(fault)),
        }
    }
}

#[cfg(test)]
#[path = "access_unit_test.rs"]
mod tests;
