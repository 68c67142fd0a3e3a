//! The platforms that carry environments out, put together from the ports of the libraries.

mod control;
mod effects;
mod local;
mod objects;
mod python;
mod summary;

pub(crate) use self::control::ApplyOptions;
pub(crate) use self::local::Carry;
pub(crate) use self::local::Local;
pub(crate) use self::local::find_program;
