//! What is said of definitions that are wrong.

use super::files;
use super::findings;
use super::findings_of_steps;

#[test]
fn references_of_inputs_are_checked() {
    let steps = r#"
fetch: {run: "true", outputs: {raw: raw.csv}, metrics: metrics.json}
bare: {run: "true"}
train:
  run: "true"
  inputs:
    a: fetch.rawe
    b: fetc.raw
    c: fetch
    d: bare.model
    e: params.sed
    f: seed
    g: train.model
    h: data/rates.csv
    i: s3://bucket/key
    j: secrets.key
    k: models.Churn
    l: models.churn@0
    m: models.churn@
    n: ./../outside
    o: run.id
    p: bare
    q: nothing
    fine: fetch.metrics
  outputs: {model: model.bin}
"#;
    insta::assert_snapshot!(findings_of_steps(steps), @r#"
    liminal.yml:13:14 L0301 step fetch has no output `rawe`
      here: did you mean `fetch.raw`?
      liminal.yml:8:7: the step is here
      hint: outputs of fetch: raw, metrics
    liminal.yml:14:14 L0301 there is no step `fetc` in this pipeline
      here: did you mean `fetch.raw`?
      hint: steps: bare, fetch, train, use
    liminal.yml:15:14 L0301 `fetch` is a step, and an input is one of its outputs
      here: write `fetch.raw`
    liminal.yml:16:14 L0301 step bare has no output `model`
      liminal.yml:9:7: the step is here
      hint: step bare declares no outputs; add `outputs: {model: PATH}` to it
    liminal.yml:17:14 L0301 there is no parameter `sed`
      here: did you mean `seed`?
      hint: parameters: seed
    liminal.yml:18:14 L0301 `seed` is a parameter, and an input names what it is
      here: write `params.seed`
    liminal.yml:19:14 L0302 step train waits for itself
      here: a step can not need what it makes
    liminal.yml:20:14 L0301 `data/rates.csv` refers to nothing
      here: for a file of the project write `./data/rates.csv`
      hint: write `STEP.OUTPUT`, `params.NAME`, `models.NAME`, `models.NAME@ALIAS`, `trigger.object` or `./PATH`
    liminal.yml:21:14 L0301 `s3://bucket/key` refers to nothing
      here: addresses can not be inputs in this version
      hint: write `STEP.OUTPUT`, `params.NAME`, `models.NAME`, `models.NAME@ALIAS`, `trigger.object` or `./PATH`
    liminal.yml:22:14 L0404 a secret can not be an input, since inputs are kept
      hint: set it as an environment variable: `env: {NAME: "{{ secrets.key }}"}`
    liminal.yml:23:14 L0204 `Churn` is no model name: it must start with a lower-case letter
      hint: write `models.NAME`, `models.NAME@3` or `models.NAME@ALIAS`
    liminal.yml:24:14 L0204 `0` is no version of a model: they are numbered from 1
      hint: write `models.NAME`, `models.NAME@3` or `models.NAME@ALIAS`
    liminal.yml:25:14 L0204 a version or an alias is missing after `@`
      hint: write `models.NAME`, `models.NAME@3` or `models.NAME@ALIAS`
    liminal.yml:26:14 L0502 `./../outside` is no path below the project
      hint: write `./`, then a path relative to the project, with `/` between its parts
    liminal.yml:27:14 L0301 `run.id` refers to nothing
      hint: write `STEP.OUTPUT`, `params.NAME`, `models.NAME`, `models.NAME@ALIAS`, `trigger.object` or `./PATH`
    liminal.yml:28:14 L0301 `bare` is a step, and an input is one of its outputs
      hint: to wait for bare without data from it, write `after: [bare]`
    liminal.yml:29:14 L0301 `nothing` refers to nothing
      hint: write `STEP.OUTPUT`, `params.NAME`, `models.NAME`, `models.NAME@ALIAS`, `trigger.object` or `./PATH`
    "#);
}

#[test]
fn the_order_of_steps_is_checked() {
    let steps = r#"
a: {run: "true", inputs: {x: c.x}, outputs: {x: x}}
b: {run: "true", inputs: {x: a.x}, outputs: {x: x}}
c: {run: "true", inputs: {x: b.x}, outputs: {x: x}}
d: {run: "true", after: [e, d, ghost, notify]}
e: {run: "true", after: [d]}
f: {gate: metrics.f.x > 1 && metrics.g.x > 1}
g: {run: "true", metrics: m.json, when: metrics.notify.x > 1}
"#;
    let steps = format!("{}\n", steps.trim_end());
    let finally =
        "finally:\n  notify: {run: \"true\", metrics: m.json, after: [a]}\n  g: {run: \"true\", metrics: m.json}";
    let indented = |text: &str, by: usize| -> String {
        text.trim_matches('\n').lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    };
    let definition =
        format!("project: churn\npipelines:\n  train:\n    steps:\n{}{}", indented(&steps, 6), indented(finally, 4));
    insta::assert_snapshot!(findings(&files(&definition)), @r"
    liminal.yml:7:36 L0302 steps wait for each other: b → c → a → b
      here: c waits for b here
      liminal.yml:6:7: the circle goes through this step
      hint: take one of these references out
    liminal.yml:8:32 L0302 steps wait for each other: e → d → e
      here: d waits for e here
      liminal.yml:9:7: the circle goes through this step
      hint: take one of these references out
    liminal.yml:8:35 L0302 step d waits for itself
      here: a step can not need what it makes
    liminal.yml:8:38 L0301 there is no step `ghost` in this pipeline
      hint: steps: a, b, c, d, e, f, g, notify
    liminal.yml:8:45 L0302 step d waits for notify, which starts only after all other steps
      liminal.yml:13:7: it stands under `finally:`
      hint: move d under `finally:` as well
    liminal.yml:10:25 L0302 step f waits for itself
      here: a step can not need what it makes
    liminal.yml:11:55 L0302 step g waits for notify, which starts only after all other steps
      liminal.yml:13:7: it stands under `finally:`
      hint: move g under `finally:` as well
    liminal.yml:14:7 L0104 step g stands under `steps:` and under `finally:`
      liminal.yml:11:7: the other is here
      hint: give one of them another name
    ");
}

#[test]
fn outputs_that_clash_are_reported() {
    let steps = r#"
train:
  run: "true"
  outputs: {model: out/model.bin, folder: out/, twin: OUT/Model.bin, metrics: other.json, roc: curve.csv}
  metrics: metrics.json
  plots: {roc: roc.tiff, same: metrics.json, fine: fine.SVG}
"#;
    insta::assert_snapshot!(findings_of_steps(steps), @r"
    liminal.yml:10:26 L0303 output `model` of step train lies inside output `folder`
      liminal.yml:10:49: the other one is here
    liminal.yml:10:61 L0303 `out/model.bin` and `OUT/Model.bin` are the same place on some machines
      liminal.yml:10:26: the other one is here
    liminal.yml:11:18 L0303 outputs `same` and `metrics` of step train are both `metrics.json`
      liminal.yml:12:38: the other one is here
    liminal.yml:11:18 L0303 step train has two outputs named `metrics`
      liminal.yml:10:76: the other one is here
    liminal.yml:12:17 L0303 step train has two outputs named `roc`
      liminal.yml:10:97: the other one is here
    liminal.yml:12:22 L0205 warning: plot `roc` is of no type that can be shown
      hint: types that can: png, svg, jpg, jpeg, html, json, pdf
    ");
}

#[test]
fn templates_are_checked() {
    let definition = r#"
project: churn
params: {seed: 1}
secrets: {key: env:KEY}
env: {A: "{{ inputs.data }}", B: "{{ params.sed }}", C: "{{ secrets.key }}"}
pipelines:
  train:
    env: {D: "x {{ secrets.key }}"}
    steps:
      fetch: {run: "true", outputs: {raw: raw.csv}}
      train:
        run: ["true", "{{ inputs.dat }}", "{{ outputs.modle }}", "{{ params.seeds }}", "{{ secrets.key }}", "{{ params.seed }}{{ run.id }}"]
        inputs: {data: fetch.raw}
        outputs: {model: model.bin}
        env: {E: "{{ secrets.kye }}", F: "Bearer {{ secrets.key }}", G: "{{ secrets.key }}", H: "{{ outputs.model }}"}
      bare: {run: ["true", "{{ inputs.data }}"]}
"#;
    insta::assert_snapshot!(findings(&files(definition)), @r#"
    liminal.yml:5:10 L0301 `inputs.data` stands in the environment of several steps
      hint: inputs and outputs belong to one step: move this variable to its `env:`
    liminal.yml:5:34 L0301 there is no parameter `sed`
      here: did you mean `seed`?
      hint: parameters: seed
    liminal.yml:8:14 L0404 secret key is only a part of this value, so that it could not be hidden in logs
      hint: make it the whole of an environment variable: `env: {NAME: "{{ secrets.key }}"}`
    liminal.yml:12:23 L0301 step train has no input `dat`
      here: did you mean `inputs.data`?
      hint: inputs of train: data
    liminal.yml:12:43 L0301 step train has no output `modle`
      here: did you mean `outputs.model`?
      hint: outputs of train: model
    liminal.yml:12:66 L0301 there is no parameter `seeds`
      here: did you mean `seed`?
      hint: parameters: seed
    liminal.yml:12:88 L0404 secret key stands in an argument, where every process can read it
      hint: make it the whole of an environment variable: `env: {NAME: "{{ secrets.key }}"}`
    liminal.yml:15:18 L0301 there is no secret `kye`
      here: did you mean `key`?
      hint: secrets: key
    liminal.yml:15:42 L0404 secret key is only a part of this value, so that it could not be hidden in logs
      hint: make it the whole of an environment variable: `env: {NAME: "{{ secrets.key }}"}`
    liminal.yml:16:28 L0301 step bare has no input `data`
      hint: step bare declares no inputs
    "#);
}

#[test]
fn expressions_are_checked_in_place() {
    let steps = r#"
train: {run: "true", metrics: metrics.json}
plain: {run: "true"}
a: {gate: metrics.train.auc > }
b: {gate: [metrics.train.auc, "metrics.trian.auc > 0.9", 'metrics.plain.auc > 0.9']}
c: {gate: params.sed > 1 && auc > 0.9}
d: {run: "true", when: params.seed == 'x'}
e:
  gate:
    - metrics["train"].auc > params.seed + 0.5
    - >-
      metrics.train.auc
      > nothing
"#;
    insta::assert_snapshot!(findings_of_steps(steps), @r"
    liminal.yml:10:36 L0401 this expression can not be read: it ends too early
    liminal.yml:11:18 L0402 this expression does not work: it gives a float, and `true` or `false` is needed
    liminal.yml:11:46 L0301 there is no step `trian` in this pipeline
      here: did you mean `train`?
      hint: steps: a, b, c, d, e, plain, train, use
    liminal.yml:11:73 L0301 step plain declares no metrics
      liminal.yml:9:7: the step is here
      hint: add `metrics: metrics.json` to plain and let it write a flat JSON object of numbers
    liminal.yml:12:24 L0301 there is no parameter `sed`
      here: did you mean `seed`?
      hint: parameters: seed
    liminal.yml:12:35 L0301 `auc` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id`
    liminal.yml:13:42 L0402 this expression does not work: an int never equals a string
    liminal.yml:18:13 L0301 `nothing` is not known; known are `metrics.STEP.METRIC`, `params.NAME` and `run.id`
    ");
}

#[test]
fn registrations_take_an_output() {
    let steps = r#"
train: {run: "true", outputs: {model: model.bin}}
a: {register: {model: churn, artifact: train.modell}}
b: {register: {model: churn, artifact: params.seed}}
c: {register: {model: churn, artifact: ./train.py}}
d: {register: {model: churn, artifact: train.model}}
"#;
    insta::assert_snapshot!(findings_of_steps(steps), @r"
    liminal.yml:9:46 L0301 step train has no output `modell`
      here: did you mean `train.model`?
      liminal.yml:8:7: the step is here
      hint: outputs of train: model
    liminal.yml:10:46 L0205 `params.seed` is no output of a step, and only these become model versions
      hint: write the step and its output, as in `train.model`
    liminal.yml:11:46 L0205 `./train.py` is no output of a step, and only these become model versions
      hint: write the step and its output, as in `train.model`
    ");
}

#[test]
fn parameters_that_nothing_uses_are_warned_of() {
    let definition = r#"
project: churn
params: {used: 1, unused: 2, by_env: 3, by_when: 4}
pipelines:
  train:
    params: {own: 1, used: 5}
    steps:
      train: {run: "true {{ params.used }}", env: {X: "{{ params.by_env }}"}, when: params.by_when > 3}
  other:
    steps:
      train: {run: "true"}
"#;
    insta::assert_snapshot!(findings(&files(definition)), @r"
    liminal.yml:3:19 L0305 warning: parameter unused has no effect
      here: no step of any pipeline uses it
      hint: give it to a step: `inputs: {unused: params.unused}`, or `{{ params.unused }}` in an argument
    liminal.yml:6:14 L0305 warning: parameter own has no effect
      here: no step of this pipeline uses it
      hint: give it to a step: `inputs: {own: params.own}`, or `{{ params.own }}` in an argument
    ");
}

#[test]
fn problems_of_reading_and_of_resolving_come_in_one_report() {
    let definition = r#"
project: churn
colour: red
pipelines:
  train:
    steps:
      train: {call: "steps.trian:train", inputs: {data: fetch.raw}, timeout: soon}
"#;
    insta::assert_snapshot!(findings(&files(definition)), @"
    liminal.yml:3:1 L0201 a project has no key `colour`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:7:21 L0501 steps/trian.py is not in the project
      here: did you mean `steps/train.py`?
      hint: a file counts as part of the project unless git ignores it; outside of `local` it must be committed
    liminal.yml:7:57 L0301 there is no step `fetch` in this pipeline
      hint: steps: train
    liminal.yml:7:78 L0205 the timeout can not be read
      hint: write a number and a unit: 500ms, 30s, 5m, 2h, 1d
    ");
}
