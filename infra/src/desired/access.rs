//! What the runner of a step reads, writes and sends, from the declared flow of data: the permissions of its role.
//!
//! A runner that ends a step goes on to what waits for it: it settles there whatever needs no process, so that it also
//! writes the commits of the steps after its own. It never deletes anything but the mark of a run that has ended.

use std::collections::BTreeSet;

use liminal_schemas::aws::policy::Statement;
use liminal_schemas::keys;
use liminal_schemas::map::MapSource;
use liminal_schemas::map::ObjectFilter;
use liminal_schemas::name::StepName;
use liminal_schemas::step::Action;

use super::scope::object_arn;
use super::statements::allow;
use super::statements::list;
use super::statements::send;
use super::step::StepInput;

/// How many steps after a step are named one by one. Beyond, its role is for all steps of its pipeline: IAM takes
/// policies of a limited length only.
const NAMED_STEPS: usize = 12;

/// All objects under a key, or all parts of one: what stands in patterns for whatever comes.
const ANY: &str = "*";

impl StepInput<'_> {
    /// What every runner of the step needs, on Lambda and in a task, to bring its run forward.
    pub(super) fn protocol(&self) -> Vec<Statement> {
        let scope = self.scope;
        let arn = |key: &String| scope.object_arn(key);
        let read: Vec<String> = self.records_read().iter().map(arn).collect();
        let mut statements = vec![
            allow("ReadRun", &["s3:GetObject"], read),
            allow("ReadResults", &["s3:GetObject"], ["artifacts/*", "cache/*"].map(|key| scope.object_arn(key))),
            allow("WriteAttempts", &["s3:GetObject", "s3:PutObject"], [scope.object_arn(&self.attempts())]),
            allow("SettleSteps", &["s3:PutObject"], self.records_written().iter().map(arn)),
            allow("CloseRun", &["s3:DeleteObject"], [scope.object_arn(&self.open_marks())]),
        ];
        if self.spec.map.is_some() {
            // What its items are, how each ended, and what they left together.
            let items = [self.in_runs(&format!("steps/{}/{ANY}", self.step.segment()))];
            let items = items.iter().map(arn);
            statements.push(allow("KeepItems", &["s3:GetObject", "s3:PutObject"], items));
            statements.push(allow("JoinItems", &["s3:PutObject"], [scope.object_arn("artifacts/*")]));
        }
        if let Some((bucket, filter)) = self.objects_mapped() {
            // Whoever lists nothing is told of an object that is gone that it may not be read.
            statements.push(list(scope, "ListItems", bucket, BTreeSet::from([format!("{}{ANY}", filter.prefix)])));
        }
        let models = self.models_written();
        if !models.is_empty() {
            statements.push(allow("RegisterModels", &["s3:GetObject", "s3:PutObject"], models.iter().map(arn)));
        }
        statements.push(list(scope, "ListObjects", &scope.place.bucket, self.listed()));
        statements.push(send(self.queues_sent_to()));
        statements
    }

    /// What a runner needs that carries attempts out itself. What is said of the step's package it reads from
    /// `packages/`, as it does on every platform; a task also fetches the code itself from `bundles/`, which a function has.
    ///
    /// The names are patterns, so that a change of the code leaves the role as it is. What is missing there is to be told
    /// from what may not be read, which takes the right to list it.
    pub(super) fn attempts_access(&self, code: &[&str]) -> Vec<Statement> {
        let scope = self.scope;
        let leave = ["s3:PutObject", "s3:AbortMultipartUpload"];
        let listed = code.iter().map(|key| scope.key(key)).collect();
        let mut statements = vec![
            allow("LeaveOutputs", &leave, [scope.object_arn("artifacts/*")]),
            allow("ReadCode", &["s3:GetObject"], code.iter().map(|key| scope.object_arn(key))),
            list(scope, "ListCode", &scope.place.bucket, listed),
        ];
        if let Some((bucket, filter)) = self.objects_mapped() {
            let pattern = format!("{}{ANY}{}", filter.prefix, filter.suffix);
            statements.push(allow("ReadItems", &["s3:GetObject"], [object_arn(self.scope.place, bucket, &pattern)]));
        }
        statements
    }

    /// The objects that the step maps over, if it does, and their bucket.
    fn objects_mapped(&self) -> Option<(&str, &ObjectFilter)> {
        match &self.spec.map.as_ref()?.over {
            MapSource::Objects(filter) => Some((filter.bucket.as_deref().unwrap_or(&self.scope.place.bucket), filter)),
            MapSource::Values(_) | MapSource::Param { .. } | MapSource::Files { .. } | MapSource::Rows { .. } => None,
        }
    }

    /// A key of all runs of the pipeline.
    fn in_runs(&self, rest: &str) -> String {
        format!("{}{ANY}/{rest}", keys::pipeline_runs_prefix(self.pipeline))
    }

    fn attempts(&self) -> String {
        self.in_runs(&format!("steps/{}/attempts/{ANY}", self.step.segment()))
    }

    fn open_marks(&self) -> String {
        format!("{}{}/{ANY}", keys::OPEN_PREFIX, self.pipeline)
    }

    /// Whether a run has ended shows in the commits of all its steps.
    fn records_read(&self) -> Vec<String> {
        vec![
            self.in_runs("run.json"),
            self.in_runs("cancel.json"),
            self.in_runs("result.json"),
            self.in_runs(&format!("steps/{ANY}/commit.json")),
            format!("{}{ANY}", keys::releases_prefix(self.pipeline)),
            keys::listeners(self.pipeline),
        ]
    }

    fn records_written(&self) -> Vec<String> {
        let mut written = vec![format!("cache/{ANY}"), self.in_runs("result.json")];
        match self.steps_after() {
            Some(steps) => {
                let with_own = std::iter::once(self.step).chain(steps);
                written.extend(with_own.map(|step| self.in_runs(&format!("steps/{}/commit.json", step.segment()))));
            }
            None => written.push(self.in_runs(&format!("steps/{ANY}/commit.json"))),
        }
        written
    }

    /// The steps that may be settled after this one, as long as they are few enough to be named.
    fn steps_after(&self) -> Option<BTreeSet<&StepName>> {
        let after = self.graph.descendants(self.step);
        (after.len() <= NAMED_STEPS).then_some(after)
    }

    /// The models that steps after this one register versions of.
    fn models_written(&self) -> Vec<String> {
        let after = self.graph.descendants(self.step);
        let actions = after.into_iter().filter_map(|step| Some(&self.release.steps.get(step)?.action));
        let mut written = BTreeSet::new();
        for action in actions {
            match action {
                Action::Register { model, aliases } => {
                    written.insert(format!("{}{ANY}", keys::model_versions_prefix(model)));
                    written.extend(aliases.iter().map(|alias| keys::model_alias(model, alias)));
                }
                Action::Run { .. } | Action::Call { .. } | Action::Gate { .. } => {}
            }
        }
        written.into_iter().collect()
    }

    /// The keys that may turn out to be absent, and those that are listed.
    fn listed(&self) -> BTreeSet<String> {
        let mut listed: Vec<String> = vec![
            format!("{}{ANY}", keys::pipeline_runs_prefix(self.pipeline)),
            format!("{}{ANY}", keys::releases_prefix(self.pipeline)),
            keys::listeners(self.pipeline),
            format!("artifacts/{ANY}"),
            format!("cache/{ANY}"),
        ];
        listed.extend(self.models_written());
        listed.iter().map(|key| self.scope.key(key)).collect()
    }

    /// Its own queue, for attempts that are made again, and those of the steps after it that start processes.
    fn queues_sent_to(&self) -> Vec<String> {
        let scope = self.scope;
        match self.steps_after() {
            Some(steps) => {
                let is_process =
                    |step: &&StepName| self.release.steps.get(*step).is_some_and(|it| !it.action.is_inline());
                let steps = std::iter::once(self.step).chain(steps.into_iter().filter(is_process));
                steps.map(|step| scope.step_queues_arn(self.pipeline, step)).collect()
            }
            None => {
                let names = liminal_schemas::aws::names::environment_pattern(
                    scope.project,
                    scope.environment,
                    liminal_schemas::aws::names::MAX_QUEUE_NAME,
                );
                vec![scope.queue_arn(&names)]
            }
        }
    }
}
