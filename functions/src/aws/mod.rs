//! The AWS platform: objects in S3, messages in SQS. Types of the SDK do not leave this module.

pub mod artifacts;
pub mod clients;
pub mod error;
pub mod place;
pub mod queue;
mod retry;
pub mod store;
pub mod transfer;
