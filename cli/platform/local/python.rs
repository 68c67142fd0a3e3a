//! Python environments for the control plane, with a spinner while one is built.

use liminal_functions::python::environment::Environments;
use liminal_infra::ports::PortError;
use liminal_infra::ports::PythonEnvironments;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::state::ResourceAddress;

use crate::progress::Progress;

/// Builds environments below the cache folder.
pub(crate) struct MachinePython<'a> {
    /// The environments.
    pub(crate) environments: Environments,
    /// Where people see what goes on.
    pub(crate) progress: &'a Progress,
}

impl PythonEnvironments for MachinePython<'_> {
    async fn ensure(&self, spec: &PythonSpec, requirements: Option<&[u8]>) -> Result<(), PortError> {
        if self.environments.find(spec).is_ok() {
            return Ok(());
        }
        let text = String::from_utf8(requirements.unwrap_or_default().to_vec())
            .map_err(|_| "the requirements file is not UTF-8".to_owned())?;
        let file = spec.requirements.as_ref().map_or_else(String::new, |file| format!(" from {}", file.path));
        let title = format!("making the Python environment{file}");
        let spinner = self.progress.spinner(title.clone());
        let built = tokio::task::block_in_place(|| {
            self.environments.ensure(spec, &text, &mut |line| spinner.set_message(format!("{title}: {line}")))
        });
        spinner.finish_and_clear();
        built?;
        Ok(())
    }

    async fn exists(&self, address: &ResourceAddress) -> Result<bool, PortError> {
        Ok(self.environments.has(&address.digest))
    }

    /// Environments lie in a folder that all projects of a user share, so that the end of one's use says nothing.
    async fn remove(&self, _: &ResourceAddress) -> Result<(), PortError> {
        Ok(())
    }
}
