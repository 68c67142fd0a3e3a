//! Durations and sizes.

use super::Context;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;

/// Units of time, in seconds.
const TIME_UNITS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

const DURATION_HINT: &str = "write a number and a unit: 500ms, 30s, 5m, 2h, 1d";

/// Units of size, in bytes.
const SIZE_UNITS: &[(&str, f64)] = &[
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
];

const BYTES_PER_MIB: f64 = 1_048_576.0;

/// The longest duration, in seconds: a year. More is a mistake in the unit.
const MAX_SECONDS: f64 = 365.0 * 86_400.0;

/// The largest size, in MiB: a pebibyte.
const MAX_MIB: f64 = (1_u64 << 30) as f64;

impl Context {
    /// A duration in seconds: `500ms`, `30s`, `5m`, `2h`, `1d`, or a number of seconds.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<f64> {
        let seconds = self.span_of_time(node, what)?;
        if seconds > MAX_SECONDS {
            self.invalid(&node.span, format!("{what} is longer than a year"), DURATION_HINT);
            return None;
        }
        Some(seconds)
    }

    /// A duration in seconds, however long.
    pub(super) fn span_of_time(&mut self, node: &Node, what: &str) -> Option<f64> {
        self.quantity(node, what, TIME_UNITS, 1.0, DURATION_HINT)
    }

    /// A duration in whole seconds, of which there must be one at least; parts of a second count as a whole one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`duration` has checked the bounds")]
    pub(super) fn whole_seconds(&mut self, node: &Node, what: &str) -> Option<u64> {
        let seconds = self.duration(node, what)?;
        if seconds < 1.0 {
            self.invalid(&node.span, format!("{what} is shorter than a second"), "a second is the least");
            return None;
        }
        Some(seconds.ceil() as u64)
    }

    /// A size in MiB: `512MiB`, `2GiB`, `500MB`, or a number of MiB. Parts of a MiB count as a whole one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked")]
    pub(super) fn size_mib(&mut self, node: &Node, what: &str) -> Option<u64> {
        let hint = "write a number and a unit: 512MiB, 2GiB, 500MB, 1GB";
        let mib = self.quantity(node, what, SIZE_UNITS, BYTES_PER_MIB, hint)? / BYTES_PER_MIB;
        if !(mib > 0.0 && mib <= MAX_MIB) {
            self.invalid(&node.span, format!("{what} is out of bounds"), "from 1MiB to 1024TiB is allowed");
            return None;
        }
        Some(mib.ceil() as u64)
    }

    fn quantity(&mut self, node: &Node, what: &str, units: &[(&str, f64)], plain: f64, hint: &str) -> Option<f64> {
        let amount = match &node.kind {
            #[expect(clippy::cast_precision_loss, reason = "bounds are checked after that")]
            Kind::Int(number) => Some(*number as f64 * plain),
            Kind::Float(number) => Some(number * plain),
            Kind::Text { text, .. } => parse(text, units),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) | Kind::Refused => {
                self.wrong_type(node, what, "a number with a unit", Some(hint));
                return None;
            }
        };
        if amount.is_none_or(|amount| amount < 0.0) {
            self.invalid(&node.span, format!("{what} can not be read"), hint);
            return None;
        }
        amount
    }
}

fn parse(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number * factor)
}
