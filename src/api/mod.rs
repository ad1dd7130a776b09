//! The only room that serves HTTP: dialects over the same rooms below, and who may call them.

mod auth;
mod description;
mod error;
mod guesses;
mod native;
mod operations;
mod origin;
mod router;
mod state;
mod web;

pub use auth::Auth;
pub use error::ApiError;
pub use router::{openapi, router};
pub use state::{AppState, Settings};
