//! liminal at a terminal: parse, resolve settings, call, render. The only package that prints, prompts or exits.

mod app;
mod args;
mod backfilling;
mod commands;
mod env_vars;
mod error;
mod exit_code;
mod gitops;
mod interrupt;
mod past_keys;
mod platform;
mod policies;
mod printer;
mod progress;
mod project;
mod records;
mod redriving;
mod render;
mod run_params;
mod settings;
mod watch;

/// Large definitions are many small texts: with the system's allocator a third of a plan's time goes into these.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    app::run().into()
}
