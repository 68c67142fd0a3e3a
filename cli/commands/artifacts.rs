use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::run::Artifact;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::OutputRole;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::RunView;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// List, fetch and print what steps left.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal artifacts ls\n  liminal artifacts get evaluate.roc --to roc.png\n  liminal artifacts cat evaluate.metrics --run 20261124-230239-x7k2"
)]
pub(crate) struct ArtifactsArgs {
    #[command(subcommand)]
    command: ArtifactsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ArtifactsCommand {
    /// List what a run left.
    Ls {
        /// The run; the newest where none is given.
        run: Option<String>,
        /// The form of the list.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// Copy an artifact out of the store.
    Get {
        /// `STEP.OUTPUT`.
        artifact: String,
        /// The run; the newest that left it where none is given.
        #[arg(long)]
        run: Option<String>,
        /// Where to; the output's own name in the current folder where that is not said.
        #[arg(long, value_name = "PATH")]
        to: Option<PathBuf>,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Print a file artifact.
    Cat {
        /// `STEP.OUTPUT`.
        artifact: String,
        /// The run; the newest that left it where none is given.
        #[arg(long)]
        run: Option<String>,
    },
}

/// An artifact in the list.
#[derive(serde::Serialize)]
struct Row {
    artifact: String,
    step: StepName,
    output: FieldName,
    role: OutputRole,
    kind: ArtifactKind,
    bytes: u64,
    digest: Digest,
    path: String,
}

pub(crate) async fn run(context: &Context, args: &ArtifactsArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    match &args.command {
        ArtifactsCommand::Ls { run, output } => {
            let view = records.view(&records.find(run.as_deref(), None).await?).await?;
            list(context, &environment, &view, *output);
        }
        ArtifactsCommand::Get { artifact, run, to, force } => {
            let view = records.with_output(run.as_deref(), artifact).await?;
            let (path, found) = find(&view, artifact)?;
            let own_name = Path::new(&path).file_name().map(PathBuf::from).unwrap_or_else(|| PathBuf::from(artifact));
            let target = to.clone().unwrap_or(own_name);
            if target.symlink_metadata().is_ok() && !force {
                return Err(CliError::new(format!("{} is there already", target.display()))
                    .hint("--to PATH writes elsewhere, --force replaces it"));
            }
            if *force && target.is_dir() {
                std::fs::remove_dir_all(&target).or_failed(|| format!("{} can not be replaced", target.display()))?;
            } else if *force && target.symlink_metadata().is_ok() {
                std::fs::remove_file(&target).or_failed(|| format!("{} can not be replaced", target.display()))?;
            }
            environment.artifacts().copy_out(&found, &target).await?;
            context.printer.say(&format!("{artifact} → {} ({})", target.display(), units::bytes(found.bytes)));
        }
        ArtifactsCommand::Cat { artifact, run } => {
            let view = records.with_output(run.as_deref(), artifact).await?;
            let (_, found) = find(&view, artifact)?;
            if found.kind == ArtifactKind::Directory {
                return Err(CliError::new(format!("{artifact} is a directory"))
                    .hint(format!("`liminal artifacts get {artifact}` copies it")));
            }
            let bytes = environment.artifacts().read(&found).await?;
            context.printer.bytes(&bytes);
        }
    }
    Ok(ExitCode::Ok)
}

fn list(context: &Context, environment: &Environment, view: &RunView, output: Format) {
    let files = environment.artifacts();
    let mut rows = Vec::new();
    for (step, commit) in &view.commits {
        for (name, artifact) in &commit.outputs {
            let spec = view.release.steps.get(step).and_then(|spec| spec.outputs.get(name));
            rows.push(Row {
                artifact: format!("{step}.{name}"),
                step: step.clone(),
                output: name.clone(),
                role: spec.map(|spec| spec.role).unwrap_or_default(),
                kind: artifact.kind,
                bytes: artifact.bytes,
                digest: artifact.digest,
                path: files.location(&artifact.digest),
            });
        }
    }
    if output == Format::Json {
        return context.printer.json(&rows);
    }
    let mut table =
        Table::new([("ARTIFACT", Align::Left), ("KIND", Align::Left), ("SIZE", Align::Right), ("DIGEST", Align::Left)]);
    for row in &rows {
        let kind = match (row.role, row.kind) {
            (OutputRole::Metrics, _) => "metrics",
            (OutputRole::Plot, _) => "plot",
            (OutputRole::Data, ArtifactKind::Directory) => "directory",
            (OutputRole::Data, ArtifactKind::File) => "file",
        };
        table.row([
            Cell::new(Tone::Plain, &row.artifact),
            Cell::new(Tone::Dim, kind),
            Cell::new(Tone::Plain, units::bytes(row.bytes)),
            Cell::new(Tone::Dim, row.digest.short()),
        ]);
    }
    if rows.is_empty() {
        context.printer.data(&format!("Run {} left nothing.\n", view.record.run));
    } else {
        context.printer.data(&table.render(&context.printer.out));
    }
}

/// The declared path of an output, and what the run left there.
pub(crate) fn find(view: &RunView, reference: &str) -> Result<(String, Artifact), CliError> {
    let known = || {
        let mut all: Vec<String> = view
            .commits
            .iter()
            .flat_map(|(step, commit)| commit.outputs.keys().map(move |output| format!("{step}.{output}")))
            .collect();
        all.sort();
        format!("run {} left {}", view.record.run, if all.is_empty() { "nothing".to_owned() } else { all.join(", ") })
    };
    let found = reference.split_once('.').and_then(|(step, output)| {
        let artifact = view.commits.get(step)?.outputs.get(output)?;
        let spec = view.release.steps.get(step)?.outputs.get(output)?;
        Some((spec.path.clone(), artifact.clone()))
    });
    found.ok_or_else(|| CliError::new(format!("there is no artifact `{reference}`")).hint(known()))
}
