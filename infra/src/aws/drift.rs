//! Where a resource differs from its document.

/// A field that is not as the resource's document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDrift {
    /// The field, in the words of the document.
    pub field: &'static str,
    /// What the document says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Fields that were compared.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    drift: Vec<FieldDrift>,
}

impl Comparison {
    /// Compares one field.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike are compared")]
    pub(super) fn field(&mut self, field: &'static str, expected: impl ToString, found: impl ToString) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.drift.push(FieldDrift { field, expected, found });
        }
    }

    /// Compares one field of which there may be nothing.
    pub(super) fn optional(&mut self, field: &'static str, expected: impl ToString, found: Option<impl ToString>) {
        self.field(field, expected, found.map_or_else(|| "nothing".to_owned(), |found| found.to_string()));
    }

    /// What differs.
    pub(super) fn finish(self) -> Vec<FieldDrift> {
        self.drift
    }
}
