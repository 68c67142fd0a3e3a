//! `map:` of a step.

use super::Context;
use super::MAX_ITEMS;
use super::aws::problem_with_bucket;
use super::fields::Fields;
use super::fields::shorten;
use super::keys;
use super::triggers::problem_with_part;
use super::triggers::problem_with_prefix;
use crate::definition::model::MapDefinition;
use crate::definition::model::MapOver;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;
use crate::map::ObjectFilter;
use crate::map::Tolerance;
use crate::value::Value;

/// The keys of which a map has one.
const SOURCES: &[&str] = &["over", "rows", "objects"];

/// What the address of objects begins with.
const ADDRESS: &str = "s3://";

/// The most items that one attempt may be given.
const MAX_BATCH: u32 = 10_000;

/// The most items that may be worked on at once: what an event source mapping of SQS takes.
const MAX_CONCURRENCY: u32 = 1000;

impl Context {
    /// A reference, a list, or a map with more settings.
    pub(super) fn map_over(&mut self, key: &Key, node: Node) -> Option<MapDefinition> {
        let span = key.span.clone();
        let plain = |over| MapDefinition { over, batch: None, max_concurrency: None, tolerated: Tolerance::default() };
        match node.kind {
            Kind::Text { ref text, .. } if text.starts_with(ADDRESS) => {
                let objects = self.address(node)?;
                Some(plain(MapOver::Objects(objects)))
            }
            Kind::Text { .. } => {
                let reference = self.text(node, "what a step maps over")?;
                Some(plain(MapOver::Reference(reference)))
            }
            Kind::List(_) => {
                let values = self.map_values(node)?;
                Some(plain(MapOver::Values(values)))
            }
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
                let hint = "write `map: STEP.OUTPUT`, `map: params.NAME`, or a list";
                self.wrong_type(&node, "`map`", "a reference or a list", Some(hint));
                None
            }
            Kind::Refused | Kind::Map(_) => {
                let mut fields = Fields::open(node, &span, &keys::MAP, self)?;
                let over = self.map_source(&mut fields);
                let batch = fields.take("batch").and_then(|(_, node)| self.whole(&node, "the batch", 1..=MAX_BATCH));
                let max_concurrency = fields
                    .take("max_concurrency")
                    .and_then(|(_, node)| self.whole(&node, "the concurrency", 1..=MAX_CONCURRENCY));
                let tolerated = fields.take("tolerated_failures").and_then(|(_, node)| self.tolerance(&node));
                fields.finish(self);
                let tolerated = tolerated.unwrap_or_default();
                Some(MapDefinition { over: over?, batch, max_concurrency, tolerated })
            }
        }
    }

    fn map_source(&mut self, fields: &mut Fields) -> Option<MapOver> {
        match fields.present(SOURCES).as_slice() {
            [first, second, ..] => {
                let message = "a map has either `over`, `rows` or `objects`";
                let finding = Finding::error(Code::InvalidValue, &second.span, message);
                self.lose(finding.related(&first.span, "the other is here"));
                for source in SOURCES {
                    fields.take(source);
                }
                None
            }
            [key] if key.text == "objects" => {
                let (key, node) = fields.take("objects")?;
                match &node.kind {
                    Kind::Text { text, .. } if text.starts_with(ADDRESS) => Some(MapOver::Objects(self.address(node)?)),
                    _ => Some(MapOver::Objects(self.objects(&key, node)?)),
                }
            }
            [key] if key.text == "rows" => {
                let (_, node) = fields.take("rows")?;
                Some(MapOver::Rows(self.text(node, "the file whose rows are items")?))
            }
            _ => {
                let (_, node) = fields.require("over", self)?;
                if let Kind::List(_) = node.kind {
                    return Some(MapOver::Values(self.map_values(node)?));
                }
                Some(MapOver::Reference(self.text(node, "what a step maps over")?))
            }
        }
    }

    /// `s3://bucket/prefix`.
    fn address(&mut self, node: Node) -> Option<Spanned<ObjectFilter>> {
        let Spanned { value, span } = self.text(node, "the objects")?;
        let rest = value.strip_prefix(ADDRESS).unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let problem = match problem_with_bucket(bucket) {
            Some(problem) => Some(problem.to_owned()),
            None => problem_with_part(prefix).map(|problem| problem.message),
        };
        if let Some(problem) = problem {
            let message = format!("`{}` names no objects: {problem}", shorten(&value));
            self.invalid(
                &span,
                message,
                "write `s3://BUCKET/PREFIX`, or `objects: {bucket: BUCKET, prefix: PREFIX, suffix: .csv}`",
            );
            self.incomplete = true;
            return None;
        }
        Some(Spanned::new(
            ObjectFilter { bucket: Some(bucket.to_owned()), prefix: prefix.to_owned(), suffix: String::new() },
            span,
        ))
    }

    fn objects(&mut self, key: &Key, node: Node) -> Option<Spanned<ObjectFilter>> {
        let span = key.span.clone();
        if let Kind::Text { text, .. } = &node.kind {
            let hint = format!("write `objects: {{prefix: {}}}` for those of the environment's bucket", shorten(text));
            self.wrong_type(&node, "the objects of a map", "an address or a map", Some(&hint));
            return None;
        }
        let mut fields = Fields::open(node, &span, &keys::OBJECT, self)?;
        let known = self.findings.len();
        let bucket = fields.take("bucket").and_then(|(_, node)| self.bucket(node));
        let prefix = fields
            .take("prefix")
            .and_then(|(_, node)| self.checked(node, "the beginning of a key", problem_with_prefix));
        let suffix =
            fields.take("suffix").and_then(|(_, node)| self.checked(node, "the end of a key", problem_with_part));
        fields.finish(self);
        if self.findings.len() > known {
            self.incomplete = true;
            return None;
        }
        let text = |text: Option<Spanned<String>>| text.map(|text| text.value).unwrap_or_default();
        Some(Spanned::new(ObjectFilter { bucket, prefix: text(prefix), suffix: text(suffix) }, span))
    }

    fn map_values(&mut self, node: Node) -> Option<Spanned<Vec<Value>>> {
        let span = node.span.clone();
        let Kind::List(items) = node.kind else { return None };
        if items.len() > MAX_ITEMS {
            let message = format!("the list has {} items, more than {MAX_ITEMS}", items.len());
            let finding = Finding::error(Code::InvalidValue, &span, message);
            self.lose(finding.hint("let a step write them into a file, and map over its `rows`"));
            return None;
        }
        let values = items.into_iter().map(|item| self.value(item)).collect::<Option<_>>()?;
        Some(Spanned::new(values, span))
    }

    /// A count, or a share as in `5%`.
    fn tolerance(&mut self, node: &Node) -> Option<Tolerance> {
        let what = "the number of tolerated failures";
        if let Kind::Text { text, .. } = &node.kind {
            let percent = text.trim().strip_suffix('%').and_then(|digits| digits.trim_end().parse::<u8>().ok());
            let Some(percent) = percent.filter(|percent| *percent <= 100) else {
                let message = format!("{what} can not be `{}`", shorten(text));
                self.invalid(&node.span, message, "write a count, or a share of all items from 0% to 100%");
                return None;
            };
            return Some(Tolerance::Percent(percent));
        }
        self.whole(node, what, 0..=crate::map::MAX_ITEMS).map(Tolerance::Count)
    }
}
