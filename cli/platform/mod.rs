//! The platforms that carry environments out, put together from the ports of the libraries.

mod apply_bars;
mod applying;
mod approving;
mod artifacts;
mod aws;
mod drifting;
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
mod verifying;

pub(crate) use self::applying::ApplyFailure;
pub(crate) use self::applying::ApplyOptions;
pub(crate) use self::applying::stop_flag;
pub(crate) use self::applying::summary as apply_summary;
pub(crate) use self::approving::shown as shown_plan;
pub(crate) use self::aws::explain_account;
pub(crate) use self::environment::Carrier;
pub(crate) use self::environment::Environment;
pub(crate) use self::keeping::Keep;
pub(crate) use self::local::find_program;
pub(crate) use self::running::Cancelled;
pub(crate) use self::running::Carry;
pub(crate) use self::verifying::Verified;
