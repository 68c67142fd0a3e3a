//! The names of cloud resources: deterministic, within each service's limit, and never the same for two things.
//!
//! Limits (botocore service models of 2026-11-24): Lambda function 64, IAM role 64, SQS queue 80, Scheduler schedule 64,
//! EventBridge rule 64, ECS family 255, S3 bucket 63, log group 512.

use crate::aws::AwsPlace;
use crate::digest::Digest;
use crate::name::EnvironmentName;
use crate::name::PipelineName;
use crate::name::ProjectName;
use crate::name::StepName;

/// The longest name of a function, role, schedule or rule.
pub const MAX_NAME: usize = 64;

/// The longest name of a queue whose dead-letter queue has the same name and [`DEAD_LETTER_SUFFIX`].
pub const MAX_QUEUE_NAME: usize = 76;

/// What the name of a dead-letter queue ends with.
pub const DEAD_LETTER_SUFFIX: &str = "-dlq";

/// The path that all roles of an environment are below, so that a deployer may be confined to it.
pub fn role_path(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("/liminal/{project}/{environment}/")
}

/// What every name of an environment's resources begins with, as long as it is not shortened.
pub fn prefix(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("liminal-{project}-{environment}-")
}

/// A name made of parts and a digest, at most `max` characters long: `liminal-<part>-…-<digest8>`. When it would be longer,
/// all but the ends of it gives way to a hash of the whole, so that different things keep different names.
pub fn resource(parts: &[&str], digest: &Digest, max: usize) -> String {
    format!("{}-{}", stem(parts, max), digest.short())
}

/// Matches the names that [`resource`] gives to these parts, whatever the digest: for permissions that are to outlive it.
pub fn pattern(parts: &[&str], max: usize) -> String {
    format!("{}-*", stem(parts, max))
}

/// Digits of a digest in a name.
const DIGEST_CHARS: usize = 8;

/// What stands in names of resources for the `/` in the name of a step of a sub-pipeline.
pub const STEP_SEPARATOR: &str = "--";

/// The name without its digest.
fn stem(parts: &[&str], max: usize) -> String {
    // No service takes the `/` in the name of a step of a sub-pipeline.
    let whole = format!("liminal-{}", parts.join("-").replace('/', STEP_SEPARATOR));
    if whole.len() + 1 + DIGEST_CHARS <= max {
        return whole;
    }
    let hash = Digest::of_bytes(whole.as_bytes()).short();
    format!("{}-{hash}", start(&whole, max))
}

/// What is left of a name that is too long, before its hash.
fn start(whole: &str, max: usize) -> &str {
    let room = max.saturating_sub(2 * (1 + DIGEST_CHARS));
    // Names are ASCII, so that any position is a boundary.
    whole.get(..room).unwrap_or(whole).trim_end_matches('-')
}

/// Matches all names of an environment that are at most `max` characters long. Another environment whose name begins
/// with the name of this one is matched too.
pub fn environment_pattern(project: &ProjectName, environment: &EnvironmentName, max: usize) -> String {
    let whole = prefix(project, environment);
    format!("{}-*", start(&whole, max))
}

/// The queue of a step. It is named by the step's digest, so that whoever has the release of a run finds it.
pub fn step_queue(
    project: &ProjectName,
    environment: &EnvironmentName,
    pipeline: &PipelineName,
    step: &StepName,
    step_digest: &Digest,
) -> String {
    let parts = [project.as_str(), environment.as_str(), pipeline.as_str(), step.as_str()];
    resource(&parts, step_digest, MAX_QUEUE_NAME)
}

/// Matches the queues of a step, whatever its digest.
pub fn step_queue_pattern(
    project: &ProjectName,
    environment: &EnvironmentName,
    pipeline: &PipelineName,
    step: &StepName,
) -> String {
    pattern(&[project.as_str(), environment.as_str(), pipeline.as_str(), step.as_str()], MAX_QUEUE_NAME)
}

/// The queue that events, schedules and the sweeper's ticks go to. One per environment.
pub fn trigger_queue(project: &ProjectName, environment: &EnvironmentName) -> String {
    let identity = Digest::of_bytes(prefix(project, environment).as_bytes());
    resource(&[project.as_str(), environment.as_str(), "triggers"], &identity, MAX_QUEUE_NAME)
}

/// The log group of a step. It does not change with the step, so that logs go on.
pub fn step_log_group(
    project: &ProjectName,
    environment: &EnvironmentName,
    pipeline: &PipelineName,
    step: &StepName,
) -> String {
    format!("/liminal/{project}/{environment}/{pipeline}/{step}")
}

/// The log group of the function that starts runs.
pub fn starter_log_group(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("/liminal/{project}/{environment}/starter")
}

/// The function that takes what a code host tells. Its address is told to the host, so that its name never changes.
pub fn receiver(project: &ProjectName, environment: &EnvironmentName) -> String {
    let identity = Digest::of_bytes(prefix(project, environment).as_bytes());
    resource(&[project.as_str(), environment.as_str(), RECEIVER], &identity, MAX_NAME)
}

/// The queue by which that function tells agents that there is something to fetch.
pub fn deliveries_queue(project: &ProjectName, environment: &EnvironmentName) -> String {
    let identity = Digest::of_bytes(prefix(project, environment).as_bytes());
    resource(&[project.as_str(), environment.as_str(), "deliveries"], &identity, MAX_QUEUE_NAME)
}

/// The log group of that function.
pub fn receiver_log_group(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("/liminal/{project}/{environment}/{RECEIVER}")
}

/// What that function is called in names.
pub const RECEIVER: &str = "receiver";

/// Where in the bucket the objects of an environment are.
pub fn object_prefix(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("{project}/{environment}/")
}

/// The bucket that `liminal bootstrap` makes.
pub fn default_bucket(account: &str, region: &str) -> String {
    format!("liminal-{account}-{region}")
}

/// The cluster that `liminal bootstrap` makes.
pub const DEFAULT_CLUSTER: &str = "liminal";

/// The container image repository that `liminal bootstrap` makes.
pub const DEFAULT_REPOSITORY: &str = "liminal";

/// The container of a task that runs a step: whoever starts the task names it to say which attempt it is for.
pub const TASK_CONTAINER: &str = "step";

/// The permission boundary that `liminal bootstrap` makes, and that every role carries.
pub const BOUNDARY_POLICY: &str = "liminal-boundary";

/// The image of Fargate tasks that name none: the base image for a Python version in the repository of bootstrap.
pub fn default_image(place: &AwsPlace, tag: &str) -> String {
    let domain = if place.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{}.dkr.ecr.{}.{domain}/{DEFAULT_REPOSITORY}:{tag}", place.account, place.region)
}

/// An ARN of a service in the place.
pub fn arn(place: &AwsPlace, service: &str, resource: &str) -> String {
    format!("arn:{}:{service}:{}:{}:{resource}", place.partition, place.region, place.account)
}

/// The ARN of a role below the path of an environment.
pub fn role_arn(place: &AwsPlace, path: &str, name: &str) -> String {
    format!("arn:{}:iam::{}:role{path}{name}", place.partition, place.account)
}

/// The ARN of the permission boundary.
pub fn boundary_arn(place: &AwsPlace) -> String {
    format!("arn:{}:iam::{}:policy/{BOUNDARY_POLICY}", place.partition, place.account)
}

/// The role that the jobs of one subject deploy with to a region and bucket. Names of roles are those of a whole account, so
/// that another region, bucket, provider or subject is another role, and none takes away what another one may do.
pub fn deploy_role(place: &AwsPlace, provider: &str, subject: &str) -> String {
    let whose = Digest::of_document(&(&place.bucket, provider, subject));
    format!("liminal-deploy-{}-{}", place.region, whose.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_region_bucket_provider_or_subject_deploys_with_another_role() {
        let place = |region: &str, bucket: &str| AwsPlace {
            partition: "aws".to_owned(),
            region: region.to_owned(),
            account: "123456789012".to_owned(),
            bucket: bucket.to_owned(),
            endpoint: None,
        };
        let longest = place("ap-southeast-1", "data");
        let names = [
            deploy_role(&longest, "github", "repo:shop/models:environment:staging"),
            deploy_role(&longest, "github", "repo:shop/models:environment:production"),
            deploy_role(&longest, "gitlab", "repo:shop/models:environment:production"),
            deploy_role(&place("ap-southeast-1", "other"), "github", "repo:shop/models:environment:production"),
            deploy_role(&place("eu-west-1", "data"), "github", "repo:shop/models:environment:production"),
        ];
        assert!(names.iter().all(|name| name.len() <= MAX_NAME && name.starts_with("liminal-deploy-")), "{names:?}");
        assert_eq!(std::collections::BTreeSet::from(names.clone()).len(), names.len());
    }

    #[test]
    fn a_name_that_fits_says_all_and_a_longer_one_keeps_both_ends_and_stays_its_own() {
        let digest = Digest::of_bytes(b"x");
        assert_eq!(
            resource(&["shop", "prod", "train", "fit"], &digest, 64),
            format!("liminal-shop-prod-train-fit-{}", digest.short())
        );
        let long = "a".repeat(40);
        let one = resource(&[&long, "prod", &long, "fit"], &digest, 64);
        let other = resource(&[&long, "prod", &long, "fix"], &digest, 64);
        assert!(one.len() <= 64 && one.ends_with(&digest.short()));
        assert_ne!(one, other);
    }

    #[test]
    fn a_pattern_matches_the_names_of_its_parts_and_of_its_environment_however_long_they_are() {
        let digest = Digest::of_bytes(b"x");
        for length in [3, 20, 30, 40] {
            let (project, environment) = ("p".repeat(length), "e".repeat(length));
            let parts = [project.as_str(), environment.as_str(), "train", "fit"];
            let name = resource(&parts, &digest, MAX_NAME);
            let begins = |pattern: &str| pattern.strip_suffix('*').is_some_and(|start| name.starts_with(start));
            assert!(begins(&pattern(&parts, MAX_NAME)), "{name}");
            let (project, environment) = (ProjectName::new(&project), EnvironmentName::new(&environment));
            let (project, environment) = (project.expect("valid"), environment.expect("valid"));
            assert!(begins(&environment_pattern(&project, &environment, MAX_NAME)), "{name}");
        }
    }

    #[test]
    fn parts_that_read_alike_when_joined_are_told_apart_by_what_their_digest_is_made_of() {
        // `a-b` + `c` and `a` + `b-c` join to the same text; the step digest or the spec behind it differs, or they are the same thing.
        let digest = Digest::of_bytes(b"x");
        assert_eq!(resource(&["a-b", "c"], &digest, 64), resource(&["a", "b-c"], &digest, 64));
    }
}
