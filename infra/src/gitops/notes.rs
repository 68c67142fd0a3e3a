//! Git notes: what became of a commit, in the repository itself, where `git log --notes=liminal` shows it.
//!
//! They are for people. Nobody acts on them, since whoever may push may write them too, and no hook runs when one is written.

use git2::ErrorCode;
use git2::Oid;
use git2::Repository;
use git2::Signature;

/// Where notes are kept.
pub const NOTES_REF: &str = "refs/notes/liminal";

/// The key of git's configuration that says whether notes are written: `true` or `false`.
pub const NOTES_KEY: &str = "liminal.notes";

/// How often a note is written again because somebody else wrote another one at the same time.
const TRIES: usize = 5;

/// The longest line of a note, in characters.
const MAX_LINE_CHARS: usize = 400;

/// The longest note that is added to, in bytes. A longer one is none of ours, and gives way.
const MAX_NOTE_BYTES: usize = 64 << 10;

/// Whether a repository is to have notes.
pub fn are_kept(repository: &Repository) -> bool {
    repository.config().and_then(|config| config.get_bool(NOTES_KEY)).unwrap_or(false)
}

/// Notes of a commit that `subject` is so, in place of what was noted of the same subject before. False when that is what
/// the note says already.
///
/// # Errors
/// When git can not read or write.
pub fn note(repository: &Repository, commit: &str, subject: &str, text: &str) -> Result<bool, git2::Error> {
    let commit = Oid::from_str(commit)?;
    let author = repository.signature().or_else(|_| Signature::now("liminal", "liminal@localhost"))?;
    let mut tried = 1;
    loop {
        let before = match repository.find_note(Some(NOTES_REF), commit) {
            Ok(note) => note.message().unwrap_or_default().to_owned(),
            Err(error) if error.code() == ErrorCode::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let after = with_line(&before, subject, text);
        if after == before {
            return Ok(false);
        }
        match repository.note(&author, &author, Some(NOTES_REF), commit, &after, true) {
            Ok(_) => return Ok(true),
            // Another note moved the ref since it was read, or is about to.
            Err(error) if tried < TRIES && matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked) => {
                tried += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A note with the line of a subject.
fn with_line(note: &str, subject: &str, text: &str) -> String {
    let start = format!("{subject}: ");
    let plain: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let line: String = format!("{start}{plain}").chars().take(MAX_LINE_CHARS).collect();
    let others = if note.len() <= MAX_NOTE_BYTES { note } else { "" };
    let mut lines: Vec<&str> = others.lines().filter(|line| !line.starts_with(&start)).collect();
    lines.push(&line);
    lines.sort_unstable();
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_one_line_whatever_is_said_of_it() {
        let one = with_line("", "staging", "applied by hook");
        assert_eq!(one, "staging: applied by hook\n");
        let two = with_line(&one, "prod", "failed by agent: no\u{1b}[31m role\nand more");
        assert_eq!(two, "prod: failed by agent: no[31m role\nstaging: applied by hook\n");
        let three = with_line(&two, "staging", "refused by agent");
        assert_eq!(three, "prod: failed by agent: no[31m role\nstaging: refused by agent\n");
        assert_eq!(with_line(&three, "staging", "refused by agent"), three);
    }

    #[test]
    fn a_note_that_somebody_made_huge_gives_way() {
        assert_eq!(with_line(&"x\n".repeat(MAX_NOTE_BYTES), "staging", "applied"), "staging: applied\n");
        assert!(with_line("", "staging", &"x".repeat(10_000)).len() <= MAX_LINE_CHARS + 1);
    }
}
