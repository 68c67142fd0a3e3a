//! The main job, as the README gives it: scikit-learn's breast-cancer data, from fetch to a registered model.

use crate::harness::Project;

#[test]
fn the_breast_cancer_pipeline_trains_passes_its_gate_and_registers_a_model() {
    let project = Project::copy_of("examples/breast-cancer");
    let outcome = project.liminal(&["run", "train"]).exits(0);
    for text in ["roc_auc", "breast-cancer", "roc.png", "confusion.png", "succeeded"] {
        assert!(outcome.stdout.contains(text), "{text} is shown:\n{}", outcome.stdout);
    }
    let first = project.json(&["status", "-o", "json"]);
    let second = project.json(&["run", "train", "-o", "json"]);
    let commits = second["commits"].as_object().expect("commits");
    assert!(commits.values().all(|commit| commit["status"] == "cached"), "{second}");

    // One line of train.py: both candidates and what depends on them run, the steps before do not.
    project.edit("steps/train.py", "max_iter=", "tol=1e-5, max_iter=");
    let _ = project.liminal(&["why", "train"]).exits(0).prints("steps/train.py");
    let third = project.json(&["run", "train", "-o", "json"]);
    for step in ["fetch", "clean", "prepare"] {
        assert_eq!(third["commits"][step]["status"], "cached", "{step}");
    }
    for step in ["train", "train_forest"] {
        assert_eq!(third["commits"][step]["status"], "succeeded", "{step}");
    }
    let _ = project.liminal(&["why", "train"]).exits(0).prints("steps/train.py");

    // The same code in another folder gives the same bytes.
    let other = Project::copy_of("examples/breast-cancer");
    let _ = other.liminal(&["run", "train"]).exits(0);
    let again = other.json(&["status", "-o", "json"]);
    let outputs = |status: &serde_json::Value| -> Vec<(String, serde_json::Value)> {
        let commits = status["commits"].as_object().expect("commits").clone();
        commits.into_iter().map(|(step, commit)| (step, commit["outputs"].clone())).collect()
    };
    assert_eq!(outputs(&first), outputs(&again));
    let _ = project.liminal(&["run", "score"]).exits(0);
}
