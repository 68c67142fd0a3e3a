//! An environment's settings alone, for commands that look at what is deployed and need no pipeline.

use super::decode;
use super::decode::Context;
use super::load::Loader;
use super::read;
use crate::delivery::Delivery;
use crate::files::ProjectFiles;
use crate::finding::Report;
use crate::name::EnvironmentName;
use crate::name::ProjectName;
use crate::platform::PlatformSpec;

/// What a definition says of one environment, without its pipelines.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentSettings {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What carries it out.
    pub platform: PlatformSpec,
    /// How changes come to it.
    pub delivery: Delivery,
}

/// Reads the settings of an environment, [`read::DEFAULT_ENVIRONMENT`] if none is named, and as little else as possible: the root
/// file and what it extends. So a run can be looked at while its pipeline's definition is broken, or large.
///
/// # Errors
/// All that is wrong with what was read, or that there is no such environment.
pub fn environment(
    files: &dyn ProjectFiles,
    root: &str,
    environment: Option<&EnvironmentName>,
) -> Result<EnvironmentSettings, Box<Report>> {
    let mut loader = Loader::new(files);
    let settings = settings(&mut loader, root, environment);
    let report = read::finished(loader);
    match settings {
        Some(settings) if !report.has_errors() => Ok(settings),
        Some(_) | None => Err(Box::new(report)),
    }
}

fn settings(loader: &mut Loader<'_>, root: &str, environment: Option<&EnvironmentName>) -> Option<EnvironmentSettings> {
    let root = read::root_file(loader.files, root);
    let tree = loader.load_chain(root)?;
    let chosen = read::chosen(environment)?;
    let mut cx = Context::default();
    let project = decode::project_name(&tree, &mut cx);
    let spec = match decode::environment(&tree, &chosen, &mut cx) {
        Ok(spec) => Some(spec),
        Err(known) => {
            let place = tree.get("environments").map(|node| node.span.clone());
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            cx.findings.push(read::no_environment(&chosen, place, &known));
            None
        }
    };
    if let Some(template) = spec.as_ref().and_then(|spec| spec.delivery.template.as_ref())
        && template.name == chosen
    {
        let place = tree.get("environments").map(|node| node.span.clone());
        cx.findings.push(read::is_template(template, place));
    }
    loader.report.findings.extend(cx.findings);
    let spec = spec?;
    let project = project?.value;
    Some(EnvironmentSettings { project, environment: chosen, platform: spec.platform, delivery: spec.delivery })
}

/// Reads the settings of all environments that a definition lists: what each is carried out by and which branch it follows.
///
/// # Errors
/// All that is wrong with what was read.
pub fn environments(files: &dyn ProjectFiles, root: &str) -> Result<Vec<EnvironmentSettings>, Box<Report>> {
    let mut loader = Loader::new(files);
    let found = all(&mut loader, root);
    let report = read::finished(loader);
    match found {
        Some(found) if !report.has_errors() => Ok(found),
        Some(_) | None => Err(Box::new(report)),
    }
}

fn all(loader: &mut Loader<'_>, root: &str) -> Option<Vec<EnvironmentSettings>> {
    let root = read::root_file(loader.files, root);
    let tree = loader.load_chain(root)?;
    let mut cx = Context::default();
    let project = decode::project_name(&tree, &mut cx);
    let specs = decode::all_environments(&tree, &mut cx);
    loader.report.findings.extend(cx.findings);
    let project = project?.value;
    let settings = |(environment, spec): (EnvironmentName, decode::EnvironmentSpec)| EnvironmentSettings {
        project: project.clone(),
        environment,
        platform: spec.platform,
        delivery: spec.delivery,
    };
    Some(specs.into_iter().map(settings).collect())
}
