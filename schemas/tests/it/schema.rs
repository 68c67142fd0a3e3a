//! The JSON Schema of `liminal.yml`, tried by an independent validator against what the reader says.

use liminal_schemas::definition::json_schema;
use liminal_schemas::definition::read::read;

use crate::memory_files::MemoryFiles;

fn validator(name: &str) -> jsonschema::Validator {
    let schema = json_schema::schema(name).expect("a document with a schema");
    jsonschema::draft202012::new(&schema).expect("a valid schema")
}

fn json(yaml: &str) -> serde_json::Value {
    serde_yaml::from_str(yaml).expect("YAML")
}

fn problems(validator: &jsonschema::Validator, yaml: &str) -> Vec<String> {
    validator.iter_errors(&json(yaml)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn is_read(yaml: &str) -> bool {
    let files = MemoryFiles::new().with("liminal.yml", yaml).with("requirements.txt", "");
    !read(&files, "liminal.yml", None).1.has_errors()
}

#[test]
fn all_schemas_are_valid() {
    for name in json_schema::names() {
        validator(name);
    }
}

#[test]
fn all_examples_fit_the_schema() {
    let validator = validator("definition");
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut count = 0;
    for example in std::fs::read_dir(examples).expect("the examples") {
        let path = example.expect("an example").path().join("liminal.yml");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        assert_eq!(problems(&validator, &text), [] as [String; 0], "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}

/// Wraps a step into a definition.
fn step(step: &str) -> String {
    format!("project: p\npipelines: {{p: {{steps: {{s: {{{step}}}}}}}}}\n")
}

/// Wraps keys of a pipeline into a definition.
fn pipeline(keys: &str) -> String {
    format!("project: p\npipelines: {{p: {{steps: {{s: {{run: [x]}}}}, {keys}}}}}\n")
}

#[test]
fn the_schema_and_the_reader_accept_the_same() {
    let validator = validator("definition");
    let top = |keys: &str| format!("project: p\npipelines: {{p: {{steps: {{s: {{run: [x]}}}}}}}}\n{keys}\n");
    let accepted = [
        crate::reading::EVERYTHING.to_owned(),
        step("run: a b c"),
        step("run: [a, 1, true]"),
        step("call: 'a.b:c', timeout: 90, retries: 3, cache: false"),
        step("gate: [a > 1]"),
        step("run: x, timeout: 1.5h, resources: {memory: 2GiB, cpu: 1, disk: 100}"),
        step("run: x, retries: {max: 1, backoff: 500ms, jitter: 0.5, on: [user]}, cache: {max_age: 7d}"),
        step("run: x, outputs: {a: b/c/, d: ./e}, metrics: m.json, plots: {r: r.png}"),
        top("params: {a: 1, b: x, c: [1], d: {e: 1}, f: {type: int}, g: {type: float, default: 1, max: 2}}"),
        top("python: {version: '>=3.10', root: ., code: [a]}"),
        top("environments: {local: {platform: local}, x: {keep: 1, pipelines: {p: {steps: {s: {timeout: 1s}}}}}, y: }"),
        top("env: {A: 1, B: true, c: x}"),
        top("environments: {x: {platform: aws, region: us-gov-west-1, account: '012345678901', log_retention: 7d}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, fargate: {subnets: [subnet-1], public_ip: false}}}"),
        top("secrets: {a: 'secretsmanager:a/b#c', b: 'ssm:/a/b', c: 'env:C'}"),
        step("run: x, compute: fargate, image: 'a/b:1'"),
        pipeline("triggers: [{schedule: rate(5 minutes)}, {schedule: 'cron(0 6 * * ? *)', timezone: Europe/Berlin}]"),
        pipeline(
            "triggers: [{object: {prefix: in/}, params: {}}, {object: {bucket: abc, suffix: .csv}}], defaults: {compute: lambda}",
        ),
    ];
    for yaml in &accepted {
        assert_eq!(problems(&validator, yaml), [] as [String; 0], "{yaml}");
        assert!(is_read(yaml), "{yaml}");
    }
    let refused = [
        step("phase: train"),
        step("run: x, call: 'a:b'"),
        step("run: x, timout: 1s"),
        step("run: x, timeout: 5 parsecs"),
        step("run: x, timeout: -1"),
        step("run: x, phase: trian"),
        step("run: []"),
        step("call: nothing"),
        step("run: x, outputs: {a: ../b}"),
        step("run: x, outputs: {a: /b}"),
        step("run: x, outputs: {A: b}"),
        step("run: x, retries: -1"),
        step("run: x, retries: {on: [poison]}"),
        step("run: x, resources: {memory: lots}"),
        step("run: x, cache: yes"),
        step("run: x, env: {LIMINAL_RUN: x}"),
        step("run: x, env: {1A: x}"),
        step("register: {model: m}"),
        top("secrets: {a: hunter2}"),
        top("keep: 1000"),
        top("params: {a: {type: integer}}"),
        top("python: {version: 3.10}"),
        top("environments: {x: {platform: aws}}"),
        top("environments: {x: {platform: gcp}}"),
        top("environments: {x: {region: eu-west-1}}"),
        top("environments: {x: {platform: local, bucket: abc}}"),
        top("environments: {x: {platform: aws, region: Frankfurt}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, account: 123456789012}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, account: '123'}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, bucket: A_B}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, arch: amd64}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, fargate: {subnets: [vpc-1]}}}"),
        top("environments: {x: {platform: aws, region: eu-west-1, fargate: {memory: 1}}}"),
        top("secrets: {a: 'secretsmanager:arn:aws:x'}"),
        top("secrets: {a: 'ssm:a'}"),
        step("run: x, compute: ec2"),
        step("run: x, image: 'a b'"),
        pipeline("triggers: {schedule: rate(1 hour)}"),
        pipeline("triggers: [{schedule: hourly}]"),
        pipeline("triggers: [{schedule: rate(1 hour), object: {prefix: in/}}]"),
        pipeline("triggers: [{timezone: UTC}]"),
        pipeline("triggers: [{object: in/}]"),
        pipeline("triggers: [{object: {prefix: /in}}]"),
        pipeline("triggers: [{object: {suffix: '*.csv'}}]"),
        pipeline("triggers: [{schedule: 'cron(0 6 * * ? *)', timezone: +02:00}]"),
        "pipelines: {p: {steps: {s: {run: [x]}}}}".to_owned(),
        "project: p\npipelines: {p: {description: x}}".to_owned(),
    ];
    for yaml in &refused {
        assert_ne!(problems(&validator, yaml), [] as [String; 0], "{yaml}");
        assert!(!is_read(yaml), "{yaml}");
    }
}
