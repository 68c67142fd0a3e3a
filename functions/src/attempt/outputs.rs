//! What an attempt left: every declared output, checked and hashed where it lies.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::run::ListedFile;
use liminal_schemas::step::ArtifactKind;
use liminal_schemas::step::OutputRole;
use liminal_schemas::step::OutputSpec;
use sha2::Digest as _;
use sha2::Sha256;

use super::failure;
use super::metrics;

/// How much is read at once when a file is hashed. Larger gains nothing, smaller costs system calls.
const BUFFER_BYTES: usize = 256 << 10;

/// How many names of what was written a message lists.
const NAMES_LISTED: usize = 10;

/// An output, hashed.
#[derive(Debug)]
pub struct FoundOutput {
    /// What it is by content.
    pub artifact: Artifact,
    /// The files that it consists of, and their digests.
    pub files: Vec<(PathBuf, Digest, u64)>,
    /// The listing, for a directory.
    pub listing: Option<DirectoryListing>,
}

/// All that an attempt left.
#[derive(Debug, Default)]
pub struct Found {
    /// The outputs.
    pub outputs: BTreeMap<FieldName, FoundOutput>,
    /// The numbers in the metrics file.
    pub metrics: BTreeMap<String, f64>,
}

/// Checks and hashes the declared outputs below `out`. Moves nothing.
///
/// # Errors
/// When one is missing or is not what was declared.
pub fn find(declared: &BTreeMap<FieldName, OutputSpec>, out: &Path) -> Result<Found, Failure> {
    let mut missing = Vec::new();
    for (name, output) in declared {
        if !check(name, output, out)? {
            let kind = match output.kind {
                ArtifactKind::File => "file",
                ArtifactKind::Directory => "directory",
            };
            missing.push(format!("output `{name}` (expected a {kind} at out/{})", output.path));
        }
    }
    if !missing.is_empty() {
        let message = format!("the step did not write {}; {}", missing.join(" and "), written(out));
        return Err(failure::user(message));
    }
    let mut found = Found::default();
    for (name, output) in declared {
        let path = out.join(output.path.trim_end_matches('/'));
        if output.role == OutputRole::Metrics {
            found.metrics.extend(read_metrics(&path, output)?);
        }
        let hashed = match output.kind {
            ArtifactKind::File => hash_file(&path).map(|(digest, bytes)| FoundOutput {
                artifact: Artifact { digest, kind: ArtifactKind::File, bytes },
                files: vec![(path, digest, bytes)],
                listing: None,
            }),
            ArtifactKind::Directory => match plain_files(name, &path)? {
                Ok(files) => hash_directory(files),
                Err(error) => Err(error),
            },
        };
        let hashed = hashed.map_err(|error| failure::infrastructure(&format!("reading output `{name}`"), &error))?;
        found.outputs.insert(name.clone(), hashed);
    }
    Ok(found)
}

/// Whether the output is there; an error when something else is in its place.
fn check(name: &FieldName, output: &OutputSpec, out: &Path) -> Result<bool, Failure> {
    let refuse = |path: &Path, what: &str| {
        let shown = path.strip_prefix(out).map_or_else(|_| path.display(), Path::display);
        Err(failure::user(format!("output `{name}`: out/{shown} is {what}")))
    };
    let mut path = out.to_owned();
    let parts: Vec<&str> = output.path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for (index, part) in std::iter::once(&"").chain(&parts).enumerate() {
        if !part.is_empty() {
            path.push(part);
        }
        let kind = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failure::infrastructure(&format!("looking at output `{name}`"), &error)),
        };
        let last = index == parts.len();
        if kind.is_symlink() {
            return refuse(&path, "a symbolic link, and links are not followed: write a file or directory there");
        }
        match (kind.is_dir(), last, output.kind) {
            (true, false, _) | (true, true, ArtifactKind::Directory) => {}
            (true, true, ArtifactKind::File) => {
                return refuse(
                    &path,
                    "a directory, but a file is declared: end its path with `/` to declare a directory",
                );
            }
            (false, true, ArtifactKind::File) if kind.is_file() => {}
            (false, true, ArtifactKind::Directory) if kind.is_file() => {
                return refuse(&path, "a file, but a directory is declared");
            }
            (false, false, _) if kind.is_file() => return refuse(&path, "a file, where a directory is needed"),
            (false, _, _) => return refuse(&path, "neither a file nor a directory"),
        }
    }
    Ok(true)
}

/// What is in the output folder, for the message about what is not.
fn written(out: &Path) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name().to_string_lossy().into_owned();
        names.push(format!("out/{name}{}", if folder { "/" } else { "" }));
    }
    names.sort();
    let more = names.len().saturating_sub(NAMES_LISTED);
    names.truncate(NAMES_LISTED);
    match (names.is_empty(), more) {
        (true, _) => "it wrote nothing below out/".to_owned(),
        (false, 0) => format!("it wrote {}", names.join(", ")),
        (false, more) => format!("it wrote {} and {more} more", names.join(", ")),
    }
}

fn read_metrics(path: &Path, output: &OutputSpec) -> Result<BTreeMap<String, f64>, Failure> {
    let read = |path: &Path| {
        let mut text = Vec::new();
        open(path)?.take(metrics::MAX_METRICS_BYTES + 1).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read(path).map_err(|error| failure::infrastructure("reading the metrics file", &error))?;
    let shown = format!("the metrics file out/{}", output.path);
    if text.len() as u64 > metrics::MAX_METRICS_BYTES {
        return Err(failure::user(format!("{shown} has more than {} bytes", metrics::MAX_METRICS_BYTES)));
    }
    metrics::parse(&text).map_err(|problem| failure::user(format!("{shown} {problem}")))
}

/// All files of a directory, by path below it, and whether each may be executed.
type PlainFiles = BTreeMap<String, (PathBuf, bool)>;

/// Lists a directory; the outer error is the step's fault, the inner one the machine's.
fn plain_files(name: &FieldName, root: &Path) -> Result<io::Result<PlainFiles>, Failure> {
    let mut files = BTreeMap::new();
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = pending.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        for entry in entries {
            let (path, metadata) = match entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            let refuse = |what| Err(failure::user(format!("output `{name}` holds {}, {what}", path.display())));
            let Some(file_name) = path.file_name().and_then(std::ffi::OsStr::to_str) else {
                return refuse("whose name is not UTF-8");
            };
            let below = format!("{prefix}{file_name}");
            if metadata.is_dir() {
                pending.push((path, below + "/"));
            } else if metadata.is_file() {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                files.insert(below, (path, executable));
            } else if metadata.is_symlink() {
                return refuse("a symbolic link: links are not followed");
            } else {
                return refuse("which is neither a file nor a directory");
            }
        }
    }
    Ok(Ok(files))
}

fn hash_directory(plain: PlainFiles) -> io::Result<FoundOutput> {
    let mut listing = DirectoryListing::default();
    let mut files = Vec::new();
    let mut total = 0;
    for (below, (path, executable)) in plain {
        let (digest, bytes) = hash_file(&path)?;
        total += bytes;
        listing.files.insert(below, ListedFile { digest, bytes, executable });
        files.push((path, digest, bytes));
    }
    let artifact = Artifact { digest: Digest::of_document(&listing), kind: ArtifactKind::Directory, bytes: total };
    Ok(FoundOutput { artifact, files, listing: Some(listing) })
}

/// Opens a file for reading, but not through a link.
fn open(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    File::options().read(true).custom_flags(no_follow.bits().cast_signed()).open(path)
}

/// The digest and the size of a file.
///
/// # Errors
/// When it can not be read.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    hash_reader(open(path)?)
}

fn hash_reader(mut file: File) -> io::Result<(Digest, u64)> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(BUFFER_BYTES);
    let mut buffer = vec![0; length.clamp(1, BUFFER_BYTES)];
    let mut hasher = Sha256::new();
    let mut total = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(hasher.finalize().into()), total)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        total += count as u64;
    }
}
