//! What a run looks like, while it goes on and when it has ended: for people and for programs.

use std::collections::BTreeMap;

use liminal_schemas::name::StepName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use serde::Serialize;

use super::Environment;
use crate::app::Context;
use crate::args::Format;
use crate::records::RunView;
use crate::render::run_summary;
use crate::render::run_summary::RunSummary;

/// A run for programs.
#[derive(Serialize)]
struct RunDocument<'a> {
    run: &'a RunRecord,
    commits: &'a BTreeMap<StepName, Commit>,
    result: Option<&'a RunResult>,
}

impl Environment {
    /// Prints a run as data.
    pub(crate) async fn show_run(&self, context: &Context, view: &RunView, format: Format) {
        match format {
            Format::Json => context.printer.json(&RunDocument {
                run: &view.record,
                commits: &view.commits,
                result: view.result.as_ref(),
            }),
            Format::Text => {
                let plots = self.plots(view).await;
                let summary = RunSummary {
                    release: &view.release,
                    record: &view.record,
                    commits: &view.commits,
                    result: view.result.as_ref(),
                    plots: &plots,
                };
                context.printer.data(&run_summary::text(&summary, &context.printer.out));
            }
        }
    }
}
