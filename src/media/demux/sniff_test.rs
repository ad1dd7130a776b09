//! What first bytes show.
