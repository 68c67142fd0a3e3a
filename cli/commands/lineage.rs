use std::collections::BTreeSet;

use liminal_functions::ports::ObjectStore;
use liminal_schemas::name::ModelName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::ModelVersion;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::StepSpec;
use serde::Serialize;

use super::artifacts;
use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::Records;
use crate::records::RunName;
use crate::records::RunView;
use crate::render::graph;
use crate::render::lineage;
use crate::render::lineage::LineageNode;
use crate::render::units;

/// Show what a model or an artifact was made from, back to the code, parameters and data.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal lineage breast-cancer            the newest version of a model\n  liminal lineage breast-cancer@champion   the version that an alias names\n  liminal lineage evaluate.model           an artifact of the newest run"
)]
pub(crate) struct LineageArgs {
    /// `MODEL`, `MODEL@VERSION`, `MODEL@ALIAS` or `STEP.OUTPUT`.
    subject: String,
    /// The run, for `STEP.OUTPUT`; the newest that left it where none is given.
    #[arg(long)]
    run: Option<String>,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// A node for programs.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    detail: &'a str,
    made_from: Vec<Document<'a>>,
}

impl<'a> From<&'a LineageNode> for Document<'a> {
    fn from(node: &'a LineageNode) -> Self {
        Self { name: &node.name, detail: &node.detail, made_from: node.children.iter().map(Document::from).collect() }
    }
}

pub(crate) async fn run(context: &Context, args: &LineageArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let root = match args.subject.split_once('.') {
        Some(_) => {
            let view = records.with_output(args.run.as_deref(), &args.subject).await?;
            let (_, artifact) = artifacts::find(&view, &args.subject)?;
            let (step, output) = args.subject.split_once('.').unwrap_or_default();
            let mut tree = Tree { records: &records, view: &view, seen: BTreeSet::new() };
            let detail = format!("{}  {}", artifact.digest.short(), units::bytes(artifact.bytes));
            let maker = tree.step(step).await?;
            LineageNode::new(format!("{step}.{output}"), detail).child(maker)
        }
        None => of_model(&records, &args.subject).await?,
    };
    match args.output {
        Format::Json => context.printer.json(&Document::from(&root)),
        Format::Text => context.printer.data(&lineage::text(&root, &context.printer.out)),
    }
    Ok(ExitCode::Ok)
}

async fn of_model<S: ObjectStore>(records: &Records<'_, S>, subject: &str) -> Result<LineageNode, CliError> {
    let (name, wanted) = subject.split_once('@').map_or((subject, None), |(name, wanted)| (name, Some(wanted)));
    let unknown = |what: String| {
        CliError::new(what).hint("`liminal models` lists the models").hint("an artifact is written STEP.OUTPUT")
    };
    let model = ModelName::new(name).map_err(|error| unknown(error.to_string()))?;
    let versions = records.model_versions(&model).await?;
    let aliases = records.model_aliases(&model).await?;
    let number = match wanted {
        None => versions.last().map(|version| version.version),
        Some(text) => text.parse().ok().or_else(|| aliases.get(text).copied()),
    };
    let version: ModelVersion = versions
        .into_iter()
        .find(|version| Some(version.version) == number)
        .ok_or_else(|| unknown(format!("there is no model `{subject}`")))?;
    let run = RunName { run: version.run.clone(), pipeline: version.pipeline.clone() };
    let commit = version.source.commit.as_deref().map(units::short_commit).unwrap_or_else(|| "no commit".to_owned());
    let edited = if version.source.dirty { " + edits" } else { "" };
    let detail = format!("{}  run {}  {commit}{edited}", version.artifact.digest.short(), version.run);
    let node = LineageNode::new(format!("models.{model}@{}", version.version), detail);
    match records.view(&run).await {
        Ok(view) => {
            let mut tree = Tree { records, view: &view, seen: BTreeSet::new() };
            let maker = tree.step(version.step.as_str()).await?;
            Ok(node.child(maker))
        }
        // The run may have been removed; what the version itself says is still worth showing.
        Err(_) => Ok(node),
    }
}

/// Follows a run from step to step.
struct Tree<'a, S> {
    records: &'a Records<'a, S>,
    view: &'a RunView,
    seen: BTreeSet<StepName>,
}

impl<S: ObjectStore> Tree<'_, S> {
    /// A step, and below it all that it was made from.
    async fn step(&mut self, name: &str) -> Result<LineageNode, CliError> {
        let Some((name, spec)) = self.view.release.steps.get_key_value(name) else {
            return Ok(LineageNode::new(name, "unknown"));
        };
        let mut node = LineageNode::new(format!("step {name}"), self.describe(name, spec));
        if !self.seen.insert(name.clone()) {
            node.seen = true;
            return Ok(node);
        }
        self.code(&mut node, spec).await?;
        let params = spec.names.params(&self.view.record.params);
        for parameter in spec.params_used() {
            if let Some(value) = params.get(parameter) {
                node.children.push(LineageNode::new(format!("params.{parameter}"), value.to_string()));
            }
        }
        for (input, source) in &spec.inputs {
            match source {
                InputSource::Param { .. } => {}
                InputSource::File { path, content } => {
                    node.children.push(LineageNode::new(format!("./{path}"), content.short()));
                }
                InputSource::Trigger => {
                    let object = self.view.record.object.as_ref();
                    let (label, detail) = object.map_or((source.to_string(), String::new()), |object| {
                        (object.uri.clone(), object.artifact.digest.short())
                    });
                    node.children.push(LineageNode::new(label, detail));
                }
                InputSource::Model { .. } => {
                    let pin = self.view.record.models.get(&format!("{name}.{input}"));
                    let (label, detail) = pin.map_or((source.to_string(), String::new()), |pin| {
                        (format!("models.{}@{}", pin.model, pin.version), pin.artifact.digest.short())
                    });
                    node.children.push(LineageNode::new(label, detail));
                }
                InputSource::Output { step, output } => {
                    let artifact = self.view.commits.get(step).and_then(|commit| commit.outputs.get(output));
                    let detail = artifact
                        .map(|artifact| format!("{}  {}", artifact.digest.short(), units::bytes(artifact.bytes)))
                        .unwrap_or_default();
                    let maker = Box::pin(self.step(step.as_str())).await?;
                    node.children.push(LineageNode::new(source.to_string(), detail).child(maker));
                }
            }
        }
        if let Some(map) = &spec.map {
            let mut items = LineageNode::new(format!("items {}", map.over), "");
            if let Some(step) = map.maker() {
                items = items.child(Box::pin(self.step(step.as_str())).await?);
            }
            node.children.push(items);
        }
        for step in &spec.reads_metrics {
            let maker = Box::pin(self.step(step.as_str())).await?;
            node.children.push(LineageNode::new(format!("metrics.{step}"), "").child(maker));
        }
        Ok(node)
    }

    fn describe(&self, name: &StepName, spec: &StepSpec) -> String {
        let action = graph::does(&spec.action);
        match self.view.commits.get(name).and_then(|commit| commit.cached_from.as_ref()) {
            Some(run) => format!("{action}  in run {run}"),
            None => action,
        }
    }

    /// The files of the step's package, and its requirements.
    async fn code(&self, node: &mut LineageNode, spec: &StepSpec) -> Result<(), CliError> {
        let Some(digest) = &spec.package else { return Ok(()) };
        let Some(package) = self.records.package(digest).await? else {
            node.children.push(LineageNode::new("package", digest.short()));
            return Ok(());
        };
        for (path, file) in &package.files {
            node.children.push(LineageNode::new(format!("code {path}"), units::short_commit(&file.blob)));
        }
        if let Some(file) = package.python.and_then(|python| python.requirements) {
            node.children.push(LineageNode::new(format!("python {}", file.path), units::short_commit(&file.blob)));
        }
        Ok(())
    }
}
