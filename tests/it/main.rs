//! liminal as its users meet it: the real program, in real folders and git repositories. One binary, so that it links once.

mod harness;

mod commands;
mod definition;
mod faults;
mod kill;
mod main_job;
mod plan_apply;
mod run;
mod tidy;
