//! Plain scalars: which are numbers, booleans or nothing, and which are text.

use super::Kind;

/// No number that fits anything is longer.
const MAX_NUMBER_BYTES: usize = 64;

/// Why a plain scalar is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A whole number that needs more than 64 bits.
    TooLarge,
    /// Infinity, or not a number.
    NotFinite,
}

/// Reads a plain scalar by the core rules of YAML 1.2; none when it is text.
pub(super) fn resolve(text: &str) -> Option<Result<Kind, Refusal>> {
    let first = *text.as_bytes().first().unwrap_or(&b'~');
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => resolve_number(text),
        b'~' | b't' | b'T' | b'f' | b'F' | b'n' | b'N' if text.len() <= 5 => resolve_by_serde(text),
        _ => None,
    }
}

fn resolve_number(text: &str) -> Option<Result<Kind, Refusal>> {
    let could_be = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !could_be {
        return None;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if decimal && (digits == "0" || !digits.starts_with('0')) {
        return Some(text.parse().map(Kind::Int).map_err(|_| Refusal::TooLarge));
    }
    if text.len() <= MAX_NUMBER_BYTES && is_simple_fraction(digits) {
        return text.parse().ok().map(|number| Ok(Kind::Float(number)));
    }
    if text.len() > MAX_NUMBER_BYTES {
        return None;
    }
    resolve_by_serde(text)
}

/// Whether a text is `12.5`: what nearly all fractions look like, read without a parser.
fn is_simple_fraction(digits: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .split_once('.')
        .is_some_and(|(whole, part)| all_digits(whole) && all_digits(part) && (whole == "0" || !whole.starts_with('0')))
}

fn resolve_by_serde(text: &str) -> Option<Result<Kind, Refusal>> {
    if text.is_empty() {
        return Some(Ok(Kind::Null));
    }
    match serde_yaml::from_str(text).ok()? {
        serde_yaml::Value::Null => Some(Ok(Kind::Null)),
        serde_yaml::Value::Bool(value) => Some(Ok(Kind::Bool(value))),
        serde_yaml::Value::Number(number) => Some(match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(Kind::Int(number)),
            (None, _) if number.is_u64() => Err(Refusal::TooLarge),
            (None, Some(number)) if number.is_finite() => Ok(Kind::Float(number)),
            (None, _) => Err(Refusal::NotFinite),
        }),
        serde_yaml::Value::String(_)
        | serde_yaml::Value::Sequence(_)
        | serde_yaml::Value::Mapping(_)
        | serde_yaml::Value::Tagged(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_what_yaml_1_2_says() {
        let seen = |text: &str| format!("{:?}", resolve(text));
        for text in ["no", "yes", "on", "012", "1_000", "hello", "-", "2026-11-24", "1:30", "nope", "truest", "0x"] {
            assert_eq!(seen(text), "None", "{text}");
        }
        assert_eq!(seen("true"), "Some(Ok(Bool(true)))");
        assert_eq!(seen("~"), "Some(Ok(Null))");
        assert_eq!(seen(""), "Some(Ok(Null))");
        assert_eq!(seen("-7"), "Some(Ok(Int(-7)))");
        assert_eq!(seen("0x1F"), "Some(Ok(Int(31)))");
        assert_eq!(seen("0o17"), "Some(Ok(Int(15)))");
        assert_eq!(seen("1e3"), "Some(Ok(Float(1000.0)))");
        for text in ["0.5", "-12.25", "+3.0", "1e-3", "5.", ".5"] {
            let by_serde: f64 = serde_yaml::from_str(text).expect("a number");
            assert_eq!(seen(text), format!("Some(Ok(Float({by_serde:?})))"), "{text}");
        }
        assert_eq!(seen("9223372036854775808"), "Some(Err(TooLarge))");
        assert_eq!(seen(&"9".repeat(400)), "Some(Err(TooLarge))");
        assert_eq!(seen(".nan"), "Some(Err(NotFinite))");
        assert_eq!(seen("-.inf"), "Some(Err(NotFinite))");
    }
}
