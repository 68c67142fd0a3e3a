//! The `local` platform: objects are files, the queue is SQLite, an attempt is a child process.

pub mod drive;
pub mod lock;
pub mod queue;
pub mod store;
