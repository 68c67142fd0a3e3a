//! A plan as a person reads it before saying yes: what changes, why, what the next run will do, what is made and removed.

use std::collections::BTreeMap;

use liminal_schemas::name::PipelineName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::plan::StepChange;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;

use super::graph::does;
use super::plan_access;
use super::plan_forecast::Forecast;
use super::plan_forecast::reason_text;
pub(crate) use super::plan_forecast::rerun_reason;
use super::plan_forecast::running_order;
use super::plan_resources::resources;
use super::plan_skips;
use super::style::Style;
use super::style::Tone;
use super::style::columns;
use super::style::one_line;
use super::units::count;
use super::units::short_commit;

/// How many changed code files of one step are listed; the others are counted.
const MOST_CODE_FILES: usize = 8;

/// How wide the name of a field may make its column.
const WIDEST_FIELD: usize = 40;

/// The plan as text.
pub(crate) fn text(plan: &Plan, style: &Style) -> String {
    let mut text = header(plan, style);
    if !plan.has_changes {
        text.push('\n');
        notes(&mut text, plan, style);
        text.push_str(&format!("{}\n", style.good(summary(plan))));
        return text;
    }
    for change in &plan.pipelines {
        text.push('\n');
        let release = change.to.and_then(|revision| plan.documents.releases.get(&revision));
        pipeline(&mut text, release, change, style);
    }
    let resources = resources(plan);
    if !resources.is_empty() {
        text.push_str("\nResources\n");
        for (action, line) in resources {
            text.push_str(&format!("  {} {}\n", mark(action, style), style.fit(&line, style.width.saturating_sub(4))));
        }
    }
    placements(&mut text, plan, style);
    permissions(&mut text, plan, style);
    text.push('\n');
    notes(&mut text, plan, style);
    text.push_str(&format!("{}\n", style.bold(summary(plan))));
    text
}

/// What changes, pipeline by pipeline, where no plan is made of it.
pub(crate) fn changes(
    changes: &[PipelineChange],
    releases: &BTreeMap<PipelineName, Release>,
    unchanged: usize,
    style: &Style,
) -> String {
    let mut text = String::new();
    for change in changes {
        pipeline(&mut text, releases.get(&change.pipeline), change, style);
        text.push('\n');
    }
    let unchanged = count(unchanged, "pipeline");
    text.push_str(&match changes.len() {
        0 => format!("No difference: {unchanged} the same.\n"),
        1 => format!("1 pipeline differs; {unchanged} the same.\n"),
        several => format!("{} differ; {unchanged} the same.\n", count(several, "pipeline")),
    });
    text
}

fn placements(text: &mut String, plan: &Plan, style: &Style) {
    let lines = plan_access::placements(plan);
    if !lines.is_empty() {
        text.push_str("\nWhere steps run\n");
    }
    for line in lines {
        text.push_str(&format!("    {}\n", style.fit(&one_line(&line), style.width.saturating_sub(4))));
    }
}

fn permissions(text: &mut String, plan: &Plan, style: &Style) {
    let (roles, hidden) = plan_access::permissions(plan);
    if !roles.is_empty() {
        text.push_str("\nPermissions\n");
    }
    for role in roles {
        text.push_str(&format!("  {} {}\n", mark(role.action, style), one_line(&role.subject)));
        for (action, line) in role.lines {
            let line = style.fit(&one_line(&line), style.width.saturating_sub(8));
            text.push_str(&format!("      {} {line}\n", mark(action, style)));
        }
    }
    if let Some(hidden) = hidden {
        text.push_str(&format!("    {} {hidden}\n", style.ellipsis()));
    }
}

fn header(plan: &Plan, style: &Style) -> String {
    let what = match plan.purpose {
        PlanPurpose::Apply => "Plan",
        PlanPurpose::Rollback => "Plan to roll back",
        PlanPurpose::Promote => "Plan to promote the canary",
        PlanPurpose::Abort => "Plan to abort the canary",
        PlanPurpose::Heal => "Plan to heal",
        PlanPurpose::Destroy => "Plan to destroy",
    };
    let names = format!("{}, environment {}", plan.project, plan.environment);
    format!("{what} for {}{}\n", style.bold(names), style.dim(source(plan)))
}

/// Where the definition and code come from: `, from commit a1b2c3d4 with uncommitted changes`.
pub(super) fn source(plan: &Plan) -> String {
    let source = &plan.base.source;
    match (&source.commit, source.dirty) {
        (Some(commit), false) => format!(", from commit {}", short_commit(&one_line(commit))),
        (Some(commit), true) => format!(", from commit {} with uncommitted changes", short_commit(&one_line(commit))),
        (None, _) => String::new(),
    }
}

fn notes(text: &mut String, plan: &Plan, style: &Style) {
    for note in &plan.notes {
        text.push_str(&format!("{} {}\n", style.warn("note:"), one_line(note)));
    }
    if !plan.notes.is_empty() {
        text.push('\n');
    }
}

/// The symbol of an action, which says the same without colour.
pub(super) const fn symbol(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::Create => "+",
        ChangeAction::Update => "~",
        ChangeAction::Delete => "-",
    }
}

pub(super) const fn tone(action: ChangeAction) -> Tone {
    match action {
        ChangeAction::Create => Tone::Added,
        ChangeAction::Update => Tone::Changed,
        ChangeAction::Delete => Tone::Removed,
    }
}

fn mark(action: ChangeAction, style: &Style) -> String {
    style.paint(tone(action), symbol(action))
}

fn pipeline(text: &mut String, release: Option<&Release>, change: &PipelineChange, style: &Style) {
    text.push_str(&format!(
        "{} {}  {}\n",
        mark(change.action, style),
        style.bold(&change.pipeline),
        style.dim(pipeline_note(change, style))
    ));
    fields(text, &change.fields, 4, style);
    let widest = change.steps.iter().map(|step| columns(step.step.as_str())).max().unwrap_or(0);
    for step in ordered(change, release) {
        let name = step.step.as_str();
        let note = match step.action {
            ChangeAction::Create => release.and_then(|release| release.steps.get(name)).map(|spec| does(&spec.action)),
            ChangeAction::Update | ChangeAction::Delete => None,
        };
        let line = match note {
            Some(note) => {
                let note = style.fit(&note, style.width.saturating_sub(widest + 8).max(20));
                format!("{name:widest$}  {}", style.dim(note))
            }
            None => name.to_owned(),
        };
        text.push_str(&format!("    {} {line}\n", mark(step.action, style)));
        if step.action == ChangeAction::Update {
            fields(text, &step.fields, 8, style);
        }
    }
    skips(text, change, release, style);
    forecast(text, change, release, style);
}

fn skips(text: &mut String, change: &PipelineChange, release: Option<&Release>, style: &Style) {
    let (rules, hidden) = plan_skips::skips(change, release);
    if rules.is_empty() {
        return;
    }
    text.push_str(&format!("\n    {}\n", plan_skips::TITLE));
    let widest = rules.iter().map(|(step, _)| columns(step)).max().unwrap_or(0);
    for (step, said) in &rules {
        let said = style.fit(said, style.width.saturating_sub(widest + 8).max(20));
        text.push_str(&format!("      {step:widest$}  {said}\n"));
    }
    if hidden > 0 {
        text.push_str(&format!("      {} and {}\n", style.ellipsis(), count(hidden, "more rule")));
    }
}

/// What is said beside the name of a pipeline.
pub(super) fn pipeline_note(change: &PipelineChange, style: &Style) -> String {
    let revision = match (change.from, change.to) {
        (Some(from), Some(to)) => format!("{} {} {}", from.short(), style.arrow(), to.short()),
        (None, Some(to)) => to.short(),
        (Some(from), None) => from.short(),
        (None, None) => String::new(),
    };
    let all = change.steps.len() + change.unchanged_steps;
    let trial = change.canary.map(|share| format!("canary for {share} of the runs, ")).unwrap_or_default();
    let what = match change.action {
        ChangeAction::Create => format!("new, {}", count(change.steps.len(), "step")),
        ChangeAction::Update if change.steps.is_empty() => "no step changes".to_owned(),
        ChangeAction::Update if change.steps.len() == 1 => format!("1 of {} changes", count(all, "step")),
        ChangeAction::Update => format!("{} of {} change", change.steps.len(), count(all, "step")),
        ChangeAction::Delete => "is taken out of use".to_owned(),
    };
    if revision.is_empty() { what } else { format!("{trial}{what}, {revision}") }
}

/// The changed steps in the order in which they run; those that are gone come last.
pub(super) fn ordered<'a>(change: &'a PipelineChange, release: Option<&Release>) -> Vec<&'a StepChange> {
    let place = running_order(release);
    let mut steps: Vec<_> = change.steps.iter().collect();
    steps.sort_by_key(|step| place.get(&step.step).copied().unwrap_or(usize::MAX));
    steps
}

/// Fields with their values before and after; those that only follow from others are left out.
fn fields(text: &mut String, changes: &[FieldChange], indent: usize, style: &Style) {
    let shown = shown_fields(changes);
    let widest = shown.iter().map(|field| columns(&field.field)).max().unwrap_or(0);
    let widest = widest.min(WIDEST_FIELD).min(style.width.saturating_sub(indent) / 2);
    for field in &shown {
        let action = field_action(field);
        let again = if field.reruns { style.symbol("  ↻ runs again", "  (runs again)") } else { "" };
        let room = style.width.saturating_sub(indent + widest + 4 + columns(again)).max(6);
        let values = style.fit(&values(field, style), room);
        text.push_str(&format!(
            "{:indent$}{} {:widest$}  {values}{}\n",
            "",
            mark(action, style),
            style.fit(&one_line(&field.field), widest),
            style.dim(again),
        ));
    }
    if let Some(hidden @ 1..) = code_files(changes).checked_sub(MOST_CODE_FILES) {
        text.push_str(&format!("{:indent$}{} and {}\n", "", style.ellipsis(), count(hidden, "more code file")));
    }
}

fn code_files(changes: &[FieldChange]) -> usize {
    changes.iter().filter(|field| field.field.starts_with("code/")).count()
}

/// The fields worth a line: a digest that changes only because files under it do says nothing new.
pub(super) fn shown_fields(changes: &[FieldChange]) -> Vec<&FieldChange> {
    let mut code = 0;
    let explained = changes.iter().any(|field| field.field.starts_with("code/") || field.field.starts_with("python"));
    changes
        .iter()
        .filter(|field| {
            if field.field.starts_with("code/") {
                code += 1;
                return code <= MOST_CODE_FILES;
            }
            !(explained && field.field == "package")
        })
        .collect()
}

pub(super) const fn field_action(field: &FieldChange) -> ChangeAction {
    match (&field.before, &field.after) {
        (None, Some(_)) => ChangeAction::Create,
        (Some(_), None) => ChangeAction::Delete,
        (Some(_), Some(_)) | (None, None) => ChangeAction::Update,
    }
}

fn values(field: &FieldChange, style: &Style) -> String {
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => format!("{} {} {}", one_line(before), style.arrow(), one_line(after)),
        (None, Some(value)) | (Some(value), None) => one_line(value),
        (None, None) => String::new(),
    }
}

fn forecast(text: &mut String, change: &PipelineChange, release: Option<&Release>, style: &Style) {
    let Some(forecast) = Forecast::new(change, release) else { return };
    text.push_str(&format!("\n    {}\n", forecast.title()));
    if forecast.is_first() {
        return;
    }
    let widest = forecast.lines().map(|(step, _)| columns(step.as_str())).max().unwrap_or(0);
    for (step, reason) in forecast.lines() {
        let sign = match reason {
            StepForecast::Runs(_) => style.warn(style.symbol("↻", "*")),
            StepForecast::Depends(_) => style.dim("?"),
            StepForecast::Cached => continue,
        };
        let reason = style.fit(&reason_text(reason, style), style.width.saturating_sub(widest + 10).max(20));
        text.push_str(&format!("      {sign} {:widest$}  {reason}\n", step.as_str()));
    }
    if !forecast.cached.is_empty() {
        let names: Vec<&str> = forecast.cached.iter().map(|step| step.as_str()).collect();
        let line = style.fit(&format!("cached: {}", names.join(", ")), style.width.saturating_sub(6));
        text.push_str(&format!("      {}\n", style.dim(line)));
    }
}

/// The plan in one line.
pub(crate) fn summary(plan: &Plan) -> String {
    if !plan.has_changes {
        return match plan.purpose {
            PlanPurpose::Apply => "No changes. The environment matches the definition.".to_owned(),
            PlanPurpose::Rollback => "No changes. That release is live already.".to_owned(),
            PlanPurpose::Promote | PlanPurpose::Abort => "No changes. Nothing is on trial.".to_owned(),
            PlanPurpose::Heal => "No changes. Everything is as it was recorded.".to_owned(),
            PlanPurpose::Destroy => "No changes. There is nothing to remove.".to_owned(),
        };
    }
    if plan.pipelines.is_empty() {
        return format!("Plan: no pipeline changes; {}.", plan_access::resource_counts(plan));
    }
    let number = |action| plan.pipelines.iter().filter(|change| change.action == action).count();
    let mut line = format!(
        "Plan: {} to create, {} to update, {} to delete",
        number(ChangeAction::Create),
        number(ChangeAction::Update),
        number(ChangeAction::Delete)
    );
    if plan.unchanged > 0 {
        line.push_str(&format!("; {} unchanged", plan.unchanged));
    }
    line.push('.');
    line
}

#[cfg(test)]
mod tests {
    use liminal_schemas::plan::RerunReason;

    use super::super::samples;
    use super::*;

    const NARROW: Style = Style { width: 80, ..Style::PLAIN };

    #[test]
    fn a_first_plan_lists_what_is_new() {
        insta::assert_snapshot!(text(&samples::first_plan(), &NARROW), @r"
        Plan for breast-cancer, environment local, from commit a1b2c3d4 with uncommitted changes

        + train  new, 9 steps, c36955f3
            + fetch         call steps.fetch:fetch
            + clean         call steps.clean:clean
            + prepare       call steps.prepare:prepare
            + train         call steps.train:train
            + train_forest  call steps.train_forest:train_forest
            + evaluate      call steps.evaluate:evaluate
            + validate      gate metrics.evaluate.roc_auc >= 0.95 and metrics.evaluate.…
            + register      register breast-cancer
            + notify        call steps.notify:notify

            The next run: all 9 steps, for the first time

        Resources
          + package d533f38e (2 files for clean, evaluate, fetch, notify, prepare, trai…
          + python environment 73d39ca5 (python 3.11, requirements.txt)

        Plan: 1 to create, 0 to update, 0 to delete.
        ");
    }

    #[test]
    fn an_update_shows_fields_reasons_and_the_forecast() {
        insta::assert_snapshot!(text(&samples::update_plan(), &NARROW), @r"
        Plan for breast-cancer, environment local, from commit a1b2c3d4 with uncommitted changes

        ~ train  3 of 10 steps change, cba06b57 → c36955f3
            ~ params.seed  42 → 7
            ~ train
                ~ code/steps/train.py  a1b2c3d4 → e5f6a7b8  ↻ runs again
                + env.MODE             fast  ↻ runs again
                ~ retries.max          0 → 3
            + audit
            - report

            The next run: 3 of 10 steps, and 3 more where results come out different
              ↻ train     code/steps/train.py changed (a1b2c3d4 → e5f6a7b8)
              ? evaluate  if train makes something different
              ? validate  if evaluate makes something different
              ? register  if evaluate makes something different
              ↻ notify    its cache is turned off
              ↻ audit     never ran before
              cached: fetch, clean, prepare, train_forest

        - score  is taken out of use, cba06b57

        Resources
          + package d533f38e (2 files for clean, evaluate, fetch, notify, prepare, trai…
          + python environment 73d39ca5 (python 3.11, requirements.txt)
          - package 283bb9de, which nothing uses any more
          - release da925a30 of train, no longer kept for rollback

        note: release 0a1b2c3d of train stays: run 20261124-120000-abcd uses it

        Plan: 0 to create, 1 to update, 1 to delete; 2 unchanged.
        ");
    }

    #[test]
    fn steps_that_never_ran_need_no_reasons() {
        let mut plan = samples::first_plan();
        let forecast = &mut plan.pipelines[0].forecast;
        forecast.insert(samples::name("clean"), StepForecast::Depends(samples::name("fetch")));
        forecast.insert(samples::name("notify"), StepForecast::Runs(RerunReason::CacheOff));
        assert!(text(&plan, &NARROW).contains("The next run: all 9 steps, for the first time\n\nResources"));
    }

    #[test]
    fn an_update_in_colour_says_the_same() {
        let mut plan = samples::update_plan();
        plan.pipelines.truncate(1);
        let shown = text(&plan, &Style { color: true, ..NARROW });
        insta::assert_snapshot!(shown.replace('\u{1b}', "ESC"), @r"
        Plan for ESC[1mbreast-cancer, environment localESC[0mESC[2m, from commit a1b2c3d4 with uncommitted changesESC[0m

        ESC[33m~ESC[39m ESC[1mtrainESC[0m  ESC[2m3 of 10 steps change, cba06b57 → c36955f3ESC[0m
            ESC[33m~ESC[39m params.seed  42 → 7
            ESC[33m~ESC[39m train
                ESC[33m~ESC[39m code/steps/train.py  a1b2c3d4 → e5f6a7b8ESC[2m  ↻ runs againESC[0m
                ESC[32m+ESC[39m env.MODE             fastESC[2m  ↻ runs againESC[0m
                ESC[33m~ESC[39m retries.max          0 → 3
            ESC[32m+ESC[39m audit
            ESC[31m-ESC[39m report

            The next run: 3 of 10 steps, and 3 more where results come out different
              ESC[33m↻ESC[39m train     code/steps/train.py changed (a1b2c3d4 → e5f6a7b8)
              ESC[2m?ESC[0m evaluate  if train makes something different
              ESC[2m?ESC[0m validate  if evaluate makes something different
              ESC[2m?ESC[0m register  if evaluate makes something different
              ESC[33m↻ESC[39m notify    its cache is turned off
              ESC[33m↻ESC[39m audit     never ran before
              ESC[2mcached: fetch, clean, prepare, train_forestESC[0m

        Resources
          ESC[32m+ESC[39m package d533f38e (2 files for clean, evaluate, fetch, notify, prepare, trai…
          ESC[32m+ESC[39m python environment 73d39ca5 (python 3.11, requirements.txt)
          ESC[31m-ESC[39m package 283bb9de, which nothing uses any more
          ESC[31m-ESC[39m release da925a30 of train, no longer kept for rollback

        ESC[33mnote:ESC[39m release 0a1b2c3d of train stays: run 20261124-120000-abcd uses it

        ESC[1mPlan: 0 to create, 1 to update, 0 to delete; 2 unchanged.ESC[0m
        ");
    }

    #[test]
    fn a_cloud_plan_tells_resources_by_kind_and_permissions_by_role() {
        let mut plan = samples::cloud_plan(3);
        plan.pipelines.clear();
        insta::assert_snapshot!(text(&plan, &NARROW), @r"
        Plan for breast-cancer, environment staging, from commit a1b2c3d4 with uncommitted changes

        Resources
          + 3 roles: train/step_000, train/step_001, train/step_002
          + 3 queues: train/step_000, train/step_001, train/step_002
          - 1 function that nothing uses any more

        Where steps run
            Fargate, since its attempts may take 2 h, and Lambda takes 15 min: train/st…
            Lambda, since it is within all limits of Lambda: train/step_001, train/step…

        Permissions
          ~ train/step_001
              + s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-…
              - sqs:SendMessage on liminal-breast-cancer-*
          + train/step_000
              + s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-…
          + train/step_002
              + s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-…

        Plan: no pipeline changes; 6 resources to make, 1 to remove.
        ");
    }

    #[test]
    fn a_cloud_plan_of_a_thousand_steps_is_still_read_in_a_minute() {
        let mut plan = samples::cloud_plan(1000);
        plan.pipelines.clear();
        let shown = text(&plan, &NARROW);
        assert!(shown.lines().count() < 60, "{shown}");
        assert!(shown.contains("1000 queues: train/step_000, train/step_001, "), "{shown}");
        assert!(shown.contains("and 988 more new roles"), "{shown}");
    }

    #[test]
    fn a_plan_without_changes_says_so() {
        insta::assert_snapshot!(text(&samples::empty_plan(), &NARROW), @r"
        Plan for breast-cancer, environment local, from commit a1b2c3d4 with uncommitted changes

        No changes. The environment matches the definition.
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut plan = samples::update_plan();
        plan.pipelines[0].steps[1].fields[1].after = Some("x".repeat(5000));
        let style = Style { width: 60, ..Style::PLAIN };
        let shown = text(&plan, &style);
        let long: Vec<&str> = shown.lines().filter(|line| columns(line) > 60).collect();
        assert!(
            long.iter().all(|line| line.starts_with("Plan for ")
                || line.starts_with("note: ")
                || line.contains("The next run")),
            "{long:#?}"
        );
    }

    #[test]
    fn many_changed_code_files_become_a_number() {
        let mut plan = samples::update_plan();
        plan.pipelines[0].steps[1].fields = (0..50)
            .map(|number| FieldChange {
                field: format!("code/lib/{number:02}.py"),
                before: Some("a1b2c3d4".to_owned()),
                after: Some("e5f6a7b8".to_owned()),
                reruns: true,
            })
            .collect();
        let shown = text(&plan, &NARROW);
        assert!(shown.contains("… and 42 more code files"), "{shown}");
    }
}
