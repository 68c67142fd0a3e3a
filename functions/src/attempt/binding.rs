//! What the names in a step stand for in one attempt: paths and values.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::name::FieldName;
use liminal_schemas::release::SecretRef;
use liminal_schemas::run::Failure;
use liminal_schemas::step::InputSource;
use liminal_schemas::template::Reference;
use liminal_schemas::template::Template;
use liminal_schemas::value::Value;

use super::failure;
use super::folder::AttemptFolder;
use crate::executor::AttemptJob;

/// Finds the value of a secret, if there is one.
pub type FindSecret<'a> = &'a dyn Fn(&SecretRef) -> Result<Option<String>, Failure>;

/// What the names of a step stand for.
#[derive(Debug, Default)]
pub struct Binding {
    /// Inputs that are files and directories.
    pub inputs: BTreeMap<FieldName, PathBuf>,
    /// Inputs that are parameters.
    pub values: BTreeMap<FieldName, Value>,
    /// Where outputs are expected, metrics and plots among them.
    pub outputs: BTreeMap<FieldName, PathBuf>,
    /// The secrets that the step uses.
    pub secrets: BTreeMap<FieldName, String>,
}

impl Binding {
    /// Binds the names of a job's step. `code` is the folder of its package, where it has one.
    ///
    /// # Errors
    /// When a name stands for nothing, or a path would leave its folder.
    pub fn new(
        job: &AttemptJob,
        folder: &AttemptFolder,
        code: Option<&Path>,
        find_secret: FindSecret<'_>,
    ) -> Result<Self, Failure> {
        let mut binding = Self::default();
        for (name, source) in &job.spec.inputs {
            match source {
                InputSource::Output { .. } | InputSource::Model { .. } | InputSource::Trigger => {
                    if !job.inputs.contains_key(name) {
                        return Err(failure::poison(format!("input `{name}` ({source}) has no content")));
                    }
                    binding.inputs.insert(name.clone(), folder.input(name.as_str()));
                }
                InputSource::File { path, .. } => {
                    let path = path.trim_end_matches('/');
                    let Some(code) = code.filter(|_| is_contained(path)) else {
                        return Err(failure::poison(format!("input `{name}` ({source}) is in no package")));
                    };
                    binding.inputs.insert(name.clone(), code.join(path));
                }
                InputSource::Param { name: param } => {
                    let Some(value) = job.params.get(param) else {
                        return Err(failure::poison(format!("the run has no parameter `{param}`")));
                    };
                    binding.values.insert(name.clone(), value.clone());
                }
            }
        }
        let objects = job.objects.keys().map(|name| (name.clone(), folder.input(name.as_str())));
        binding.inputs.extend(objects);
        let out = folder.out();
        for (name, output) in &job.spec.outputs {
            let path = output.path.trim_end_matches('/');
            if !is_contained(path) {
                return Err(failure::poison(format!(
                    "the path of output `{name}`, {path:?}, leaves the output folder"
                )));
            }
            binding.outputs.insert(name.clone(), out.join(path));
        }
        for reference in job.spec.env.values().flat_map(Template::references) {
            if let Reference::Secret(name) = reference {
                let value = secret(job, name, find_secret)?;
                binding.secrets.insert(name.clone(), value);
            }
        }
        Ok(binding)
    }

    /// Fills in a template.
    ///
    /// # Errors
    /// When it refers to what the step does not have.
    pub fn fill(&self, template: &Template, job: &AttemptJob) -> Result<String, Failure> {
        template.fill(|reference| {
            let found = match reference {
                Reference::Input(name) => match self.inputs.get(name) {
                    Some(path) => Some(path.to_string_lossy().into_owned()),
                    None => self.values.get(name).map(ToString::to_string),
                },
                Reference::Output(name) => self.outputs.get(name).map(|path| path.to_string_lossy().into_owned()),
                Reference::Param(name) => job.params.get(name).map(ToString::to_string),
                Reference::Secret(name) => self.secrets.get(name).cloned(),
                Reference::RunId => Some(job.run.to_string()),
                Reference::ScheduledTime => Some(job.scheduled.time.to_string()),
                Reference::Partition => Some(job.scheduled.partition.clone()),
                Reference::StepName => Some(job.unit.step.to_string()),
            };
            found.ok_or_else(|| failure::poison(format!("`{{{{ {reference} }}}}` stands for nothing in this step")))
        })
    }
}

fn secret(job: &AttemptJob, name: &FieldName, find_secret: FindSecret<'_>) -> Result<String, Failure> {
    let Some(reference) = job.secrets.get(name) else {
        return Err(failure::poison(format!("the release has no secret `{name}`")));
    };
    find_secret(reference)?.ok_or_else(|| {
        let (problem, hint) = match reference {
            SecretRef::Env(variable) => (
                format!("the environment variable {variable} is not set"),
                format!("set {variable} where `liminal` is started"),
            ),
            SecretRef::SecretsManager { .. } | SecretRef::Parameter(_) => (
                format!("nothing was found at {reference}"),
                "see that it exists in the region of the environment, and that the role of the step may read it"
                    .to_owned(),
            ),
        };
        failure::with_hint(failure::user(format!("secret `{name}` has no value: {problem}")), &hint)
    })
}

/// Whether a relative path stays below the folder that it is relative to.
fn is_contained(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    path == "." || path.split('/').all(plain)
}
