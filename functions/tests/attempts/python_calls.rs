//! Calling Python functions.

use std::collections::BTreeMap;

use liminal_schemas::value::Value;

use crate::harness::Place;
use crate::harness::Step;
use crate::harness::name;

const TRAIN: &str = r#"
import json
from lib.tool import double


def train(data, seed, rates, model, metrics, *, verbose=False):
    assert data.__class__.__name__ == "PosixPath" and seed + 1 == 43 and rates["a"] == [0.5, None], (data, seed, rates)
    model.write_text(data.read_text() * double(1))
    metrics.write_text(json.dumps({"auc": 0.5}))
    print("trained")


def returns(**names):
    return {"auc": Scalar(), "rows": 3}


class Scalar:
    def item(self):
        return 0.25


def returns_text():
    return {"auc": "high"}


def raises(seed):
    return deeper(seed)


def deeper(seed):
    try:
        {}["missing"]
    except KeyError:
        raise ValueError("seed %d is unlucky" % seed)


def leaves():
    raise SystemExit(4)


def needs_pandas():
    import no_such_library
"#;

fn step(place: &Place, target: &str) -> Step {
    let files = [
        ("src/train.py", TRAIN),
        ("src/lib/tool.py", "def double(n):\n    return 2 * n\n"),
        ("src/broken.py", "def f(:\n"),
    ];
    Step::call(target).package(place.put_package("src", &files, None))
}

#[tokio::test]
async fn a_function_gets_what_it_asks_for_by_name() {
    let place = Place::new();
    let data = place.put_artifact(b"x");
    let rates = BTreeMap::from([("a".to_owned(), Value::List(vec![Value::Float(0.5), Value::Null]))]);
    let step = step(&place, "train:train")
        .input("data", data)
        .param("seed", Value::Int(42))
        .param("rates", Value::Map(rates))
        .output("model", "models/m.txt")
        .output("unused", "models/m.txt")
        .output("metrics", "metrics.json");
    let (outputs, metrics) = place.succeed(&step).await;
    assert_eq!(outputs[&name("model")].bytes, 2);
    assert_eq!(metrics, BTreeMap::from([("auc".to_owned(), 0.5)]));
    assert_eq!(place.log(), b"trained\n");
}

#[tokio::test]
async fn a_returned_dict_becomes_the_metrics() {
    let place = Place::new();
    let step = step(&place, "train:returns").param("seed", Value::Int(1)).output("metrics", "metrics.json");
    let (_, metrics) = place.succeed(&step).await;
    assert_eq!(metrics, BTreeMap::from([("auc".to_owned(), 0.25), ("rows".to_owned(), 3.0)]));
}

#[tokio::test]
async fn returned_metrics_must_be_numbers() {
    let place = Place::new();
    let step = step(&place, "train:returns_text").output("metrics", "metrics.json");
    let failure = place.fail(&step).await;
    insta::assert_snapshot!(failure.message, @"");
}

#[tokio::test]
async fn an_exception_shows_the_users_frames_and_names_the_line() {
    let place = Place::new();
    let step = step(&place, "train:raises").param("seed", Value::Int(13));
    let text = place.fail_text(&step).await;
    insta::assert_snapshot!(text.replace(&step.package.expect("a package").hex(), "DIGEST"), @"");
}

#[tokio::test]
async fn what_can_not_be_called_is_explained() {
    let place = Place::new();
    let message = async |step: Step| place.fail(&step).await.message;
    insta::assert_snapshot!(message(step(&place, "train:raises")).await, @"");
    insta::assert_snapshot!(message(step(&place, "train:leaves").param("seed", Value::Int(1))).await, @"");
    insta::assert_snapshot!(message(step(&place, "train:rises")).await, @"");
    insta::assert_snapshot!(message(step(&place, "train:json")).await, @"");
    insta::assert_snapshot!(message(step(&place, "broken:f")).await, @"");
    insta::assert_snapshot!(message(step(&place, "train:leaves")).await, @"");
}

#[tokio::test]
async fn a_module_that_is_not_packaged_gets_a_hint() {
    let place = Place::new();
    let whole = place.fail(&step(&place, "helpers.features:make")).await;
    insta::assert_snapshot!(whole.message, @"");
    insta::assert_snapshot!(whole.detail.lines().take(2).collect::<Vec<_>>().join("\n"), @"");
    insta::assert_snapshot!(place.fail(&step(&place, "train:needs_pandas")).await.message, @"");
}
