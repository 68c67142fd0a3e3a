//! What a test can ask of an emulator.

use std::path::PathBuf;

/// How an emulator is started. The default fits most tests: a free port, nothing kept.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) persist: Option<PathBuf>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) python: Option<PathBuf>,
    pub(crate) port: Option<u16>,
}

impl Options {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps its state in a folder, so that another one can go on with it. Emulators that can not do so panic.
    #[must_use]
    pub fn persist(mut self, folder: impl Into<PathBuf>) -> Self {
        self.persist = Some(folder.into());
        self
    }

    /// Sets an environment variable of its process.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it on another interpreter than `python3`. An emulator that carries Python functions out does so on its own.
    #[must_use]
    pub fn python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.python = Some(interpreter.into());
        self
    }

    /// Listens on a port that clients know already: that of the emulator before it.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}
