//! The metadata of installed packages: read for names and sizes, written again where installers differ.
//!
//! `importlib.metadata` needs it while a step runs (versions, entry points, lists of files), so it stays. What only says
//! who installed what from where is left out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::archive;
use super::archive::Entry;
use super::archive::Source;
use super::error::BundleError;
use super::limits::PackageSize;
use super::target::Target;
use super::tree::Files;

/// What installers write beside the metadata that a wheel brings.
const FROM_INSTALLERS: [&str; 5] = ["INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"];

/// An installed package.
#[derive(Debug)]
pub(super) struct Distribution {
    /// Its metadata folder: `six-1.17.0.dist-info`.
    folder: String,
    /// Its name, as its metadata writes it.
    name: String,
    /// Its version.
    version: String,
    /// Its files and their hashes, as far as its record has one.
    record: BTreeMap<String, Option<String>>,
    /// Its programs: what is imported, and called, by name of the program.
    pub(super) programs: BTreeMap<String, (String, String)>,
}

impl Distribution {
    /// All installed packages, in order of their folders.
    pub(super) fn read_all(files: &Files, target: &Target) -> Result<Vec<Self>, BundleError> {
        let folders: BTreeSet<&str> =
            files.keys().filter_map(|path| path.split_once('/')).map(|(top, _)| top).collect();
        let folders = folders.into_iter().filter(|folder| folder.ends_with(".dist-info"));
        folders.map(|folder| Self::read(folder, files, target)).collect()
    }

    fn read(folder: &str, files: &Files, target: &Target) -> Result<Self, BundleError> {
        let text = |name: &str| {
            let entry = files.get(&format!("{folder}/{name}"));
            entry.map_or(Ok(String::new()), |entry| {
                content(entry).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            })
        };
        let metadata = text("METADATA")?;
        let first = |name| header(&metadata, name).next();
        let distribution = Self {
            folder: folder.to_owned(),
            name: first("Name").unwrap_or(folder).to_owned(),
            version: first("Version").unwrap_or_default().to_owned(),
            record: record(&text("RECORD")?),
            programs: programs(&text("entry_points.txt")?),
        };
        let wheel = text("WHEEL")?;
        let mut tags = header(&wheel, "Tag").peekable();
        let Some(tag) = tags.peek().map(|tag| (*tag).to_owned()) else { return Ok(distribution) };
        let platforms = tags.filter_map(|tag| tag.rsplit('-').next()).flat_map(|platforms| platforms.split('.'));
        if !platforms.into_iter().any(|platform| target.takes(platform)) {
            let Self { name, version, .. } = distribution;
            return Err(BundleError::BuiltHere { name, version, tag, target: target.describe() });
        }
        Ok(distribution)
    }

    /// Leaves out what installers add to the metadata, and writes the record of what is there now.
    pub(super) fn write_record(&mut self, files: &mut Files) -> Result<(), BundleError> {
        for name in FROM_INSTALLERS {
            files.remove(&format!("{}/{name}", self.folder));
        }
        let own = format!("{}/RECORD", self.folder);
        let mut text = String::new();
        let mut kept = BTreeMap::new();
        for (path, hash) in std::mem::take(&mut self.record) {
            let Some(entry) = files.get(&path).filter(|_| path != own) else { continue };
            let hash = match (&entry.source, hash) {
                (Source::File(_), Some(hash)) => hash,
                (Source::File(_) | Source::Library(..) | Source::Bytes(_), _) => hash_of(entry)?,
            };
            // Writing into a string can not fail.
            let _ = writeln!(text, "{},{hash},{}", quoted(&path), entry.bytes);
            kept.insert(path, Some(hash));
        }
        let _ = writeln!(text, "{},,", quoted(&own));
        kept.insert(own.clone(), None);
        self.record = kept;
        let entry = Entry {
            path: own.clone(),
            executable: false,
            bytes: text.len() as u64,
            source: Source::Bytes(text.into()),
        };
        files.insert(own, entry);
        Ok(())
    }

    /// What its files take.
    pub(super) fn size(&self, files: &Files) -> PackageSize {
        let bytes = self.record.keys().filter_map(|path| files.get(path)).map(|entry| entry.bytes).sum();
        PackageSize { name: self.name.clone(), version: self.version.clone(), bytes }
    }
}

/// The whole content of an entry.
pub(super) fn content(entry: &Entry) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    let copied = entry.open().and_then(|mut content| io::copy(&mut content, &mut bytes));
    copied.map_err(BundleError::io(entry.path.as_ref()))?;
    Ok(bytes)
}

fn hash_of(entry: &Entry) -> Result<String, BundleError> {
    let hashed = entry.open().and_then(archive::sha256);
    let (digest, _) = hashed.map_err(BundleError::io(entry.path.as_ref()))?;
    Ok(format!("sha256={}", URL_SAFE_NO_PAD.encode(digest.bytes())))
}

/// The values of a header in metadata, which is written as mail is.
fn header<'a>(metadata: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let headers = metadata.lines().take_while(|line| !line.is_empty());
    headers
        .filter_map(|line| line.split_once(':'))
        .filter(move |(found, _)| *found == name)
        .map(|(_, value)| value.trim())
}

/// The paths and hashes of a record: comma-separated values, quoted where a path has a comma.
fn record(text: &str) -> BTreeMap<String, Option<String>> {
    let rows = text.lines().filter_map(|line| {
        let (path, rest) = match line.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.rfind("\",")?;
                (quoted[..end].replace("\"\"", "\""), &quoted[end + 2..])
            }
            None => line.split_once(',').map(|(path, rest)| (path.to_owned(), rest))?,
        };
        // Programs and data are recorded from a folder that `pip` moves them out of.
        let path = path.trim_start_matches("../").to_owned();
        let hash = rest.split(',').next().filter(|hash| hash.starts_with("sha256=")).map(str::to_owned);
        Some((path, hash))
    });
    rows.collect()
}

fn quoted(path: &str) -> String {
    if path.contains([',', '"']) { format!("\"{}\"", path.replace('"', "\"\"")) } else { path.to_owned() }
}

/// The programs of `entry_points.txt`: `name = module:function`, with what is in brackets behind it of no meaning.
fn programs(text: &str) -> BTreeMap<String, (String, String)> {
    let mut programs = BTreeMap::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = ["[console_scripts]", "[gui_scripts]"].contains(&line);
        } else if inside && let Some((name, what)) = line.split_once('=') {
            let what = what.split('[').next().unwrap_or(what);
            if let Some((module, function)) = what.split_once(':') {
                programs.insert(name.trim().to_owned(), (module.trim().to_owned(), function.trim().to_owned()));
            }
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_both_installers_write_them() {
        let text = "six.py,sha256=47,10\n../../bin/f2py,sha256=48,225\n\"a,\"\"b\"\".py\",sha256=49,1\nRECORD,,\n";
        let rows: Vec<String> = record(text).iter().map(|(path, hash)| format!("{} {hash:?}", quoted(path))).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        RECORD None
        "a,""b"".py" Some("sha256=49")
        bin/f2py Some("sha256=48")
        six.py Some("sha256=47")
        "#);
    }

    #[test]
    fn programs_are_read_from_entry_points() {
        let text =
            "[console_scripts]\nf2py = numpy.f2py.f2py2e:main\nx=a.b:c.d [extra]\n\n[array_api]\nnumpy = numpy:no\n";
        let found = programs(text);
        assert_eq!(found["f2py"], ("numpy.f2py.f2py2e".to_owned(), "main".to_owned()));
        assert_eq!(found["x"], ("a.b".to_owned(), "c.d".to_owned()));
        assert_eq!(found.len(), 2);
    }
}
