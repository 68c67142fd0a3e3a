//! Flags and environment variables, resolved once into plain settings.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use liminal_schemas::name::EnvironmentName;

use crate::args::GlobalArgs;
use crate::env_vars;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// What holds for the whole command.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where to look for the project, and then above.
    pub(crate) directory: PathBuf,
    /// The environment to work on.
    pub(crate) environment: EnvironmentName,
    /// Whether questions may be asked.
    pub(crate) may_ask: bool,
    /// The folder for Python environments.
    pub(crate) cache_dir: PathBuf,
    /// Whether steps are confined to their work folders.
    pub(crate) sandbox: bool,
    /// Where programs are found.
    pub(crate) path: String,
    /// The user's name, as far as known.
    pub(crate) user: Option<String>,
}

impl Settings {
    /// Flags before environment variables before defaults.
    pub(crate) fn resolve(global: &GlobalArgs) -> Result<Self, CliError> {
        let name = global.environment.clone().or_else(|| env_vars::read(env_vars::LIMINAL_ENV));
        let name = name.unwrap_or_else(|| "local".to_owned());
        let environment = EnvironmentName::new(name)
            .map_err(|error| CliError::because("the environment can not be used", &error).exit(ExitCode::Usage))?;
        let refuses = global.no_input
            || env_vars::read(env_vars::LIMINAL_INPUT).is_some_and(|value| value == "0")
            || env_vars::read("CI").is_some();
        Ok(Self {
            directory: global.chdir.clone().unwrap_or_else(|| PathBuf::from(".")),
            environment,
            may_ask: !refuses && std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            cache_dir: cache_dir()?,
            sandbox: env_vars::read(env_vars::LIMINAL_SANDBOX).is_none_or(|value| value != "0"),
            path: env_vars::read("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned()),
            user: env_vars::read("USER").or_else(|| env_vars::read("LOGNAME")),
        })
    }
}

fn cache_dir() -> Result<PathBuf, CliError> {
    if let Some(folder) = env_vars::read(env_vars::LIMINAL_CACHE_DIR) {
        return Ok(std::path::absolute(&folder).unwrap_or_else(|_| PathBuf::from(folder)));
    }
    if let Some(folder) = env_vars::read("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(folder).join("liminal"));
    }
    match env_vars::read("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache").join("liminal")),
        None => Err(CliError::new("there is no folder for Python environments, since HOME is not set")
            .hint("set LIMINAL_CACHE_DIR to a folder that may be written")),
    }
}
