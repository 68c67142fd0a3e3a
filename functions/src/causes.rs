//! Errors as one line, for logs, notes and records that keep a text.

use std::error::Error;

/// An error with all its causes, outermost first.
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
