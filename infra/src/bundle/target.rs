//! What dependencies are resolved for: a Python version on a Linux, whatever machine this is.

use std::collections::BTreeMap;

use liminal_schemas::aws::Arch;
use serde::Serialize;

use super::error::BundleError;

/// The glibc of manylinux2014, as minor version: the oldest on ARM.
const MANYLINUX_2014: u32 = 17;

/// The glibc of manylinux1, as minor version: the oldest on Intel.
const MANYLINUX_1: u32 = 5;

/// The first Python 3 whose Lambda runtime is on Amazon Linux 2023.
const FIRST_ON_AL2023: u32 = 12;

/// What a wheel may ask of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Glibc {
    /// Amazon Linux 2, on which the runtimes up to Python 3.11 are. It has 2.26, and 2.17 is the newest step below it
    /// that `uv` knows; both installers are to choose the same wheels.
    #[serde(rename = "2.17")]
    V2_17,
    /// Amazon Linux 2023 (docs.aws.amazon.com/linux/al2023/ug/core-glibc.html): runtimes from Python 3.12 on. Images
    /// that are not older than 2022 have at least this.
    #[serde(rename = "2.34")]
    V2_34,
}

impl Glibc {
    const fn minor(self) -> u32 {
        match self {
            Self::V2_17 => MANYLINUX_2014,
            Self::V2_34 => 34,
        }
    }
}

/// What dependencies are resolved for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    minor: u32,
    arch: Arch,
    glibc: Glibc,
}

impl Target {
    /// The managed Lambda runtime of a Python version, as `3.12`.
    ///
    /// # Errors
    /// When the version is not written so.
    pub fn of_function(python: &str, arch: Arch) -> Result<Self, BundleError> {
        let minor = minor_of(python)?;
        let glibc = if minor < FIRST_ON_AL2023 { Glibc::V2_17 } else { Glibc::V2_34 };
        Ok(Self { minor, arch, glibc })
    }

    /// A container image with a Python version, as `3.12`.
    ///
    /// # Errors
    /// When the version is not written so.
    pub fn of_image(python: &str, arch: Arch) -> Result<Self, BundleError> {
        Ok(Self { minor: minor_of(python)?, arch, glibc: Glibc::V2_34 })
    }

    /// The Python version, as `3.12`.
    pub fn python(&self) -> String {
        format!("3.{}", self.minor)
    }

    /// How people would call it.
    pub fn describe(&self) -> String {
        let glibc = self.glibc.minor();
        format!("CPython {} on Linux {} with glibc 2.{glibc}", self.python(), self.arch.as_str())
    }

    /// The newer runtime that takes more wheels, if there is one.
    pub(super) fn better(&self) -> Option<String> {
        match self.glibc {
            Glibc::V2_17 => Some(format!("3.{FIRST_ON_AL2023}")),
            Glibc::V2_34 => None,
        }
    }

    /// What Linux and wheels call the instruction set.
    fn machine(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "aarch64",
        }
    }

    /// The name of the platform for `uv`.
    pub(super) fn uv_platform(&self) -> String {
        format!("{}-manylinux_2_{}", self.machine(), self.glibc.minor())
    }

    /// The platform tags of wheels that work, the best first. `pip` takes each literally, but for manylinux2014, which
    /// stands for the older ones too.
    pub(super) fn wheel_platforms(&self) -> Vec<String> {
        let machine = self.machine();
        let oldest = match self.arch {
            Arch::X86_64 => MANYLINUX_1,
            Arch::Arm64 => MANYLINUX_2014,
        };
        let mut platforms: Vec<String> =
            (oldest..=self.glibc.minor()).rev().map(|minor| format!("manylinux_2_{minor}_{machine}")).collect();
        platforms.push(format!("manylinux2014_{machine}"));
        platforms
    }

    /// Whether a wheel with this platform tag works.
    pub(super) fn takes(&self, platform: &str) -> bool {
        if platform == "any" {
            return true;
        }
        let Some(kind) = platform.strip_suffix(self.machine()).and_then(|kind| kind.strip_suffix('_')) else {
            return false;
        };
        match kind.strip_prefix("manylinux_2_").map(str::parse::<u32>) {
            Some(minor) => minor.is_ok_and(|minor| minor <= self.glibc.minor()),
            None => ["manylinux1", "manylinux2010", "manylinux2014"].contains(&kind),
        }
    }

    /// The answers to environment markers (packaging.python.org, "Dependency specifiers"). The micro version is the
    /// least, since that of a runtime moves; `uv` answers the same.
    pub(super) fn markers(&self) -> BTreeMap<&'static str, String> {
        let full = format!("{}.0", self.python());
        BTreeMap::from([
            ("implementation_name", "cpython".to_owned()),
            ("implementation_version", full.clone()),
            ("os_name", "posix".to_owned()),
            ("platform_machine", self.machine().to_owned()),
            ("platform_python_implementation", "CPython".to_owned()),
            ("platform_release", String::new()),
            ("platform_system", "Linux".to_owned()),
            ("platform_version", String::new()),
            ("python_full_version", full),
            ("python_version", self.python()),
            ("sys_platform", "linux".to_owned()),
        ])
    }
}

fn minor_of(python: &str) -> Result<u32, BundleError> {
    let minor = python.strip_prefix("3.").and_then(|minor| minor.parse().ok());
    minor.ok_or_else(|| BundleError::PythonVersion(python.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_runtimes_have_an_older_c_library() {
        let described = |python| Target::of_function(python, Arch::Arm64).map(|target| target.describe());
        assert_eq!(described("3.11").unwrap(), "CPython 3.11 on Linux arm64 with glibc 2.17");
        assert_eq!(described("3.12").unwrap(), "CPython 3.12 on Linux arm64 with glibc 2.34");
        let image = Target::of_image("3.11", Arch::X86_64).unwrap();
        assert_eq!(image.describe(), "CPython 3.11 on Linux x86_64 with glibc 2.34");
        assert!(described(">=3.10").is_err());
        assert!(described("3.12.1").is_err());
    }

    #[test]
    fn wheels_are_taken_by_machine_and_c_library() {
        let target = Target::of_function("3.12", Arch::X86_64).unwrap();
        let taken =
            ["any", "manylinux_2_34_x86_64", "manylinux_2_5_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"];
        assert!(taken.iter().all(|platform| target.takes(platform)));
        let refused = [
            "manylinux_2_35_x86_64",
            "manylinux_2_28_aarch64",
            "musllinux_1_2_x86_64",
            "linux_x86_64",
            "macosx_11_0_arm64",
            "win_amd64",
        ];
        assert!(!refused.iter().any(|platform| target.takes(platform)));
        assert_eq!(target.wheel_platforms()[0], "manylinux_2_34_x86_64");
    }
}
