//! What linters that know all of AWS's actions, resources and conditions say of the policies that liminal writes.

use std::path::Path;

use liminal_emulators::cfn_lint;
use liminal_emulators::parliament;
use liminal_infra::aws::bootstrap::template::Deployer;
use liminal_infra::aws::bootstrap::template::Template;
use liminal_infra::aws::permissions;
use serde_json::Value;

use crate::aws_desired::chain_with_secrets;
use crate::aws_desired::derived;
use crate::aws_desired::hourly;
use crate::aws_desired::objects;
use crate::fixture::place;
use crate::receiver;

/// A finding that is none: the policy, what is found, the reason.
type Allowed = (&'static str, &'static str, &'static str);

const MAY_BE_ANYWHERE: &str = "the most that any role may do: data, images and secrets of steps are where users have them; the role's own policy names each";
const BOUNDED: &str = "whoever deploys makes roles: only below the path /liminal/, and only within the boundary";

const FALSE_ALARMS: &[Allowed] = &[
    ("train-fit-execution", "CREDENTIALS_EXPOSURE", "the agent logs in to the registry of images"),
    ("train-fit-dispatch", "PERMISSIONS_MANAGEMENT_ACTIONS", "two roles are passed, by name, to tasks only"),
    ("boundary", "CREDENTIALS_EXPOSURE", "the agents of tasks log in to the registry of images"),
    ("boundary", "PERMISSIONS_MANAGEMENT_ACTIONS", "roles below the path /liminal/ are passed, to tasks only"),
    ("boundary", "RESOURCE_STAR", MAY_BE_ANYWHERE),
    ("deployer", "PERMISSIONS_MANAGEMENT_ACTIONS", BOUNDED),
    ("deployer", "PRIVILEGE_ESCALATION", BOUNDED),
    ("deployer", "MISMATCHED_TYPE_BUT_USABLE", "AWS's own examples compare iam:PermissionsBoundary by StringEquals"),
];

/// What parliament finds in the policies of a folder, a line each: the file, what, and where.
fn findings(folder: &Path) -> Vec<String> {
    let mut command = parliament();
    command.args(["--json", "--include-community-auditors", "--minimum_severity", "LOW", "--directory"]).arg(folder);
    let output = command.output().expect("parliament runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains("Traceback"), "{error}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| {
        let finding: Value = serde_json::from_str(line).expect("a finding a line");
        let file = finding["location"]["filepath"].as_str().unwrap_or_default();
        let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let issue = finding["issue"].as_str().unwrap_or_default();
        format!("{name} {issue} {} {}", finding["detail"], finding["location"]["actions"])
    });
    let is_alarm = |line: &String| {
        let false_alarm = |(policy, issue, _): &Allowed| line.starts_with(&format!("{policy} {issue} "));
        !FALSE_ALARMS.iter().any(false_alarm)
    };
    lines.filter(is_alarm).collect()
}

#[test]
fn the_linter_finds_nothing_in_the_policies_of_an_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut release = chain_with_secrets();
    release.triggers = vec![objects(None, "in/"), objects(Some("other"), "x/"), hourly()];
    let desired = derived(release);
    let mut count = 0;
    for role in desired.resources.values().filter_map(|resource| resource.spec.as_role()) {
        let path = folder.path().join(format!("{}.json", role.name_parts[2..].join("-")));
        std::fs::write(path, permissions(&role.statements)).expect("written");
        count += 1;
    }
    assert_eq!(count, 6, "scheduler, starter, a function, a dispatcher, a task and its agent");
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

#[test]
fn the_linter_finds_nothing_in_the_policy_of_a_receiver() {
    let folder = tempfile::tempdir().expect("a folder");
    let resources = receiver::of(&receiver::managed(), "runner").expect("a receiver");
    let role = resources.iter().find_map(|resource| resource.spec.as_role()).expect("a role");
    std::fs::write(folder.path().join("receiver.json"), permissions(&role.statements)).expect("written");
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

#[test]
fn the_linter_finds_nothing_in_the_policies_of_an_account() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployer = Deployer {
        provider: "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com".to_owned(),
        host: "token.actions.githubusercontent.com".to_owned(),
        subject: "repo:shop/models:environment:production".to_owned(),
    };
    let template = Template::new(&place(), Some(&deployer)).expect("readable");
    for (name, policy) in [("boundary", template.boundary()), ("deployer", template.deployer_policy())] {
        let path = folder.path().join(format!("{name}.json"));
        std::fs::write(path, policy.expect("complete").to_string()).expect("written");
    }
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

#[test]
fn the_linter_finds_a_policy_that_makes_no_sense() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObjects","Resource":"*"}]}"#;
    std::fs::write(folder.path().join("wrong.json"), policy).expect("written");
    assert!(findings(folder.path()).iter().any(|line| line.starts_with("wrong UNKNOWN_ACTION ")));
}

#[test]
fn the_linter_finds_nothing_in_the_template() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("bootstrap/liminal.yml");
    let output = cfn_lint().arg(template).output().expect("cfn-lint runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.trim().is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
