//! Environments: what carries each out, and what it lays over the project.

use std::collections::BTreeMap;

use super::Context;
use super::fields::Fields;
use super::keys;
use super::project::params_of;
use super::scalars::Problem;
use crate::canary::Share;
use crate::definition::read::DEFAULT_ENVIRONMENT;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::delivery::CanaryLimits;
use crate::delivery::Delivery;
use crate::delivery::Template;
use crate::delivery::branch_problem;
use crate::delivery::pattern_problem;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::name::EnvironmentName;
use crate::platform::PlatformSpec;

/// The environments of a project.
#[derive(Debug, Default)]
pub(in crate::definition) struct Environments {
    /// What each lays over the project; nothing for one that says only where it is.
    pub(in crate::definition) overlays: BTreeMap<EnvironmentName, Option<Node>>,
    /// What carries each out.
    pub(in crate::definition) platforms: BTreeMap<EnvironmentName, PlatformSpec>,
    /// How changes come to each.
    pub(in crate::definition) deliveries: BTreeMap<EnvironmentName, Delivery>,
}

/// Takes `environments:` out of a project. `local` is always among them.
pub(in crate::definition) fn environments(root: &mut Node, cx: &mut Context) -> Environments {
    let mut environments = Environments::default();
    if let Some((_, node)) = take(root, "environments") {
        let name = |text: &str| EnvironmentName::new(text);
        for (name, entry) in cx.named(node, "the environments", name, |cx, key, node| Some(cx.environment(key, node))) {
            let (spec, overlay) = entry.value;
            environments.platforms.insert(name.clone(), spec.platform);
            environments.deliveries.insert(name.clone(), spec.delivery);
            environments.overlays.insert(name, overlay);
        }
    }
    if let Ok(local) = EnvironmentName::new(DEFAULT_ENVIRONMENT) {
        environments.overlays.entry(local.clone()).or_insert(None);
        environments.deliveries.entry(local.clone()).or_default();
        environments.platforms.entry(local).or_insert(PlatformSpec::Local);
    }
    environments
}

/// What a definition says of one environment, apart from what is laid over the project.
#[derive(Debug)]
pub(in crate::definition) struct EnvironmentSpec {
    /// What carries it out.
    pub(in crate::definition) platform: PlatformSpec,
    /// How changes come to it.
    pub(in crate::definition) delivery: Delivery,
}

/// Lets an environment that is made from a template have what the template has. None when the name is that of neither.
pub(in crate::definition) fn make_from_template(
    environments: &mut Environments,
    chosen: &EnvironmentName,
) -> Option<()> {
    if environments.overlays.contains_key(chosen) {
        return Some(());
    }
    let template = template_for(chosen, environments.deliveries.values())?.name;
    let overlay = environments.overlays.get_mut(&template)?.take();
    let platform = environments.platforms.get(&template)?.clone();
    let delivery = environments.deliveries.get(&template)?.clone();
    environments.overlays.insert(chosen.clone(), overlay);
    environments.platforms.insert(chosen.clone(), platform);
    environments.deliveries.insert(chosen.clone(), delivery);
    Some(())
}

/// Decodes the settings of one environment alone; the names of those that there are, when it is not among them.
pub(in crate::definition) fn environment(
    root: &Node,
    chosen: &EnvironmentName,
    cx: &mut Context,
) -> Result<EnvironmentSpec, Vec<String>> {
    let entries = match root.get("environments") {
        Some(node) => cx.map(node.clone(), "the environments").unwrap_or_default(),
        None => Vec::new(),
    };
    if let Some((key, node)) = entries.iter().find(|(key, _)| key.text == chosen.as_str()) {
        return Ok(cx.environment(key, node.clone()).0);
    }
    let mut quiet = Context::default();
    let pattern = |node: &Node| node.get("template").is_some();
    let templates = entries.iter().filter(|(_, node)| pattern(node));
    let specs: Vec<_> = templates.map(|(key, node)| (key, node, quiet.environment(key, node.clone()).0)).collect();
    if let Some(template) = template_for(chosen, specs.iter().map(|(_, _, spec)| &spec.delivery))
        && let Some((key, node, _)) = specs.iter().find(|(key, _, _)| key.text == template.name.as_str())
    {
        return Ok(cx.environment(key, (*node).clone()).0);
    }
    if chosen.as_str() == DEFAULT_ENVIRONMENT {
        return Ok(EnvironmentSpec { platform: PlatformSpec::Local, delivery: Delivery::default() });
    }
    let mut known: Vec<String> = entries.into_iter().map(|(key, _)| key.text).collect();
    known.push(DEFAULT_ENVIRONMENT.to_owned());
    known.sort();
    known.dedup();
    Err(known)
}

/// Decodes the settings of all environments, and nothing of what they lay over the project.
pub(in crate::definition) fn all_environments(
    root: &Node,
    cx: &mut Context,
) -> BTreeMap<EnvironmentName, EnvironmentSpec> {
    let Some(node) = root.get("environments") else { return BTreeMap::new() };
    let name = |text: &str| EnvironmentName::new(text);
    let decode = |cx: &mut Context, key: &Key, node: Node| Some(cx.environment(key, node).0);
    let entries = cx.named(node.clone(), "the environments", name, decode);
    entries.into_iter().map(|(name, entry)| (name, entry.value)).collect()
}

/// Checks an overlay that is not chosen: keys and types, but not whether anything is missing.
pub(in crate::definition) fn overlay_shape(overlay: Node, root: &Node, cx: &mut Context) {
    let place = overlay.span.clone();
    let above = params_of(root.get("params"));
    if let Some(mut fields) = Fields::open(overlay, &place, &keys::ENVIRONMENT, cx) {
        cx.shared(&mut fields, &above);
        fields.finish(cx);
    }
}

/// What carries an environment out, as the definition says it.
#[derive(Clone, Copy)]
enum Platform {
    Local,
    Aws,
}

impl Context {
    /// An environment: where it is, and what is laid over the project.
    fn environment(&mut self, key: &Key, mut node: Node) -> (EnvironmentSpec, Option<Node>) {
        let delivery = self.delivery(key, &mut node);
        let named = take(&mut node, "platform").map(|(_, node)| self.platform(key, node));
        let place = take_all(&mut node, keys::AWS_KEYS);
        let platform = match named {
            // The keys may well belong to the platform that was meant, so nothing is said of them.
            Some(None) => PlatformSpec::Local,
            Some(Some(Spanned { value: Platform::Aws, .. })) => PlatformSpec::Aws(Box::new(self.aws(key, place))),
            Some(Some(Spanned { value: Platform::Local, span })) => {
                self.refuse_keys_of_aws(key, Some(&span), &place);
                PlatformSpec::Local
            }
            None => {
                self.refuse_keys_of_aws(key, None, &place);
                PlatformSpec::Local
            }
        };
        (EnvironmentSpec { platform, delivery }, self.overlay(key, node))
    }

    /// How changes come to an environment.
    fn delivery(&mut self, key: &Key, node: &mut Node) -> Delivery {
        let branch = take(node, "branch").and_then(|(_, node)| self.checked(node, "a branch", bad_branch));
        let protected = take(node, "protected").and_then(|(_, node)| self.boolean(&node, "`protected`"));
        let template = self.made_from(key, node, branch.as_ref().map(|branch| &branch.span), protected);
        let canary = take(node, "canary").map(|(key, node)| self.canary(node, &key.span)).unwrap_or_default();
        Delivery { branch: branch.map(|branch| branch.value), protected: protected.unwrap_or(false), template, canary }
    }

    fn canary(&mut self, node: Node, place: &Span) -> CanaryLimits {
        let Some(mut fields) = Fields::open(node, place, &keys::CANARY, self) else { return CanaryLimits::default() };
        let limits = CanaryLimits {
            share: fields.take("share").and_then(|(_, node)| self.share(node)),
            tolerated_failures: fields.take("tolerated_failures").and_then(|(_, node)| self.share(node)),
        };
        fields.finish(self);
        limits
    }

    /// A percentage.
    fn share(&mut self, node: Node) -> Option<Share> {
        if let Kind::Int(_) | Kind::Float(_) = node.kind {
            self.wrong_type(&node, "a share", "a percentage", Some("write the sign too, as in 10% or 0.5%"));
            return None;
        }
        let problem = |text: &str| {
            let hint = "write a percentage from 0% to 100%, as in 10% or 0.5%";
            text.parse::<Share>().err().map(|_| Problem::new("it is no percentage", hint))
        };
        self.checked(node, "a share", problem)?.value.parse().ok()
    }

    /// What makes an environment a template of others.
    fn made_from(
        &mut self,
        key: &Key,
        node: &mut Node,
        branch: Option<&Span>,
        protected: Option<bool>,
    ) -> Option<Template> {
        let pattern =
            take(node, "template").and_then(|(_, node)| self.checked(node, "a pattern of names", bad_pattern));
        let ttl = take(node, "ttl");
        let ttl_seconds = ttl.as_ref().and_then(|(_, node)| self.whole_seconds(node, "`ttl`"));
        let Some(pattern) = pattern else {
            if let Some((key, _)) = ttl {
                let message =
                    "`ttl` means nothing without `template`: only what is made from a template is ever removed";
                let finding = Finding::error(Code::KeyNotApplicable, &key.span, message.to_owned());
                self.push(finding.hint("add `template: pr-*`, or leave it out"));
            }
            return None;
        };
        let why = match (branch, protected) {
            (Some(_), _) => Some("follows no branch: people and CI apply to what is made from it"),
            (None, Some(true)) => Some("can not be protected: what is made from it is removed by itself"),
            (None, Some(false) | None) => None,
        };
        if key.text == DEFAULT_ENVIRONMENT || why.is_some() {
            let why = why.unwrap_or("has another name than that of this machine's own environment");
            let hint = "make an environment of its own the template, as in `preview: {template: pr-*}`";
            self.invalid(branch.unwrap_or(&pattern.span), format!("a template {why}"), hint);
            return None;
        }
        let name = EnvironmentName::new(&key.text).ok()?;
        Some(Template { name, prefix: pattern.value.trim_end_matches('*').to_owned(), ttl_seconds })
    }

    fn platform(&mut self, environment: &Key, node: Node) -> Option<Spanned<Platform>> {
        let words = [("local", Platform::Local), ("aws", Platform::Aws)];
        let platform = self.word(node, "the platform", words)?;
        if let Platform::Aws = platform.value
            && environment.text == DEFAULT_ENVIRONMENT
        {
            let message = format!("the environment `{DEFAULT_ENVIRONMENT}` is always this machine");
            self.invalid(&platform.span, message, "give the environment on AWS another name, as in `staging`");
            return None;
        }
        Some(platform)
    }

    fn refuse_keys_of_aws(&mut self, environment: &Key, platform: Option<&Span>, place: &[(Key, Node)]) {
        for (key, _) in place {
            let message =
                format!("`{}` means nothing to the environment `{}`, which is on `local`", key.text, environment.text);
            let finding = Finding::error(Code::KeyNotApplicable, &key.span, message);
            self.push(match platform {
                Some(platform) => {
                    finding.related(platform, "because of this").hint("write `platform: aws`, or leave it out")
                }
                None => finding.hint("add `platform: aws`, or leave it out"),
            });
        }
    }

    /// What is laid over the project. What does not belong into an environment is reported here, and goes no further.
    fn overlay(&mut self, key: &Key, node: Node) -> Option<Node> {
        match node.kind {
            Kind::Map(entries) => {
                if entries.is_empty() {
                    return None;
                }
                let misplaced = |key: &Key| !keys::ENVIRONMENT.keys.contains(&key.text.as_str());
                let (unknown, known): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| misplaced(key));
                let rest = Node { span: node.span, kind: Kind::Map(unknown) };
                if let Some(fields) = Fields::open(rest, &key.span, &keys::ENVIRONMENT, self) {
                    fields.finish(self);
                }
                Some(Node { span: key.span.clone(), kind: Kind::Map(known) })
            }
            Kind::Null => None,
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text { .. } | Kind::List(_) | Kind::Refused => {
                self.map(node, keys::ENVIRONMENT.what);
                None
            }
        }
    }
}

/// What is wrong with the name of a branch, and the better way to write it.
fn bad_branch(text: &str) -> Option<Problem> {
    let hint = "write the name alone, as in `branch: main`";
    branch_problem(text).map(|problem| Problem::new(problem, hint))
}

/// What is wrong with the pattern of a template, and the better way to write it.
fn bad_pattern(text: &str) -> Option<Problem> {
    let hint = "write what the names begin with and a star, as in `template: pr-*`";
    pattern_problem(text).map(|problem| Problem::new(problem, hint))
}

/// The template that a name is made from: of several, the one with the longest prefix.
pub(in crate::definition) fn template_for<'a>(
    name: &EnvironmentName,
    deliveries: impl Iterator<Item = &'a Delivery>,
) -> Option<Template> {
    let fitting = deliveries.filter_map(|delivery| delivery.template.as_ref()).filter(|template| template.fits(name));
    fitting.max_by_key(|template| template.prefix.len()).cloned()
}

/// Takes a key out of a map.
fn take(node: &mut Node, key: &str) -> Option<(Key, Node)> {
    let Kind::Map(entries) = &mut node.kind else { return None };
    let index = entries.iter().position(|(name, _)| name.text == key)?;
    Some(entries.remove(index))
}

/// Takes several keys out of a map, as far as they are there.
fn take_all(node: &mut Node, keys: &[&str]) -> Vec<(Key, Node)> {
    let Kind::Map(entries) = &mut node.kind else { return Vec::new() };
    let (taken, left) = std::mem::take(entries).into_iter().partition(|(key, _)| keys.contains(&key.text.as_str()));
    *entries = left;
    taken
}
