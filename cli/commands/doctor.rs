use std::path::Path;

use liminal_functions::local::sandbox;
use liminal_functions::local::sandbox::SandboxStatus;
use serde::Serialize;

use crate::app::Context;
use crate::args::Format;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::platform::find_program;
use crate::project;
use crate::render::style::Tone;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;

/// Look for what could keep liminal from working here.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// The form of the report.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Good,
    Note,
    Bad,
}

/// Something that was looked at.
#[derive(Serialize)]
struct Check {
    what: &'static str,
    health: Health,
    found: String,
}

impl Check {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Good, found: found.into() }
    }
    fn note(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Note, found: found.into() }
    }
    fn bad(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Bad, found: found.into() }
    }
}

pub(crate) async fn run(context: &Context, args: &DoctorArgs) -> CommandResult {
    let mut checks = machine(context);
    match project::locate(&context.settings.directory) {
        Ok(directory) => checks.extend(project(context, &directory).await),
        Err(_) => checks.push(Check::note("project", "none here or above: `liminal init NAME` makes one")),
    }
    match args.output {
        Format::Json => context.printer.json(&checks),
        Format::Text => {
            let style = &context.printer.out;
            let mut table = Table::new([("", Align::Left), ("", Align::Left), ("", Align::Left)]);
            for check in &checks {
                let (tone, symbol) = match check.health {
                    Health::Good => (Tone::Good, style.symbol("✓", "ok")),
                    Health::Note => (Tone::Warn, style.symbol("•", "note")),
                    Health::Bad => (Tone::Bad, style.symbol("✗", "bad")),
                };
                table.row([
                    Cell::new(tone, symbol),
                    Cell::new(Tone::Bold, check.what),
                    Cell::new(Tone::Plain, &check.found),
                ]);
            }
            context.printer.data(&table.render(style));
        }
    }
    let sound = checks.iter().all(|check| check.health != Health::Bad);
    Ok(if sound { ExitCode::Ok } else { ExitCode::Error })
}

/// Tools, folders and kernel features of this machine.
fn machine(context: &Context) -> Vec<Check> {
    let settings = &context.settings;
    let mut checks = vec![Check::good("liminal", env!("CARGO_PKG_VERSION"))];
    checks.push(match find_program("python3", &settings.path) {
        Some(path) => Check::good("python", path.display().to_string()),
        None => Check::bad("python", "python3 is not on PATH: `call:` steps can not run; install Python 3"),
    });
    checks.push(match find_program("uv", &settings.path) {
        Some(path) => Check::good("uv", path.display().to_string()),
        None => Check::note("uv", "not on PATH: environments are made by python3 -m venv and pip, which is slower"),
    });
    checks.push(match find_program("git", &settings.path) {
        Some(path) => Check::good("git", path.display().to_string()),
        None => Check::note("git", "not on PATH: liminal reads repositories by itself, but you will want it to commit"),
    });
    checks.push(match (settings.sandbox, sandbox::status()) {
        (false, _) => Check::note("sandbox", "turned off by LIMINAL_SANDBOX=0: steps may write anywhere"),
        (true, SandboxStatus::Unavailable) => {
            Check::note("sandbox", "this kernel has no Landlock: steps may write outside their work folders")
        }
        (true, status) => Check::good("sandbox", format!("steps may write in their work folders alone ({status:?})")),
    });
    checks.push(match writable(&settings.cache_dir) {
        Ok(()) => Check::good("cache folder", settings.cache_dir.display().to_string()),
        Err(error) => {
            Check::bad("cache folder", format!("{} can not be written: {error}", settings.cache_dir.display()))
        }
    });
    checks
}

fn writable(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    tempfile::NamedTempFile::new_in(folder).map(drop)
}

/// Definition, store, state, lock and runs of the project at hand.
async fn project(context: &Context, directory: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let file = project::definition_file(directory);
    checks.push(match project::snapshot(directory, None) {
        Err(_) => Check::bad(
            "project",
            format!("the files in {} can not be read: try `liminal validate`", directory.display()),
        ),
        Ok(snapshot) => match liminal_schemas::definition::load(&snapshot, file, Some(&context.settings.environment)) {
            Ok(loaded) => Check::good("project", format!("{} in {}", loaded.resolved.project, directory.display())),
            Err(report) => {
                Check::bad("project", format!("{}: see `liminal validate`", crate::render::findings::summary(&report)))
            }
        },
    });
    let environment = match Environment::of_project(context).await {
        Ok(environment) => environment,
        Err(error) => {
            checks.push(Check::bad("store", error.summary()));
            return checks;
        }
    };
    checks.push(match environment.probe_store().await {
        Ok(place) => Check::good("store", place),
        Err(error) => Check::bad("store", error.summary()),
    });
    checks.push(match environment.state().await {
        Ok(None) => Check::note("state", "nothing was applied yet"),
        Ok(Some(loaded)) if loaded.state.journal.is_some() => {
            Check::note("state", "an apply did not get to its end: the next `liminal apply` takes up the rest")
        }
        Ok(Some(loaded)) => Check::good("state", format!("serial {}", loaded.state.serial)),
        Err(error) => Check::bad("state", error.summary()),
    });
    checks.push(match environment.lock_holder().await {
        Ok(None) => Check::good("lock", "free"),
        Ok(Some(holder)) => Check::note(
            "lock",
            format!(
                "held by process {} on {} since {}: `liminal state unlock` takes it away",
                holder.pid, holder.host, holder.since
            ),
        ),
        Err(error) => Check::bad("lock", error.summary()),
    });
    checks.push(match environment.records().newest_open().await {
        Ok(None) => Check::good("runs", "all have ended"),
        Ok(Some(name)) if environment.is_carried(&name.run) => {
            Check::good("runs", format!("{} is under way", name.run))
        }
        Ok(Some(name)) => {
            Check::note("runs", format!("{run} was interrupted: `liminal resume {run}` goes on", run = name.run))
        }
        Err(error) => Check::bad("runs", error.summary()),
    });
    checks
}
