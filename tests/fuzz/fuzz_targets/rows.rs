//! Any bytes as a file whose rows are items.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liminal_functions::protocol::mapping;

fuzz_target!(|data: &[u8]| {
    match mapping::rows(data) {
        Ok(rows) => {
            let items = mapping::values(rows.clone(), Some(3));
            assert_eq!(items.len(), rows.len().div_ceil(3));
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
});
