//! What a run came to: steps, gate, metrics, model, plots, and what to do next.

use std::collections::BTreeMap;

use liminal_schemas::graph::Graph;
use liminal_schemas::map::ItemCounts;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::CheckResult;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::value::Value;

use super::style::Style;
use super::style::Tone;
use super::style::columns;
use super::style::one_line;
use super::style::safe_lines;
use super::table::Align;
use super::table::Cell;
use super::table::Table;
use super::units::between;
use super::units::count;
use super::units::number;

/// How many of the last lines that a failed step printed are shown; `liminal logs` has all of them.
const DETAIL_LINES: usize = 15;

/// A run, as far as it has come.
pub(crate) struct RunSummary<'a> {
    /// What it is pinned to.
    pub release: &'a Release,
    /// How it was started.
    pub record: &'a RunRecord,
    /// How each step ended; those still open are missing.
    pub commits: &'a BTreeMap<StepName, Commit>,
    /// How the run ended; none while it goes on, or when it was interrupted.
    pub result: Option<&'a RunResult>,
    /// Where a person finds the plots, by step and output: paths on this machine.
    pub plots: &'a BTreeMap<(StepName, FieldName), String>,
}

/// The run as text.
pub(crate) fn text(run: &RunSummary<'_>, style: &Style) -> String {
    let order = order(run.release);
    let parts = [
        steps(run, &order, style).render(style),
        failures(run, &order, style),
        checks(run, &order, style),
        metrics(run, &order, style),
        results(run, &order, style),
        conclusion(run, style),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The steps in the order in which they run.
fn order(release: &Release) -> Vec<StepName> {
    match Graph::new(&release.steps) {
        Ok(graph) => graph.order().to_vec(),
        Err(_) => release.steps.keys().cloned().collect(),
    }
}

/// The status as symbol and word.
pub(crate) fn status_text(status: CommitStatus, style: &Style) -> String {
    let symbol = match status {
        CommitStatus::Succeeded => style.symbol("✓", "+"),
        CommitStatus::Cached => style.symbol("≡", "="),
        CommitStatus::Skipped => style.symbol("○", "o"),
        CommitStatus::Rejected => style.symbol("⊘", "!"),
        CommitStatus::Failed => style.symbol("✗", "x"),
    };
    format!("{symbol} {status}")
}

/// What the status of a step means.
pub(crate) const fn status_tone(status: CommitStatus) -> Tone {
    match status {
        CommitStatus::Succeeded => Tone::Good,
        CommitStatus::Cached => Tone::Accent,
        CommitStatus::Skipped => Tone::Dim,
        CommitStatus::Rejected | CommitStatus::Failed => Tone::Bad,
    }
}

/// What the status of a run means.
pub(crate) const fn run_tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded => Tone::Good,
        RunStatus::Rejected | RunStatus::Failed => Tone::Bad,
        RunStatus::Cancelled => Tone::Warn,
    }
}

fn steps(run: &RunSummary<'_>, order: &[StepName], style: &Style) -> Table {
    let mut table =
        Table::new([("STEP", Align::Left), ("STATUS", Align::Left), ("TIME", Align::Right), ("NOTE", Align::Left)]);
    for step in order {
        match run.commits.get(step) {
            Some(commit) => {
                let took = match commit.status {
                    CommitStatus::Succeeded | CommitStatus::Failed | CommitStatus::Rejected => {
                        between(commit.started_at, commit.ended_at)
                    }
                    CommitStatus::Cached | CommitStatus::Skipped => String::new(),
                };
                table.row([
                    step.as_str().into(),
                    Cell::new(status_tone(commit.status), status_text(commit.status, style)),
                    took.into(),
                    note(commit).into(),
                ]);
            }
            None => table.row([step.as_str().into(), Cell::new(Tone::Dim, format!("{} open", style.ellipsis()))]),
        }
    }
    table
}

/// What is to be said of a step beyond its status.
fn note(commit: &Commit) -> String {
    let mut parts = Vec::new();
    if let Some(items) = &commit.items {
        parts.push(items_text(items));
    }
    if let Some(run) = &commit.cached_from {
        parts.push(format!("from run {run}"));
    }
    if let Some(reason) = &commit.skipped {
        parts.push(reason.to_string());
    }
    if let Some(failure) = &commit.failure {
        parts.push(failure.message.clone());
    }
    if let Some(attempt @ 2..) = commit.attempt {
        parts.push(format!("attempt {attempt}"));
    }
    if let Some(model) = &commit.model {
        parts.push(format!("{} version {}", model.model, model.version));
    }
    let refused = commit.checks.iter().filter(|check| !check.passed).count();
    if refused > 0 {
        parts.push(format!("{refused} of {} did not hold", count(commit.checks.len(), "check")));
    }
    parts.join(", ")
}

/// How the items of a step ended, the usual left out: `250 items, 1 failed, 249 cached`.
fn items_text(items: &ItemCounts) -> String {
    let all = count(usize::try_from(items.items).unwrap_or(usize::MAX), "item");
    let others = [(items.failed, "failed"), (items.skipped, "skipped"), (items.cached, "cached")];
    others.iter().filter(|(number, _)| *number > 0).fold(all, |text, (number, word)| format!("{text}, {number} {word}"))
}

/// The last words of the steps that failed.
fn failures(run: &RunSummary<'_>, order: &[StepName], style: &Style) -> String {
    let mut text = String::new();
    for (step, failure) in committed(run, order).filter_map(|(step, commit)| Some((step, commit.failure.as_ref()?))) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{} {}\n", style.bad(format!("{step} failed:")), one_line(&failure.message)));
        let lines: Vec<String> = safe_lines(&failure.detail).collect();
        let hidden = lines.len().saturating_sub(DETAIL_LINES);
        if hidden > 0 {
            text.push_str(&format!(
                "  {}\n",
                style.dim(format!("{} {}", style.ellipsis(), count(hidden, "earlier line")))
            ));
        }
        let bar = style.dim(style.symbol("│", "|"));
        for line in &lines[hidden..] {
            text.push_str(format!("  {bar} {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn committed<'a>(run: &RunSummary<'a>, order: &'a [StepName]) -> impl Iterator<Item = (&'a StepName, &'a Commit)> {
    let commits = run.commits;
    order.iter().filter_map(move |step| Some((step, commits.get(step)?)))
}

/// Each check of each gate, and the same with the numbers that it read in place of their names.
fn checks(run: &RunSummary<'_>, order: &[StepName], style: &Style) -> String {
    let mut lines = String::new();
    for (step, commit) in committed(run, order) {
        for check in &commit.checks {
            let (tone, word) = if check.passed {
                (Tone::Good, style.symbol("✓ holds", "+ holds"))
            } else {
                (Tone::Bad, style.symbol("✗ refused", "x refused"))
            };
            let lead = format!("  {word}  {step}  ");
            let (expression, numbers) = (one_line(&check.expression), one_line(&with_values(check)));
            let fits = columns(&lead) + columns(&expression) + columns(&numbers) + 4 <= style.width;
            let between = if fits { "  ".to_owned() } else { format!("\n{}", " ".repeat(columns(&lead))) };
            lines.push_str(&format!(
                "  {}  {step}  {expression}{between}{}\n",
                style.paint(tone, word),
                style.dim(format!("({numbers})"))
            ));
        }
    }
    if lines.is_empty() { lines } else { format!("{}\n{lines}", style.bold("Gate")) }
}

/// The expression of a check with values for names: `0.997 >= 0.98`.
fn with_values(check: &CheckResult) -> String {
    let mut names: Vec<(&String, &Value)> = check.values.iter().collect();
    // A name may be the beginning of another: the longer one is replaced first.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.into_iter().fold(check.expression.clone(), |text, (name, value)| {
        let shown = match value {
            Value::Float(float) => number(*float),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                value.to_string()
            }
        };
        text.replace(name.as_str(), &shown)
    })
}

fn section(title: &str, table: &Table, style: &Style) -> String {
    if table.is_empty() { String::new() } else { format!("{}\n{}", style.bold(title), table.render(style)) }
}

fn metrics(run: &RunSummary<'_>, order: &[StepName], style: &Style) -> String {
    let mut table = Table::new([("", Align::Left), ("", Align::Left), ("", Align::Right)]).indent(2);
    for (step, commit) in committed(run, order) {
        for (name, value) in &commit.metrics {
            table.row([step.as_str().into(), name.as_str().into(), number(*value).into()]);
        }
    }
    section("Metrics", &table, style)
}

/// The model version and the plots.
fn results(run: &RunSummary<'_>, order: &[StepName], style: &Style) -> String {
    let mut text = String::new();
    for (_, commit) in committed(run, order) {
        if let Some(model) = &commit.model {
            let name = style.bold(format!("{} version {}", model.model, model.version));
            text.push_str(&match commit.status {
                CommitStatus::Cached => format!("Model {name}, registered before from the same artifact\n"),
                CommitStatus::Succeeded | CommitStatus::Skipped | CommitStatus::Rejected | CommitStatus::Failed => {
                    format!("Model {name} is registered\n")
                }
            });
        }
    }
    let mut table = Table::new([("", Align::Left), ("", Align::Left)]).indent(2);
    for (step, commit) in committed(run, order) {
        for name in commit.outputs.keys() {
            if let Some(place) = run.plots.get(&(step.clone(), name.clone())) {
                table.row([format!("{step}.{name}").into(), place.as_str().into()]);
            }
        }
    }
    // Paths are for copying, so they are never cut.
    let plots = section("Plots", &table, &Style { width: usize::MAX, ..*style });
    if !text.is_empty() && !plots.is_empty() {
        text.push('\n');
    }
    text + &plots
}

fn conclusion(run: &RunSummary<'_>, style: &Style) -> String {
    let id = &run.record.run;
    let Some(result) = run.result else {
        let open = run.release.steps.keys().filter(|step| !run.commits.contains_key(*step)).count();
        return format!(
            "{}\n  to carry it on, if nothing does: liminal resume {id}\n  to give it up: liminal cancel {id}\n",
            style.warn(format!("Run {id} is not finished: {} open", count(open, "step")))
        );
    };
    let took = between(run.record.started_at, result.ended_at);
    let head = format!("Run {id} {}", end(result.status));
    let head = style.paint(run_tone(result.status), head);
    let mut text = format!("{head} {}: {}\n", after(result.status, &took), tally(result));
    for (step, status) in &result.steps {
        if *status == CommitStatus::Failed {
            let maps = run.release.steps.get(step).is_some_and(|spec| spec.map.is_some());
            text.push_str(&match maps {
                true => format!("  to see which items failed, and why: liminal status {id} --items {step}\n"),
                false => format!("  to see all it printed: liminal logs {id} {step}\n"),
            });
        }
    }
    match result.status {
        RunStatus::Succeeded => {}
        RunStatus::Failed | RunStatus::Cancelled => {
            let what = "what succeeded comes from the cache";
            text.push_str(&format!("  to try again: liminal run {} ({what})\n", run.record.pipeline));
        }
        RunStatus::Rejected => {
            text.push_str("  to compare it with the run before: liminal metrics\n");
        }
    }
    text
}

const fn end(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Rejected => "was refused by its gate",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "was cancelled",
    }
}

fn after(status: RunStatus, took: &str) -> String {
    match status {
        RunStatus::Succeeded => format!("in {took}"),
        RunStatus::Rejected | RunStatus::Failed | RunStatus::Cancelled => format!("after {took}"),
    }
}

/// `9 steps, 2 cached, 1 failed`; what is usual is not counted.
pub(crate) fn tally(result: &RunResult) -> String {
    let mut parts = vec![count(result.steps.len(), "step")];
    for status in [CommitStatus::Cached, CommitStatus::Skipped, CommitStatus::Rejected, CommitStatus::Failed] {
        let number = result.steps.values().filter(|other| **other == status).count();
        if number > 0 && number == result.steps.len() {
            parts.push(format!("all {status}"));
        } else if number > 0 {
            parts.push(format!("{number} {status}"));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use liminal_schemas::run::Failure;
    use liminal_schemas::run::SkipReason;
    use liminal_schemas::step::FailureClass;
    use liminal_schemas::step::OutputRole;

    fn show(commits: &BTreeMap<StepName, Commit>, result: Option<&RunResult>) -> String {
        let release = samples::release();
        let record = samples::run_record();
        let is_plot = |step: &StepName, output: &FieldName| {
            let spec = release.steps.get(step).and_then(|spec| spec.outputs.get(output));
            spec.is_some_and(|spec| spec.role == OutputRole::Plot)
        };
        let left = commits.iter().flat_map(|(step, commit)| commit.outputs.keys().map(move |output| (step, output)));
        let plots = left
            .filter(|(step, output)| is_plot(step, output))
            .map(|(step, output)| ((step.clone(), output.clone()), format!("/p/.liminal/local/plots/{output}.png")))
            .collect();
        let run = RunSummary { release: &release, record: &record, commits, result, plots: &plots };
        text(&run, &Style { width: 100, ..Style::PLAIN })
    }

    #[test]
    fn a_run_that_succeeded_shows_all_that_came_of_it() {
        let (commits, result) = samples::good_run();
        insta::assert_snapshot!(show(&commits, Some(&result)), @r"
        STEP          STATUS         TIME  NOTE
        fetch         ≡ cached             from run 20261124-225900-aaaa
        clean         ≡ cached             from run 20261124-225900-aaaa
        prepare       ✓ succeeded  900 ms
        train         ✓ succeeded   2.4 s
        train_forest  ✓ succeeded   3.1 s
        evaluate      ✓ succeeded   1.8 s
        validate      ✓ succeeded    0 ms
        register      ✓ succeeded    0 ms  breast-cancer version 3
        notify        ✓ succeeded  100 ms

        Gate
          ✓ holds  validate  metrics.evaluate.roc_auc >= 0.95  (0.99537 >= 0.95)
          ✓ holds  validate  metrics.evaluate.accuracy >= 0.9  (0.964912 >= 0.9)

        Metrics
          evaluate  accuracy  0.964912
          evaluate  roc_auc    0.99537

        Model breast-cancer version 3 is registered

        Plots
          evaluate.roc  /p/.liminal/local/plots/roc.png

        Run 20261124-230239-x7k2 succeeded in 7.3 s: 9 steps, 2 cached
        ");
    }

    #[test]
    fn a_run_that_failed_shows_the_last_words_and_what_to_try() {
        let (mut commits, _) = samples::good_run();
        let train = commits.get_mut("train").expect("committed");
        train.status = CommitStatus::Failed;
        train.attempt = Some(2);
        let lines: String = (0..20).map(|line| format!("line {line}\n")).collect();
        train.failure = Some(Failure {
            class: FailureClass::User,
            message: "ValueError: could not convert string to float: 'x'".to_owned(),
            exit_code: Some(1),
            signal: None,
            detail: format!(
                "{lines}Traceback (most recent call last):\n  File \"train.py\", line 12\n\u{1b}[31mValueError\u{1b}[0m"
            ),
        });
        for step in ["evaluate", "validate", "register"] {
            let (step, mut commit) = samples::commit(step, CommitStatus::Skipped, 0.0);
            commit.skipped = Some(SkipReason::Upstream(samples::name("train")));
            commits.insert(step, commit);
        }
        let result = samples::result(RunStatus::Failed, &commits);
        insta::assert_snapshot!(show(&commits, Some(&result)), @r#"
        STEP          STATUS         TIME  NOTE
        fetch         ≡ cached             from run 20261124-225900-aaaa
        clean         ≡ cached             from run 20261124-225900-aaaa
        prepare       ✓ succeeded  900 ms
        train         ✗ failed      2.4 s  ValueError: could not convert string to float: 'x', attempt 2
        train_forest  ✓ succeeded   3.1 s
        evaluate      ○ skipped            train did not succeed
        validate      ○ skipped            train did not succeed
        register      ○ skipped            train did not succeed
        notify        ✓ succeeded  100 ms

        train failed: ValueError: could not convert string to float: 'x'
          … 8 earlier lines
          │ line 8
          │ line 9
          │ line 10
          │ line 11
          │ line 12
          │ line 13
          │ line 14
          │ line 15
          │ line 16
          │ line 17
          │ line 18
          │ line 19
          │ Traceback (most recent call last):
          │   File "train.py", line 12
          │ ValueError

        Run 20261124-230239-x7k2 failed after 7.3 s: 9 steps, 2 cached, 3 skipped, 1 failed
          to see all it printed: liminal logs 20261124-230239-x7k2 train
          to try again: liminal run train (what succeeded comes from the cache)
        "#);
    }

    #[test]
    fn a_gate_that_refused_shows_the_numbers_it_read() {
        let (mut commits, _) = samples::good_run();
        let validate = commits.get_mut("validate").expect("committed");
        validate.status = CommitStatus::Rejected;
        validate.checks[1].passed = false;
        commits.remove("register");
        commits.get_mut("evaluate").expect("committed").outputs.clear();
        let result = samples::result(RunStatus::Rejected, &commits);
        let shown = show(&commits, Some(&result));
        let gate = shown.find("Gate").expect("there is a section");
        insta::assert_snapshot!(&shown[gate..], @r"
        Gate
          ✓ holds  validate  metrics.evaluate.roc_auc >= 0.95  (0.99537 >= 0.95)
          ✗ refused  validate  metrics.evaluate.accuracy >= 0.9  (0.964912 >= 0.9)

        Metrics
          evaluate  accuracy  0.964912
          evaluate  roc_auc    0.99537

        Run 20261124-230239-x7k2 was refused by its gate after 7.3 s: 8 steps, 2 cached, 1 rejected
          to compare it with the run before: liminal metrics
        ");
    }

    #[test]
    fn a_run_that_was_interrupted_says_how_to_go_on() {
        let (mut commits, _) = samples::good_run();
        commits.retain(|step, _| ["fetch", "clean", "prepare"].contains(&step.as_str()));
        insta::assert_snapshot!(show(&commits, None), @r"
        STEP          STATUS         TIME  NOTE
        fetch         ≡ cached             from run 20261124-225900-aaaa
        clean         ≡ cached             from run 20261124-225900-aaaa
        prepare       ✓ succeeded  900 ms
        train         … open
        train_forest  … open
        evaluate      … open
        validate      … open
        register      … open
        notify        … open

        Run 20261124-230239-x7k2 is not finished: 6 steps open
          to carry it on, if nothing does: liminal resume 20261124-230239-x7k2
          to give it up: liminal cancel 20261124-230239-x7k2
        ");
    }

    #[test]
    fn a_run_that_was_all_cached_says_so() {
        let (mut commits, _) = samples::good_run();
        for commit in commits.values_mut() {
            commit.status = CommitStatus::Cached;
        }
        let result = samples::result(RunStatus::Succeeded, &commits);
        assert_eq!(tally(&result), "9 steps, all cached");
    }
}
