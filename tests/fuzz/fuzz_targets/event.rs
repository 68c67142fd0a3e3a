//! Any bytes as what arrives in the trigger queue: notifications of buckets, schedules, sweeps and events of ECS.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    drop(liminal_functions::starter::event::parse(data));
});
