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


async def waits():
    return {"auc": 1}


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
async fn a_coroutine_is_awaited() {
    let place = Place::new();
    let (_, metrics) = place.succeed(&step(&place, "train:waits").output("metrics", "metrics.json")).await;
    assert_eq!(metrics, BTreeMap::from([("auc".to_owned(), 1.0)]));
}

#[tokio::test]
async fn returned_metrics_must_be_numbers() {
    let place = Place::new();
    let step = step(&place, "train:returns_text").output("metrics", "metrics.json");
    let failure = place.fail(&step).await;
    insta::assert_snapshot!(failure.message, @"`train:returns_text` returned 'high' under 'auc', but metrics are numbers");
}

#[tokio::test]
async fn an_exception_shows_the_users_frames_and_names_the_line() {
    let place = Place::new();
    let step = step(&place, "train:raises").param("seed", Value::Int(13));
    let text = place.fail_text(&step).await;
    // Not every Python marks the place within a line.
    let unmarked = |line: &&str| line.is_empty() || !line.trim_matches([' ', '~', '^']).is_empty();
    let text = text.lines().filter(unmarked).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @r#"
    user: ValueError: seed 13 is unlucky (src/train.py:34)
    Traceback (most recent call last):
      File "src/train.py", line 32, in deeper
        {}["missing"]
    KeyError: 'missing'

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "src/train.py", line 27, in raises
        return deeper(seed)
      File "src/train.py", line 34, in deeper
        raise ValueError("seed %d is unlucky" % seed)
    ValueError: seed 13 is unlucky
    its work folder is kept: PLACE/state/work/20261124-000000-test/train.1
    "#);
}

#[tokio::test]
async fn what_can_not_be_called_is_explained() {
    let place = Place::new();
    let message = async |step: Step| place.fail(&step).await.message;
    insta::assert_snapshot!(message(step(&place, "train:raises")).await, @"`train:raises` takes `seed`, which the step declares neither as an input nor as an output; it declares none");
    insta::assert_snapshot!(message(step(&place, "train:leaves").param("seed", Value::Int(1))).await, @"the step declares the input `seed`, but `train:leaves` takes no arguments");
    insta::assert_snapshot!(message(step(&place, "train:rises")).await, @"`call: train:rises`: module train has no `rises`; did you mean `raises`?");
    insta::assert_snapshot!(message(step(&place, "train:json")).await, @"`call: train:json` is no function but module");
    insta::assert_snapshot!(message(step(&place, "broken:f")).await, @"SyntaxError: invalid syntax (src/broken.py:1)");
    insta::assert_snapshot!(message(step(&place, "train:leaves")).await, @"`python3` exited with status 4");
}

#[tokio::test]
async fn a_module_that_is_not_packaged_gets_a_hint() {
    let place = Place::new();
    let whole = place.fail(&step(&place, "helpers.features:make")).await;
    insta::assert_snapshot!(whole.message, @"ModuleNotFoundError: No module named 'helpers'");
    insta::assert_snapshot!(whole.detail.lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    ModuleNotFoundError: No module named 'helpers'
    hint: if `helpers` is a module of the project, add it to `code:`; if it is a library, add it to the requirements
    ");
    insta::assert_snapshot!(place.fail(&step(&place, "train:needs_pandas")).await.message, @"ModuleNotFoundError: No module named 'no_such_library' (src/train.py:46)");
}
