//! Where in AWS an environment is.

use super::Context;
use super::fields::Fields;
use super::keys;
use super::scalars::Problem;
use crate::aws::Arch;
use crate::aws::AwsSpec;
use crate::aws::DEFAULT_LOG_RETENTION_DAYS;
use crate::aws::FargateSettings;
use crate::definition::yaml::Key;
use crate::definition::yaml::Kind;
use crate::definition::yaml::Node;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;

/// How many days CloudWatch Logs can keep logs: `PutRetentionPolicy` of its API reference, 2026-11.
const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The most subnets and security groups of a task: `AwsVpcConfiguration` of the ECS API reference, 2026-11.
const MAX_SUBNETS: usize = 16;
const MAX_SECURITY_GROUPS: usize = 5;

/// The longest reference to a container image: `ContainerDefinition` of the ECS API reference, 2026-11.
const MAX_IMAGE_CHARS: usize = 255;

impl Context {
    /// The settings of an environment on AWS, from its keys that say where it is.
    pub(super) fn aws(&mut self, environment: &Key, entries: Vec<(Key, Node)>) -> AwsSpec {
        let node = Node { span: environment.span.clone(), kind: Kind::Map(entries) };
        // What is written wrong keeps its place free, so that nothing else goes unnoticed.
        let mut spec = AwsSpec {
            region: String::new(),
            account: None,
            bucket: None,
            arch: Arch::default(),
            log_retention_days: DEFAULT_LOG_RETENTION_DAYS,
            fargate: FargateSettings::default(),
        };
        let Some(mut fields) = Fields::open(node, &environment.span, &keys::ENVIRONMENT, self) else { return spec };
        match fields.take("region") {
            Some((_, node)) => {
                spec.region = value(self.checked(node, "a region", problem_with_region)).unwrap_or_default();
            }
            None => {
                let message = format!("the environment `{}` is on AWS, and needs the key `region`", environment.text);
                let finding = Finding::error(Code::MissingKey, &environment.span, message);
                self.push(finding.label("`region` is missing").hint("write it as AWS does: `region: eu-central-1`"));
            }
        }
        spec.account = fields.take("account").and_then(|(_, node)| self.account(node));
        spec.bucket = fields.take("bucket").and_then(|(_, node)| self.bucket(node));
        spec.arch = fields.take("arch").and_then(|(_, node)| self.arch(node)).unwrap_or_default();
        if let Some(days) = fields.take("log_retention").and_then(|(_, node)| self.log_retention(&node)) {
            spec.log_retention_days = days;
        }
        if let Some((key, node)) = fields.take("fargate") {
            spec.fargate = self.fargate(node, &key.span);
        }
        spec
    }

    fn account(&mut self, node: Node) -> Option<String> {
        if let Kind::Int(_) | Kind::Float(_) = node.kind {
            let hint = "put its twelve digits into quotes: as a number it loses the zeros it may begin with";
            self.wrong_type(&node, "the account", "a text", Some(hint));
            return None;
        }
        value(self.checked(node, "an account", |text| {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            if text.len() == 12 && digits.len() == 12 {
                return None;
            }
            Some(match digits.len() {
                12 => Problem::new("it has more than digits", format!("write it as \"{digits}\"")),
                _ => Problem::new("an account has twelve digits", "`aws sts get-caller-identity` shows it"),
            })
        }))
    }

    /// A bucket.
    pub(super) fn bucket(&mut self, node: Node) -> Option<String> {
        value(self.checked(node, "a bucket", |text| {
            let problem = problem_with_bucket(text)?;
            Some(Problem::new(
                problem,
                "S3 allows 3 to 63 lower-case letters, digits, `-` and `.` in the name of a bucket",
            ))
        }))
    }

    fn arch(&mut self, node: Node) -> Option<Arch> {
        let meant = match &node.kind {
            Kind::Text { text, .. } => match text.to_lowercase().as_str() {
                "amd64" | "x64" | "x86" | "x86-64" | "intel" => Some(Arch::X86_64),
                "aarch64" | "graviton" | "arm" => Some(Arch::Arm64),
                _ => None,
            },
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => None,
            Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
        };
        if let Some(meant) = meant {
            let message = "this is another name of what AWS calls otherwise";
            self.invalid(&node.span, message, &format!("write `arch: {}`", meant.as_str()));
            return None;
        }
        value(self.word(node, "`arch`", Arch::ALL.map(|arch| (arch.as_str(), arch))))
    }

    fn log_retention(&mut self, node: &Node) -> Option<u32> {
        let days = self.span_of_time(node, "the log retention")? / SECONDS_PER_DAY;
        let known = RETENTION_DAYS.into_iter().find(|known| (f64::from(*known) - days).abs() < f64::EPSILON);
        if known.is_none() {
            let at_least = match node.kind {
                Kind::Int(number) => RETENTION_DAYS.into_iter().find(|known| i64::from(*known) == number),
                Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Text { .. } => None,
                Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
            };
            let near = at_least.or_else(|| RETENTION_DAYS.into_iter().find(|known| f64::from(*known) >= days));
            let message = "CloudWatch Logs can not keep logs for just that long";
            let mut finding = Finding::error(Code::InvalidValue, &node.span, message);
            if let Some(near) = near {
                finding = finding.label(format!("write `{near}d`"));
            }
            self.push(
                finding.hint(format!(
                    "it can for so many days: {}",
                    RETENTION_DAYS.map(|days| days.to_string()).join(", ")
                )),
            );
        }
        known
    }

    fn fargate(&mut self, node: Node, place: &Span) -> FargateSettings {
        let Some(mut fields) = Fields::open(node, place, &keys::FARGATE, self) else {
            return FargateSettings::default();
        };
        let settings = FargateSettings {
            image: fields.take("image").and_then(|(_, node)| value(self.image(node, "the image of tasks"))),
            cluster: fields
                .take("cluster")
                .and_then(|(_, node)| value(self.checked(node, "a cluster", problem_with_cluster))),
            subnets: fields
                .take("subnets")
                .map(|(key, node)| self.ids(node, &key.span, "subnet", "subnet-", MAX_SUBNETS))
                .unwrap_or_default(),
            security_groups: fields
                .take("security_groups")
                .map(|(key, node)| self.ids(node, &key.span, "security group", "sg-", MAX_SECURITY_GROUPS))
                .unwrap_or_default(),
            public_ip: fields
                .take("public_ip")
                .and_then(|(_, node)| self.boolean(&node, "`public_ip`"))
                .unwrap_or_default(),
        };
        fields.finish(self);
        settings
    }

    /// Ids of things in a network.
    fn ids(&mut self, node: Node, place: &Span, what: &str, prefix: &str, most: usize) -> Vec<String> {
        let problem = |text: &str| {
            let rest = text.strip_prefix(prefix).unwrap_or_default();
            let known = !rest.is_empty() && rest.len() <= 32 && rest.chars().all(|c| c.is_ascii_alphanumeric());
            (!known).then(|| Problem::new("it is no id", format!("the id of a {what} begins with `{prefix}`")))
        };
        let ids =
            self.list(node, &format!("the {what}s"), |cx, node| value(cx.checked(node, &format!("a {what}"), problem)));
        if ids.len() > most {
            let message = format!("a task can not have {} {what}s", ids.len());
            self.invalid(place, message, &format!("ECS allows {most}"));
        }
        ids
    }

    /// A reference to a container image.
    pub(super) fn image(&mut self, node: Node, what: &str) -> Option<Spanned<String>> {
        self.checked(node, what, problem_with_image)
    }
}

fn value<T>(spanned: Option<Spanned<T>>) -> Option<T> {
    spanned.map(|spanned| spanned.value)
}

/// Whether a text reads like a region: `eu-central-1`, `us-gov-west-1`. Which regions there are changes by the month.
fn problem_with_region(text: &str) -> Option<Problem> {
    let region = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        let [area @ .., number] = parts.as_slice() else { return false };
        let letters =
            |part: &&str| !part.is_empty() && part.len() <= 12 && part.chars().all(|c| c.is_ascii_lowercase());
        let digits = matches!(number.len(), 1 | 2) && number.chars().all(|c| c.is_ascii_digit());
        (2..=4).contains(&area.len()) && area.iter().all(letters) && digits
    };
    if region(text) {
        return None;
    }
    let better = text.trim().to_lowercase().replace(['_', ' '], "-");
    let zone = better.trim_end_matches(|c: char| c.is_ascii_lowercase());
    Some(if region(&better) {
        Problem::new("it is not how AWS writes one", format!("write `{better}`"))
    } else if region(zone) {
        Problem::new("it is a zone", format!("write the region that the zone is in: `{zone}`"))
    } else {
        Problem::new("it does not read like one", "write it as AWS does: `eu-central-1`, `us-east-1`")
    })
}

/// What keeps a text from being the name of a bucket, if anything does: "General purpose bucket naming rules" of the S3 user
/// guide, 2026-11.
pub(super) fn problem_with_bucket(text: &str) -> Option<&'static str> {
    const PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let at_the_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let number = |part: &str| !part.is_empty() && part.len() <= 3 && part.chars().all(|c| c.is_ascii_digit());
    if text.contains("://") || text.contains('/') {
        Some("it is an address")
    } else if !(3..=63).contains(&text.len()) {
        Some("it has fewer than 3 characters, or more than 63")
    } else if !text.chars().all(|c| at_the_end(c) || c == '-' || c == '.') {
        Some("it has a character that is not allowed")
    } else if !text.starts_with(at_the_end) || !text.ends_with(at_the_end) {
        Some("it does not begin and end with a letter or a digit")
    } else if text.contains("..") {
        Some("it has two dots in a row")
    } else if text.split('.').count() == 4 && text.split('.').all(number) {
        Some("it reads like an IP address")
    } else if PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| text.ends_with(suffix))
    {
        Some("AWS keeps such names for itself")
    } else {
        None
    }
}

fn problem_with_cluster(text: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/');
    let fits = (1..=255).contains(&text.len()) && text.chars().all(allowed);
    (!fits).then(|| Problem::new("it is neither name nor ARN", "write the name of an ECS cluster, or its ARN"))
}

fn problem_with_image(text: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@' | '+');
    let hint = "write it as `docker pull` takes it: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/train:3`";
    let problem = if text.is_empty() {
        "it is empty"
    } else if text.len() > MAX_IMAGE_CHARS {
        "it has more than 255 characters"
    } else if text.contains("://") {
        "an image has no scheme"
    } else if !text.chars().all(allowed) {
        "it has a character that is not allowed"
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        "it does not begin with a letter or a digit"
    } else {
        return None;
    };
    Some(Problem::new(problem, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_all_partitions_are_known_by_their_form() {
        for region in [
            "us-east-1",
            "eu-central-1",
            "ap-southeast-12",
            "us-gov-west-1",
            "cn-north-1",
            "us-iso-east-1",
            "eusc-de-east-1",
        ] {
            assert!(problem_with_region(region).is_none(), "{region}");
        }
        let hint = |text| problem_with_region(text).map(|problem| problem.hint).expect("a problem");
        assert_eq!(hint("EU_Central_1"), "write `eu-central-1`");
        assert_eq!(hint("eu-central-1b"), "write the region that the zone is in: `eu-central-1`");
        for text in ["", "Frankfurt", "eu", "eu-central", "eu--1", "eu-central-123"] {
            assert!(hint(text).starts_with("write it as AWS does"), "{text}");
        }
    }

    #[test]
    fn buckets_are_named_by_the_rules_of_s3() {
        for bucket in ["abc", "my-bucket", "my.bucket.1", "1a2", &"a".repeat(63)] {
            assert_eq!(problem_with_bucket(bucket), None, "{bucket}");
        }
        for bucket in [
            "",
            "ab",
            &"a".repeat(64),
            "My-Bucket",
            "my_bucket",
            "-ab",
            "ab-",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "abc-s3alias",
            "abc--ol-s3",
            "s3://abc",
            "abc/def",
        ] {
            assert!(problem_with_bucket(bucket).is_some(), "{bucket}");
        }
    }

    #[test]
    fn images_are_references_without_blanks() {
        for image in [
            "python:3.11",
            "repo/image@sha256:0a1b",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/x/y:1",
            "localhost:5000/a",
        ] {
            assert!(problem_with_image(image).is_none(), "{image}");
        }
        for image in ["", "a b", "https://a/b", "{{ params.x }}", "-a", &"a".repeat(256)] {
            assert!(problem_with_image(image).is_some(), "{image}");
        }
    }
}
