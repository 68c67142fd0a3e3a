//! Whether a step's result may be taken from an earlier run.

use liminal_schemas::map::MapSource;
use liminal_schemas::map::MapSpec;
use liminal_schemas::name::StepName;
use liminal_schemas::run::CacheEntry;
use liminal_schemas::run::RunCache;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;

/// Whether the result of a step may come from, and go to, the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// A result is looked for, and left for later runs.
    ReadAndWrite,
    /// No result is looked for, but one is left for later runs.
    WriteOnly,
    /// The step has nothing to do with the cache.
    None,
}

/// Decides how a step uses the cache. A step under `finally:` is there for what it does at the end of each run, and what
/// it does depends on how the run came out, which is no part of a cache key.
pub fn cache_use(name: &StepName, spec: &StepSpec, run: &RunCache) -> CacheUse {
    // Which objects there are is known only when they are listed; each is looked for in the cache by itself.
    if matches!(spec.map, Some(MapSpec { over: MapSource::Objects(_), .. })) {
        return CacheUse::None;
    }
    match spec.cache {
        CachePolicy::Off => CacheUse::None,
        CachePolicy::On | CachePolicy::MaxAge(_) if spec.finally => CacheUse::None,
        CachePolicy::On | CachePolicy::MaxAge(_) if run.off || run.fresh.contains(name) => CacheUse::WriteOnly,
        CachePolicy::On | CachePolicy::MaxAge(_) => CacheUse::ReadAndWrite,
    }
}

/// Whether an entry is young enough, and holds all that the step declares. That its artifacts still exist is for the
/// caller to see.
pub fn is_usable(spec: &StepSpec, entry: &CacheEntry, now: UtcTime) -> bool {
    let young = match spec.cache {
        CachePolicy::Off => false,
        CachePolicy::On => true,
        CachePolicy::MaxAge(seconds) => {
            let millis = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
            now <= entry.made_at.plus_millis(millis)
        }
    };
    young && spec.outputs.keys().all(|name| entry.outputs.contains_key(name))
}
