//! What a code host tells of a push, signed as GitHub does it: HMAC-SHA256 over the body as it came, with a shared secret.
//!
//! The size is bounded before a byte is hashed, the signature is compared in constant time before a byte is parsed, and each
//! delivery counts once. All that a delivery can do is to let the remote be fetched now: what it says is never applied.

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::ports::ObjectStore as _;
use liminal_functions::ports::Put;
use sha2::Sha256;
use tokio::sync::Notify;

use super::http::Request;
use super::http::Response;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// The largest body, in bytes: what GitHub sends at most ("Webhook events and payloads", 2026-11).
pub(crate) const MAX_BODY_BYTES: usize = 25 << 20;

/// The shortest secret that is taken, in bytes: 128 bits.
const MIN_SECRET_BYTES: usize = 16;

/// The longest id of a delivery, in bytes. GitHub's have 36.
const MAX_DELIVERY_BYTES: usize = 100;

/// A receiver of deliveries.
pub(crate) struct Webhook {
    secret: Vec<u8>,
    /// Where deliveries are written down, each once.
    seen: DirectoryStore,
    /// Tells that there is something to fetch. Several deliveries that come while a pass is under way are one pass.
    pub(crate) wake: Notify,
}

impl Webhook {
    /// A receiver with a secret, which writes deliveries down in a store.
    pub(crate) fn new(secret: &str, seen: DirectoryStore) -> Result<Self, CliError> {
        let secret = secret.trim().as_bytes().to_vec();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(CliError::new(format!("the secret of the webhook has fewer than {MIN_SECRET_BYTES} bytes"))
                .hint("`openssl rand -hex 32` makes a good one")
                .exit(ExitCode::Usage));
        }
        Ok(Self { secret, seen, wake: Notify::new() })
    }

    /// Answers a delivery.
    pub(crate) async fn receive(&self, request: &Request) -> Response {
        if !is_signed(&self.secret, request) {
            return Response::text(401, "the signature is missing or wrong");
        }
        let Some(id) = delivery_id(request) else {
            return Response::text(400, "X-GitHub-Delivery has no id of a delivery");
        };
        match request.header("x-github-event") {
            Some(b"push") => {}
            Some(b"ping") => return Response::text(200, "pong"),
            Some(_) | None => return Response::text(200, "only pushes matter here"),
        }
        match self.seen.put_if_absent(&format!("deliveries/{id}"), b"{}").await {
            Ok(Put::Created(_)) => {
                self.wake.notify_one();
                Response::text(202, "the remote is fetched")
            }
            Ok(Put::Exists) => Response::text(200, "this delivery was seen before"),
            Err(_) => Response::text(503, "the delivery can not be written down; send it again"),
        }
    }
}

/// Whether a request carries the signature of its body.
fn is_signed(secret: &[u8], request: &Request) -> bool {
    let header = request.header("x-hub-signature-256").and_then(|value| std::str::from_utf8(value).ok());
    let Some(signature) = header.and_then(|text| text.strip_prefix("sha256=")).and_then(bytes_of_hex) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(&request.body);
    mac.verify_slice(&signature).is_ok()
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The id of a delivery, which becomes part of the key of an object.
fn delivery_id(request: &Request) -> Option<&str> {
    let id = std::str::from_utf8(request.header("x-github-delivery")?).ok()?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !id.is_empty() && id.len() <= MAX_DELIVERY_BYTES).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's "Validating webhook deliveries".
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn request(body: &[u8], headers: &[(&str, &str)]) -> Request {
        Request::new("POST", "/", headers, body)
    }

    #[test]
    fn the_signature_of_the_documentation_is_accepted_and_no_other() {
        let signed = |body: &[u8], header: &str| is_signed(SECRET, &request(body, &[("X-Hub-Signature-256", header)]));
        assert!(signed(BODY, SIGNATURE));
        assert!(!signed(b"Hello, World?", SIGNATURE), "the body was altered");
        assert!(!signed(BODY, &SIGNATURE.replace("757", "758")), "the signature is wrong");
        for header in [
            "",
            "sha256=",
            "sha256=75",
            SIGNATURE.trim_start_matches("sha256="),
            "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ] {
            assert!(!signed(BODY, header), "{header:?}");
        }
        assert!(!is_signed(SECRET, &request(BODY, &[("X-Hub-Signature", SIGNATURE)])), "sha1 alone is not enough");
        let twice = [("X-Hub-Signature-256", SIGNATURE), ("X-Hub-Signature-256", SIGNATURE)];
        assert!(!is_signed(SECRET, &request(BODY, &twice)), "nobody can tell which is meant");
    }

    #[test]
    fn ids_of_deliveries_lead_nowhere_else() {
        for (id, fine) in [
            ("72d3162e-cc78-11e3-81ab-4c9367dc0958", true),
            ("../../state/prod.json", false),
            ("a/b", false),
            ("", false),
            (&"x".repeat(101), false),
        ] {
            assert_eq!(delivery_id(&request(b"", &[("x-github-delivery", id)])).is_some(), fine, "{id}");
        }
    }
}
