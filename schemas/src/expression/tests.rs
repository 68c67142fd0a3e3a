use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::name::FieldName;
use crate::name::RunId;
use crate::name::StepName;
use crate::value::Value;
use crate::value::ValueType;

fn params() -> BTreeMap<FieldName, Value> {
    let list = Value::List(vec![Value::Int(1), Value::Float(2.5)]);
    let map = Value::Map(BTreeMap::from([("low".to_owned(), Value::Float(0.5)), ("on".to_owned(), Value::Bool(true))]));
    let all = [
        ("seed", Value::Int(42)),
        ("test_size", Value::Float(0.2)),
        ("mode", Value::Text("full".to_owned())),
        ("fast", Value::Bool(false)),
        ("sizes", list),
        ("limits", map),
    ];
    all.into_iter().map(|(name, value)| (FieldName::new(name).expect("valid"), value)).collect()
}

fn metrics() -> BTreeMap<StepName, BTreeMap<String, f64>> {
    let of = |names: &[(&str, f64)]| names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    BTreeMap::from([
        (StepName::new("train").expect("valid"), of(&[("auc", 0.93), ("loss", 0.2), ("rows", 100.0)])),
        (StepName::new("train-x").expect("valid"), of(&[("auc", 0.5), ("f1-macro", 0.7)])),
    ])
}

fn evaluate(text: &str) -> Result<Evaluation, String> {
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    let run_id = RunId::new("20261124-230239-x7k2").expect("valid");
    expression.evaluate(&Scope { params: &params(), metrics: &metrics(), run_id: &run_id })
}

fn check(text: &str) -> Result<(), String> {
    let types: BTreeMap<FieldName, ValueType> =
        params().into_iter().filter_map(|(name, value)| Some((name, value.value_type()?))).collect();
    let shown = |error: ExpressionError| format!("{} (at {})", error.message, error.offset);
    Expression::parse(text).map_err(shown)?.check(&types).map_err(shown)
}

#[test]
fn expressions_over_metrics_and_params_are_checked_and_evaluated_alike() {
    let cases = [
        ("metrics.train.auc > 0.9", true),
        ("metrics.train.auc >= 1", false),
        ("metrics.train.rows == 100", true),
        ("metrics.train.auc * 100 > 90", true),
        ("100 * metrics.train.auc - params.seed > 90", false),
        ("metrics.train.rows / 3 > 33.3", true),
        ("metrics[\"train-x\"].auc < metrics.train.auc", true),
        ("metrics[\"train-x\"][\"f1-macro\"] > 0.6", true),
        ("params.seed % 2 == 0 && !params.fast", true),
        ("params.mode == 'full' && params.mode in ['full', 'half']", true),
        ("params.mode.startsWith('fu') && params.mode.matches('^f.*l$')", true),
        ("params.sizes.all(size, size > 0) && size(params.sizes) == 2", true),
        ("params.sizes[1] * metrics.train.rows == 250", true),
        ("params.limits.low < metrics.train.auc && params.limits.on", true),
        ("has(metrics.train.recall) && metrics.train.recall > 0.5", false),
        ("has(params.limits.high) ? params.limits.high > 1.0 : true", true),
        ("(params.fast ? 1 : metrics.train.auc) > 0.9", true),
        ("run.id.startsWith('20261124')", true),
        ("-metrics.train.loss < 0", true),
    ];
    for (text, expected) in cases {
        assert_eq!(check(text), Ok(()), "{text}");
        assert_eq!(evaluate(text).map(|evaluation| evaluation.value), Ok(expected), "{text}");
    }
}

#[test]
fn an_evaluation_says_what_it_read() {
    let evaluation = evaluate("metrics[\"train-x\"].auc > 0.9 || params.seed == 1").expect("evaluates");
    let values: Vec<String> = evaluation.values.iter().map(|(path, value)| format!("{path} = {value}")).collect();
    assert_eq!(values, ["metrics[\"train-x\"].auc = 0.5", "params.seed = 42"]);
}

#[test]
fn a_missing_metric_is_named_with_those_that_exist() {
    let message = "step train left no metric acu; its metrics are auc, loss, rows; did you mean auc?";
    assert_eq!(evaluate("metrics.train.acu > 0.9").expect_err("missing"), message);
    assert_eq!(evaluate("metrics.train.acu > 0.9 || true").expect_err("missing all the same"), message);
    assert_eq!(
        evaluate("metrics.fetch.rows > 0.9").expect_err("missing"),
        "step fetch left no metrics, so there is no rows"
    );
}

#[test]
fn references_are_found_in_every_form() {
    let text = "metrics.train.auc > 0.9 && [metrics['train-x']['f1-macro']].exists(m, m > params.limits['low']) \
                && has(metrics.train.loss) && run.id != params.mode";
    let expression = Expression::parse(text).expect("parses");
    let references = expression.references();
    assert_eq!(references.problems, []);
    let metrics: Vec<String> = references.metrics.iter().map(|(step, names)| format!("{step}: {names:?}")).collect();
    assert_eq!(metrics, ["train: {\"auc\", \"loss\"}", "train-x: {\"f1-macro\"}"]);
    assert_eq!(references.params.iter().map(FieldName::as_str).collect::<Vec<_>>(), ["limits", "mode"]);
    assert!(references.run_id);
}

#[test]
fn references_that_can_lead_nowhere_are_named() {
    let problems = |text: &str| -> Vec<String> {
        let expression = Expression::parse(text).expect("parses");
        expression
            .references()
            .problems
            .iter()
            .map(|problem| format!("{} (at {})", problem.message, problem.offset))
            .collect()
    };
    let texts = [
        "auc > 0.9",
        "metrics.train > 0.9",
        "metrics[params.mode].auc > 0.9",
        "metrics.train-x.auc > 0.9",
        "run.name == 'x'",
        "params == 1",
        "metrics.Train.auc > 1",
        "'é' == x",
    ];
    let shown: Vec<String> = texts.iter().map(|text| format!("{text}\n  {}", problems(text).join("\n  "))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    auc > 0.9
      `auc` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id` (at 0)
    metrics.train > 0.9
      write `metrics.STEP.METRIC`, with both names (at 0)
    metrics[params.mode].auc > 0.9
      write `metrics.STEP.METRIC`, with both names (at 0)
    metrics.train-x.auc > 0.9
      write `metrics.STEP.METRIC`, with both names (at 0)
      `x` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id`; a step with a dash in its name is written `metrics["a-b"].METRIC` (at 14)
    run.name == 'x'
      of a run only `run.id` is known (at 0)
    params == 1
      write `params.NAME`, with the name of a parameter (at 0)
    metrics.Train.auc > 1
      `Train` is no step name: it must start with a lower-case letter (at 0)
    'é' == x
      `x` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id` (at 8)
    "#);
}

#[test]
fn what_does_not_give_true_or_false_is_refused_with_its_place() {
    let texts = [
        "metrics.train.auc",
        "params.seed + 1",
        "params.mode > 3",
        "params.mode == 3",
        "params.seed && true",
        "!metrics.train.auc",
        "metrics.train.auc > 0.9 && params.mode",
        "metrics.train.auc % 2 == 0",
        "params.fast + 1 > 2",
        "average(params.sizes) > 1",
        "params.mode.startsWith(1)",
        "size(params.seed) > 1",
        "params.seed.all(x, x > 1)",
        "params.seed.x == 1",
        "params.sizes['a'] == 1",
        "params.mode in 'full'",
        "params.fast ? 1 : 'a'",
        "params.mode.matches('(')",
        "timestamp('2020-01-01') > 1",
    ];
    let shown: Vec<String> =
        texts.iter().map(|text| format!("{text}\n  {}", check(text).expect_err("refused"))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    metrics.train.auc
      it gives a float, and `true` or `false` is needed (at 0)
    params.seed + 1
      it gives an int, and `true` or `false` is needed (at 0)
    params.mode > 3
      `>` can not compare a string with an int (at 12)
    params.mode == 3
      a string never equals an int (at 12)
    params.seed && true
      `&&` needs a bool on both sides, not an int (at 12)
    !metrics.train.auc
      `!` needs a bool, not a float (at 0)
    metrics.train.auc > 0.9 && params.mode
      `&&` needs a bool on both sides, not a string (at 24)
    metrics.train.auc % 2 == 0
      `%` does not go with a float and an int (at 18)
    params.fast + 1 > 2
      `+` does not go with a bool and an int (at 12)
    average(params.sizes) > 1
      there is no function `average`; there are `has`, `all`, `exists`, `exists_one`, `size`, `contains`, `startsWith`, `endsWith`, `matches`, `int`, `double`, `string`, `bool` (at 7)
    params.mode.startsWith(1)
      `startsWith` does not take (string, int) (at 22)
    size(params.seed) > 1
      `size` does not take (int) (at 4)
    params.seed.all(x, x > 1)
      macros go over lists and maps, not over an int (at 15)
    params.seed.x == 1
      an int has nothing named `x` (at 11)
    params.sizes['a'] == 1
      `[…]` can not take a string out of a list (at 12)
    params.mode in 'full'
      `in` needs a list or a map after it, not a string (at 12)
    params.fast ? 1 : 'a'
      `?:` gives an int or a string (at 12)
    params.mode.matches('(')
      the pattern of `matches` is no regular expression (at 19)
    timestamp('2020-01-01') > 1
      there is no function `timestamp`; there are `has`, `all`, `exists`, `exists_one`, `size`, `contains`, `startsWith`, `endsWith`, `matches`, `int`, `double`, `string`, `bool` (at 9)
    ");
}

#[test]
fn what_can_not_be_read_is_refused_with_its_place() {
    let texts = [
        "",
        "metrics.train.auc >",
        "metrics.train.auc > > 0.9",
        "(params.seed == 1",
        "params.seed = 1",
        "params.mode == 'full",
        "true\n&& && true",
        "1 == 1 and true",
        "a ? b ? true : false : true",
        "12345678901234567890 > 1",
        "[1].map(x, x + 1) == [2]",
        "[1].filter(x, x > 1) == [2]",
        "[1].all(x, [2].all(y, x > y))",
        "[1].all(params, params > 0)",
        "['a'].all(x, x.matches('a'))",
        "b'x' == b'x'",
        "1u == 1u",
        "liminal.Run{id: 1} == 1",
        "has(1)",
        "é == 1",
    ];
    let shown: Vec<String> =
        texts.iter().map(|text| format!("{text}\n  {}", check(text).expect_err("refused"))).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
      it is empty (at 0)
    metrics.train.auc >
      it ends too early (at 19)
    metrics.train.auc > > 0.9
      `>` does not fit here (at 20)
    (params.seed == 1
      `)` is missing (at 17)
    params.seed = 1
      `=` is no operator; write `==` (at 12)
    params.mode == 'full
      a text is opened but not closed (at 15)
    true
    && && true
      `&&` does not fit here (at 8)
    1 == 1 and true
      `and` is no operator; write `&&` (at 7)
    a ? b ? true : false : true
      `?` does not fit here (at 6)
    12345678901234567890 > 1
      invalid int literal (at 0)
    [1].map(x, x + 1) == [2]
      `map` and `filter` are no part of expressions; use `all`, `exists` or `exists_one` (at 7)
    [1].filter(x, x > 1) == [2]
      `map` and `filter` are no part of expressions; use `all`, `exists` or `exists_one` (at 10)
    [1].all(x, [2].all(y, x > y))
      a macro can not stand inside another (at 18)
    [1].all(params, params > 0)
      the variable of a macro can not be named `metrics`, `params` or `run` (at 7)
    ['a'].all(x, x.matches('a'))
      `matches` can not stand inside a macro (at 22)
    b'x' == b'x'
      bytes are no part of expressions (at 0)
    1u == 1u
      write whole numbers without `u` (at 0)
    liminal.Run{id: 1} == 1
      messages are no part of expressions (at 11)
    has(1)
      invalid argument to has() macro (at 4)
    é == 1
      `é` does not fit here (at 0)
    ");
}

#[test]
fn hostile_sizes_are_refused_before_they_cost_anything() {
    let long = format!("{} == 1", "1".repeat(MAX_EXPRESSION_BYTES));
    assert_eq!(check(&long).expect_err("too long"), "it has more than 4096 bytes (at 0)");
    let deep = format!("{}true{}", "(".repeat(2000), ")".repeat(2000));
    assert_eq!(check(&deep).expect_err("too deep"), "its brackets are nested more than 32 deep (at 32)");
    let chain = vec!["true"; 600].join("&&");
    assert_eq!(check(&chain), Ok(()), "`&&` is balanced by the parser");
    let chain = format!("{} > 0", vec!["1"; 1500].join("+"));
    assert!(check(&chain).expect_err("too many").starts_with("it has too many operations in a row"));
    for text in ["!", "-", "true ? 1 : ", "x.", "1 + (", "[[[[", "{1:{1:"] {
        let hostile = text.repeat(MAX_EXPRESSION_BYTES / text.len());
        assert!(check(&hostile).is_err(), "{text}");
    }
    let nested = format!("{}true{}", "(".repeat(MAX_EXPRESSION_NESTING), ")".repeat(MAX_EXPRESSION_NESTING));
    assert_eq!(check(&nested), Ok(()));
}

#[test]
fn evaluation_fails_with_a_sentence() {
    let cases = [
        ("1 / (params.seed - 42) > 0", "it divides by zero"),
        ("params.seed * 9223372036854775807 > 0", "a whole number becomes too large"),
        ("params.sizes[7] > 0", "the list has no element of that number"),
        ("params.limits.high > 0", "there is no `high` in the map"),
        ("params.limits.low", "it gives neither true nor false"),
        ("params.other == 1", "there is no parameter other"),
    ];
    for (text, message) in cases {
        assert_eq!(evaluate(text).expect_err("fails"), message, "{text}");
    }
}

#[test]
fn parameters_with_too_many_values_are_refused() {
    let big = BTreeMap::from([(FieldName::new("big").expect("valid"), Value::List(vec![Value::Int(1); 10_000]))]);
    let run_id = RunId::new("20261124-230239-x7k2").expect("valid");
    let expression = Expression::parse("params.big.all(x, x == 1)").expect("parses");
    let result = expression.evaluate(&Scope { params: &big, metrics: &BTreeMap::new(), run_id: &run_id });
    assert_eq!(result.expect_err("too many"), "its parameters hold more than 10000 values");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in r#"([a-z"'`.\\()\[\]{}0-9ux?:!&|<>=+*/% \n@#$é🙂-]|metrics\.|params\.|true|all\(x, |has\(|0x|1e9|r"|"""|b'){0,30}"#) {
        let _ = evaluate(&text);
    }

    #[test]
    fn what_passes_the_check_never_fails_on_its_types(text in r"(1|2\.5|'a'|true|params\.seed|params\.mode|metrics\.train\.auc)( (==|<|\+|\*|&&|\|\||-) (1|2\.5|'a'|true|params\.fast|metrics\.train\.loss)){1,4}") {
        if check(&text).is_ok() {
            prop_assert!(evaluate(&text).is_ok(), "{:?}", evaluate(&text));
        }
    }
}
