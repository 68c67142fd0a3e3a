//! A plan for a comment on a pull request: the most important first, and never longer than such a comment may be.

use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;

use super::graph::does;
use super::plan_access;
use super::plan_forecast;
use super::plan_forecast::Forecast;
use super::plan_resources;
use super::plan_skips;
use super::plan_text;
use super::style::Style;
use super::style::one_line;
use super::units::count;

/// The most characters of a comment on GitHub.
pub(crate) const MOST_CHARS: usize = 65_536;

/// Kept free for the line that says what was left out.
const RESERVE: usize = 200;

/// The longest value that is shown whole.
const LONGEST_VALUE: usize = 120;

/// The most notes and resources that are listed.
const MOST_LISTED: usize = 50;

/// The plan as markdown. What does not fit is left out from the end and counted: the summary always stays, then the
/// overview of the pipelines, then their details.
pub(crate) fn markdown(plan: &Plan) -> String {
    let mut page = Page { text: head(plan), left_out: 0 };
    if !plan.notes.is_empty() {
        let notes = plan.notes.iter().take(MOST_LISTED).map(|note| format!("> {}\n", escape(note)));
        page.add(&format!("> [!NOTE]\n{}\n", notes.collect::<Vec<_>>().join(">\n")));
    }
    if plan.has_changes {
        overview(&mut page, plan);
        for change in &plan.pipelines {
            page.add(&details(plan, change));
        }
        resources(&mut page, plan);
        placements(&mut page, plan);
        permissions(&mut page, plan);
    }
    page.finish()
}

/// A text that takes whole parts as long as there is room.
struct Page {
    text: String,
    left_out: usize,
}

impl Page {
    fn fits(&self, part: &str) -> bool {
        // Bytes are never fewer than characters, so this errs on the safe side.
        self.text.len() + part.len() + RESERVE <= MOST_CHARS
    }

    fn add(&mut self, part: &str) {
        if self.fits(part) {
            self.text.push_str(part);
        } else {
            self.left_out += 1;
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let parts = count(self.left_out, "part");
            self.text.push_str(&format!("\n_{parts} did not fit; `liminal plan` shows all._\n"));
        }
        self.text
    }
}

fn head(plan: &Plan) -> String {
    let what = match plan.purpose {
        PlanPurpose::Apply => "Plan",
        PlanPurpose::Rollback => "Plan to roll back",
        PlanPurpose::Promote => "Plan to promote the canary",
        PlanPurpose::Abort => "Plan to abort the canary",
        PlanPurpose::Heal => "Plan to heal",
        PlanPurpose::Destroy => "Plan to destroy",
    };
    let mut text = format!(
        "### {what} for {}, environment {}\n\n",
        escape(plan.project.as_str()),
        escape(plan.environment.as_str())
    );
    text.push_str(&format!("**{}**", plan_text::summary(plan)));
    text.push_str(&format!("{}\n\n", plan_text::source(plan).replacen(", from", " From", 1)));
    text
}

fn overview(page: &mut Page, plan: &Plan) {
    if plan.pipelines.is_empty() {
        return;
    }
    page.add("| | Pipeline | What changes | The next run |\n|---|---|---|---|\n");
    let mut hidden = 0;
    for change in &plan.pipelines {
        let release = release(plan, change);
        let next = Forecast::new(change, release).map(|forecast| forecast.title());
        let next = next.as_deref().map(|title| title.strip_prefix("The next run: ").unwrap_or(title));
        let row = format!(
            "| `{}` | {} | {} | {} |\n",
            plan_text::symbol(change.action),
            escape(change.pipeline.as_str()),
            escape(&plan_text::pipeline_note(change, &Style::PLAIN)),
            escape(next.unwrap_or("")),
        );
        // The overview takes half of the page at most, so that some details always fit.
        if page.text.len() + row.len() <= MOST_CHARS / 2 {
            page.add(&row);
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        page.add(&format!("| | … and {} | | |\n", count(hidden, "more pipeline")));
    }
    page.add("\n");
}

fn release<'a>(plan: &'a Plan, change: &PipelineChange) -> Option<&'a Release> {
    change.to.and_then(|revision| plan.documents.releases.get(&revision))
}

/// What changes in a pipeline and what its next run does; empty where the overview has said all.
fn details(plan: &Plan, change: &PipelineChange) -> String {
    if change.fields.is_empty() && change.steps.is_empty() && change.forecast.is_empty() {
        return String::new();
    }
    let release = release(plan, change);
    let mut diff = String::new();
    for field in &change.fields {
        diff.push_str(&field_lines(field, ""));
    }
    for step in plan_text::ordered(change, release) {
        let spec = release.and_then(|release| release.steps.get(&step.step));
        let about = match (step.action, spec) {
            (ChangeAction::Create, Some(spec)) => format!("  {}", shorten(&does(&spec.action))),
            (ChangeAction::Create, None) | (ChangeAction::Update | ChangeAction::Delete, _) => String::new(),
        };
        diff.push_str(&format!("{} {}{about}\n", diff_mark(step.action), step.step));
        if step.action == ChangeAction::Update {
            for field in plan_text::shown_fields(&step.fields) {
                diff.push_str(&field_lines(field, "    "));
            }
        }
    }
    let mut text = format!(
        "<details{}>\n<summary><code>{}</code> {}</summary>\n\n",
        if plan.pipelines.len() == 1 { " open" } else { "" },
        plan_text::symbol(change.action),
        escape(change.pipeline.as_str()),
    );
    if !diff.is_empty() {
        let fence = fence(&diff);
        text.push_str(&format!("{fence}diff\n{diff}{fence}\n\n"));
    }
    let (rules, hidden) = plan_skips::skips(change, release);
    if !rules.is_empty() {
        text.push_str(&format!("{}:\n\n", plan_skips::TITLE));
        for (step, said) in &rules {
            text.push_str(&format!("- {}: {}\n", escape(step), escape(&shorten(said))));
        }
        if hidden > 0 {
            text.push_str(&format!("- … and {}\n", count(hidden, "more rule")));
        }
        text.push('\n');
    }
    if let Some(forecast) = Forecast::new(change, release) {
        text.push_str(&format!("{}.\n\n", escape(&forecast.title())));
        if !forecast.is_first() {
            for (step, what) in forecast.lines() {
                let sure = if matches!(what, StepForecast::Depends(_)) { "perhaps " } else { "" };
                let reason = shorten(&plan_forecast::reason_text(what, &Style::PLAIN));
                text.push_str(&format!("- {sure}{}: {}\n", escape(step.as_str()), escape(&reason)));
            }
            text.push('\n');
        }
    }
    text.push_str("</details>\n\n");
    text
}

/// A field as lines of a diff, which GitHub colours.
fn field_lines(field: &liminal_schemas::plan::FieldChange, indent: &str) -> String {
    let name = shorten(&field.field);
    let again = if field.reruns { "  (runs again)" } else { "" };
    let mut text = String::new();
    if let Some(before) = &field.before {
        let gone = if field.after.is_none() { again } else { "" };
        text.push_str(&format!("-{indent} {name}: {}{gone}\n", shorten(before)));
    }
    if let Some(after) = &field.after {
        text.push_str(&format!("+{indent} {name}: {}{again}\n", shorten(after)));
    }
    text
}

/// The character by which GitHub colours a line of a diff.
const fn diff_mark(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::Create => "+",
        ChangeAction::Update => "!",
        ChangeAction::Delete => "-",
    }
}

fn resources(page: &mut Page, plan: &Plan) {
    let lines = plan_resources::resources(plan);
    if lines.is_empty() {
        return;
    }
    let listed = lines.iter().take(MOST_LISTED);
    let mut list: String = listed
        .map(|(action, line)| format!("- `{}` {}\n", plan_text::symbol(*action), escape(&shorten(line))))
        .collect();
    if let Some(hidden @ 1..) = lines.len().checked_sub(MOST_LISTED) {
        list.push_str(&format!("- … and {hidden} more\n"));
    }
    page.add(&format!("<details>\n<summary>Resources</summary>\n\n{list}\n</details>\n"));
}

fn placements(page: &mut Page, plan: &Plan) {
    let lines = plan_access::placements(plan);
    if !lines.is_empty() {
        let list: String = lines.iter().map(|line| format!("- {}\n", escape(&shorten(line)))).collect();
        page.add(&format!("<details>\n<summary>Where steps run</summary>\n\n{list}\n</details>\n"));
    }
}

fn permissions(page: &mut Page, plan: &Plan) {
    let (roles, hidden) = plan_access::permissions(plan);
    if roles.is_empty() {
        return;
    }
    let mut diff = String::new();
    for role in roles {
        diff.push_str(&format!("{} {}\n", diff_mark(role.action), one_line(&role.subject)));
        for (action, line) in role.lines {
            diff.push_str(&format!("{}     {}\n", diff_mark(action), shorten(&line)));
        }
    }
    let fence = fence(&diff);
    let hidden = hidden.map(|hidden| format!("… {hidden}\n\n")).unwrap_or_default();
    page.add(&format!(
        "<details open>\n<summary>Permissions</summary>\n\n{fence}diff\n{diff}{fence}\n\n{hidden}</details>\n"
    ));
}

fn shorten(text: &str) -> String {
    Style::PLAIN.fit(&one_line(text), LONGEST_VALUE)
}

/// A fence that is longer than any in the text.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut current = 0;
    for character in text.chars() {
        current = if character == '`' { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    "`".repeat(3.max(longest + 1))
}

/// A text that markdown and HTML leave alone, and that mentions nobody.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in one_line(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use liminal_schemas::plan::FieldChange;

    #[test]
    fn an_update_is_a_comment() {
        insta::assert_snapshot!(markdown(&samples::update_plan()), @r"
        ### Plan for breast-cancer, environment local

        **Plan: 0 to create, 1 to update, 1 to delete; 2 unchanged.** From commit a1b2c3d4 with uncommitted changes

        > [!NOTE]
        > release 0a1b2c3d of train stays: run 20261124-120000-abcd uses it

        | | Pipeline | What changes | The next run |
        |---|---|---|---|
        | `~` | train | 3 of 10 steps change, cba06b57 → c36955f3 | 3 of 10 steps, and 3 more where results come out different |
        | `-` | score | is taken out of use, cba06b57 |  |

        <details>
        <summary><code>~</code> train</summary>

        ```diff
        - params.seed: 42
        + params.seed: 7
        ! train
        -     code/steps/train.py: a1b2c3d4
        +     code/steps/train.py: e5f6a7b8  (runs again)
        +     env.MODE: fast  (runs again)
        -     retries.max: 0
        +     retries.max: 3
        + audit
        - report
        ```

        The next run: 3 of 10 steps, and 3 more where results come out different.

        - train: code/steps/train.py changed (a1b2c3d4 → e5f6a7b8)
        - perhaps evaluate: if train makes something different
        - perhaps validate: if evaluate makes something different
        - perhaps register: if evaluate makes something different
        - notify: its cache is turned off
        - audit: never ran before

        </details>

        <details>
        <summary>Resources</summary>

        - `+` package d533f38e (2 files for clean, evaluate, fetch, notify, prepare, train, train\_forest)
        - `+` python environment 73d39ca5 (python 3.11, requirements.txt)
        - `-` package 283bb9de, which nothing uses any more
        - `-` release da925a30 of train, no longer kept for rollback

        </details>
        ");
    }

    #[test]
    fn a_cloud_plan_shows_permissions_at_once() {
        let mut plan = samples::cloud_plan(3);
        plan.pipelines.clear();
        insta::assert_snapshot!(markdown(&plan), @r"
        ### Plan for breast-cancer, environment staging

        **Plan: no pipeline changes; 6 resources to make, 1 to remove.** From commit a1b2c3d4 with uncommitted changes

        <details>
        <summary>Resources</summary>

        - `+` 3 roles: train/step\_000, train/step\_001, train/step\_002
        - `+` 3 queues: train/step\_000, train/step\_001, train/step\_002
        - `-` 1 function that nothing uses any more

        </details>
        <details>
        <summary>Where steps run</summary>

        - Fargate, since its attempts may take 2 h, and Lambda takes 15 min: train/step\_000
        - Lambda, since it is within all limits of Lambda: train/step\_001, train/step\_002

        </details>
        <details open>
        <summary>Permissions</summary>

        ```diff
        ! train/step_001
        +     s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-cancer/staging/artifacts/*
        -     sqs:SendMessage on liminal-breast-cancer-*
        + train/step_000
        +     s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-cancer/staging/artifacts/*
        + train/step_002
        +     s3:GetObject, s3:PutObject on liminal-123456789012-eu-central-1/breast-cancer/staging/artifacts/*
        ```

        </details>
        ");
    }

    #[test]
    fn a_plan_without_changes_is_short() {
        insta::assert_snapshot!(markdown(&samples::empty_plan()), @r"
        ### Plan for breast-cancer, environment local

        **No changes. The environment matches the definition.** From commit a1b2c3d4 with uncommitted changes
        ");
    }

    #[test]
    fn a_huge_plan_still_fits_into_a_comment_and_keeps_its_summary() {
        let mut plan = samples::update_plan();
        let one = plan.pipelines[0].clone();
        plan.pipelines = (0..2000)
            .map(|number| {
                let mut change = one.clone();
                change.pipeline = samples::name(&format!("pipeline_{number}"));
                change.steps[1].fields[1].after = Some("ü|".repeat(1000));
                change
            })
            .collect();
        plan.notes = vec!["x".repeat(200); 1000];
        let text = markdown(&plan);
        assert!(text.chars().count() <= MOST_CHARS && text.len() > MOST_CHARS / 2, "{}", text.len());
        assert!(text.contains("**Plan: 0 to create, 2000 to update, 0 to delete; 2 unchanged.**"));
        assert!(text.contains("did not fit; `liminal plan` shows all") && text.contains("<details"));
    }

    #[test]
    fn hostile_values_stay_text() {
        let mut plan = samples::update_plan();
        plan.notes = vec!["<script>@everyone | `x`".to_owned()];
        plan.pipelines[0].fields = vec![FieldChange {
            field: "params.x".to_owned(),
            before: None,
            after: Some("````\n</details>".to_owned()),
            reruns: false,
        }];
        let text = markdown(&plan);
        assert!(text.contains("> &lt;script&gt;&#64;everyone \\| \\`x\\`\n"), "{text}");
        assert!(text.contains("`````diff\n+ params.x: ```` </details>\n"), "{text}");
    }
}
