//! Boxes as bytes: the one place that calls the `mp4-atom` crate.
//!
//! It is handed single leaf boxes whose size was capped before; it never sees an `mdat`, a sample
//! table or a `trun`, whose entries are read in place instead of being copied into structs.

use mp4_atom::{Atom, Encode};

use crate::{Error, Fault};

/// Appends `atom` as a whole box.
pub(super) fn encode<T: Atom + Encode>(atom: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    atom.encode(out)
        .map_err(|e| Error::new(Fault::Limit, 0, format!("the {} box cannot be written: {e}", T::KIND)))
}
