//! One file per command: its help text, its arguments, and one function that carries it out.

pub(crate) mod apply;
pub(crate) mod artifacts;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod help_topic;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod lineage;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod plan;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod warden;
pub(crate) mod why;
