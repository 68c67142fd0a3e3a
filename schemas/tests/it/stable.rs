//! What is written is what comes out, in whatever order it is written.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use liminal_schemas::aws::Arch;
use liminal_schemas::aws::AwsSpec;
use liminal_schemas::aws::FargateSettings;
use liminal_schemas::definition::environment;
use liminal_schemas::definition::load;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::name::FieldName;
use liminal_schemas::name::PipelineName;
use liminal_schemas::platform::PlatformSpec;
use liminal_schemas::trigger::Trigger;
use liminal_schemas::trigger::TriggerSource;
use liminal_schemas::value::Value;
use proptest::prelude::*;

use crate::memory_files::MemoryFiles;
use crate::rendering::render;

fn aws() -> impl Strategy<Value = AwsSpec> {
    let fargate = (
        prop::option::of("[a-z][a-z0-9.-]{0,10}(/[a-z][a-z0-9.-]{0,10}){0,2}(:[a-z0-9.-]{1,8})?"),
        prop::option::of("[a-zA-Z0-9_-]{1,20}"),
        prop::collection::vec("subnet-[0-9a-f]{8}", 0..4),
        prop::collection::vec("sg-[0-9a-f]{17}", 0..4),
        any::<bool>(),
    );
    let fargate = fargate.prop_map(|(image, cluster, subnets, security_groups, public_ip)| FargateSettings {
        image,
        cluster,
        subnets,
        security_groups,
        public_ip,
    });
    (
        "[a-z]{2}-[a-z]{4,9}-[1-9]",
        prop::option::of("[0-9]{12}"),
        prop::option::of("[a-z][a-z0-9-]{1,20}[a-z]"),
        prop::sample::select(Arch::ALL.to_vec()),
        prop::sample::select(vec![1_u32, 30, 365, 3653]),
        fargate,
    )
        .prop_map(|(region, account, bucket, arch, log_retention_days, fargate)| AwsSpec {
            region,
            account,
            bucket,
            arch,
            log_retention_days,
            fargate,
        })
}

/// The lines of an environment, as somebody may write them.
fn lines(aws: &AwsSpec) -> Vec<String> {
    let mut lines = vec!["platform: aws".to_owned(), format!("region: {}", aws.region)];
    lines.extend(aws.account.as_ref().map(|account| format!("account: \"{account}\"")));
    lines.extend(aws.bucket.as_ref().map(|bucket| format!("bucket: \"{bucket}\"")));
    lines.push(format!("arch: {}", aws.arch.as_str()));
    lines.push(format!("log_retention: {}d", aws.log_retention_days));
    lines.push(format!("fargate: {}", serde_json::to_string(&aws.fargate).expect("JSON is YAML")));
    lines
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let schedule = (
        prop::sample::select(vec!["rate(5 minutes)", "cron(0 6 * * ? *)"]),
        prop::sample::select(vec!["UTC", "Europe/Berlin"]),
    );
    let schedule = schedule.prop_map(|(expression, timezone)| TriggerSource::Schedule {
        expression: expression.to_owned(),
        timezone: timezone.to_owned(),
    });
    let object = (prop::option::of("[a-z]{3,9}"), "[a-z]{1,9}/", prop::sample::select(vec!["", ".csv"]));
    let object = object.prop_map(|(bucket, prefix, suffix)| TriggerSource::Object {
        bucket,
        prefix: format!("in/{prefix}"),
        suffix: suffix.to_owned(),
    });
    let params = prop::option::of(any::<i64>()).prop_map(|seed| {
        seed.map(|seed| (FieldName::new("seed").expect("valid"), Value::Int(seed)))
            .into_iter()
            .collect::<BTreeMap<_, _>>()
    });
    (prop_oneof![schedule, object], params).prop_map(|(on, params)| Trigger { on, params })
}

/// A trigger, as somebody may write it.
fn written(trigger: &Trigger) -> String {
    let mut text = match &trigger.on {
        TriggerSource::Schedule { expression, timezone } => format!("schedule: \"{expression}\", timezone: {timezone}"),
        TriggerSource::Object { bucket, prefix, suffix } => {
            let bucket = bucket.as_ref().map(|bucket| format!(", bucket: \"{bucket}\"")).unwrap_or_default();
            format!("object: {{suffix: \"{suffix}\", prefix: \"{prefix}\"{bucket}}}")
        }
        TriggerSource::Finished { pipeline, result, .. } => {
            format!("finished: {pipeline}, result: {}", result.as_str())
        }
    };
    for (name, value) in &trigger.params {
        write!(text, ", params: {{{name}: {value}}}").expect("a string takes all");
    }
    format!("{{{text}}}")
}

/// The steps of a pipeline, each taking outputs of earlier ones: names with the lines below them.
fn steps() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let step = (prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0..3_u32, any::<bool>());
    prop::collection::vec(step, 1..9).prop_map(|steps| {
        let named = steps.into_iter().enumerate().map(|(number, (parents, retries, cached))| {
            let parents: BTreeSet<usize> =
                parents.into_iter().filter(|_| number > 0).map(|at| at.index(number)).collect();
            let inputs: Vec<String> = parents.iter().map(|parent| format!("in{parent}: s{parent}.out")).collect();
            let mut lines = vec![
                format!("run: [cp, a{number}, \"{{{{ outputs.out }}}}\"]"),
                "outputs: {out: out.txt}".to_owned(),
                format!("retries: {retries}"),
                format!("cache: {cached}"),
            ];
            if !inputs.is_empty() {
                lines.push(format!("inputs: {{{}}}", inputs.join(", ")));
            }
            (format!("s{number}"), lines)
        });
        named.collect()
    })
}

/// The same steps, with steps and keys in another order.
fn shuffled(steps: Vec<(String, Vec<String>)>) -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let of_step = |(name, lines): (String, Vec<String>)| (Just(name), Just(lines).prop_shuffle());
    steps.into_iter().map(of_step).collect::<Vec<_>>().prop_shuffle()
}

fn pipeline_of(steps: &[(String, Vec<String>)]) -> String {
    let mut text = "project: p\npipelines:\n  p:\n    steps:\n".to_owned();
    for (name, lines) in steps {
        write!(text, "      {name}:\n        {}\n", lines.join("\n        ")).expect("a string takes all");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_release_does_not_depend_on_the_order_in_which_steps_and_keys_are_written(
        (written, rewritten) in steps().prop_flat_map(|steps| (Just(steps.clone()), shuffled(steps)))
    ) {
        let revisions = [written, rewritten].map(|steps| {
            let yaml = pipeline_of(&steps);
            match load(&MemoryFiles::new().with("liminal.yml", &yaml), "liminal.yml", None) {
                Ok(loaded) => loaded.resolved.releases[&PipelineName::new("p").expect("valid")].revision(),
                Err(report) => panic!("{yaml}\n{}", render(&report)),
            }
        });
        prop_assert_eq!(revisions[0], revisions[1]);
    }

    #[test]
    fn the_place_of_an_environment_comes_out_as_it_was_written(
        (aws, lines) in aws().prop_flat_map(|aws| { let lines = lines(&aws); (Just(aws), Just(lines).prop_shuffle()) })
    ) {
        let yaml = format!(
            "environments:\n  prod:\n    {}\nproject: p\npipelines: {{p: {{steps: {{s: {{run: [x]}}}}}}}}\n",
            lines.join("\n    ")
        );
        let files = MemoryFiles::new().with("liminal.yml", &yaml);
        let prod = EnvironmentName::new("prod").expect("valid");
        let loaded = match load(&files, "liminal.yml", Some(&prod)) {
            Ok(loaded) => loaded,
            Err(report) => panic!("{yaml}\n{}", render(&report)),
        };
        let expected = PlatformSpec::Aws(Box::new(aws));
        prop_assert_eq!(&loaded.resolved.platform, &expected);
        prop_assert_eq!(&loaded.definition.platform, &expected);
        let alone = environment(&files, "liminal.yml", Some(&prod)).expect("the same without pipelines");
        prop_assert_eq!(alone.platform, expected);
    }

    #[test]
    fn triggers_come_out_as_they_were_written_in_whatever_order(
        (triggers, shuffled) in prop::collection::vec(trigger(), 0..6).prop_flat_map(|mut triggers| {
            triggers.sort_by_key(|trigger| (trigger.on.clone(), trigger.digest()));
            triggers.dedup();
            (Just(triggers.clone()), Just(triggers).prop_shuffle())
        })
    ) {
        let items: Vec<String> = shuffled.iter().map(written).collect();
        let yaml = format!(
            "project: p\nparams: {{seed: 1}}\npipelines:\n  p:\n    triggers: [{}]\n    steps: {{s: {{run: \"x {{{{ params.seed }}}}\"}}}}\n",
            items.join(", ")
        );
        match load(&MemoryFiles::new().with("liminal.yml", &yaml), "liminal.yml", None) {
            Ok(loaded) => {
                let release = &loaded.resolved.releases[&PipelineName::new("p").expect("valid")];
                prop_assert_eq!(&release.triggers, &triggers);
            }
            Err(report) => panic!("{yaml}\n{}", render(&report)),
        }
    }
}
