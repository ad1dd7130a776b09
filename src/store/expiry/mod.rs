//! Limits and pins put into effect: what streams give up, when, and how callers change it.
//!
//! Which fragments a limit demands is told in `retention`.

mod enforce;
mod pass;
mod settings;

pub(crate) use pass::{outlook, pass, pass_unless_busy};
pub use settings::Pinned;
