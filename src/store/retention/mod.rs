//! How long recordings are kept and how much room they take: what the volume has left, and what
//! that allows.
//!
//! Nothing here writes or reads fragments.

mod ballast;
mod space;

pub(crate) use ballast::Ballast;
pub(crate) use space::Watch;
pub use space::{Pressure, Space};
