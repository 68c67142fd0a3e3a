//! Code of a step, unpacked from a zip that is not trusted.

use std::fs;
use std::fs::File;
use std::io::Cursor;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use liminal_functions::unpack::ZipLimits;
use liminal_functions::unpack::unpack;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::harness::Place;
use crate::harness::Step;

#[tokio::test]
async fn a_step_runs_with_its_packaged_code() {
    let place = Place::new();
    let files = [("train.sh", "#!/bin/sh\necho training with $1 in $PYTHONPATH; cat $2"), ("conf/a.txt", "conf\n")];
    let package = place.put_package("lib", &files, None);
    place.succeed(&Step::argv(&["./train.sh", "train.sh", "conf/a.txt"]).package(package)).await;
    let code = place.config.root.join("unpacked").join(package.hex());
    let shown = code.display();
    let log = String::from_utf8(place.log()).expect("text");
    assert_eq!(log, format!("training with {shown}/train.sh in {shown}/lib\nconf\n"));
    assert_eq!(fs::metadata(&code).expect("a folder").mode() & 0o777, 0o555);
    assert_eq!(fs::metadata(code.join("conf/a.txt")).expect("a file").mode() & 0o777, 0o444);
}

#[tokio::test]
async fn a_value_that_looks_like_a_packaged_file_stays_a_value() {
    let place = Place::new();
    let package = place.put_package("", &[("train.sh", "#!/bin/sh")], None);
    let step = Step::argv(&["echo", "{{ params.file }}"])
        .param("file", liminal_schemas::value::Value::Text("train.sh".to_owned()));
    place.succeed(&step.package(package)).await;
    assert_eq!(place.log(), b"train.sh\n");
}

#[tokio::test]
async fn a_package_that_is_not_what_its_document_lists_is_refused() {
    let place = Place::new();
    let package = place.put_package("", &[("a.py", "")], None);
    let other = place.put_package("", &[("b.py", "")], None);
    let objects = place.config.root.join("objects/packages");
    fs::copy(objects.join(format!("{}.zip", other.hex())), objects.join(format!("{}.zip", package.hex())))
        .expect("copied");
    let failure = place.fail(&Step::sh("true").package(package)).await;
    assert!(failure.message.ends_with("it does not hold what its document lists: a.py"), "{}", failure.message);
    let left: Vec<_> = fs::read_dir(place.config.root.join("unpacked")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn many_attempts_unpack_a_package_once() {
    let place = Place::new();
    let package = place.put_package("", &[("a/b/c.py", "pass"), ("d.py", "pass")], None);
    let tries: Vec<_> = (0..4)
        .map(|_| {
            let packages = liminal_functions::local::packages::LocalPackages::new(
                place.config.root.join("objects"),
                place.config.root.join("unpacked"),
            );
            std::thread::spawn(move || packages.get(&package).map(|package| package.code.folder.clone()))
        })
        .collect();
    for tried in tries {
        assert!(tried.join().expect("a thread").expect("a package").join("a/b/c.py").exists());
    }
    assert_eq!(fs::read_dir(place.config.root.join("unpacked")).expect("a folder").count(), 1);
}

/// Makes a zip, tries to unpack it under small limits, and says what came of it.
fn tried(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut zip);
    let path = place.path().join("zip");
    fs::write(&path, zip.finish().expect("a zip").into_inner()).expect("written");
    let folder = place.path().join("in/folder");
    fs::create_dir_all(&folder).expect("a folder");
    let limits = ZipLimits { entries: 10, bytes: 10 << 20, ratio: 200, always: 2 << 20 };
    let said = match unpack(File::open(&path).expect("a zip"), &folder, limits) {
        Ok(files) => format!("{files:?}"),
        Err(error) => error.to_string(),
    };
    assert!(!place.path().join("in/evil").exists() && !place.path().join("evil").exists());
    said
}

fn add(zip: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, content: &[u8]) {
    zip.start_file(name, SimpleFileOptions::default()).expect("an entry");
    zip.write_all(content).expect("content");
}

#[test]
fn hostile_zips_are_refused() {
    insta::assert_snapshot!(tried(|zip| add(zip, "../evil", b"x")), @r#"the name "../evil" is unsafe"#);
    insta::assert_snapshot!(tried(|zip| add(zip, "a/../../evil", b"x")), @r#"the name "a/../../evil" is unsafe"#);
    insta::assert_snapshot!(tried(|zip| add(zip, "/evil", b"x")), @r#"the name "/evil" is unsafe"#);
    insta::assert_snapshot!(tried(|zip| add(zip, "a\\..\\evil", b"x")), @r#"the name "a\\..\\evil" is unsafe"#);
    let link = tried(|zip| zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).expect("an entry"));
    insta::assert_snapshot!(link, @r#""link" is neither a file nor a folder"#);
    let clash = tried(|zip| {
        add(zip, "Train.py", b"x");
        add(zip, "train.py", b"y");
    });
    insta::assert_snapshot!(clash, @r#""Train.py" and "train.py" are the same name but for upper and lower case"#);
    let file_as_folder = tried(|zip| {
        add(zip, "a", b"x");
        add(zip, "a/b", b"y");
    });
    insta::assert_snapshot!(file_as_folder, @r#""a/b" is a file, and other files are below it"#);
    let folder_as_file = tried(|zip| {
        add(zip, "a/b", b"x");
        add(zip, "a", b"y");
    });
    insta::assert_snapshot!(folder_as_file, @r#""a" is a file, and other files are below it"#);
    insta::assert_snapshot!(tried(|zip| add(zip, "bomb", &vec![0; 8 << 20])), @"it unpacks to more than 2097152 bytes");
    insta::assert_snapshot!(tried(|zip| (0..11).for_each(|n| add(zip, &format!("{n}"), b""))), @"it has 11 entries, more than 10");
    insta::assert_snapshot!(tried(|zip| add(zip, "fine/a.py", b"x")), @r#"{"fine/a.py"}"#);
}

#[test]
fn what_is_no_zip_is_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("zip");
    fs::write(&path, "no zip").expect("written");
    let refused = unpack(File::open(&path).expect("a file"), place.path(), ZipLimits::default()).unwrap_err();
    insta::assert_snapshot!(refused, @"it is no readable zip");
}
