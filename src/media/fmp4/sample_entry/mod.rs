//! Sample entries (§8.5.2): how a track says which codec it is in.

mod descriptor;
pub(super) mod read;
pub(super) mod write;
