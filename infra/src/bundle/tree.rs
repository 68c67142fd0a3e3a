//! The folder that an installer filled: its files, and what becomes of each on the way into the zip.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::archive::Entry;
use super::archive::Source;
use super::distribution::Distribution;
use super::error::BundleError;
use super::limits::PackageSize;
use super::scripts;
use super::slim;
use super::symbols::Trim;
use super::target::Target;

/// The files of a folder, by path below it.
pub(super) type Files = BTreeMap<String, Entry>;

/// What goes into the zip.
pub(super) struct Prepared {
    /// The files, in order.
    pub(super) entries: Vec<Entry>,
    /// The packages, biggest first.
    pub(super) packages: Vec<PackageSize>,
}

/// Makes of what an installer left what goes into the zip: the same whichever installer it was, on whichever machine.
pub(super) fn prepare(folder: &Path, target: &Target) -> Result<Prepared, BundleError> {
    let mut files = walk(folder)?;
    let mut distributions = Distribution::read_all(&files, target)?;
    slim::drop_unneeded(&mut files)?;
    scripts::rewrite(&mut files, &distributions)?;
    for entry in files.values_mut() {
        leave_out_symbols(entry)?;
    }
    for distribution in &mut distributions {
        distribution.write_record(&mut files)?;
    }
    let mut packages: Vec<PackageSize> = distributions.iter().map(|distribution| distribution.size(&files)).collect();
    packages.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    Ok(Prepared { entries: files.into_values().collect(), packages })
}

/// All files below a folder.
fn walk(folder: &Path) -> Result<Files, BundleError> {
    let mut files = Files::new();
    let mut open = vec![String::new()];
    while let Some(below) = open.pop() {
        let path = folder.join(&below);
        for found in fs::read_dir(&path).map_err(BundleError::io(&path))? {
            let found = found.map_err(BundleError::io(&path))?;
            let name = found.file_name();
            let unusable = |problem| {
                let path = format!("{below}{}", name.to_string_lossy());
                BundleError::Unusable { path, problem }
            };
            let Some(name) = name.to_str() else { return Err(unusable("its name is not UTF-8")) };
            let inside = format!("{below}{name}");
            let metadata = found.metadata().map_err(BundleError::io(&found.path()))?;
            if metadata.is_dir() {
                open.push(inside + "/");
            } else if metadata.is_file() {
                // The owner's bit alone: others depend on the umask.
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let entry = Entry {
                    path: inside.clone(),
                    executable,
                    bytes: metadata.len(),
                    source: Source::File(found.path()),
                };
                files.insert(inside, entry);
            } else {
                return Err(unusable("it is neither file nor folder"));
            }
        }
    }
    Ok(files)
}

fn leave_out_symbols(entry: &mut Entry) -> Result<(), BundleError> {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    if !name.ends_with(".so") && !name.contains(".so.") {
        return Ok(());
    }
    if let Source::File(path) = &entry.source
        && let Some(trim) = Trim::of(path).map_err(BundleError::io(path))?
    {
        entry.bytes = trim.length;
        entry.source = Source::Library(path.clone(), trim);
    }
    Ok(())
}
