use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::name::ProjectName;

use crate::app::Context;
use crate::error::CliError;
use crate::error::CommandResult;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// Make a project that runs at once.
///
/// It holds one small pipeline in plain Python, needs nothing but Python 3, and is a git repository with a first commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  liminal init demo && liminal -C demo run\n  liminal init models/churn")]
pub(crate) struct InitArgs {
    /// The folder to make, or an empty one that is there; its name becomes the project's.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The project's name, where it is not to be that of the folder.
    #[arg(long)]
    name: Option<String>,
}

/// What stands for the project's name in the template.
const NAME_TOKEN: &str = "@PROJECT@";

/// The template: paths below the project's folder, and contents.
const TEMPLATE: &[(&str, &str)] = include!("../templates/project.in");

pub(crate) fn run(context: &Context, args: &InitArgs) -> CommandResult {
    let folder = context.settings.directory.join(&args.folder);
    let name = project_name(&folder, args.name.as_deref())?;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CliError::new(format!("{} is not empty", folder.display()))
            .hint("name a folder that is empty or does not exist yet"));
    }
    for (path, content) in TEMPLATE {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).or_failed(|| format!("{} can not be made", parent.display()))?;
        }
        std::fs::write(&target, content.replace(NAME_TOKEN, name.as_str()))
            .or_failed(|| format!("{} can not be written", target.display()))?;
    }
    let repository = liminal_infra::source::init_repository(&folder, "Start from the liminal template")
        .or_failed(|| format!("no git repository can be made in {}", folder.display()))?;
    let here = args.folder.as_os_str() == ".";
    let shown = if here { Path::new("") } else { &args.folder };
    let (definition, steps) = (shown.join("liminal.yml"), shown.join("steps"));
    context.printer.data(&format!(
        "Made {name}: a pipeline in {}, its steps in {}/\n",
        definition.display(),
        steps.display()
    ));
    if !repository {
        context.printer.say(&format!("{} lies in a git repository already, so none was made.", folder.display()));
    }
    let next = if here { "Next: liminal run".to_owned() } else { format!("Next: liminal -C {} run", shown.display()) };
    context.printer.say(&next);
    Ok(ExitCode::Ok)
}

/// The name that was given, or one made from the folder's.
fn project_name(folder: &Path, given: Option<&str>) -> Result<ProjectName, CliError> {
    if let Some(given) = given {
        return ProjectName::new(given)
            .map_err(|error| CliError::because("no project is made", &error).exit(ExitCode::Usage));
    }
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let base = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let tidy: String = base.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    ProjectName::new(tidy.trim_matches('-')).map_err(|error| {
        CliError::because(format!("no project is named after the folder `{base}`"), &error)
            .hint("--name NAME gives it another name")
            .exit(ExitCode::Usage)
    })
}
