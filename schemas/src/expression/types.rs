//! The type check of expressions, and the conversions that let whole numbers and fractions mix.

use std::collections::BTreeMap;

use cel::common::ast::CallExpr;
use cel::common::ast::EntryExpr;
use cel::common::ast::Expr;
use cel::common::ast::IdedExpr;
use cel::common::ast::LiteralValue;
use cel::common::ast::operators;

use crate::name::FieldName;
use crate::value::ValueType;

use super::Expression;
use super::ExpressionError;
use super::Place;
use super::references::Path;

/// The type of a part of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Float,
    Text,
    List,
    Map,
    Null,
    /// Known only when it is evaluated: what is inside a list or a map.
    Any,
}

impl Type {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::List => "list",
            Self::Map => "map",
            Self::Null => "null",
            Self::Any => "value",
        }
    }

    const fn with_article(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Float => "a float",
            Self::Text => "a string",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Null => "null",
            Self::Any => "a value",
        }
    }

    const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    fn may_be(self, other: Self) -> bool {
        self == other || self == Self::Any
    }

    fn comparable(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any || (self.is_number() && other.is_number())
    }
}

impl From<ValueType> for Type {
    fn from(value_type: ValueType) -> Self {
        match value_type {
            ValueType::String => Self::Text,
            ValueType::Int => Self::Int,
            ValueType::Float => Self::Float,
            ValueType::Bool => Self::Bool,
            ValueType::List => Self::List,
            ValueType::Map => Self::Map,
        }
    }
}

impl Expression {
    /// Checks that the expression gives true or false, whatever the metrics are, and uses nothing that is unknown.
    ///
    /// # Errors
    /// The first part that does not fit, and why. A parameter that is not in `params` fits everywhere: that it is
    /// missing is a matter of [`Expression::references`].
    pub fn check(&self, params: &BTreeMap<FieldName, ValueType>) -> Result<(), ExpressionError> {
        self.typed(&|name| params.get(name).map_or(Type::Any, |value_type| (*value_type).into())).map(drop)
    }

    /// The expression with its conversions written out.
    pub(super) fn typed(&self, params: &dyn Fn(&str) -> Type) -> Result<IdedExpr, ExpressionError> {
        let mut root = self.program.expression().clone();
        let mut checker = Checker { params, place: self.place(), bound: Vec::new() };
        match checker.infer(&mut root)? {
            Type::Bool | Type::Any => Ok(root),
            other => {
                let message = format!("it gives {}, and `true` or `false` is needed", other.with_article());
                Err(ExpressionError::new(message, 0))
            }
        }
    }
}

struct Checker<'a> {
    params: &'a dyn Fn(&str) -> Type,
    place: Place<'a>,
    bound: Vec<(String, Type)>,
}

impl Checker<'_> {
    fn infer(&mut self, node: &mut IdedExpr) -> Result<Type, ExpressionError> {
        if let Some(known) = self.known_path(node) {
            return Ok(known);
        }
        let offset = self.place.of(node);
        match &mut node.expr {
            Expr::Unspecified | Expr::Struct(_) => Ok(Type::Any),
            Expr::Ident(name) => {
                let bound = self.bound.iter().rev().find(|(variable, _)| variable == name);
                Ok(bound.map_or(Type::Any, |(_, known)| *known))
            }
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Double(_) => Type::Float,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::Bytes(_) | LiteralValue::UInt(_) => Type::Any,
            }),
            Expr::Select(select) => match self.infer(&mut select.operand)? {
                Type::Map | Type::Any if select.test => Ok(Type::Bool),
                Type::Map | Type::Any => Ok(Type::Any),
                other => {
                    let message = format!("{} has nothing named `{}`", other.with_article(), select.field);
                    Err(ExpressionError::new(message, offset))
                }
            },
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.infer(element)?;
                }
                Ok(Type::List)
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    match &mut entry.expr {
                        EntryExpr::StructField(field) => drop(self.infer(&mut field.value)?),
                        EntryExpr::MapEntry(entry) => {
                            self.infer(&mut entry.key)?;
                            self.infer(&mut entry.value)?;
                        }
                    }
                }
                Ok(Type::Map)
            }
            Expr::Comprehension(comprehension) => {
                match self.infer(&mut comprehension.iter_range)? {
                    Type::List | Type::Map | Type::Any => {}
                    other => {
                        let message = format!("macros go over lists and maps, not over {}", other.with_article());
                        return Err(ExpressionError::new(message, offset));
                    }
                }
                let start = self.infer(&mut comprehension.accu_init)?;
                let known = self.bound.len();
                self.bound.push((comprehension.iter_var.clone(), Type::Any));
                self.bound.push((comprehension.accu_var.clone(), start));
                self.infer(&mut comprehension.loop_step)?;
                let result = self.infer(&mut comprehension.result);
                self.bound.truncate(known);
                result
            }
            Expr::Call(call) => self.call(call, offset),
        }
    }

    /// The type of a metric, a parameter or the id of the run.
    fn known_path(&self, node: &IdedExpr) -> Option<Type> {
        let path = Path::of(node)?;
        let test = matches!(&node.expr, Expr::Select(select) if select.test);
        match (path.root, path.names.as_slice()) {
            ("metrics", [_, _]) => Some(if test { Type::Bool } else { Type::Float }),
            ("params", [name]) => Some(if test { Type::Bool } else { (self.params)(name) }),
            ("run", ["id"]) => Some(if test { Type::Bool } else { Type::Text }),
            _ => None,
        }
    }

    fn call(&mut self, call: &mut CallExpr, offset: usize) -> Result<Type, ExpressionError> {
        let fail = |message: String| Err(ExpressionError::new(message, offset));
        let mut types = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &mut call.target {
            types.push(self.infer(target)?);
        }
        for argument in &mut call.args {
            types.push(self.infer(argument)?);
        }
        let name = call.func_name.clone();
        let shown = shown_operator(&name);
        match (name.as_str(), types.as_slice()) {
            (operators::CONDITIONAL, &[condition, yes, no]) => {
                if !condition.may_be(Type::Bool) {
                    return fail(format!("`?` needs a bool before it, not {}", condition.with_article()));
                }
                match (yes, no) {
                    (Type::Int, Type::Float) => Ok(convert(&mut call.args[1])),
                    (Type::Float, Type::Int) => Ok(convert(&mut call.args[2])),
                    (yes, no) if yes == no => Ok(yes),
                    (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
                    (yes, no) => fail(format!("`?:` gives {} or {}", yes.with_article(), no.with_article())),
                }
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, &[left, right]) => {
                match [left, right].into_iter().find(|side| !side.may_be(Type::Bool)) {
                    Some(side) => fail(format!("`{shown}` needs a bool on both sides, not {}", side.with_article())),
                    None => Ok(Type::Bool),
                }
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, &[operand]) if operand.may_be(Type::Bool) => {
                Ok(Type::Bool)
            }
            (operators::LOGICAL_NOT, &[operand]) => fail(format!("`!` needs a bool, not {}", operand.with_article())),
            (operators::NEGATE, &[operand]) => match operand {
                Type::Int | Type::Float | Type::Any => Ok(operand),
                other => fail(format!("`-` needs a number, not {}", other.with_article())),
            },
            (operators::EQUALS | operators::NOT_EQUALS, &[left, right]) => {
                if left.comparable(right) || left == Type::Null || right == Type::Null {
                    return Ok(Type::Bool);
                }
                fail(format!("{} never equals {}", left.with_article(), right.with_article()))
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                &[left, right],
            ) => {
                let ordered = |side: Type| side.is_number() || side.may_be(Type::Text);
                if left.comparable(right) && ordered(left) && ordered(right) {
                    return Ok(Type::Bool);
                }
                fail(format!("`{shown}` can not compare {} with {}", left.with_article(), right.with_article()))
            }
            (operators::IN, &[left, right]) => match right {
                Type::List | Type::Any => Ok(Type::Bool),
                Type::Map if left.may_be(Type::Text) => Ok(Type::Bool),
                Type::Map => fail("the keys of a map are strings".to_owned()),
                other => fail(format!("`in` needs a list or a map after it, not {}", other.with_article())),
            },
            (operators::INDEX, &[operand, index]) => match (operand, index) {
                (Type::List, Type::Int | Type::Any) | (Type::Map, Type::Text | Type::Any) | (Type::Any, _) => {
                    Ok(Type::Any)
                }
                (operand, index) => {
                    fail(format!("`[…]` can not take {} out of {}", index.with_article(), operand.with_article()))
                }
            },
            (
                operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                &[left, right],
            ) => match arithmetic(call, left, right) {
                Some(result) => Ok(result),
                None => {
                    fail(format!("`{shown}` does not go with {} and {}", left.with_article(), right.with_article()))
                }
            },
            (function, types) => match signature(function, call.target.is_some(), types) {
                Ok(Some(result)) => match function {
                    "matches" => {
                        check_pattern(call).map_err(|message| ExpressionError::new(message, offset)).map(|()| result)
                    }
                    _ => Ok(result),
                },
                Ok(None) => {
                    let types: Vec<&str> = types.iter().map(|one| one.as_str()).collect();
                    fail(format!("`{function}` does not take ({})", types.join(", ")))
                }
                Err(known) => fail(format!("there is no function `{shown}`; there are {}", known.join(", "))),
            },
        }
    }
}

/// The result of `+ - * / %`, with a whole number beside a fraction converted.
fn arithmetic(call: &mut CallExpr, left: Type, right: Type) -> Option<Type> {
    let modulo = call.func_name == operators::MODULO;
    match (left, right) {
        (Type::Int, Type::Int) => Some(Type::Int),
        (Type::Float, Type::Float) if !modulo => Some(Type::Float),
        (Type::Int | Type::Any, Type::Float) if !modulo => Some(convert(&mut call.args[0])),
        (Type::Float, Type::Int | Type::Any) if !modulo => Some(convert(&mut call.args[1])),
        (Type::Any, Type::Any | Type::Int) | (Type::Int, Type::Any) => Some(Type::Any),
        (Type::Text, Type::Text | Type::Any) | (Type::Any, Type::Text) if call.func_name == operators::ADD => {
            Some(Type::Text)
        }
        (Type::List, Type::List | Type::Any) | (Type::Any, Type::List) if call.func_name == operators::ADD => {
            Some(Type::List)
        }
        _ => None,
    }
}

/// Turns a part into `double(part)`.
fn convert(node: &mut IdedExpr) -> Type {
    let id = node.id;
    let inner = std::mem::take(node);
    *node =
        IdedExpr { id, expr: Expr::Call(CallExpr { func_name: "double".to_owned(), target: None, args: vec![inner] }) };
    Type::Float
}

/// What a function gives; none when it does not take these arguments, an error with all names when there is none such.
fn signature(function: &str, member: bool, types: &[Type]) -> Result<Option<Type>, &'static [&'static str]> {
    const KNOWN: &[&str] = &[
        "`has`",
        "`all`",
        "`exists`",
        "`exists_one`",
        "`size`",
        "`contains`",
        "`startsWith`",
        "`endsWith`",
        "`matches`",
        "`int`",
        "`double`",
        "`string`",
        "`bool`",
    ];
    let text = |one: &Type| one.may_be(Type::Text);
    let result = match (function, types) {
        ("size", [Type::Text | Type::List | Type::Map | Type::Any]) => Some(Type::Int),
        ("contains" | "startsWith" | "endsWith", [target, argument]) if member && text(target) && text(argument) => {
            Some(Type::Bool)
        }
        ("matches", [target, argument]) if text(target) && text(argument) => Some(Type::Bool),
        ("int", [Type::Int | Type::Float | Type::Text | Type::Any]) if !member => Some(Type::Int),
        ("double", [Type::Int | Type::Float | Type::Text | Type::Any]) if !member => Some(Type::Float),
        ("string", [Type::Int | Type::Float | Type::Text | Type::Bool | Type::Any]) if !member => Some(Type::Text),
        ("bool", [Type::Bool | Type::Text | Type::Any]) if !member => Some(Type::Bool),
        ("size" | "contains" | "startsWith" | "endsWith" | "matches" | "int" | "double" | "string" | "bool", _) => None,
        _ => return Err(KNOWN),
    };
    Ok(result)
}

/// Tries a pattern that is written out on an empty text.
fn check_pattern(call: &CallExpr) -> Result<(), String> {
    let Some(pattern @ IdedExpr { expr: Expr::Literal(_), .. }) = call.args.last() else { return Ok(()) };
    let target = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String(String::new().into())) };
    let call =
        CallExpr { func_name: call.func_name.clone(), target: Some(Box::new(target)), args: vec![pattern.clone()] };
    match cel::Value::resolve(&IdedExpr { id: 0, expr: Expr::Call(call) }, &cel::Context::default()) {
        Ok(_) => Ok(()),
        Err(_) => Err("the pattern of `matches` is no regular expression".to_owned()),
    }
}

/// An operator as people write it: `_&&_` is `&&`.
fn shown_operator(name: &str) -> &str {
    name.trim_matches(['_', '@'])
}
