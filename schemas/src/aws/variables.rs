//! The environment variables by which a runner in the cloud knows where it is and what it is for.

/// The project.
pub const PROJECT: &str = "LIMINAL_PROJECT";
/// The environment.
pub const ENVIRONMENT: &str = "LIMINAL_ENVIRONMENT";
/// The bucket.
pub const BUCKET: &str = "LIMINAL_BUCKET";
/// Where calls go instead of AWS's own endpoints: the variable of the SDKs.
pub const ENDPOINT: &str = "AWS_ENDPOINT_URL";
/// What a function does: one of [`MODE_STEP`], [`MODE_DISPATCH`], [`MODE_START`] and [`MODE_RECEIVE`].
pub const MODE: &str = "LIMINAL_MODE";
/// It carries out one step.
pub const MODE_STEP: &str = "step";
/// It starts the tasks of one step.
pub const MODE_DISPATCH: &str = "dispatch";
/// It starts and sweeps runs.
pub const MODE_START: &str = "start";
/// It takes what a code host tells.
pub const MODE_RECEIVE: &str = "receive";
/// Where the secret is that a code host signs with: `secretsmanager:NAME`, `secretsmanager:NAME#KEY` or `ssm:/NAME`.
pub const SIGNING_SECRET: &str = "LIMINAL_SIGNING_SECRET";
/// The cluster that tasks are started in: a name or an ARN.
pub const CLUSTER: &str = "LIMINAL_CLUSTER";
/// The family of the task definition.
pub const TASK_DEFINITION: &str = "LIMINAL_TASK_DEFINITION";
/// The subnets of tasks, with commas between them.
pub const SUBNETS: &str = "LIMINAL_SUBNETS";
/// The security groups of tasks, with commas between them.
pub const SECURITY_GROUPS: &str = "LIMINAL_SECURITY_GROUPS";
/// Whether tasks get a public address: `true` or `false`.
pub const PUBLIC_IP: &str = "LIMINAL_PUBLIC_IP";
/// The digest, in hexadecimal, of the bundle that a task fetches.
pub const BUNDLE: &str = "LIMINAL_BUNDLE";
