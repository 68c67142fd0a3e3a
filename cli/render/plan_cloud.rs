//! Cloud resources of a plan, by kind: a pipeline of a thousand steps has thousands of them, and each kind is one line.

use std::collections::BTreeMap;

use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::Plan;
use liminal_schemas::state::ResourceKind;

/// How many of those that a line stands for are named.
const MOST_NAMED: usize = 4;

/// The kinds in the plural; none for those that are listed one by one.
pub(crate) const fn several(kind: ResourceKind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        ResourceKind::Package | ResourceKind::Python => return None,
        ResourceKind::Bundle => ("bundle", "bundles"),
        ResourceKind::Role => ("role", "roles"),
        ResourceKind::Logs => ("log group", "log groups"),
        ResourceKind::Queue => ("queue", "queues"),
        ResourceKind::Function => ("function", "functions"),
        ResourceKind::Task => ("task definition", "task definitions"),
        ResourceKind::Mapping => ("event source mapping", "event source mappings"),
        ResourceKind::Schedule => ("schedule", "schedules"),
        ResourceKind::Notification => ("bucket notification", "bucket notifications"),
        ResourceKind::Rule => ("event rule", "event rules"),
    })
}

/// One line for each kind that is made, and for each that is removed.
pub(super) fn lines(plan: &Plan) -> Vec<(ChangeAction, String)> {
    let mut groups: BTreeMap<(ChangeAction, ResourceKind), Vec<Option<String>>> = BTreeMap::new();
    for operation in &plan.operations {
        let (action, address) = match operation {
            Operation::CreateResource { address } => (ChangeAction::Create, address),
            Operation::DeleteResource { address } => (ChangeAction::Delete, address),
            Operation::WriteRelease { .. }
            | Operation::MoveLive { .. }
            | Operation::RemoveLive { .. }
            | Operation::StartCanary { .. }
            | Operation::EndCanary { .. }
            | Operation::DeleteRelease { .. } => continue,
        };
        if several(address.kind).is_some() {
            let named = plan.documents.resources.get(address).map(subject);
            groups.entry((action, address.kind)).or_default().push(named);
        }
    }
    groups.into_iter().map(|((action, kind), members)| (action, line(action, kind, members))).collect()
}

fn line(action: ChangeAction, kind: ResourceKind, members: Vec<Option<String>>) -> String {
    let number = members.len();
    let (one, more) = several(kind).unwrap_or((kind.as_str(), kind.as_str()));
    let mut text = if number == 1 { format!("1 {one}") } else { format!("{number} {more}") };
    let mut named: Vec<String> = members.into_iter().flatten().collect();
    named.sort();
    named.dedup();
    let shown = named.len().min(MOST_NAMED);
    if shown > 0 {
        text.push_str(&format!(": {}", named[..shown].join(", ")));
        if named.len() > shown {
            text.push_str(&format!(" and {} more", named.len() - shown));
        }
    }
    if action == ChangeAction::Delete {
        text.push_str(if shown > 0 { "; nothing uses them any more" } else { " that nothing uses any more" });
    }
    text
}

/// Whom or what a resource is for, in a few words.
pub(crate) fn subject(resource: &CloudResource) -> String {
    if let Some(served) = &resource.serves {
        return format!("{}/{}", served.pipeline, served.step);
    }
    match &resource.spec {
        ResourceSpec::Bundle(bundle) => match &bundle.package {
            Some(package) => format!("package {}", package.short()),
            None => "the runner".to_owned(),
        },
        ResourceSpec::Role(role) => last(&role.name_parts),
        ResourceSpec::Logs(logs) => logs.name.clone(),
        ResourceSpec::Queue(queue) => queue.name.clone(),
        ResourceSpec::Function(function) => last(&function.name_parts),
        ResourceSpec::Mapping(mapping) => mapping.function.clone(),
        ResourceSpec::Task(task) => last(&task.family_parts),
        ResourceSpec::Schedule(schedule) => format!("{} {}", schedule.expression, schedule.timezone),
        ResourceSpec::Notification(notification) => notification.bucket.clone(),
        ResourceSpec::Rule(rule) => last(&rule.name_parts),
    }
}

/// What follows the project and the environment in a name.
fn last(parts: &[String]) -> String {
    parts.get(2..).filter(|rest| !rest.is_empty()).unwrap_or(parts).join("-")
}
