//! Runs that take up another one: what they take over, what they do again, and why.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_functions::protocol::takeover::is_taken_over;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::RunId;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::step::StepSpec;
use liminal_schemas::value::Value;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::platform::Environment;
use crate::records::RunName;
use crate::records::RunView;

/// The run that is taken up.
pub(crate) struct Origin {
    pub(crate) view: RunView,
}

/// What becomes of a step when a run is taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its result is taken over. Whether its code has changed since.
    TakenOver {
        /// Whether it has.
        changed: bool,
    },
    /// It runs again, and why.
    Again(String),
    /// Its items are looked at one by one: so many of so many did not succeed.
    Items(u32, u32),
}

impl Origin {
    /// The newest run of a pipeline that has ended.
    pub(crate) async fn newest(environment: &Environment, pipeline: &PipelineName) -> Result<Self, CliError> {
        match environment.records().newest(Some(pipeline)).await? {
            Some(name) => Self::of(environment, &name).await,
            None => Err(CliError::new(format!("there is no run of {pipeline} to take results from"))
                .hint(format!("`liminal run {pipeline}` makes one"))),
        }
    }

    /// A run that has ended.
    pub(crate) async fn of(environment: &Environment, name: &RunName) -> Result<Self, CliError> {
        let view = environment.records().view(name).await?;
        if view.result.is_none() {
            let run = &name.run;
            return Err(CliError::new(format!("run {run} has not ended"))
                .hint(format!("`liminal resume {run}` goes on with it, `liminal cancel {run}` ends it"))
                .exit(ExitCode::Usage));
        }
        Ok(Self { view })
    }

    /// Its id.
    pub(crate) fn run(&self) -> RunId {
        self.view.record.run.clone()
    }

    /// The steps that run again when all from some steps on do: these, those behind them, and those to which another value of a
    /// parameter makes a difference.
    pub(crate) fn fresh_from(
        &self,
        environment: &Environment,
        release: &Release,
        steps: &BTreeSet<StepName>,
        params: &BTreeMap<FieldName, Value>,
    ) -> Result<BTreeSet<StepName>, CliError> {
        let graph = environment.graph(release)?;
        let mut fresh: BTreeSet<StepName> = steps.iter().flat_map(|step| graph.descendants(step)).cloned().collect();
        fresh.extend(steps.iter().cloned());
        fresh.extend(self.changed_by(release, params));
        Ok(fresh)
    }

    /// The steps that use a parameter whose value is another one now.
    pub(crate) fn changed_by<'r>(
        &'r self,
        release: &'r Release,
        params: &'r BTreeMap<FieldName, Value>,
    ) -> impl Iterator<Item = StepName> + 'r {
        let before = &self.view.record.params;
        let differs = |name: &FieldName| before.get(name) != params.get(name);
        let steps = release.steps.iter().filter(move |(_, spec)| spec.run_params_used().into_iter().any(differs));
        steps.map(|(step, _)| step.clone())
    }

    /// What becomes of each step, in the order in which they run. Steps behind one that runs again may still be taken over, when
    /// that leaves the same; they are told to run again here.
    pub(crate) fn fates(
        &self,
        environment: &Environment,
        release: &Release,
        fresh: &BTreeSet<StepName>,
    ) -> Result<Vec<(StepName, Fate)>, CliError> {
        let graph = environment.graph(release)?;
        let mut again: BTreeSet<StepName> = BTreeSet::new();
        let mut fates = Vec::new();
        for step in graph.order() {
            let Some(spec) = release.steps.get(step) else { continue };
            let fate = match self.view.commits.get(step) {
                _ if fresh.contains(step) => Fate::Again("it was asked for".to_owned()),
                None => Fate::Again("it was not there".to_owned()),
                Some(commit) => {
                    let behind = spec.data_parents().into_iter().find(|parent| again.contains(*parent));
                    match behind {
                        Some(parent) => Fate::Again(format!("after {parent}")),
                        None if is_taken_over(spec, commit, &commit.inputs) => {
                            let before = self.view.release.steps.get(step).map(StepSpec::digest);
                            Fate::TakenOver { changed: before != Some(spec.digest()) }
                        }
                        None => again_because(commit),
                    }
                }
            };
            if !matches!(fate, Fate::TakenOver { .. }) {
                again.insert(step.clone());
            }
            fates.push((step.clone(), fate));
        }
        Ok(fates)
    }
}

fn again_because(commit: &Commit) -> Fate {
    if let Some(counts) = commit.items {
        return Fate::Items(counts.failed + counts.skipped, counts.items);
    }
    Fate::Again(match commit.status {
        CommitStatus::Failed => "it failed".to_owned(),
        CommitStatus::Rejected => "it refused".to_owned(),
        CommitStatus::Skipped => match &commit.skipped {
            Some(reason) => format!("skipped: {reason}"),
            None => "it was skipped".to_owned(),
        },
        CommitStatus::Succeeded | CommitStatus::Cached => "it is asked anew".to_owned(),
    })
}
