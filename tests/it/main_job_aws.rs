//! The main job on emulated AWS: each step is a Fargate task, carried out by `liminal emulate-tasks`.

use std::process::Child;

use liminal_emulators::shared_ministack;

use crate::aws::outputs;
use crate::aws::python_of_emulator;
use crate::aws::with_aws;
use crate::harness::Project;

/// Ends the program with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_breast_cancer_pipeline_gives_on_aws_what_it_gives_here() {
    let project = with_aws(Project::copy_of("examples/breast-cancer"), shared_ministack());
    let version = python_of_emulator();
    // What runs here is what runs there: results are those of one version of Python and of each library.
    project.edit("liminal.yml", "version: \">=3.10\"", &format!("version: \"{version}\""));
    project.edit("liminal.yml", "python: {version: \"3.11\"}", &format!("python: {{version: \"{version}\"}}"));
    let dev = &["-e", "dev"][..];
    let on = |command: &[&str]| project.liminal(&[command, dev].concat());
    let _ = on(&["bootstrap", "-y"]).exits(0);
    let _ = on(&["apply", "-y"]).exits(0);
    let tasks = Ended(project.command(&["emulate-tasks", "-e", "dev"]).spawn().expect("liminal starts"));
    let _ = project.liminal(&["run", "train"]).exits(0);
    let _ = on(&["run", "train"]).exits(0).prints("succeeded");
    drop(tasks);
    let there = project.json(&["status", "-o", "json", "-e", "dev"]);
    let here = project.json(&["status", "-o", "json"]);
    assert_eq!(there["result"]["status"], "succeeded", "{there}");
    assert_eq!(outputs(&there).len(), 8, "{there}");
    assert_eq!(outputs(&there), outputs(&here), "{there}");
    let model = |more: &[&str]| {
        let versions = project.json(&[&["models", "breast-cancer", "-o", "json"], more].concat());
        (versions[0]["version"].clone(), versions[0]["artifact"].clone(), versions[0]["metrics"].clone())
    };
    assert_eq!(model(dev), model(&[]));
}
