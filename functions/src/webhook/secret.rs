//! The secret that a code host and a receiver share.

use std::fmt;

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use sha2::Sha256;

/// The shortest secret that is taken, in bytes: 128 bits.
pub const MIN_SECRET_BYTES: usize = 16;

/// What deliveries are signed with. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// A secret that can be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the webhook has fewer than {MIN_SECRET_BYTES} bytes")]
pub struct SecretTooShort;

impl SigningSecret {
    /// A secret as a file or a service holds it: white space around it is none of it.
    ///
    /// # Errors
    /// When it has fewer than [`MIN_SECRET_BYTES`].
    pub fn new(text: &str) -> Result<Self, SecretTooShort> {
        let bytes = text.trim().as_bytes().to_vec();
        if bytes.len() < MIN_SECRET_BYTES { Err(SecretTooShort) } else { Ok(Self(bytes)) }
    }

    /// Whether a signature is that of a body. How long it takes tells nothing of where they differ.
    pub(super) fn signed(&self, body: &[u8], signature: &[u8; 32]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return false };
        mac.update(body);
        mac.verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_worth_its_name_and_shown_nowhere() {
        assert_eq!(SigningSecret::new("  0123456789abcde \n"), Err(SecretTooShort));
        let secret = SigningSecret::new("0123456789abcdef\n").expect("long enough");
        assert_eq!(secret, SigningSecret::new("0123456789abcdef").expect("long enough"));
        assert_eq!(format!("{secret:?}"), "***");
    }
}
