//! What changes about permissions, role by role.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PermissionChange;

/// Roles by whom they are for.
pub(super) type Roles<'a> = BTreeMap<String, &'a RoleSpec>;

/// The roles among some resources.
pub(super) fn roles<'a>(resources: impl Iterator<Item = &'a CloudResource>) -> Roles<'a> {
    let roles = resources.filter_map(|resource| resource.spec.as_role()).map(|role| (subject(role), role));
    roles.collect()
}

/// Whose role it is: `train/fit`, `train/fit (task)`, `starter`.
pub(super) fn subject(role: &RoleSpec) -> String {
    // Project and environment come first, and are the same for all.
    match role.name_parts.get(2..).unwrap_or_default() {
        [pipeline, step] => format!("{pipeline}/{step}"),
        [pipeline, step, part] => format!("{pipeline}/{step} ({part})"),
        other => other.join("/"),
    }
}

/// What changes between two sets of roles. Roles that stay are left out.
pub(super) fn changes(before: &Roles<'_>, after: &Roles<'_>) -> Vec<PermissionChange> {
    let subjects: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for subject in subjects {
        let (old, new) = (before.get(subject), after.get(subject));
        let (action, gained, lost) = match (old, new) {
            (Some(old), Some(new)) if old.statements == new.statements => continue,
            (Some(old), Some(new)) => (
                ChangeAction::Update,
                more_than(&old.statements, &new.statements),
                more_than(&new.statements, &old.statements),
            ),
            (None, Some(new)) => (ChangeAction::Create, new.statements.clone(), Vec::new()),
            (Some(old), None) => (ChangeAction::Delete, Vec::new(), old.statements.clone()),
            (None, None) => continue,
        };
        changes.push(PermissionChange { subject: subject.clone(), action, gained, lost });
    }
    changes
}

/// What `after` allows beyond `before`, statement by statement. Where only resources were added to a statement, only
/// these are told.
fn more_than(before: &[Statement], after: &[Statement]) -> Vec<Statement> {
    let mut more = Vec::new();
    for statement in after.iter().filter(|statement| !before.contains(statement)) {
        let alike = before.iter().find(|old| {
            old.sid == statement.sid && old.actions == statement.actions && old.conditions == statement.conditions
        });
        match alike {
            None => more.push(statement.clone()),
            Some(old) => {
                let resources: BTreeSet<String> = statement.resources.difference(&old.resources).cloned().collect();
                if !resources.is_empty() {
                    more.push(Statement { resources, ..statement.clone() });
                }
            }
        }
    }
    more
}
