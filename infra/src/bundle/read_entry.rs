//! One file out of a bundle that is built: a runner that is to stay is found in what was made with it.

use std::io::Cursor;
use std::io::Read as _;
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::BundleError;

/// The largest file that is read, in bytes: a runner has a tenth of that.
const MAX_BYTES: u64 = 256 << 20;

/// The content of a file in a zip; none when the zip has no such file.
///
/// # Errors
/// When the zip is damaged.
pub fn read_entry(zip: &[u8], path: &str) -> Result<Option<Vec<u8>>, BundleError> {
    let damaged = |error| BundleError::zip(Path::new(path))(error);
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(damaged)?;
    let entry = match archive.by_name(path) {
        Ok(entry) => entry,
        Err(ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(damaged(error)),
    };
    let mut content = Vec::new();
    entry.take(MAX_BYTES).read_to_end(&mut content).map_err(|error| damaged(error.into()))?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn a_file_is_found_by_its_path_and_a_missing_one_is_none() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("bootstrap", SimpleFileOptions::default()).unwrap();
        writer.write_all(b"runner").unwrap();
        let zip = writer.finish().unwrap().into_inner();
        assert_eq!(read_entry(&zip, "bootstrap").unwrap().as_deref(), Some(&b"runner"[..]));
        assert_eq!(read_entry(&zip, "liminal-runner").unwrap(), None);
        assert!(read_entry(b"PK", "bootstrap").is_err());
    }
}
