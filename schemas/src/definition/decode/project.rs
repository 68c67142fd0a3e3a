//! The top level: the project.

use std::collections::BTreeMap;

use super::Context;
use super::environment::Environments;
use super::fields::Fields;
use super::keys;
use crate::definition::model::Definition;
use crate::definition::model::PipelineDefinition;
use crate::definition::model::PythonSettings;
use crate::definition::model::SpannedMap;
use crate::definition::model::StepSettings;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Spanned;
use crate::name::EnvironmentName;
use crate::name::FieldName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::platform::PlatformSpec;
use crate::policy::Policy;
use crate::release::ParamSpec;
use crate::release::SecretRef;
use crate::template::Template;

/// How many retired releases are kept when nothing says how many.
const DEFAULT_KEEP: usize = 2;

/// The most retired releases that are kept.
const MAX_KEEP: u32 = 100;

/// The name of a project.
pub(in crate::definition) fn project_name(root: &Node, cx: &mut Context) -> Option<Spanned<ProjectName>> {
    let Some(name) = root.get("project") else {
        cx.push(Finding::error(Code::MissingKey, &root.span, "a project needs the key `project`"));
        return None;
    };
    cx.name(name.clone(), "the project", ProjectName::new)
}

/// Decodes a project over which an environment is laid already. The environment is for the caller to fill in.
pub(in crate::definition) fn project(
    root: Node,
    environment: EnvironmentName,
    environments: &Environments,
    cx: &mut Context,
) -> Option<Definition> {
    let place = root.span.clone();
    let liminal = root.get("project").is_none() && looks_like_apache_liminal(&root);
    let mut fields = Fields::open(root, &place, &keys::PROJECT, cx)?;
    let before = cx.findings.len();
    let named = cx.unreferenced(|cx| {
        fields.require("project", cx).and_then(|(_, node)| cx.name(node, "the project", ProjectName::new))
    });
    // A project without a good name is told of; its pipelines are looked at all the same.
    let project = named.or_else(|| Some(Spanned::new(ProjectName::new("unnamed").ok()?, place.clone())));
    if liminal && let Some(finding) = cx.findings.get_mut(before) {
        let hint = "this looks like an Apache Liminal definition: here `name` is `project`, `pipelines` is a map from \
                    name to pipeline, `tasks` are `steps`, `cmd` is `run`, `env_vars` is `env`";
        finding.hints.push(hint.to_owned());
    }
    let description = fields.take("description").and_then(|(_, node)| cx.text(node, "the description"));
    // These have done their work when the files were put together: what is left is to say when they could not.
    if let Some((_, node)) = fields.take("extends") {
        cx.text(node, "the parent definition");
    }
    if let Some((_, node)) = fields.take("include") {
        cx.texts(node, "`include`");
    }
    let shared = cx.shared(&mut fields, &BTreeMap::new());
    fields.finish(cx);
    if shared.pipelines.is_empty() && cx.findings.is_empty() {
        let finding = Finding::error(Code::MissingKey, &place, "the project has no pipelines");
        cx.push(finding.hint("give it one under `pipelines:`, or name files that have some under `include:`"));
    }
    let delivery = environments.deliveries.get(&environment).cloned().unwrap_or_default();
    let platform = environments.platforms.get(&environment).cloned().unwrap_or(PlatformSpec::Local);
    Some(Definition {
        project: project?,
        owner: shared.owner,
        description: description.map(|text| text.value),
        environment,
        environments: environments.overlays.keys().cloned().collect(),
        platform,
        delivery,
        keep: shared.keep.map_or(DEFAULT_KEEP, |keep| keep as usize),
        policies: shared.policies,
        python: shared.python,
        params: shared.params,
        secrets: shared.secrets,
        env: shared.env,
        defaults: shared.defaults,
        pipelines: shared.pipelines,
    })
}

/// Takes the pipelines out of an included file, which may hold nothing else.
pub(in crate::definition) fn included(node: Node) -> (Vec<(Key, Node)>, Vec<Finding>) {
    let mut cx = Context::default();
    let place = node.span.clone();
    let mut pipelines = Vec::new();
    if let Some(mut fields) = Fields::open(node, &place, &keys::INCLUDED, &mut cx) {
        if let Some((_, node)) = fields.require("pipelines", &mut cx) {
            pipelines = cx.map(node, "the pipelines").unwrap_or_default();
        }
        fields.finish(&mut cx);
    }
    (pipelines, cx.findings)
}

/// What a project says and an environment may say otherwise.
pub(super) struct Shared {
    owner: Option<String>,
    keep: Option<u32>,
    policies: SpannedMap<FieldName, Policy>,
    python: PythonSettings,
    params: SpannedMap<FieldName, ParamSpec>,
    secrets: SpannedMap<FieldName, SecretRef>,
    env: SpannedMap<String, Spanned<Template>>,
    defaults: StepSettings,
    pipelines: SpannedMap<PipelineName, PipelineDefinition>,
}

impl Context {
    pub(super) fn shared(&mut self, fields: &mut Fields, above: &BTreeMap<String, Node>) -> Shared {
        let params = fields.take("params").map(|(_, node)| node);
        let mut all = above.clone();
        all.extend(params_of(params.as_ref()));
        Shared {
            owner: fields.take("owner").and_then(|(_, node)| self.text(node, "the owner")).map(|text| text.value),
            keep: fields
                .take("keep")
                .and_then(|(_, node)| self.whole(&node, "the number of retired releases kept", 0..=MAX_KEEP)),
            policies: fields.take("policies").map(|(_, node)| self.policies(node)).unwrap_or_default(),
            python: fields.take("python").map(|(key, node)| self.python(node, &key.span)).unwrap_or_default(),
            params: params.map(|node| self.params(node, above)).unwrap_or_default(),
            secrets: fields.take("secrets").map(|(_, node)| self.secrets(node)).unwrap_or_default(),
            env: fields.take("env").map(|(_, node)| self.env(node)).unwrap_or_default(),
            defaults: fields.take("defaults").map(|(key, node)| self.defaults(node, &key.span)).unwrap_or_default(),
            pipelines: fields.take("pipelines").map(|(_, node)| self.pipelines(node, &all)).unwrap_or_default(),
        }
    }
}

/// The parameters of a map of them, as they are written.
pub(super) fn params_of(params: Option<&Node>) -> BTreeMap<String, Node> {
    match params.map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.iter().map(|(key, node)| (key.text.clone(), node.clone())).collect(),
        Some(_) | None => BTreeMap::new(),
    }
}

fn looks_like_apache_liminal(root: &Node) -> bool {
    let telling = ["name", "pipeline", "services", "tasks", "images", "volumes", "task_defaults", "pipeline_defaults"];
    let list = matches!(root.get("pipelines"), Some(Node { kind: Kind::List(_), .. }));
    list || telling.iter().any(|key| root.get(key).is_some())
}
