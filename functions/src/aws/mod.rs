//! The AWS platform: objects in S3, messages in SQS. Types of the SDK do not leave this module.

pub mod artifacts;
mod attempt_log;
pub mod batch;
pub mod bootstrap;
pub mod buckets;
pub mod clients;
pub mod clock;
pub mod console;
pub mod dispatch;
pub mod environment;
pub mod error;
pub mod executor;
pub mod fargate;
pub mod foreign;
pub mod function;
pub mod place;
pub mod platform;
pub mod queue;
mod retry;
pub mod scratch;
pub mod secrets;
pub mod serve;
pub mod start;
pub mod step_function;
pub mod store;
pub mod task;
pub mod transfer;
