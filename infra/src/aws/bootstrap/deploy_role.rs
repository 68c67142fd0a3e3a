//! The role that a CI deploys with.

use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_iam::types::Tag;

use super::ABSENT;
use super::BootstrapError;
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

/// The role of this name, which is one deployer's alone. Roles of others are not looked at.
pub(super) async fn deploy_role(clients: &Clients, name: &str, template: &Template) -> Result<Part, BootstrapError> {
    let (client, what) = (&clients.iam, format!("role {name}"));
    let (trust, policy) = (template.deployer_trust()?, template.deployer_policy()?);
    let there = client.get_role().role_name(name).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    let mut mended = Vec::new();
    let created = match there.and_then(|there| there.role) {
        None => {
            let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
            let call = client
                .create_role()
                .role_name(name)
                .description("What a CI job of one repository deploys with, without keys.")
                .assume_role_policy_document(trust.to_string())
                .tags(tag.map_err(failed(&what, "tagged"))?);
            call.send().await.map_err(failed(&what, "made"))?;
            true
        }
        Some(role) => {
            if !is_same(role.assume_role_policy_document(), &trust) {
                let call = client.update_assume_role_policy().role_name(name).policy_document(trust.to_string());
                call.send().await.map_err(failed(&what, "changed"))?;
                mended.push("who may assume it");
            }
            false
        }
    };
    let there = client.get_role_policy().role_name(name).policy_name(DEPLOY_POLICY).send().await;
    let there = found(there, &ABSENT).map_err(failed(&what, "looked at"))?;
    if !is_same(there.as_ref().map(GetRolePolicyOutput::policy_document), &policy) {
        let call =
            client.put_role_policy().role_name(name).policy_name(DEPLOY_POLICY).policy_document(policy.to_string());
        call.send().await.map_err(failed(&what, "given its permissions"))?;
        mended.push("permissions");
    }
    Ok(Part { what, done: outcome(created, mended) })
}
