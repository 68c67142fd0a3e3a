use liminal_schemas::definition::json_schema;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;

/// Print the JSON Schema of a document: the definition, a plan, the state, the records of a run.
///
/// Editors complete and check `liminal.yml` with it. Put this line on top of the file, after writing the schema beside it:
/// `# yaml-language-server: $schema=liminal.schema.json`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal schema > liminal.schema.json\n  liminal schema plan")]
pub(crate) struct SchemaArgs {
    /// The document.
    #[arg(default_value = "definition")]
    document: String,
    /// List the documents that have a schema.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(context: &Context, args: &SchemaArgs) -> CommandResult {
    if args.list {
        for name in json_schema::names() {
            context.printer.data(&format!("{name}\n"));
        }
        return Ok(ExitCode::Ok);
    }
    match json_schema::schema(&args.document) {
        Some(schema) => {
            context.printer.json(&schema);
            Ok(ExitCode::Ok)
        }
        None => Err(CliError::new(format!("there is no document `{}`", args.document))
            .hint(format!("there are {}", json_schema::names().collect::<Vec<_>>().join(", ")))
            .exit(ExitCode::Usage)),
    }
}
