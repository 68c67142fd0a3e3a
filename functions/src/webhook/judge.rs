//! What a delivery is worth, by its size, its signature and its headers alone. Nothing is read but these, and nothing is done.

use super::secret::SigningSecret;

/// The longest id of a delivery, in bytes. GitHub's have 36.
const MAX_DELIVERY_BYTES: usize = 100;

/// The headers of a request.
pub trait Headers {
    /// A header, whatever the case of its name; none when there is none, or more than one, since nobody can tell which is
    /// meant.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

/// The most bytes that a body may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub usize);

/// The id of a delivery: letters, digits and `-` alone, so that it may become part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryId(String);

impl DeliveryId {
    fn new(bytes: &[u8]) -> Option<Self> {
        let id = std::str::from_utf8(bytes).ok()?;
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (plain && !id.is_empty() && id.len() <= MAX_DELIVERY_BYTES).then(|| Self(id.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a delivery is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its body is longer than the limit. It was not hashed.
    TooLong(Limit),
    /// It is signed by nobody who knows the secret.
    Unsigned,
    /// Nobody can tell whether it came before.
    Nameless,
    /// The host asks whether somebody is there.
    Ping,
    /// It tells of something else than a push.
    Other,
    /// Somebody pushed.
    Push(DeliveryId),
}

/// Judges a delivery. Its body is only ever hashed.
pub fn judge(secret: &SigningSecret, limit: Limit, headers: &impl Headers, body: &[u8]) -> Verdict {
    if body.len() > limit.0 {
        return Verdict::TooLong(limit);
    }
    if !signature(headers).is_some_and(|signature| secret.signed(body, &signature)) {
        return Verdict::Unsigned;
    }
    let Some(id) = headers.header("x-github-delivery").and_then(DeliveryId::new) else { return Verdict::Nameless };
    match headers.header("x-github-event") {
        Some(b"push") => Verdict::Push(id),
        Some(b"ping") => Verdict::Ping,
        Some(_) | None => Verdict::Other,
    }
}

/// The signature by SHA-256. The one by SHA-1 that GitHub sends along proves nothing.
fn signature(headers: &impl Headers) -> Option<[u8; 32]> {
    let header = std::str::from_utf8(headers.header("x-hub-signature-256")?).ok()?;
    bytes_of_hex(header.strip_prefix("sha256=")?)
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's "Validating webhook deliveries".
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const ID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

    struct Given<'a>(Vec<(&'a str, &'a str)>);

    impl Headers for Given<'_> {
        fn header(&self, name: &str) -> Option<&[u8]> {
            let mut found = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let (_, value) = found.next()?;
            found.next().is_none().then_some(value.as_bytes())
        }
    }

    fn judged(limit: usize, body: &[u8], headers: &[(&str, &str)]) -> Verdict {
        judge(&SigningSecret::new(SECRET).expect("long enough"), Limit(limit), &Given(headers.to_vec()), body)
    }

    fn push(body: &[u8], signature: &str) -> Verdict {
        let headers = [("X-Hub-Signature-256", signature), ("X-GitHub-Delivery", ID), ("X-GitHub-Event", "push")];
        judged(100, body, &headers)
    }

    #[test]
    fn the_signature_of_the_documentation_is_accepted_and_no_other() {
        assert_eq!(push(BODY, SIGNATURE), Verdict::Push(DeliveryId(ID.to_owned())));
        assert_eq!(push(b"Hello, World?", SIGNATURE), Verdict::Unsigned, "the body was altered");
        assert_eq!(push(BODY, &SIGNATURE.replace("757", "758")), Verdict::Unsigned, "the signature is wrong");
        for header in [
            "",
            "sha256=",
            "sha256=75",
            SIGNATURE.trim_start_matches("sha256="),
            &SIGNATURE.replace("757107", "+57107"),
            "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            &format!("{SIGNATURE}, {SIGNATURE}"),
        ] {
            assert_eq!(push(BODY, header), Verdict::Unsigned, "{header:?}");
        }
        assert_eq!(judged(100, BODY, &[("X-Hub-Signature", SIGNATURE)]), Verdict::Unsigned, "sha1 is not enough");
        let twice = [("X-Hub-Signature-256", SIGNATURE), ("X-Hub-Signature-256", SIGNATURE)];
        assert_eq!(judged(100, BODY, &twice), Verdict::Unsigned, "nobody can tell which is meant");
    }

    #[test]
    fn a_body_that_is_too_long_is_not_even_hashed() {
        let headers = [("X-Hub-Signature-256", SIGNATURE), ("X-GitHub-Delivery", ID), ("X-GitHub-Event", "push")];
        assert_eq!(judged(BODY.len(), BODY, &headers), Verdict::Push(DeliveryId(ID.to_owned())));
        assert_eq!(judged(BODY.len() - 1, BODY, &headers), Verdict::TooLong(Limit(BODY.len() - 1)));
    }

    #[test]
    fn ids_of_deliveries_lead_nowhere_else() {
        for (id, fine) in [
            (ID, true),
            ("../../state/prod.json", false),
            ("a/b", false),
            ("a b", false),
            ("", false),
            (&"x".repeat(101), false),
        ] {
            let headers = [("X-Hub-Signature-256", SIGNATURE), ("X-GitHub-Delivery", id), ("X-GitHub-Event", "push")];
            assert_eq!(judged(100, BODY, &headers) == Verdict::Nameless, !fine, "{id}");
        }
    }

    #[test]
    fn only_pushes_matter() {
        let event = |event: &str| {
            judged(
                100,
                BODY,
                &[("X-Hub-Signature-256", SIGNATURE), ("X-GitHub-Delivery", ID), ("X-GitHub-Event", event)],
            )
        };
        assert_eq!(event("ping"), Verdict::Ping);
        for other in ["pull_request", "PUSH", ""] {
            assert_eq!(event(other), Verdict::Other, "{other}");
        }
    }
}
