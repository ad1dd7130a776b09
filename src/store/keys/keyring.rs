//! The key-encryption keys: the current one, which wraps, and older ones, which can still unwrap.
//!
//! Which data keys there are, and where they are kept, is not known here.

use std::io;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use bytes::BufMut;
use kinora_base::{Random, StreamName, WallTime};

use super::secret::refused;
use super::{Fingerprint, Secret};
use crate::format::WrappedKey;

/// What encrypts a store: key-encryption keys, and a source of new data keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// The current one first.
    keys: Vec<EncryptionKey>,
    random: Arc<dyn Random>,
}

#[derive(Debug, Clone)]
struct EncryptionKey {
    fingerprint: Fingerprint,
    secret: Secret,
    wrapping: Arc<LessSafeKey>,
}

/// Where a data key is kept: a wrapped key that was moved there from elsewhere cannot be unwrapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrapPlace<'a> {
    pub(crate) stream: &'a StreamName,
}

/// Why a data key cannot be unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The key-encryption key that it needs is not there.
    Unknown(Fingerprint),
    /// It is there, but says that this is not what it wrapped.
    Forged,
}

impl Keyring {
    /// A ring that wraps with `current` and unwraps with `older` ones, too. New keys come from
    /// `random`.
    ///
    /// # Errors
    /// None that is known of: those of the cryptographic library.
    pub fn new(current: Secret, older: Vec<Secret>, random: Arc<dyn Random>) -> io::Result<Self> {
        let keys = std::iter::once(current).chain(older).map(EncryptionKey::new);
        Ok(Self { keys: keys.collect::<io::Result<_>>()?, random })
    }

    /// The keys' fingerprints, that of the current one first.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.keys.iter().map(|key| key.fingerprint)
    }

    fn current(&self) -> io::Result<&EncryptionKey> {
        self.keys.first().ok_or_else(|| io::Error::other("the key ring is empty"))
    }

    /// Whether `wrapped` was wrapped by the current key.
    pub(crate) fn is_current(&self, wrapped: &WrappedKey) -> bool {
        self.keys.first().is_some_and(|key| key.fingerprint.0 == wrapped.fingerprint)
    }

    /// Fills `to` with random bytes.
    pub(crate) fn random(&self, to: &mut [u8]) -> io::Result<()> {
        self.random.fill(to)
    }

    /// A new data key for `day`, and how it is kept.
    pub(crate) fn generate(
        &self,
        place: WrapPlace<'_>,
        id: u32,
        day: u32,
    ) -> io::Result<(Secret, WrappedKey)> {
        let secret = Secret::generate(self.random.as_ref())?;
        let wrapped = self.wrap(place, id, day, &secret)?;
        Ok((secret, wrapped))
    }

    /// Wraps a data key with the current key-encryption key. The nonce is random: NIST SP 800-38D
    /// §8.3 allows 2^32 of them under one key, and a thousand streams take 11 million in 30 years.
    pub(crate) fn wrap(
        &self,
        place: WrapPlace<'_>,
        id: u32,
        day: u32,
        secret: &Secret,
    ) -> io::Result<WrappedKey> {
        let key = self.current()?;
        let mut wrapped =
            WrappedKey { id, day, fingerprint: key.fingerprint.0, nonce: [0; 12], wrapped: [0; 48] };
        self.random.fill(&mut wrapped.nonce)?;
        let about = Aad::from(place.describe(&wrapped));
        let Some((content, tag)) = wrapped.wrapped.split_first_chunk_mut::<{ Secret::BYTES }>() else {
            return Err(io::Error::other("a wrapped key has no room for its key"));
        };
        *content = *secret.bytes();
        let nonce = Nonce::assume_unique_for_key(wrapped.nonce);
        let made = key.wrapping.seal_in_place_separate_tag(nonce, about, content).map_err(refused)?;
        tag.copy_from_slice(made.as_ref());
        Ok(wrapped)
    }

    /// Unwraps a data key that is kept in `place`.
    pub(crate) fn unwrap(&self, place: WrapPlace<'_>, wrapped: &WrappedKey) -> Result<Secret, Unusable> {
        let fingerprint = Fingerprint(wrapped.fingerprint);
        let key = self.keys.iter().find(|key| key.fingerprint == fingerprint);
        let key = key.ok_or(Unusable::Unknown(fingerprint))?;
        let mut content = zeroize::Zeroizing::new(wrapped.wrapped);
        let nonce = Nonce::assume_unique_for_key(wrapped.nonce);
        let about = Aad::from(place.describe(wrapped));
        let opened = key.wrapping.open_in_place(nonce, about, content.as_mut());
        opened.ok().and_then(|bytes| Secret::from_bytes(bytes)).ok_or(Unusable::Forged)
    }

    /// The key of the checksums by which a stream's repeated fragments are recognized: a plain
    /// checksum of what is encrypted would give away something of it.
    pub(crate) fn checksums(&self, stream: &StreamName, created: WallTime) -> io::Result<Secret> {
        let created = created.as_micros().to_le_bytes();
        self.current()?.secret.derive(&[b"kinora content checksum", &created, stream.as_str().as_bytes()])
    }
}

impl EncryptionKey {
    fn new(secret: Secret) -> io::Result<Self> {
        let wrapping = secret.derive(&[b"kinora data key wrapping"])?.cipher()?;
        Ok(Self { fingerprint: secret.fingerprint()?, wrapping: Arc::new(wrapping), secret })
    }
}

impl WrapPlace<'_> {
    /// What the tag of a wrapped key covers beside the key: all of fixed length but the name.
    fn describe(&self, wrapped: &WrappedKey) -> Vec<u8> {
        let mut about = Vec::new();
        about.put_u32_le(wrapped.id);
        about.put_u32_le(wrapped.day);
        about.put_slice(&wrapped.fingerprint);
        about.put_slice(self.stream.as_str().as_bytes());
        about
    }
}

#[cfg(test)]
mod tests {
    use kinora_base::PredictableRandom;

    use super::*;

    fn ring(keys: &[u8]) -> Keyring {
        let mut keys = keys.iter().map(|n| Secret::from_hex(&format!("{n:02x}").repeat(32)).unwrap());
        let random = Arc::new(PredictableRandom::from_seed(5));
        Keyring::new(keys.next().unwrap(), keys.collect(), random).unwrap()
    }

    fn cam() -> StreamName {
        StreamName::new("cam").unwrap()
    }

    #[test]
    fn a_wrapped_key_is_unwrapped_by_the_key_that_wrapped_it() {
        let cam = cam();
        let place = WrapPlace { stream: &cam };
        let (secret, wrapped) = ring(&[1]).generate(place, 7, 20_777).unwrap();
        assert!(!wrapped.wrapped.windows(8).any(|some| secret.bytes().starts_with(some)));
        assert_eq!(ring(&[1]).unwrap(place, &wrapped).unwrap().bytes(), secret.bytes());
        assert_eq!(ring(&[2, 1]).unwrap(place, &wrapped).unwrap().bytes(), secret.bytes());
        assert!(!ring(&[2, 1]).is_current(&wrapped));
        let wanted = ring(&[1]).fingerprints().next().unwrap();
        assert_eq!(ring(&[2]).unwrap(place, &wrapped).unwrap_err(), Unusable::Unknown(wanted));
    }

    #[test]
    fn a_wrapped_key_that_was_changed_or_moved_is_refused() {
        let (cam, other) = (cam(), StreamName::new("cam2").unwrap());
        let place = WrapPlace { stream: &cam };
        let ring = ring(&[1]);
        let (_, wrapped) = ring.generate(place, 7, 20_777).unwrap();
        let mut changed = wrapped;
        changed.wrapped[3] ^= 1;
        let elsewhere = ring.unwrap(WrapPlace { stream: &other }, &wrapped);
        for refused in [
            ring.unwrap(place, &changed),
            ring.unwrap(place, &WrappedKey { day: 20_778, ..wrapped }),
            ring.unwrap(place, &WrappedKey { id: 8, ..wrapped }),
            ring.unwrap(place, &WrappedKey { nonce: [0; 12], ..wrapped }),
            elsewhere,
        ] {
            assert_eq!(refused.unwrap_err(), Unusable::Forged);
        }
    }
}
