//! The runner that functions and tasks run: found beside this program, and looked at before anything is sent.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::aws::Arch;
use liminal_schemas::digest::Digest;

use crate::env_vars;
use crate::error::CliError;
use crate::error::While as _;

/// The name of the runner beside this program.
const NAME: &str = "liminal-runner";

/// Where an ELF file says what it runs on (elf(5), `e_machine`), and how much of it has to be read to know.
const MACHINE_AT: usize = 18;
const HEADER_BYTES: usize = 20;

/// `e_machine` of the instruction sets (elf.h: EM_X86_64, EM_AARCH64).
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// A runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::platform) struct RunnerFile {
    /// Where it is.
    pub(in crate::platform) path: PathBuf,
    /// Its sha256.
    pub(in crate::platform) digest: Digest,
}

impl RunnerFile {
    /// The runner for an instruction set: the one that `LIMINAL_RUNNER` names, or the one beside this program.
    pub(in crate::platform) fn find(arch: Arch) -> Result<Self, CliError> {
        if let Some(named) = env_vars::read(env_vars::LIMINAL_RUNNER) {
            return Self::at(Path::new(&named), arch);
        }
        let program = std::env::current_exe().or_failed(|| "this program does not know where it is".to_owned())?;
        let folder = program.parent().unwrap_or(Path::new("."));
        let own_name = folder.join(format!("{NAME}-{}", arch.as_str()));
        let path = if own_name.is_file() { own_name } else { folder.join(NAME) };
        if !path.is_file() {
            return Err(CliError::new(format!("there is no runner for {} in {}", arch.as_str(), folder.display()))
                .hint(format!("a release of liminal has {NAME} and {NAME}-arm64 beside the program: copy them along"))
                .hint("LIMINAL_RUNNER=PATH names one that is elsewhere"));
        }
        Self::at(&path, arch)
    }

    fn at(path: &Path, arch: Arch) -> Result<Self, CliError> {
        let unreadable = || format!("the runner {} can not be read", path.display());
        let bytes = std::fs::read(path).or_failed(unreadable)?;
        let problem = match machine(&bytes) {
            Some(found) if found == arch => None,
            Some(found) => Some(format!("it is for {}, and the environment is on {}", found.as_str(), arch.as_str())),
            None => Some("it is no Linux program for an instruction set that functions run on".to_owned()),
        };
        match problem {
            None => Ok(Self { path: path.to_owned(), digest: Digest::of_bytes(&bytes) }),
            Some(problem) => Err(CliError::new(format!("the runner {} can not be used: {problem}", path.display()))
                .hint(format!("LIMINAL_RUNNER=PATH names the {NAME} of a release for {}", arch.as_str()))
                .hint("or set `arch` of the environment in liminal.yml")),
        }
    }
}

/// What a program runs on, as its header says.
fn machine(program: &[u8]) -> Option<Arch> {
    let mut header = [0; HEADER_BYTES];
    let mut start = program;
    start.read_exact(&mut header).ok()?;
    // Little-endian, as everything that functions run on is.
    let is_elf = header.starts_with(b"\x7fELF") && header[5] == 1;
    let number = u16::from_le_bytes([header[MACHINE_AT], header[MACHINE_AT + 1]]);
    match number {
        X86_64 if is_elf => Some(Arch::X86_64),
        AARCH64 if is_elf => Some(Arch::Arm64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(machine: u16) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[MACHINE_AT..HEADER_BYTES].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    fn problem(bytes: &[u8], arch: Arch) -> String {
        let folder = tempfile::tempdir().expect("a folder is made");
        let path = folder.path().join(NAME);
        std::fs::write(&path, bytes).expect("a file is written");
        RunnerFile::at(&path, arch).map_or_else(|error| error.summary(), |runner| runner.digest.to_string())
    }

    #[test]
    fn a_runner_for_another_instruction_set_is_refused_before_it_is_sent() {
        assert!(
            problem(&program(AARCH64), Arch::X86_64).ends_with("it is for arm64, and the environment is on x86_64")
        );
        assert!(problem(&program(X86_64), Arch::Arm64).ends_with("it is for x86_64, and the environment is on arm64"));
        assert!(problem(b"#!/bin/sh\n", Arch::X86_64).contains("it is no Linux program"));
        assert!(problem(&program(X86_64), Arch::X86_64).starts_with("sha256:"));
    }
}
