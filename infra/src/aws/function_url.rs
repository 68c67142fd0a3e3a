//! The address of a function on the internet, which anybody may call.
//!
//! Since October 2025 whoever calls such an address needs two permissions, `lambda:InvokeFunctionUrl` and, for calls that come by
//! the address, `lambda:InvokeFunction` (AWS Lambda Developer Guide, "Control access to Lambda function URLs", 2026-11).

use aws_sdk_lambda::types::FunctionUrlAuthType;
use aws_sdk_lambda::types::InvokeMode;
use serde_json::Value;
use serde_json::json;

use super::error::AwsError;
use super::error::CallError;
use super::error::failed;
use super::function;
use super::policy;
use super::retry::patiently;
use super::site::Site;
use super::tags::Ownership;

/// The statement that lets anybody call the address.
const CALL: &str = "liminal-call-url";

/// The statement that lets such a call invoke the function, and no other call.
const INVOKE: &str = "liminal-invoke-by-url";

/// How many calls of an address are answered at once: a flood of them must not take the account's whole concurrency, which
/// all steps share and which is paid for (AWS Lambda Developer Guide, "Configuring reserved concurrency", 2026-11).
const CALLS_AT_ONCE: i32 = 5;

/// An address that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl {
    /// The address.
    pub url: String,
    /// Whether anything was made or changed for it.
    pub changed: bool,
}

/// Gives a function an address that anybody may call, unless it has one, and bounds how many do so at once.
///
/// # Errors
/// When the function is gone or not ours, or AWS refuses.
pub async fn open_function(site: &Site, name: &str) -> Result<FunctionUrl, AwsError> {
    match function::owner(site, name).await? {
        Some(Ownership::Ours(_)) => {}
        Some(Ownership::Foreign) => return Err(AwsError::Foreign { what: "function", name: name.to_owned() }),
        None => return Err(AwsError::Contended { what: "function", name: name.to_owned() }),
    }
    let mut changed = bound(site, name).await?;
    let url = match find(site, name).await? {
        Some((url, true)) => url,
        found => {
            changed = true;
            make(site, name, found.is_some()).await?
        }
    };
    let statements = statements(site, name).await?;
    let arn = site.function_arn(name);
    for wanted in [CALL, INVOKE] {
        let there = statements.iter().find(|statement| statement["Sid"] == wanted);
        match there {
            Some(there) if says(there, &statement(wanted, &arn)) => continue,
            Some(_) => {
                let request = site.clients.lambda.remove_permission().function_name(name).statement_id(wanted);
                absent_is_fine(request.send().await.map_err(failed("lambda:RemovePermission", name)))?;
            }
            None => {}
        }
        permit(site, name, wanted).await?;
        changed = true;
    }
    Ok(FunctionUrl { url, changed })
}

/// Bounds how many calls are answered at once. Whether that is new.
async fn bound(site: &Site, name: &str) -> Result<bool, AwsError> {
    let lambda = &site.clients.lambda;
    let found = lambda.get_function_concurrency().function_name(name).send().await;
    let found = found.map_err(failed("lambda:GetFunctionConcurrency", name))?.reserved_concurrent_executions;
    if found == Some(CALLS_AT_ONCE) {
        return Ok(false);
    }
    let bounded = patiently(async || {
        let request = lambda.put_function_concurrency().function_name(name);
        let request = request.reserved_concurrent_executions(CALLS_AT_ONCE);
        request.send().await.map_err(failed("lambda:PutFunctionConcurrency", name))
    });
    match bounded.await {
        Ok(_) => Ok(true),
        // A new account has so little that it can not set any aside: what it has is the bound then.
        Err(AwsError::Call(error)) if error.message.contains("UnreservedConcurrentExecution") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the address of a function away, if it is ours and has one.
///
/// # Errors
/// When AWS refuses.
pub async fn close_function(site: &Site, name: &str) -> Result<(), AwsError> {
    match function::owner(site, name).await? {
        Some(Ownership::Ours(_)) => {}
        Some(Ownership::Foreign) | None => return Ok(()),
    }
    let lambda = &site.clients.lambda;
    for statement in [CALL, INVOKE] {
        let request = lambda.remove_permission().function_name(name).statement_id(statement);
        absent_is_fine(request.send().await.map_err(failed("lambda:RemovePermission", name)))?;
    }
    let request = lambda.delete_function_url_config().function_name(name);
    absent_is_fine(request.send().await.map_err(failed("lambda:DeleteFunctionUrlConfig", name)))
}

/// The address of a function of ours; none when it has none.
///
/// # Errors
/// When AWS can not be asked.
pub async fn function_address(site: &Site, name: &str) -> Result<Option<String>, AwsError> {
    match function::owner(site, name).await? {
        Some(Ownership::Ours(_)) => Ok(find(site, name).await?.map(|(url, _)| url)),
        Some(Ownership::Foreign) | None => Ok(None),
    }
}

/// The address of a function, and whether it is as it should be; none when it has none.
async fn find(site: &Site, name: &str) -> Result<Option<(String, bool)>, AwsError> {
    let request = site.clients.lambda.get_function_url_config().function_name(name);
    match request.send().await.map_err(failed("lambda:GetFunctionUrlConfig", name)) {
        Ok(found) => {
            let buffered = found.invoke_mode().is_none_or(|mode| *mode == InvokeMode::Buffered);
            let open = *found.auth_type() == FunctionUrlAuthType::None;
            // Pages of others have no business here.
            let closed_to_pages = found.cors().is_none();
            Ok(Some((found.function_url, buffered && open && closed_to_pages)))
        }
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn make(site: &Site, name: &str, is_there: bool) -> Result<String, AwsError> {
    let lambda = &site.clients.lambda;
    if is_there {
        // What pages of others may do goes with it: an update can not take it away.
        let request = lambda.delete_function_url_config().function_name(name);
        absent_is_fine(request.send().await.map_err(failed("lambda:DeleteFunctionUrlConfig", name)))?;
    }
    let made = patiently(async || {
        let request = lambda.create_function_url_config().function_name(name).auth_type(FunctionUrlAuthType::None);
        let request = request.invoke_mode(InvokeMode::Buffered);
        request.send().await.map_err(failed("lambda:CreateFunctionUrlConfig", name))
    });
    match made.await {
        Ok(made) => Ok(made.function_url),
        Err(AwsError::Call(error)) if error.is(&["ResourceConflictException"]) => match find(site, name).await? {
            Some((url, true)) => Ok(url),
            Some(_) | None => Err(AwsError::Contended { what: "address of function", name: name.to_owned() }),
        },
        Err(error) => Err(error),
    }
}

async fn permit(site: &Site, name: &str, statement: &str) -> Result<(), AwsError> {
    let permitted = patiently(async || {
        let request = site.clients.lambda.add_permission().function_name(name).statement_id(statement).principal("*");
        let request = if statement == CALL {
            request.action("lambda:InvokeFunctionUrl").function_url_auth_type(FunctionUrlAuthType::None)
        } else {
            request.action("lambda:InvokeFunction").invoked_via_function_url(true)
        };
        match request.send().await.map_err(failed("lambda:AddPermission", name)) {
            // Somebody else was faster, with the same statement.
            Err(error) if error.is(&["ResourceConflictException"]) && error.message.contains("already exists") => {
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    });
    permitted.await
}

/// A statement as Lambda tells it.
fn statement(sid: &str, arn: &str) -> Value {
    let (action, condition) = if sid == CALL {
        ("lambda:InvokeFunctionUrl", json!({ "StringEquals": { "lambda:FunctionUrlAuthType": "NONE" } }))
    } else {
        ("lambda:InvokeFunction", json!({ "Bool": { "lambda:InvokedViaFunctionUrl": "true" } }))
    };
    json!({ "Sid": sid, "Effect": "Allow", "Principal": "*", "Action": action, "Resource": arn, "Condition": condition })
}

/// Whether a statement that is there says what is wanted. Everybody is written in two ways.
fn says(there: &Value, wanted: &Value) -> bool {
    let mut there = there.clone();
    if there["Principal"]["AWS"] == "*" {
        there["Principal"] = json!("*");
    }
    policy::same(&there.to_string(), &wanted.to_string())
}

/// What the policy of a function says.
async fn statements(site: &Site, name: &str) -> Result<Vec<Value>, AwsError> {
    let request = site.clients.lambda.get_policy().function_name(name);
    let text = match request.send().await.map_err(failed("lambda:GetPolicy", name)) {
        Ok(answer) => answer.policy.unwrap_or_default(),
        Err(error) if error.is_absent() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let what = || format!("the policy of function {name}");
    let policy: Value = serde_json::from_str(&text).map_err(|source| AwsError::Json { what: what(), source })?;
    Ok(policy["Statement"].as_array().cloned().unwrap_or_default())
}

fn absent_is_fine<T>(answer: Result<T, CallError>) -> Result<(), AwsError> {
    match answer {
        Err(error) if !error.is_absent() => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}
