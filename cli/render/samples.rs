//! Documents for the tests of this module: the pipeline of the breast-cancer example, a plan for it, a run of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::aws::resource::QueueSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::aws::resource::ServedStep;
use liminal_schemas::digest::Digest;
use liminal_schemas::name::StepName;
use liminal_schemas::plan::ChangeAction;
use liminal_schemas::plan::FieldChange;
use liminal_schemas::plan::Operation;
use liminal_schemas::plan::PLAN_FORMAT;
use liminal_schemas::plan::PermissionChange;
use liminal_schemas::plan::PipelineChange;
use liminal_schemas::plan::Placement;
use liminal_schemas::plan::Plan;
use liminal_schemas::plan::PlanBase;
use liminal_schemas::plan::PlanDocuments;
use liminal_schemas::plan::PlanPurpose;
use liminal_schemas::plan::RerunReason;
use liminal_schemas::plan::StepChange;
use liminal_schemas::plan::StepForecast;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::RELEASE_SCHEMA;
use liminal_schemas::release::Release;
use liminal_schemas::release::RequirementsFile;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::CheckResult;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::run::ModelVersionRef;
use liminal_schemas::run::RUN_SCHEMA;
use liminal_schemas::run::RunCache;
use liminal_schemas::run::RunRecord;
use liminal_schemas::run::RunResult;
use liminal_schemas::run::RunStatus;
use liminal_schemas::run::SourceVersion;
use liminal_schemas::run_policy::RunPolicy;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;
use liminal_schemas::step::Action;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::CachePolicy;
use liminal_schemas::step::Compute;
use liminal_schemas::step::InputSource;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use liminal_schemas::step::Phase;
use liminal_schemas::step::Resources;
use liminal_schemas::step::Retries;
use liminal_schemas::step::StepSpec;
use liminal_schemas::time::UtcTime;
use liminal_schemas::unit::Unit;
use liminal_schemas::value::Value;

pub(super) fn name<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
    T::try_from(text.to_owned()).expect("a test writes valid names")
}

/// A step that calls the function of its own name and takes the output `data` of others.
pub(super) fn step(phase: Phase, step: &str, parents: &[&str]) -> (StepName, StepSpec) {
    let inputs = parents.iter().map(|parent| {
        (name(&parent.replace('-', "_")), InputSource::Output { step: name(parent), output: name("data") })
    });
    let output = OutputSpec { path: "data.csv".to_owned(), kind: ArtifactKind::File, role: OutputRole::Data };
    let spec = StepSpec {
        phase: Some(phase),
        action: Action::Call { module: format!("steps.{step}"), function: step.to_owned() },
        inputs: inputs.collect(),
        outputs: BTreeMap::from([(name("data"), output)]),
        env: BTreeMap::new(),
        after: BTreeSet::new(),
        when: None,
        map: None,
        reads_metrics: BTreeSet::new(),
        reads_params: BTreeSet::new(),
        finally: false,
        package: None,
        retries: Retries::default(),
        timeout_seconds: 600,
        resources: Resources::default(),
        cache: CachePolicy::On,
        compute: Compute::Auto,
        image: None,
        names: Default::default(),
        within: Vec::new(),
    };
    (name(step), spec)
}

pub(super) fn release_of(steps: impl IntoIterator<Item = (StepName, StepSpec)>) -> Release {
    Release {
        schema: RELEASE_SCHEMA,
        project: name("breast-cancer"),
        owner: Some("ml-team".to_owned()),
        pipeline: name("train"),
        params: BTreeMap::new(),
        secrets: BTreeMap::new(),
        triggers: Vec::new(),
        runs: RunPolicy::default(),
        steps: steps.into_iter().collect(),
    }
}

pub(super) fn package() -> PackageSpec {
    let file = PackageFile { blob: "0123456789abcdef".to_owned(), executable: false };
    PackageSpec {
        packer: 1,
        root: "code".to_owned(),
        files: BTreeMap::from([("code/steps/train.py".to_owned(), file.clone()), ("code/lib.py".to_owned(), file)]),
        python: Some(PythonSpec {
            version: Some("3.11".to_owned()),
            requirements: Some(RequirementsFile { path: "requirements.txt".to_owned(), blob: "abc".to_owned() }),
        }),
    }
}

pub(super) fn release() -> Release {
    let mut steps = BTreeMap::from([
        step(Phase::Fetch, "fetch", &[]),
        step(Phase::Clean, "clean", &["fetch"]),
        step(Phase::Prepare, "prepare", &["clean"]),
        step(Phase::Train, "train", &["prepare"]),
        step(Phase::Train, "train_forest", &["prepare"]),
        step(Phase::Evaluate, "evaluate", &["prepare", "train", "train_forest"]),
        step(Phase::Validate, "validate", &[]),
        step(Phase::Deploy, "register", &["evaluate"]),
        step(Phase::Consume, "notify", &[]),
    ]);
    for spec in steps.values_mut() {
        spec.package = Some(package().digest());
    }
    let roc = OutputSpec { path: "roc.png".to_owned(), kind: ArtifactKind::File, role: OutputRole::Plot };
    let validate = steps.get_mut("validate").expect("defined above");
    validate.action = Action::Gate {
        checks: vec!["metrics.evaluate.roc_auc >= 0.95".to_owned(), "metrics.evaluate.accuracy >= 0.9".to_owned()],
    };
    validate.reads_metrics.insert(name("evaluate"));
    let register = steps.get_mut("register").expect("defined above");
    register.action = Action::Register { model: name("breast-cancer"), aliases: BTreeSet::from([name("champion")]) };
    register.after.insert(name("validate"));
    steps.get_mut("notify").expect("defined above").finally = true;
    for inline in ["validate", "register"] {
        let spec = steps.get_mut(inline).expect("defined above");
        spec.package = None;
        spec.outputs.clear();
    }
    steps.get_mut("evaluate").expect("defined above").outputs.insert(name("roc"), roc);
    release_of(steps)
}

fn field(field: &str, before: Option<&str>, after: Option<&str>, reruns: bool) -> FieldChange {
    FieldChange { field: field.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned), reruns }
}

fn base() -> PlanBase {
    PlanBase {
        source: SourceVersion { commit: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9001122334".to_owned()), dirty: true },
        tree: Digest::of_bytes(b"tree"),
        lineage: Some("l".to_owned()),
        serial: 3,
        etag: Some("e".to_owned()),
    }
}

pub(super) fn empty_plan() -> Plan {
    Plan {
        format_version: PLAN_FORMAT.to_owned(),
        liminal: "0.1.0".to_owned(),
        project: name("breast-cancer"),
        environment: name("local"),
        base: base(),
        has_changes: false,
        purpose: PlanPurpose::Apply,
        pipelines: Vec::new(),
        unchanged: 1,
        operations: Vec::new(),
        notes: Vec::new(),
        permissions: Vec::new(),
        placements: Vec::new(),
        documents: PlanDocuments::default(),
    }
}

/// The plan of a first apply.
pub(super) fn first_plan() -> Plan {
    let release = release();
    let revision = release.revision();
    let package = package();
    let python = package.python.as_ref().expect("the sample has one").digest();
    let steps = release
        .steps
        .keys()
        .map(|step| StepChange {
            step: step.clone(),
            action: ChangeAction::Create,
            fields: vec![field("timeout", None, Some("600 s"), false)],
        })
        .collect();
    let forecast = release.steps.keys().map(|step| (step.clone(), StepForecast::Runs(RerunReason::NeverRan))).collect();
    Plan {
        has_changes: true,
        unchanged: 0,
        pipelines: vec![PipelineChange {
            pipeline: name("train"),
            action: ChangeAction::Create,
            from: None,
            to: Some(revision),
            canary: None,
            fields: Vec::new(),
            steps,
            unchanged_steps: 0,
            forecast,
        }],
        operations: vec![
            Operation::CreateResource {
                address: ResourceAddress { kind: ResourceKind::Package, digest: package.digest() },
            },
            Operation::CreateResource { address: ResourceAddress { kind: ResourceKind::Python, digest: python } },
            Operation::WriteRelease { pipeline: name("train"), revision },
            Operation::MoveLive { pipeline: name("train"), from: None, to: revision },
        ],
        documents: PlanDocuments {
            releases: BTreeMap::from([(revision, release)]),
            packages: BTreeMap::from([(package.digest(), package)]),
            ..PlanDocuments::default()
        },
        ..empty_plan()
    }
}

/// A statement of a policy.
fn statement(actions: &[&str], arn: &str) -> Statement {
    Statement {
        sid: "S".to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: BTreeSet::from([arn.to_owned()]),
        conditions: BTreeMap::new(),
    }
}

/// The plan of a first apply to the cloud, with so many steps.
pub(super) fn cloud_plan(steps: usize) -> Plan {
    let mut plan = first_plan();
    plan.environment = name("staging");
    plan.operations.clear();
    for number in 0..steps {
        let served = ServedStep {
            pipeline: name("train"),
            step: name(&format!("step_{number:03}")),
            digest: Digest::of_bytes(&[0]),
        };
        let role = RoleSpec {
            path: "/liminal/breast-cancer/staging/".to_owned(),
            name_parts: vec!["breast-cancer".to_owned(), "staging".to_owned(), served.step.to_string()],
            service: "lambda.amazonaws.com".to_owned(),
            account: "123456789012".to_owned(),
            boundary: None,
            statements: Vec::new(),
        };
        let queue = QueueSpec {
            name: format!("liminal-breast-cancer-staging-train-{}-0a1b2c3d", served.step),
            visibility_seconds: 5400,
            max_receives: 5,
            senders: BTreeMap::new(),
        };
        for spec in [ResourceSpec::Role(role), ResourceSpec::Queue(queue)] {
            let address = spec.address();
            plan.operations.push(Operation::CreateResource { address: address.clone() });
            let resource = CloudResource { spec, needs: BTreeSet::new(), serves: Some(served.clone()) };
            plan.documents.resources.insert(address, resource);
        }
        plan.permissions.push(PermissionChange {
            subject: format!("train/{}", served.step),
            action: if number == 1 { ChangeAction::Update } else { ChangeAction::Create },
            gained: vec![statement(
                &["s3:GetObject", "s3:PutObject"],
                "arn:aws:s3:::liminal-123456789012-eu-central-1/breast-cancer/staging/artifacts/*",
            )],
            lost: if number == 1 {
                vec![statement(&["sqs:SendMessage"], "arn:aws:sqs:eu-central-1:123456789012:liminal-breast-cancer-*")]
            } else {
                Vec::new()
            },
        });
        plan.placements.push(Placement {
            pipeline: name("train"),
            step: served.step,
            compute: if number == 0 { Compute::Fargate } else { Compute::Lambda },
            reason: if number == 0 {
                "its attempts may take 2 h, and Lambda takes 15 min".to_owned()
            } else {
                "it is within all limits of Lambda".to_owned()
            },
        });
    }
    plan.operations.push(Operation::DeleteResource {
        address: ResourceAddress { kind: ResourceKind::Function, digest: Digest::of_bytes(b"gone") },
    });
    plan
}

/// The plan after an edit of `train.py`, some settings, and the end of another pipeline.
pub(super) fn update_plan() -> Plan {
    let first = first_plan();
    let old = Digest::of_bytes(b"old");
    let changed = |what: &str, before: Option<&str>, after: Option<&str>| {
        StepForecast::Runs(RerunReason::Changed {
            what: what.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        })
    };
    let forecast = BTreeMap::from([
        (name("fetch"), StepForecast::Cached),
        (name("clean"), StepForecast::Cached),
        (name("prepare"), StepForecast::Cached),
        (name("train"), changed("code/steps/train.py", Some("a1b2c3d4"), Some("e5f6a7b8"))),
        (name("train_forest"), StepForecast::Cached),
        (name("evaluate"), StepForecast::Depends(name("train"))),
        (name("validate"), StepForecast::Depends(name("evaluate"))),
        (name("register"), StepForecast::Depends(name("evaluate"))),
        (name("audit"), StepForecast::Runs(RerunReason::NeverRan)),
        (name("notify"), StepForecast::Runs(RerunReason::CacheOff)),
    ]);
    let train = PipelineChange {
        pipeline: name("train"),
        action: ChangeAction::Update,
        from: Some(old),
        to: first.pipelines[0].to,
        canary: None,
        fields: vec![field("params.seed", Some("42"), Some("7"), false)],
        steps: vec![
            StepChange {
                step: name("audit"),
                action: ChangeAction::Create,
                fields: vec![field("timeout", None, Some("600 s"), false)],
            },
            StepChange {
                step: name("train"),
                action: ChangeAction::Update,
                fields: vec![
                    field("code/steps/train.py", Some("a1b2c3d4"), Some("e5f6a7b8"), true),
                    field("env.MODE", None, Some("fast"), true),
                    field("package", Some("11112222"), Some("33334444"), true),
                    field("retries.max", Some("0"), Some("3"), false),
                ],
            },
            StepChange { step: name("report"), action: ChangeAction::Delete, fields: Vec::new() },
        ],
        unchanged_steps: 7,
        forecast,
    };
    let gone = PipelineChange {
        pipeline: name("score"),
        action: ChangeAction::Delete,
        from: Some(old),
        to: None,
        canary: None,
        fields: Vec::new(),
        steps: Vec::new(),
        unchanged_steps: 0,
        forecast: BTreeMap::new(),
    };
    let mut operations = first.operations.clone();
    operations.push(Operation::RemoveLive { pipeline: name("score"), from: old });
    operations.push(Operation::DeleteRelease { pipeline: name("train"), revision: Digest::of_bytes(b"older") });
    operations.push(Operation::DeleteResource {
        address: ResourceAddress { kind: ResourceKind::Package, digest: Digest::of_bytes(b"gone") },
    });
    Plan {
        pipelines: vec![train, gone],
        unchanged: 2,
        operations,
        notes: vec!["release 0a1b2c3d of train stays: run 20261124-120000-abcd uses it".to_owned()],
        ..first
    }
}

pub(super) const START: UtcTime = UtcTime::from_millis(1_795_000_000_000);

pub(super) fn run_record() -> RunRecord {
    RunRecord {
        schema: RUN_SCHEMA,
        run: name("20261124-230239-x7k2"),
        pipeline: name("train"),
        revision: release().revision(),
        params: BTreeMap::new(),
        models: BTreeMap::new(),
        object: None,
        scheduled: None,
        follows: None,
        cache: RunCache::default(),
        redrives: None,
        canary: None,
        source: SourceVersion::default(),
        started_at: START,
        deadline: None,
        started_by: None,
    }
}

pub(super) fn commit(step: &str, status: CommitStatus, seconds: f64) -> (StepName, Commit) {
    #[expect(clippy::cast_possible_truncation, reason = "a test writes few seconds")]
    let millis = (seconds * 1000.0) as i64;
    let times = (START, START.plus_millis(millis));
    let blank = Commit::blank(run_record().run, Unit::step(name(step)), status, "n".to_owned(), times);
    let commit = Commit { attempt: Some(1), ..blank };
    (name(step), commit)
}

pub(super) fn artifact() -> Artifact {
    Artifact { digest: Digest::of_bytes(b"artifact"), kind: ArtifactKind::File, bytes: 1_468_006 }
}

pub(super) fn check(expression: &str, metric: &str, value: f64, passed: bool) -> CheckResult {
    CheckResult {
        expression: expression.to_owned(),
        passed,
        values: BTreeMap::from([(metric.to_owned(), Value::Float(value))]),
    }
}

/// A run in which all went well; `fetch` and `clean` came from the cache.
pub(super) fn good_run() -> (BTreeMap<StepName, Commit>, RunResult) {
    let mut commits = BTreeMap::from([
        commit("fetch", CommitStatus::Cached, 0.0),
        commit("clean", CommitStatus::Cached, 0.0),
        commit("prepare", CommitStatus::Succeeded, 0.9),
        commit("train", CommitStatus::Succeeded, 2.4),
        commit("train_forest", CommitStatus::Succeeded, 3.1),
        commit("evaluate", CommitStatus::Succeeded, 1.8),
        commit("validate", CommitStatus::Succeeded, 0.0),
        commit("register", CommitStatus::Succeeded, 0.0),
        commit("notify", CommitStatus::Succeeded, 0.1),
    ]);
    for cached in ["fetch", "clean"] {
        commits.get_mut(cached).expect("committed").cached_from = Some(name("20261124-225900-aaaa"));
    }
    let evaluate = commits.get_mut("evaluate").expect("committed");
    evaluate.metrics = BTreeMap::from([("roc_auc".to_owned(), 0.995_370_4), ("accuracy".to_owned(), 0.964_912_28)]);
    evaluate.outputs = BTreeMap::from([(name("data"), artifact()), (name("roc"), artifact())]);
    commits.get_mut("validate").expect("committed").checks = vec![
        check("metrics.evaluate.roc_auc >= 0.95", "metrics.evaluate.roc_auc", 0.995_370_4, true),
        check("metrics.evaluate.accuracy >= 0.9", "metrics.evaluate.accuracy", 0.964_912_28, true),
    ];
    commits.get_mut("register").expect("committed").model =
        Some(ModelVersionRef { model: name("breast-cancer"), version: 3 });
    let result = result(RunStatus::Succeeded, &commits);
    (commits, result)
}

pub(super) fn result(status: RunStatus, commits: &BTreeMap<StepName, Commit>) -> RunResult {
    RunResult {
        schema: RUN_SCHEMA,
        run: run_record().run,
        status,
        steps: commits.iter().map(|(step, commit)| (step.clone(), commit.status)).collect(),
        reason: None,
        ended_at: START.plus_millis(7_300),
    }
}
