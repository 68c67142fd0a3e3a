//! What a code host tells of a push, signed as GitHub does it: HMAC-SHA256 over the body as it came, with a shared secret.
//!
//! The size is bounded before a byte is hashed, the signature is compared in constant time before a byte is parsed, and each
//! delivery counts once. All that a delivery can do is to let the remote be fetched: what it says is never applied, or even
//! read.
//!
//! `judge` decides and does nothing. `receive` passes a push on and writes down that it did. How requests arrive is left to
//! whoever calls: a server on a machine, or a function with an address of its own.

mod judge;
mod receive;
mod secret;

pub use self::judge::DeliveryId;
pub use self::judge::Headers;
pub use self::judge::Limit;
pub use self::judge::Verdict;
pub use self::judge::judge;
pub use self::receive::Answer;
pub use self::receive::Messenger;
pub use self::receive::ReceiveError;
pub use self::receive::receive;
pub use self::secret::MIN_SECRET_BYTES;
pub use self::secret::SecretTooShort;
pub use self::secret::SigningSecret;
