//! The program that runs in every function and every task: brings runs forward, and carries out attempts.
//!
//! What it is to be is said by its first argument (`serve` behind another language's runtime, `task` in a Fargate task) and,
//! in a function, by `LIMINAL_MODE`.

mod modes;

use std::process::ExitCode;

use liminal_functions::aws::console;
use liminal_functions::causes::in_full;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(modes::ModeError::from)
        .and_then(|runtime| runtime.block_on(modes::run(&arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(&in_full(&error));
            ExitCode::FAILURE
        }
    }
}
