//! What differs between two packages: the file, or the part of the Python environment.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::release::PackageFile;
use crate::release::PackageSpec;
use crate::release::RequirementsFile;

use super::Differences;

/// How much of a blob id is shown.
const BLOB_CHARS: usize = 8;

type Known<'a> = Option<(Digest, Option<&'a PackageSpec>)>;

pub(super) fn compare(before: Known<'_>, after: Known<'_>, found: &mut Differences) {
    let known = found.0.len();
    match (before, after) {
        (Some((_, Some(before))), Some((_, Some(after)))) => compare_specs(before, after, found),
        (None, Some((_, Some(after)))) => compare_files(&BTreeMap::new(), &after.files, found),
        (Some((_, Some(before))), None) => compare_files(&before.files, &BTreeMap::new(), found),
        (Some(_) | None, Some(_) | None) => {}
    }
    if found.0.len() == known {
        let short = |known: Known<'_>| known.map(|(digest, _)| digest.short());
        found.push("package", short(before), short(after));
    }
}

fn compare_specs(before: &PackageSpec, after: &PackageSpec, found: &mut Differences) {
    let PackageSpec { packer, root, files, python } = before;
    compare_files(files, &after.files, found);
    found.value("python.root", Some(root), Some(&after.root));
    match (python, &after.python) {
        (None, None) => {}
        (None, Some(_)) => found.push("python", None, Some("a Python environment".to_owned())),
        (Some(_), None) => found.push("python", Some("a Python environment".to_owned()), None),
        (Some(before), Some(after)) => {
            found.value("python.version", before.version.as_ref(), after.version.as_ref());
            let shown = |file: &RequirementsFile| format!("{} {}", file.path, short_blob(&file.blob));
            let (old, new) = (before.requirements.as_ref(), after.requirements.as_ref());
            found.value("python.requirements", old.map(shown), new.map(shown));
        }
    }
    found.value("packer", Some(packer), Some(&after.packer));
}

fn compare_files(
    before: &BTreeMap<String, PackageFile>,
    after: &BTreeMap<String, PackageFile>,
    found: &mut Differences,
) {
    found.maps("code/", before, after, |file| {
        let executable = if file.executable { " (executable)" } else { "" };
        format!("{}{executable}", short_blob(&file.blob))
    });
}

fn short_blob(blob: &str) -> &str {
    blob.get(..BLOB_CHARS).unwrap_or(blob)
}
