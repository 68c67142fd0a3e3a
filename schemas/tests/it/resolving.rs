//! Resolving definitions: what becomes of one that is right, and what is said of one that is wrong.

mod code;
mod digests;
mod mistakes;

use liminal_schemas::definition::Loaded;
use liminal_schemas::definition::load;
use liminal_schemas::name::PipelineName;
use liminal_schemas::name::StepName;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::Release;
use liminal_schemas::step::StepSpec;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

/// A project that is right, with a step of each kind.
const PROJECT: &str = r#"
project: churn
owner: ml-team
python: {version: "3.11", requirements: requirements.txt, code: [lib]}
params:
  seed: 42
  test_size: {type: float, default: 0.2, min: 0.05, max: 0.5}
secrets:
  api_key: env:API_KEY
  other_key: env:OTHER_KEY
env: {TZ: UTC}
defaults: {timeout: 10m, retries: {max: 2, backoff: 2s}}
pipelines:
  train:
    steps:
      fetch:
        phase: fetch
        run: curl -o {{ outputs.raw }} https://example.org
        outputs: {raw: raw.csv}
        env: {TOKEN: "{{ secrets.api_key }}"}
        retries: 5
      train:
        phase: train
        call: steps.train:train
        inputs: {data: fetch.raw, rates: ./data/rates.csv, size: params.test_size, base: models.churn@champion}
        outputs: {model: model.bin, shards: shards/}
        metrics: metrics.json
        plots: {roc: roc.png}
        env: {TZ: CET}
        resources: {memory: 1GiB}
      script:
        run: ["python", "./train.py", "--seed={{ params.seed }}"]
        after: [fetch]
        code: [extra/]
        cache: false
      check:
        gate: metrics.train.auc > 0.9 && params.seed > 0
      publish:
        register: {model: churn, artifact: train.model, aliases: [champion]}
        after: [check]
        when: metrics.train.auc > 0.5
    finally:
      notify:
        run: echo {{ run.id }}
"#;

fn files(definition: &str) -> MemoryFiles {
    let mut files = MemoryFiles::new().with("liminal.yml", definition);
    for path in [
        "lib/util.py",
        "lib/__pycache__/util.cpython-311.pyc",
        "steps/__init__.py",
        "steps/train.py",
        "steps/other.py",
        "train.py",
        "extra/table.json",
        "data/rates.csv",
        "requirements.txt",
    ] {
        files = files.with(path, path);
    }
    files
}

fn loaded(files: &MemoryFiles) -> Loaded {
    match load(files, "liminal.yml", None) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{}", render(&report)),
    }
}

/// What loading reports, warnings included.
fn findings(files: &MemoryFiles) -> String {
    match load(files, "liminal.yml", None) {
        Ok(loaded) => render(&loaded.report),
        Err(report) => render(&report),
    }
}

/// What loading reports for steps of a pipeline, with a few files and nothing else around them.
fn findings_of_steps(steps: &str) -> String {
    let indented: String = steps.trim_matches('\n').lines().map(|line| format!("      {line}\n")).collect();
    let all = files(&format!(
        "project: churn\nparams: {{seed: 1}}\nsecrets: {{key: env:KEY}}\npipelines:\n  train:\n    steps:\n      use: {{run: \"true {{{{ params.seed }}}}\"}}\n{indented}"
    ));
    findings(&all)
}

fn release<'a>(loaded: &'a Loaded, pipeline: &str) -> &'a Release {
    &loaded.resolved.releases[&PipelineName::new(pipeline).expect("valid")]
}

fn step<'a>(loaded: &'a Loaded, step: &str) -> &'a StepSpec {
    &release(loaded, "train").steps[&StepName::new(step).expect("valid")]
}

fn package<'a>(loaded: &'a Loaded, name: &str) -> &'a PackageSpec {
    &loaded.resolved.packages[&step(loaded, name).package.expect("the step has a package")]
}

fn paths(package: &PackageSpec) -> Vec<&str> {
    package.files.keys().map(String::as_str).collect()
}

#[test]
fn a_definition_that_is_right_has_no_findings() {
    assert_eq!(findings(&files(PROJECT)), "");
}

#[test]
fn a_pipeline_becomes_a_release_with_all_its_params_and_the_secrets_it_uses() {
    let loaded = loaded(&files(PROJECT));
    let mut release = release(&loaded, "train").clone();
    for step in release.steps.values_mut() {
        step.package = None;
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&release).expect("serialises"), @r#"
    {
      "schema": 1,
      "project": "churn",
      "owner": "ml-team",
      "pipeline": "train",
      "params": {
        "seed": {
          "type": "int",
          "default": 42
        },
        "test_size": {
          "type": "float",
          "default": 0.2,
          "min": 0.05,
          "max": 0.5
        }
      },
      "secrets": {
        "api_key": {
          "env": "API_KEY"
        }
      },
      "steps": {
        "check": {
          "action": {
            "gate": {
              "checks": [
                "metrics.train.auc > 0.9 && params.seed > 0"
              ]
            }
          },
          "reads_metrics": [
            "train"
          ],
          "reads_params": [
            "seed"
          ],
          "retries": {
            "max": 0,
            "backoff_seconds": 1.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 900,
          "resources": {
            "cpu": 1
          },
          "cache": "on"
        },
        "fetch": {
          "phase": "fetch",
          "action": {
            "run": {
              "argv": [
                "curl",
                "-o",
                "{{ outputs.raw }}",
                "https://example.org"
              ]
            }
          },
          "outputs": {
            "raw": {
              "path": "raw.csv",
              "kind": "file"
            }
          },
          "env": {
            "TOKEN": "{{ secrets.api_key }}",
            "TZ": "UTC"
          },
          "retries": {
            "max": 5,
            "backoff_seconds": 2.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 600,
          "resources": {
            "cpu": 1
          },
          "cache": "on"
        },
        "notify": {
          "action": {
            "run": {
              "argv": [
                "echo",
                "{{ run.id }}"
              ]
            }
          },
          "env": {
            "TZ": "UTC"
          },
          "finally": true,
          "retries": {
            "max": 2,
            "backoff_seconds": 2.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 600,
          "resources": {
            "cpu": 1
          },
          "cache": "on"
        },
        "publish": {
          "action": {
            "register": {
              "model": "churn",
              "aliases": [
                "champion"
              ]
            }
          },
          "inputs": {
            "artifact": {
              "output": {
                "step": "train",
                "output": "model"
              }
            }
          },
          "after": [
            "check"
          ],
          "when": "metrics.train.auc > 0.5",
          "reads_metrics": [
            "train"
          ],
          "retries": {
            "max": 0,
            "backoff_seconds": 1.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 900,
          "resources": {
            "cpu": 1
          },
          "cache": "on"
        },
        "script": {
          "action": {
            "run": {
              "argv": [
                "python",
                "train.py",
                "--seed={{ params.seed }}"
              ]
            }
          },
          "env": {
            "TZ": "UTC"
          },
          "after": [
            "fetch"
          ],
          "retries": {
            "max": 2,
            "backoff_seconds": 2.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 600,
          "resources": {
            "cpu": 1
          },
          "cache": "off"
        },
        "train": {
          "phase": "train",
          "action": {
            "call": {
              "module": "steps.train",
              "function": "train"
            }
          },
          "inputs": {
            "base": {
              "model": {
                "name": "churn",
                "version": {
                  "alias": "champion"
                }
              }
            },
            "data": {
              "output": {
                "step": "fetch",
                "output": "raw"
              }
            },
            "rates": {
              "file": {
                "path": "data/rates.csv",
                "content": "b232e119087d6c13217764b599adace1904e4117f8c4b6462fce0c01fe06f7ae"
              }
            },
            "size": {
              "param": {
                "name": "test_size"
              }
            }
          },
          "outputs": {
            "metrics": {
              "path": "metrics.json",
              "kind": "file",
              "role": "metrics"
            },
            "model": {
              "path": "model.bin",
              "kind": "file"
            },
            "roc": {
              "path": "roc.png",
              "kind": "file",
              "role": "plot"
            },
            "shards": {
              "path": "shards",
              "kind": "directory"
            }
          },
          "env": {
            "TZ": "CET"
          },
          "retries": {
            "max": 2,
            "backoff_seconds": 2.0,
            "jitter": 0.5,
            "on": [
              "user",
              "timeout"
            ]
          },
          "timeout_seconds": 600,
          "resources": {
            "memory_mib": 1024,
            "cpu": 1
          },
          "cache": "on"
        }
      }
    }
    "#);
}

#[test]
fn settings_nearer_to_the_step_go_before_those_further_away() {
    let definition = r#"
project: churn
env: {A: project, B: project, C: project}
defaults: {timeout: 10m, retries: {max: 1, backoff: 2s, jitter: 0.1}, resources: {memory: 1GiB, cpu: 2}, env: {B: defaults}}
pipelines:
  train:
    env: {C: pipeline}
    defaults: {retries: 2, resources: {memory: 2GiB}, cache: {max_age: 1d}}
    steps:
      train: {run: "true", retries: {jitter: 0.3}, env: {A: step}}
      plain: {run: "true", cache: true, timeout: 5s}
"#;
    let loaded = loaded(&files(definition));
    let shown = |name: &str| {
        let step = step(&loaded, name);
        let env: Vec<String> = step.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (retries, resources) = (&step.retries, &step.resources);
        format!(
            "{} | {} {} {} | {}s | {:?} {} | {:?}",
            env.join(" "),
            retries.max,
            retries.backoff_seconds,
            retries.jitter,
            step.timeout_seconds,
            resources.memory_mib,
            resources.cpu,
            step.cache
        )
    };
    assert_eq!(shown("train"), "A=step B=defaults C=pipeline | 2 2 0.3 | 600s | Some(2048) 2 | MaxAge(86400)");
    assert_eq!(shown("plain"), "A=project B=defaults C=pipeline | 2 2 0.1 | 5s | Some(2048) 2 | On");
}
