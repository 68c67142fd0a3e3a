//! From the parser's events to the tree.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;

use super::Key;
use super::Kind;
use super::MAX_DEPTH;
use super::MAX_VALUES;
use super::Node;
use super::offsets::Offsets;
use super::scalar;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;

/// So many problems with the YAML of one file are told.
const MAX_FINDINGS: usize = 50;

const QUOTED_TEMPLATE: &str = "write \"{{ params.name }}\", with the quotes";

/// Maps with more keys are searched by hash for duplicates.
const SMALL_MAP: usize = 16;

/// Builds the tree of a file; none after a syntax error.
pub(super) fn build(file: &Arc<str>, text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder {
        file,
        text,
        offsets: Offsets::new(text),
        stack: Vec::new(),
        root: None,
        findings,
        told: 0,
        values: 0,
    };
    loop {
        let (event, span) = match parser.next_event()? {
            Ok(event) => event,
            Err(error) => {
                let at = builder.offsets.byte(error.marker().index());
                builder.syntax_error(at, error.info());
                return None;
            }
        };
        let start = builder.offsets.byte(span.start.index());
        let end = builder.offsets.byte(span.end.index()).max(start);
        match builder.event(event, start, end) {
            Next::Go => {}
            Next::Done => return builder.root,
            Next::Stop => return None,
        }
    }
}

enum Next {
    Go,
    Done,
    Stop,
}

struct Builder<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    offsets: Offsets<'a>,
    stack: Vec<Frame>,
    root: Option<Node>,
    findings: &'a mut Vec<Finding>,
    told: usize,
    values: usize,
}

enum Frame {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<(Key, Node)>, key: KeyState },
}

enum KeyState {
    Awaited,
    Read(Key),
    Refused,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, start: usize, end: usize) -> Next {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            Event::StreamEnd => {
                if self.root.is_none() {
                    self.root = Some(Node { span: self.span(0, 0), kind: Kind::Null });
                }
                return Next::Done;
            }
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    let finding = self.error(Code::YamlSyntax, start, end, "a second document begins here");
                    self.tell(finding.hint("put it into a file of its own and `include:` that"));
                    return Next::Done;
                }
            }
            Event::Alias(_) => {
                let finding = self.error(Code::YamlAlias, start, end, "aliases (`*name`) are not used in definitions");
                self.tell(finding.hint("write the value out, or put what steps share under `defaults:` or `params:`"));
                self.value(Node { span: self.span(start, end), kind: Kind::Refused });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), start);
                self.scalar(&text, style, start, end);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), start);
                self.stack.push(Frame::List { start, items: Vec::new() });
                return self.check_depth(start);
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), start);
                self.stack.push(Frame::Map { start, entries: Vec::new(), key: KeyState::Awaited });
                return self.check_depth(start);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.stack.pop() {
                    let node = self.close(frame, end);
                    self.value(node);
                }
            }
        }
        self.after_value(start)
    }

    /// Gives up on a file that has too many values or too many problems.
    fn after_value(&mut self, start: usize) -> Next {
        self.values += 1;
        if self.values > MAX_VALUES {
            let message = format!("the file has more than {MAX_VALUES} keys and values");
            let finding = self.error(Code::FileTooLarge, start, start, message).label("too many from here on");
            self.tell(finding.hint("spread the pipelines over several files with `include:`"));
            return Next::Stop;
        }
        if self.told >= MAX_FINDINGS { Next::Stop } else { Next::Go }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, start: usize, end: usize) {
        let end = self.trim_end(start, end);
        let resolved = if style == ScalarStyle::Plain { scalar::resolve(text) } else { None };
        if let Some(Frame::Map { key: key @ KeyState::Awaited, .. }) = self.stack.last_mut() {
            let span = Span { file: self.file.clone(), start, end };
            if let (None, false) = (&resolved, text == "<<" && style == ScalarStyle::Plain) {
                *key = KeyState::Read(Key { text: text.to_owned(), span });
                return;
            }
            *key = KeyState::Refused;
            if resolved.is_none() {
                let finding = Finding::error(Code::YamlAlias, &span, "merge keys (`<<`) are not used in definitions");
                self.tell(finding.hint("write the keys out, put them under `defaults:`, or use `extends:`"));
                return;
            }
            let shown = if text.is_empty() { "an empty key" } else { text };
            let finding = Finding::error(Code::WrongType, &span, format!("the key {shown} is no text"));
            self.tell(finding.hint("put the key into quotes"));
            return;
        }
        let kind = match resolved {
            None => Kind::Text { text: text.to_owned(), verbatim: self.verbatim(text, style, start) },
            Some(Ok(kind)) => kind,
            Some(Err(refusal)) => {
                let (message, hint) = match refusal {
                    scalar::Refusal::TooLarge => ("does not fit into 64 bits", "if it is text, put it into quotes"),
                    scalar::Refusal::NotFinite => ("is no finite number", "leave the value out, or put it into quotes"),
                };
                let shown: String = text.chars().take(40).collect();
                let finding = self.error(Code::InvalidValue, start, end, format!("{shown} {message}"));
                self.tell(finding.hint(hint));
                Kind::Refused
            }
        };
        self.value(Node { span: self.span(start, end), kind });
    }

    /// Puts a finished node where it belongs.
    fn value(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match std::mem::replace(key, KeyState::Awaited) {
                KeyState::Read(key) => entries.push((key, node)),
                KeyState::Refused => {}
                KeyState::Awaited => {
                    *key = KeyState::Refused;
                    if matches!(node.kind, Kind::Refused) {
                        return;
                    }
                    let finding = if self.text[node.span.start.saturating_sub(1)..].starts_with("{{") {
                        let message = "a text that begins with `{{` needs quotes";
                        Finding::error(Code::YamlSyntax, &node.span, message).hint(QUOTED_TEMPLATE)
                    } else {
                        let message = format!("{} is no key", node.kind.what());
                        Finding::error(Code::WrongType, &node.span, message).hint("only text can be a key")
                    };
                    self.tell(finding);
                }
            },
        }
    }

    fn close(&mut self, frame: Frame, end: usize) -> Node {
        match frame {
            Frame::List { start, items } => {
                let span = self.collection_span(start, end, items.first().map(|item| &item.span));
                Node { span, kind: Kind::List(items) }
            }
            Frame::Map { start, entries, .. } => {
                let span = self.collection_span(start, end, entries.first().map(|(key, _)| &key.span));
                let entries = self.refuse_duplicates(entries);
                Node { span, kind: Kind::Map(entries) }
            }
        }
    }

    fn refuse_duplicates(&mut self, mut entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let mut repeated: Vec<(usize, usize)> = Vec::new();
        if entries.len() <= SMALL_MAP {
            for (index, (key, _)) in entries.iter().enumerate() {
                if let Some(first) = entries[..index].iter().position(|(other, _)| other.text == key.text) {
                    repeated.push((index, first));
                }
            }
        } else {
            let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
            for (index, (key, _)) in entries.iter().enumerate() {
                if let Some(first) = seen.get(key.text.as_str()) {
                    repeated.push((index, *first));
                } else {
                    seen.insert(&key.text, index);
                }
            }
        }
        if repeated.is_empty() {
            return entries;
        }
        for (index, first) in repeated.iter().take(MAX_FINDINGS) {
            let (key, first) = (&entries[*index].0, &entries[*first].0);
            let finding =
                Finding::error(Code::DuplicateKey, &key.span, format!("the key `{}` is written twice", key.text))
                    .label("again here")
                    .related(&first.span, "first here")
                    .hint("keep one of them");
            self.tell(finding);
        }
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            repeated.binary_search_by_key(&(index - 1), |(again, _)| *again).is_err()
        });
        entries
    }

    fn refuse_properties(&mut self, anchor: usize, tagged: bool, start: usize) {
        if anchor > 0 {
            let at = self.property(start, '&');
            let finding =
                self.error(Code::YamlAlias, at, start.max(at + 1), "anchors (`&name`) are not used in definitions");
            self.tell(finding.hint("put what steps share under `defaults:` or `params:`"));
        }
        if tagged {
            let at = self.property(start, '!');
            let finding =
                self.error(Code::YamlAlias, at, start.max(at + 1), "tags (`!name`) are not used in definitions");
            self.tell(finding.hint("leave the tag out; put a text that looks like a number into quotes"));
        }
    }

    /// Where an anchor or tag stands: at the start of its node or before it.
    fn property(&self, start: usize, sign: char) -> usize {
        if self.text[start..].starts_with(sign) {
            return start;
        }
        self.text[..start].rfind(sign).unwrap_or(start)
    }

    fn check_depth(&mut self, start: usize) -> Next {
        if self.stack.len() <= MAX_DEPTH {
            return self.after_value(start);
        }
        self.too_deep(start);
        Next::Stop
    }

    fn too_deep(&mut self, start: usize) {
        let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
        let finding = self.error(Code::YamlTooDeep, start, start + 1, message).label("too deep from here on");
        self.tell(finding.hint("a definition needs about ten levels: check the brackets and the indentation"));
    }

    fn syntax_error(&mut self, at: usize, info: &str) {
        // The parser looks ahead of its events as long as what it reads may be a key, and has a limit of its own there.
        if info == "recursion limit exceeded" {
            self.too_deep(at);
            return;
        }
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        let mut finding = self.error(Code::YamlSyntax, at, end, format!("this is no YAML: {info}"));
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        let line = &self.text[line_start..line_end];
        if line.starts_with(|c: char| c.is_whitespace()) && line.trim_start_matches(' ').starts_with('\t') {
            finding = finding.hint("indent with spaces: tabs are not allowed there");
        } else if line.contains(": {{") || line.contains("- {{") {
            finding = finding.hint(QUOTED_TEMPLATE);
        } else if line.matches(": ").count() > 1 {
            finding = finding.hint("a text with `: ` in it needs quotes");
        } else {
            finding = finding.hint("check the indentation, quotes and brackets here and in the line above");
        }
        self.tell(finding);
    }

    /// Where the text stands unchanged in the file, if it does.
    fn verbatim(&self, text: &str, style: ScalarStyle, start: usize) -> Option<usize> {
        let at = match style {
            ScalarStyle::Plain => start,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => start + 1,
            ScalarStyle::Literal | ScalarStyle::Folded => return None,
        };
        self.text.get(at..)?.starts_with(text).then_some(at)
    }

    /// A block collection is shown by its first line's key or item, a flow collection whole.
    fn collection_span(&self, start: usize, end: usize, first: Option<&Span>) -> Span {
        let flow = self.text[start..].starts_with(['{', '[']);
        match first {
            Some(first) if !flow => self.span(start.min(first.start), first.end),
            Some(_) | None => self.span(start, end.max(start)),
        }
    }

    /// Marks of block scalars run on over the line breaks that follow them.
    fn trim_end(&self, start: usize, end: usize) -> usize {
        start + self.text[start..end].trim_end().len()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file.clone(), start, end }
    }

    fn error(&self, code: Code, start: usize, end: usize, message: impl Into<String>) -> Finding {
        Finding::error(code, &self.span(start, end), message)
    }

    fn tell(&mut self, finding: Finding) {
        self.told += 1;
        self.findings.push(finding);
    }
}
