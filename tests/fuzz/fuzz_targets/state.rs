//! Any bytes as the state of an environment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liminal_schemas::state::State;

fuzz_target!(|data: &[u8]| {
    if let Ok(state) = serde_json::from_slice::<State>(data) {
        let text = serde_json::to_vec(&state).expect("a state is JSON");
        let read: State = serde_json::from_slice(&text).expect("a state reads itself");
        assert_eq!(serde_json::to_vec(&read).expect("JSON"), text);
    }
});
