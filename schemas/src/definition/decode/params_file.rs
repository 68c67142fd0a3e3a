//! Parameters of a run, from a file: `liminal run --params FILE`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Context;
use super::fields::shorten;
use crate::definition::yaml;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Report;
use crate::name::FieldName;
use crate::release::ParamSpec;
use crate::suggestion::closest;
use crate::value::Value;

/// Reads the parameters that a file sets: a map from name to value, as YAML or as JSON, which YAML has in it. Each value is
/// checked against the parameter's declaration. What is wrong goes into the report; the values are fit for use only when
/// that has no errors.
pub fn params_file(
    path: &str,
    bytes: Vec<u8>,
    specs: &BTreeMap<FieldName, ParamSpec>,
    report: &mut Report,
) -> BTreeMap<FieldName, Value> {
    let mut values = BTreeMap::new();
    let text = match yaml::decode_bytes(path, bytes) {
        Ok(text) => text,
        Err(finding) => {
            // What it suggests is for definitions.
            report.push(Finding { hints: Vec::new(), ..*finding });
            return values;
        }
    };
    let file: Arc<str> = Arc::from(path);
    let mut cx = Context::default();
    let tree = yaml::parse(&file, &text, &mut cx.findings);
    report.sources.insert(path.to_owned(), text);
    for (key, node) in tree.and_then(|tree| cx.map(tree, "the parameters of a run")).unwrap_or_default() {
        if cx.is_full() {
            break;
        }
        if let Some((name, spec)) = specs.get_key_value(key.text.as_str()) {
            values.extend(cx.run_param(&key, node, spec).map(|value| (name.clone(), value)));
        } else {
            let known: Vec<&str> = specs.keys().map(FieldName::as_str).collect();
            let finding = Finding::error(
                Code::UnknownReference,
                &key.span,
                format!("there is no parameter `{}`", shorten(&key.text)),
            );
            let finding = match closest(&key.text, known.iter().copied()) {
                Some(meant) => finding.label(format!("did you mean `{meant}`?")),
                None => finding,
            };
            cx.push(match known.as_slice() {
                [] => finding.hint("the pipeline has no parameters"),
                known => finding.hint(format!("parameters of the pipeline: {}", known.join(", "))),
            });
        }
    }
    report.findings.append(&mut cx.findings);
    report.sort();
    values
}

impl Context {
    fn run_param(&mut self, key: &Key, node: Node, spec: &ParamSpec) -> Option<Value> {
        if let Kind::Null = node.kind {
            let message = format!("parameter {} is set to nothing", key.text);
            self.push(Finding::error(Code::ParamValue, &key.span, message).hint("give it a value, or leave it out"));
            return None;
        }
        self.param_value(key, node, spec, "value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ValueType;

    fn specs() -> BTreeMap<FieldName, ParamSpec> {
        let spec = |value_type, max| ParamSpec { value_type, default: None, min: None, max, choices: Vec::new() };
        let name = |name: &str| FieldName::new(name).expect("valid");
        BTreeMap::from([
            (name("depth"), spec(ValueType::Int, Some(9.0))),
            (name("rate"), spec(ValueType::Float, None)),
            (name("label"), spec(ValueType::String, None)),
            (name("columns"), spec(ValueType::List, None)),
        ])
    }

    /// What a file sets, or what is wrong with it, a line each.
    fn read(text: &str) -> String {
        let mut report = Report::default();
        let values = params_file("p.yml", text.as_bytes().to_vec(), &specs(), &mut report);
        if report.findings.is_empty() {
            return serde_json::to_string(&values).expect("serialises");
        }
        let line = |finding: &Finding| {
            let place = finding.span.as_ref().and_then(|span| report.position(span));
            let place = place.map_or_else(String::new, |place| format!("{}:{} ", place.line, place.column));
            let hints = finding.label.iter().chain(&finding.hints).cloned().collect::<Vec<_>>().join("; ");
            format!("{place}{} ({hints})", finding.message)
        };
        report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn yaml_and_json_set_the_same() {
        let yaml = "depth: 3\nrate: 1\nlabel: \"7\"\ncolumns: [a, b]\n";
        let json = "{\n\t\"depth\": 3,\n\t\"rate\": 1,\n\t\"label\": \"7\",\n\t\"columns\": [\"a\", \"b\"]\n}\n";
        insta::assert_snapshot!(read(yaml), @r#"{"columns":["a","b"],"depth":3,"label":"7","rate":1.0}"#);
        assert_eq!(read(json), read(yaml));
        assert_eq!(read(""), "{}");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        insta::assert_snapshot!(read("dept: 3\nrate: fast\ndepth: 12\nlabel: 7\ncolumns:\n"), @"
        1:1 there is no parameter `dept` (did you mean `depth`?; parameters of the pipeline: columns, depth, label, rate)
        2:7 the value of parameter `rate` is not allowed: `fast` is no float ()
        3:8 the value of parameter `depth` is not allowed: 12 is above the maximum of 9 ()
        4:8 the value of parameter `label` is not allowed: `7` is no string (put it into quotes)
        5:1 parameter columns is set to nothing (give it a value, or leave it out)
        ");
        insta::assert_snapshot!(read("- depth: 3\n"), @"1:1 a map is needed for the parameters of a run, not a list (write `name: value` without the dash)");
        insta::assert_snapshot!(read("depth: [1\n"), @"2:1 this is no YAML: while parsing a flow sequence, expected ',' or ']' (check the indentation, quotes and brackets here and in the line above)");
        insta::assert_snapshot!(read("depth: 1\ndepth: 2\n"), @"2:1 the key `depth` is written twice (again here; keep one of them)");
    }
}
