//! Whether functions are made again for no other reason than that their runner is another one.

use std::collections::BTreeMap;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::digest::Digest;
use liminal_schemas::state::ResourceAddress;

use super::recorded::Recorded;

/// The runner that the recorded functions of an environment have: that of the function which starts runs, which is made
/// again with every newer one. What a plan keeps to when a newer runner is put off.
pub fn recorded_runner(state: &liminal_schemas::state::State) -> Option<Digest> {
    let recorded = Recorded::of(Some(state));
    recorded.iter().find_map(|(_, resource)| {
        let function = resource.spec.as_function().filter(|_| resource.serves.is_none())?;
        runner_in(recorded.get(&function.bundle)?)
    })
}

/// What to say about functions that are made again with another runner; none when there are none.
pub(super) fn note<'a>(
    recorded: &Recorded<'_>,
    desired: &BTreeMap<ResourceAddress, CloudResource>,
    created: impl Iterator<Item = &'a ResourceAddress>,
) -> Option<String> {
    let mut old_runner = None;
    let mut new_runner = None;
    let mut count = 0_usize;
    for address in created {
        let Some(new) = desired.get(address).and_then(|resource| resource.spec.as_function()) else { continue };
        let Some(after) = desired.get(&new.bundle).and_then(runner_in) else { continue };
        let earlier = recorded.iter().filter_map(|(_, resource)| resource.spec.as_function());
        let earlier = earlier.filter(|old| old.name_parts == new.name_parts);
        let runners = earlier.filter_map(|old| recorded.get(&old.bundle).and_then(runner_in));
        let runners: Vec<Digest> = runners.collect();
        if let Some(before) = runners.first().filter(|_| !runners.contains(&after)) {
            (old_runner, new_runner) = (Some(*before), Some(after));
            count += 1;
        }
    }
    let (before, after) = (old_runner?, new_runner?);
    let functions = if count == 1 { "one function is".to_owned() } else { format!("{count} functions are") };
    Some(format!("runner {} → {}: {functions} made again; `--keep-runner` puts it off", before.short(), after.short()))
}

fn runner_in(resource: &CloudResource) -> Option<Digest> {
    resource.spec.as_bundle()?.runner
}
