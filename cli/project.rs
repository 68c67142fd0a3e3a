//! Finds the project, reads its definition, and says what is wrong with it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use liminal_infra::source::BareRepository;
use liminal_infra::source::Snapshot;
use liminal_infra::source::SourceError;
use liminal_schemas::definition;
use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::definition::Loaded;
use liminal_schemas::definition::read::DEFAULT_ENVIRONMENT;
use liminal_schemas::delivery::Delivery;
use liminal_schemas::finding::Report;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::platform::PlatformSpec;
use liminal_schemas::release::Release;

use crate::app::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render;

/// The names that a project's definition may have.
pub(crate) const DEFINITION_FILES: [&str; 2] = ["liminal.yml", "liminal.yaml"];

/// A project as it was at one moment: its files, and what its definition says.
pub(crate) struct Project {
    /// The folder that holds the definition.
    pub(crate) directory: PathBuf,
    /// Its files.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The definition and the releases that follow from it.
    pub(crate) loaded: Loaded,
}

/// The folder of the project: where the settings say, or above.
pub(crate) fn locate(start: &Path) -> Result<PathBuf, CliError> {
    let start = start.canonicalize().map_err(|error| {
        CliError::because(format!("the folder {} can not be used", start.display()), &error).exit(ExitCode::Usage)
    })?;
    let holds = |folder: &&Path| DEFINITION_FILES.iter().any(|name| folder.join(name).is_file());
    let is_place = |folder: &&Path| holds(folder) || is_bare(folder);
    match start.ancestors().find(is_place) {
        Some(folder) => Ok(folder.to_owned()),
        None => Err(CliError::new(format!("there is no liminal.yml in {} or above", start.display()))
            .hint("`liminal init NAME` makes a project that runs at once")
            .hint("-C DIR names the folder of a project")),
    }
}

/// Whether a folder is a bare repository, whose commits hold the project.
fn is_bare(folder: &Path) -> bool {
    // One that git refuses to read is one all the same, so that whoever reads it says why.
    BareRepository::open(folder).map_or(true, |repository| repository.is_some())
}

/// The name of the definition file in a project's folder.
pub(crate) fn definition_file(directory: &Path) -> &'static str {
    DEFINITION_FILES.into_iter().find(|name| directory.join(name).is_file()).unwrap_or(DEFINITION_FILES[0])
}

/// The project's files: from the work tree, or as of a revision. A bare repository has no work tree: its default branch
/// stands for that.
pub(crate) fn snapshot(directory: &Path, revision: Option<&str>) -> Result<Snapshot, CliError> {
    let bare = BareRepository::open(directory).map_err(unreadable)?;
    let result = match (&bare, revision) {
        (Some(bare), revision) => Snapshot::of_commit(directory, &bare.folder(), revision.unwrap_or("HEAD"), None),
        (None, Some(revision)) => Snapshot::at_revision(directory, revision),
        (None, None) => Snapshot::of_worktree(directory),
    };
    result.map_err(unreadable)
}

fn unreadable(error: SourceError) -> CliError {
    source_error("the project's files can not be read")(error)
}

/// Says what could not be done for an error about git or files, and what to try.
pub(crate) fn source_error(message: impl Into<String>) -> impl FnOnce(SourceError) -> CliError {
    move |error| {
        let failed = CliError::because(message, &error);
        match error.hint() {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

/// The project and the settings of the environment at hand, read from the work tree, and nothing else of the definition.
pub(crate) fn platform(
    context: &Context,
    directory: &Path,
) -> Result<(Option<ProjectName>, PlatformSpec, Delivery), CliError> {
    let snapshot = snapshot(directory, None)?;
    let name = &context.settings.environment;
    match definition::environment(&snapshot, definition_file(directory), Some(name)) {
        Ok(settings) => Ok((Some(settings.project), settings.platform, settings.delivery)),
        // This machine needs no settings, so that no definition, however broken, keeps anybody from what is on it.
        Err(_) if name.as_str() == DEFAULT_ENVIRONMENT => Ok((None, PlatformSpec::Local, Delivery::default())),
        Err(report) => match earlier(directory, name) {
            Some((back, settings)) => {
                context.printer.warn(&format!(
                    "the definition on the default branch is broken: environment {name} is taken from HEAD~{back}"
                ));
                Ok((Some(settings.project), settings.platform, settings.delivery))
            }
            None => Err(refuse(context, &report)),
        },
    }
}

/// How many commits of a bare repository are gone back for a definition that can be read.
const LOOKED_BACK: usize = 20;

/// The settings of an environment in an earlier commit of a bare repository: a broken push must not keep anybody from
/// what is deployed.
fn earlier(directory: &Path, name: &EnvironmentName) -> Option<(usize, EnvironmentSettings)> {
    BareRepository::open(directory).ok()??;
    (1..=LOOKED_BACK).find_map(|back| {
        let snapshot = snapshot(directory, Some(&format!("HEAD~{back}"))).ok()?;
        let settings = definition::environment(&snapshot, definition_file(directory), Some(name)).ok()?;
        Some((back, settings))
    })
}

/// Reads the project and its definition. Findings go to stderr; errors among them end the command.
///
/// Without a revision this is the work tree for environments on this machine, and the last commit for all others: what
/// others see is to be what others can see.
pub(crate) fn open(context: &Context, revision: Option<&str>) -> Result<Project, CliError> {
    let directory = locate(&context.settings.directory)?;
    let snapshot = snapshot(&directory, revision)?;
    let loaded = definition::load(&snapshot, definition_file(&directory), Some(&context.settings.environment));
    if revision.is_none() && is_elsewhere(context, &directory, &loaded) && snapshot.version().commit.is_some() {
        let committed = open(context, Some("HEAD"));
        if committed.is_err() && loaded.is_ok() {
            context
                .printer
                .warn("the definition in the work tree is fine, but outside of `local` only what is committed counts");
        }
        return committed;
    }
    let loaded = loaded.map_err(|report| refuse(context, &report))?;
    show(context, &loaded.report);
    // Who asks for another revision means it, and the work tree differs from it in any case.
    if revision == Some("HEAD") {
        warn_of_uncommitted(context, &snapshot.dirty_paths());
    }
    Ok(Project { directory, snapshot: Arc::new(snapshot), loaded })
}

/// Whether the environment at hand is not on this machine, which may be known though the definition is broken.
fn is_elsewhere(context: &Context, directory: &Path, loaded: &Result<Loaded, Box<Report>>) -> bool {
    let read;
    let platform = match loaded {
        Ok(loaded) => &loaded.resolved.platform,
        Err(_) => match snapshot(directory, None) {
            Ok(snapshot) => {
                let name = Some(&context.settings.environment);
                let settings = definition::environment(&snapshot, definition_file(directory), name);
                read = settings.map_or(PlatformSpec::Local, |settings| settings.platform);
                &read
            }
            Err(_) => return false,
        },
    };
    match platform {
        PlatformSpec::Local => false,
        PlatformSpec::Aws(_) => true,
    }
}

/// Says what is wrong with a definition, after which the command ends.
pub(crate) fn refuse(context: &Context, report: &Report) -> CliError {
    show(context, report);
    CliError::said(ExitCode::Error)
}

/// How many files are named that differ from the revision at hand.
const NAMED_FILES: usize = 5;

/// Says which changes of the work tree a command at a revision leaves out.
fn warn_of_uncommitted(context: &Context, paths: &[String]) {
    if paths.is_empty() {
        return;
    }
    let named: Vec<&str> = paths.iter().take(NAMED_FILES).map(String::as_str).collect();
    let more =
        if paths.len() > named.len() { format!(" and {} more", paths.len() - named.len()) } else { String::new() };
    context.printer.warn(&format!("uncommitted changes are left out: {}{more}", named.join(", ")));
}

/// Prints findings, if there are any.
pub(crate) fn show(context: &Context, report: &Report) {
    if !report.findings.is_empty() {
        context.printer.complain(&render::findings::text(report, &context.printer.err));
    }
}

impl Project {
    /// The pipeline with this name, or the only one where none is given.
    pub(crate) fn pipeline(&self, name: Option<&str>) -> Result<(&PipelineName, &Release), CliError> {
        let releases = &self.loaded.resolved.releases;
        let names: Vec<&str> = releases.keys().map(PipelineName::as_str).collect();
        let listed =
            || if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
        match name {
            Some(name) => releases.get_key_value(name).ok_or_else(|| {
                CliError::new(format!("there is no pipeline `{name}`")).hint(listed()).exit(ExitCode::Usage)
            }),
            None if releases.len() == 1 => {
                releases.first_key_value().ok_or_else(|| CliError::new("the definition has no pipeline"))
            }
            None => Err(CliError::new("which pipeline?").hint(listed()).exit(ExitCode::Usage)),
        }
    }
}
