//! The platforms that carry environments out, put together from the ports of the libraries.

mod control;
mod drive;
mod effects;
mod forecast;
mod local;
mod objects;
mod plots;
mod publish;
mod python;
mod summary;

pub(crate) use self::control::ApplyOptions;
pub(crate) use self::drive::Carry;
pub(crate) use self::local::Local;
pub(crate) use self::local::find_program;
