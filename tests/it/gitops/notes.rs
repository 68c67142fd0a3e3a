//! Git notes: what became of a commit, read by git itself.

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Outcome;
use crate::harness::Project;

/// The note of a commit; none when there is none.
fn note(world: &World, repository: &str, commit: &str) -> Option<String> {
    let read = ["--git-dir", repository, "notes", "--ref", "liminal", "show", commit];
    let Outcome { code, stdout, .. } = world.clone.try_git(&read);
    (code == Some(0)).then(|| stdout.trim().to_owned())
}

#[test]
fn a_hook_that_is_told_to_notes_beside_each_commit_what_became_of_it() {
    let world = World::with_hook(&["--notes"]);
    let repository = world.path().display().to_string();
    let _ = world.push("main").exits(0);
    let good = world.applied();
    assert_eq!(note(&world, &repository, &good).as_deref(), Some("staging: applied by hook"));
    let _ = world.push("main:next").exits(0);
    let both = "next: applied by hook\nstaging: applied by hook";
    assert_eq!(note(&world, &repository, &good).as_deref(), Some(both));

    world.clone.edit("liminal.yml", "outputs: {text", "output: {text");
    let broken = world.clone.commit("Break it");
    let _ = world.push("main").exits(0);
    assert_eq!(note(&world, &repository, &broken).as_deref(), Some("staging: broken by hook"));
    let log = world.clone.git(&["--git-dir", &repository, "log", "--notes=liminal", "-1", "--format=%N"]);
    assert_eq!(log, "staging: broken by hook");
}

#[test]
fn nothing_is_noted_where_nobody_asked_and_no_hook_of_notes_runs() {
    let world = World::with_hook(&[]);
    let repository = world.path().display().to_string();
    let _ = world.push("main").exits(0);
    let refs = |repository: &str| world.clone.git(&["--git-dir", repository, "for-each-ref", "refs/notes"]);
    assert_eq!(refs(&repository), "");

    // The agent keeps its notes in its own copy, and pushes none.
    let place = Project::empty();
    let agent = |options: &[&str]| {
        let args = ["gitops", "agent", "--once", "--home", "home", "--remote", &repository];
        place.liminal(&[&args[..], options].concat()).exits(0)
    };
    let home = place.join("home").display().to_string();
    let _ = agent(&[]);
    assert_eq!(refs(&home), "");
    place.write("home/hooks/post-commit", "#!/bin/sh\ntouch ran\n");
    place.write("home/hooks/reference-transaction", "#!/bin/sh\ntouch ran\n");
    for hook in ["post-commit", "reference-transaction"] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(place.join("home/hooks").join(hook), permissions).expect("executable");
    }
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    let _ = agent(&["--notes"]);
    assert_eq!(note(&world, &home, &second).as_deref(), Some("staging: applied by agent"));
    let noted = refs(&home);
    let _ = agent(&["--notes"]);
    assert_eq!(refs(&home), noted, "a pass that changes nothing writes nothing, and a fetch keeps notes");
    assert_eq!(refs(&repository), "");
    assert!(!place.join("ran").exists() && !place.join("home/ran").exists());
}

#[test]
fn a_note_that_can_not_be_written_keeps_nothing_back() {
    let world = World::new(DEFINITION);
    let _ = world.push("main").exits(0);
    let place = Project::empty();
    let remote = world.path().display().to_string();
    let agent = || place.liminal(&["gitops", "agent", "--once", "--home", "home", "--notes", "--remote", &remote]);
    let _ = agent().exits(0).prints("Applied");
    let second = world.greet("hello", "ahoy");
    let _ = world.push("main").exits(0);
    std::fs::remove_file(place.join("home/refs/notes/liminal")).expect("a note");
    std::fs::create_dir_all(place.join("home/refs/notes/liminal/in/the/way")).expect("a folder");
    place.write("home/refs/notes/liminal/in/the/way/ref", format!("{second}\n"));
    let _ = agent().exits(0).prints("Applied").says("no note of commit");
}
