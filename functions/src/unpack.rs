//! Unpacks a zip that is not trusted: into a folder of its own, read-only.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zip::ZipArchive;

/// What a zip may hold. Code is far smaller; what is larger is data, or an attack.
#[derive(Clone, Copy, Debug)]
pub struct ZipLimits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files together, unpacked.
    pub bytes: u64,
    /// How many times its own size a zip may unpack to, once that is more than [`Self::always`].
    pub ratio: u64,
    /// Bytes to which any zip may unpack.
    pub always: u64,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 2 << 30, ratio: 200, always: 64 << 20 }
    }
}

/// Why a zip is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It can not be read as a zip.
    #[error("it is no readable zip")]
    Zip(#[from] zip::result::ZipError),
    /// The file system refused.
    #[error("the file system refused")]
    Io(#[from] io::Error),
    /// A name leads out of the folder, or is none.
    #[error("the name {0:?} is unsafe")]
    UnsafeName(String),
    /// A symbolic link or a special file.
    #[error("{0:?} is neither a file nor a folder")]
    NotPlain(String),
    /// Two names that are the same, at least on some machines.
    #[error("{0:?} and {1:?} are the same name but for upper and lower case")]
    Clash(String, String),
    /// A file that others are below, as if it were a folder.
    #[error("{0:?} is a file, and other files are below it")]
    FileAsFolder(String),
    /// Too many entries.
    #[error("it has {0} entries, more than {1}")]
    TooMany(usize, usize),
    /// Too large when unpacked.
    #[error("it unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// It does not hold what its document says.
    #[error("it does not hold what its document lists: {0}")]
    NotAsListed(String),
}

/// Unpacks a zip into an empty folder and makes all of it read-only. Returns the names of its files.
///
/// # Errors
/// At the first entry that is not plain, safely named and within the limits.
pub fn unpack(zip: File, folder: &Path, limits: ZipLimits) -> Result<BTreeSet<String>, UnpackError> {
    let packed = zip.metadata()?.len();
    let allowed = limits.bytes.min(limits.always.max(packed.saturating_mul(limits.ratio)));
    let mut archive = ZipArchive::new(BufReader::new(zip))?;
    if archive.len() > limits.entries {
        return Err(UnpackError::TooMany(archive.len(), limits.entries));
    }
    let mut files = BTreeSet::new();
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    let mut folders = BTreeSet::from([folder.to_owned()]);
    let mut total = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let is_folder = entry.is_dir();
        let plain_name = name.strip_suffix('/').filter(|_| is_folder).unwrap_or(&name).to_owned();
        check_name(&plain_name)?;
        let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
        if !(kind == 0 || kind == 0o100_000 || (kind == 0o040_000 && is_folder)) {
            return Err(UnpackError::NotPlain(name));
        }
        if is_folder {
            continue;
        }
        if let Some(other) = folded.insert(plain_name.to_lowercase(), plain_name.clone()) {
            return Err(UnpackError::Clash(other, plain_name));
        }
        let path = folder.join(&plain_name);
        for parent in path.ancestors().skip(1).take_while(|parent| *parent != folder) {
            folders.insert(parent.to_owned());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    UnpackError::FileAsFolder(plain_name.clone())
                }
                _ => UnpackError::Io(error),
            })?;
        }
        let mode = if entry.unix_mode().unwrap_or(0) & 0o100 == 0 { 0o444 } else { 0o555 };
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&path).map_err(|error| {
            if path.is_dir() { UnpackError::FileAsFolder(plain_name.clone()) } else { UnpackError::Io(error) }
        })?;
        // What the zip says about sizes is not believed: bytes are counted as they come.
        let written = io::copy(&mut entry.by_ref().take(allowed - total + 1), &mut file)?;
        total += written;
        if total > allowed {
            return Err(UnpackError::TooLarge(allowed));
        }
        file.flush()?;
        files.insert(plain_name);
    }
    for folder in folders.iter().rev() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555))?;
    }
    Ok(files)
}

fn check_name(name: &str) -> Result<(), UnpackError> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let safe = name.split('/').all(plain) && !name.contains(|c: char| c == '\\' || c.is_control());
    if safe { Ok(()) } else { Err(UnpackError::UnsafeName(name.chars().take(120).collect())) }
}
