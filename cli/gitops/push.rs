//! A push, as git tells hooks of it: one line for every ref that moves.

use liminal_schemas::delivery::branch_problem;

/// More refs than this in one push are no push that anybody meant: the rest is not looked at.
pub(crate) const MAX_UPDATES: usize = 1000;

/// The longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// A ref that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// The commit it moves to; none when it is deleted.
    pub(crate) commit: Option<String>,
    /// The branch.
    pub(crate) branch: String,
}

/// Why a line of git's is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PushError {
    /// It is not of the form `OLD NEW REF`.
    #[error("line {0} is not of the form OLD NEW REF, as git tells hooks of a push")]
    BadLine(usize),
    /// Too many refs move.
    #[error("more than {MAX_UPDATES} refs move in one push")]
    TooMany,
}

/// Reads what git writes to the standard input of `pre-receive` and `post-receive`. Refs that are no branches, and
/// branches that no environment could follow, are left out.
pub(crate) fn updates(text: &str) -> Result<Vec<Update>, PushError> {
    let mut updates = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if index >= MAX_UPDATES {
            return Err(PushError::TooMany);
        }
        let bad = || PushError::BadLine(index + 1);
        if line.len() > MAX_LINE_BYTES {
            return Err(bad());
        }
        let mut words = line.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else { return Err(bad()) };
        if !is_object_id(old) || !is_object_id(new) {
            return Err(bad());
        }
        let Some(branch) = name.strip_prefix("refs/heads/").filter(|branch| branch_problem(branch).is_none()) else {
            continue;
        };
        let commit = (!new.bytes().all(|byte| byte == b'0')).then(|| new.to_owned());
        updates.push(Update { commit, branch: branch.to_owned() });
    }
    Ok(updates)
}

/// Whether a text is the id of a git object: 40 hexadecimal digits, or 64 in a repository of SHA-256.
fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn branches_that_move_or_go_are_read() {
        let text = format!("{OLD} {NEW} refs/heads/main\n{OLD} {NONE} refs/heads/old\n{NONE} {NEW} refs/tags/v1\n");
        let read = updates(&text).expect("a push");
        let update = |commit: Option<&str>, branch: &str| Update {
            commit: commit.map(str::to_owned),
            branch: branch.to_owned(),
        };
        assert_eq!(read, [update(Some(NEW), "main"), update(None, "old")]);
    }

    #[test]
    fn refs_that_look_like_options_are_left_out() {
        for name in ["refs/heads/--upload-pack=touch x", "refs/heads/-x", "refs/heads/a b", "--force"] {
            assert_eq!(updates(&format!("{OLD} {NEW} {name}\n")), Ok(Vec::new()), "{name}");
        }
    }

    #[test]
    fn what_git_never_writes_is_refused() {
        for line in ["", " ", "a b c", "main", &format!("{OLD} {NEW}"), &format!("{OLD} ../../x refs/heads/main")] {
            assert_eq!(updates(&format!("{line}\n")), Err(PushError::BadLine(1)), "{line:?}");
        }
        let many = format!("{OLD} {NEW} refs/heads/main\n").repeat(MAX_UPDATES + 1);
        assert_eq!(updates(&many), Err(PushError::TooMany));
    }
}
