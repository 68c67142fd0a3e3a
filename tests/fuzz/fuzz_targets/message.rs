//! Any bytes as a message of a step: what is read is written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liminal_schemas::message::StepMessage;

fuzz_target!(|data: &str| {
    if let Ok(message) = StepMessage::parse(data) {
        assert_eq!(StepMessage::parse(&message.body()).expect("its own body"), message);
    }
});
