//! Every environment variable that liminal reads, in one documented list.

/// A variable and what it is for.
pub(crate) struct EnvVar {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) meaning: &'static str,
}

/// The environment to work on, where `-e` is not given.
pub(crate) const LIMINAL_ENV: &str = "LIMINAL_ENV";
/// The folder for Python environments, shared by all projects.
pub(crate) const LIMINAL_CACHE_DIR: &str = "LIMINAL_CACHE_DIR";
/// `0` never asks questions, as `--no-input` does.
pub(crate) const LIMINAL_INPUT: &str = "LIMINAL_INPUT";
/// `0` starts steps without the sandbox.
pub(crate) const LIMINAL_SANDBOX: &str = "LIMINAL_SANDBOX";
/// The runner that functions and tasks run, where it is not beside this program.
pub(crate) const LIMINAL_RUNNER: &str = "LIMINAL_RUNNER";
/// The secret that requests to `liminal gitops webhook` are signed with.
pub(crate) const LIMINAL_WEBHOOK_SECRET: &str = "LIMINAL_WEBHOOK_SECRET";
/// The token that commit statuses are told to GitHub with.
pub(crate) const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// Where GitHub's API is, for servers of one's own.
pub(crate) const GITHUB_API_URL: &str = "GITHUB_API_URL";
/// Where the process is to abort: for tests of recovery, in builds with the feature `failpoints`.
#[cfg(feature = "failpoints")]
pub(crate) const LIMINAL_CRASH_AT: &str = "LIMINAL_CRASH_AT";

/// The list behind `liminal help environment`.
pub(crate) const ALL: &[EnvVar] = &[
    EnvVar { name: LIMINAL_ENV, meaning: "the environment to work on, where -e is not given" },
    EnvVar { name: LIMINAL_CACHE_DIR, meaning: "the folder for Python environments [~/.cache/liminal]" },
    EnvVar { name: LIMINAL_INPUT, meaning: "0 never asks questions, as --no-input does" },
    EnvVar { name: LIMINAL_SANDBOX, meaning: "0 starts steps without the sandbox that confines their writes" },
    EnvVar { name: LIMINAL_RUNNER, meaning: "the runner for functions and tasks [liminal-runner beside liminal]" },
    EnvVar {
        name: LIMINAL_WEBHOOK_SECRET,
        meaning: "the secret that requests to `liminal gitops webhook` are signed with",
    },
    EnvVar { name: GITHUB_TOKEN, meaning: "the token that commit statuses are told to GitHub with" },
    EnvVar { name: GITHUB_API_URL, meaning: "where GitHub's API is [https://api.github.com]" },
    EnvVar { name: "AWS_PROFILE", meaning: "the profile of the AWS credentials, as for every AWS tool" },
    EnvVar { name: "AWS_ENDPOINT_URL", meaning: "where AWS is, for emulators" },
    EnvVar { name: "GIT_SSH_COMMAND", meaning: "how an agent starts ssh, as for git [one that never asks]" },
    EnvVar {
        name: "GIT_QUARANTINE_PATH",
        meaning: "set by git for hooks: the objects of a push that is not accepted yet",
    },
    EnvVar { name: "GIT_PUSH_OPTION_COUNT", meaning: "set by git for hooks: how many options `git push -o` was given" },
    EnvVar { name: "NO_COLOR", meaning: "set to anything: no colour" },
    EnvVar { name: "CLICOLOR_FORCE", meaning: "set to anything but 0: colour even when not on a terminal" },
    EnvVar { name: "COLUMNS", meaning: "the width of text, where there is no terminal" },
    EnvVar { name: "CI", meaning: "set to anything: never asks questions" },
    EnvVar { name: "XDG_CACHE_HOME", meaning: "where ~/.cache is, for the folder of Python environments" },
    EnvVar { name: "PATH", meaning: "where uv, python3 and the programs of `run:` steps are found" },
];

/// All variables that are UTF-8, for programs that are started with a choice of them.
pub(crate) fn all() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads a variable; an empty one counts as unset, one that is not UTF-8 as well.
pub(crate) fn read(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The most options of `git push -o` that are looked at.
const MAX_PUSH_OPTIONS: usize = 100;

/// The options of `git push -o`, as git hands them to hooks.
pub(crate) fn push_options() -> Vec<String> {
    let count = read("GIT_PUSH_OPTION_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
    (0..usize::min(count, MAX_PUSH_OPTIONS)).filter_map(|index| read(&format!("GIT_PUSH_OPTION_{index}"))).collect()
}
