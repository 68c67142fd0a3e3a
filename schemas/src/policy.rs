//! Policies: rules of a definition over what a plan would do.
//!
//! A rule is CEL over plain facts: `project`, `environment`, and the lists `pipelines`, `steps` and `permissions`. A policy that
//! denies keeps the plan from being carried out when its rule holds; one that warns says so.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::definition::resolve::Resolved;
use crate::expression::Rule;
use crate::name::FieldName;
use crate::plan::ChangeAction;
use crate::plan::Plan;
use crate::step::Action;

/// A rule of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What happens when it holds.
    pub effect: Effect,
    /// The rule: CEL that gives true or false.
    pub rule: String,
    /// What to say when it holds.
    pub message: Option<String>,
}

/// What a policy does when its rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The plan is not carried out.
    Deny,
    /// It is said, and the plan is carried out.
    Warn,
}

/// A policy whose rule holds, or can not be evaluated: what can not be told is not passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its name.
    pub name: FieldName,
    /// What it does.
    pub effect: Effect,
    /// Why, as a clause.
    pub reason: String,
}

/// The variables of a rule.
pub const VARIABLES: [&str; 5] = ["project", "environment", "pipelines", "steps", "permissions"];

/// Holds the policies of a definition against a plan that was made from it. Verdicts come in the order of names.
pub fn judge(resolved: &Resolved, plan: &Plan) -> Vec<Verdict> {
    if resolved.policies.is_empty() {
        return Vec::new();
    }
    let facts = facts(resolved, plan);
    let judged = resolved.policies.iter().filter_map(|(name, policy)| {
        let told = || policy.message.clone().unwrap_or_else(|| format!("`{}` holds", policy.rule));
        let reason = match Rule::parse(&policy.rule).map_err(|error| error.message).and_then(|rule| rule.holds(&facts))
        {
            Ok(false) => return None,
            Ok(true) => told(),
            Err(problem) => format!("`{}` can not be evaluated: {problem}", policy.rule),
        };
        Some(Verdict { name: name.clone(), effect: policy.effect, reason })
    });
    judged.collect()
}

/// What rules are evaluated over.
fn facts(resolved: &Resolved, plan: &Plan) -> BTreeMap<String, Value> {
    let actions: BTreeMap<&str, ChangeAction> =
        plan.pipelines.iter().map(|change| (change.pipeline.as_str(), change.action)).collect();
    let mut pipelines = Vec::new();
    let mut steps = Vec::new();
    for (name, release) in &resolved.releases {
        pipelines.push(json!({
            "name": name,
            "owner": release.owner.as_deref().unwrap_or_default(),
            "change": word(actions.get(name.as_str()).copied()),
            "steps": release.steps.len(),
            "triggers": release.triggers.len(),
        }));
        let changed = plan.pipelines.iter().find(|change| change.pipeline == *name);
        for (step, spec) in &release.steps {
            let change = changed.and_then(|change| change.steps.iter().find(|changed| changed.step == *step));
            steps.push(json!({
                "pipeline": name,
                "name": step,
                "kind": kind(&spec.action),
                "phase": spec.phase,
                "change": word(change.map(|change| change.action)),
                "memory_mib": spec.resources.memory_mib.unwrap_or(0),
                "disk_mib": spec.resources.disk_mib.unwrap_or(0),
                "cpu": spec.resources.cpu,
                "timeout_seconds": spec.timeout_seconds,
                "retries": spec.retries.max,
                "compute": spec.compute,
                "image": spec.image.as_deref().unwrap_or_default(),
                "env": spec.env.keys().collect::<Vec<_>>(),
            }));
        }
    }
    for change in plan.pipelines.iter().filter(|change| change.action == ChangeAction::Delete) {
        let name = &change.pipeline;
        pipelines.push(json!({"name": name, "owner": "", "change": "delete", "steps": 0, "triggers": 0}));
    }
    let permissions: Vec<Value> = plan
        .permissions
        .iter()
        .flat_map(|change| {
            change.gained.iter().map(move |statement| {
                json!({"subject": change.subject, "actions": statement.actions, "resources": statement.resources})
            })
        })
        .collect();
    BTreeMap::from([
        ("project".to_owned(), json!(resolved.project)),
        ("environment".to_owned(), json!(resolved.environment)),
        ("pipelines".to_owned(), Value::Array(pipelines)),
        ("steps".to_owned(), Value::Array(steps)),
        ("permissions".to_owned(), Value::Array(permissions)),
    ])
}

const fn word(action: Option<ChangeAction>) -> &'static str {
    match action {
        None => "none",
        Some(ChangeAction::Create) => "create",
        Some(ChangeAction::Update) => "update",
        Some(ChangeAction::Delete) => "delete",
    }
}

const fn kind(action: &Action) -> &'static str {
    match action {
        Action::Run { .. } => "run",
        Action::Call { .. } => "call",
        Action::Gate { .. } => "gate",
        Action::Register { .. } => "register",
    }
}
