//! The `aws` platform as commands use it.

mod follow;
