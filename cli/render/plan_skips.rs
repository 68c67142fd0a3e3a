//! Which steps the runs of a pipeline may skip, and what follows from that: so that nobody is surprised by a run that did less.

use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::release::Release;
use liminal_schemas::skipping;
use liminal_schemas::skipping::SkipRule;

use super::style::one_line;
use super::units::count;

/// How many rules of a pipeline are told; the others are counted.
const MOST_RULES: usize = 12;

/// What stands above them.
pub(super) const TITLE: &str = "What is skipped";

/// The steps with what is said of each, and how many are not told. Empty where the change says nothing new about it.
pub(super) fn skips(change: &PipelineChange, release: Option<&Release>) -> (Vec<(String, String)>, usize) {
    let (Some(release), true) = (release, is_news(change)) else { return (Vec::new(), 0) };
    let rules = skipping::rules(&release.steps);
    let told = rules.iter().take(MOST_RULES).map(|rule| (rule.step().to_string(), one_line(&said(rule)))).collect();
    (told, rules.len().saturating_sub(MOST_RULES))
}

/// Whether a change can make a difference to what is skipped.
fn is_news(change: &PipelineChange) -> bool {
    let decides = |field: &str| matches!(field, "when" | "after" | "gate") || field.starts_with("inputs.");
    match change.action {
        ChangeAction::Create => true,
        ChangeAction::Delete => false,
        ChangeAction::Update => change
            .steps
            .iter()
            .any(|step| step.action != ChangeAction::Update || step.fields.iter().any(|field| decides(&field.field))),
    }
}

fn said(rule: &SkipRule) -> String {
    match rule {
        SkipRule::Sub { steps, when, .. } => format!("all {}, unless {when}", count(*steps, "step")),
        SkipRule::Unless { when, .. } => format!("unless {when}"),
        SkipRule::With { maker, needs, .. } if needs.is_empty() => format!("with {maker}"),
        SkipRule::With { maker, needs, .. } => format!("with {maker}, whose {} it needs", needs.join(" and ")),
        SkipRule::Despite { after, .. } => format!("not with {after}: it only comes after"),
    }
}
