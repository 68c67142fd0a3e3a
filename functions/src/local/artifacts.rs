//! Artifacts in the local object store: verified on their way to a step, moved in on their way back.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use liminal_schemas::digest::Digest;
use liminal_schemas::keys;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::Failure;
use liminal_schemas::step::ArtifactKind;

use crate::attempt::failure;
use crate::attempt::outputs::FoundOutput;
use crate::attempt::outputs::hash_file;

/// From this size on a file is linked, not copied, in bytes: copying less costs no more than linking.
const LINKED_FROM: u64 = 1 << 20;

/// The longest directory listing that is read, in bytes: about a million files.
const MAX_LISTING_BYTES: u64 = 256 << 20;

/// The artifacts below an object root.
#[derive(Clone, Debug)]
pub struct LocalArtifacts {
    objects: PathBuf,
}

impl LocalArtifacts {
    /// The artifacts below `objects`.
    pub fn new(objects: PathBuf) -> Self {
        Self { objects }
    }

    fn object(&self, digest: &Digest) -> PathBuf {
        self.objects.join(keys::artifact(digest))
    }

    /// Puts an artifact at `to`, every byte of it checked against its digest.
    ///
    /// # Errors
    /// When an object is missing, or is not what its name says: nothing of it is left at `to` then.
    pub fn fetch(&self, artifact: &Artifact, to: &Path) -> Result<(), Failure> {
        match artifact.kind {
            ArtifactKind::File => self.fetch_file(&artifact.digest, artifact.bytes, false, to),
            ArtifactKind::Directory => {
                let listing = self.listing(&artifact.digest)?;
                let fetched = self.fetch_directory(&artifact.digest, &listing, to);
                if fetched.is_err() {
                    // Whatever becomes of this, the failure is what counts.
                    let _ = fs::remove_dir_all(to);
                }
                fetched
            }
        }
    }

    fn listing(&self, digest: &Digest) -> Result<DirectoryListing, Failure> {
        let path = self.object(digest);
        let mut text = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_LISTING_BYTES).read_to_end(&mut text))
            .map_err(|error| unreadable(digest, &error))?;
        let actual = Digest::of_bytes(&text);
        if actual != *digest {
            return Err(corrupt(digest, &actual));
        }
        serde_json::from_slice(&text).map_err(|error| {
            failure::poison(format!("object {} is no directory listing: {error}", keys::artifact(digest)))
        })
    }

    fn fetch_directory(&self, digest: &Digest, listing: &DirectoryListing, to: &Path) -> Result<(), Failure> {
        let made = |error: io::Error| failure::infrastructure("making an input directory", &error);
        fs::create_dir(to).map_err(made)?;
        let mut last_folder = to.to_owned();
        for (below, file) in &listing.files {
            let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
            if !below.split('/').all(plain) {
                let key = keys::artifact(digest);
                return Err(failure::poison(format!("the directory listing {key} names {below:?}, which leaves it")));
            }
            let path = to.join(below);
            if let Some(folder) = path.parent()
                && folder != last_folder
            {
                fs::create_dir_all(folder).map_err(made)?;
                folder.clone_into(&mut last_folder);
            }
            self.fetch_file(&file.digest, file.bytes, file.executable, &path)?;
        }
        Ok(())
    }

    fn fetch_file(&self, digest: &Digest, bytes: u64, executable: bool, to: &Path) -> Result<(), Failure> {
        let object = self.object(digest);
        let placed = |error: io::Error| failure::infrastructure("placing an input", &error);
        if bytes >= LINKED_FROM && !executable {
            let (actual, _) = hash_file(&object).map_err(|error| unreadable(digest, &error))?;
            if actual != *digest {
                return Err(corrupt(digest, &actual));
            }
            match fs::hard_link(&object, to) {
                Ok(()) => return Ok(()),
                // As many links as the file system can: a copy serves as well.
                Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {}
                Err(error) => return Err(placed(error)),
            }
        }
        let content = fs::read(&object).map_err(|error| unreadable(digest, &error))?;
        let actual = Digest::of_bytes(&content);
        if actual != *digest {
            return Err(corrupt(digest, &actual));
        }
        let mode = if executable { 0o555 } else { 0o444 };
        let mut file = File::options().write(true).create_new(true).mode(mode).open(to).map_err(placed)?;
        file.write_all(&content).map_err(placed)
    }

    /// Moves what an attempt left into the store.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn keep(&self, output: &FoundOutput) -> Result<(), Failure> {
        let kept = |error: io::Error| failure::infrastructure("keeping an output", &error);
        for (path, digest, bytes) in &output.files {
            self.keep_file(path, digest, *bytes).map_err(kept)?;
        }
        if let Some(listing) = &output.listing {
            self.keep_listing(listing, &output.artifact.digest).map_err(kept)?;
        }
        Ok(())
    }

    fn keep_file(&self, path: &Path, digest: &Digest, bytes: u64) -> io::Result<()> {
        let object = self.object(digest);
        // An object of another size is a broken one, which ours replaces.
        if fs::metadata(&object).is_ok_and(|there| there.is_file() && there.len() == bytes) {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o444))?;
        place(path, &object)
    }

    fn keep_listing(&self, listing: &DirectoryListing, digest: &Digest) -> io::Result<()> {
        let object = self.object(digest);
        let text = serde_json::to_vec(listing)?;
        if fs::metadata(&object).is_ok_and(|there| there.len() == text.len() as u64) {
            return Ok(());
        }
        let folder = object.parent().unwrap_or(&self.objects);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".listing-").tempfile_in(folder)?;
        file.write_all(&text)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
        file.persist(&object).map(drop).map_err(|error| error.error)
    }
}

fn place(path: &Path, object: &Path) -> io::Result<()> {
    match fs::rename(path, object) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = object.parent() {
                fs::create_dir_all(folder)?;
            }
            match fs::rename(path, object) {
                // Two outputs that share a file: the other one has brought it in.
                Err(error) if error.kind() == io::ErrorKind::NotFound && object.exists() => Ok(()),
                other => other,
            }
        }
        other => other,
    }
}

fn unreadable(digest: &Digest, error: &io::Error) -> Failure {
    let key = keys::artifact(digest);
    if error.kind() == io::ErrorKind::NotFound {
        let lost = failure::poison(format!("object {key} is not in the store"));
        return failure::with_hint(lost, "run the step that makes it again, without the cache");
    }
    failure::infrastructure(&format!("reading object {key}"), error)
}

fn corrupt(expected: &Digest, actual: &Digest) -> Failure {
    let key = keys::artifact(expected);
    let broken = failure::poison(format!("object {key} is corrupt: expected {expected}, found {actual}"));
    failure::with_hint(broken, "delete that object, and run the step that makes it again, without the cache")
}
