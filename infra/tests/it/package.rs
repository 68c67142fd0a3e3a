use std::collections::BTreeMap;
use std::io::Read;

use liminal_infra::package::PackageError;
use liminal_infra::package::build_zip;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::release::PACKER_VERSION;
use liminal_schemas::release::PackageFile;
use liminal_schemas::release::PackageSpec;

use crate::fixture::Files;
use crate::fixture::blob;

fn spec(files: &[(&str, &str)]) -> (PackageSpec, Files) {
    let mut contents = Files::default();
    let mut packed = BTreeMap::new();
    for (path, content) in files {
        contents.0.insert((*path).to_owned(), content.as_bytes().to_vec());
        let file = PackageFile { blob: blob(content.as_bytes()), executable: path.ends_with(".sh") };
        packed.insert((*path).to_owned(), file);
    }
    (PackageSpec { packer: PACKER_VERSION, root: String::new(), files: packed, python: None }, contents)
}

#[test]
fn the_same_package_is_the_same_bytes_everywhere() {
    let (spec, files) = spec(&[("b/run.sh", "echo"), ("a.py", "print()"), ("ä.txt", "x")]);
    let zip = build_zip(&spec, &files).expect("a zip");
    assert_eq!(zip, build_zip(&spec, &files).expect("a zip"));
    // Fixed here: other bytes need another PACKER_VERSION.
    insta::assert_snapshot!(Digest::of_bytes(&zip).hex(), @"c94bfe1429c92a4074ac64cd351f3003f9b8fd08c2cec9035d4064375895d19e");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).expect("an archive");
    let mut listed = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut content = String::new();
        entry.read_to_string(&mut content).expect("text");
        let mode = entry.unix_mode().expect("a mode") & 0o777;
        listed.push(format!(
            "{} {mode:o} {content} {}",
            entry.name().expect("a name"),
            entry.last_modified().expect("a time")
        ));
    }
    insta::assert_snapshot!(listed.join("\n"), @"
    a.py 644 print() 1980-01-01 00:00:00
    b/run.sh 755 echo 1980-01-01 00:00:00
    ä.txt 644 x 1980-01-01 00:00:00
    ");
}

#[test]
fn a_file_that_is_not_what_was_planned_is_named() {
    let (spec, mut files) = spec(&[("a.py", "one"), ("b.py", "two")]);
    files.0.insert("b.py".to_owned(), b"three".to_vec());
    let error = build_zip(&spec, &files).expect_err("changed");
    assert_eq!(error.to_string(), "file b.py changed while it was being packed; run the command again");
    files.0.remove("a.py");
    let error = build_zip(&spec, &files).expect_err("gone");
    assert_eq!(error.to_string(), "file a.py can not be packed: there is no such file");
}

/// Every file is as large as 130 MiB, and made anew for each reader.
struct Huge;

fn huge() -> Vec<u8> {
    vec![b'x'; 130 * 1024 * 1024]
}

impl ProjectFiles for Huge {
    fn file(&self, _: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        Ok(None)
    }
    fn under(&self, _: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        Ok(Vec::new())
    }
    fn read(&self, _: &str, _: usize) -> Result<Vec<u8>, String> {
        Ok(huge())
    }
}

#[test]
fn a_package_that_is_too_large_names_its_largest_files() {
    let file = PackageFile { blob: blob(&huge()), executable: false };
    let files = BTreeMap::from([("b.bin".to_owned(), file.clone()), ("c.bin".to_owned(), file)]);
    let spec = PackageSpec { packer: PACKER_VERSION, root: String::new(), files, python: None };
    let error = build_zip(&spec, &Huge).expect_err("too large");
    assert!(matches!(error, PackageError::TooLarge { .. }));
    assert_eq!(
        error.to_string(),
        "the package holds more than 250 MiB; the largest of its files so far: c.bin (130 MiB), b.bin (130 MiB)"
    );
}
