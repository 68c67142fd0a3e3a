//! How changes come to an environment: which branch it follows, and whether somebody must approve first.

use crate::canary::Share;
use crate::name::EnvironmentName;

/// What a definition says about how an environment is delivered to. No release holds any of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The branch whose commits are applied to it by `liminal gitops`; none when only people apply to it.
    pub branch: Option<String>,
    /// Whether every plan must be approved before it is carried out.
    pub protected: bool,
    /// The template that it is, or is made from: what its names look like, and how long those live that are made from it.
    pub template: Option<Template>,
    /// How what is new is tried in it, unless an apply says otherwise.
    pub canary: CanaryLimits,
}

/// How large a canary is, and what it may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CanaryLimits {
    /// The part of the runs that is given to what is new.
    pub share: Option<Share>,
    /// The part of these that may fail before the canary is aborted.
    pub tolerated_failures: Option<Share>,
}

/// An environment that others are made from, each of which lives for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its own name. Nothing is ever applied to it.
    pub name: EnvironmentName,
    /// What the names of the others begin with: `pr-` for `pr-*`.
    pub prefix: String,
    /// How long those live after each apply, in seconds, unless the apply says it.
    pub ttl_seconds: Option<u64>,
}

impl Template {
    /// Whether an environment of this name is made from it.
    pub fn fits(&self, name: &EnvironmentName) -> bool {
        name.as_str().len() > self.prefix.len() && name.as_str().starts_with(&self.prefix)
    }
}

/// What keeps a text from being the pattern of a template's names, if anything does.
pub fn pattern_problem(text: &str) -> Option<&'static str> {
    let Some(prefix) = text.strip_suffix('*') else { return Some("it does not end with `*`") };
    if prefix.contains('*') {
        return Some("it has more than one `*`");
    }
    if EnvironmentName::new(prefix).is_err() {
        return Some("what is before the `*` begins no name of an environment");
    }
    None
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
    fn a_template_is_for_names_that_go_on_after_its_prefix() {
        let name = |text: &str| EnvironmentName::new(text).expect("a name");
        let template = Template { name: name("preview"), prefix: "pr-".to_owned(), ttl_seconds: None };
        assert!(template.fits(&name("pr-1")));
        assert!(!template.fits(&name("pr-")) && !template.fits(&name("prod")) && !template.fits(&name("preview")));
        assert_eq!(pattern_problem("pr-*"), None);
        for pattern in ["", "*", "pr", "pr-**", "-*", "PR-*", "p r*"] {
            assert!(pattern_problem(pattern).is_some(), "{pattern}");
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
