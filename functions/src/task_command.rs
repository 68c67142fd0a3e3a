//! What a task is told, and how it is known again: by the dispatcher that starts it, by the task itself, and by whoever hears
//! that it has stopped.
//!
//! # What a task runs
//!
//! The task definition has one container, [`TASK_CONTAINER`], with an entry point (`liminal-runner`, which the image brings) and
//! variables: `LIMINAL_PROJECT`, `LIMINAL_ENVIRONMENT`, `LIMINAL_BUCKET` and `LIMINAL_BUNDLE` (the digest of the bundle with the
//! step's code). The dispatcher replaces the command of that container by [`arguments`]. So whoever has the overrides of a
//! task and its task definition has all that carrying it out takes: `<entry point> <command>` with these variables, and with
//! the region and credentials that ECS would give it.

use liminal_schemas::digest::Digest;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::NameError;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::ProjectName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::unit::Unit;

use crate::runner::AttemptName;

/// The first argument: what the runner is to be.
pub const MODE: &str = "task";

/// How much of a token ECS keeps as `startedBy`, for those that list tasks by it: 36 characters is the limit there.
const STARTED_BY_CHARS: usize = 36;

/// Why arguments name no attempt.
#[derive(Debug, thiserror::Error)]
pub enum TaskCommandError {
    /// The first argument is another one.
    #[error("the arguments of a task begin with `{MODE}`")]
    NoTask,
    /// A flag is missing.
    #[error("the arguments of a task need {0}")]
    Missing(&'static str),
    /// A flag has no such value.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The attempt or the item is no number.
    #[error("`{0}` is no number")]
    NoNumber(String),
    /// There is something else.
    #[error("a task takes no argument `{0}`")]
    Unknown(String),
}

/// The arguments of the task that carries out an attempt.
pub fn arguments(name: &AttemptName) -> Vec<String> {
    let number = name.attempt.to_string();
    let item = name.unit.item.map(|item| item.to_string());
    let words = [
        MODE,
        "--pipeline",
        name.pipeline.as_str(),
        "--run",
        name.run.as_str(),
        "--step",
        name.unit.step.as_str(),
        "--attempt",
        &number,
    ];
    let item = item.iter().flat_map(|item| ["--item", item.as_str()]);
    words.into_iter().chain(item).map(str::to_owned).collect()
}

/// The attempt that a task's arguments name.
///
/// # Errors
/// What is wrong with them.
pub fn parse<T: AsRef<str>>(arguments: &[T]) -> Result<AttemptName, TaskCommandError> {
    let Some((first, flags)) = arguments.split_first() else { return Err(TaskCommandError::NoTask) };
    if first.as_ref() != MODE {
        return Err(TaskCommandError::NoTask);
    }
    let (mut pipeline, mut run, mut step, mut item, mut attempt) = (None, None, None, None, None);
    let number = |value: &str| value.parse().map_err(|_| TaskCommandError::NoNumber(value.chars().take(20).collect()));
    for pair in flags.chunks(2) {
        let [flag, value] = pair else {
            let flag = pair.first().map(|flag| flag.as_ref().to_owned()).unwrap_or_default();
            return Err(TaskCommandError::Unknown(flag));
        };
        let value = value.as_ref();
        match flag.as_ref() {
            "--pipeline" => pipeline = Some(PipelineName::new(value)?),
            "--run" => run = Some(RunId::new(value)?),
            "--step" => step = Some(StepName::new(value)?),
            "--item" => item = Some(number(value)?),
            "--attempt" => attempt = Some(number(value)?),
            other => return Err(TaskCommandError::Unknown(other.chars().take(40).collect())),
        }
    }
    Ok(AttemptName {
        pipeline: pipeline.ok_or(TaskCommandError::Missing("--pipeline"))?,
        run: run.ok_or(TaskCommandError::Missing("--run"))?,
        unit: Unit { step: step.ok_or(TaskCommandError::Missing("--step"))?, item },
        attempt: attempt.ok_or(TaskCommandError::Missing("--attempt"))?,
    })
}

/// The token that makes the start of a task idempotent: ECS starts one task for it, however often it is asked. Tokens
/// count per cluster, which environments share; so the environment is part of it. 64 characters, as many as ECS takes.
pub fn token(project: &ProjectName, environment: &EnvironmentName, name: &AttemptName) -> String {
    let Unit { step, item } = &name.unit;
    let attempt = (project, environment, &name.pipeline, &name.run, step, name.attempt);
    match item {
        None => Digest::of_document(&attempt).hex(),
        Some(item) => Digest::of_document(&(attempt, item)).hex(),
    }
}

/// What the task of a token is started by.
pub fn started_by(token: &str) -> String {
    token.chars().take(STARTED_BY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> AttemptName {
        AttemptName {
            pipeline: PipelineName::new("train").expect("valid"),
            run: RunId::new("20261124-230239-x7k2").expect("valid"),
            unit: Unit::step(StepName::new("fit").expect("valid")),
            attempt: 3,
        }
    }

    fn problem(arguments: &[&str]) -> String {
        parse(arguments).expect_err("no task").to_string()
    }

    #[test]
    fn a_task_reads_what_its_dispatcher_wrote() {
        assert_eq!(parse(&arguments(&name())).expect("a task"), name());
        insta::assert_snapshot!(arguments(&name()).join(" "), @"task --pipeline train --run 20261124-230239-x7k2 --step fit --attempt 3");
    }

    #[test]
    fn arguments_that_name_no_attempt_are_refused_with_the_reason() {
        insta::assert_snapshot!(problem(&[]), @"the arguments of a task begin with `task`");
        insta::assert_snapshot!(problem(&["serve"]), @"the arguments of a task begin with `task`");
        insta::assert_snapshot!(problem(&["task", "--pipeline", "p", "--run", "20261124-1", "--step", "s"]), @"the arguments of a task need --attempt");
        insta::assert_snapshot!(problem(&["task", "--step", "../x"]), @"`..` is no step name: it must start with a lower-case letter");
        insta::assert_snapshot!(problem(&["task", "--attempt", "two"]), @"`two` is no number");
        insta::assert_snapshot!(problem(&["task", "--attempt"]), @"a task takes no argument `--attempt`");
    }

    #[test]
    fn two_environments_on_one_cluster_never_share_a_token() {
        let project = ProjectName::new("shop").expect("valid");
        let token_in = |environment: &str| token(&project, &EnvironmentName::new(environment).expect("valid"), &name());
        assert_eq!(token_in("prod").len(), 64);
        assert_eq!(token_in("prod"), token_in("prod"));
        assert_ne!(token_in("prod"), token_in("staging"));
        assert_eq!(started_by(&token_in("prod")).len(), 36);
    }
}
