//! Lambda functions.

use std::collections::BTreeMap;
use std::collections::HashMap;

use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::types::Architecture;
use aws_sdk_lambda::types::Environment;
use aws_sdk_lambda::types::EphemeralStorage;
use aws_sdk_lambda::types::FunctionCode;
use aws_sdk_lambda::types::FunctionConfiguration;
use aws_sdk_lambda::types::LastUpdateStatus;
use aws_sdk_lambda::types::LogFormat;
use aws_sdk_lambda::types::LoggingConfig;
use aws_sdk_lambda::types::PackageType;
use aws_sdk_lambda::types::Runtime;
use aws_sdk_lambda::types::State;
use liminal_schemas::aws::Arch;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::keys;
use liminal_schemas::state::ResourceAddress;

use super::drift::Comparison;
use super::drift::FieldDrift;
use super::error::AwsError;
use super::error::failed;
use super::retry::CHANGE_BUDGET;
use super::retry::Look;
use super::retry::blaming;
use super::retry::patiently;
use super::retry::until_ready;
use super::site::Site;
use super::tags::Ownership;

const WHAT: &str = "function";

/// How often a function is brought back to its document while somebody else changes it.
const ROUNDS: usize = 6;

/// What a function's description begins with: the hash of the code that it was made with, as Lambda writes it. So one
/// listing shows whether the code is still that code.
const DESCRIPTION: &str = "liminal code ";

/// Makes a function from its bundle and waits until it can be called, or brings ours back to its document.
pub(super) async fn create(
    site: &Site,
    address: &ResourceAddress,
    spec: &FunctionSpec,
    code_sha256: &str,
) -> Result<(), AwsError> {
    match make(site, address, spec, code_sha256).await {
        Ok(()) => {}
        Err(AwsError::Call(error)) if error.is(&["ResourceConflictException"]) => {
            return restore(site, address, spec, code_sha256).await;
        }
        Err(error) => return Err(error),
    }
    settled(site, &spec.name()).await?;
    Ok(())
}

async fn make(site: &Site, address: &ResourceAddress, spec: &FunctionSpec, code_sha256: &str) -> Result<(), AwsError> {
    let name = spec.name();
    let code = FunctionCode::builder()
        .s3_bucket(&site.place.bucket)
        .s3_key(site.object_key(&keys::bundle(&spec.bundle.digest)));
    let code = code.build();
    let storage = storage(spec)?;
    let tags: HashMap<String, String> = site.owner.tags(address).into_iter().collect();
    let made = patiently(async || {
        let request = site.clients.lambda.create_function().function_name(&name).package_type(PackageType::Zip);
        let request = request.runtime(Runtime::from(spec.runtime.as_str())).handler(&spec.handler).role(&spec.role);
        let request = request.code(code.clone()).architectures(architecture(spec.arch)).publish(false);
        let request = request.memory_size(as_i32(spec.memory_mib)).timeout(as_i32(spec.timeout_seconds));
        let request = request.ephemeral_storage(storage.clone()).environment(environment(spec));
        let request = request.logging_config(logging(spec)).description(description(code_sha256));
        request.set_tags(Some(tags.clone())).send().await.map_err(failed("lambda:CreateFunction", &name))
    });
    blaming(&spec.role, made.await)?;
    Ok(())
}

/// Brings a function back to its document in as many steps as Lambda needs, each of which names the revision that it is
/// made for.
async fn restore(
    site: &Site,
    address: &ResourceAddress,
    spec: &FunctionSpec,
    code_sha256: &str,
) -> Result<(), AwsError> {
    let name = spec.name();
    let mut changed = false;
    for _ in 0..ROUNDS {
        let Some(found) = find(site, &name).await? else { return Err(AwsError::Contended { what: WHAT, name }) };
        let owned = ownership(site, &found);
        if owned == Ownership::Foreign {
            return Err(AwsError::Foreign { what: WHAT, name });
        }
        if found.configuration().and_then(FunctionConfiguration::state) == Some(&State::Failed) {
            // Such a function never comes into use again.
            delete(site, address, &name).await?;
            make(site, address, spec, code_sha256).await?;
            changed = true;
            continue;
        }
        let found = settled(site, &name).await?;
        if changed && found.last_update_status() == Some(&LastUpdateStatus::Failed) {
            let reason = found.last_update_status_reason().map(str::to_owned);
            return Err(AwsError::Unusable { what: WHAT, name, state: "not updated".to_owned(), reason });
        }
        if !owned.is_for(address) {
            let arn = site.function_arn(&name);
            let tags = Some(site.owner.tags(address).into_iter().collect());
            let request = site.clients.lambda.tag_resource().resource(arn).set_tags(tags);
            request.send().await.map_err(failed("lambda:TagResource", &name))?;
        }
        let outcome = if has_other_code(spec, code_sha256, &found) {
            update_code(site, spec, &found).await
        } else if drift(spec, Some(code_sha256), &found).is_empty() {
            return Ok(());
        } else {
            update_configuration(site, spec, code_sha256, &found).await
        };
        match outcome {
            Ok(()) => changed = true,
            // Somebody changed it since it was looked at.
            Err(AwsError::Call(error)) if error.is(&["PreconditionFailedException"]) => {}
            Err(error) => return Err(error),
        }
    }
    Err(AwsError::Contended { what: WHAT, name })
}

async fn update_code(site: &Site, spec: &FunctionSpec, found: &FunctionConfiguration) -> Result<(), AwsError> {
    let name = spec.name();
    let key = site.object_key(&keys::bundle(&spec.bundle.digest));
    patiently(async || {
        let request = site.clients.lambda.update_function_code().function_name(&name);
        let request = request.s3_bucket(&site.place.bucket).s3_key(&key).architectures(architecture(spec.arch));
        let request = request.set_revision_id(found.revision_id().map(str::to_owned));
        request.send().await.map_err(failed("lambda:UpdateFunctionCode", &name))
    })
    .await?;
    Ok(())
}

async fn update_configuration(
    site: &Site,
    spec: &FunctionSpec,
    code_sha256: &str,
    found: &FunctionConfiguration,
) -> Result<(), AwsError> {
    let name = spec.name();
    let storage = storage(spec)?;
    let updated = patiently(async || {
        let request = site.clients.lambda.update_function_configuration().function_name(&name);
        let request = request.runtime(Runtime::from(spec.runtime.as_str())).handler(&spec.handler).role(&spec.role);
        let request = request.memory_size(as_i32(spec.memory_mib)).timeout(as_i32(spec.timeout_seconds));
        let request = request.ephemeral_storage(storage.clone()).environment(environment(spec));
        let request = request.logging_config(logging(spec)).description(description(code_sha256));
        let request = request.set_revision_id(found.revision_id().map(str::to_owned));
        request.send().await.map_err(failed("lambda:UpdateFunctionConfiguration", &name))
    });
    blaming(&spec.role, updated.await)?;
    Ok(())
}

/// Removes a function.
pub(super) async fn delete(site: &Site, address: &ResourceAddress, name: &str) -> Result<(), AwsError> {
    let Some(found) = find(site, name).await? else { return Ok(()) };
    match ownership(site, &found) {
        Ownership::Foreign => return Err(AwsError::Foreign { what: WHAT, name: name.to_owned() }),
        Ownership::Ours(Some(other)) if other != *address => return Ok(()),
        Ownership::Ours(_) => {}
    }
    let deleted = patiently(async || {
        let request = site.clients.lambda.delete_function().function_name(name);
        match request.send().await.map_err(failed("lambda:DeleteFunction", name)) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    });
    deleted.await
}

/// All functions of the region, by name.
pub(super) async fn list(site: &Site) -> Result<BTreeMap<String, FunctionConfiguration>, AwsError> {
    let mut pages = site.clients.lambda.list_functions().into_paginator().send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.try_next().await.map_err(failed("lambda:ListFunctions", "the region"))? {
        let functions = page.functions.unwrap_or_default().into_iter();
        found.extend(functions.filter_map(|function| Some((function.function_name.clone()?, function))));
    }
    Ok(found)
}

/// Whose a function is; none when it is not there.
pub(super) async fn owner(site: &Site, name: &str) -> Result<Option<Ownership>, AwsError> {
    Ok(find(site, name).await?.map(|found| ownership(site, &found)))
}

/// Where a function differs from its document. Without a known hash, its code is compared with the one that it was made
/// with.
pub(super) fn drift(spec: &FunctionSpec, code_sha256: Option<&str>, found: &FunctionConfiguration) -> Vec<FieldDrift> {
    let mut comparison = Comparison::default();
    comparison.optional("runtime", &spec.runtime, found.runtime().map(Runtime::as_str));
    comparison.optional("handler", &spec.handler, found.handler());
    comparison.optional("role", &spec.role, found.role());
    comparison.optional("memory", spec.memory_mib, found.memory_size());
    comparison.optional("timeout", spec.timeout_seconds, found.timeout());
    // What every answer of Lambda has, but not that of everything that answers like it.
    if let Some(storage) = found.ephemeral_storage() {
        comparison.field("disk", spec.disk_mib, storage.size());
    }
    if let Some(architecture) = found.architectures().first() {
        comparison.field("arch", spec.arch.as_str(), architecture.as_str());
    }
    if let Some(group) = found.logging_config().and_then(LoggingConfig::log_group) {
        comparison.field("log group", &spec.log_group, group);
    }
    let variables = found.environment().and_then(|environment| environment.variables());
    let variables: BTreeMap<&String, &String> = variables.into_iter().flatten().collect();
    let names: std::collections::BTreeSet<&String> = spec.environment.keys().chain(variables.keys().copied()).collect();
    for name in names {
        let (expected, found) = (spec.environment.get(name), variables.get(name).copied());
        if expected != found {
            // Values stay out of what is shown.
            let shown = |value: Option<&String>| match value {
                Some(_) => format!("a value for {name}"),
                None => format!("no {name}"),
            };
            let found =
                if expected.is_some() && found.is_some() { format!("another value for {name}") } else { shown(found) };
            comparison.field("environment", shown(expected), found);
        }
    }
    let described = found.description().and_then(|text| text.strip_prefix(DESCRIPTION));
    match code_sha256.or(described) {
        Some(expected) => comparison.optional("code", expected, found.code_sha256()),
        None => comparison.optional("code", "the code that its description names", found.code_sha256()),
    }
    if let Some(expected) = code_sha256 {
        comparison.optional("description", description(expected), found.description());
    }
    comparison.finish()
}

/// What is there of a function, with its code compared with the hash that is known for it.
pub(super) async fn inspect(
    site: &Site,
    address: &ResourceAddress,
    spec: &FunctionSpec,
    code_sha256: Option<&str>,
) -> Result<Option<Vec<FieldDrift>>, AwsError> {
    let Some(found) = find(site, &spec.name()).await? else { return Ok(None) };
    let Ownership::Ours(owned) = ownership(site, &found) else { return Ok(None) };
    let mut drift = found.configuration().map(|found| drift(spec, code_sha256, found)).unwrap_or_default();
    let mut comparison = Comparison::default();
    comparison.optional("liminal:resource", address, owned);
    drift.extend(comparison.finish());
    Ok(Some(drift))
}

fn has_other_code(spec: &FunctionSpec, code_sha256: &str, found: &FunctionConfiguration) -> bool {
    let other_arch = found.architectures().first().is_some_and(|found| *found != architecture(spec.arch));
    found.code_sha256() != Some(code_sha256) || other_arch
}

/// Waits until a function can be called and changed.
async fn settled(site: &Site, name: &str) -> Result<FunctionConfiguration, AwsError> {
    until_ready(WHAT, name, CHANGE_BUDGET, async || {
        let Some(found) = find(site, name).await?.and_then(|found| found.configuration) else {
            return Ok(Look::Waiting { state: "absent".to_owned(), reason: None });
        };
        if found.state() == Some(&State::Failed) {
            let reason = found.state_reason().map(str::to_owned);
            let name = name.to_owned();
            return Err(AwsError::Unusable { what: WHAT, name, state: "not usable".to_owned(), reason });
        }
        if found.state() == Some(&State::Pending) {
            let reason = found.state_reason().map(str::to_owned);
            return Ok(Look::Waiting { state: "pending".to_owned(), reason });
        }
        if found.last_update_status() == Some(&LastUpdateStatus::InProgress) {
            let reason = found.last_update_status_reason().map(str::to_owned);
            return Ok(Look::Waiting { state: "being updated".to_owned(), reason });
        }
        Ok(Look::Ready(found))
    })
    .await
}

/// One call of which Lambda allows many more than of all others.
async fn find(site: &Site, name: &str) -> Result<Option<GetFunctionOutput>, AwsError> {
    let answer = patiently(async || {
        let request = site.clients.lambda.get_function().function_name(name);
        match request.send().await.map_err(failed("lambda:GetFunction", name)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    });
    answer.await
}

fn ownership(site: &Site, found: &GetFunctionOutput) -> Ownership {
    let tags = found.tags().into_iter().flatten();
    site.owner.ownership(tags.map(|(key, value)| (key.as_str(), value.as_str())))
}

fn description(code_sha256: &str) -> String {
    format!("{DESCRIPTION}{code_sha256}")
}

fn environment(spec: &FunctionSpec) -> Environment {
    let variables: HashMap<String, String> = spec.environment.clone().into_iter().collect();
    Environment::builder().set_variables(Some(variables)).build()
}

fn logging(spec: &FunctionSpec) -> LoggingConfig {
    LoggingConfig::builder().log_format(LogFormat::Text).log_group(&spec.log_group).build()
}

fn storage(spec: &FunctionSpec) -> Result<EphemeralStorage, AwsError> {
    let storage = EphemeralStorage::builder().size(as_i32(spec.disk_mib)).build();
    storage.map_err(|error| AwsError::request("lambda:CreateFunction", &spec.name(), error))
}

const fn architecture(arch: Arch) -> Architecture {
    match arch {
        Arch::X86_64 => Architecture::X8664,
        Arch::Arm64 => Architecture::Arm64,
    }
}

fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
