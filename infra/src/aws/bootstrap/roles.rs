//! The permission boundary of the roles that liminal makes, and the role that a CI deploys with.

use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_iam::types::Tag;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;

use super::BootstrapError;
use super::DEPLOY_ROLE;
use super::Done;
use super::Part;
use super::TAG;
use super::failed;
use super::found;
use super::is_same;
use super::outcome;
use super::template::Template;
use crate::aws::clients::Clients;

/// The name of the deploy role's one policy.
const DEPLOY_POLICY: &str = "deploy";

/// What IAM says of what is not there.
const ABSENT: [&str; 2] = ["NoSuchEntity", "NoSuchEntityException"];

pub(super) async fn boundary(clients: &Clients, place: &AwsPlace, template: &Template) -> Result<Part, BootstrapError> {
    let (client, arn) = (&clients.iam, names::boundary_arn(place));
    let what = format!("permission boundary {}", names::BOUNDARY_POLICY);
    let document = template.boundary()?;
    let there = client.get_policy().policy_arn(&arn).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    let Some(policy) = there.and_then(|there| there.policy) else {
        let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
        let call = client
            .create_policy()
            .policy_name(names::BOUNDARY_POLICY)
            .description("The most that any role made by liminal may do, whatever its own policy says.")
            .policy_document(document.to_string())
            .tags(tag.map_err(failed(&what, "tagged"))?);
        call.send().await.map_err(failed(&what, "made"))?;
        return Ok(Part { what, done: Done::Created });
    };
    let version = policy.default_version_id().unwrap_or("v1");
    let there = client.get_policy_version().policy_arn(&arn).version_id(version).send().await;
    let there = there.map_err(failed(&what, "looked at"))?;
    let there = there.policy_version().and_then(|version| version.document());
    if is_same(there, &document) {
        return Ok(Part { what, done: Done::Unchanged });
    }
    // A policy has at most five versions: the oldest gives way.
    let versions = client.list_policy_versions().policy_arn(&arn).send().await.map_err(failed(&what, "looked at"))?;
    let mut old: Vec<&str> = versions
        .versions()
        .iter()
        .filter(|version| !version.is_default_version())
        .filter_map(|version| version.version_id())
        .collect();
    old.sort_by_key(|id| id.trim_start_matches('v').parse::<u32>().unwrap_or(0));
    if let (true, Some(oldest)) = (old.len() >= 4, old.first()) {
        let call = client.delete_policy_version().policy_arn(&arn).version_id(*oldest);
        call.send().await.map_err(failed(&what, "changed"))?;
    }
    let call =
        client.create_policy_version().policy_arn(&arn).policy_document(document.to_string()).set_as_default(true);
    call.send().await.map_err(failed(&what, "changed"))?;
    Ok(Part { what, done: Done::Mended(vec!["policy"]) })
}

pub(super) async fn deploy_role(clients: &Clients, template: &Template) -> Result<Part, BootstrapError> {
    let (client, what) = (&clients.iam, format!("role {DEPLOY_ROLE}"));
    let (trust, policy) = (template.deployer_trust()?, template.deployer_policy()?);
    let there = client.get_role().role_name(DEPLOY_ROLE).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    let mut mended = Vec::new();
    let created = match there.and_then(|there| there.role) {
        None => {
            let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
            let call = client
                .create_role()
                .role_name(DEPLOY_ROLE)
                .description("What a CI job of one repository deploys with, without keys.")
                .assume_role_policy_document(trust.to_string())
                .tags(tag.map_err(failed(&what, "tagged"))?);
            call.send().await.map_err(failed(&what, "made"))?;
            true
        }
        Some(role) => {
            if !is_same(role.assume_role_policy_document(), &trust) {
                let call = client.update_assume_role_policy().role_name(DEPLOY_ROLE).policy_document(trust.to_string());
                call.send().await.map_err(failed(&what, "changed"))?;
                mended.push("who may assume it");
            }
            false
        }
    };
    let there = client.get_role_policy().role_name(DEPLOY_ROLE).policy_name(DEPLOY_POLICY).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    if !is_same(there.as_ref().map(GetRolePolicyOutput::policy_document), &policy) {
        let call = client
            .put_role_policy()
            .role_name(DEPLOY_ROLE)
            .policy_name(DEPLOY_POLICY)
            .policy_document(policy.to_string());
        call.send().await.map_err(failed(&what, "given its permissions"))?;
        mended.push("permissions");
    }
    Ok(Part { what, done: outcome(created, mended) })
}
