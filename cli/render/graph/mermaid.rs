//! A pipeline for Mermaid, which GitHub and GitLab draw in markdown.

use std::collections::BTreeSet;

use liminal_schemas::step::Phase;

use super::EdgeKind;
use super::NodeKind;
use super::Picture;
use super::colours;

/// The most items that an edge names.
const MOST_ITEMS: usize = 3;

/// The pipeline as a Mermaid flowchart.
pub(crate) fn mermaid(picture: &Picture) -> String {
    let mut text = format!(
        "---\ntitle: \"{}/{}\"\n---\nflowchart TD\n",
        picture.project.replace('"', ""),
        picture.pipeline.replace('"', "")
    );
    for (place, step) in picture.steps.iter().enumerate() {
        let label = match step.phase {
            Some(phase) => format!("<b>{}</b><br/><i>{phase}</i>", escape(&step.name)),
            None => format!("<b>{}</b>", escape(&step.name)),
        };
        let (open, close) = match step.kind {
            NodeKind::Work => ("(", ")"),
            NodeKind::Gate => ("{{", "}}"),
            NodeKind::Register => ("[(", ")]"),
        };
        // Ids are numbers, since a step may be called `end`, which Mermaid keeps for itself.
        text.push_str(&format!("  s{place}{open}\"{label}\"{close}:::{}\n", class(step.phase)));
    }
    for edge in &picture.edges {
        let mut items: Vec<String> = edge.items.iter().take(MOST_ITEMS).map(|item| escape(item)).collect();
        if edge.items.len() > MOST_ITEMS {
            items.push("…".to_owned());
        }
        let label = if items.is_empty() { String::new() } else { format!("|\"{}\"|", items.join(", ")) };
        let arrow = match edge.kind {
            EdgeKind::Data => "-->",
            EdgeKind::Order | EdgeKind::Finally => "-.->",
        };
        text.push_str(&format!("  s{} {arrow}{label} s{}\n", edge.from, edge.to));
    }
    let phases: BTreeSet<Option<Phase>> = picture.steps.iter().map(|step| step.phase).collect();
    for phase in phases {
        let (fill, line) = colours(phase);
        text.push_str(&format!("  classDef {} fill:{fill},stroke:{line},color:#111827\n", class(phase)));
    }
    let last: Vec<String> = picture
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.finally)
        .map(|(place, _)| format!("s{place}"))
        .collect();
    if !last.is_empty() {
        text.push_str(&format!("  classDef finally stroke-dasharray:5 4\n  class {} finally\n", last.join(",")));
    }
    text
}

fn class(phase: Option<Phase>) -> &'static str {
    phase.map_or("other", Phase::as_str)
}

/// A text in Mermaid's quotes: what has a meaning there, or in the HTML that it becomes, is written as a number.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '#' | '<' | '>' | '&' | ';' | '`' | '\\' => {
                escaped.push_str(&format!("#{};", u32::from(character)));
            }
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn a_pipeline_is_a_flowchart() {
        insta::assert_snapshot!(mermaid(&Picture::new(&samples::release())), @r#"
        ---
        title: "breast-cancer/train"
        ---
        flowchart TD
          s0("<b>fetch</b><br/><i>fetch</i>"):::fetch
          s1("<b>clean</b><br/><i>clean</i>"):::clean
          s2("<b>prepare</b><br/><i>prepare</i>"):::prepare
          s3("<b>train</b><br/><i>train</i>"):::train
          s4("<b>train_forest</b><br/><i>train</i>"):::train
          s5("<b>evaluate</b><br/><i>evaluate</i>"):::evaluate
          s6{{"<b>validate</b><br/><i>validate</i>"}}:::validate
          s7[("<b>register</b><br/><i>deploy</i>")]:::deploy
          s8("<b>notify</b><br/><i>consume</i>"):::consume
          s0 -->|"data"| s1
          s1 -->|"data"| s2
          s2 -->|"data"| s3
          s2 -->|"data"| s4
          s2 -->|"data"| s5
          s3 -->|"data"| s5
          s4 -->|"data"| s5
          s5 -->|"metrics"| s6
          s5 -->|"data"| s7
          s6 -.-> s7
          s7 -.-> s8
          classDef fetch fill:#dbeafe,stroke:#2563eb,color:#111827
          classDef clean fill:#cffafe,stroke:#0e7490,color:#111827
          classDef prepare fill:#ccfbf1,stroke:#0f766e,color:#111827
          classDef train fill:#ffedd5,stroke:#c2410c,color:#111827
          classDef evaluate fill:#fef9c3,stroke:#a16207,color:#111827
          classDef validate fill:#fee2e2,stroke:#b91c1c,color:#111827
          classDef deploy fill:#dcfce7,stroke:#15803d,color:#111827
          classDef consume fill:#fce7f3,stroke:#be185d,color:#111827
          classDef finally stroke-dasharray:5 4
          class s8 finally
        "#);
    }

    #[test]
    fn text_stays_inside_its_quotes() {
        assert_eq!(escape("a\"]\n<script>#"), "a#34;] #60;script#62;#35;");
    }
}
