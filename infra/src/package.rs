//! The zip of a package: the same bytes for the same package document, on every machine and at every time.

use std::io::Cursor;
use std::io::Write;

use git2::ObjectType;
use git2::Oid;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;
use zip::CompressionMethod;
use zip::DateTime;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The most that all files of a package may hold together, in bytes: what AWS Lambda unpacks (250 MiB), so that a
/// project that works on one machine is not too large for the next platform.
pub const MAX_PACKAGE_BYTES: usize = 250 * 1024 * 1024;

/// How many files a message about size names.
const NAMED_FILES: usize = 5;

/// The level of deflate. Fixed, since another level is other bytes.
const DEFLATE_LEVEL: i64 = 6;

/// How a pointer of Git LFS begins, as its specification fixes it.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// Why a package can not be built.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file is not what the plan saw.
    #[error("file {path} changed while it was being packed; run the command again")]
    Changed {
        /// The file.
        path: String,
    },
    /// A file is only a pointer.
    #[error(
        "{path} is a Git LFS pointer: its content is not in the repository, where packages are made from; commit it without LFS, or fetch it in a step"
    )]
    LfsPointer {
        /// The file.
        path: String,
    },
    /// A file can not be read.
    #[error("file {path} can not be packed: {problem}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// The files are too large together.
    #[error("the package holds more than 250 MiB; the largest of its files so far: {}", .largest.join(", "))]
    TooLarge {
        /// The largest files, with their sizes.
        largest: Vec<String>,
    },
    /// The zip writer failed.
    #[error("the zip can not be written")]
    Zip(#[from] zip::result::ZipError),
    /// The zip writer failed.
    #[error("the zip can not be written")]
    Io(#[from] std::io::Error),
}

/// Builds the zip of a package, and checks every file against the blob id that the package is known by.
///
/// # Errors
/// When a file is gone, not what the plan saw, or all of them are too large together.
pub fn build_zip(spec: &PackageSpec, files: &dyn ProjectFiles) -> Result<Vec<u8>, PackageError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(DEFLATE_LEVEL))
        .last_modified_time(DateTime::default());
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut sizes: Vec<(usize, &str)> = Vec::with_capacity(spec.files.len());
    let mut total = 0;
    for (path, file) in &spec.files {
        let bytes = read_file(path, file, files)?;
        sizes.push((bytes.len(), path));
        total += bytes.len();
        if total > MAX_PACKAGE_BYTES {
            return Err(PackageError::TooLarge { largest: largest(sizes) });
        }
        let mode = if file.executable { 0o755 } else { 0o644 };
        writer.start_file(path.as_str(), options.unix_permissions(mode))?;
        writer.write_all(&bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// The content of a file of a package, which is what the plan saw.
pub(crate) fn read_file(path: &str, file: &PackageFile, files: &dyn ProjectFiles) -> Result<Vec<u8>, PackageError> {
    let bytes = files
        .read(path, MAX_PACKAGE_BYTES)
        .map_err(|problem| PackageError::Unreadable { path: path.to_owned(), problem })?;
    if bytes.starts_with(LFS_POINTER) {
        return Err(PackageError::LfsPointer { path: path.to_owned() });
    }
    if has_blob_id(&bytes, &file.blob) { Ok(bytes) } else { Err(PackageError::Changed { path: path.to_owned() }) }
}

/// Whether bytes have the given git blob id.
pub(crate) fn has_blob_id(bytes: &[u8], blob: &str) -> bool {
    Oid::hash_object(ObjectType::Blob, bytes).is_ok_and(|id| id.to_string() == blob)
}

fn largest(mut sizes: Vec<(usize, &str)>) -> Vec<String> {
    const MIB: usize = 1024 * 1024;
    sizes.sort_by(|one, other| other.cmp(one));
    sizes.iter().take(NAMED_FILES).map(|(size, path)| format!("{path} ({} MiB)", size.div_ceil(MIB))).collect()
}
