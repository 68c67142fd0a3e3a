//! The hidden command by which liminal starts its warden: see `liminal_functions::local::warden`.

use crate::error::CommandResult;
use crate::exit_code::ExitCode;

pub(crate) fn run() -> CommandResult {
    // Whoever started the warden is gone when it ends, so that nobody would hear of an error.
    let ended = liminal_functions::local::warden::run(std::io::stdin().lock());
    Ok(if ended.is_ok() { ExitCode::Ok } else { ExitCode::Error })
}
