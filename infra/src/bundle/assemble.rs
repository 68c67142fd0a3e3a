//! Putting a bundle together: code, dependencies and what liminal adds, in one zip with the same bytes everywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Cursor;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use tempfile::NamedTempFile;
use tempfile::TempPath;
use zip::ZipArchive;
use zip::ZipWriter;
use zip::result::ZipError;

use super::archive;
use super::archive::Entry;
use super::archive::Source;
use super::dependencies::Dependencies;
use super::error::BundleError;
use super::limits::PackageSize;
use crate::package::read_file;

/// A file that liminal adds to a bundle: the runner, the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its path in the bundle.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Its content.
    pub content: Vec<u8>,
}

/// Files that liminal adds to bundles, compressed once for all of them.
#[derive(Clone, Debug)]
pub struct ExtraFiles {
    zip: Vec<u8>,
}

impl ExtraFiles {
    /// Compresses the files.
    ///
    /// # Errors
    /// When two have the same path.
    pub fn pack(files: Vec<ExtraFile>) -> Result<Self, BundleError> {
        let entry = |file: ExtraFile| Entry {
            path: file.path,
            executable: file.executable,
            bytes: file.content.len() as u64,
            source: Source::Bytes(file.content),
        };
        let entries: Vec<Entry> = files.into_iter().map(entry).collect();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let written = archive::write(&mut writer, &entries).and_then(|()| writer.finish());
        let zip = written.map_err(BundleError::zip("of what liminal adds".as_ref()))?.into_inner();
        Ok(Self { zip })
    }
}

/// What a bundle is made of.
pub(super) struct Parts<'a> {
    pub(super) package: Option<&'a PackageSpec>,
    pub(super) files: &'a dyn ProjectFiles,
    pub(super) dependencies: Option<&'a Dependencies>,
    pub(super) extra: &'a ExtraFiles,
}

/// A bundle that is built.
#[derive(Debug)]
pub struct BuiltBundle {
    /// The zip, which goes when this does.
    pub file: TempPath,
    /// Its sha256.
    pub sha256: Digest,
    /// How long it is, in bytes.
    pub zipped_bytes: u64,
    /// What its files take together, in bytes.
    pub unzipped_bytes: u64,
    /// The packages among the dependencies, biggest first.
    pub packages: Vec<PackageSize>,
}

impl BuiltBundle {
    /// The sha256 as Lambda tells it in `CodeSha256`.
    pub fn code_sha256(&self) -> String {
        code_sha256(&self.sha256)
    }
}

/// A sha256 as Lambda tells it in `CodeSha256`: in base64.
pub fn code_sha256(digest: &Digest) -> String {
    STANDARD.encode(digest.bytes())
}

/// Where an entry of the bundle comes from.
enum Origin<'a> {
    Code(&'a PackageFile),
    Dependency(usize),
    Extra(usize),
}

/// Writes the zip into a new file below a folder.
pub(super) fn assemble(parts: &Parts<'_>, folder: &Path) -> Result<BuiltBundle, BundleError> {
    let shown = parts.dependencies.map_or(folder, |dependencies| &dependencies.zip);
    let mut dependencies = match parts.dependencies {
        Some(found) => Some(open(&found.zip).map_err(BundleError::zip(shown))?),
        None => None,
    };
    let mut extra = ZipArchive::new(Cursor::new(&parts.extra.zip)).map_err(BundleError::zip(folder))?;
    let mut origins = BTreeMap::new();
    for (path, file) in parts.package.iter().flat_map(|package| &package.files) {
        origins.insert(path.clone(), Origin::Code(file));
    }
    let mut add = |path: &str, origin, other| match origins.insert(path.to_owned(), origin) {
        None => Ok(()),
        Some(_) => Err(BundleError::Collision { path: path.to_owned(), other }),
    };
    for (index, path) in dependencies.iter().flat_map(ZipArchive::file_names).enumerate() {
        let path = path.map_err(BundleError::zip(shown))?;
        add(&path, Origin::Dependency(index), "a dependency")?;
    }
    for (index, path) in extra.file_names().enumerate() {
        let path = path.map_err(BundleError::zip(folder))?;
        add(&path, Origin::Extra(index), "a file that liminal adds")?;
    }
    refuse_files_as_folders(&origins)?;
    let file = NamedTempFile::new_in(folder).map_err(BundleError::io(folder))?;
    let mut writer = ZipWriter::new(BufWriter::new(file.as_file()));
    let mut unzipped_bytes = 0;
    for (path, origin) in &origins {
        unzipped_bytes += match origin {
            Origin::Code(found) => {
                let bytes = read_file(path, found, parts.files)?;
                let started = writer.start_file(path.as_str(), archive::options(found.executable, bytes.len() as u64));
                let written = started.and_then(|()| Ok(writer.write_all(&bytes)?));
                written.map_err(BundleError::zip(file.path()))?;
                bytes.len() as u64
            }
            Origin::Dependency(index) => match &mut dependencies {
                Some(archive) => copy(archive, *index, &mut writer).map_err(BundleError::zip(shown))?,
                None => 0,
            },
            Origin::Extra(index) => copy(&mut extra, *index, &mut writer).map_err(BundleError::zip(folder))?,
        };
    }
    let written = writer.finish().map_err(BundleError::zip(file.path()))?.into_inner();
    written.map_err(|error| BundleError::io(file.path())(error.into_error()))?;
    let (sha256, zipped_bytes) =
        File::open(file.path()).and_then(archive::sha256).map_err(BundleError::io(file.path()))?;
    let packages = parts.dependencies.map(|found| found.facts.packages.clone()).unwrap_or_default();
    Ok(BuiltBundle { file: file.into_temp_path(), sha256, zipped_bytes, unzipped_bytes, packages })
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>, ZipError> {
    ZipArchive::new(BufReader::new(File::open(path)?))
}

/// Copies an entry as it is; gives its length unzipped.
fn copy<R: Read + Seek, W: Write + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    writer: &mut ZipWriter<W>,
) -> Result<u64, ZipError> {
    let entry = archive.by_index_raw(index)?;
    let bytes = entry.size();
    writer.raw_copy_file(entry)?;
    Ok(bytes)
}

/// A path that is a file can not be a folder as well: a bundle with both can not be unpacked.
fn refuse_files_as_folders(origins: &BTreeMap<String, Origin<'_>>) -> Result<(), BundleError> {
    for path in origins.keys() {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        if let Some(folder) = folders.find(|folder| origins.contains_key(*folder)) {
            return Err(BundleError::Collision { path: folder.to_owned(), other: "a folder with other files" });
        }
    }
    Ok(())
}
