//! Dependencies of a package: what is installed for which target, what is said when it can not be, what is kept.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use liminal_infra::bundle::Target;
use liminal_schemas::aws::Arch;
use tempfile::TempDir;

use crate::bundle_fixture::Bundled;
use crate::bundle_fixture::cached;
use crate::bundle_fixture::function;
use crate::bundle_fixture::listing;
use crate::bundle_fixture::wheel;

fn folders() -> (TempDir, TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

#[test]
fn markers_are_answered_for_the_target_in_requirements_and_in_metadata() {
    let (folder, wheels) = folders();
    let any = "py3-none-any";
    for name in ["old", "new", "arm", "intel", "windows", "deep-old", "deep-new"] {
        wheel(wheels.path(), &name.replace('-', "_"), any, &[], &[]);
    }
    wheel(wheels.path(), "next", any, &[">=3.13"], &[]);
    let requires = ["deep-old ; python_version < '3.13'", "deep-new ; python_full_version >= '3.13'"];
    wheel(wheels.path(), "deep", any, &requires, &[]);
    let requirements = "
old ; python_version < '3.13'
new ; python_version >= '3.13' and implementation_name == 'cpython'
arm ; platform_machine == 'aarch64'
intel ; platform_machine == 'x86_64' and sys_platform == 'linux'
windows ; os_name == 'nt' or platform_system == 'Darwin'
next ; python_version >= '3.13'
deep
";
    let names = |python, arch| {
        let project = Bundled::new(folder.path(), requirements).only_from(wheels.path());
        project.names(&Target::of_function(python, arch).expect("a version")).join(", ")
    };
    assert_eq!(names("3.13", Arch::Arm64), "arm 1.0, deep 1.0, deep_new 1.0, new 1.0, next 1.0");
    assert_eq!(names("3.12", Arch::X86_64), "deep 1.0, deep_old 1.0, intel 1.0, old 1.0");
}

#[test]
fn the_best_wheel_for_the_target_is_taken_whatever_this_machine_is() {
    let (folder, wheels) = folders();
    let tags = [
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_35_x86_64",
        "cp312-cp312-manylinux2014_x86_64",
        "cp312-cp312-musllinux_1_2_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux2014_x86_64",
        "py3-none-any",
    ];
    for tag in tags {
        wheel(wheels.path(), "native", tag, &[], &[("native.py", ""), (&format!("is-{tag}"), "")]);
    }
    let taken = |target: Target| {
        let built = Bundled::new(folder.path(), "native").only_from(wheels.path()).build(&target).expect("it is built");
        let listing = listing(&built.file);
        listing.iter().find_map(|line| line.split_once("is-")).expect("one of them is taken").1.to_owned()
    };
    assert_eq!(taken(function("3.12")), "cp312-cp312-manylinux_2_28_x86_64");
    assert_eq!(taken(function("3.11")), "cp311-cp311-manylinux2014_x86_64");
    assert_eq!(taken(Target::of_image("3.11", Arch::X86_64).expect("a version")), "cp311-cp311-manylinux_2_28_x86_64");
    assert_eq!(
        taken(Target::of_function("3.12", Arch::Arm64).expect("a version")),
        "cp312-cp312-manylinux_2_28_aarch64"
    );
    assert_eq!(taken(function("3.13")), "py3-none-any");
}

#[test]
fn a_missing_wheel_is_named_with_platform_version_and_what_to_try() {
    let (folder, wheels) = folders();
    wheel(wheels.path(), "native", "cp312-cp312-manylinux_2_28_x86_64", &[], &[]);
    wheel(wheels.path(), "user", "py3-none-any", &["native"], &[]);
    let error = |requirements: &str, target: Target| {
        Bundled::new(folder.path(), requirements).only_from(wheels.path()).error(&target)
    };
    insta::assert_snapshot!(error("native==1.0", function("3.11")), @r#"requirements.txt asks for `native==1.0`, and no wheel of it fits CPython 3.11 on Linux x86_64 with glibc 2.17; try `python: {version: "3.12"}`, whose runtime takes wheels for a newer glibc, or another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here"#);
    insta::assert_snapshot!(error("user", Target::of_function("3.12", Arch::Arm64).expect("a version")), @"requirements.txt asks for `native`, and no wheel of it fits CPython 3.12 on Linux arm64 with glibc 2.34; try another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here");
    insta::assert_snapshot!(error("native==2.0", function("3.12")), @"requirements.txt asks for `native==2.0`, and no wheel of it fits CPython 3.12 on Linux x86_64 with glibc 2.34 (these versions have one: 1.0); try another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here");
}

#[test]
fn the_package_index_is_asked_what_a_missing_package_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let uv = liminal_emulators::uv();
    let mut said = Vec::new();
    for uv in [None, Some(uv)] {
        let error = |requirements: &str| {
            let mut project = Bundled::new(folder.path(), requirements);
            project.cache.installer.uv.clone_from(&uv);
            project.error(&function("3.12"))
        };
        said.extend(["liminal-no-such-package-of-anybody==1.0", "docopt==0.6.2"].map(error));
        let start =
            "requirements.txt asks for `threadpoolctl==0.0.1`, and no wheel of it fits CPython 3.12 on Linux x86_64";
        let other = error("threadpoolctl==0.0.1");
        assert!(other.starts_with(start), "{other}");
        let hash = "0".repeat(64);
        let wrong = error(&format!("six==1.17.0 --hash=sha256:{hash}"));
        assert!(wrong.starts_with("requirements.txt does not allow what the package index has:\n"), "{wrong}");
        assert!(wrong.contains("4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"), "{wrong}");
        let without = error(&format!("six==1.17.0 --hash=sha256:{hash}\nthreadpoolctl==3.6.0\n"));
        assert!(without.contains("hash"), "{without}");
    }
    insta::assert_snapshot!(said.join("\n\n"), @"
    requirements.txt asks for `liminal-no-such-package-of-anybody==1.0`, and the package index has no package of that name: check its spelling

    requirements.txt asks for `docopt==0.6.2`, and no wheel of it fits CPython 3.12 on Linux x86_64 with glibc 2.34; try another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here

    requirements.txt asks for `liminal-no-such-package-of-anybody`, and the package index has no package of that name: check its spelling

    requirements.txt asks for `docopt==0.6.2`, and no wheel of it fits CPython 3.12 on Linux x86_64 with glibc 2.34; try another version of the package, or another `arch`, or an `image:` that has it, since nothing is compiled here
    ");
}

#[test]
fn a_network_that_is_not_there_is_told_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = "http://127.0.0.1:9/simple";
    let error = |uv| {
        let mut project = Bundled::new(folder.path(), "six==1.17.0");
        project.set("PIP_INDEX_URL", nobody);
        project.set("PIP_RETRIES", "0");
        project.set("UV_DEFAULT_INDEX", nobody);
        project.set("UV_NO_CACHE", "1");
        project.cache.installer.uv = uv;
        project.error(&function("3.12"))
    };
    for error in [error(None), error(Some(liminal_emulators::uv()))] {
        let start = "the dependencies in requirements.txt can not be fetched: the package index does not answer (";
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}

#[test]
fn requirements_that_name_other_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for line in ["-r other.txt", "six @ file:///tmp/six.whl", "./six.whl"] {
        let error = Bundled::new(folder.path(), line).error(&function("3.12"));
        assert!(error.starts_with("requirements.txt:1 names another file"), "{error}");
    }
}

#[test]
fn what_is_cached_is_neither_installed_nor_looked_for_again() {
    let (folder, wheels) = folders();
    wheel(wheels.path(), "one", "py3-none-any", &[], &[("one.py", "1 + 1\n")]);
    let mut project = Bundled::new(folder.path(), "one").only_from(wheels.path());
    let (sizes, lines) = project.sizes(&function("3.12"));
    let sizes = sizes.expect("they are installed");
    assert_eq!(lines.last().map(String::as_str), Some("packing the dependencies"));
    assert!(!lines.iter().any(|line| line.contains(".building")), "{lines:?}");
    project.cache.installer.search_path = "/nowhere".to_owned();
    let (again, lines) = project.sizes(&function("3.12"));
    assert_eq!(again.expect("they are cached"), sizes);
    assert!(lines.is_empty());
    // Another target is another key.
    insta::assert_snapshot!(project.error(&function("3.13")), @"dependencies are installed by `uv` or by a python3 with pip, and neither is on the PATH (tried python3, python3.14, python3.13, python3.12, python3.11, python3.10, python3.9, python3.8, python): install one of them");
    assert_eq!(sizes.packages[0].bytes, sizes.unzipped_bytes);
    // Two locks, and what was built: nothing half-made.
    let left = cached(&project);
    let locks = left.iter().filter(|path| path.extension().is_some_and(|extension| extension == "lock")).count();
    assert_eq!((left.len(), locks), (3, 2));
}

#[test]
fn several_at_once_build_once() {
    let (folder, wheels) = folders();
    wheel(wheels.path(), "one", "py3-none-any", &[], &[("one.py", "1 + 1\n")]);
    let project = Bundled::new(folder.path(), "one").only_from(wheels.path());
    let installs = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| project.sizes(&function("3.12")))).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("it ends"));
        done.filter(|(sizes, lines)| sizes.as_ref().expect("they are there").packages.len() == 1 && !lines.is_empty())
            .count()
    });
    assert_eq!(installs, 1);
}

#[test]
fn what_a_killed_build_left_is_built_again() {
    let (folder, wheels) = folders();
    wheel(wheels.path(), "one", "py3-none-any", &[], &[("one.py", "1 + 1\n")]);
    let project = Bundled::new(folder.path(), "one").only_from(wheels.path());
    let target = function("3.12");
    let first = project.build(&target).expect("it is built").sha256;
    let kept = cached(&project).into_iter().find(|path| path.is_dir()).expect("a folder");
    let zip = fs::File::options().write(true).open(kept.join("deps.zip")).expect("the zip");
    zip.set_len(10).expect("it is cut");
    let building = kept.with_extension("building");
    fs::create_dir_all(building.join("installed/two")).expect("a folder");
    fs::write(building.join("installed/two/two.py"), "").expect("a file");
    assert_eq!(project.build(&target).expect("it is built").sha256, first);
    assert!(!building.exists());
}

#[test]
fn a_python_without_pip_uses_the_copy_that_it_has_for_new_environments() {
    let (folder, wheels) = folders();
    wheel(wheels.path(), "one", "py3-none-any", &[], &[("one.py", "")]);
    let venv = folder.path().join("venv");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&venv).status();
    assert!(made.expect("python3").success());
    let mut project = Bundled::new(folder.path(), "one").only_from(wheels.path());
    project.cache.installer.search_path = venv.join("bin").display().to_string();
    assert_eq!(project.names(&function("3.12")), ["one 1.0"]);
}

#[test]
fn without_an_installer_it_is_said_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut project = Bundled::new(folder.path(), "one");
    project.cache.installer.search_path = "/nowhere".to_owned();
    insta::assert_snapshot!(project.error(&function("3.12")), @"dependencies are installed by `uv` or by a python3 with pip, and neither is on the PATH (tried python3, python3.14, python3.13, python3.12, python3.11, python3.10, python3.9, python3.8, python): install one of them");
}

#[test]
fn no_requirements_are_no_dependencies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut project = Bundled::new(folder.path(), "one");
    project.package.python.as_mut().expect("python").requirements = None;
    project.cache.installer.search_path = "/nowhere".to_owned();
    assert_eq!(project.sizes(&function("3.12")).0.expect("none").unzipped_bytes, 0);
    assert!(!Path::new(&project.cache.cache_dir).exists());
}
