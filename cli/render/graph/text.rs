//! A pipeline drawn in characters, with a table of its steps below.

use ascii_dag::AUTO;
use ascii_dag::Graph;
use ascii_dag::RenderOptions;

use super::NodeKind;
use super::Picture;
use crate::render::style::Style;
use crate::render::style::Tone;
use crate::render::style::columns;
use crate::render::table::Align;
use crate::render::table::Cell;
use crate::render::table::Table;

/// More steps than this make no picture that anybody reads in characters.
const MOST_DRAWN: usize = 60;

/// How wide a drawing may be where lines may be as long as they are.
const WIDEST: usize = 160;

/// The pipeline as text. A drawing that does not fit is left out: the table says all that it would.
pub(crate) fn text(picture: &Picture, style: &Style) -> String {
    let mut text = format!("{}\n\n", style.bold(format!("{}/{}", picture.project, picture.pipeline)));
    if let Some(drawing) = drawing(picture, style) {
        text.push_str(&drawing);
        text.push('\n');
    }
    text.push_str(&table(picture).render(style));
    text
}

fn drawing(picture: &Picture, style: &Style) -> Option<String> {
    if picture.edges.is_empty() || picture.steps.len() > MOST_DRAWN {
        return None;
    }
    let labels: Vec<String> = picture
        .steps
        .iter()
        .map(|step| match step.kind {
            NodeKind::Work if step.finally => format!("{} (finally)", step.name),
            NodeKind::Work => step.name.clone(),
            NodeKind::Gate => format!("{} {}", style.symbol("◇", "?"), step.name),
            NodeKind::Register => format!("{} {}", style.symbol("★", "*"), step.name),
        })
        .collect();
    let mut graph = Graph::new();
    let nodes: Vec<_> = labels.iter().map(|label| graph.add_node(AUTO, label.as_str()).node).collect();
    for edge in &picture.edges {
        graph.add_edge(*nodes.get(edge.from)?, *nodes.get(edge.to)?, None);
    }
    let options = if style.unicode { RenderOptions::plain() } else { RenderOptions::ascii() };
    let drawn = graph.compute_layout().render_string(&options);
    let lines: Vec<&str> = drawn.lines().map(str::trim_end).skip_while(|line| line.is_empty()).collect();
    let fits = lines.iter().all(|line| columns(line) <= style.width.min(WIDEST));
    fits.then(|| format!("{}\n", lines.join("\n").trim_end()))
}

fn table(picture: &Picture) -> Table {
    let mut table = Table::new([
        ("STEP", Align::Left),
        ("PHASE", Align::Left),
        ("DOES", Align::Left),
        ("WAITS FOR", Align::Left),
        ("WHEN", Align::Left),
    ]);
    for (place, step) in picture.steps.iter().enumerate() {
        let parents: Vec<&str> = picture.parents(place).map(|parent| parent.name.as_str()).collect();
        let waits = if step.finally { "all others".to_owned() } else { parents.join(", ") };
        table.row([
            Cell::new(Tone::Bold, &step.name),
            Cell::new(Tone::Accent, step.phase.map_or("", liminal_schemas::step::Phase::as_str)),
            Cell::from(step.does.as_str()),
            Cell::from(waits),
            Cell::from(step.when.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use liminal_schemas::step::Phase;

    use super::super::super::samples;
    use super::*;

    const TERMINAL: Style = Style { width: 80, ..Style::PLAIN };

    #[test]
    fn a_pipeline_is_drawn() {
        insta::assert_snapshot!(text(&Picture::new(&samples::release()), &TERMINAL), @r"
        breast-cancer/train

                     [fetch]
                        │
                        ↓
                     [clean]
                        │
                        ↓
                    [prepare]
             ┌────┬─────┴──┐
             ↓    │        ↓
          [train] │ [train_forest]
             └────┼──────┬─┘
                  └──────┤
                         ↓
                    [evaluate]
                      ┌──┴───┐
                      ↓      │
                [◇ validate] │
                      └──┐   │
                         ├───┘
                         ↓
                   [★ register]
                         │
                         ↓
                [notify (finally)]

        STEP          PHASE     DOES                         WAITS FOR
        fetch         fetch     call steps.fetch:fetch
        clean         clean     call steps.clean:clean       fetch
        prepare       prepare   call steps.prepare:prepare   clean
        train         train     call steps.train:train       prepare
        train_forest  train     call steps.train_forest:tr…  prepare
        evaluate      evaluate  call steps.evaluate:evalua…  prepare, train, train_fore…
        validate      validate  gate metrics.evaluate.roc_…  evaluate
        register      deploy    register breast-cancer       evaluate, validate
        notify        consume   call steps.notify:notify     all others
        ");
    }

    #[test]
    fn a_pipeline_is_drawn_in_ascii_alone() {
        let shown = text(&Picture::new(&samples::release()), &Style { unicode: false, ..TERMINAL });
        assert!(shown.is_ascii(), "{shown}");
    }

    #[test]
    fn a_drawing_that_is_too_wide_is_left_out() {
        let mut steps = vec![samples::step(Phase::Fetch, "fetch", &[])];
        steps.extend((0..40).map(|place| samples::step(Phase::Train, &format!("train_{place}"), &["fetch"])));
        let shown = text(&Picture::new(&samples::release_of(steps)), &TERMINAL);
        assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
        assert!(shown.starts_with("breast-cancer/train\n\nSTEP "), "{shown}");
    }
}
