//! What valid definitions come to.

use liminal_schemas::definition::model::ActionDefinition;
use liminal_schemas::definition::model::Definition;
use liminal_schemas::definition::read::read;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::Compute;
use liminal_schemas::value::Value;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

fn definition(files: &MemoryFiles, environment: Option<&str>) -> Definition {
    let environment = environment.map(|name| EnvironmentName::new(name).expect("a valid name"));
    let (definition, report) = read(files, "liminal.yml", environment.as_ref());
    assert_eq!(render(&report), "");
    definition.expect("a definition without findings")
}

/// Every key that there is.
pub(crate) const EVERYTHING: &str = r#"
project: everything
owner: ml-team
description: Every key once.
include: [pipelines/*.yml]
environments:
  local: {platform: local}
  staging:
    platform: local
    owner: others
    params: {seed: 7, test_size: 0.1}
    env: {TZ: Europe/Berlin}
    keep: 5
    python: {version: "3.12"}
    secrets: {api_key: env:STAGING_KEY}
    defaults: {timeout: 1h}
    pipelines: {train: {steps: {fetch: {run: [echo]}}}}
  prod:
    platform: aws
    region: eu-central-1
    account: "123456789012"
    bucket: everything-objects
    arch: arm64
    log_retention: 90d
    fargate: {image: "repo/base:1", cluster: jobs, subnets: [subnet-1a2b], security_groups: [sg-3c4d], public_ip: true}
    secrets: {api_key: "secretsmanager:prod/api#key"}
python: {version: ">=3.10", requirements: requirements.txt, root: ., code: [lib, ./more/]}
params:
  seed: 42
  test_size: {type: float, default: 0.2, min: 0.05, max: 0.5, description: the share}
  mode: {type: string, default: fast, choices: [fast, slow]}
  required: {type: int}
  weights: {a: 1, b: 2.5}
secrets: {api_key: env:API_KEY}
env: {TZ: UTC, PORT: 8080}
defaults: {timeout: 10m, retries: 1, resources: {cpu: 2}, compute: auto, cache: false, env: {A: b}}
keep: 3
pipelines:
  train:
    description: Trains.
    owner: me
    params: {test_size: 0.3, own: true}
    env: {X: "{{ params.own }}"}
    python: {code: []}
    defaults: {cache: {max_age: 7d}}
    triggers:
      - {schedule: "cron(0 6 * * ? *)", timezone: Europe/Berlin, params: {required: 1}}
      - {object: {bucket: uploads, prefix: in/, suffix: .csv}, params: {required: 2, own: false}}
    steps:
      fetch:
        phase: fetch
        description: Fetches.
        call: steps.fetch:fetch
        code: [extra/]
        inputs: {seed: params.seed, rates: ./data/rates.csv, base: models.churn@champion, rows: trigger.object}
        outputs: {raw: raw.csv, shards: ./shards/}
        metrics: metrics.json
        plots: {roc: plots/roc.png}
        retries: {max: 3, backoff: 500ms, jitter: 0.1, on: [user, timeout]}
        timeout: 90
        resources: {memory: 2GiB, cpu: 2, disk: 500MB}
        compute: fargate
        image: repo/fetch:7
        cache: true
        env: {TOKEN: "{{ secrets.api_key }}"}
        python: {version: "3.11"}
      train:
        run: python train.py --out {{ outputs.model }} 'two words'
        outputs: {model: model.bin}
        after: [fetch]
        when: params.seed > 1
      check:
        gate: [metrics.fetch.x > 1, params.own]
      publish:
        register: {model: churn, artifact: train.model, aliases: [champion]}
    finally:
      notify: {run: [echo, done]}
"#;

fn everything() -> MemoryFiles {
    MemoryFiles::new()
        .with("liminal.yml", EVERYTHING)
        .with("pipelines/score.yml", "pipelines: {score: {steps: {one: {run: [echo, 1]}}}}")
        .with("pipelines/deeper/no.yml", "not: read")
}

#[test]
fn every_key_is_understood() {
    let definition = definition(&everything(), None);
    assert_eq!(definition.project.as_str(), "everything");
    assert_eq!(definition.keep, 3);
    assert_eq!(
        definition.pipelines.keys().map(liminal_schemas::name::PipelineName::as_str).collect::<Vec<_>>(),
        ["score", "train"]
    );
    let train = &definition.pipelines["train"].value;
    let spec = &train.params["test_size"].value;
    assert_eq!((&spec.default, spec.min, spec.max), (&Some(Value::Float(0.3)), Some(0.05), Some(0.5)));
    assert_eq!(train.defaults.cache, Some(CachePolicy::MaxAge(7 * 86_400)));
    let fetch = &train.steps["fetch"].value;
    assert_eq!(fetch.settings.timeout_seconds, Some(90));
    assert_eq!(fetch.settings.resources.memory_mib, Some(2048));
    assert_eq!(fetch.settings.resources.disk_mib, Some(477));
    assert_eq!(fetch.settings.retries.as_ref().expect("retries").backoff_seconds, Some(0.5));
    assert_eq!(fetch.outputs["shards"].value.value, "shards/");
    assert_eq!(fetch.settings.compute.as_ref().map(|compute| compute.value), Some(Compute::Fargate));
    assert_eq!(fetch.image.as_ref().map(|image| image.as_str()), Some("repo/fetch:7"));
    assert_eq!(train.triggers.len(), 2);
    let ActionDefinition::Run(argv) = &train.steps["train"].value.action else { panic!("train runs a program") };
    let argv: Vec<String> = argv.value.iter().map(|item| item.value.to_string()).collect();
    assert_eq!(argv, ["python", "train.py", "--out", "{{ outputs.model }}", "two words"]);
}

#[test]
fn an_environment_is_laid_over_the_project() {
    let definition = definition(&everything(), Some("staging"));
    assert_eq!(definition.owner.as_deref(), Some("others"));
    assert_eq!(definition.keep, 5);
    assert_eq!(definition.params["seed"].value.default, Some(Value::Int(7)));
    let spec = &definition.params["test_size"].value;
    assert_eq!((&spec.default, spec.max), (&Some(Value::Float(0.1)), Some(0.5)));
    assert_eq!(definition.env["TZ"].value.value.to_string(), "Europe/Berlin");
    assert_eq!(definition.env["PORT"].value.value.to_string(), "8080");
    let fetch = &definition.pipelines["train"].value.steps["fetch"].value;
    assert!(matches!(fetch.action, ActionDefinition::Run(_)), "another action takes the place of the first");
    assert_eq!(fetch.settings.timeout_seconds, Some(90));
}

#[test]
fn a_child_is_laid_over_what_it_extends() {
    let files = MemoryFiles::new()
        .with("liminal.yml", "extends: shared/base.yml\nproject: child\nparams: {seed: 2}\n")
        .with(
            "shared/base.yml",
            "extends: base.yml\nproject: parent\nowner: them\nparams: {seed: {type: int, max: 9}}\n",
        )
        .with("base.yml", "env: {A: b}\npipelines: {p: {steps: {s: {run: [echo]}}}}\n");
    let definition = definition(&files, None);
    assert_eq!(definition.project.as_str(), "child");
    assert_eq!(definition.owner.as_deref(), Some("them"));
    let seed = &definition.params["seed"].value;
    assert_eq!((&seed.default, seed.max), (&Some(Value::Int(2)), Some(9.0)));
    assert!(definition.env.contains_key("A"));
}

#[test]
fn the_root_file_may_end_in_yaml() {
    let files = MemoryFiles::new().with("liminal.yaml", "project: p\npipelines: {p: {steps: {s: {run: [echo]}}}}\n");
    assert_eq!(definition(&files, None).project.as_str(), "p");
}

#[test]
fn all_examples_are_read_without_a_finding() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut count = 0;
    for example in std::fs::read_dir(examples).expect("the examples") {
        let path = example.expect("an example").path().join("liminal.yml");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        definition(&MemoryFiles::new().with("liminal.yml", text), None);
        count += 1;
    }
    assert!(count > 0);
}
