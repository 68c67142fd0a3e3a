//! Pipelines in pipelines: what becomes of them, and what is said of those that make no sense.

use insta::assert_snapshot;
use liminal_schemas::definition::load;
use liminal_schemas::definition::resolve::Resolved;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::Release;
use liminal_schemas::skipping;
use liminal_schemas::skipping::SkipRule;
use liminal_schemas::step::StepSpec;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

fn files(yaml: &str) -> MemoryFiles {
    let files = MemoryFiles::new().with("liminal.yml", yaml);
    ["data/rows.csv", "data/more.csv", "work.py"].into_iter().fold(files, |files, path| files.with(path, path))
}

fn resolved(yaml: &str) -> Resolved {
    match load(&files(yaml), "liminal.yml", None) {
        Ok(loaded) => loaded.resolved,
        Err(report) => panic!("{}", render(&report)),
    }
}

fn problems(yaml: &str) -> String {
    match load(&files(yaml), "liminal.yml", None) {
        Ok(loaded) => render(&loaded.report),
        Err(report) => render(&report),
    }
}

fn release<'r>(resolved: &'r Resolved, pipeline: &str) -> &'r Release {
    &resolved.releases[&PipelineName::new(pipeline).expect("valid")]
}

fn step<'r>(release: &'r Release, step: &str) -> &'r StepSpec {
    &release.steps[&StepName::new(step).expect("valid")]
}

/// What steps wait for, and what their names stand for: a line each.
fn shown(release: &Release) -> String {
    let line = |(name, spec): (&StepName, &StepSpec)| {
        let mut parts: Vec<String> = vec![name.to_string()];
        let inputs: Vec<String> = spec.inputs.iter().map(|(name, source)| format!("{name}={source}")).collect();
        let after: Vec<&str> = spec.after.iter().map(StepName::as_str).collect();
        let reads: Vec<&str> = spec.reads_metrics.iter().map(StepName::as_str).collect();
        for (what, all) in [("inputs", inputs.join(" ")), ("after", after.join(" ")), ("reads", reads.join(" "))] {
            if !all.is_empty() {
                parts.push(format!("{what} {all}"));
            }
        }
        if !spec.names.is_empty() {
            parts.push(format!("names {}", serde_json::to_string(&spec.names).expect("JSON")));
        }
        for outer in &spec.within {
            parts.push(format!("within {}", serde_json::to_string(outer).expect("JSON")));
        }
        if spec.finally {
            parts.push("finally".to_owned());
        }
        parts.join(" | ")
    };
    release.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

const PROJECT: &str = r#"
project: churn
params: {seed: 42}
pipelines:
  train:
    params: {share: 0.2, full: true}
    steps:
      fetch: {run: "cp a {{ outputs.rows }}", outputs: {rows: rows.csv}}
      before: {run: "true"}
      features:
        pipeline: features
        inputs: {rows: fetch.rows}
        params: {share: params.share, mode: exact}
        after: [before]
        when: params.full
      fit: {run: "fit {{ inputs.table }}", inputs: {table: features.table, shards: features.shards}}
      good: {gate: "metrics.features.rows > 10 && params.seed > 0"}
      last: {run: "true", after: [features]}
    finally:
      tell: {run: "true"}
  features:
    params: {share: {type: float, default: 0.5, max: 1}, mode: {type: string, default: fast, choices: [fast, exact]}, depth: 3}
    inputs: {rows: ./data/rows.csv}
    outputs: {table: clean.table, shards: split.shards, metrics: clean.metrics}
    triggers: [{schedule: rate(1 day)}]
    deadline: 1h
    env: {MODE: "{{ params.mode }}"}
    steps:
      clean:
        run: "clean {{ inputs.rows }} {{ params.share }} {{ params.seed }} {{ step.name }}"
        inputs: {rows: inputs.rows}
        outputs: {table: table.csv}
        metrics: metrics.json
      enough: {gate: metrics.clean.rows > params.depth}
      split: {pipeline: split, inputs: {table: clean.table}, params: {by: params.depth}, after: [enough]}
    finally:
      sweep: {run: "true"}
  split:
    params: {by: {type: int}}
    inputs: {table: file}
    outputs: {shards: cut.shards}
    steps:
      cut: {run: "cut {{ inputs.table }} {{ params.by }}", inputs: {table: inputs.table}, outputs: {shards: shards/}}
      each: {map: cut.shards, run: "true"}
"#;

#[test]
fn a_step_that_is_a_pipeline_becomes_the_steps_of_that_pipeline() {
    let resolved = resolved(PROJECT);
    let train = release(&resolved, "train");
    assert_snapshot!(shown(train), @r#"
    before
    features/clean | inputs rows=fetch.rows | after before | names {"params":{"mode":{"value":"exact"}}} | within {"step":"features","when":"params.full","reads_params":["full"]}
    features/enough | reads features/clean | names {"params":{"depth":{"value":3}},"metrics":{"clean":"features/clean"}} | within {"step":"features","when":"params.full","reads_params":["full"]}
    features/split/cut | inputs table=features/clean.table | after features/enough | names {"params":{"by":{"value":3}}} | within {"step":"features","when":"params.full","reads_params":["full"]}
    features/split/each | within {"step":"features","when":"params.full","reads_params":["full"]}
    features/sweep | names {"params":{"mode":{"value":"exact"}}} | within {"step":"features","when":"params.full","reads_params":["full"]} | finally
    fetch
    fit | inputs shards=features/split/cut.shards table=features/clean.table
    good | reads features/clean | names {"metrics":{"features":"features/clean"}}
    last | after features/split/each
    tell | finally
    "#);
    assert_snapshot!(shown(release(&resolved, "features")), @r#"
    clean | inputs rows=./data/rows.csv
    enough | reads clean
    split/cut | inputs table=clean.table | after enough | names {"params":{"by":{"param":"depth"}}}
    split/each
    sweep | finally
    "#);
    assert!(train.triggers.is_empty() && train.runs.deadline_seconds.is_none(), "these are the other pipeline's own");
    assert_eq!(resolved.releases.len(), 2, "a pipeline that must be given something runs only as a part of others");
    let clean = serde_json::to_string(&step(train, "features/clean").action).expect("JSON");
    assert!(clean.contains("features/clean"), "{clean}");
    assert_eq!(resolved.releases, self::resolved(PROJECT).releases);
}

#[test]
fn what_a_part_makes_is_known_by_the_same_key_as_by_itself() {
    let parts = |pipeline: &str, name: &str| {
        let resolved = resolved(&PROJECT.replace(" {{ step.name }}", ""));
        let spec = step(release(&resolved, pipeline), name).clone();
        let params =
            [("seed", 42.into()), ("share", serde_json::json!(0.2)), ("mode", "exact".into()), ("full", true.into())];
        let params = params.map(|(name, value): (_, serde_json::Value)| {
            (
                liminal_schemas::name::FieldName::new(name).expect("valid"),
                serde_json::from_value(value).expect("a value"),
            )
        });
        let params = spec.names.params(&params.into()).into_owned();
        let context = liminal_schemas::cache_key::KeyContext { params, ..Default::default() };
        liminal_schemas::cache_key::CacheKeyParts::new(&spec, context)
    };
    let (inside, alone) = (parts("train", "features/clean"), parts("features", "clean"));
    assert_eq!(inside.params, alone.params);
    // By itself it has the file of the project in its package.
    assert_eq!((inside.action, inside.env, inside.outputs), (alone.action, alone.env, alone.outputs));
}

#[test]
fn what_a_pipeline_is_given_and_what_it_leaves_is_checked_with_both_places() {
    assert_snapshot!(problems(
        r#"
project: churn
params: {seed: 42}
pipelines:
  train:
    params: {name: x, share: 0.2}
    steps:
      fetch: {run: "true", outputs: {rows: rows.csv, all: all/}}
      a: {pipeline: featurs}
      b: {pipeline: features, params: {shar: 0.1, depth: params.name, mode: slow}, inputs: {row: fetch.rows, rows: fetch.all}}
      c: {pipeline: features, params: {depth: params.dept}, inputs: {rows: params.share}}
      d: {pipeline: features, timeout: 5m, outputs: {o: o.csv}, map: [1], phase: train}
      e: {run: "true", params: {x: 1}}
      f: {run: "true", inputs: {x: b.tabel, y: inputs.rows, z: b.metrics}, when: metrics.b.n > 1}
      g: {run: "true", inputs: {x: a.table}, after: [a]}
      h: {run: "true", pipeline: features}
  features:
    params: {depth: {type: int}, mode: {type: string, default: fast, choices: [fast]}}
    inputs: {rows: file, other: fetch.rows, model: models.churn}
    outputs: {table: clean.tabl, gone: cleen.table, end: last.o, metrics: clean.table, numbers: clean.metrics}
    triggers: [{schedule: rate(1 day)}]
    steps:
      clean: {run: "true {{ params.depth }} {{ params.mode }}", inputs: {a: inputs.rows, b: inputs.row, c: inputs.model}, outputs: {table: t.csv}, metrics: m.json}
    finally:
      last: {run: "true", outputs: {o: o.csv}}
"#
    ), @r"
    liminal.yml:3:10 L0305 warning: parameter seed has no effect
      here: no step of any pipeline uses it
      hint: give it to a step: `inputs: {seed: params.seed}`, or `{{ params.seed }}` in an argument
    liminal.yml:6:23 L0305 warning: parameter share has no effect
      here: no step of this pipeline uses it
      hint: give it to a step: `inputs: {share: params.share}`, or `{{ params.share }}` in an argument
    liminal.yml:9:21 L0301 there is no pipeline `featurs`
      here: did you mean `features`?
      hint: pipelines: features, train
    liminal.yml:10:40 L0301 the pipeline has no parameter `shar`
      liminal.yml:17:3: the pipeline is here
      hint: its parameters: depth, mode, seed
    liminal.yml:10:58 L0304 the value of parameter `depth` is not allowed: `params.name` has the type string, and int is needed
    liminal.yml:10:77 L0304 the value of parameter `mode` is not allowed: `slow` is none of fast
      hint: a parameter of this pipeline is passed on by `params.NAME`
    liminal.yml:10:93 L0301 the pipeline has no input `row`
      here: did you mean `rows`?
      liminal.yml:17:3: the pipeline is here
      hint: its inputs: model, other, rows
    liminal.yml:10:116 L0205 the input `rows` is a file, and this is a directory
      liminal.yml:19:14: it is declared here
    liminal.yml:11:47 L0301 there is no parameter `dept`
      hint: parameters: name, seed, share
    liminal.yml:11:76 L0205 `params.share` is a parameter, and the inputs of a pipeline are files
      hint: pass it on under `params:`: `{rows: params.share}`
    liminal.yml:12:7 L0202 step d does not give the input `rows`, which the pipeline needs
      liminal.yml:19:14: it is declared here
      hint: give it: `inputs: {rows: STEP.OUTPUT}`
    liminal.yml:12:7 L0202 step d gives parameter `depth` no value, and it has no default
      liminal.yml:18:14: it is declared here
      hint: set it: `params: {depth: VALUE}`
    liminal.yml:12:31 L0207 `timeout` means nothing to step `d`, which is a `pipeline`
      liminal.yml:12:11: because of this
      hint: write it in the pipeline itself: a step that is a pipeline has `params`, `inputs`, `after` and `when`
    liminal.yml:12:44 L0207 `outputs` means nothing to step `d`, which is a `pipeline`
      liminal.yml:12:11: because of this
      hint: write it in the pipeline itself: a step that is a pipeline has `params`, `inputs`, `after` and `when`
    liminal.yml:12:65 L0207 `map` means nothing to step `d`, which is a `pipeline`
      liminal.yml:12:11: because of this
      hint: write it in the pipeline itself: a step that is a pipeline has `params`, `inputs`, `after` and `when`
    liminal.yml:12:75 L0207 `phase` means nothing to step `d`, which is a `pipeline`
      liminal.yml:12:11: because of this
      hint: write it in the pipeline itself: a step that is a pipeline has `params`, `inputs`, `after` and `when`
    liminal.yml:13:24 L0207 `params` means nothing to step `e`, which is a `run`
      liminal.yml:13:11: because of this
      hint: only a step that is a `pipeline:` is given parameters; others name them: `inputs: {NAME: params.NAME}`
    liminal.yml:14:36 L0301 step b has no output `tabel`
      liminal.yml:10:7: the step is here
      hint: outputs of b: numbers
    liminal.yml:14:48 L0301 pipeline train has no input `rows`
      hint: declare what it is given: `pipelines: {train: {inputs: {rows: file}}}`
    liminal.yml:14:64 L0301 step b has no output `metrics`
      liminal.yml:10:7: the step is here
      hint: outputs of b: numbers
    liminal.yml:14:90 L0301 step b declares no metrics
      liminal.yml:10:7: the step is here
      hint: name those of one of its steps in the pipeline that it is: `outputs: {metrics: STEP.metrics}`
    liminal.yml:16:24 L0206 step `h` has several ways to execute: `run`, `pipeline`
      here: one too many
      liminal.yml:16:11: the other one
      hint: keep one of them; what must happen before or after is a step of its own
    liminal.yml:19:33 L0301 `fetch.rows` is nothing that a pipeline could take when nothing is given to it
      hint: write `./PATH`, `models.NAME` or `trigger.object`; or `file` or `directory` when it must be given
    liminal.yml:20:22 L0301 step clean has no output `tabl`
      here: did you mean `clean.table`?
      liminal.yml:23:7: the step is here
      hint: outputs of clean: table, metrics
    liminal.yml:20:40 L0301 there is no step `cleen` in this pipeline
      here: did you mean `clean.table`?
      hint: steps: clean, last
    liminal.yml:20:58 L0205 step last stands under `finally:`, so that nothing can wait for what it leaves
      liminal.yml:25:7: the step is here
    liminal.yml:20:75 L0205 the output `metrics` of a pipeline is the metrics file of a step
      hint: write `metrics: STEP.metrics`, or give it another name
    liminal.yml:21:27 L0306 pipeline features runs only as a part of others, since it must be given its inputs
      hint: give its inputs a default, or put the trigger into the pipeline that contains it
    liminal.yml:21:27 L0306 runs that this trigger starts have no value for depth, and need one
      hint: set it here, `params: {depth: VALUE}`, or give the parameter a default
    liminal.yml:23:93 L0301 pipeline features has no input `row`
      here: did you mean `inputs.rows`?
      hint: its inputs: model, other, rows
    ");
}

#[test]
fn no_pipeline_contains_itself_and_none_grows_beyond_all_bounds() {
    assert_snapshot!(problems(
        "project: churn\npipelines:\n  a: {steps: {x: {pipeline: b}, y: {run: 'true', inputs: {i: x.o}}}}\n  b: {steps: {x: {pipeline: c}}}\n  c: {steps: {x: {pipeline: a}, z: {run: 'true'}}}\n  d: {steps: {x: {pipeline: d}}}\n  e: {steps: {x: {pipeline: a}}}\n"
    ), @r"
    liminal.yml:3:62 L0301 step x has no output `o`
      liminal.yml:3:15: the step is here
      hint: the pipeline that it is declares no outputs; add `outputs: {o: STEP.OUTPUT}` to that
    liminal.yml:5:29 L0309 a pipeline can not contain itself: a → b → c → a
      here: c contains a here
      liminal.yml:3:29: a contains b here
      hint: take one of these steps out
    liminal.yml:6:29 L0309 a pipeline can not contain itself: d → d
      here: d contains d here
      hint: take one of these steps out
    ");
    let mut chain = "project: churn\npipelines:\n  p0: {steps: {s: {run: 'true'}}}\n".to_owned();
    for number in 1..=10 {
        chain.push_str(&format!("  p{number}: {{steps: {{s: {{pipeline: p{}}}}}}}\n", number - 1));
    }
    assert_snapshot!(problems(&chain), @"liminal.yml:12:30 L0205 pipelines lie in each other more than 8 deep here");
    let steps: Vec<String> = (0..200).map(|number| format!("s{number}: {{run: 'true'}}")).collect();
    let wide = format!(
        "project: churn\npipelines:\n  p0: {{steps: {{{}}}}}\n  p1: {{steps: {{a: {{pipeline: p0}}, b: {{pipeline: p0}}, c: {{pipeline: p0}}, d: {{pipeline: p0}}, e: {{pipeline: p0}}, f: {{pipeline: p0}}}}}}\n",
        steps.join(", ")
    );
    assert_snapshot!(problems(&wide), @r"
    liminal.yml:4:106 L0205 pipeline p1 has 1001 steps with those of p0, more than 1000
    liminal.yml:4:125 L0205 pipeline p1 has 1001 steps with those of p0, more than 1000
    ");
    assert_snapshot!(problems(
        "project: churn\npipelines:\n  a: {steps: {x: {pipeline: b}, x--y: {run: 'true'}}}\n  b: {steps: {y: {run: 'true'}}}\n"
    ), @r"
    liminal.yml:3:15 L0104 steps x--y and x/y would have the same name in the cloud
      liminal.yml:3:33: the other is here
      hint: give one of them another name
    ");
}

#[test]
fn many_pipelines_that_contain_a_large_one_are_refused_in_time() {
    let steps: Vec<String> = (0..900).map(|number| format!("s{number}: {{run: 'true'}}")).collect();
    let mut text = format!("project: churn\npipelines:\n  p: {{steps: {{{}}}}}\n", steps.join(", "));
    for number in 0..5000 {
        text.push_str(&format!("  q{number}: {{steps: {{s: {{pipeline: p}}}}}}\n"));
    }
    let found = problems(&text);
    assert!(
        found.contains("contain more than 20000 steps of each other"),
        "{}",
        found.lines().next().unwrap_or_default()
    );
}

#[test]
fn a_pipeline_under_finally_comes_last_with_all_its_steps_in_their_order() {
    let resolved = resolved(
        "project: churn\npipelines:\n  a:\n    steps: {x: {run: 'true'}}\n    finally: {t: {pipeline: b}, u: {run: 'true', after: [t]}}\n  b:\n    steps: {y: {run: 'true'}, z: {run: 'true', after: [y]}}\n    finally: {last: {run: 'true'}}\n",
    );
    assert_snapshot!(shown(release(&resolved, "a")), @r"
    t/last | after t/z | finally
    t/y | finally
    t/z | after t/y | finally
    u | after t/last | finally
    x
    ");
}

#[test]
fn skip_rules_name_conditions_and_what_follows_from_them() {
    let resolved = resolved(
        r#"
project: churn
params: {full: false, deep: true}
pipelines:
  p:
    steps:
      quick: {run: "true", metrics: quick.json}
      slow: {run: "true", when: params.full || metrics.quick.score < 0.5, outputs: {report: report.html, rows: rows/}}
      read: {run: "true", inputs: {report: slow.report}}
      count: {map: slow.rows, run: "true", outputs: {n: n.txt}}
      again: {run: "true", inputs: {report: slow.report, n: count.n}, when: params.deep}
      close: {run: "true", after: [slow]}
      later: {run: "true", after: [close]}
      sub: {pipeline: sub, when: params.deep}
      use: {run: "true", inputs: {o: sub.o}}
    finally:
      tell: {run: "true", after: [read]}
  sub:
    outputs: {o: one.o}
    steps:
      one: {run: "true", outputs: {o: o.txt}}
      two: {run: "true", inputs: {o: one.o}, when: params.full}
      three: {run: "true", after: [two]}
"#,
    );
    let rules = skipping::rules(&release(&resolved, "p").steps);
    let shown: Vec<String> = rules
        .iter()
        .map(|rule| match rule {
            SkipRule::Sub { step, steps, when } => format!("{step}: all {steps} steps unless {when}"),
            SkipRule::Unless { step, when } => format!("{step}: unless {when}"),
            SkipRule::With { step, maker, needs } => format!("{step}: with {maker} ({})", needs.join(", ")),
            SkipRule::Despite { step, after } => format!("{step}: runs without {after}"),
        })
        .collect();
    assert_snapshot!(shown.join("\n"), @r"
    slow: unless params.full || metrics.quick.score < 0.5
    close: runs without slow
    count: with slow (items)
    again: unless params.deep
    again: with count (n)
    again: with slow (report)
    read: with slow (report)
    sub: all 3 steps unless params.deep
    sub/two: unless params.full
    sub/three: runs without sub/two
    use: with sub/one (o)
    tell: runs without read
    ");
}

#[test]
fn the_name_of_a_step_has_no_slash() {
    assert_snapshot!(problems("project: churn\npipelines:\n  a: {steps: {c/d: {run: 'true'}, e: {run: 'true', after: [c/d]}}}\n"), @r"
    liminal.yml:3:15 L0204 `c/d` is no step name: only lower-case letters, digits, `-` and `_` are allowed
      hint: `c_d` would do
    liminal.yml:3:60 L0204 `c/d` is no step name: only lower-case letters, digits, `-` and `_` are allowed
      hint: `c_d` would do
    ");
}
