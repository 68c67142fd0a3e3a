//! The control plane: from a project's files to what is deployed.
//!
//! `source` reads files, `package` packs them and `bundle` adds what functions need beside them; `observe` looks at what is
//! there; `plan` decides, purely; `apply` carries the plan out over `ports` and keeps `state`. `resources` are those of one
//! machine, `aws` those of an account.

pub mod apply;
pub mod aws;
pub mod bundle;
pub mod desired;
pub mod drift;
pub mod gitops;
pub mod memory;
pub mod observe;
pub mod package;
mod package_objects;
pub mod plan;
pub mod ports;
pub mod requirements;
pub mod resources;
pub mod source;
pub mod state;
