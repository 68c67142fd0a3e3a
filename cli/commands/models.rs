use liminal_schemas::name::ModelName;

use crate::app::Context;
use crate::args::Format;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;
use crate::render::units;

/// List the registered models, newest and aliased versions first, or all versions of one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal models\n  liminal models breast-cancer -o json")]
pub(crate) struct ModelsArgs {
    /// The model whose versions are listed.
    model: Option<ModelName>,
    /// The form of the list.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

pub(crate) async fn run(context: &Context, args: &ModelsArgs) -> CommandResult {
    let environment = Environment::of_project(context).await?;
    let records = environment.records();
    let names = match &args.model {
        Some(model) => vec![model.clone()],
        None => records.models().await?,
    };
    let mut versions = Vec::new();
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("VERSION", Align::Right),
        ("ALIASES", Align::Left),
        ("SIZE", Align::Right),
        ("REGISTERED", Align::Left),
        ("RUN", Align::Left),
        ("ARTIFACT", Align::Left),
    ]);
    for name in &names {
        let aliases = records.model_aliases(name).await?;
        let mut known = records.model_versions(name).await?;
        known.reverse();
        if args.model.is_none() {
            let newest = known.first().map(|version| version.version);
            known.retain(|version| {
                Some(version.version) == newest || aliases.values().any(|named| *named == version.version)
            });
        }
        for version in known {
            let own: Vec<&str> = aliases
                .iter()
                .filter(|(_, number)| **number == version.version)
                .map(|(alias, _)| alias.as_str())
                .collect();
            table.row([
                Cell::new(Tone::Bold, name.as_str()),
                Cell::new(Tone::Plain, version.version.to_string()),
                Cell::new(Tone::Good, own.join(", ")),
                Cell::new(Tone::Plain, units::bytes(version.artifact.bytes)),
                Cell::new(Tone::Dim, units::age(environment.now(), version.registered_at)),
                Cell::new(Tone::Plain, version.run.as_str()),
                Cell::new(Tone::Dim, version.artifact.digest.short()),
            ]);
            versions.push(version);
        }
    }
    if let (Some(model), true) = (&args.model, versions.is_empty()) {
        return Err(CliError::new(format!("there is no model `{model}`")).hint("`liminal models` lists all of them"));
    }
    match args.output {
        Format::Json => context.printer.json(&versions),
        Format::Text if versions.is_empty() => {
            context.printer.data("No model yet: a `register:` step makes the first.\n");
        }
        Format::Text => context.printer.data(&table.render(&context.printer.out)),
    }
    Ok(ExitCode::Ok)
}
