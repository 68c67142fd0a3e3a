//! Brings an environment to a commit, or says why not. Hook, agent and webhook all come here; what is decided depends on the
//! commit graph and on what is recorded, never on who asks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use liminal_infra::apply::ApplyError;
use liminal_infra::gitops::ancestry;
use liminal_infra::gitops::decide;
use liminal_infra::gitops::decide::Decision;
use liminal_infra::gitops::decide::Known;
use liminal_infra::gitops::decide::Refusal;
use liminal_infra::gitops::decide::Skip;
use liminal_infra::state::LockError;
use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::gitops::GITOPS_SCHEMA;
use liminal_schemas::gitops::Quarantine;
use liminal_schemas::gitops::Trigger;
use liminal_schemas::plan::Plan;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::state::HistoryResult;

use super::commit_status::State;
use super::place::Place;
use super::place::short;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::platform::ApplyFailure;
use crate::platform::ApplyOptions;
use crate::platform::Environment;
use crate::platform::Undone;
use crate::platform::Wishes;
use crate::platform::apply_summary;
use crate::policies;
use crate::project;
use crate::project::Project;
use crate::render;
use crate::render::plan_text;

/// How often a plan is made again because somebody else was faster.
const TRIES: usize = 5;

/// What is wanted of an environment.
pub(crate) struct Wanted<'a> {
    /// The environment, as the definition that maps branches has it.
    pub(crate) target: &'a EnvironmentSettings,
    /// The commit that it is to be at.
    pub(crate) commit: &'a str,
    /// Whether guards are passed by.
    pub(crate) force: bool,
    /// Who asks.
    pub(crate) trigger: Trigger,
    /// How long to wait for somebody else who holds the lock.
    pub(crate) lock_timeout: Duration,
}

/// What came of it.
pub(crate) enum Outcome {
    /// The commit is live now.
    Applied,
    /// The commit changes nothing, and is recorded as applied.
    Unchanged,
    /// Nothing was to be done.
    Skipped(Skip),
    /// The commit was not taken, and nothing was touched.
    Refused(Refusal),
    /// Its definition is broken. What is wrong with it has been said.
    Broken,
    /// A policy of its definition denies the plan.
    Denied(CliError),
    /// It was begun and failed.
    Failed(CliError),
    /// Its plan waits for an approval.
    Waiting(CliError),
    /// Somebody else is at it.
    Busy(CliError),
}

/// What was seen of drift.
#[derive(Default)]
pub(crate) struct SeenDrift {
    /// What differs, for people; empty when nothing does.
    pub(crate) text: String,
    /// How many things differ still.
    pub(crate) drifted: usize,
    /// How many were put back.
    pub(crate) healed: usize,
}

/// A repository, and the environment of it that is at hand.
pub(crate) struct Reconciler<'a> {
    place: &'a Place,
    wanted: &'a Wanted<'a>,
    context: Context,
    environment: Environment,
    stopped: &'a AtomicBool,
}

impl<'a> Reconciler<'a> {
    /// Connects to an environment.
    pub(crate) async fn connect(
        context: &Context,
        place: &'a Place,
        wanted: &'a Wanted<'a>,
        stopped: &'a AtomicBool,
    ) -> Result<Self, CliError> {
        let mut settings = context.settings.clone();
        settings.environment = wanted.target.environment.clone();
        settings.directory = place.repository.path().to_owned();
        let context = Context { settings, printer: context.printer.clone() };
        let project = Some(wanted.target.project.clone());
        let environment = Environment::on(
            &context,
            place.repository.path(),
            project,
            &wanted.target.platform,
            &wanted.target.delivery,
        )
        .await?;
        Ok(Self { place, wanted, context, environment, stopped })
    }

    /// Whether the commit may be applied, as things stand, and the version of the state that says so.
    pub(crate) async fn decide(&self) -> Result<(Decision, Option<String>), CliError> {
        let loaded = self.environment.state().await?;
        let etag = loaded.as_ref().map(|loaded| loaded.etag.clone());
        let applied = loaded.as_ref().and_then(|loaded| loaded.state.applied.clone());
        let rolled_back = match &applied {
            Some(applied) => self.environment.is_rolled_back(&applied.source).await?,
            None => false,
        };
        let quarantine = self.environment.quarantine().await?;
        let applied = applied.map(|applied| applied.source);
        let relation = match applied.as_ref().and_then(|applied| applied.commit.as_ref()) {
            Some(applied) => Some(
                ancestry::relation(self.place.repository.git(), self.wanted.commit, applied)
                    .or_failed(|| format!("the history of commit {} can not be read", short(self.wanted.commit)))?,
            ),
            None => None,
        };
        let known = Known { applied, rolled_back, quarantine };
        Ok((decide::decide(self.wanted.commit, relation, &known, self.wanted.force), etag))
    }

    /// Reads the definition at the commit. None, after saying what is wrong with it, when it is broken.
    pub(crate) fn read(&self) -> Result<Option<Project>, CliError> {
        match self.place.project(self.wanted.commit, &self.wanted.target.environment)? {
            Ok(project) => {
                project::show(&self.context, &project.loaded.report);
                Ok(Some(project))
            }
            Err(report) => {
                project::show(&self.context, &report);
                Ok(None)
            }
        }
    }

    /// Whether the plan would be allowed by the policies of the definition.
    pub(crate) fn check_policies(&self, project: &Project, plan: &Plan) -> Result<(), CliError> {
        policies::check(&self.context, project, plan)
    }

    /// The plan that brings the environment to the commit.
    pub(crate) async fn plan(&self, project: &Project) -> Result<Plan, CliError> {
        let wishes = Wishes { allow_aborted: self.wanted.force, ..Wishes::default() };
        self.environment.plan(project, wishes).await
    }

    /// Brings the environment to the commit. An error is one that has nothing to do with the commit, so that the same one
    /// may be tried again.
    pub(crate) async fn reconcile(&self) -> Result<Outcome, CliError> {
        for attempt in 0..TRIES {
            let (decision, etag) = self.decide().await?;
            match decision {
                Decision::Skip(skip) => return Ok(Outcome::Skipped(skip)),
                Decision::Refuse(refusal) => return Ok(Outcome::Refused(refusal)),
                Decision::Act(reason) if attempt == 0 => self.say_begin(&reason.to_string()),
                // It has been said.
                Decision::Act(_) => {}
            }
            let Some(project) = self.read()? else {
                self.put_in_quarantine("its definition is broken").await?;
                self.record_refused("its definition is broken").await;
                return Ok(Outcome::Broken);
            };
            let plan = self.plan(&project).await?;
            // The plan must be against the state that was decided on: what came in between may be a newer commit.
            if plan.base.etag != etag {
                continue;
            }
            self.context.printer.data(&plan_text::text(&plan, &self.context.printer.out));
            if let Err(denied) = self.check_policies(&project, &plan) {
                self.put_in_quarantine(&denied.summary()).await?;
                self.record_refused(&denied.summary()).await;
                return Ok(Outcome::Denied(denied));
            }
            match self.carry_out(&project, &plan).await {
                Ok(outcome) => {
                    self.environment.lift_quarantine().await?;
                    return Ok(outcome);
                }
                // Somebody else was faster: what they did decides what is left to do.
                Err(ApplyFailure::Apply(ApplyError::Stale(_) | ApplyError::Overtaken)) => {}
                Err(ApplyFailure::Apply(error @ ApplyError::Lock(LockError::Held { .. }))) => {
                    return Ok(Outcome::Busy(ApplyFailure::Apply(error).explain(&plan)));
                }
                Err(ApplyFailure::NotApproved(error)) => return Ok(Outcome::Waiting(error)),
                Err(ApplyFailure::Apply(error @ ApplyError::Operations(_))) => {
                    self.put_in_quarantine(&error.to_string()).await?;
                    return Ok(Outcome::Failed(ApplyFailure::Apply(error).explain(&plan)));
                }
                Err(failure) => return Err(failure.explain(&plan)),
            }
        }
        Ok(Outcome::Busy(CliError::new("others change the environment all the time").exit(ExitCode::LockHeld)))
    }

    /// Looks for drift from what is recorded, and puts it back if asked to. The commit has no say in this.
    pub(crate) async fn look_for_drift(&self, heal: bool) -> Result<SeenDrift, CliError> {
        let files = Arc::new(self.place.snapshot(self.wanted.commit)?);
        let Some(looked) = self.environment.look_for_drift(&files).await? else { return Ok(SeenDrift::default()) };
        if looked.drift.is_empty() {
            return Ok(SeenDrift::default());
        }
        let style = &self.context.printer.out;
        let found = render::drift::text(&looked.drift, looked.resources, style);
        let text = format!("{}: drift\n{found}", self.wanted.target.environment);
        let drifted = looked.drift.len();
        if !heal {
            return Ok(SeenDrift { text, drifted, healed: 0 });
        }
        let environment = &self.wanted.target.environment;
        let applied = looked.commit().and_then(|commit| self.place.project(commit, environment).ok()?.ok());
        let files = applied.as_ref().map_or(files, |project| Arc::clone(&project.snapshot));
        let plan = looked.plan(applied.as_ref().map(|project| &project.loaded.resolved))?;
        let report = self.environment.attempt(&self.context, (files, None), &plan, &self.options(), self.stopped).await;
        let report = report.map_err(|failure| failure.explain(&plan))?;
        let text = format!("{text}{}\n", apply_summary(&plan, &report));
        Ok(SeenDrift { text, drifted: 0, healed: drifted })
    }

    const fn options(&self) -> ApplyOptions {
        ApplyOptions {
            approved: true,
            delete_data: false,
            lock_timeout: self.wanted.lock_timeout,
            trigger: Some(self.wanted.trigger),
            ttl: None,
        }
    }

    async fn carry_out(&self, project: &Project, plan: &Plan) -> Result<Outcome, ApplyFailure> {
        let options = self.options();
        if !plan.has_changes {
            self.environment.record_commit(plan, &options).await?;
            return Ok(Outcome::Unchanged);
        }
        let files = (Arc::clone(&project.snapshot), Some(project.snapshot.tree_digest()));
        let report = self.environment.attempt(&self.context, files, plan, &options, self.stopped).await?;
        self.context.printer.data(&format!("{}\n", apply_summary(plan, &report)));
        Ok(Outcome::Applied)
    }

    fn say_begin(&self, reason: &str) {
        let (environment, commit) = (&self.wanted.target.environment, short(self.wanted.commit));
        self.context.printer.data(&format!("{environment}: commit {commit} is taken up, since {reason}\n"));
    }

    async fn record_refused(&self, reason: &str) {
        let source = SourceVersion { commit: Some(self.wanted.commit.to_owned()), dirty: false };
        let (trigger, result) = (Some(self.wanted.trigger), HistoryResult::Refused);
        let undone = Undone { command: "apply", source, trigger, result, reason: reason.to_owned() };
        self.environment.record_undone(undone).await;
    }

    async fn put_in_quarantine(&self, reason: &str) -> Result<(), CliError> {
        let quarantine = Quarantine {
            schema: GITOPS_SCHEMA,
            commit: self.wanted.commit.to_owned(),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
            at: self.environment.now(),
            trigger: Some(self.wanted.trigger),
        };
        self.environment.put_in_quarantine(&quarantine).await
    }
}

impl Outcome {
    /// The outcome in a word, as status files and metrics have it.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Skipped(_) => "skipped",
            Self::Refused(_) => "refused",
            Self::Broken => "broken",
            Self::Denied(_) => "denied",
            Self::Failed(_) => "failed",
            Self::Waiting(_) => "waiting",
            Self::Busy(_) => "busy",
        }
    }
}

impl Outcome {
    /// What a code host is told of it; none where it knows, or nothing became of the commit yet.
    pub(crate) fn as_status(&self) -> Option<(State, String)> {
        Some(match self {
            Self::Applied => (State::Success, "applied".to_owned()),
            Self::Unchanged => (State::Success, "changes nothing here".to_owned()),
            Self::Refused(Refusal::NotDescendant { .. }) => {
                (State::Failure, "does not come after what is applied".to_owned())
            }
            Self::Broken => (State::Failure, "the definition is broken".to_owned()),
            Self::Denied(error) | Self::Failed(error) => (State::Failure, error.summary()),
            Self::Waiting(error) => (State::Pending, error.summary()),
            Self::Skipped(_) | Self::Refused(Refusal::Quarantined(_)) | Self::Busy(_) => return None,
        })
    }
}

/// What came of it, in words.
pub(crate) struct Told {
    /// What goes to stdout.
    pub(crate) data: String,
    /// What goes to stderr.
    pub(crate) complaint: String,
    /// The exit code that it stands for.
    pub(crate) exit: ExitCode,
}

/// Says what came of it, and gives the exit code that it stands for.
pub(crate) fn tell(context: &Context, wanted: &Wanted<'_>, outcome: &Outcome) -> ExitCode {
    let told = told(context, wanted, outcome);
    context.printer.data(&told.data);
    context.printer.complain(&told.complaint);
    told.exit
}

/// What came of it, in words. What was said while it was done is not said again.
pub(crate) fn told(context: &Context, wanted: &Wanted<'_>, outcome: &Outcome) -> Told {
    let environment = &wanted.target.environment;
    let commit = short(wanted.commit);
    let fine = |data: String| Told { data, complaint: String::new(), exit: ExitCode::Ok };
    let bad = |error: &CliError| Told {
        data: String::new(),
        complaint: error.render(&context.printer.err),
        exit: error.exit,
    };
    match outcome {
        Outcome::Applied => fine(String::new()),
        Outcome::Unchanged => {
            fine(format!("{environment}: commit {commit} changes nothing, and is recorded as applied\n"))
        }
        Outcome::Skipped(skip) => fine(format!("{environment}: commit {commit} is left alone: {skip}\n")),
        Outcome::Refused(refusal) => {
            let error = CliError::new(format!("{environment} does not take commit {commit}: {refusal}"));
            bad(&match refusal {
                Refusal::Quarantined(_) => error.hint("push a newer commit, or use force once the reason is gone"),
                Refusal::NotDescendant { .. } => error
                    .hint("what is live stays as it is; `git push -o liminal-force` applies it all the same")
                    .hint("an agent takes it with `liminal gitops agent --once --force`"),
            }
            .exit(ExitCode::Refused))
        }
        Outcome::Broken => {
            bad(&CliError::new(format!("{environment} does not take commit {commit}: its definition is broken"))
                .hint("what is live stays as it is; push a commit that mends the definition"))
        }
        Outcome::Failed(error) => {
            let why = CliError::new(format!("{environment} does not take commit {commit}"))
                .hint("what is live stays as it is; the commit is in quarantine until there is a newer one");
            let style = &context.printer.err;
            let complaint = format!("{}{}", error.render(style), why.render(style));
            Told { data: String::new(), complaint, exit: error.exit }
        }
        Outcome::Denied(error) | Outcome::Waiting(error) | Outcome::Busy(error) => bad(error),
    }
}
