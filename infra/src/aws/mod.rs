//! The control plane on AWS: the resources of a plan, made, looked at and removed by the official SDKs.
//!
//! Each service has a file of its own. What they share: `clients` (settings of all calls), `account` (where we are),
//! `tags` (what is ours), `retry` (what gets better by waiting) and `error`. `resources` puts them together behind the port
//! [`crate::ports::Resources`]; `listing` answers from few calls what is there; `inspect` looks closer; `inventory` finds
//! what is ours without any record of it.

mod account;
pub mod bootstrap;
mod bucket;
mod bundle;
mod clients;
mod drift;
mod error;
mod function;
mod function_url;
mod image;
mod inspect;
mod inventory;
mod listing;
mod log_group;
mod mapping;
mod notification;
mod policy;
mod queue;
mod resources;
mod retry;
mod role;
mod rule;
mod running_tasks;
mod schedule;
mod site;
mod tags;
mod task_definition;
mod ticks;
mod undelivered;

pub use self::account::AccountError;
pub use self::account::locate;
pub use self::bucket::has_bucket;
pub use self::bundle::BuiltBundle;
pub use self::bundle::BundleFacts;
pub use self::bundle::BundleSource;
pub use self::clients::Clients;
pub use self::drift::FieldDrift;
pub use self::error::AwsError;
pub use self::error::CallError;
pub use self::function_url::FunctionUrl;
pub use self::function_url::close_function;
pub use self::function_url::function_address;
pub use self::function_url::open_function;
pub use self::inventory::Found;
pub use self::inventory::inventory;
pub use self::policy::permissions;
pub use self::resources::AwsResources;
pub use self::running_tasks::RunningTask;
pub use self::running_tasks::running_tasks;
pub use self::running_tasks::stop_task;
pub use self::site::Site;
pub use self::tags::Owner;
pub use self::undelivered::send_undelivered;
pub use self::undelivered::undelivered;
