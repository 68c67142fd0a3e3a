//! Findings about keys, types, names and values.

use insta::assert_snapshot;

use crate::rendering::findings;

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_snapshot!(findings(r#"
project: p
pipeline_s: {}
pipelines: {p: {steps: {s: {timout: 1s, run: [echo]}}}}
"#), @r"
    liminal.yml:3:1 L0201 a project has no key `pipeline_s`
      here: did you mean `pipelines`?
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:29 L0201 a step has no key `timout`
      here: did you mean `timeout`?
      hint: known keys: phase, description, run, call, gate, register, pipeline, params, code, inputs, outputs, metrics, plots, map, after, when, retries, timeout, resources, compute, image, cache, env, python
    ");
}

#[test]
fn missing_keys_are_named_at_what_lacks_them() {
    assert_snapshot!(findings(r#"
owner: me
pipelines:
  p:
    steps:
      r:
        register: {model: m}
  q: {}
"#), @r#"
    liminal.yml:2:1 L0202 a project needs the key `project`
      here: `project` is missing
    liminal.yml:7:9 L0202 a registration needs the key `artifact`
      here: `artifact` is missing
    liminal.yml:8:3 L0202 a pipeline needs the key `steps`
      here: `steps` is missing
    "#);
}

#[test]
fn types_are_checked() {
    assert_snapshot!(findings(r#"
project: p
owner: 3
keep: many
params: [a]
env: {A: [b], B: 1.10}
python: {version: 3.10}
include: a.yml
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:3:8 L0203 a text is needed for the owner, not a whole number
      hint: put it into quotes
    liminal.yml:4:7 L0203 a whole number is needed for the number of retired releases kept, not a text
    liminal.yml:5:9 L0203 a map is needed for the parameters, not a list
      hint: write `name: value` without the dash
    liminal.yml:6:10 L0203 a text is needed for an environment variable, not a list
    liminal.yml:6:18 L0203 a text is needed for an environment variable, not a number
      hint: put it into quotes
    liminal.yml:7:19 L0203 a text is needed for the python version, not a number
      hint: put it into quotes: without them 3.10 is the number 3.1
    liminal.yml:8:10 L0203 a list is needed for `include`, not a text
      hint: put it into brackets: [...]
    "#);
}

#[test]
fn names_are_checked_and_a_better_one_is_shown() {
    assert_snapshot!(findings(r#"
project: My Project
pipelines:
  Train.It:
    steps:
      params: {run: [echo]}
      ../x: {run: [echo]}
      a;rm -rf: {run: [echo], outputs: {a-b: x}}
      xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: {run: [echo]}
"#), @r#"
    liminal.yml:2:10 L0204 `My Project` is no project name: it must start with a lower-case letter
      hint: `my_project` would do
    liminal.yml:4:3 L0204 `Train.It` is no pipeline name: it must start with a lower-case letter
      hint: `train_it` would do
    liminal.yml:6:7 L0204 `params` is no step name: it has a meaning of its own in references
    liminal.yml:7:7 L0204 `../x` is no step name: it must start with a lower-case letter
      hint: `x` would do
    liminal.yml:8:7 L0204 `a;rm -rf` is no step name: only lower-case letters, digits, `-` and `_` are allowed
      hint: `a_rm_rf` would do
    liminal.yml:8:41 L0204 `a-b` is no name: only lower-case letters, digits and `_` are allowed
      hint: `a_b` would do
    liminal.yml:9:7 L0204 `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is no step name: it has more than 40 characters
      hint: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` would do
    "#);
}

#[test]
fn values_are_checked() {
    assert_snapshot!(findings(r#"
project: p
keep: 1000
secrets: {a: hunter2, b: 'ssm:/x', c: 'env:LIMINAL_X'}
env: {1A: x, LIMINAL_RUN: y}
python: {version: latest}
environments: {staging: {platform: aws}, prod: {platform: gcp}}
pipelines:
  p:
    steps:
      s:
        run: [echo]
        phase: trian
        timeout: 5 parsecs
        retries: {max: -1, jitter: 2, on: [usr], backoff: 2h}
        resources: {memory: lots, cpu: 0}
        cache: {max_age: 0}
      t: {call: steps/train.py}
      u: {gate: []}
      v: {run: []}
      w: {run: "echo 'open"}
  q: {steps: {}}
"#), @r#"
    liminal.yml:3:7 L0205 the number of retired releases kept is 1000
      hint: from 0 to 100 is allowed
    liminal.yml:4:14 L0205 the secret `a` is no reference
      hint: write `a: env:NAME`, with the environment variable that holds it; on AWS `secretsmanager:NAME` or `ssm:/NAME`
    liminal.yml:4:39 L0205 the secret `c` names no environment variable: names that begin with LIMINAL_ are set by liminal
      hint: write `c: env:NAME`, with the environment variable that holds it
    liminal.yml:5:7 L0204 `1A` is no environment variable: only letters, digits and `_` are allowed, and no digit first
    liminal.yml:5:14 L0204 `LIMINAL_RUN` is no environment variable: names that begin with LIMINAL_ are set by liminal
    liminal.yml:6:19 L0205 `latest` is no python version
      hint: write "3.11" for that one, or ">=3.10" for that or a newer one
    liminal.yml:7:16 L0202 the environment `staging` is on AWS, and needs the key `region`
      here: `region` is missing
      hint: write it as AWS does: `region: eu-central-1`
    liminal.yml:7:59 L0205 the platform can not be `gcp`
      hint: one of local, aws is allowed
    liminal.yml:13:16 L0205 `trian` is no phase
      here: did you mean `train`?
      hint: known phases: fetch, clean, prepare, train, evaluate, validate, deploy, inference, consume
    liminal.yml:14:18 L0205 the timeout can not be read
      hint: write a number and a unit: 500ms, 30s, 5m, 2h, 1d
    liminal.yml:15:24 L0205 the number of retries is -1
      hint: from 0 to 100 is allowed
    liminal.yml:15:36 L0205 the jitter is 2
      hint: a share from 0 to 1 is allowed
    liminal.yml:15:44 L0205 `usr` is no class of failure that can be retried
      here: did you mean `user`?
      hint: known classes: user, timeout, infrastructure, throttled
    liminal.yml:15:59 L0205 the backoff is longer than an hour
      hint: it doubles with each retry anyway
    liminal.yml:16:29 L0205 the memory can not be read
      hint: write a number and a unit: 512MiB, 2GiB, 500MB, 1GB
    liminal.yml:16:40 L0205 the number of job slots is 0
      hint: from 1 to 1024 is allowed
    liminal.yml:17:26 L0205 the greatest age is shorter than a second
      hint: a second is the least
    liminal.yml:18:17 L0205 `steps/train.py` names no python function
      hint: write `module:function`, as in `steps.train:train` for train() in steps/train.py
    liminal.yml:19:11 L0205 the gate checks nothing
    liminal.yml:20:11 L0205 `run` names no program
    liminal.yml:21:16 L0205 a quote in `run` is not closed
      hint: close it, or write the arguments as a list
    liminal.yml:22:3 L0205 pipeline `q` has no steps
      hint: give it one, or leave it out
    "#);
}

#[test]
fn a_step_executes_in_exactly_one_way() {
    assert_snapshot!(findings(r#"
project: p
pipelines:
  p:
    steps:
      none: {phase: train}
      both:
        run: [echo]
        call: a:b
"#), @r"
    liminal.yml:6:7 L0206 step `none` has no way to execute
      here: nothing says what it does
      hint: give it one of run, call, gate, register, pipeline
    liminal.yml:9:9 L0206 step `both` has several ways to execute: `run`, `call`
      here: one too many
      liminal.yml:8:9: the other one
      hint: keep one of them; what must happen before or after is a step of its own
    ");
}

#[test]
fn a_gate_and_a_registration_have_no_process() {
    assert_snapshot!(findings(r#"
project: p
pipelines:
  p:
    steps:
      g: {gate: params.x, outputs: {a: b}, env: {A: b}}
      r: {register: {model: m, artifact: s.a}, resources: {cpu: 2}}
"#), @r#"
    liminal.yml:6:27 L0207 `outputs` means nothing to step `g`, which is a `gate`
      liminal.yml:6:11: because of this
      hint: a gate reads `metrics.<step>.<name>` and `params.<name>` in its expressions, and starts no process
    liminal.yml:6:44 L0207 `env` means nothing to step `g`, which is a `gate`
      liminal.yml:6:11: because of this
      hint: a gate reads `metrics.<step>.<name>` and `params.<name>` in its expressions, and starts no process
    liminal.yml:7:48 L0207 `resources` means nothing to step `r`, which is a `register`
      liminal.yml:7:11: because of this
      hint: a registration takes its model from `artifact:`, and starts no process
    "#);
}

#[test]
fn a_shell_is_not_used() {
    assert_snapshot!(findings(r#"
project: p
pipelines: {p: {steps: {s: {run: "sort $HOME/x | uniq > out"}, t: {run: "echo a|b"}}}}
"#), @r#"
    liminal.yml:3:40 L0205 warning: `$HOME/x` reaches the program as it is: no shell is used
      here: an argument like any other
      hint: to use a shell, say so: run: ["sh", "-c", "…"]
      hint: if it is meant as it is, write the arguments as a list
    "#);
}

#[test]
fn parameters_fit_their_declaration() {
    assert_snapshot!(findings(r#"
project: p
params:
  a: {type: int, default: 1.5}
  b: {type: float, default: 2, max: 1}
  c: {type: string, choices: [x, y], default: z}
  d: {type: string, min: 1}
  e: {type: int, min: 2, max: 1, choices: []}
  f: {type: number}
  g:
  h: {type: bool, default: "true"}
  i: {default: 3, max: 4}
pipelines: {p: {steps: {s: {run: [echo]}}}}
"#), @r#"
    liminal.yml:4:27 L0304 the default of parameter `a` is not allowed: `1.5` is no int
    liminal.yml:5:29 L0304 the default of parameter `b` is not allowed: 2.0 is above the maximum of 1
    liminal.yml:6:47 L0304 the default of parameter `c` is not allowed: `z` is none of x, y
    liminal.yml:7:21 L0304 `min` means nothing for a parameter of type string
      hint: only numbers have bounds
    liminal.yml:8:18 L0304 the minimum 2 is above the maximum 1
    liminal.yml:8:34 L0304 `choices` allows no value at all
      hint: leave `choices` out, or fill it
    liminal.yml:9:13 L0205 `number` is no type of a parameter
      here: did you mean `int`?
      hint: known types: string, int, float, bool, list, map
    liminal.yml:10:3 L0202 the parameter `g` has neither value nor type
      hint: write a default, or the type of what every run must set: `g: {type: int}`
    liminal.yml:11:28 L0304 the default of parameter `h` is not allowed: `true` is no bool
      hint: leave the quotes out
    liminal.yml:12:6 L0304 warning: the parameter `i` is a map with these keys, since it has no `type`
      hint: add `type:` to declare a parameter with bounds
    "#);
}

#[test]
fn a_template_error_has_its_place() {
    assert_snapshot!(findings(r#"
project: p
pipelines:
  p:
    steps:
      s:
        run: python ä {{ inputs.x }} {{ input.y }}
        env: {A: "x {{ params.Y }}", B: '{{ run.id'}
"#), @"
    liminal.yml:7:38 L0403 `input.y` is no reference: known are inputs.NAME, outputs.NAME, params.NAME, secrets.NAME, run.id, run.scheduled_time, run.partition and step.name
    liminal.yml:8:21 L0403 `Y` is no name: it must start with a lower-case letter
    liminal.yml:8:42 L0403 `{{` without `}}`
    ");
}

#[test]
fn paths_of_outputs_stay_inside_their_folder() {
    assert_snapshot!(findings(r#"
project: p
python: {root: ../up, requirements: /etc/passwd}
pipelines:
  p:
    steps:
      s:
        run: [echo]
        outputs: {a: ../x, b: /abs, c: '', d: 'a\b', e: ., f: a//b, g: C:x}
        metrics: ~/m.json
"#), @r#"
    liminal.yml:3:16 L0502 the import root has `..` in it
      hint: write a path relative to the project folder, with `/` between its parts
    liminal.yml:3:37 L0502 the requirements file is absolute
      hint: write a path relative to the project folder, with `/` between its parts
    liminal.yml:9:22 L0502 the path of an output has `..` in it
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:9:31 L0502 the path of an output is absolute
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:9:40 L0502 the path of an output is empty
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:9:47 L0502 the path of an output has a backslash
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:9:57 L0502 the path of an output is the whole of the step's output folder
      hint: name something below it
    liminal.yml:9:63 L0502 the path of an output has an empty part
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:9:72 L0502 the path of an output names a drive
      hint: write a path relative to the step's output folder, with `/` between its parts
    liminal.yml:10:18 L0502 the metrics file is absolute
      hint: write a path relative to the step's output folder, with `/` between its parts
    "#);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    assert_snapshot!(findings(r#"
project: p
"\e[31mred": x
pipelines: {"\u0007": {steps: {s: {run: [echo]}}}}
"#), @r"
    liminal.yml:3:1 L0201 a project has no key `\u{1b}[31mred`
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:13 L0204 `\u{7}` is no pipeline name: it must start with a lower-case letter
    ");
}

#[test]
fn five_mistakes_give_five_findings() {
    assert_snapshot!(findings(r#"
project: p
ownr: me
params: {seed: {type: int, default: x}}
pipelines:
  p:
    steps:
      s: {run: [echo], timeout: soon}
      t: {phase: train}
      T: {run: [echo]}
"#), @r"
    liminal.yml:3:1 L0201 a project has no key `ownr`
      here: did you mean `owner`?
      hint: known keys: project, owner, description, extends, include, environments, python, params, secrets, env, defaults, keep, policies, pipelines
    liminal.yml:4:37 L0304 the default of parameter `seed` is not allowed: `x` is no int
    liminal.yml:8:33 L0205 the timeout can not be read
      hint: write a number and a unit: 500ms, 30s, 5m, 2h, 1d
    liminal.yml:9:7 L0206 step `t` has no way to execute
      here: nothing says what it does
      hint: give it one of run, call, gate, register, pipeline
    liminal.yml:10:7 L0204 `T` is no step name: it must start with a lower-case letter
      hint: `t` would do
    ");
}
