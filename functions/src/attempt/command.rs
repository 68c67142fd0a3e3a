//! The command line of an attempt: program, arguments and environment, with nothing of the caller's in them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::name::FieldName;
use liminal_schemas::run::Failure;
use liminal_schemas::template::Part;
use liminal_schemas::template::Template;
use liminal_schemas::value::Value;

use super::binding::Binding;
use super::failure;
use super::folder::AttemptFolder;
use crate::executor::AttemptJob;

/// The code of a step, where this machine has it.
#[derive(Clone, Debug)]
pub struct Code {
    /// The folder that stands for the project folder.
    pub folder: PathBuf,
    /// The folder below it that Python imports from; empty for itself.
    pub root: String,
    /// The files in it.
    pub files: BTreeSet<String>,
}

impl Code {
    /// The folder that Python imports from.
    pub fn import_root(&self) -> PathBuf {
        match self.root.trim_matches('/') {
            "" | "." => self.folder.clone(),
            root => self.folder.join(root),
        }
    }
}

/// What the platform adds to a step's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// Where programs are looked for.
    pub search_path: &'a str,
    /// The step's code, where it has any.
    pub code: Option<&'a Code>,
    /// The Python environment, where it has one.
    pub venv: Option<&'a Path>,
    /// What runs Python where there is no environment; none for `python3`.
    pub python: Option<&'a Path>,
    /// Folders besides the code that Python imports from.
    pub libraries: &'a [PathBuf],
    /// Variables of the machine without which its programs do not start.
    pub variables: &'a [(String, String)],
}

/// What is started.
#[derive(Debug)]
pub struct CommandLine {
    /// The program's file.
    pub program: PathBuf,
    /// The program as the step names it: its argument 0.
    pub name: String,
    /// The other arguments.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// The working directory.
    pub folder: PathBuf,
}

impl CommandLine {
    /// The command line for `run:`.
    ///
    /// # Errors
    /// When a template can not be filled in, or there is no such program.
    pub fn for_run(
        argv: &[Template],
        job: &AttemptJob,
        folder: &AttemptFolder,
        binding: &Binding,
        surroundings: Surroundings<'_>,
    ) -> Result<Self, Failure> {
        let environment = environment(job, folder, binding, surroundings)?;
        let mut filled = argv.iter().map(|template| match packaged(template, surroundings.code) {
            Some(path) => Ok(path.to_string_lossy().into_owned()),
            None => binding.fill(template, job),
        });
        let name = filled.next().ok_or_else(|| failure::poison("`run:` names no program"))??;
        let arguments = filled.collect::<Result<Vec<String>, Failure>>()?;
        let program = find_program(&name, &environment, folder.work())?;
        Ok(Self { program, name, arguments, environment, folder: folder.work().to_owned() })
    }

    /// The command line for `call:`: Python, a script of ours, and the file that tells it what to call.
    ///
    /// # Errors
    /// When a template can not be filled in, or there is no Python.
    pub fn for_call(
        script: &Path,
        call_file: &Path,
        job: &AttemptJob,
        folder: &AttemptFolder,
        binding: &Binding,
        surroundings: Surroundings<'_>,
    ) -> Result<Self, Failure> {
        let environment = environment(job, folder, binding, surroundings)?;
        let name = match (surroundings.venv, surroundings.python) {
            (Some(venv), _) => venv.join("bin/python").to_string_lossy().into_owned(),
            (None, Some(python)) => python.to_string_lossy().into_owned(),
            (None, None) => "python3".to_owned(),
        };
        let program = find_program(&name, &environment, folder.work())?;
        let arguments = [script, call_file].map(|path| path.to_string_lossy().into_owned()).into();
        Ok(Self { program, name, arguments, environment, folder: folder.work().to_owned() })
    }
}

/// Where an argument is the path of a packaged file, that file. A filled-in value never is: it is data.
fn packaged(template: &Template, code: Option<&Code>) -> Option<PathBuf> {
    let code = code?;
    let [Part::Text(text)] = template.parts() else { return None };
    let path = text.strip_prefix("./").unwrap_or(text);
    code.files.contains(path).then(|| code.folder.join(path))
}

fn environment(
    job: &AttemptJob,
    folder: &AttemptFolder,
    binding: &Binding,
    surroundings: Surroundings<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    for (name, value) in surroundings.variables {
        set(name, value.clone());
    }
    set("PATH", surroundings.search_path.to_owned());
    set("HOME", text(folder.work()));
    set("TMPDIR", text(folder.work()));
    set("LANG", "C.UTF-8".to_owned());
    set("TZ", "UTC".to_owned());
    set("PYTHONUNBUFFERED", "1".to_owned());
    set("PYTHONDONTWRITEBYTECODE", "1".to_owned());
    set("PYTHONHASHSEED", "0".to_owned());
    set("PYTHONUTF8", "1".to_owned());
    set("MPLBACKEND", "Agg".to_owned());
    let root = surroundings.code.map(Code::import_root);
    let imports: Vec<String> = root.iter().chain(surroundings.libraries).map(|folder| text(folder)).collect();
    if !imports.is_empty() {
        set("PYTHONPATH", imports.join(":"));
    }
    if let Some(venv) = surroundings.venv {
        set("VIRTUAL_ENV", text(venv));
        set("PATH", format!("{}:{}", venv.join("bin").display(), surroundings.search_path));
    }
    for (name, template) in &job.spec.env {
        set(name, binding.fill(template, job)?);
    }
    set("LIMINAL_PROJECT", job.project.to_string());
    set("LIMINAL_PIPELINE", job.pipeline.to_string());
    set("LIMINAL_RUN", job.run.to_string());
    set("LIMINAL_SCHEDULED_TIME", job.scheduled.time.to_string());
    set("LIMINAL_PARTITION", job.scheduled.partition.clone());
    set("LIMINAL_STEP", job.unit.step.to_string());
    if let (Some(number), Some(item)) = (job.unit.item, &job.item) {
        set("LIMINAL_ITEM_INDEX", number.to_string());
        set("LIMINAL_ITEM", item.clone());
    }
    set("LIMINAL_ATTEMPT", job.attempt.to_string());
    set("LIMINAL_WORK", text(folder.work()));
    set("LIMINAL_OUTPUTS", text(&folder.out()));
    let named = |kind: &str, name: &FieldName| format!("LIMINAL_{kind}_{}", name.as_str().to_ascii_uppercase());
    for (name, path) in &binding.inputs {
        set(&named("INPUT", name), text(path));
    }
    for (name, value) in &binding.values {
        set(&named("INPUT", name), value.to_string());
    }
    for (name, path) in &binding.outputs {
        set(&named("OUTPUT", name), text(path));
    }
    // Only what the cache key knows of: a step that could read others would be given stale results.
    let used = job.spec.params_used();
    let params = job.params.iter().filter(|(name, _)| used.contains(name));
    for (name, value) in params {
        set(&named("PARAM", name), Value::to_string(value));
    }
    if let Some(status) = job.run_status {
        set("LIMINAL_RUN_STATUS", status.to_string());
    }
    Ok(environment)
}

fn find_program(name: &str, environment: &BTreeMap<String, String>, work: &Path) -> Result<PathBuf, Failure> {
    let executable = |path: &Path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let path = work.join(name);
        if executable(&path) {
            return Ok(path);
        }
        return Err(if path.exists() {
            let refused = failure::user(format!("`{name}` is not executable"));
            failure::with_hint(refused, "`chmod +x` it, or name its interpreter first: run: [\"python\", …]")
        } else {
            let missing = failure::user(format!("there is no program `{name}`"));
            failure::with_hint(missing, "if it is a file of the project, name it under `code:`")
        });
    }
    let search_path = environment.get("PATH").map_or("", String::as_str);
    let candidates =
        search_path.split(':').filter(|folder| folder.starts_with('/')).map(|folder| Path::new(folder).join(name));
    candidates.into_iter().find(|path| executable(path)).ok_or_else(|| {
        let missing = failure::user(format!("there is no program `{name}` on the PATH ({search_path})"));
        failure::with_hint(
            missing,
            &format!("if it is a file of the project, write it as ./{name} and name it under `code:`"),
        )
    })
}
