use std::collections::BTreeSet;

use liminal_infra::plan::diff;
use liminal_infra::plan::diff::Packages;
use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::release::Release;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project;
use crate::project::Project;
use crate::render::plan_text;

/// Show what differs between two git revisions, pipeline by pipeline and field by field.
///
/// Both are read as the environment at hand has them. Nothing is looked up in the environment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal diff v1.0 v1.1\n  liminal diff HEAD~1 HEAD -e prod")]
pub(crate) struct DiffArgs {
    /// The earlier revision.
    before: String,
    /// The later revision.
    after: String,
    /// The form of the differences.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) fn run(context: &Context, args: &DiffArgs) -> CommandResult {
    let before = project::open(context, Some(&args.before))?;
    let after = project::open(context, Some(&args.after))?;
    let (changes, unchanged) = changes(&before, &after);
    match args.output {
        Format::Json => context.printer.json(&changes),
        Format::Text => {
            let releases = &after.loaded.resolved.releases;
            context.printer.data(&plan_text::changes(&changes, releases, unchanged, &context.printer.out));
        }
    }
    Ok(ExitCode::Ok)
}

/// The pipelines that differ, and how many do not.
fn changes(before: &Project, after: &Project) -> (Vec<PipelineChange>, usize) {
    let (old, new) = (&before.loaded.resolved, &after.loaded.resolved);
    let packages = Packages { before: &old.packages, after: &new.packages };
    let names: BTreeSet<&PipelineName> = old.releases.keys().chain(new.releases.keys()).collect();
    let mut changes = Vec::new();
    let mut unchanged = 0;
    for name in names {
        let (one, other) = (old.releases.get(name), new.releases.get(name));
        let (from, to) = (one.map(Release::revision), other.map(Release::revision));
        if from == to {
            unchanged += 1;
            continue;
        }
        let action = match (one, other) {
            (None, _) => ChangeAction::Create,
            (Some(_), None) => ChangeAction::Delete,
            (Some(_), Some(_)) => ChangeAction::Update,
        };
        let difference = diff::releases(one, other, packages);
        changes.push(PipelineChange {
            pipeline: name.clone(),
            action,
            from,
            to,
            canary: None,
            fields: difference.fields,
            steps: difference.steps,
            unchanged_steps: difference.unchanged_steps,
            forecast: std::collections::BTreeMap::new(),
        });
    }
    (changes, unchanged)
}
