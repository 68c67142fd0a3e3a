//! The program itself.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The newest version of the C library that `provided.al2023` has: <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>.
const NEWEST_GLIBC: (u32, u32) = (2, 34);

/// The most that the program may take, in bytes, as it is shipped.
const MOST_BYTES: u64 = 15 << 20;

/// The runner without what only debuggers read, which is most of it.
pub(crate) fn stripped() -> &'static Path {
    static STRIPPED: OnceLock<PathBuf> = OnceLock::new();
    STRIPPED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let stripped = folder.join(format!("liminal-runner-{}", std::process::id()));
        let built = env!("CARGO_BIN_EXE_liminal-runner");
        let status = Command::new("strip").arg("-o").arg(&stripped).arg(built).status().expect("strip starts");
        assert!(status.success(), "the runner is not stripped");
        stripped
    })
}

/// The version of the C library that a program needs; none when it needs no such library.
fn needed_glibc(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new("objdump").arg("-T").arg(program).output().expect("objdump starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let versions = text.split(|c: char| c.is_whitespace() || c == '(' || c == ')').filter_map(|word| {
        let mut parts = word.strip_prefix("GLIBC_")?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    versions.max()
}

#[test]
fn the_program_that_is_shipped_is_small_and_starts_wherever_functions_run() {
    // Building it takes minutes, so that `.ci/run` does so before the tests, and `just runner` by hand.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut examined = 0;
    for target_name in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-gnu"] {
        let program = target.join(target_name).join("runner/liminal-runner");
        let Ok(metadata) = program.metadata() else { continue };
        let glibc = needed_glibc(&program);
        assert!(glibc.is_none_or(|needed| needed <= NEWEST_GLIBC), "{} needs {glibc:?}", program.display());
        assert!(metadata.len() <= MOST_BYTES, "{} has {} bytes", program.display(), metadata.len());
        examined += 1;
    }
    let is_built = std::env::var_os("LIMINAL_RUNNER_IS_BUILT").is_some();
    assert!(examined > 0 || !is_built, "it was built, and is not where it is looked for");
    if examined == 0 {
        // Not by `println!`, which the harness keeps to itself.
        let _ = std::io::stderr().write_all(b"SKIPPED: there is no runner to look at; `just runner` builds one\n");
    }
}

#[test]
fn a_program_that_does_not_know_what_to_be_says_so() {
    let run = |arguments: &[&str], mode: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liminal-runner"));
        command.args(arguments).env_clear().env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(mode.map(|mode| ("LIMINAL_MODE", mode)));
        let output = command.output().expect("it starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    };
    insta::assert_snapshot!(run(&["fly"], None), @"liminal: `liminal-runner fly` is nothing that it can do");
    insta::assert_snapshot!(run(&[], None), @"liminal: the variable LIMINAL_MODE is not set");
    insta::assert_snapshot!(run(&["serve"], Some("step")), @"liminal: the variable LIMINAL_PROJECT is not set");
}
