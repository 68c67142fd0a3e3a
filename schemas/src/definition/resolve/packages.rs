//! Which files and which Python environment a step runs with.
//!
//! The rules, in full:
//! - `call: a.b:f` takes `a/__init__.py`, if there, and `a/b.py`, or all of `a/b/` where that is a package, below the
//!   folder that Python imports from. `run: [python, -m, a.b]` takes the same where the project has such a module.
//! - Arguments of `run:` that exactly name a project file take that file.
//! - Both take `python.code`, the step's `code:`, and its `./` inputs.
//! - A Python environment comes with every `call:`, with a `run:` of `python`, `python3` or `python3.x`, and with any
//!   other `run:` that a `python.version` or `python.requirements` is set for: programs such as `dbt` or `torchrun` come
//!   from the requirements, and a shell script may well start Python.
//! - A step with neither files nor Python has no package; gates and registrations never have one.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::definition::model::ActionDefinition;
use crate::definition::model::StepDefinition;
use crate::digest::Digest;
use crate::files::RefusedFile;
use crate::finding::Code;
use crate::finding::Finding;
use crate::finding::Span;
use crate::finding::Spanned;
use crate::release::PACKER_VERSION;
use crate::release::PackageSpec;
use crate::release::PythonSpec;
use crate::release::RequirementsFile;
use crate::template::Part;
use crate::template::Template;

use super::Resolver;
use super::files::FileIndex;
use super::files::Files;
use super::files::NoFile;
use super::files::below;
use super::files::trimmed;
use super::python::Python;

/// Packages by what they were asked for, so that steps with the same wishes share the work.
#[derive(Default)]
pub(super) struct Packages<'a> {
    known: HashMap<Wishes<'a>, Option<Digest>>,
    specs: BTreeMap<Digest, PackageSpec>,
}

impl Packages<'_> {
    pub(super) fn into_specs(self) -> BTreeMap<Digest, PackageSpec> {
        self.specs
    }
}

/// All that decides what is in a package, apart from the files themselves.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wishes<'a> {
    root: &'a str,
    module: Option<&'a str>,
    optional_module: bool,
    paths: Vec<&'a str>,
    inputs: Vec<String>,
    python: Option<(Option<&'a str>, Option<&'a str>)>,
}

/// What a step does, as far as its package is concerned.
struct Program<'a> {
    /// The module to import, and where it is named.
    module: Option<(&'a str, &'a Span)>,
    /// Whether the module may as well come from the Python environment.
    optional_module: bool,
    /// Arguments that name project files.
    argv: Vec<(&'a str, &'a Span)>,
    needs_python: bool,
    /// Where the step says what it does.
    span: &'a Span,
}

impl<'a> Resolver<'a> {
    /// The package of a step. `inputs` are the project paths among its inputs, already known to be there.
    pub(super) fn package(
        &mut self,
        step: &'a StepDefinition,
        python: Python<'a>,
        inputs: &[String],
    ) -> Option<Digest> {
        let program = self.program(step, python)?;
        let code = python.code.iter().chain(&step.code);
        let paths: Vec<(&'a str, &Span)> =
            code.map(|path| (path.value.as_str(), &path.span)).chain(program.argv).collect();
        let wishes = Wishes {
            root: python.root,
            module: program.module.map(|(module, _)| module),
            optional_module: program.optional_module,
            paths: paths.iter().map(|(path, _)| *path).collect(),
            inputs: inputs.to_vec(),
            python: program.needs_python.then(|| {
                let text = |part: Option<&'a Spanned<String>>| part.map(|part| part.value.as_str());
                (text(python.version), text(python.requirements))
            }),
        };
        if let Some(known) = self.packages.known.get(&wishes) {
            return *known;
        }
        let found = self.findings.len();
        let mut files = Files::new();
        if let Some((module, span)) = program.module {
            self.add_module(module, span, python.root, program.optional_module, &mut files);
        }
        for (path, span) in paths {
            self.add_path(path, span, &mut files);
        }
        for path in inputs {
            if let Ok(below) = self.files.file_or_folder(path) {
                files.extend(below.iter().map(|(path, file)| (path.clone(), file.clone())));
            }
        }
        self.check_case(&files, program.span);
        let environment = program.needs_python.then(|| self.python_spec(python));
        let digest = (!files.is_empty() || environment.is_some()).then(|| {
            let spec = PackageSpec { packer: PACKER_VERSION, root: python.root.to_owned(), files, python: environment };
            let digest = spec.digest();
            self.packages.specs.insert(digest, spec);
            digest
        });
        // With a problem in it, the same wishes of another step are to be reported at that step's place too.
        if self.findings.len() == found {
            self.packages.known.insert(wishes, digest);
        }
        digest
    }

    /// None for steps that start no program.
    fn program(&mut self, step: &'a StepDefinition, python: Python<'a>) -> Option<Program<'a>> {
        match &step.action {
            ActionDefinition::Gate(_) | ActionDefinition::Register(_) | ActionDefinition::Pipeline(_) => None,
            ActionDefinition::Call(call) => Some(Program {
                module: Some((&call.value.module, &call.span)),
                optional_module: false,
                argv: Vec::new(),
                needs_python: true,
                span: &call.span,
            }),
            ActionDefinition::Run(argv) => {
                let literals: Vec<Option<(&str, &Span)>> =
                    argv.value.iter().map(|item| Some((literal(item)?, &item.span))).collect();
                let runs_python = literals.first().copied().flatten().is_some_and(|(name, _)| is_python(name));
                let module = literals.windows(2).find_map(|pair| match pair {
                    [Some(("-m", _)), Some((module, span))] if runs_python && is_module(module) => {
                        Some((*module, *span))
                    }
                    _ => None,
                });
                let script = if runs_python && module.is_none() { script(&literals) } else { None };
                let own_program = literals.first().copied().flatten().filter(|(name, _)| is_project_path(name));
                let mut named = Vec::new();
                for (item, span) in literals.into_iter().flatten().filter(|(item, _)| is_relative(item)) {
                    match self.files.file(trimmed(item)) {
                        Ok(Some(_)) => named.push((trimmed(item), span)),
                        Ok(None) if [script, own_program].contains(&Some((item, span))) => {
                            self.findings.push(missing_code(&self.files, trimmed(item), span));
                        }
                        Ok(None) => {}
                        Err(problem) => self.findings.push(no_file(&self.files, item, span, &problem)),
                    }
                }
                Some(Program {
                    module,
                    optional_module: true,
                    argv: named,
                    needs_python: runs_python || python.version.is_some() || python.requirements.is_some(),
                    span: &argv.span,
                })
            }
        }
    }

    fn add_module(&mut self, module: &str, span: &Span, root: &str, optional: bool, files: &mut Files) {
        match module_files(&self.files, root, module) {
            Ok(found) => files.extend(found),
            Err(NoFile::Missing) if optional => {}
            Err(problem) => {
                let path = below(root, &format!("{}.py", module.replace('.', "/")));
                self.findings.push(no_file(&self.files, &path, span, &problem));
            }
        }
    }

    fn add_path(&mut self, path: &str, span: &Span, files: &mut Files) {
        match self.files.file_or_folder(path) {
            Ok(found) => files.extend(found.iter().map(|(path, file)| (path.clone(), file.clone()))),
            Err(problem) => self.findings.push(no_file(&self.files, trimmed(path), span, &problem)),
        }
    }

    /// Two files that differ only in case would hide one another where a file system does not tell it apart.
    fn check_case(&mut self, files: &Files, span: &Span) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for path in files.keys() {
            if let Some(other) = seen.insert(path.to_lowercase(), path) {
                let problem = NoFile::Refused(path.clone(), RefusedFile::CaseClash(other.to_owned()));
                self.findings.push(no_file(&self.files, path, span, &problem));
            }
        }
    }

    fn python_spec(&mut self, python: Python<'a>) -> PythonSpec {
        let requirements = python.requirements.and_then(|path| {
            let problem = match self.files.file(trimmed(&path.value)) {
                Ok(Some(file)) => {
                    return Some(RequirementsFile { path: trimmed(&path.value).to_owned(), blob: file.blob });
                }
                Ok(None) => NoFile::Missing,
                Err(problem) => problem,
            };
            self.findings.push(no_file(&self.files, &path.value, &path.span, &problem));
            None
        });
        PythonSpec { version: python.version.map(|version| version.value.clone()), requirements }
    }
}

/// The files of a module: the `__init__.py` of every package around it, and the module itself.
fn module_files(files: &FileIndex<'_>, root: &str, module: &str) -> Result<Files, NoFile> {
    let path = below(root, &module.replace('.', "/"));
    let mut found = Files::new();
    let around = path.match_indices('/').map(|(end, _)| &path[..end]).filter(|folder| folder.len() > root.len());
    for folder in around {
        let init = format!("{folder}/__init__.py");
        if let Some(file) = files.file(&init)? {
            found.insert(init, file);
        }
    }
    let single = format!("{path}.py");
    // As for Python, a package goes before a module of the same name, and that before a folder without `__init__.py`.
    if files.file(&format!("{path}/__init__.py"))?.is_none()
        && let Some(file) = files.file(&single)?
    {
        found.insert(single, file);
        return Ok(found);
    }
    let package = files.under(&path)?;
    if package.is_empty() {
        return Err(NoFile::Missing);
    }
    found.extend(package.iter().map(|(path, file)| (path.clone(), file.clone())));
    Ok(found)
}

/// The finding for a path that can not go into a package.
pub(super) fn no_file(files: &FileIndex<'_>, path: &str, span: &Span, problem: &NoFile) -> Finding {
    match problem {
        NoFile::Missing => missing_code(files, path, span),
        NoFile::Refused(refused, reason) => {
            let finding = Finding::error(Code::FileRefused, span, format!("{refused} is not to be used: {reason}"));
            if refused == path { finding } else { finding.label(format!("{refused} is part of this")) }
        }
    }
}

fn missing_code(files: &FileIndex<'_>, path: &str, span: &Span) -> Finding {
    let finding = Finding::error(Code::CodeMissing, span, format!("{path} is not in the project"));
    let finding = match files.similar(path) {
        Some(meant) => finding.label(format!("did you mean `{meant}`?")),
        None => finding.label("no such file"),
    };
    finding.hint("a file counts as part of the project unless git ignores it; outside of `local` it must be committed")
}

/// The script that Python is given: its first argument that is no option.
fn script<'a>(argv: &[Option<(&'a str, &'a Span)>]) -> Option<(&'a str, &'a Span)> {
    let first = argv.iter().skip(1).find(|item| item.is_none_or(|(text, _)| !text.starts_with('-')))?;
    first.filter(|(text, _)| text.ends_with(".py") && is_relative(text))
}

fn literal(template: &Template) -> Option<&str> {
    match template.parts() {
        [Part::Text(text)] => Some(text),
        _ => None,
    }
}

fn is_python(program: &str) -> bool {
    let digits = |minor: &str| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
    matches!(program, "python" | "python3") || program.strip_prefix("python3.").is_some_and(digits)
}

fn is_module(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|part| {
            let plain = |c: char| c.is_alphanumeric() || c == '_';
            part.chars().all(plain) && !part.is_empty() && !part.starts_with(|c: char| c.is_ascii_digit())
        })
}

/// Whether an argument could name a project file at all.
fn is_relative(text: &str) -> bool {
    let path = trimmed(text);
    !path.is_empty()
        && path.len() <= 512
        && !path.starts_with(['/', '-', '~'])
        && !path.contains(['\\', '\n', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether a program is named by its path in the project, so that it is nowhere else.
fn is_project_path(program: &str) -> bool {
    program.contains('/') && is_relative(program)
}
