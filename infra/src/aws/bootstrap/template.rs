//! The CloudFormation template as the one source of what bootstrap makes: policies are taken out of it, with its intrinsic
//! functions carried out, so that template and command can not drift apart.

use std::collections::BTreeMap;

use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use serde_json::Map;
use serde_json::Value;

/// The template, for people who may not let a program do it.
pub const TEMPLATE: &str = include_str!("../../../bootstrap/liminal.yml");

/// Conditions that ask whether a parameter was given which only whoever uses the template itself can give.
const NOT_GIVEN: [&str; 1] = ["NamesOtherBuckets"];

/// Why a part of the template can not be used. The template is part of the program, so that tests meet all of these.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is no YAML.
    #[error("the template is no YAML")]
    Yaml(#[from] serde_yaml::Error),
    /// A part is not there.
    #[error("the template has no {0}")]
    Missing(String),
    /// An intrinsic function, or a variable in one, is not known here.
    #[error("the template uses {0}, which is not known here")]
    Unknown(String),
    /// A text that should hold JSON does not.
    #[error("a text of the template is no JSON")]
    Json(#[from] serde_json::Error),
}

/// Who may deploy from a CI, without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployer {
    /// The ARN of the OIDC provider.
    pub provider: String,
    /// The provider's host.
    pub host: String,
    /// The exact `sub` claim of the jobs.
    pub subject: String,
}

impl Deployer {
    /// The name of the role that is made for them.
    pub fn role_name(&self, place: &AwsPlace) -> String {
        names::deploy_role(place, &self.provider, &self.subject)
    }
}

/// The template, filled in for a place. Its parameters have their defaults, but for the bucket and the deployer, which are
/// known by other names: so no condition holds that asks whether one was given.
#[derive(Debug)]
pub struct Template {
    resources: serde_yaml::Value,
    variables: BTreeMap<&'static str, String>,
}

impl Template {
    /// The template for a place, and for those who may deploy there.
    ///
    /// # Errors
    /// When the template can not be read.
    pub fn new(place: &AwsPlace, deployer: Option<&Deployer>) -> Result<Self, TemplateError> {
        let whole: serde_yaml::Value = serde_yaml::from_str(TEMPLATE)?;
        let resources =
            whole.get("Resources").cloned().ok_or_else(|| TemplateError::Missing("Resources".to_owned()))?;
        let bucket_arn = format!("arn:{}:s3:::{}", place.partition, place.bucket);
        let mut variables = BTreeMap::from([
            ("AWS::Partition", place.partition.clone()),
            ("AWS::AccountId", place.account.clone()),
            ("AWS::Region", place.region.clone()),
            ("Bucket", place.bucket.clone()),
            ("Bucket.Arn", bucket_arn),
        ]);
        if let Some(deployer) = deployer {
            variables.insert("OidcProviderArn", deployer.provider.clone());
            variables.insert("OidcProviderHost", deployer.host.clone());
            variables.insert("OidcSubject", deployer.subject.clone());
        }
        Ok(Self { resources, variables })
    }

    /// The policy of the bucket.
    ///
    /// # Errors
    /// When the template does not hold it.
    pub fn bucket_policy(&self) -> Result<Value, TemplateError> {
        self.part(&["BucketPolicy", "Properties", "PolicyDocument"])
    }

    /// The policy of the permission boundary, for the one bucket of the place.
    ///
    /// # Errors
    /// When the template does not hold it.
    pub fn boundary(&self) -> Result<Value, TemplateError> {
        self.part(&["Boundary", "Properties", "PolicyDocument"])
    }

    /// Who may assume the role of a deployer.
    ///
    /// # Errors
    /// When the template does not hold it, or nobody may deploy.
    pub fn deployer_trust(&self) -> Result<Value, TemplateError> {
        match self.part(&["DeployRole", "Properties", "AssumeRolePolicyDocument"])? {
            Value::String(text) => Ok(serde_json::from_str(&text)?),
            document => Ok(document),
        }
    }

    /// What a deployer may do.
    ///
    /// # Errors
    /// When the template does not hold it.
    pub fn deployer_policy(&self) -> Result<Value, TemplateError> {
        let policies = self.part(&["DeployRole", "Properties", "Policies"])?;
        let document = policies.get(0).and_then(|policy| policy.get("PolicyDocument"));
        document.cloned().ok_or_else(|| TemplateError::Missing("DeployRole.Policies".to_owned()))
    }

    /// A part of the resources, with what it refers to filled in.
    pub(super) fn part(&self, path: &[&str]) -> Result<Value, TemplateError> {
        let mut part = &self.resources;
        for name in path {
            part = part.get(name).ok_or_else(|| TemplateError::Missing(path.join(".")))?;
        }
        self.evaluate(part)
    }

    fn evaluate(&self, value: &serde_yaml::Value) -> Result<Value, TemplateError> {
        Ok(match value {
            serde_yaml::Value::Null => Value::Null,
            serde_yaml::Value::Bool(truth) => Value::Bool(*truth),
            serde_yaml::Value::Number(number) => serde_json::to_value(number)?,
            serde_yaml::Value::String(text) => Value::String(text.clone()),
            serde_yaml::Value::Sequence(items) => {
                Value::Array(items.iter().map(|item| self.evaluate(item)).collect::<Result<_, _>>()?)
            }
            serde_yaml::Value::Mapping(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    let key = key.as_str().ok_or_else(|| TemplateError::Unknown("a key that is no text".to_owned()))?;
                    object.insert(key.to_owned(), self.evaluate(value)?);
                }
                Value::Object(object)
            }
            serde_yaml::Value::Tagged(tagged) => {
                let function = tagged.tag.to_string();
                match (function.as_str(), &tagged.value) {
                    ("!Sub", serde_yaml::Value::String(text)) => Value::String(self.substitute(text)?),
                    ("!Ref" | "!GetAtt", serde_yaml::Value::String(name)) => {
                        Value::String(self.variable(name)?.to_owned())
                    }
                    ("!If", serde_yaml::Value::Sequence(parts)) => match parts.as_slice() {
                        [serde_yaml::Value::String(asked), _, otherwise] if NOT_GIVEN.contains(&asked.as_str()) => {
                            self.evaluate(otherwise)?
                        }
                        _ => return Err(TemplateError::Unknown(function)),
                    },
                    _ => return Err(TemplateError::Unknown(function)),
                }
            }
        })
    }

    fn substitute(&self, text: &str) -> Result<String, TemplateError> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) =
                after.split_once('}').ok_or_else(|| TemplateError::Unknown("an open `${`".to_owned()))?;
            filled.push_str(before);
            filled.push_str(self.variable(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn variable(&self, name: &str) -> Result<&str, TemplateError> {
        self.variables
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| TemplateError::Unknown(format!("the variable {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> AwsPlace {
        AwsPlace {
            partition: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            bucket: "liminal-123456789012-eu-central-1".to_owned(),
            endpoint: None,
        }
    }

    #[test]
    fn every_policy_of_the_template_is_filled_in_for_the_place() {
        let deployer = Deployer {
            provider: "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com".to_owned(),
            host: "token.actions.githubusercontent.com".to_owned(),
            subject: "repo:shop/models:environment:production".to_owned(),
        };
        let template = Template::new(&place(), Some(&deployer)).expect("readable");
        let texts = [template.bucket_policy(), template.boundary(), template.deployer_policy()];
        for policy in texts {
            let text = policy.expect("complete").to_string();
            assert!(!text.contains("${") && text.contains("2012-10-17"), "{text}");
        }
        insta::assert_snapshot!(template.deployer_trust().expect("complete"));
    }

    #[test]
    fn nobody_is_trusted_where_nobody_is_named() {
        let error = Template::new(&place(), None).expect("readable").deployer_trust().expect_err("no deployer");
        insta::assert_snapshot!(error, @"the template uses the variable OidcProviderArn, which is not known here");
    }
}
