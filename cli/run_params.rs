//! The values of a run's parameters: `--set` first, then a file, then the defaults of the definition.

use std::collections::BTreeMap;
use std::path::Path;

use liminal_schemas::definition::params_file;
use liminal_schemas::finding::Report;
use liminal_schemas::name::FieldName;
use liminal_schemas::release::Release;
use liminal_schemas::value::Value;

use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::render;

/// Where values of parameters come from.
#[derive(Debug, clap::Args)]
pub(crate) struct ParamArgs {
    /// Set a parameter for this run.
    #[arg(long = "set", value_name = "PARAM=VALUE")]
    set: Vec<String>,
    /// Set the parameters that this YAML or JSON file names. `--set` goes before it.
    #[arg(long = "params", value_name = "FILE")]
    file: Option<String>,
}

/// The value of every parameter of a release.
pub(crate) fn values(
    context: &Context,
    release: &Release,
    args: &ParamArgs,
) -> Result<BTreeMap<FieldName, Value>, CliError> {
    let mut values: BTreeMap<FieldName, Value> =
        release.params.iter().filter_map(|(name, spec)| Some((name.clone(), spec.default.clone()?))).collect();
    if let Some(file) = &args.file {
        values.extend(from_file(context, release, file)?);
    }
    for setting in &args.set {
        let (name, value) = set(release, setting)?;
        values.insert(name, value);
    }
    let missing: Vec<&str> =
        release.params.keys().filter(|name| !values.contains_key(*name)).map(FieldName::as_str).collect();
    if missing.is_empty() {
        return Ok(values);
    }
    Err(usage(format!("no value for {}", missing.join(", ")))
        .hint(format!("give one: --set {}=VALUE", missing[0]))
        .hint("or a `default:` in the definition"))
}

fn from_file(context: &Context, release: &Release, file: &str) -> Result<BTreeMap<FieldName, Value>, CliError> {
    let bytes = std::fs::read(Path::new(file)).or_failed(|| format!("{file} can not be read"))?;
    let mut report = Report::default();
    let values = params_file(file, bytes, &release.params, &mut report);
    if report.has_errors() {
        context.printer.complain(&render::findings::text(&report, &context.printer.err));
        return Err(CliError::said(ExitCode::Usage));
    }
    Ok(values)
}

fn set(release: &Release, setting: &str) -> Result<(FieldName, Value), CliError> {
    let (name, text) = setting
        .split_once('=')
        .ok_or_else(|| usage(format!("`--set {setting}` sets nothing")).hint("write --set PARAM=VALUE"))?;
    let (name, spec) = release
        .params
        .get_key_value(name)
        .ok_or_else(|| usage(format!("there is no parameter `{name}`")).hint(known(release)))?;
    let value =
        Value::parse_as(text, spec.value_type).map_err(|problem| usage(format!("parameter {name}: {problem}")))?;
    match spec.problem_with(&value) {
        Some(problem) => Err(usage(format!("parameter {name}: {problem}"))),
        None => Ok((name.clone(), value)),
    }
}

fn known(release: &Release) -> String {
    let names: Vec<&str> = release.params.keys().map(FieldName::as_str).collect();
    if names.is_empty() {
        "the pipeline has no parameters".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    }
}

fn usage(message: String) -> CliError {
    CliError::new(message).exit(ExitCode::Usage)
}
