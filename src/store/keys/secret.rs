//! A 256-bit secret, and what is derived from it.
//!
//! It shows itself to nobody and leaves nothing in memory when it goes.

use std::fmt;
use std::io;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use kinora_base::Random;
use zeroize::Zeroizing;

/// A key of 256 bits.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; Self::BYTES]>);

/// What tells one key-encryption key from another without giving it away: 8 bytes derived from it,
/// written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub(crate) [u8; 8]);

/// The cryptographic library refused, which it does for no input of ours.
pub(super) fn refused(_: Unspecified) -> io::Error {
    io::Error::other("the cryptographic library failed")
}

impl Secret {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// A new one.
    ///
    /// # Errors
    /// Those of `random`.
    pub fn generate(random: &dyn Random) -> io::Result<Self> {
        let mut secret = Self(Zeroizing::new([0; Self::BYTES]));
        random.fill(secret.0.as_mut())?;
        Ok(secret)
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::BYTES {
            return None;
        }
        let mut secret = Self(Zeroizing::new([0; Self::BYTES]));
        for (to, pair) in secret.0.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                *to = *to << 4 | char::from(*digit).to_digit(16)? as u8;
            }
        }
        Some(secret)
    }

    /// As 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * Self::BYTES));
        for nibble in self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        text
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(*bytes.first_chunk().filter(|_| bytes.len() == Self::BYTES)?)))
    }

    pub(super) fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The secret that follows from this one for the purpose that `parts` name, joined (HKDF-Expand
    /// with SHA-256, RFC 5869 §2.3; ours are uniformly random, so nothing need be extracted). Of
    /// one purpose, all parts but the last have a fixed length.
    pub(super) fn derive(&self, parts: &[&[u8]]) -> io::Result<Self> {
        let mut derived = Self(Zeroizing::new([0; Self::BYTES]));
        let key = Prk::new_less_safe(HKDF_SHA256, self.0.as_ref());
        key.expand(parts, HKDF_SHA256).and_then(|okm| okm.fill(derived.0.as_mut())).map_err(refused)?;
        Ok(derived)
    }

    /// It as a key for AES-256-GCM.
    pub(super) fn cipher(&self) -> io::Result<LessSafeKey> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.0.as_ref()).map_err(refused)?))
    }

    /// What to call it.
    ///
    /// # Errors
    /// None that is known of: those of the cryptographic library.
    pub fn fingerprint(&self) -> io::Result<Fingerprint> {
        let derived = self.derive(&[b"kinora key fingerprint"])?;
        Ok(Fingerprint(derived.0.first_chunk().copied().unwrap_or_default()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_make_the_key_and_come_back() {
        let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let secret = Secret::from_hex(text).unwrap();
        assert_eq!(secret.bytes()[..4], [0, 1, 2, 3]);
        assert_eq!(secret.to_hex().as_str(), text);
        for wrong in ["", "00", &text[1..], &text.replace('a', "g"), &format!("{text}0")] {
            assert!(Secret::from_hex(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn derivation_is_hkdf_expand_and_purposes_do_not_mix() {
        // RFC 5869 test case 1: its first 32 bytes of output follow from PRK and info alone.
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        let info = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9];
        let secret = Secret::from_hex(prk).unwrap();
        assert_eq!(
            secret.derive(&[&info[..4], &info[4..]]).unwrap().to_hex().as_str(),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
        assert_ne!(secret.fingerprint().unwrap().0[..], secret.bytes()[..8]);
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let secret = Secret::from_hex(&"ab".repeat(32)).unwrap();
        assert!(!format!("{secret:?}").contains("ab"));
    }
}
