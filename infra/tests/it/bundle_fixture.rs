//! Projects with dependencies, wheels made for tests, and what installs them.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use liminal_infra::bundle::BuiltBundle;
use liminal_infra::bundle::BundleError;
use liminal_infra::bundle::BundleInputs;
use liminal_infra::bundle::DependencyCache;
use liminal_infra::bundle::DependencyFacts;
use liminal_infra::bundle::ExtraFile;
use liminal_infra::bundle::ExtraFiles;
use liminal_infra::bundle::Installer;
use liminal_infra::bundle::Target;
use liminal_infra::bundle::build;
use liminal_schemas::aws::Arch;
use liminal_schemas::release::PACKER_VERSION;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use liminal_schemas::release::PythonSpec;
use liminal_schemas::release::RequirementsFile;
use zip::ZipArchive;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::fixture::Files;
use crate::fixture::blob;

const REQUIREMENTS: &str = "requirements.txt";

/// A project whose bundles are built in a folder of its own.
pub(crate) struct Bundled {
    pub(crate) folder: PathBuf,
    pub(crate) files: Files,
    pub(crate) package: PackageSpec,
    pub(crate) cache: DependencyCache,
    pub(crate) extra: Vec<ExtraFile>,
}

impl Bundled {
    /// A project with some code and requirements, whose dependencies are cached below a folder.
    pub(crate) fn new(folder: &Path, requirements: &str) -> Self {
        let mut project = Self {
            folder: folder.to_owned(),
            files: Files::default(),
            package: PackageSpec {
                packer: PACKER_VERSION,
                root: String::new(),
                files: BTreeMap::new(),
                python: Some(PythonSpec {
                    version: None,
                    requirements: Some(RequirementsFile {
                        path: REQUIREMENTS.to_owned(),
                        blob: blob(requirements.as_bytes()),
                    }),
                }),
            },
            cache: DependencyCache { cache_dir: folder.join("cache"), installer: installer() },
            extra: Vec::new(),
        };
        project.files.0.insert(REQUIREMENTS.to_owned(), requirements.as_bytes().to_vec());
        project
    }

    pub(crate) fn code(mut self, path: &str, text: &str) -> Self {
        self.files.0.insert(path.to_owned(), text.as_bytes().to_vec());
        let file = PackageFile { blob: blob(text.as_bytes()), executable: path.ends_with(".sh") };
        self.package.files.insert(path.to_owned(), file);
        self
    }

    pub(crate) fn extra(mut self, path: &str, executable: bool, text: &str) -> Self {
        self.extra.push(ExtraFile { path: path.to_owned(), executable, content: text.as_bytes().to_vec() });
        self
    }

    /// Takes packages from a folder of wheels alone: no network.
    pub(crate) fn only_from(mut self, wheels: &Path) -> Self {
        self.set("PIP_FIND_LINKS", &wheels.display().to_string());
        self.set("PIP_NO_INDEX", "1");
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let variables = &mut self.cache.installer.variables;
        variables.retain(|(other, _)| other != name);
        variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn build(&self, target: &Target) -> Result<BuiltBundle, BundleError> {
        let extra = ExtraFiles::pack(self.extra.clone())?;
        let inputs = BundleInputs {
            package: Some(&self.package),
            files: &self.files,
            target: Some(target),
            extra: &extra,
            cache: &self.cache,
            folder: &self.folder,
        };
        build(&inputs, &mut |_| ())
    }

    /// The sizes of the dependencies, and what the installer printed.
    pub(crate) fn sizes(&self, target: &Target) -> (Result<DependencyFacts, BundleError>, Vec<String>) {
        let mut lines = Vec::new();
        let python = self.package.python.as_ref().expect("these are Python projects");
        let sizes = self.cache.sizes(python, &self.files, target, &mut |line| lines.push(line.to_owned()));
        (sizes, lines)
    }

    /// The names and versions of the dependencies.
    pub(crate) fn names(&self, target: &Target) -> Vec<String> {
        let sizes = self.sizes(target).0.expect("they are installed");
        let mut names: Vec<String> = sizes.packages.iter().map(|it| format!("{} {}", it.name, it.version)).collect();
        names.sort();
        names
    }

    pub(crate) fn error(&self, target: &Target) -> String {
        self.sizes(target).0.expect_err("they can not be installed").to_string()
    }
}

pub(crate) fn function(python: &str) -> Target {
    Target::of_function(python, Arch::X86_64).expect("a version")
}

#[expect(clippy::disallowed_methods, reason = "tests use the network as the machine is set up for it")]
pub(crate) fn installer() -> Installer {
    let variables = std::env::vars().filter(|(name, _)| name != "PIP_FIND_LINKS").collect();
    Installer { uv: None, search_path: std::env::var("PATH").expect("a PATH"), variables }
}

/// Makes a wheel: `tag` as in `py3-none-any`, files by path and text. What it requires is written as in metadata; what
/// begins with `>` is required of Python.
pub(crate) fn wheel(folder: &Path, name: &str, tag: &str, requires: &[&str], files: &[(&str, &str)]) {
    let path = folder.join(format!("{name}-1.0-{tag}.whl"));
    let mut writer = ZipWriter::new(File::create(path).expect("a file"));
    let info = format!("{name}-1.0.dist-info");
    let header = |it: &str| if it.starts_with('>') { "Requires-Python" } else { "Requires-Dist" };
    let requires: String = requires.iter().map(|it| format!("{}: {it}\n", header(it))).collect();
    let mut all: Vec<(String, String)> = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    all.push((format!("{info}/METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")));
    all.push((format!("{info}/WHEEL"), format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")));
    let record: String = all.iter().map(|(path, _)| format!("{path},,\n")).collect();
    all.push((format!("{info}/RECORD"), format!("{record}{info}/RECORD,,\n")));
    for (path, text) in all {
        writer.start_file(path, SimpleFileOptions::default()).expect("an entry");
        writer.write_all(text.as_bytes()).expect("its content");
    }
    writer.finish().expect("a wheel");
}

/// The entries of a zip, one a line: mode, time, path; fails when one has extra fields.
pub(crate) fn listing(zip: &Path) -> Vec<String> {
    let mut archive = ZipArchive::new(File::open(zip).expect("a file")).expect("a zip");
    let mut lines = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).expect("an entry");
        assert_eq!(entry.extra_data_fields().count(), 0, "{:?} has extra fields", entry.name());
        let mode = entry.unix_mode().expect("a mode");
        let time = entry.last_modified().expect("a time");
        lines.push(format!("{mode:o} {time} {}", entry.name().expect("a name")));
    }
    lines
}

pub(crate) fn text(zip: &Path, path: &str) -> String {
    let mut archive = ZipArchive::new(File::open(zip).expect("a file")).expect("a zip");
    let mut text = String::new();
    archive.by_name(path).expect("the entry is there").read_to_string(&mut text).expect("text");
    text
}

pub(crate) fn unpack(zip: &Path, folder: &Path) {
    let mut archive = ZipArchive::new(File::open(zip).expect("a file")).expect("a zip");
    archive.extract(folder).expect("it is unpacked");
}

/// The folders and files that a cache leaves behind.
pub(crate) fn cached(project: &Bundled) -> Vec<PathBuf> {
    let found = fs::read_dir(project.cache.cache_dir.join("dependencies")).expect("the cache is there");
    let mut found: Vec<PathBuf> = found.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}
