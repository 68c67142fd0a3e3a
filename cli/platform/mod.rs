//! The platforms that carry environments out, put together from the ports of the libraries.

mod apply_bars;
mod applying;
mod artifacts;
mod aws;
mod effects;
mod environment;
mod forecast;
mod keeping;
mod ledger;
mod local;
mod models;
mod objects;
mod overlap;
mod planning;
mod plots;
mod probing;
mod resources;
mod running;
mod store;
mod summary;

pub(crate) use self::applying::ApplyOptions;
pub(crate) use self::aws::explain_account;
pub(crate) use self::environment::Carrier;
pub(crate) use self::environment::Environment;
pub(crate) use self::keeping::Keep;
pub(crate) use self::local::find_program;
pub(crate) use self::running::Cancelled;
pub(crate) use self::running::Carry;
