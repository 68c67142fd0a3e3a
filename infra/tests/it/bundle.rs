//! Bundles: what is in them, and that they are the same everywhere.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use liminal_infra::bundle::BundleInputs;
use liminal_infra::bundle::ExtraFiles;
use liminal_infra::bundle::Target;
use liminal_infra::bundle::build;
use liminal_schemas::aws::Arch;
use liminal_schemas::digest::Digest;

use crate::bundle_fixture::Bundled;
use crate::bundle_fixture::function;
use crate::bundle_fixture::listing;
use crate::bundle_fixture::text;
use crate::bundle_fixture::unpack;
use crate::bundle_fixture::wheel;

/// Pure Python, and a compiled module that brings symbols.
const REAL: &str = "six==1.17.0\nthreadpoolctl==3.6.0\nkiwisolver==1.4.9\n";

/// Says to the test below that it is a child, and where it builds.
const FOLDER: &str = "LIMINAL_TEST_BUNDLE_FOLDER";

fn real(folder: &Path) -> Bundled {
    Bundled::new(folder, REAL)
        .code("train.py", "import six\n")
        .code("run.sh", "#!/bin/sh\n")
        .extra("liminal-runner", true, "the runner")
        .extra("liminal_handler.py", false, "the handler")
}

#[test]
#[ignore = "other tests run it in processes of their own"]
#[expect(clippy::disallowed_methods, reason = "a child is told by its environment where to build")]
fn child_builds_a_bundle() {
    let folder = PathBuf::from(std::env::var(FOLDER).expect("only other tests run this one"));
    let built = real(&folder).build(&function("3.12")).expect("it is built");
    built.file.persist(folder.join("bundle.zip")).expect("it is kept");
}

/// Builds in a process of its own, with another umask and time zone.
fn child(folder: &Path, umask: &str) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().expect("a program");
    command
        .args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask])
        .arg(program)
        .args(["--exact", "bundle::child_builds_a_bundle", "--ignored"])
        .env(FOLDER, folder)
        .env("TZ", "Asia/Tokyo")
        .env("PIP_NO_CACHE_DIR", "1")
        .env("LANG", "C");
    command
}

#[test]
fn a_bundle_is_the_same_bytes_in_every_folder_at_every_time_and_umask() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = real(folder.path()).build(&function("3.12")).expect("it is built");
    let bytes = fs::read(&here.file).expect("it is there");
    assert_eq!(Digest::of_bytes(&bytes), here.sha256);
    assert_eq!(bytes.len() as u64, here.zipped_bytes);
    for umask in ["077", "000"] {
        let other = folder.path().join(format!("another folder, {umask}"));
        fs::create_dir(&other).expect("a folder");
        let output = child(&other, umask).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(fs::read(other.join("bundle.zip")).expect("it is there") == bytes, "with umask {umask}");
    }
}

#[test]
fn both_installers_give_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let [by_pip, by_uv] = ["pip", "uv"].map(|name| folder.path().join(name));
    let target = Target::of_function("3.13", Arch::Arm64).expect("a version");
    let requirements = format!("{REAL}numpy==2.3.5 ; python_version < \"3.13\"\ncharset-normalizer==3.4.4\n");
    let built = [by_pip, by_uv].map(|folder| {
        fs::create_dir(&folder).expect("a folder");
        let mut project = Bundled::new(&folder, &requirements).code("train.py", "");
        if folder.ends_with("uv") {
            project.cache.installer.uv = Some(liminal_emulators::uv());
        }
        let names = project.names(&target);
        let names = names.join(", ");
        assert_eq!(names, "charset-normalizer 3.4.4, kiwisolver 1.4.9, six 1.17.0, threadpoolctl 3.6.0");
        project.build(&target).expect("it is built")
    });
    let listings = built.each_ref().map(|built| listing(&built.file).join("\n"));
    assert_eq!(listings[0], listings[1]);
    assert!(listings[0].contains("100755 1980-01-01 00:00:00 site-packages/bin/normalizer"));
    assert_eq!(built[0].sha256, built[1].sha256);
}

#[test]
fn a_bundle_holds_code_dependencies_and_what_liminal_adds() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = real(folder.path()).build(&function("3.12")).expect("it is built");
    insta::assert_snapshot!(listing(&built.file).join("\n"), @"
    100755 1980-01-01 00:00:00 liminal-runner
    100644 1980-01-01 00:00:00 liminal_handler.py
    100755 1980-01-01 00:00:00 run.sh
    100644 1980-01-01 00:00:00 site-packages/kiwisolver-1.4.9.dist-info/METADATA
    100644 1980-01-01 00:00:00 site-packages/kiwisolver-1.4.9.dist-info/RECORD
    100644 1980-01-01 00:00:00 site-packages/kiwisolver-1.4.9.dist-info/WHEEL
    100644 1980-01-01 00:00:00 site-packages/kiwisolver-1.4.9.dist-info/licenses/LICENSE
    100644 1980-01-01 00:00:00 site-packages/kiwisolver-1.4.9.dist-info/top_level.txt
    100644 1980-01-01 00:00:00 site-packages/kiwisolver/__init__.py
    100755 1980-01-01 00:00:00 site-packages/kiwisolver/_cext.cpython-312-x86_64-linux-gnu.so
    100644 1980-01-01 00:00:00 site-packages/kiwisolver/_cext.pyi
    100644 1980-01-01 00:00:00 site-packages/kiwisolver/exceptions.py
    100644 1980-01-01 00:00:00 site-packages/kiwisolver/py.typed
    100644 1980-01-01 00:00:00 site-packages/six-1.17.0.dist-info/LICENSE
    100644 1980-01-01 00:00:00 site-packages/six-1.17.0.dist-info/METADATA
    100644 1980-01-01 00:00:00 site-packages/six-1.17.0.dist-info/RECORD
    100644 1980-01-01 00:00:00 site-packages/six-1.17.0.dist-info/WHEEL
    100644 1980-01-01 00:00:00 site-packages/six-1.17.0.dist-info/top_level.txt
    100644 1980-01-01 00:00:00 site-packages/six.py
    100644 1980-01-01 00:00:00 site-packages/threadpoolctl-3.6.0.dist-info/METADATA
    100644 1980-01-01 00:00:00 site-packages/threadpoolctl-3.6.0.dist-info/RECORD
    100644 1980-01-01 00:00:00 site-packages/threadpoolctl-3.6.0.dist-info/WHEEL
    100644 1980-01-01 00:00:00 site-packages/threadpoolctl-3.6.0.dist-info/licenses/LICENSE
    100644 1980-01-01 00:00:00 site-packages/threadpoolctl.py
    100644 1980-01-01 00:00:00 train.py
    ");
    insta::assert_snapshot!(text(&built.file, "site-packages/threadpoolctl-3.6.0.dist-info/RECORD"), @"
    threadpoolctl-3.6.0.dist-info/METADATA,sha256=pF340H6hiD13IYOlAdfVJgdqpw38_dsnaiy9wE3vU0E,13843
    threadpoolctl-3.6.0.dist-info/WHEEL,sha256=_2ozNFCLWc93bK4WKHCO-eDUENDlo-dgc9cU3qokYO4,82
    threadpoolctl-3.6.0.dist-info/licenses/LICENSE,sha256=gaxhkHUkiwblNmC2UtEOSF9GdfXQrg-X6iI3DaH34js,1507
    threadpoolctl.py,sha256=EvuVJranTS5oa37BSNwWXDWHmZsU-oaYSqGA4QgCQAs,50722
    threadpoolctl-3.6.0.dist-info/RECORD,,
    ");
    assert_eq!(text(&built.file, "liminal-runner"), "the runner");
    assert_eq!(text(&built.file, "train.py"), "import six\n");
    let archive = fs::File::open(&built.file).expect("it is there");
    let mut archive = zip::ZipArchive::new(archive).expect("a zip");
    let sizes = (0..archive.len()).map(|index| archive.by_index(index).expect("an entry").size());
    assert_eq!(sizes.sum::<u64>(), built.unzipped_bytes);
    let packages: Vec<&str> = built.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(packages, ["kiwisolver", "threadpoolctl", "six"]);
}

#[test]
fn lambda_and_liminal_tell_the_same_sha256() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = Bundled::new(folder.path(), "").code("a.py", "").build(&function("3.12")).expect("it is built");
    let output = Command::new("openssl").args(["dgst", "-sha256", "-binary"]).arg(&built.file as &Path).output();
    let told = built.code_sha256();
    assert_eq!(told.len(), 44);
    if let Ok(output) = output {
        assert_eq!(Digest::from_bytes(output.stdout.try_into().expect("a sha256")), built.sha256);
    }
    assert_eq!(
        liminal_infra::bundle::code_sha256(&Digest::of_bytes(b"")),
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
}

#[test]
fn a_bundle_without_code_holds_the_runner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = Bundled::new(folder.path(), "six==1.17.0").extra("bootstrap", true, "the runner");
    let extra = ExtraFiles::pack(project.extra.clone()).expect("they are packed");
    let inputs = BundleInputs {
        package: None,
        files: &project.files,
        target: None,
        extra: &extra,
        cache: &project.cache,
        folder: folder.path(),
    };
    let built = build(&inputs, &mut |_| ()).expect("it is built");
    assert_eq!(listing(&built.file), ["100755 1980-01-01 00:00:00 bootstrap"]);
    // Without a target, as for steps that are no Python, dependencies stay out.
    let inputs = BundleInputs { package: Some(&project.package), ..inputs };
    assert_eq!(listing(&build(&inputs, &mut |_| ()).expect("it is built").file).len(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_in_a_bundle_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = Command::new("python3").args(["-c", "import sys; print('3.%d' % sys.version_info[1])"]).output();
    let version = String::from_utf8(version.expect("python3").stdout).expect("a version");
    let arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86_64 };
    let target = Target::of_image(version.trim(), arch).expect("a version");
    let project = Bundled::new(folder.path(), &format!("{REAL}charset-normalizer==3.4.4\npillow==12.0.0\n"));
    let built = project.build(&target).expect("it is built");
    // Most of the library that the wheel of kiwisolver brings, 6 MB, is for debuggers, and much of those of pillow.
    let bytes = |name| built.packages.iter().find(|it| it.name == name).expect("it is there").bytes;
    assert!(bytes("kiwisolver") < 1_000_000 && bytes("pillow") < 17_000_000, "{:?}", built.packages);
    let unpacked = folder.path().join("unpacked");
    unpack(&built.file, &unpacked);
    let script = "
import importlib.metadata as metadata, six, threadpoolctl, charset_normalizer
from kiwisolver import Solver, Variable
from PIL import Image, ImageFont, _webp
image = Image.new('RGB', (2, 2)); image.save('/dev/null', 'webp'); ImageFont.load_default(9)
x = Variable('x'); solver = Solver(); solver.addConstraint(x == 3); solver.updateVariables()
files = metadata.files('kiwisolver')
print(x.value(), metadata.version('six'), all(file.locate().exists() for file in files), len(files) > 5)
";
    let packages = unpacked.join("site-packages");
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).env("PYTHONPATH", &packages).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(run("python3".as_ref(), &["-c", script]), "3.0 1.17.0 True True\n");
    assert!(run(&packages.join("bin/normalizer"), &["--version"]).starts_with("Charset-Normalizer 3.4.4"));
}

#[test]
fn code_and_dependencies_of_the_same_name_do_not_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let wheels = tempfile::tempdir().expect("a folder");
    wheel(wheels.path(), "six", "py3-none-any", &[], &[("six.py", "dependency")]);
    let project = || Bundled::new(folder.path(), "six").only_from(wheels.path());
    let built = project().code("six.py", "code").build(&function("3.12")).expect("it is built");
    assert_eq!(text(&built.file, "six.py"), "code");
    assert_eq!(text(&built.file, "site-packages/six.py"), "dependency");
    let error = |project: Bundled| project.build(&function("3.12")).expect_err("they meet").to_string();
    insta::assert_snapshot!(error(project().code("site-packages/six.py", "code")), @"the project's code holds site-packages/six.py, which is the place of a dependency in a bundle: rename it");
    insta::assert_snapshot!(error(project().code("site-packages", "code")), @"the project's code holds site-packages, which is the place of a folder with other files in a bundle: rename it");
    insta::assert_snapshot!(error(project().code("bootstrap", "code").extra("bootstrap", true, "runner")), @"the project's code holds bootstrap, which is the place of a file that liminal adds in a bundle: rename it");
}

#[test]
fn a_file_that_is_not_what_was_planned_is_in_no_bundle() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut project = Bundled::new(folder.path(), "").code("a.py", "one");
    project.files.0.insert("a.py".to_owned(), b"two".to_vec());
    let error = project.build(&function("3.12")).expect_err("changed").to_string();
    assert_eq!(error, "file a.py changed while it was being packed; run the command again");
    let mut project = Bundled::new(folder.path(), "six").code("a.py", "one");
    project.files.0.insert("requirements.txt".to_owned(), b"sax".to_vec());
    let error = project.build(&function("3.12")).expect_err("changed").to_string();
    insta::assert_snapshot!(error, @"the requirements file requirements.txt changed after it was planned with; run the command again");
}
