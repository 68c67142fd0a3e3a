//! A copy of a remote's branches, kept by an agent.
//!
//! Fetching is left to the `git` program: it speaks ssh and https with the keys, agents, helpers and certificates that the
//! machine is set up with, and libgit2 would bring a second TLS along. Its arguments are fixed but for the address, which
//! follows `--`; hooks are off, so are transports that start programs, and nothing is ever checked out. All reading is done by
//! libgit2 from the copy.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use git2::Repository;
use git2::RepositoryInitOptions;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// The most that is kept of what git complains of, in bytes.
const MAX_COMPLAINT_BYTES: u64 = 16 << 10;

/// The most that is read of a listing of refs, in bytes.
const MAX_LISTING_BYTES: u64 = 1 << 20;

/// The longest address of a remote, in bytes.
const MAX_ADDRESS_BYTES: usize = 2000;

/// How long a transfer may crawl below 1 kB/s before git gives up, in seconds.
const LOW_SPEED_SECONDS: &str = "30";

/// The pauses before the copy is tried again that another git is at.
const LOCK_PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Variables of git's that would let others say what is fetched, where to, or what is started for it.
const FOREIGN_VARIABLES: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GIT_QUARANTINE_PATH",
];

/// Why a remote can not be followed.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The address is none that is followed.
    #[error("`{address}` can not be followed: {problem}")]
    BadAddress {
        /// The address, without what it holds of credentials.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The copy can not be made or read.
    #[error("the copy in {folder} can not be used")]
    Copy {
        /// Where it is.
        folder: PathBuf,
        /// Why.
        source: git2::Error,
    },
    /// There is no git.
    #[error("git can not be started")]
    NoGit(#[source] std::io::Error),
    /// The remote did not answer in time.
    #[error("{address} did not answer within {seconds} s")]
    TimedOut {
        /// The address.
        address: String,
        /// How long it had.
        seconds: u64,
    },
    /// The remote refused the credentials.
    #[error("{address} does not let us in: {complaint}")]
    Denied {
        /// The address.
        address: String,
        /// What git said.
        complaint: String,
    },
    /// The host is not known by the key that it has.
    #[error("{address} is on a host that is not known by this key: {complaint}")]
    UnknownHost {
        /// The address.
        address: String,
        /// What git said.
        complaint: String,
    },
    /// Git could not fetch.
    #[error("{address} can not be fetched: {complaint}")]
    Refused {
        /// The address.
        address: String,
        /// What git said.
        complaint: String,
    },
}

/// A copy of a remote's branches.
pub struct Mirror {
    folder: PathBuf,
    address: String,
    timeout: Duration,
    own_ssh: bool,
}

/// What a remote has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The branch that its HEAD names.
    pub default_branch: Option<String>,
}

impl Mirror {
    /// Opens the copy in a folder, or makes it. A fetch takes no longer than `timeout`. `own_ssh` says that git is told by its
    /// own variables which ssh to start; otherwise it is one that never asks.
    ///
    /// # Errors
    /// When the address is none that is followed, or the folder can not be used.
    pub fn open(folder: &Path, address: &str, timeout: Duration, own_ssh: bool) -> Result<Self, MirrorError> {
        if let Some(problem) = problem_with_address(address) {
            return Err(MirrorError::BadAddress { address: without_credentials(address), problem });
        }
        let mut options = RepositoryInitOptions::new();
        // Templates of the machine may bring hooks along.
        options.bare(true).external_template(false).mkpath(true);
        Repository::init_opts(folder, &options)
            .map_err(|source| MirrorError::Copy { folder: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), address: address.to_owned(), timeout, own_ssh })
    }

    /// The address, without what it holds of credentials.
    pub fn address(&self) -> String {
        without_credentials(&self.address)
    }

    /// Brings the copy up to date: branches that moved move, however they did, and branches that are gone go. Objects stay,
    /// so that what is applied can still be compared with what is new.
    ///
    /// # Errors
    /// See [`MirrorError`]. The copy stays as it was.
    pub async fn fetch(&self) -> Result<(), MirrorError> {
        let head = self.remote_head().await?;
        let refspec = ["+refs/heads/*:refs/heads/*"];
        let options =
            ["--prune", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head"];
        let mut args = vec!["fetch", "--quiet", "--atomic", "--update-head-ok"];
        args.extend(options);
        args.extend(["--", &self.address]);
        args.extend(refspec);
        for pause in LOCK_PAUSES {
            match self.git(&args).await {
                // The git of an agent that was killed is still at it. It ends by itself, and what it fetched is there then.
                Err(MirrorError::Refused { complaint, .. }) if is_locked(&complaint) => {
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
                Ok(_) => return self.follow_head(head),
            }
        }
        self.git(&args).await?;
        self.follow_head(head)
    }

    fn follow_head(&self, head: Head) -> Result<(), MirrorError> {
        if let Some(branch) = head.default_branch {
            self.set_head(&branch).map_err(|source| MirrorError::Copy { folder: self.folder.clone(), source })?;
        }
        Ok(())
    }

    /// Lets HEAD of the copy name the branch that HEAD of the remote names.
    fn set_head(&self, branch: &str) -> Result<(), git2::Error> {
        let repository = Repository::open(&self.folder)?;
        repository.set_head(&format!("refs/heads/{branch}"))
    }

    async fn remote_head(&self) -> Result<Head, MirrorError> {
        let listing = self.git(&["ls-remote", "--symref", "--", &self.address, "HEAD"]).await?;
        let line = listing.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"));
        let branch = line.and_then(|line| line.split_once('\t')).map(|(branch, _)| branch.to_owned());
        let usable = |branch: &String| liminal_schemas::delivery::branch_problem(branch).is_none();
        Ok(Head { default_branch: branch.filter(usable) })
    }

    /// Runs git in the copy, and gives what it prints.
    async fn git(&self, args: &[&str]) -> Result<String, MirrorError> {
        let mut command = Command::new("git");
        let fixed = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("protocol.allow", "never"),
            ("protocol.file.allow", "always"),
            ("protocol.ssh.allow", "always"),
            ("protocol.https.allow", "always"),
            ("protocol.http.allow", "always"),
            ("fetch.recurseSubmodules", "false"),
            ("transfer.fsckObjects", "true"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", LOW_SPEED_SECONDS),
            ("gc.auto", "0"),
            ("credential.interactive", "false"),
        ];
        for (key, value) in fixed {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.args(args).current_dir(&self.folder);
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        command
            .env("GIT_DIR", ".")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS", "true");
        command.env("SSH_ASKPASS_REQUIRE", "never").env("LC_ALL", "C");
        if !self.own_ssh {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=15");
        }
        // A group of its own, so that a helper of git's that hangs ends with it.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(MirrorError::NoGit)?;
        let group = child.id();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let reads = tokio::join!(read(stdout, MAX_LISTING_BYTES), read(stderr, MAX_COMPLAINT_BYTES));
            (reads, child.wait().await)
        };
        let Ok(((printed, complaint), status)) = tokio::time::timeout(self.timeout, work).await else {
            end_group(group).await;
            return Err(MirrorError::TimedOut { address: self.address(), seconds: self.timeout.as_secs() });
        };
        if status.map_err(MirrorError::NoGit)?.success() {
            return Ok(printed);
        }
        Err(self.complain(&complaint))
    }

    fn complain(&self, complaint: &str) -> MirrorError {
        let address = self.address();
        let lower = complaint.to_lowercase();
        // The frame that ssh draws around a warning says nothing.
        let lines = complaint.lines().map(|line| line.trim().trim_matches('@').trim()).filter(|line| !line.is_empty());
        let complaint: Vec<String> = lines.take(4).map(|line| line.replace(&self.address, &address)).collect();
        let complaint = complaint.join("; ");
        let denied = [
            "authentication failed",
            "permission denied",
            "could not read username",
            "could not read password",
            "unable to get password",
        ];
        if lower.contains("host key verification failed") {
            return MirrorError::UnknownHost { address, complaint };
        }
        if denied.iter().any(|sign| lower.contains(sign)) {
            return MirrorError::Denied { address, complaint };
        }
        MirrorError::Refused { address, complaint }
    }
}

/// Whether git found the copy in use by another git.
fn is_locked(complaint: &str) -> bool {
    let lower = complaint.to_lowercase();
    lower.contains(".lock") || lower.contains("cannot lock ref") || lower.contains("unable to lock")
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    // What can not be read is not told: the status decides.
    let _ = (&mut pipe).take(limit).read_to_end(&mut bytes).await;
    // The rest is thrown away, so that git is not held up by a full pipe.
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends a process group. One that is gone already needs no ending.
async fn end_group(group: Option<u32>) {
    let Some(group) = group else { return };
    let kill = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status().await;
    let _ = kill;
}

/// What keeps a text from being the address of a remote, if anything does.
fn problem_with_address(address: &str) -> Option<&'static str> {
    let known = ["https://", "ssh://", "file://"];
    let here = |host: &str| {
        ["localhost", "127.0.0.1", "[::1]"].contains(&host.split_once(':').map_or(host, |(host, _)| host))
            || host.starts_with("[::1]")
    };
    if address.is_empty() {
        Some("it is empty")
    } else if address.len() > MAX_ADDRESS_BYTES {
        Some("it has more than 2000 bytes")
    } else if address.starts_with('-') {
        Some("it looks like an option")
    } else if address.chars().any(char::is_control) {
        Some("it holds control characters")
    } else if address.contains("::") {
        Some("transports of other programs are not used; write https://, ssh:// or file://, or HOST:PATH")
    } else if address.starts_with("http://") {
        // What is not encrypted may be anybody's.
        let host = host_of(address).is_some_and(here);
        (!host).then_some("http:// is taken from this machine alone; write https://")
    } else if address.contains("://") && !known.iter().any(|scheme| address.starts_with(scheme)) {
        Some("write https://, ssh:// or file://, or HOST:PATH")
    } else if host_of(address).is_some_and(|host| host.starts_with('-')) {
        Some("its host looks like an option")
    } else {
        None
    }
}

/// The host of an address, with what stands before it.
fn host_of(address: &str) -> Option<&str> {
    match address.split_once("://") {
        Some(("file", _)) => None,
        Some((_, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
        }
        None => {
            let (host, _) = address.split_once(':')?;
            (!host.contains('/')).then(|| host.rsplit_once('@').map_or(host, |(_, host)| host))
        }
    }
}

/// An address as it may be shown: a user and a password in it are left out.
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) if scheme != "file" => format!("{scheme}://***{}", &rest[at..]),
        Some(_) | None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_ssh_and_https_are_followed() {
        for address in [
            "https://example.invalid/x.git",
            "ssh://git@host/x.git",
            "git@host:x.git",
            "file:///srv/x.git",
            "/srv/x.git",
            "http://127.0.0.1:8080/x.git",
        ] {
            assert_eq!(problem_with_address(address), None, "{address}");
        }
    }

    #[test]
    fn addresses_that_could_start_programs_or_pass_for_options_are_refused() {
        let bad = [
            "",
            "--upload-pack=touch canary",
            "ext::sh -c touch% canary",
            "ssh://-oProxyCommand=touch canary/x",
            "ssh://git@-oProxyCommand=x/x",
            "-oProxyCommand=x:y",
            "git@-oProxyCommand=x:y",
            "fd::7",
            "ftp://host/x",
            "https://host/\nx",
            "http://example.invalid/x.git",
            "http://127.0.0.1@example.invalid/x.git",
        ];
        for address in bad {
            assert!(problem_with_address(address).is_some(), "{address:?}");
        }
    }

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        assert_eq!(without_credentials("https://me:secret@host/x.git"), "https://***@host/x.git");
        assert_eq!(without_credentials("https://host/x@y.git"), "https://host/x@y.git");
        assert_eq!(without_credentials("git@host:x.git"), "git@host:x.git");
    }
}
