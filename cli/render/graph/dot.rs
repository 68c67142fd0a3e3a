//! A pipeline for Graphviz.

use super::EdgeKind;
use super::NodeKind;
use super::Picture;
use super::colours;

/// The pipeline in the DOT language.
pub(crate) fn dot(picture: &Picture) -> String {
    let mut text = format!("digraph {} {{\n", quote(&format!("{}/{}", picture.project, picture.pipeline)));
    text.push_str("  rankdir=TB;\n  bgcolor=\"transparent\";\n");
    text.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica,Arial,sans-serif\"];\n");
    text.push_str(
        "  edge [color=\"#75859b\", fontcolor=\"#75859b\", fontsize=10, fontname=\"Helvetica,Arial,sans-serif\"];\n",
    );
    for step in &picture.steps {
        let (fill, line) = colours(step.phase);
        let label = match step.phase {
            Some(phase) => format!("{}\n{phase}", step.name),
            None => step.name.clone(),
        };
        let shape = match (step.kind, step.finally) {
            (NodeKind::Work, false) => "",
            (NodeKind::Work, true) => ", style=\"rounded,filled,dashed\"",
            (NodeKind::Gate, _) => ", shape=hexagon, style=filled",
            (NodeKind::Register, _) => ", shape=cylinder, style=filled",
        };
        text.push_str(&format!(
            "  {} [label={}, tooltip={}, fillcolor=\"{fill}\", color=\"{line}\", fontcolor=\"#111827\"{shape}];\n",
            quote(&step.name),
            quote(&label),
            quote(&step.does),
        ));
    }
    for edge in &picture.edges {
        let (Some(from), Some(to)) = (picture.steps.get(edge.from), picture.steps.get(edge.to)) else { continue };
        let look = match edge.kind {
            EdgeKind::Data => format!("label={}", quote(&edge.items.join(", "))),
            EdgeKind::Order => "style=dashed".to_owned(),
            EdgeKind::Finally => "style=dotted".to_owned(),
        };
        text.push_str(&format!("  {} -> {} [{look}];\n", quote(&from.name), quote(&to.name)));
    }
    text.push_str("}\n");
    text
}

/// A text in DOT's quotes.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            character if character.is_control() => quoted.push(' '),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use liminal_schemas::step::Phase;

    use super::super::super::samples;
    use super::*;

    #[test]
    fn a_pipeline_is_a_digraph() {
        let mut steps = std::collections::BTreeMap::from([
            samples::step(Phase::Fetch, "fetch", &[]),
            samples::step(Phase::Clean, "clean", &["fetch"]),
            samples::step(Phase::Consume, "end", &[]),
        ]);
        steps.get_mut("end").expect("defined above").finally = true;
        insta::assert_snapshot!(dot(&Picture::new(&samples::release_of(steps))), @r##"
        digraph "breast-cancer/train" {
          rankdir=TB;
          bgcolor="transparent";
          node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif"];
          edge [color="#75859b", fontcolor="#75859b", fontsize=10, fontname="Helvetica,Arial,sans-serif"];
          "fetch" [label="fetch\nfetch", tooltip="call steps.fetch:fetch", fillcolor="#dbeafe", color="#2563eb", fontcolor="#111827"];
          "clean" [label="clean\nclean", tooltip="call steps.clean:clean", fillcolor="#cffafe", color="#0e7490", fontcolor="#111827"];
          "end" [label="end\nconsume", tooltip="call steps.end:end", fillcolor="#fce7f3", color="#be185d", fontcolor="#111827", style="rounded,filled,dashed"];
          "fetch" -> "clean" [label="data"];
          "clean" -> "end" [style=dotted];
        }
        "##);
    }

    #[test]
    fn text_stays_inside_its_quotes() {
        assert_eq!(quote("a\"\\\n\u{7}b"), r#""a\"\\\n b""#);
    }
}
