//! Triggers: what starts runs without anybody calling.

use insta::assert_snapshot;
use liminal_schemas::definition::load;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::step::InputSource;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;

use crate::memory_files::MemoryFiles;
use crate::rendering::findings;
use crate::rendering::render;

fn try_load(yaml: &str, environment: &str) -> Result<Release, String> {
    let environment = EnvironmentName::new(environment).expect("a valid name");
    let files = MemoryFiles::new().with("liminal.yml", yaml);
    match load(&files, "liminal.yml", Some(&environment)) {
        Ok(loaded) => Ok(loaded.resolved.releases[&PipelineName::new("score").expect("valid")].clone()),
        Err(report) => Err(render(&report)),
    }
}

/// A pipeline with these triggers.
fn pipeline(triggers: &str) -> String {
    format!(
        "project: shop\nparams: {{seed: 42, rate: 0.5}}\npipelines:\n  score:\n    steps: {{s: {{run: \"x {{{{ params.seed }}}} {{{{ params.rate }}}}\"}}}}\n    triggers:\n{triggers}"
    )
}

#[test]
fn triggers_are_part_of_the_release_in_an_order_of_their_own() {
    let written = pipeline(
        "      - {schedule: \"cron(0  6 * * ? *)\", timezone: Europe/Berlin, params: {seed: 7, rate: 1}}\n      - schedule: rate(1 hour)\n      - object: {prefix: in/, suffix: .csv, bucket: uploads}\n      - object: {prefix: in/}\n",
    );
    let reordered = pipeline(
        "      - object: {prefix: in/}\n      - object: {bucket: uploads, suffix: .csv, prefix: in/}\n      - {params: {rate: 1.0, seed: 7}, schedule: cron(0 6 * * ? *), timezone: Europe/Berlin}\n      - {schedule: rate( 1 hour ), timezone: }\n",
    );
    let release = try_load(&written, "local").expect("loaded");
    let schedule = |expression: &str, timezone: &str| TriggerSource::Schedule {
        expression: expression.to_owned(),
        timezone: timezone.to_owned(),
    };
    let object = |bucket: Option<&str>, suffix: &str| TriggerSource::Object {
        bucket: bucket.map(str::to_owned),
        prefix: "in/".to_owned(),
        suffix: suffix.to_owned(),
    };
    let sources: Vec<TriggerSource> = release.triggers.iter().map(|trigger| trigger.on.clone()).collect();
    let expected = [
        schedule("cron(0 6 * * ? *)", "Europe/Berlin"),
        schedule("rate(1 hour)", "UTC"),
        object(None, ""),
        object(Some("uploads"), ".csv"),
    ];
    assert_eq!(sources, expected);
    let params = &release.triggers[0].params;
    assert_eq!(params[&FieldName::new("rate").expect("valid")], Value::Float(1.0), "a whole number serves as a float");
    let reordered = reordered.replace(", timezone: }", "}");
    assert_eq!(try_load(&reordered, "local").expect("loaded").revision(), release.revision());
}

#[test]
fn the_object_that_started_a_run_is_an_input() {
    let yaml = "project: shop\npipelines:\n  score:\n    triggers: [{object: {prefix: in/}}]\n    steps: {s: {run: \"wc {{ inputs.rows }}\", inputs: {rows: trigger.object}}}\n";
    let release = try_load(yaml, "local").expect("loaded");
    let step = &release.steps[&StepName::new("s").expect("valid")];
    assert_eq!(step.inputs[&FieldName::new("rows").expect("valid")], InputSource::Trigger);
    let by_hand = yaml.replace("    triggers: [{object: {prefix: in/}}]\n", "");
    try_load(&by_hand, "local").expect("an object may be given by hand");
}

#[test]
fn the_shape_of_triggers_is_checked() {
    assert_snapshot!(findings(pipeline(
        r#"
      - {schedule: hourly, timezone: Berlin}
      - {schedule: "0 6 * * *"}
      - {schedule: "at(2026-12-24T18:00:00)"}
      - {schedule: "rate(1 hours)"}
      - {schedule: "rate(1 day)", timezone: Europe/Berlin}
      - {schedule: 3600}
      - {schedule: "rate(1 hour)", object: {prefix: in/}}
      - {timezone: UTC}
      - {object: in/}
      - {object: {}}
      - {object: {prefix: "in/*"}}
      - {object: {prefix: /in}}
      - {object: {prefix: "s3://b/in/"}}
      - {object: {suffix: "*.csv", bucket: B}, timezone: UTC}
      - {object: {prefx: in/}, every: hour}
      - {prefix: in/}
      - hourly
      - {schedule: "rate(1 hour)", params: {Seed: 1}}
"#
    )), @r#"
    liminal.yml:8:20 L0205 `hourly` can not be a schedule: it is neither `rate(…)` nor `cron(…)`
      hint: write `rate(1 hour)`, or `cron(0 6 * * ? *)` for every day at six
    liminal.yml:8:38 L0205 `Berlin` can not be a time zone: it is none that is known
      hint: write a name of the time zone database, as in `Europe/Berlin` or `UTC`
    liminal.yml:9:20 L0205 `0 6 * * *` can not be a schedule: it is written as for cron on Unix
      hint: write `cron(0 6 * * ? *)`
    liminal.yml:10:20 L0205 `at(2026-12-24T18:00:00)` can not be a schedule: `at(…)` is one moment, and a release may be deployed again after it
      hint: start the run with `liminal run`, or write a schedule that recurs
    liminal.yml:11:20 L0205 `rate(1 hours)` can not be a schedule: AWS takes only the right form of the unit
      hint: write `rate(1 hour)`
    liminal.yml:12:35 L0207 warning: `timezone` has no effect on a rate, which counts from when it was deployed
      liminal.yml:12:20: because of this
      hint: leave it out, or name the time of day: `cron(0 6 * * ? *)`
    liminal.yml:13:20 L0203 a text is needed for the schedule, not a whole number
      hint: put it into quotes
    liminal.yml:14:36 L0207 a trigger waits for one thing, not for `schedule` and `object`
      liminal.yml:14:10: the other one
      hint: make two triggers of it: each item of the list starts runs of its own
    liminal.yml:15:9 L0202 a trigger needs one of the keys `schedule`, `object` and `finished`
      hint: write `{schedule: "rate(1 hour)"}`, `{object: {prefix: in/}}` or `{finished: PIPELINE}`
    liminal.yml:16:18 L0203 a map is needed for the object of a trigger, not a text
      hint: write `object: {prefix: in/}`
    liminal.yml:17:10 L0307 this trigger waits for every object in the bucket that liminal keeps its own objects in
      hint: write what keys begin with, as in `object: {prefix: in/}`, or another `bucket:`
    liminal.yml:18:27 L0205 `in/*` can not be the beginning of a key: S3 knows no `*` here
      hint: write `in/`: what comes before or behind it is free anyway
    liminal.yml:19:27 L0205 `/in` can not be the beginning of a key: keys of objects begin with no `/`
      hint: write `in`
    liminal.yml:20:27 L0205 `s3://b/in/` can not be the beginning of a key: it is an address
      hint: write `{bucket: b, prefix: in/}`
    liminal.yml:21:27 L0205 `*.csv` can not be the end of a key: S3 knows no `*` here
      hint: write `.csv`: what comes before or behind it is free anyway
    liminal.yml:21:44 L0205 `B` can not be a bucket: it has fewer than 3 characters, or more than 63
      hint: S3 allows 3 to 63 lower-case letters, digits, `-` and `.` in the name of a bucket
    liminal.yml:21:48 L0207 `timezone` means nothing to a trigger with `object`
      liminal.yml:21:10: because of this
      hint: leave it out
    liminal.yml:22:19 L0201 the object of a trigger has no key `prefx`
      here: did you mean `prefix`?
      hint: known keys: bucket, prefix, suffix
    liminal.yml:22:32 L0201 a trigger has no key `every`
      hint: known keys: schedule, timezone, object, finished, result, params
    liminal.yml:23:10 L0201 a trigger has no key `prefix`
      hint: write it under `object:`, as in `object: {prefix: in/, suffix: .csv}`
      hint: known keys: schedule, timezone, object, finished, result, params
    liminal.yml:24:9 L0203 a map is needed for a trigger, not a text
    liminal.yml:25:45 L0301 there is no parameter `Seed`
    "#);
    assert_snapshot!(findings(pipeline("      schedule: rate(1 hour)\n")), @r#"
    liminal.yml:7:7 L0203 a list is needed for the triggers, not a map
      hint: put it into a list: `triggers: [{schedule: "rate(1 hour)"}]`
    "#);
}

#[test]
fn params_of_triggers_fit_those_of_the_pipeline() {
    let yaml = r#"
project: shop
params: {seed: {type: int, max: 9}}
pipelines:
  score:
    params: {day: {type: string}, mode: {type: string, default: a, choices: [a, b]}}
    triggers:
      - {schedule: "rate(1 hour)", params: {seed: 3, day: monday}}
      - {schedule: "rate(2 hours)", params: {seed: 30, day: 1, mode: c, sed: 1}}
      - {schedule: "rate(3 hours)"}
    steps: {s: {run: "x {{ params.seed }} {{ params.day }} {{ params.mode }}"}}
"#;
    assert_snapshot!(try_load(yaml, "local").expect_err("mistakes"), @r"
    liminal.yml:9:52 L0304 the value of parameter `seed` is not allowed: 30 is above the maximum of 9
    liminal.yml:9:61 L0304 the value of parameter `day` is not allowed: `1` is no string
    liminal.yml:9:70 L0304 the value of parameter `mode` is not allowed: `c` is none of a, b
    liminal.yml:9:73 L0301 there is no parameter `sed`
      here: did you mean `seed`?
      hint: parameters: day, mode, seed
    liminal.yml:10:20 L0306 runs that this trigger starts have no value for day, seed, and need one
      hint: set it here, `params: {day: VALUE}`, or give the parameter a default
    ");
}

#[test]
fn a_schedule_brings_no_object() {
    let yaml = r#"
project: shop
pipelines:
  score:
    triggers: [{schedule: "rate(1 hour)"}, {object: {prefix: in/}}]
    steps:
      a: {run: [x], inputs: {rows: trigger.object, other: trigger.key}}
      trigger: {run: [x]}
      r: {register: {model: m, artifact: trigger.object}}
"#;
    let report =
        findings(yaml) + &try_load(&yaml.replace("      trigger: {run: [x]}\n", ""), "local").expect_err("mistakes");
    assert_snapshot!(report, @r"
    liminal.yml:8:7 L0204 `trigger` is no step name: it has a meaning of its own in references
    liminal.yml:5:27 L0306 runs that this schedule starts have no `trigger.object`, and a step needs it
      liminal.yml:7:36: this input
      hint: put the steps that need an object into a pipeline of their own
    liminal.yml:7:59 L0301 a trigger has no `key`
      hint: `trigger.object` is the object that started the run
    liminal.yml:8:42 L0205 `trigger.object` is no output of a step, and only these become model versions
      hint: write the step and its output, as in `train.model`
    ");
}

#[test]
fn the_same_trigger_twice_is_refused_unless_its_params_differ() {
    let triggers = "      - {schedule: rate(1 hour)}\n      - {schedule: rate( 1  hour ), params: {}}\n      - {schedule: rate(1 hour), params: {seed: 1}}\n      - {object: {prefix: in/}}\n      - object: {prefix: in/, suffix: ''}\n";
    assert_snapshot!(try_load(&pipeline(triggers), "local").expect_err("mistakes"), @r"
    liminal.yml:8:20 L0308 this trigger is written twice, and would start every run twice
      here: again here
      liminal.yml:7:20: first here
      hint: leave one of them out, or give it other `params:`
    liminal.yml:11:26 L0308 this trigger is written twice, and would start every run twice
      here: again here
      liminal.yml:10:27: first here
      hint: leave one of them out, or give it other `params:`
    ");
}

/// What loading says of an object trigger, on a platform that has a bucket of its own.
fn object(trigger: &str) -> String {
    let yaml = pipeline(&format!("      - object: {trigger}\n"))
        + "environments: {own: {platform: aws, region: eu-central-1, bucket: own}, default: {platform: aws, region: eu-central-1, account: '012345678901'}}\n";
    ["local", "own", "default"]
        .map(|environment| match try_load(&yaml, environment) {
            Ok(_) => format!("{environment}: fine\n"),
            Err(report) => format!("{environment}: {report}"),
        })
        .concat()
}

#[test]
fn a_trigger_that_liminals_own_objects_would_set_off_is_refused() {
    assert_snapshot!(
        [
            "{prefix: shop/in/}",
            "{prefix: shop/}",
            "{prefix: sho}",
            "{suffix: .json}",
            "{suffix: n}",
            "{bucket: own}",
            "{bucket: liminal-012345678901-eu-central-1, suffix: .log}",
        ]
        .map(|trigger| format!("{trigger}\n{}", object(trigger)))
        .concat(), @r"
    {prefix: shop/in/}
    local: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    own: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    {prefix: shop/}
    local: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    own: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: liminal.yml:7:26 L0307 objects below `shop/` are those that liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    {prefix: sho}
    local: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    own: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    {suffix: .json}
    local: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    own: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    {suffix: n}
    local: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    own: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: liminal.yml:7:26 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    {bucket: own}
    local: fine
    own: liminal.yml:7:9 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    default: fine
    {bucket: liminal-012345678901-eu-central-1, suffix: .log}
    local: fine
    own: fine
    default: liminal.yml:7:69 L0307 this also waits for the objects below `shop/`, which liminal keeps for this project
      hint: wait for objects with a prefix of their own, as in `prefix: in/`, or in another bucket
    ");
    for trigger in
        ["{prefix: in/}", "{suffix: .csv}", "{prefix: shopping/}", "{bucket: other}", "{bucket: other, prefix: shop/}"]
    {
        assert_eq!(object(trigger), "local: fine\nown: fine\ndefault: fine\n", "{trigger}");
    }
}

/// Pipelines with these triggers, by name.
fn pipelines(all: &[(&str, &str)]) -> String {
    let one = |(name, triggers): &(&str, &str)| {
        format!(
            "  {name}:\n    params: {{of: {{type: string, default: x}}, n: 1}}\n    steps: {{s: {{run: \"x {{{{ params.of }}}} {{{{ params.n }}}}\"}}}}\n    triggers: {triggers}\n"
        )
    };
    format!("project: shop\npipelines:\n{}", all.iter().map(one).collect::<String>())
}

fn problems(yaml: &str) -> String {
    match load(&MemoryFiles::new().with("liminal.yml", yaml), "liminal.yml", None) {
        Ok(loaded) => render(&loaded.report),
        Err(report) => render(&report),
    }
}

#[test]
fn a_pipeline_may_start_when_another_has_ended_and_is_told_which_run_that_was() {
    let yaml = pipelines(&[
        ("train", "[]"),
        (
            "score",
            "[{finished: train, params: {of: finished.run}}, {finished: train, result: failed, params: {of: finished.result, n: 2}}]",
        ),
    ]);
    let release = try_load(&yaml, "local").expect("loaded");
    assert_snapshot!(serde_json::to_string(&release.triggers).expect("JSON"), @r#"[{"on":{"finished":{"pipeline":"train","params":{"of":"run"}}}},{"on":{"finished":{"pipeline":"train","result":"failed","params":{"of":"result"}}},"params":{"n":2}}]"#);
}

#[test]
fn ends_that_are_waited_for_make_sense_and_lead_in_no_circle() {
    assert_snapshot!(problems(&pipelines(&[
        ("train", "[{finished: trian}, {finished: train}, {finished: a, result: won}, {schedule: rate(1 day), result: any}, {finished: 3}]"),
        ("a", "[{finished: c, params: {n: finished.run, of: finished.id}}]"),
        ("b", "[{finished: a, result: any}, {finished: a, schedule: rate(1 day)}]"),
        ("c", "[{finished: b}]"),
    ])), @r"
    liminal.yml:6:27 L0301 there is no pipeline `trian`
      here: did you mean `train`?
      hint: pipelines: a, b, c, train
    liminal.yml:6:46 L0310 pipelines start each other without end: train → train
      here: the end of train starts train here
      hint: take one of these triggers out
    liminal.yml:6:76 L0205 no run ends as `won`
      hint: known are succeeded, failed, rejected, any
    liminal.yml:6:106 L0207 `result` means nothing to a trigger with `schedule`
      liminal.yml:6:83: because of this
      hint: leave it out
    liminal.yml:6:131 L0203 a text is needed for the pipeline, not a whole number
      hint: put it into quotes
    liminal.yml:10:42 L0304 `finished.run` is a text, and parameter `n` has the type int
    liminal.yml:14:27 L0310 pipelines start each other without end: a → b → c → a
      here: the end of a starts b here
      liminal.yml:10:27: the end of c starts a here
      hint: take one of these triggers out
    liminal.yml:14:58 L0207 a trigger waits for one thing, not for `finished` and `schedule`
      liminal.yml:14:45: the other one
      hint: make two triggers of it: each item of the list starts runs of its own
    ");
    assert_snapshot!(problems(&pipelines(&[
        ("train", "[{finished: trian}, {finished: train}]"),
        ("a", "[{finished: c, params: {n: finished.run, of: finished.id}}]"),
        ("b", "[{finished: a, result: any}]"),
        ("c", "[{finished: b}]"),
    ])), @r"
    liminal.yml:6:27 L0301 there is no pipeline `trian`
      here: did you mean `train`?
      hint: pipelines: a, b, c, train
    liminal.yml:6:46 L0310 pipelines start each other without end: train → train
      here: the end of train starts train here
      hint: take one of these triggers out
    liminal.yml:10:42 L0304 `finished.run` is a text, and parameter `n` has the type int
    liminal.yml:14:27 L0310 pipelines start each other without end: a → b → c → a
      here: the end of a starts b here
      liminal.yml:10:27: the end of c starts a here
      hint: take one of these triggers out
    ");
    let part = "project: shop\npipelines:\n  a: {inputs: {i: file}, steps: {s: {run: 'x {{ inputs.i }}', inputs: {i: inputs.i}}}}\n  b: {triggers: [{finished: a}], steps: {s: {run: x, inputs: {o: trigger.object}}}}\n";
    assert_snapshot!(problems(part), @r"
    liminal.yml:4:29 L0306 pipeline a runs only as a part of others, so that no run of it ever ends
      liminal.yml:3:3: the pipeline is here
      hint: wait for a pipeline that contains it
    liminal.yml:4:29 L0306 runs that start when another has ended have no `trigger.object`, and a step needs it
      liminal.yml:4:66: this input
      hint: put the steps that need an object into a pipeline of their own
    ");
}
