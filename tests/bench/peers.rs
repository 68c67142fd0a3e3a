//! The tools that liminal stands beside, as far as `just peers` has installed them.

use std::path::PathBuf;
use std::process::Command;

/// Where they are: below `PEERS_ROOT`, or `target/peers`.
pub fn root() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
    std::env::var_os("PEERS_ROOT").map_or_else(own, PathBuf::from)
}

/// The Python of a peer; none, and a word on it, when it is not installed.
pub fn python(name: &str) -> Option<Command> {
    let folder = root().join(name).join("bin");
    let program = folder.join("python");
    if !program.exists() {
        eprintln!("{name} is skipped: `just peers` installs it");
        return None;
    }
    let mut command = Command::new(program);
    // Some of them start further interpreters by name.
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(folder).chain(std::env::split_paths(&others));
    command.env("PATH", std::env::join_paths(path).expect("no folder has a colon in its name"));
    Some(command)
}
