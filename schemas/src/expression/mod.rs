//! Expressions of `when:` and `gate:`: CEL over `metrics.<step>.<metric>`, `params.<name>` and `run.id`.
//!
//! The `cel` crate parses and evaluates. On top of it stand the limits that keep a hostile expression from taking the
//! stack, the memory or the time of whoever evaluates it, and a type check that finds mistakes before anything runs.
//!
//! What differs from plain CEL, each time to the side that people expect:
//! - Whole numbers and fractions mix in arithmetic as they do in comparisons: `metrics.train.auc * 100 > 90` holds what it
//!   says. Two whole numbers still divide without remainder, as in CEL.
//! - A metric that is not there is an error even where CEL would pass over it (`metrics.a.typo > 1 || true`), unless the
//!   same expression asks for it with `has(…)`.
//! - Comparing things of different types (`params.mode == 3`, for a text) is an error, not false.
//! - Macros are `has`, `all`, `exists` and `exists_one`, none inside another; `map` and `filter` would let a short
//!   expression fill the memory.

mod evaluate;
mod references;
mod rule;
mod types;

use cel::common::ast::Expr;
use cel::common::ast::IdedExpr;

pub use evaluate::Evaluation;
pub use evaluate::Scope;
pub use references::References;
pub use rule::Rule;

/// The longest expression, in bytes. Bounds what a parse costs: about 4 µs a byte.
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// How deep brackets may be nested. Bounds the stack that the parser takes.
pub const MAX_EXPRESSION_NESTING: usize = 32;

/// How many operations may stand in a row without brackets: `a && b && c` nests as well, though it does not look so.
const MAX_CHAIN: usize = 256;

/// An expression that was read, but not yet held against a definition.
#[derive(Debug)]
pub struct Expression {
    text: String,
    program: cel::Program,
    references: References,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// The problem, as a clause.
    pub message: String,
    /// Where in the expression it is, in bytes.
    pub offset: usize,
}

impl ExpressionError {
    fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is no CEL, or goes beyond the limits of this module.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        check_size(text)?;
        let program = cel::Program::compile(text).map_err(|errors| syntax_error(text, &errors))?;
        check_shape(program.expression(), &Place { text, program: &program }, 0, None)?;
        let references = references::collect(program.expression(), &Place { text, program: &program });
        Ok(Self { text: text.to_owned(), program, references })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it refers to.
    pub const fn references(&self) -> &References {
        &self.references
    }

    fn place(&self) -> Place<'_> {
        Place { text: &self.text, program: &self.program }
    }
}

/// Finds the place of a node in the text.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    program: &'a cel::Program,
}

impl Place<'_> {
    fn of(self, node: &IdedExpr) -> usize {
        let (start, _) = self.program.source_info().offset_for(node.id).unwrap_or_default();
        let start = start as usize;
        // The parser counts bytes. Whatever it says, the place is one at which the text can be cut.
        if self.text.is_char_boundary(start) { start } else { 0 }
    }
}

fn check_size(text: &str) -> Result<(), ExpressionError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ExpressionError::new(format!("it has more than {MAX_EXPRESSION_BYTES} bytes"), 0));
    }
    if text.trim().is_empty() {
        return Err(ExpressionError::new("it is empty", 0));
    }
    let mut depth = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_EXPRESSION_NESTING {
            let message = format!("its brackets are nested more than {MAX_EXPRESSION_NESTING} deep");
            return Err(ExpressionError::new(message, offset));
        }
    }
    Ok(())
}

/// The first error of the parser, in a sentence.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    // Errors without the prefix are consequences of those with it.
    let prefix = "Syntax error: ";
    let telling = errors.errors.iter().find(|error| error.msg.starts_with(prefix)).or(errors.errors.first());
    let Some(error) = telling else {
        return ExpressionError::new("it can not be read", 0);
    };
    let (line, column) = error.pos;
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let offset = start + rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset);
    let message = error.msg.strip_prefix(prefix).unwrap_or(&error.msg);
    ExpressionError::new(sentence(message), offset.min(text.len()))
}

/// The parser's message in words that need no knowledge of parsers.
fn sentence(message: &str) -> String {
    let message = message.split(" expecting ").next().unwrap_or_default().trim();
    if message.contains("Recursion limit") {
        return "it is nested too deeply".to_owned();
    }
    if let Some(missing) = message.strip_prefix("missing ") {
        return format!("{} is missing", missing.split(" at ").next().unwrap_or_default().replace('\'', "`"));
    }
    let openings =
        ["extraneous input ", "mismatched input ", "no viable alternative at input ", "token recognition error at: "];
    let Some(found) = openings.iter().find_map(|opening| message.strip_prefix(opening)) else {
        return message.lines().next().unwrap_or_default().to_owned();
    };
    let found = found.strip_prefix('\'').and_then(|found| found.strip_suffix('\'')).unwrap_or(found).trim();
    match found {
        "<EOF>" => "it ends too early".to_owned(),
        "=" => "`=` is no operator; write `==`".to_owned(),
        "and" => "`and` is no operator; write `&&`".to_owned(),
        "or" => "`or` is no operator; write `||`".to_owned(),
        "not" => "`not` is no operator; write `!`".to_owned(),
        text if text.starts_with(['\'', '"']) => "a text is opened but not closed".to_owned(),
        other => format!("`{other}` does not fit here"),
    }
}

/// Refuses what would make evaluation unbounded, and what the language has but expressions do not need.
fn check_shape(
    node: &IdedExpr,
    place: &Place<'_>,
    depth: usize,
    macro_of: Option<&str>,
) -> Result<(), ExpressionError> {
    let refuse = |message: &str| Err(ExpressionError::new(message, place.of(node)));
    if depth > MAX_CHAIN {
        return refuse("it has too many operations in a row; write several shorter checks");
    }
    let check = |child: &IdedExpr| check_shape(child, place, depth + 1, macro_of);
    match &node.expr {
        Expr::Unspecified => refuse("it can not be read"),
        Expr::Literal(literal) => match literal {
            cel::common::ast::LiteralValue::Bytes(_) => refuse("bytes are no part of expressions"),
            cel::common::ast::LiteralValue::UInt(_) => refuse("write whole numbers without `u`"),
            cel::common::ast::LiteralValue::Boolean(_)
            | cel::common::ast::LiteralValue::Double(_)
            | cel::common::ast::LiteralValue::Int(_)
            | cel::common::ast::LiteralValue::Null
            | cel::common::ast::LiteralValue::String(_) => Ok(()),
        },
        Expr::Ident(_) => Ok(()),
        Expr::Select(select) => check(&select.operand),
        Expr::Call(call) => {
            if call.func_name == "matches" && macro_of.is_some() {
                return refuse("`matches` can not stand inside a macro");
            }
            call.target.as_deref().into_iter().chain(&call.args).try_for_each(check)
        }
        Expr::List(list) => list.elements.iter().try_for_each(check),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            cel::common::ast::EntryExpr::MapEntry(entry) => check(&entry.key).and_then(|()| check(&entry.value)),
            cel::common::ast::EntryExpr::StructField(_) => refuse("messages are no part of expressions"),
        }),
        Expr::Struct(_) => refuse("messages are no part of expressions"),
        Expr::Comprehension(comprehension) => {
            if macro_of.is_some() {
                return refuse("a macro can not stand inside another");
            }
            if matches!(comprehension.accu_init.expr, Expr::List(_)) {
                return refuse("`map` and `filter` are no part of expressions; use `all`, `exists` or `exists_one`");
            }
            let variable = comprehension.iter_var.as_str();
            if references::ROOTS.contains(&variable) {
                return refuse("the variable of a macro can not be named `metrics`, `params` or `run`");
            }
            // The range as well: a macro over what another one gives would be a macro over a bool.
            let inside = |child: &IdedExpr| check_shape(child, place, depth + 1, Some(variable));
            [&comprehension.iter_range, &comprehension.loop_step, &comprehension.result]
                .into_iter()
                .try_for_each(inside)
        }
    }
}

#[cfg(test)]
mod tests;
