use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::*;
use crate::step::Action;
use crate::step::CachePolicy;
use crate::step::Resources;
use crate::step::Retries;

fn step(timeout_seconds: u64) -> StepSpec {
    StepSpec {
        phase: None,
        action: Action::Call { module: "m".to_owned(), function: "f".to_owned() },
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        after: BTreeSet::new(),
        when: None,
        map: None,
        reads_metrics: BTreeSet::new(),
        reads_params: BTreeSet::new(),
        finally: false,
        package: None,
        retries: Retries::default(),
        timeout_seconds,
        resources: Resources::default(),
        cache: CachePolicy::On,
        compute: Compute::Auto,
        image: None,
        names: Default::default(),
        within: Vec::new(),
    }
}

type Edit = fn(&mut StepSpec);

fn memory(mebibytes: u64) -> StepSpec {
    let mut step = step(60);
    step.resources.memory_mib = Some(mebibytes);
    step
}

#[test]
fn a_step_runs_on_lambda_unless_a_limit_is_in_the_way_and_the_reason_names_it() {
    const MIB: u64 = 1024 * 1024;
    let table: [(&str, Edit, Option<u64>); 14] = [
        ("nothing asked", |_| {}, None),
        (
            "at the limits",
            |step| {
                step.timeout_seconds = 900;
                step.resources = Resources { memory_mib: Some(10_240), cpu: 6, disk_mib: Some(10_240) };
            },
            Some(250 * MIB - 1),
        ),
        ("timeout", |step| step.timeout_seconds = 901, None),
        ("timeout in hours", |step| step.timeout_seconds = 7200, None),
        ("memory", |step| step.resources.memory_mib = Some(16_384), None),
        ("cpu", |step| step.resources.cpu = 8, None),
        ("disk", |step| step.resources.disk_mib = Some(10_241), None),
        ("package", |_| {}, Some(312 * MIB)),
        ("image", |step| step.image = Some("repo/image:1".to_owned()), None),
        ("fargate named", |step| step.compute = Compute::Fargate, None),
        ("lambda named", |step| step.compute = Compute::Lambda, None),
        (
            "lambda named, beyond",
            |step| {
                step.compute = Compute::Lambda;
                step.timeout_seconds = 3600;
            },
            None,
        ),
        ("memory beyond all", |step| step.resources.memory_mib = Some(122_881), None),
        ("disk beyond all", |step| step.resources.disk_mib = Some(201 * 1024), None),
    ];
    let lines: Vec<String> = table
        .iter()
        .map(|(what, edit, bytes)| {
            let mut step = step(60);
            edit(&mut step);
            match place(&step, *bytes) {
                Ok(placed) => format!("{what}: {}, since {}", placed.compute.as_str(), placed.reason),
                Err(error) => format!("{what}: error: {error}"),
            }
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    nothing asked: lambda, since it is within all limits of Lambda
    at the limits: lambda, since it is within all limits of Lambda
    timeout: fargate, since its attempts may take 901s, and Lambda takes 15m
    timeout in hours: fargate, since its attempts may take 2h, and Lambda takes 15m
    memory: fargate, since it needs 16 GiB of memory, and Lambda has 10 GiB
    cpu: fargate, since it needs 8 CPUs, and Lambda has 6
    disk: fargate, since it needs 10241 MiB of disk, and Lambda has 10 GiB
    package: fargate, since its package unpacks to 312 MiB, and Lambda takes less than 250 MiB
    image: fargate, since it names a container image, and Lambda runs zips here
    fargate named: fargate, since its definition says so
    lambda named: lambda, since its definition says so
    lambda named, beyond: error: its attempts may take 1h, and Lambda takes 15m; write `compute: fargate`, or leave `compute` out, to run it on Fargate
    memory beyond all: error: it needs 122881 MiB of memory, and Fargate has at most 120 GiB; ask for less, or split the step
    disk beyond all: error: it needs 201 GiB of disk, and Fargate has at most 200 GiB; ask for less, or split the step
    ");
}

#[test]
fn a_function_gets_memory_by_need_and_by_cpu() {
    assert_eq!(lambda_memory_mib(&step(60)), 2048);
    assert_eq!(lambda_memory_mib(&memory(64)), 1769, "one CPU needs as much");
    let mut four = step(60);
    four.resources.cpu = 4;
    assert_eq!(lambda_memory_mib(&four), 7076);
    four.resources.cpu = 6;
    assert_eq!(lambda_memory_mib(&four), 10_240, "no more than there is");
}

#[test]
fn a_function_gets_time_for_what_is_around_its_attempt() {
    assert_eq!(lambda_timeout_seconds(&step(60)), 120);
    assert_eq!(lambda_timeout_seconds(&step(900)), 900);
    assert_eq!(visibility_seconds(900), 5400);
    assert_eq!(visibility_seconds(10_000), 43_200);
}

#[test]
fn a_task_gets_the_smallest_pair_that_fargate_allows() {
    let mut sizes = Vec::new();
    for (cpu, mebibytes) in [(1, 512), (1, 2049), (1, 8193), (4, 2048), (8, 17_000), (16, 50_000), (1, 122_880)] {
        let mut step = memory(mebibytes);
        step.resources.cpu = cpu;
        let (units, memory) = fargate_size(&step).expect("it fits");
        let row = FARGATE_SIZES.iter().find(|size| size.cpu == units).expect("a row");
        assert!((row.least_mib..=row.most_mib).contains(&memory) && (memory - row.least_mib) % row.step_mib == 0);
        assert!(u64::from(memory) >= mebibytes && units >= cpu * 1024);
        sizes.push((units, memory));
    }
    let wanted =
        [(1024, 2048), (1024, 3072), (2048, 9216), (4096, 8192), (8192, 20_480), (16_384, 57_344), (16_384, 122_880)];
    assert_eq!(sizes, wanted);
    assert_eq!(fargate_size(&memory(122_881)), None);
}

#[test]
fn a_task_asks_for_disk_only_beyond_what_every_task_has() {
    let disk = |mebibytes| {
        let mut step = step(60);
        step.resources.disk_mib = mebibytes;
        fargate_disk_gib(&step)
    };
    assert_eq!(disk(None), None);
    assert_eq!(disk(Some(20 * 1024)), None);
    assert_eq!(disk(Some(20 * 1024 + 1)), Some(21));
    assert_eq!(disk(Some(200 * 1024)), Some(200));
}

#[test]
fn every_limit_has_a_unit_a_source_and_a_date() {
    for limit in limits::ALL {
        assert!(limit.value > 0 && !limit.unit.is_empty() && !limit.source.is_empty(), "{limit:?}");
        assert!(limit.date.len() == 10 && limit.date.starts_with("20"), "{limit:?}");
    }
}
