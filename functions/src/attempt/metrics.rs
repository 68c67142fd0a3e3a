//! Metrics files: a flat JSON object of finite numbers.

use std::collections::BTreeMap;

/// The longest metrics file, in bytes: thousands of numbers. Anything longer is data, not metrics.
pub const MAX_METRICS_BYTES: u64 = 1 << 20;

/// Reads the numbers of a metrics file.
///
/// # Errors
/// A clause that says what is wrong, and with which key.
pub fn parse(text: &[u8]) -> Result<BTreeMap<String, f64>, String> {
    let values: BTreeMap<String, serde_json::Value> = serde_json::from_slice(text).map_err(|error| {
        let unsayable = ["NaN", "Infinity"].iter().any(|word| String::from_utf8_lossy(text).contains(word));
        if unsayable {
            "holds NaN or Infinity, which are no finite numbers".to_owned()
        } else {
            format!("is no JSON object of numbers: {error}")
        }
    })?;
    let number = |(key, value): (String, serde_json::Value)| match value.as_f64().filter(|number| number.is_finite()) {
        Some(number) => Ok((key, number)),
        None => {
            let kind = match value {
                serde_json::Value::Null => "null",
                serde_json::Value::Bool(_) => "a boolean",
                serde_json::Value::Number(_) => "no finite number",
                serde_json::Value::String(_) => "a text",
                serde_json::Value::Array(_) => "a list",
                serde_json::Value::Object(_) => "an object",
            };
            Err(format!("holds {kind} under `{key}`, but metrics are a flat object of numbers"))
        }
    };
    values.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read() {
        let metrics = parse(br#"{"auc": 0.5, "rows": 12}"#).expect("metrics");
        assert_eq!(metrics.get("rows"), Some(&12.0));
    }

    #[test]
    fn what_is_no_number_is_named() {
        insta::assert_snapshot!(parse(br#"{"a": 1, "ok": true}"#).unwrap_err(), @"holds a boolean under `ok`, but metrics are a flat object of numbers");
        insta::assert_snapshot!(parse(br#"{"a": {"b": 1}}"#).unwrap_err(), @"holds an object under `a`, but metrics are a flat object of numbers");
        insta::assert_snapshot!(parse(br#"{"a": NaN}"#).unwrap_err(), @"holds NaN or Infinity, which are no finite numbers");
        insta::assert_snapshot!(parse(b"[1]").unwrap_err(), @"is no JSON object of numbers: invalid type: sequence, expected a map at line 1 column 0");
    }
}
