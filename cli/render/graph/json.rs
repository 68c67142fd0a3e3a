//! A pipeline's graph for programs.

use serde::Serialize;
use serde::Serializer;

use super::EdgeKind;
use super::Node;
use super::Picture;

/// The version of this form: `major.minor`. A reader may ignore fields it does not know as long as the major number is
/// its own.
const GRAPH_FORMAT: &str = "1.0";

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    project: &'a str,
    pipeline: &'a str,
    steps: &'a [Node],
    edges: Vec<EdgeRecord<'a>>,
}

#[derive(Serialize)]
struct EdgeRecord<'a> {
    from: &'a str,
    to: &'a str,
    kind: EdgeKind,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    items: &'a [String],
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let edges = self.edges.iter().filter_map(|edge| {
            let (from, to) = (&self.steps.get(edge.from)?.name, &self.steps.get(edge.to)?.name);
            Some(EdgeRecord { from, to, kind: edge.kind, items: &edge.items })
        });
        let document = Document {
            format_version: GRAPH_FORMAT,
            project: &self.project,
            pipeline: &self.pipeline,
            steps: &self.steps,
            edges: edges.collect(),
        };
        document.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use liminal_schemas::step::Phase;

    use super::super::super::samples;
    use super::*;

    #[test]
    fn a_graph_names_its_steps_on_both_ends() {
        let steps = [samples::step(Phase::Fetch, "fetch", &[]), samples::step(Phase::Clean, "clean", &["fetch"])];
        let picture = Picture::new(&samples::release_of(steps));
        insta::assert_snapshot!(serde_json::to_string_pretty(&picture).expect("it serialises"), @r#"
        {
          "format_version": "1.0",
          "project": "breast-cancer",
          "pipeline": "train",
          "steps": [
            {
              "name": "fetch",
              "phase": "fetch",
              "kind": "work",
              "does": "call steps.fetch:fetch",
              "finally": false
            },
            {
              "name": "clean",
              "phase": "clean",
              "kind": "work",
              "does": "call steps.clean:clean",
              "finally": false
            }
          ],
          "edges": [
            {
              "from": "fetch",
              "to": "clean",
              "kind": "data",
              "items": [
                "data"
              ]
            }
          ]
        }
        "#);
    }
}
