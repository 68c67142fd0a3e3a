//! What a step does: `run:`, `call:`, `gate:`, `register:`, `pipeline:`.

use super::Context;
use super::fields::Fields;
use super::fields::shorten;
use super::keys;
use super::run_line;
use super::run_line::SplitError;
use crate::definition::model::ActionDefinition;
use crate::definition::model::CallDefinition;
use crate::definition::model::RegisterDefinition;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::FieldName;
use crate::name::ModelName;
use crate::name::PipelineName;
use crate::template::Template;

/// The most arguments of a program: far below what the kernel takes.
const MAX_ARGUMENTS: usize = 500;

impl Context {
    /// The one action of a step.
    pub(super) fn action(&mut self, step: &Key, fields: &mut Fields) -> Option<ActionDefinition> {
        let present = fields.present(keys::ACTION_KEYS);
        if let [first, second, ..] = present.as_slice() {
            let all: Vec<String> = present.iter().map(|key| format!("`{}`", key.text)).collect();
            let message = format!("step `{}` has several ways to execute: {}", step.text, all.join(", "));
            self.lose(
                Finding::error(Code::NoAction, &second.span, message)
                    .label("one too many")
                    .related(&first.span, "the other one")
                    .hint("keep one of them; what must happen before or after is a step of its own"),
            );
        } else if present.is_empty() && !self.partial {
            let message = format!("step `{}` has no way to execute", step.text);
            self.lose(
                Finding::error(Code::NoAction, &step.span, message)
                    .label("nothing says what it does")
                    .hint(format!("give it one of {}", keys::ACTION_KEYS.join(", "))),
            );
        }
        // All are decoded, for what else is wrong with them; the first one counts.
        let run = fields.take("run").and_then(|(key, node)| self.run(&key, node));
        let call = fields.take("call").and_then(|(_, node)| self.call(node));
        let gate = fields.take("gate").and_then(|(key, node)| self.gate(&key, node));
        let register = fields.take("register").and_then(|(key, node)| self.register(node, &key.span));
        let pipeline = fields
            .take("pipeline")
            .and_then(|(_, node)| self.name(node, "the pipeline", PipelineName::new))
            .map(ActionDefinition::Pipeline);
        run.or(call).or(gate).or(register).or(pipeline)
    }

    fn run(&mut self, key: &Key, node: Node) -> Option<ActionDefinition> {
        let span = node.span.clone();
        let argv = match node.kind {
            Kind::List(_) => {
                let findings = self.findings.len();
                let argv = self.list(node, "the command", |cx, node| cx.template(node, "an argument"));
                if self.findings.len() > findings {
                    self.incomplete = true;
                    return None;
                }
                argv
            }
            Kind::Text { .. } => self.run_line(node)?,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Map(_) | Kind::Refused => {
                let hint = "write the program and its arguments: [\"python\", \"train.py\"]";
                self.wrong_type(&node, "`run`", "a text or a list", Some(hint));
                return None;
            }
        };
        let program = argv.first().map(|first| first.value.to_string());
        if program.is_none_or(|program| program.trim().is_empty()) {
            self.lose(Finding::error(Code::InvalidValue, &key.span, "`run` names no program"));
            return None;
        }
        if argv.len() > MAX_ARGUMENTS {
            let message = format!("`run` has {} arguments, more than {MAX_ARGUMENTS}", argv.len());
            self.lose(Finding::error(Code::InvalidValue, &key.span, message));
            return None;
        }
        Some(ActionDefinition::Run(Spanned::new(argv, span)))
    }

    fn run_line(&mut self, node: Node) -> Option<Vec<Spanned<Template>>> {
        let scalar = self.scalar(node, "`run`")?;
        if self.parse_template(&scalar).is_none() {
            self.incomplete = true;
            return None;
        }
        let words = match run_line::split(&scalar.text) {
            Ok(words) => words,
            Err(error) => {
                let (message, hint) = match error {
                    SplitError::Quote => {
                        ("a quote in `run` is not closed", "close it, or write the arguments as a list")
                    }
                    SplitError::PrivateUse => ("`run` has characters for private use", "write the arguments as a list"),
                };
                self.lose(Finding::error(Code::InvalidValue, &scalar.span, message).hint(hint));
                return None;
            }
        };
        let place = |word: &run_line::Word| match &word.place {
            Some(place) => scalar.part(place.start, place.end),
            None => scalar.span.clone(),
        };
        if let Some((word, syntax)) = words.iter().find_map(|word| Some((word, run_line::shell_syntax(&word.text)?))) {
            let message = format!("`{syntax}` reaches the program as it is: no shell is used");
            self.push(
                Finding::warning(Code::InvalidValue, &place(word), message)
                    .label("an argument like any other")
                    .hint("to use a shell, say so: run: [\"sh\", \"-c\", \"…\"]")
                    .hint("if it is meant as it is, write the arguments as a list"),
            );
        }
        let mut argv = Vec::with_capacity(words.len());
        for word in &words {
            let span = place(word);
            match Template::parse(&word.text) {
                Ok(template) => argv.push(Spanned::new(template, span)),
                Err(error) => {
                    self.lose(Finding::error(Code::TemplateSyntax, &span, error.problem));
                    return None;
                }
            }
        }
        Some(argv)
    }

    fn call(&mut self, node: Node) -> Option<ActionDefinition> {
        let text = self.text(node, "`call`")?;
        let dotted = |text: &str| !text.is_empty() && text.split('.').all(is_identifier);
        match text.value.split_once(':') {
            Some((module, function)) if dotted(module) && is_identifier(function) => {
                let call = CallDefinition { module: module.to_owned(), function: function.to_owned() };
                Some(ActionDefinition::Call(Spanned::new(call, text.span)))
            }
            _ => {
                let message = format!("`{}` names no python function", shorten(&text.value));
                let mut finding = Finding::error(Code::InvalidValue, &text.span, message);
                let stem = text.value.replace(".py", "").replace(['/', ':'], ".");
                if let Some((module, function)) = stem.rsplit_once('.').filter(|_| !text.value.ends_with(".py"))
                    && dotted(module)
                    && is_identifier(function)
                {
                    finding = finding.label(format!("did you mean `{module}:{function}`?"));
                }
                self.lose(
                    finding.hint("write `module:function`, as in `steps.train:train` for train() in steps/train.py"),
                );
                None
            }
        }
    }

    fn gate(&mut self, key: &Key, node: Node) -> Option<ActionDefinition> {
        let checks = match node.kind {
            Kind::Text { .. } => self.text(node, "a gate").into_iter().collect(),
            Kind::List(_) => self.texts(node, "the gate"),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Map(_) | Kind::Refused => {
                let hint = "write an expression, or a list of them: metrics.evaluate.auc > 0.9";
                self.wrong_type(&node, "a gate", "a text or a list", Some(hint));
                return None;
            }
        };
        if checks.is_empty() {
            self.lose(Finding::error(Code::InvalidValue, &key.span, "the gate checks nothing"));
            return None;
        }
        Some(ActionDefinition::Gate(checks))
    }

    fn register(&mut self, node: Node, place: &Span) -> Option<ActionDefinition> {
        let mut fields = Fields::open(node, place, &keys::REGISTER, self)?;
        let model = fields.require("model", self).and_then(|(_, node)| self.name(node, "the model", ModelName::new));
        let artifact = fields.require("artifact", self).and_then(|(_, node)| self.text(node, "the artifact"));
        let aliases = fields
            .take("aliases")
            .map(|(_, node)| self.list(node, "the aliases", |cx, node| cx.name(node, "an alias", FieldName::new)));
        fields.finish(self);
        let register = RegisterDefinition { model: model?, artifact: artifact?, aliases: aliases.unwrap_or_default() };
        Some(ActionDefinition::Register(Box::new(register)))
    }
}

/// Whether a text can be an identifier in Python. Those with letters beyond ASCII are not looked at more closely.
fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_') && text.chars().next().is_some_and(|c| !c.is_numeric())
}
