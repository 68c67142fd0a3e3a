//! How large a bundle may be for a function, and what to say when it is larger.

use liminal_schemas::aws::limits::LAMBDA_UNZIPPED;
use serde::Deserialize;
use serde::Serialize;

use super::error::BundleError;

/// Less than this many bytes is what all files in the zip of a Lambda function may have together: the service refuses
/// more with "Unzipped size must be smaller than 262144000 bytes". AWS writes it as 250 MB. The 50 MB for zips is a
/// limit of direct uploads alone, and bundles come from S3.
pub const FUNCTION_BYTES: u64 = LAMBDA_UNZIPPED.value;

/// How many packages a message about size names.
const NAMED_PACKAGES: usize = 5;

/// A part of a bundle, and how much it takes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSize {
    /// The package's name, as its metadata writes it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its files take, unzipped, in bytes.
    pub bytes: u64,
}

/// Says no when a bundle is too large for a function. `packages` are those in it, biggest first.
///
/// # Errors
/// [`BundleError::TooLarge`], which names the biggest packages and what to do.
pub fn check_size(unzipped_bytes: u64, packages: &[PackageSize]) -> Result<(), BundleError> {
    if unzipped_bytes < FUNCTION_BYTES {
        return Ok(());
    }
    let biggest = packages.iter().take(NAMED_PACKAGES);
    let biggest = biggest.map(|it| format!("{} {} ({})", it.name, it.version, mebibytes(it.bytes))).collect();
    Err(BundleError::TooLarge { unzipped: mebibytes(unzipped_bytes), biggest })
}

/// A size for people, in the unit that AWS calls MB.
fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    let tenths = (bytes * 10).div_ceil(MIB);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, mib: u64) -> PackageSize {
        PackageSize { name: name.to_owned(), version: "1.0".to_owned(), bytes: mib << 20 }
    }

    #[test]
    fn a_bundle_just_below_the_limit_fits() {
        assert!(check_size(262_143_999, &[]).is_ok());
        assert!(check_size(262_144_000, &[]).is_err());
    }

    #[test]
    fn what_is_too_large_names_the_biggest_packages_and_what_to_do() {
        let packages =
            ["six", "pytz", "torch", "scipy", "numpy", "pandas"].map(|name| package(name, 60 - name.len() as u64));
        let error = check_size(300 << 20, &packages).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"the bundle takes 300.0 MB unzipped, and a Lambda function has less than 250 MB; the biggest in it: six 1.0 (57.0 MB), pytz 1.0 (56.0 MB), torch 1.0 (55.0 MB), scipy 1.0 (55.0 MB), numpy 1.0 (55.0 MB); set `compute: fargate` for the step, or cut down its requirements");
        let error = check_size(300 << 20, &[]).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"the bundle takes 300.0 MB unzipped, and a Lambda function has less than 250 MB; set `compute: fargate` for the step, or cut down its requirements");
    }
}
