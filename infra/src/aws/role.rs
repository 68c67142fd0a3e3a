//! Roles: made below the environment's path, with the account's permission boundary and one inline policy.

use aws_sdk_iam::types::Role;
use aws_sdk_iam::types::Tag;
use liminal_schemas::aws::resource::RoleSpec;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::CallError;
use super::error::failed;
use super::policy;
use super::retry::Look;
use super::retry::ROLE_BUDGET;
use super::retry::patiently;
use super::retry::until_ready;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "role";

/// The name of the one inline policy.
const POLICY: &str = "liminal";

/// Makes a role, or brings ours of the same name back to its document.
pub(super) async fn create(site: &Site, address: &ResourceAddress, spec: &RoleSpec) -> Result<(), AwsError> {
    let name = spec.name();
    let trust = policy::trust(&spec.service, &spec.account);
    let tags = tags(site, address)?;
    let created = patiently(async || {
        let request = site.clients.iam.create_role().role_name(&name).path(&spec.path);
        let request = request.assume_role_policy_document(&trust).set_permissions_boundary(spec.boundary.clone());
        request.set_tags(Some(tags.clone())).send().await.map_err(failed("iam:CreateRole", &name))
    })
    .await;
    match created {
        Ok(_) => {}
        Err(AwsError::Call(error)) if error.is(&["EntityAlreadyExists", "EntityAlreadyExistsException"]) => {
            restore(site, address, spec, &trust).await?;
        }
        // Nothing else that the call names need be there.
        Err(AwsError::Call(error)) if error.is_absent() => {
            let boundary = spec.boundary.clone().unwrap_or_default();
            return Err(AwsError::NoBoundary { role: name, boundary });
        }
        Err(error) => return Err(error),
    }
    permit(site, &name, &policy::permissions(&spec.statements)).await
}

/// Writes what a role may do. A role that was just made is not known everywhere yet.
async fn permit(site: &Site, name: &str, permissions: &str) -> Result<(), AwsError> {
    until_ready(WHAT, name, ROLE_BUDGET, async || {
        let written = patiently(async || {
            let request = site.clients.iam.put_role_policy().role_name(name).policy_name(POLICY);
            request.policy_document(permissions).send().await.map_err(failed("iam:PutRolePolicy", name))
        });
        match written.await {
            Ok(_) => Ok(Look::Ready(())),
            Err(AwsError::Call(error)) if error.is_absent() => {
                Ok(Look::Waiting { state: "absent".to_owned(), reason: Some(error.message) })
            }
            Err(error) => Err(error),
        }
    })
    .await
}

/// Brings a role that is there back to its document, if it is ours.
async fn restore(site: &Site, address: &ResourceAddress, spec: &RoleSpec, trust: &str) -> Result<(), AwsError> {
    let name = spec.name();
    let iam = &site.clients.iam;
    let Some(role) = find(site, &name).await? else {
        // It went between two calls.
        return Err(AwsError::Contended { what: WHAT, name });
    };
    match ownership(site, &role) {
        Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name }),
        owned if owned.is_for(address) => {}
        Ownership::Ours(_) => {
            let tags = Some(tags(site, address)?);
            iam.tag_role().role_name(&name).set_tags(tags).send().await.map_err(failed("iam:TagRole", &name))?;
        }
    }
    if !role.assume_role_policy_document().is_some_and(|found| policy::same(found, trust)) {
        let request = iam.update_assume_role_policy().role_name(&name).policy_document(trust);
        request.send().await.map_err(failed("iam:UpdateAssumeRolePolicy", &name))?;
    }
    // One that nobody asked for only takes away, and whoever deploys is not to lift it.
    if let Some(wanted) = spec.boundary.as_ref().filter(|wanted| boundary(&role).as_ref() != Some(*wanted)) {
        let request = iam.put_role_permissions_boundary().role_name(&name).permissions_boundary(wanted);
        request.send().await.map_err(failed("iam:PutRolePermissionsBoundary", &name))?;
    }
    Ok(())
}

/// Removes a role with its policies.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, name: &str) -> Result<(), AwsError> {
    let iam = &site.clients.iam;
    let Some(role) = find(site, name).await? else { return Ok(()) };
    match ownership(site, &role) {
        Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        Ownership::Ours(Some(other)) if other != *address => return Ok(()),
        Ownership::Ours(_) => {}
    }
    let policies = iam.list_role_policies().role_name(name).send().await;
    for policy in absent_is_none(policies.map_err(failed("iam:ListRolePolicies", name)))?
        .map(|answer| answer.policy_names)
        .unwrap_or_default()
    {
        let request = iam.delete_role_policy().role_name(name).policy_name(policy);
        absent_is_none(request.send().await.map_err(failed("iam:DeleteRolePolicy", name)))?;
    }
    let deleted = patiently(async || {
        absent_is_none(iam.delete_role().role_name(name).send().await.map_err(failed("iam:DeleteRole", name)))
    });
    deleted.await?;
    Ok(())
}

/// Where a role differs from its document; none when there is no role of ours.
pub(super) async fn drift(site: &Site, spec: &RoleSpec) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let name = spec.name();
    let Some(role) = find(site, &name).await?.filter(|role| ownership(site, role) != Ownership::Foreign) else {
        return Ok(None);
    };
    let mut comparison = Comparison::default();
    let trust = policy::trust(&spec.service, &spec.account);
    if !role.assume_role_policy_document().is_some_and(|found| policy::same(found, &trust)) {
        comparison.optional("who may assume it", trust, role.assume_role_policy_document());
    }
    if let Some(wanted) = &spec.boundary {
        comparison.optional("permission boundary", wanted, boundary(&role));
    }
    let request = site.clients.iam.get_role_policy().role_name(&name).policy_name(POLICY);
    let found = absent_is_none(request.send().await.map_err(failed("iam:GetRolePolicy", &name)))?;
    let found = found.map(|answer| answer.policy_document);
    let permissions = policy::permissions(&spec.statements);
    if !found.as_ref().is_some_and(|found| policy::same(found, &permissions)) {
        comparison.optional("permissions", permissions, found);
    }
    Ok(Some(comparison.finish()))
}

/// The names of all roles below a path.
pub(super) async fn list(site: &Site, path: &str) -> Result<Vec<String>, AwsError> {
    let mut pages = site.clients.iam.list_roles().path_prefix(path).into_paginator().page_size(1000).send();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await.map_err(failed("iam:ListRoles", path))? {
        names.extend(page.roles.into_iter().map(|role| role.role_name));
    }
    Ok(names)
}

/// Whose a role is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    Ok(find(site, name).await?.map(|role| ownership(site, &role)))
}

async fn find(site: &Site, name: &str) -> Result<Option<Role>, AwsError> {
    let answer = site.clients.iam.get_role().role_name(name).send().await.map_err(failed("iam:GetRole", name));
    Ok(absent_is_none(answer)?.and_then(|answer| answer.role))
}

fn ownership(site: &Site, role: &Role) -> Ownership {
    site.owner.ownership(role.tags().iter().map(|tag| (tag.key(), tag.value())))
}

fn boundary(role: &Role) -> Option<String> {
    role.permissions_boundary()?.permissions_boundary_arn().map(str::to_owned)
}

fn tags(site: &Site, address: &ResourceAddress) -> Result<Vec<Tag>, AwsError> {
    let tags = site.owner.tags(address).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    tags.collect::<Result<_, _>>().map_err(|error| AwsError::request("iam:TagRole", &address.to_string(), error))
}

fn absent_is_none<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
