//! The pages of `docs/errors/`: each explains its code, and its example gives just that.

use liminal_schemas::definition::load;
use liminal_schemas::finding::Code;
use liminal_schemas::name::EnvironmentName;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

/// What no text in a page can show: bytes, sizes and kinds of files.
const WITHOUT_EXAMPLE: &[Code] = &[Code::FileRefused, Code::FileTooLarge, Code::NotUtf8];

#[test]
fn every_page_explains_its_code() {
    for code in Code::ALL {
        let page = code.page();
        assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "{code}");
        assert!(page.contains("\n## How to fix it\n"), "{code}");
        assert!(page.lines().count() > 5, "{code}");
    }
}

#[test]
fn the_example_of_every_page_gives_its_code_and_no_other() {
    for code in Code::ALL.iter().filter(|code| !WITHOUT_EXAMPLE.contains(code)) {
        let page = code.page();
        let mut files = MemoryFiles::new();
        for script in ["fetch.sh", "clean.sh", "a.sh", "b.sh"] {
            files = files.with(script, "");
        }
        for block in page.split("```yaml\n").skip(1) {
            let (yaml, _) = block.split_once("```").expect("a closed block");
            let path = yaml.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or("liminal.yml");
            files = files.with(path, yaml);
        }
        // The page on environments asks for one that its example does not have.
        let environment = if *code == Code::UnknownEnvironment { "production" } else { "local" };
        let environment = EnvironmentName::new(environment).expect("a valid name");
        let report = match load(&files, "liminal.yml", Some(&environment)) {
            Ok(loaded) => loaded.report,
            Err(report) => *report,
        };
        assert!(!report.findings.is_empty(), "the example of {code} has nothing wrong with it");
        assert!(report.findings.iter().all(|finding| finding.code == *code), "{code}:\n{}", render(&report));
    }
}
