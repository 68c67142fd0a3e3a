//! The handler that a managed Python runtime calls: part of every bundle with Python.

/// The file that the handler is, at the top of a bundle.
pub const FILE: &str = "liminal_handler.py";

/// The file that the runner is, beside it.
pub const RUNNER_FILE: &str = "liminal-runner";

/// The file that the runner is where no language's runtime starts it.
pub const BOOTSTRAP_FILE: &str = "bootstrap";

/// The handler's text.
pub const TEXT: &str = include_str!("handler/liminal_handler.py");
