//! Exit codes: an interface that scripts rely on.

/// How a command ended. Scripts may rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// It did what it was asked to.
    Ok,
    /// Something failed; the message says what.
    Error,
    /// There are changes: only from `plan --detailed-exitcode`.
    Changes,
    /// A gate refused the run, or a policy or guard the change.
    Refused,
    /// Credentials are missing or were not accepted.
    Credentials,
    /// Somebody else holds the lock.
    LockHeld,
    /// The saved plan no longer fits what is deployed.
    StalePlan,
    /// The run failed or was cancelled.
    RunFailed,
    /// The command line makes no sense.
    Usage,
    /// Interrupted by Ctrl-C or SIGTERM; the message says how to go on.
    Interrupted,
}

impl ExitCode {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 10] = [
        Self::Ok,
        Self::Error,
        Self::Changes,
        Self::Refused,
        Self::Credentials,
        Self::LockHeld,
        Self::StalePlan,
        Self::RunFailed,
        Self::Usage,
        Self::Interrupted,
    ];

    /// The number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Credentials => 4,
            Self::LockHeld => 5,
            Self::StalePlan => 6,
            Self::RunFailed => 7,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for `liminal help`.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Changes => "there are changes (only from `plan --detailed-exitcode`)",
            Self::Refused => "a gate refused the run, or a policy or guard the change",
            Self::Credentials => "credentials are missing or were not accepted",
            Self::LockHeld => "somebody else holds the lock",
            Self::StalePlan => "the saved plan no longer fits what is deployed",
            Self::RunFailed => "the run failed or was cancelled",
            Self::Usage => "the command line makes no sense",
            Self::Interrupted => "interrupted; the message says how to go on",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
