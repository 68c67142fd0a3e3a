//! What the next run of a pipeline will do, and why.

use std::collections::BTreeMap;

use liminal_schemas::graph::Graph;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::Release;

use super::style::Style;
use super::style::one_line;
use super::units::count;

/// What the next run of a pipeline will do.
pub(super) struct Forecast<'a> {
    steps: Vec<(&'a StepName, &'a StepForecast)>,
    /// The steps whose results are there.
    pub(super) cached: Vec<&'a StepName>,
    running: usize,
    depending: usize,
}

impl<'a> Forecast<'a> {
    /// The forecast of a pipeline, steps in the order in which they run; none where there is nothing to say.
    pub(super) fn new(change: &'a PipelineChange, release: Option<&Release>) -> Option<Self> {
        if change.forecast.is_empty() || change.action == ChangeAction::Delete {
            return None;
        }
        let place = running_order(release);
        let mut steps: Vec<_> = change.forecast.iter().collect();
        steps.sort_by_key(|(step, _)| place.get(*step).copied().unwrap_or(usize::MAX));
        let cached: Vec<_> =
            steps.iter().filter(|(_, what)| **what == StepForecast::Cached).map(|(step, _)| *step).collect();
        let depending = steps.iter().filter(|(_, what)| matches!(what, StepForecast::Depends(_))).count();
        let running = steps.len() - cached.len() - depending;
        Some(Self { steps, cached, running, depending })
    }

    /// The forecast in one sentence.
    pub(super) fn title(&self) -> String {
        let all = count(self.steps.len(), "step");
        match (self.running, self.depending) {
            _ if self.is_first() => format!("The next run: all {all}, for the first time"),
            (0, 0) => format!("The next run: nothing new, all {all} cached"),
            (running, 0) => format!("The next run: {running} of {all}"),
            (running, depending) => {
                format!("The next run: {running} of {all}, and {depending} more where results come out different")
            }
        }
    }

    /// Whether nothing ever ran, so that the reasons are all the same.
    pub(super) fn is_first(&self) -> bool {
        let never = |what: &StepForecast| *what == StepForecast::Runs(RerunReason::NeverRan);
        self.steps.iter().any(|(_, what)| never(what))
            && self.steps.iter().all(|(_, what)| match what {
                StepForecast::Runs(
                    RerunReason::NeverRan | RerunReason::CacheOff | RerunReason::Finally | RerunReason::Listing,
                )
                | StepForecast::Depends(_) => true,
                StepForecast::Cached
                | StepForecast::Runs(RerunReason::Expired | RerunReason::Object | RerunReason::Changed { .. }) => false,
            })
    }

    /// The steps that run or may run.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'a StepName, &'a StepForecast)> {
        self.steps.iter().copied().filter(|(_, what)| **what != StepForecast::Cached)
    }
}

/// Why a step will run, as the end of a line that begins with its name.
pub(super) fn reason_text(forecast: &StepForecast, style: &Style) -> String {
    match forecast {
        StepForecast::Cached => "cached".to_owned(),
        StepForecast::Runs(reason) => rerun_reason(reason, style),
        StepForecast::Depends(step) => format!("if {step} makes something different"),
    }
}

/// Why a step runs again. `liminal why` says the same.
pub(crate) fn rerun_reason(reason: &RerunReason, style: &Style) -> String {
    match reason {
        RerunReason::NeverRan => "never ran before".to_owned(),
        RerunReason::CacheOff => "its cache is turned off".to_owned(),
        RerunReason::Finally => "steps under `finally:` run every time".to_owned(),
        RerunReason::Object => "it takes the object that starts the run".to_owned(),
        RerunReason::Listing => {
            "it lists the objects that it maps over; each that was seen before is cached".to_owned()
        }
        RerunReason::Expired => "its last result is too old or gone".to_owned(),
        RerunReason::Changed { what, before, after } => {
            let what = one_line(what);
            match (before, after) {
                (Some(before), Some(after)) => {
                    format!("{what} changed ({} {} {})", one_line(before), style.arrow(), one_line(after))
                }
                (None, Some(after)) => format!("{what} is new ({})", one_line(after)),
                (Some(before), None) => format!("{what} is gone (was {})", one_line(before)),
                (None, None) => format!("{what} changed"),
            }
        }
    }
}

/// The place of each step in the order in which they run.
pub(super) fn running_order(release: Option<&Release>) -> BTreeMap<StepName, usize> {
    let graph = release.and_then(|release| Graph::new(&release.steps).ok());
    graph.iter().flat_map(|graph| graph.order().iter().cloned()).zip(0..).collect()
}
