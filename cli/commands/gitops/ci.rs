use std::path::Path;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::gitops::ci;
use crate::gitops::ci::Pipeline;

/// Write a workflow that plans merge requests and applies what is merged.
///
/// The plan becomes a comment, and what is merged is applied. Credentials are short-lived ones by OIDC: no key is stored
/// anywhere. What must be filled in is named when the file is written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal gitops ci github -e staging\n  liminal gitops ci gitlab -e prod --branch release"
)]
pub(crate) struct CiArgs {
    /// The code host.
    #[arg(value_enum)]
    host: Host,
    /// The branch whose commits are applied.
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// The file to write, instead of where the host looks for it; `-` prints it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long)]
    overwrite: bool,
}

/// A code host that runs workflows.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Host {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

impl Host {
    const fn file(self) -> &'static str {
        match self {
            Self::Github => ".github/workflows/liminal.yml",
            Self::Gitlab => ".gitlab-ci.yml",
        }
    }
}

pub(crate) fn run(context: &Context, args: &CiArgs) -> CommandResult {
    if let Some(problem) = liminal_schemas::delivery::branch_problem(&args.branch) {
        return Err(CliError::new(format!("`{}` can not be a branch: {problem}", args.branch.escape_debug()))
            .exit(ExitCode::Usage));
    }
    let pipeline = Pipeline { branch: &args.branch, environment: &context.settings.environment };
    let text = match args.host {
        Host::Github => ci::github(&pipeline),
        Host::Gitlab => ci::gitlab(&pipeline),
    };
    let file = args.out.clone().unwrap_or_else(|| context.settings.directory.join(args.host.file()));
    if file == Path::new("-") {
        context.printer.data(&text);
        return Ok(ExitCode::Ok);
    }
    if file.exists() && !args.overwrite {
        return Err(CliError::new(format!("{} is there already", file.display()))
            .hint("--overwrite replaces it, --out - prints the workflow"));
    }
    let failed = || format!("{} can not be written", file.display());
    file.parent().map_or(Ok(()), std::fs::create_dir_all).or_failed(failed)?;
    std::fs::write(&file, text).or_failed(failed)?;
    context.printer.data(&format!("{} is written.\n", file.display()));
    let variables = match args.host {
        Host::Github => "repository variables LIMINAL_PLAN_ROLE and LIMINAL_APPLY_ROLE",
        Host::Gitlab => "CI/CD variables LIMINAL_PLAN_ROLE, LIMINAL_APPLY_ROLE and LIMINAL_COMMENT_TOKEN",
    };
    context.printer.say(&format!("To fill in: the {variables}, AWS_REGION, and how `liminal` gets onto the runner."));
    Ok(ExitCode::Ok)
}
