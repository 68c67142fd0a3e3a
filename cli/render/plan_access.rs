//! Where steps will run and why, and what changes about permissions.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::policy::Statement;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PermissionChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::step::Compute;

use super::units::count;

/// How many steps of one service and reason are named.
const MOST_STEPS: usize = 6;

/// How many roles are shown with all that changes about them; the others are counted.
const MOST_ROLES: usize = 12;

/// How many ARNs of one statement are named.
const MOST_RESOURCES: usize = 2;

/// Where steps will run: one line for each service and reason.
pub(super) fn placements(plan: &Plan) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for placement in &plan.placements {
        let service = match placement.compute {
            Compute::Auto => "auto",
            Compute::Lambda => "Lambda",
            Compute::Fargate => "Fargate",
        };
        let step = format!("{}/{}", placement.pipeline, placement.step);
        groups.entry((service, placement.reason.as_str())).or_default().push(step);
    }
    groups
        .into_iter()
        .map(|((service, reason), steps)| {
            let shown = steps.len().min(MOST_STEPS);
            let more = if steps.len() > shown { format!(" and {} more", steps.len() - shown) } else { String::new() };
            format!("{service}, since {reason}: {}{more}", steps[..shown].join(", "))
        })
        .collect()
}

/// A role, and what it gains and loses.
pub(super) struct Role {
    /// What happens to it.
    pub(super) action: ChangeAction,
    /// Whose it is.
    pub(super) subject: String,
    /// What changes, one a line.
    pub(super) lines: Vec<(ChangeAction, String)>,
}

/// What changes about permissions: roles that change come first, since that is what a reader must see. The second part
/// says how many roles are not shown.
pub(super) fn permissions(plan: &Plan) -> (Vec<Role>, Option<String>) {
    let mut changes: Vec<&PermissionChange> = plan.permissions.iter().collect();
    let order = |action| match action {
        ChangeAction::Update => 0,
        ChangeAction::Create => 1,
        ChangeAction::Delete => 2,
    };
    changes.sort_by_key(|change| (order(change.action), change.subject.as_str()));
    let shown = changes.len().min(MOST_ROLES);
    let roles = changes[..shown].iter().map(|change| role(change)).collect();
    let rest = &changes[shown..];
    let number = |action| rest.iter().filter(|change| change.action == action).count();
    let parts = [
        (number(ChangeAction::Update), "more role that changes", "more roles that change"),
        (number(ChangeAction::Create), "more new role", "more new roles"),
        (number(ChangeAction::Delete), "more role that goes", "more roles that go"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| format!("{number} {}", if number == 1 { one } else { many }))
        .collect();
    let hidden = (!parts.is_empty()).then(|| format!("and {}: `liminal plan -o json` has them all", parts.join(", ")));
    (roles, hidden)
}

fn role(change: &PermissionChange) -> Role {
    let lines = match change.action {
        // That a role goes says all: what it could do goes with it.
        ChangeAction::Delete => Vec::new(),
        ChangeAction::Create | ChangeAction::Update => {
            let gained = change.gained.iter().map(|statement| (ChangeAction::Create, describe(statement)));
            let lost = change.lost.iter().map(|statement| (ChangeAction::Delete, describe(statement)));
            gained.chain(lost).collect()
        }
    };
    Role { action: change.action, subject: change.subject.clone(), lines }
}

/// A statement in one line: `s3:GetObject, s3:PutObject on bucket/shop/prod/artifacts/*`.
fn describe(statement: &Statement) -> String {
    let actions: Vec<&str> = statement.actions.iter().map(String::as_str).collect();
    let resources: Vec<String> = statement.resources.iter().map(|arn| shorten(arn)).collect();
    let shown = resources.len().min(MOST_RESOURCES);
    let more = if resources.len() > shown { format!(" and {} more", resources.len() - shown) } else { String::new() };
    let keys: BTreeSet<&str> =
        statement.conditions.values().flat_map(|conditions| conditions.keys().map(String::as_str)).collect();
    let only = if keys.is_empty() {
        String::new()
    } else {
        format!(" (if {} fits)", keys.into_iter().collect::<Vec<_>>().join(", "))
    };
    format!("{} on {}{more}{only}", actions.join(", "), resources[..shown].join(", "))
}

/// An ARN without what is the same for the whole environment: partition, service, region and account.
fn shorten(arn: &str) -> String {
    arn.splitn(6, ':').nth(5).filter(|rest| !rest.is_empty()).unwrap_or(arn).to_owned()
}

/// How many resources a plan makes and removes, for plans that leave all pipelines as they are.
pub(super) fn resource_counts(plan: &Plan) -> String {
    let number = |wanted: fn(&liminal_schemas::plan::Operation) -> bool| {
        plan.operations.iter().filter(|operation| wanted(operation)).count()
    };
    let made = number(|operation| matches!(operation, liminal_schemas::plan::Operation::CreateResource { .. }));
    let removed = number(|operation| matches!(operation, liminal_schemas::plan::Operation::DeleteResource { .. }));
    format!("{} to make, {removed} to remove", count(made, "resource"))
}
