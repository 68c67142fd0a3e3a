//! Documents as people read them: data in, text out. Nothing here prints, reads a clock or knows a terminal but for
//! what its [`style::Style`] says.

pub(crate) mod advice;
pub(crate) mod dev;
pub(crate) mod drift;
pub(crate) mod findings;
mod findings_json;
pub(crate) mod graph;
pub(crate) mod items;
pub(crate) mod lineage;
pub(crate) mod metrics;
mod plan_access;
pub(crate) mod plan_cloud;
mod plan_forecast;
pub(crate) mod plan_markdown;
mod plan_resources;
mod plan_skips;
pub(crate) mod plan_text;
pub(crate) mod redrive;
pub(crate) mod run_summary;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod units;

#[cfg(test)]
mod samples;
