//! What a step maps over: from a reference as written to where its items come from.

use crate::definition::model::MapDefinition;
use crate::definition::model::MapOver;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::map::MapSource;
use crate::map::MapSpec;
use crate::step::ArtifactKind;
use crate::step::InputSource;
use crate::value::ValueType;

use super::Edges;
use super::Resolver;
use super::inputs::Found;
use super::inputs::Referrer;

impl<'a> Resolver<'a> {
    pub(super) fn map(&mut self, step: Referrer<'_, 'a>, edges: &mut Edges<'a>) -> Option<MapSpec> {
        let Spanned { value: map, span } = step.peer.definition.map.as_ref()?;
        self.check_map(step, map, span);
        let over = match &map.over {
            MapOver::Values(values) => MapSource::Values(values.value.clone()),
            MapOver::Reference(reference) => self.mapped(step, reference, edges)?,
            MapOver::Objects(objects) => {
                self.check_objects(&objects.value, &objects.span);
                MapSource::Objects(objects.value.clone())
            }
            MapOver::Rows(reference) => match self.reference(step, reference, edges)? {
                Found { source: InputSource::Output { step: maker, output }, kind } => {
                    if kind == Some(ArtifactKind::Directory) {
                        let message = format!("`{}` is a directory, which has no rows", reference.value);
                        let finding = Finding::error(Code::InvalidValue, &reference.span, message);
                        self.findings.push(finding.hint("to map over its files, write `over:` in place of `rows:`"));
                    }
                    MapSource::Rows { step: maker, output }
                }
                Found { .. } => {
                    let message = format!("`{}` has no rows: only outputs of steps have", reference.value);
                    self.findings.push(Finding::error(Code::InvalidValue, &reference.span, message));
                    return None;
                }
            },
        };
        Some(MapSpec {
            over,
            batch: map.batch.filter(|batch| *batch > 1),
            max_concurrency: map.max_concurrency,
            tolerated_failures: map.tolerated,
        })
    }

    fn mapped(
        &mut self,
        step: Referrer<'_, 'a>,
        reference: &Spanned<String>,
        edges: &mut Edges<'a>,
    ) -> Option<MapSource> {
        let span = &reference.span;
        let Found { source, kind } = self.reference(step, reference, edges)?;
        match source {
            InputSource::Param { name } => {
                if step.scope.types.get(&name).is_some_and(|found| *found != ValueType::List) {
                    let message = format!("parameter {name} is no list, so that nothing can be mapped over it");
                    self.findings.push(Finding::error(Code::InvalidValue, span, message));
                }
                Some(MapSource::Param { name })
            }
            InputSource::Output { step: maker, output } => {
                if kind == Some(ArtifactKind::File) {
                    let message = format!("`{}` is one file", reference.value);
                    let finding = Finding::error(Code::InvalidValue, span, message);
                    self.findings.push(finding.hint(format!(
                        "to map over its rows, write `map: {{rows: {}}}`; a directory of files ends with `/` where it is declared",
                        reference.value
                    )));
                }
                Some(MapSource::Files { step: maker, output })
            }
            InputSource::Model { .. } | InputSource::Trigger | InputSource::File { .. } => {
                let message = format!("nothing can be mapped over `{}`", reference.value);
                let finding = Finding::error(Code::InvalidValue, span, message);
                self.findings
                    .push(finding.hint("write a list, `params.NAME` of a list, or `STEP.OUTPUT` of a directory"));
                None
            }
        }
    }

    /// What can not go together with a map.
    fn check_map(&mut self, step: Referrer<'_, 'a>, map: &MapDefinition, span: &Span) {
        let name = map.input();
        let definition = step.peer.definition;
        if let Some((_, taken)) = definition.inputs.iter().find(|(input, _)| input.as_str() == name) {
            let message = format!("the input `{name}` of a step that maps is what it maps over");
            let finding = Finding::error(Code::InvalidValue, &taken.key, message);
            self.findings.push(finding.label("give this input another name").related(span, "the map"));
        }
        if let Some(plot) = definition.plots.values().next() {
            let message = "plots of single items can not be shown";
            let finding = Finding::error(Code::KeyNotApplicable, &plot.key, message);
            self.findings.push(
                finding.related(span, "the map").hint("declare them under `outputs:`, or draw one in a step behind it"),
            );
        }
    }
}
