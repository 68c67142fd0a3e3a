//! Any text as a template: what is read is written as it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use liminal_schemas::template::Template;

fuzz_target!(|data: &str| {
    if let Ok(template) = Template::parse(data) {
        let text = serde_json::to_string(&template).expect("JSON");
        assert_eq!(serde_json::from_str::<Template>(&text).expect("it reads itself"), template);
        let named = template.with_step_name("fit");
        let text = serde_json::to_string(&named).expect("JSON");
        assert_eq!(serde_json::from_str::<Template>(&text).expect("it reads itself"), named);
    }
});
