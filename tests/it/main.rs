//! liminal as its users meet it: the real program, in real folders and git repositories. One binary, so that it links once.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that can not go on fails")]
#![allow(missing_docs, unreachable_pub, reason = "nobody depends on a test binary")]

mod harness;

mod aws;
mod aws_faults;
mod backfill;
mod canary;
mod collection;
mod commands;
mod definition;
mod dev;
mod docs;
mod faults;
mod follow;
mod gitops;
mod kill;
mod main_job;
mod main_job_aws;
mod maps;
mod maps_aws;
mod nested;
mod objects;
mod permissions;
mod plan_apply;
mod run;
mod severed;
mod tidy;
mod whole_path_aws;
