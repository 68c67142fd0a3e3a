//! How changes come to an environment: which branch it follows, and whether somebody must approve first.

/// What a definition says about how an environment is delivered to. No release holds any of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The branch whose commits are applied to it by `liminal gitops`; none when only people apply to it.
    pub branch: Option<String>,
    /// Whether every plan must be approved before it is carried out.
    pub protected: bool,
}

/// The longest name of a branch that is taken, in bytes: file systems limit names of refs to 255, `refs/heads/` included.
const MAX_BRANCH_BYTES: usize = 240;

/// What keeps a text from being the name of a branch, if anything does: the rules of `git check-ref-format --branch`.
pub fn branch_problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_BRANCH_BYTES {
        return Some("it has more than 240 bytes");
    }
    if text.starts_with('-') {
        return Some("it starts with a dash");
    }
    if text == "@" || text == "HEAD" {
        return Some("it is a name that git keeps for itself");
    }
    if text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c)) {
        return Some("it has a space, a control character or one of ~ ^ : ? * [ \\");
    }
    if text.contains("..") || text.contains("@{") || text.contains("//") {
        return Some("it has `..`, `@{` or `//`");
    }
    if text.starts_with('/') || text.ends_with('/') || text.ends_with('.') {
        return Some("it starts or ends with a slash, or ends with a dot");
    }
    if text.split('/').any(|part| part.starts_with('.') || part.ends_with(".lock")) {
        return Some("it has a part that starts with a dot or ends with `.lock`");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_takes_are_taken() {
        for name in ["main", "release/2026", "feature/über", "a.b", "v1-rc", "@x"] {
            assert_eq!(branch_problem(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        let long = "x".repeat(241);
        let bad = [
            "",
            "-x",
            "--upload-pack=touch x",
            "HEAD",
            "@",
            "a b",
            "a..b",
            "a@{1}",
            "/a",
            "a/",
            "a.",
            ".a",
            "a/.b",
            "a.lock",
            "a//b",
            "a:b",
            "a\nb",
            &long,
        ];
        for name in bad {
            assert!(branch_problem(name).is_some(), "{name:?}");
        }
    }
}
