use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use git2::Oid;
use git2::Repository;
use git2::Signature;
use liminal_infra::source::Snapshot;
use liminal_infra::source::SourceError;
use liminal_infra::source::init_repository;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use proptest::prelude::*;

use crate::fixture::blob;

/// A repository in a temporary folder.
struct Repo {
    folder: tempfile::TempDir,
    git: Repository,
}

impl Repo {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let git = Repository::init(folder.path()).expect("a repository");
        let repo = Self { folder, git };
        for (path, content) in files {
            repo.write(path, content);
        }
        repo
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn write(&self, path: &str, content: &str) {
        let full = self.folder.path().join(path);
        std::fs::create_dir_all(full.parent().expect("a parent")).expect("a folder");
        std::fs::write(full, content).expect("a file");
    }

    fn commit(&self) -> Oid {
        let mut index = self.git.index().expect("an index");
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).expect("added");
        index.update_all(["*"], None).expect("updated");
        index.write().expect("written");
        let tree = index.write_tree().expect("a tree");
        self.commit_tree(tree)
    }

    fn commit_tree(&self, tree: Oid) -> Oid {
        let tree = self.git.find_tree(tree).expect("a tree");
        let author = Signature::now("ada", "ada@example.org").expect("a signature");
        let parent = self.git.head().ok().map(|head| head.peel_to_commit().expect("a commit"));
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        self.git.commit(Some("HEAD"), &author, &author, "x", &tree, &parents).expect("a commit")
    }

    /// Makes all files older than the index, so that none is racily clean.
    fn age(&self) {
        let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        for path in self.files(self.folder.path()) {
            std::fs::File::options().write(true).open(path).expect("open").set_modified(past).expect("aged");
        }
    }

    fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with(".git") {
                found.extend(self.files(&path));
            } else if path.is_file() {
                found.push(path);
            }
        }
        found
    }
}

fn paths(snapshot: &Snapshot, folder: &str) -> Vec<String> {
    snapshot.under(folder).expect("a listing").into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_revision_is_read_without_the_work_tree() {
    let repo = Repo::new(&[("app/liminal.yml", "one"), ("app/steps/a.py", "a"), ("other/b.py", "b")]);
    let first = repo.commit();
    repo.write("app/liminal.yml", "two");
    std::fs::remove_file(repo.path().join("app/steps/a.py")).expect("removed");
    repo.write("app/new.py", "new");
    let snapshot = Snapshot::at_revision(&repo.path().join("app"), "HEAD").expect("a snapshot");
    assert_eq!(snapshot.read("liminal.yml", 100), Ok(b"one".to_vec()));
    assert_eq!(paths(&snapshot, ""), ["liminal.yml", "steps/a.py"]);
    assert_eq!(snapshot.version().commit, Some(first.to_string()));
    assert!(!snapshot.version().dirty);
    assert_eq!(snapshot.dirty_paths(), ["liminal.yml", "new.py", "steps/a.py"]);
    assert_eq!(snapshot.read("liminal.yml", 2), Err("it has more than 2 bytes".to_owned()));
    assert_eq!(snapshot.file("ghost.py"), Ok(None));
    assert_eq!(snapshot.file("steps"), Ok(None));
    assert_eq!(paths(&snapshot, "ghost"), [""; 0]);
}

#[test]
fn a_bare_repository_is_read_at_a_revision() {
    let repo = Repo::new(&[("liminal.yml", "one")]);
    repo.commit();
    let bare = tempfile::tempdir().expect("a folder");
    git2::build::RepoBuilder::new()
        .bare(true)
        .clone(repo.path().to_str().expect("UTF-8"), bare.path())
        .expect("a bare clone");
    let snapshot = Snapshot::at_revision(bare.path(), "HEAD").expect("a snapshot");
    assert_eq!(snapshot.read("liminal.yml", 100), Ok(b"one".to_vec()));
    assert!(snapshot.dirty_paths().is_empty());
}

#[test]
fn the_work_tree_holds_tracked_and_new_files_but_no_ignored_ones() {
    let repo = Repo::new(&[("liminal.yml", "one"), ("lib/a.py", "a"), (".gitignore", "data/\n*.log\n")]);
    repo.commit();
    repo.write("lib/new.py", "new");
    repo.write("data/big.csv", "1,2");
    repo.write("lib/x.log", "log");
    repo.write(".liminal/local/objects/x", "state");
    let snapshot = Snapshot::of_worktree(&repo.path()).expect("a snapshot");
    assert_eq!(paths(&snapshot, ""), [".gitignore", "lib/a.py", "lib/new.py", "liminal.yml"]);
    assert_eq!(snapshot.dirty_paths(), ["lib/new.py"]);
    assert!(snapshot.version().dirty);
    let named = snapshot.file("data/big.csv").expect("not refused").expect("a file");
    assert_eq!(named.blob, blob(b"1,2"), "an ignored file that is named is used");
    assert_eq!(paths(&snapshot, "data"), ["data/big.csv"], "and so is an ignored folder");
}

#[test]
fn a_work_tree_equal_to_its_commit_is_clean_and_has_a_stable_digest() {
    let repo = Repo::new(&[("liminal.yml", "one"), ("lib/a.py", "a")]);
    let commit = repo.commit();
    let look = || {
        let snapshot = Snapshot::of_worktree(&repo.path()).expect("a snapshot");
        paths(&snapshot, "lib");
        snapshot
    };
    let (one, other) = (look(), look());
    assert_eq!(one.version().commit, Some(commit.to_string()));
    assert!(!one.version().dirty);
    assert_eq!(one.tree_digest(), other.tree_digest());
    repo.write("liminal.yml", "unused");
    assert_eq!(one.tree_digest(), look().tree_digest(), "a file that nobody read changes nothing");
    repo.write("lib/b.py", "b");
    assert_ne!(one.tree_digest(), look().tree_digest());
    std::fs::remove_file(repo.path().join("lib/b.py")).expect("removed");
    std::fs::remove_file(repo.path().join("lib/a.py")).expect("removed");
    assert_eq!(look().dirty_paths(), ["lib/a.py"]);
}

#[test]
fn a_folder_outside_of_git_is_read_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in ["liminal.yml", ".venv/lib.py", "__pycache__/x.pyc", "lib/a.py"] {
        let full = folder.path().join(path);
        std::fs::create_dir_all(full.parent().expect("a parent")).expect("a folder");
        std::fs::write(full, path).expect("a file");
    }
    std::fs::set_permissions(folder.path().join("lib/a.py"), std::fs::Permissions::from_mode(0o755)).expect("mode");
    let snapshot = Snapshot::of_worktree(folder.path()).expect("a snapshot");
    assert_eq!(paths(&snapshot, ""), ["lib/a.py", "liminal.yml"]);
    assert!(snapshot.file("lib/a.py").expect("fine").expect("a file").executable);
    assert_eq!(snapshot.version(), liminal_schemas::run::SourceVersion::default());
    let error = Snapshot::at_revision(folder.path(), "HEAD").err().expect("no repository");
    assert!(matches!(error, SourceError::NoRepository(_)), "{error}");
}

#[test]
fn links_submodules_and_special_files_are_refused_when_they_are_used() {
    let repo = Repo::new(&[("liminal.yml", "one"), ("lib/a.py", "a"), ("fine/a.py", "a")]);
    symlink("/etc/passwd", repo.path().join("lib/passwd")).expect("a link");
    symlink("/etc", repo.path().join("etc")).expect("a link");
    repo.commit();
    Repository::init(repo.path().join("vendored")).expect("a repository");
    for snapshot in [
        Snapshot::of_worktree(&repo.path()).expect("a snapshot"),
        Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot"),
    ] {
        assert_eq!(snapshot.file("lib/passwd"), Err(RefusedFile::Symlink));
        assert_eq!(snapshot.file("etc/passwd"), Err(RefusedFile::Symlink));
        assert_eq!(snapshot.under("etc"), Err(("etc".to_owned(), RefusedFile::Symlink)));
        assert_eq!(snapshot.under("lib"), Err(("lib/passwd".to_owned(), RefusedFile::Symlink)));
        assert_eq!(paths(&snapshot, "fine"), ["fine/a.py"], "what is not used does no harm");
        assert_eq!(snapshot.file("../secret"), Err(RefusedFile::UnsafeName));
        assert_eq!(snapshot.file(".git/config"), Err(RefusedFile::UnsafeName));
        assert!(snapshot.read("etc/passwd", 1000).is_err());
    }
    let worktree = Snapshot::of_worktree(&repo.path()).expect("a snapshot");
    assert_eq!(worktree.file("vendored/x.py"), Err(RefusedFile::Submodule));
}

#[test]
fn hostile_trees_are_refused_when_they_are_used() {
    let repo = Repo::new(&[("liminal.yml", "one")]);
    let commit = repo.commit();
    let content = repo.git.blob(b"x").expect("a blob");
    let odb = repo.git.odb().expect("objects");
    // Written as raw objects, since git's own tools refuse most of these.
    let tree = |entries: &[(&str, &[u8], Oid)]| {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        odb.write(git2::ObjectType::Tree, &bytes).expect("a tree")
    };
    type Entries<'a> = &'a [(&'a str, &'a [u8], Oid)];
    let cases: [(Entries<'_>, &str, RefusedFile); 5] = [
        (&[("160000", b"sub", commit)], "sub", RefusedFile::Submodule),
        (&[("100644", b"..", content)], "..", RefusedFile::UnsafeName),
        (&[("100644", b"a\\b", content)], "a\\b", RefusedFile::UnsafeName),
        (&[("100644", b"a\xff", content)], "a\u{fffd}", RefusedFile::NotUtf8),
        (
            &[("100644", b"A.py", content), ("100644", b"a.py", content)],
            "A.py",
            RefusedFile::CaseClash("a.py".to_owned()),
        ),
    ];
    for (entries, path, refused) in cases {
        let inner = tree(entries);
        let root = tree(&[("40000", b"lib", inner), ("100644", b"liminal.yml", content)]);
        repo.commit_tree(root);
        let snapshot = Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot");
        assert_eq!(snapshot.under("lib"), Err((format!("lib/{path}"), refused)));
        assert!(snapshot.file("liminal.yml").expect("fine").is_some());
    }
    // Twenty objects that unfold into ten to the power of twenty files.
    let mut bomb = tree(&[("100644", b"x", content)]);
    for _ in 0..20 {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, &[u8], Oid)> = names.iter().map(|name| ("40000", name.as_bytes(), bomb)).collect();
        bomb = tree(&entries);
    }
    repo.commit_tree(bomb);
    let snapshot = Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot");
    assert!(matches!(snapshot.under(""), Err((_, RefusedFile::TooMany(_)))));
    let mut deep = tree(&[("100644", b"x", content)]);
    for _ in 0..5_000 {
        deep = tree(&[("40000", b"d", deep)]);
    }
    repo.commit_tree(deep);
    let snapshot = Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot");
    assert!(snapshot.under("").is_err(), "a tree deeper than any stack is refused");
}

#[test]
fn revisions_that_could_be_options_or_are_none_are_refused() {
    let repo = Repo::new(&[("liminal.yml", "one")]);
    let canary = repo.path().join("canary");
    let unborn = Snapshot::at_revision(&repo.path(), "HEAD").err().expect("no commit");
    assert_eq!(unborn.hint().as_deref(), Some("the repository has no commit yet: did you commit?"));
    let commit = repo.commit();
    let option = format!("--upload-pack=touch {}", canary.display());
    let long = "a".repeat(300);
    for revision in [option.as_str(), "-x", "", " ", "HEAD\n", "a\0b", &long] {
        let error = Snapshot::at_revision(&repo.path(), revision).err().expect("refused");
        assert!(matches!(error, SourceError::BadRevision { .. }), "{revision:?}: {error}");
    }
    for revision in ["ghost", "HEAD~7", "HEAD:liminal.yml", "deadbeef", "refs/heads/;rm -rf"] {
        let error = Snapshot::at_revision(&repo.path(), revision).err().expect("unknown");
        assert!(matches!(error, SourceError::UnknownRevision { .. }), "{revision}: {error}");
    }
    // A ref of such a name can exist, and is nothing but a name.
    repo.git.reference("refs/heads/--upload-pack=x", commit, true, "x").expect("a ref");
    Snapshot::at_revision(&repo.path(), "refs/heads/--upload-pack=x").expect("a snapshot");
    Snapshot::at_revision(&repo.path(), &commit.to_string()[..10]).expect("a snapshot");
    assert!(!canary.exists());
    let error = Snapshot::at_revision(&repo.path().join("new"), "HEAD").err().expect("no folder");
    assert!(matches!(error, SourceError::NoFolder(_)), "{error}");
    std::fs::create_dir(repo.path().join("new")).expect("a folder");
    let error = Snapshot::at_revision(&repo.path().join("new"), "HEAD").err().expect("not committed");
    assert_eq!(error.hint().as_deref(), Some("did you commit it?"));
}

#[test]
fn hooks_and_filters_of_a_repository_never_run() {
    let repo = Repo::new(&[("liminal.yml", "one"), (".gitattributes", "* filter=evil\n"), ("a.py", "a")]);
    let canary = repo.path().join("canary");
    let script = format!("#!/bin/sh\ntouch {}\n", canary.display());
    for hook in ["post-checkout", "pre-commit", "post-index-change", "fsmonitor-watchman"] {
        let path = repo.path().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, &script).expect("a hook");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    }
    repo.commit();
    let mut config = repo.git.config().expect("a config");
    let program = repo.path().join(".git/hooks/pre-commit");
    for key in ["filter.evil.clean", "filter.evil.smudge", "core.fsmonitor", "core.pager", "core.editor"] {
        config.set_str(key, program.to_str().expect("UTF-8")).expect("set");
    }
    for snapshot in [
        Snapshot::of_worktree(&repo.path()).expect("a snapshot"),
        Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot"),
    ] {
        paths(&snapshot, "");
        assert_eq!(snapshot.read("a.py", 10), Ok(b"a".to_vec()));
        snapshot.version();
    }
    assert!(!canary.exists());
}

#[test]
fn a_change_of_equal_length_in_the_moment_of_the_index_is_seen() {
    let repo = Repo::new(&[("a.py", "old")]);
    repo.commit();
    let path = repo.path().join("a.py");
    let index = repo.path().join(".git/index").metadata().expect("an index");
    let written = index.modified().expect("a time");
    // In place, so that the inode stays, with the very time that the index holds for it.
    std::fs::File::options().write(true).open(&path).expect("open").set_modified(written).expect("set");
    let mut git_index = repo.git.index().expect("an index");
    git_index.read(true).expect("read");
    git_index.add_path(Path::new("a.py")).expect("added");
    git_index.write().expect("written");
    let index_file = std::fs::File::options().write(true).open(repo.path().join(".git/index")).expect("open");
    index_file.set_modified(written).expect("set");
    std::fs::write(&path, "new").expect("a file");
    std::fs::File::options().write(true).open(&path).expect("open").set_modified(written).expect("set");
    let metadata = path.metadata().expect("a file");
    let entry = git_index.get_path(Path::new("a.py"), 0).expect("tracked");
    assert_eq!((u64::from(entry.file_size), i64::from(entry.mtime.seconds())), (metadata.len(), metadata.mtime()));
    let snapshot = Snapshot::of_worktree(&repo.path()).expect("a snapshot");
    assert_eq!(snapshot.file("a.py").expect("fine").expect("a file").blob, blob(b"new"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the index answers is what reading the file answers, whatever was done to the files.
    #[test]
    fn blob_ids_from_the_index_are_those_of_the_content(
        edits in prop::collection::vec((0..4_usize, 0..5_u8), 0..8),
        aged in any::<bool>(),
    ) {
        let names = ["a.py", "b.py", "lib/c.py", "lib/d/e.py"];
        let repo = Repo::new(&names.map(|name| (name, "one")));
        if aged {
            repo.age();
        }
        repo.commit();
        for (file, edit) in edits {
            let path = repo.path().join(names[file]);
            match edit {
                0 => repo.write(names[file], "two"),
                1 => repo.write(names[file], "longer"),
                2 => drop(std::fs::remove_file(&path)),
                3 => drop(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))),
                _ => drop(std::fs::rename(&path, repo.path().join("moved.py"))),
            }
        }
        let snapshot = Snapshot::of_worktree(&repo.path()).expect("a snapshot");
        for (path, file) in snapshot.under("").expect("a listing") {
            let content = std::fs::read(repo.path().join(&path)).expect("a file");
            let metadata = repo.path().join(&path).metadata().expect("a file");
            prop_assert_eq!(file.blob, blob(&content), "{}", path);
            prop_assert_eq!(file.executable, metadata.mode() & 0o111 != 0);
        }
    }
}

#[test]
fn a_new_project_becomes_a_repository_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("liminal.yml"), "one").expect("a file");
    assert!(init_repository(folder.path(), "Start").expect("a repository"));
    assert!(!init_repository(folder.path(), "Start").expect("nothing to do"));
    let snapshot = Snapshot::at_revision(folder.path(), "main").expect("a snapshot");
    assert_eq!(paths(&snapshot, ""), ["liminal.yml"]);
}

#[test]
fn a_repository_of_another_user_is_refused_with_what_to_do() {
    let repo = Repo::new(&[("liminal.yml", "one")]);
    repo.commit();
    // Only root can give files away; elsewhere there is nothing to try this on.
    let given = [repo.path(), repo.path().join(".git")].map(|path| std::os::unix::fs::chown(path, Some(12_345), None));
    if given.iter().any(Result::is_err) {
        return;
    }
    for error in [
        Snapshot::of_worktree(&repo.path()).err().expect("refused"),
        Snapshot::at_revision(&repo.path(), "HEAD").err().expect("refused"),
    ] {
        assert!(matches!(error, SourceError::Ownership(_)), "{error}");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("git config --global --add safe.directory "), "{hint}");
    }
}

#[test]
fn only_the_folders_that_are_asked_for_are_read() {
    let repo = Repo::new(&[("liminal.yml", "one"), ("lib/a.py", "a")]);
    let content = repo.git.blob(b"x").expect("a blob");
    let mut huge = repo.git.treebuilder(None).expect("a tree");
    for number in 0..20_000 {
        huge.insert(format!("{number}.csv"), content, 0o100_644).expect("an entry");
    }
    let huge = huge.write().expect("a tree");
    repo.commit();
    let head = repo.git.head().expect("HEAD").peel_to_tree().expect("a tree");
    let mut root = repo.git.treebuilder(Some(&head)).expect("a tree");
    root.insert("data", huge, 0o040_000).expect("an entry");
    let root = root.write().expect("a tree");
    repo.commit_tree(root);
    // The object is taken away, so that reading it would fail.
    let id = huge.to_string();
    std::fs::remove_file(repo.path().join(".git/objects").join(&id[..2]).join(&id[2..])).expect("a loose object");
    let snapshot = Snapshot::at_revision(&repo.path(), "HEAD").expect("a snapshot");
    assert_eq!(paths(&snapshot, "lib"), ["lib/a.py"]);
    assert!(snapshot.file("liminal.yml").expect("fine").is_some());
    assert!(
        matches!(snapshot.under("data"), Err((_, RefusedFile::Unreadable(_)))),
        "what can not be read is no less there"
    );
    assert!(matches!(snapshot.file("data/1.csv"), Err(RefusedFile::Unreadable(_))));
}
