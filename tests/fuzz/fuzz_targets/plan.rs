//! Any bytes as a saved plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liminal_schemas::plan::Plan;

fuzz_target!(|data: &[u8]| {
    if let Ok(plan) = serde_json::from_slice::<Plan>(data) {
        let text = serde_json::to_vec(&plan).expect("a plan is JSON");
        let read: Plan = serde_json::from_slice(&text).expect("a plan reads itself");
        assert_eq!(serde_json::to_vec(&read).expect("JSON"), text);
    }
});
