//! Encryption at rest: the keys, and how a record's payload is encrypted with them.
//!
//! Where key-encryption keys come from is not known here, nor what the payloads are.

mod cipher;
mod keyring;
mod secret;
mod stream;

pub(crate) use cipher::RecordCipher;
pub use keyring::Keyring;
pub(crate) use keyring::{Unusable, WrapPlace};
pub use secret::{Fingerprint, Secret};
pub(crate) use stream::{DataKey, StreamKeys, check_streams, destroy};
