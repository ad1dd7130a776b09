//! Producer bytes to fragments and acks.
//!
//! ```text
//! bytes → session (demuxer + assembler, sans-IO) → steps → put (store writer, async) → acks
//! ```
//!
//! It never writes HTTP: acks are values, and each dialect of `api` writes them its own way.

mod ack;
mod assembler;
mod clocks;
mod connection;
mod cut_settings;
mod drift;
mod early;
mod open_fragment;
mod opening;
mod producer_clock;
mod put;
mod refusal;
mod repeat;
mod session;
mod step;
mod track_queue;

pub use ack::{Ack, AckedFragment};
pub use clocks::{ClockWatch, Clocks};
pub use connection::{BodyError, Ending, PutSettings};
pub use cut_settings::CutSettings;
pub use drift::{Drift, Measured};
pub use opening::Opening;
pub use producer_clock::Timing;
pub use put::Put;
pub use refusal::Refusal;
pub use session::Session;
pub use step::Step;
