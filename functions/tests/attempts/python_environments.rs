//! Building Python environments.

use liminal_functions::python::environment::Environments;
use liminal_functions::python::environment::PythonError;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::RequirementsFile;

use crate::harness::Place;
use crate::harness::Step;

fn environments(place: &Place) -> Environments {
    Environments { cache_dir: place.config.cache_dir.clone(), search_path: place.config.path.clone(), uv: None }
}

/// Whatever Python the machine has.
fn any_python() -> PythonSpec {
    PythonSpec { version: None, requirements: None }
}

fn with_requirements() -> PythonSpec {
    let file = RequirementsFile { path: "requirements.txt".to_owned(), blob: "0".repeat(40) };
    PythonSpec { version: Some(">=3.8".to_owned()), requirements: Some(file) }
}

#[tokio::test]
async fn a_step_runs_in_the_environment_that_was_built() {
    let place = Place::new();
    let spec = any_python();
    let environments = environments(&place);
    let package =
        place.put_package("", &[("a.py", "import sys\ndef f():\n    print(sys.prefix)\n")], Some(spec.clone()));
    let missing = place.fail(&Step::call("a:f").package(package)).await;
    assert!(missing.message.ends_with("is not there: `liminal apply` builds it"), "{}", missing.message);
    let mut lines = Vec::new();
    let venv = environments.ensure(&spec, "", &mut |line| lines.push(line.to_owned())).expect("an environment");
    assert!(lines[0].starts_with("making an environment with Python 3."), "{lines:?}");
    for step in [Step::call("a:f"), Step::argv(&["python", "-c", "import sys; print(sys.prefix)"])] {
        place.succeed(&step.package(package)).await;
        assert_eq!(String::from_utf8_lossy(&place.log()), format!("{}\n", venv.display()));
    }
}

#[test]
fn an_environment_that_is_not_complete_is_built_again() {
    let place = Place::new();
    let spec = any_python();
    let environments = environments(&place);
    let venv = environments.ensure(&spec, "", &mut |_| {}).expect("an environment");
    std::fs::remove_file(venv.join("complete")).expect("removed");
    std::fs::remove_file(venv.join("bin/python")).expect("removed");
    assert!(matches!(environments.find(&spec), Err(PythonError::Missing(_))));
    environments.ensure(&spec, "", &mut |_| {}).expect("an environment");
    assert!(venv.join("bin/python").exists());
    let again = environments.ensure(&spec, "", &mut |line| panic!("{line}"));
    assert_eq!(again.expect("an environment"), venv);
}

#[test]
fn a_failing_installation_shows_its_last_lines() {
    let place = Place::new();
    let refused = environments(&place).ensure(&with_requirements(), "./no/such/folder\n", &mut |_| {}).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("installing requirements.txt failed:\n"), "{text}");
    assert!(text.contains("no/such/folder"), "{text}");
}
