//! How long recordings are kept and how much room they take: which fragments go, by which time, what
//! the volume has left, and when it runs out.
//!
//! Streams and the volume they lie on are unknown here; `expiry` applies all this to them.

mod ballast;
mod forecast;
mod policy;
mod space;
mod trust;

pub(crate) use ballast::Ballast;
pub(crate) use forecast::{Left, Rate};
pub use forecast::{NextExpiry, Outlook};
pub(crate) use policy::{Piece, Rule, Whole};
pub(crate) use space::Watch;
pub use space::{Pressure, Space};
pub(crate) use trust::Trust;
