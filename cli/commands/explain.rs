use liminal_schemas::finding::Code;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;

/// Explain an error code, as in `liminal explain L0201`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The code; without one, all are listed.
    code: Option<String>,
}

pub(crate) fn run(context: &Context, args: &ExplainArgs) -> CommandResult {
    let Some(wanted) = &args.code else {
        let lines: Vec<String> = Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title())).collect();
        context.printer.data(&lines.concat());
        return Ok(ExitCode::Ok);
    };
    match Code::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(wanted)) {
        Some(code) => {
            context.printer.data(code.page());
            Ok(ExitCode::Ok)
        }
        None => Err(CliError::new(format!("there is no error code `{wanted}`"))
            .hint("`liminal explain` lists all of them")
            .exit(ExitCode::Usage)),
    }
}
