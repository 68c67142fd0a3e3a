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

use crate::artifact;
use crate::artifact::MAX_LISTING_BYTES;
use crate::artifact::Purpose;
use crate::attempt::failure;
use crate::attempt::outputs::FoundOutput;
use crate::attempt::outputs::hash_file;
use crate::local::store::TEMPORARY;

/// From this size on a file is linked, not copied, in bytes: copying less costs no more than linking.
const LINKED_FROM: u64 = 1 << 20;

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
        self.bring(artifact, to, Purpose::Input)
    }

    /// Copies an artifact to `to`, where it belongs to whoever asked: writable, and never a link into the store.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub fn copy_out(&self, artifact: &Artifact, to: &Path) -> Result<(), Failure> {
        self.bring(artifact, to, Purpose::Copy)
    }

    /// The content of a file artifact, checked against its digest.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Failure> {
        self.content(&artifact.digest)
    }

    /// The path of a file artifact, for people to look at.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.object(digest)
    }

    fn content(&self, digest: &Digest) -> Result<Vec<u8>, Failure> {
        let content = fs::read(self.object(digest)).map_err(|error| unreadable(digest, &error))?;
        let actual = Digest::of_bytes(&content);
        if actual == *digest { Ok(content) } else { Err(artifact::corrupt(digest, &actual)) }
    }

    fn bring(&self, artifact: &Artifact, to: &Path, purpose: Purpose) -> Result<(), Failure> {
        match artifact.kind {
            ArtifactKind::File => self.fetch_file(&artifact.digest, artifact.bytes, false, to, purpose),
            ArtifactKind::Directory => {
                let listing = self.listing(&artifact.digest)?;
                let fetched = self.fetch_directory(&artifact.digest, &listing, to, purpose);
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
            return Err(artifact::corrupt(digest, &actual));
        }
        serde_json::from_slice(&text).map_err(|error| artifact::no_listing(digest, &error))
    }

    fn fetch_directory(
        &self,
        digest: &Digest,
        listing: &DirectoryListing,
        to: &Path,
        purpose: Purpose,
    ) -> Result<(), Failure> {
        let made = |error: io::Error| failure::infrastructure("making an input directory", &error);
        fs::create_dir(to).map_err(made)?;
        let mut last_folder = to.to_owned();
        for (below, file) in &listing.files {
            artifact::check_listed(digest, below)?;
            let path = to.join(below);
            if let Some(folder) = path.parent()
                && folder != last_folder
            {
                fs::create_dir_all(folder).map_err(made)?;
                folder.clone_into(&mut last_folder);
            }
            self.fetch_file(&file.digest, file.bytes, file.executable, &path, purpose)?;
        }
        Ok(())
    }

    fn fetch_file(
        &self,
        digest: &Digest,
        bytes: u64,
        executable: bool,
        to: &Path,
        purpose: Purpose,
    ) -> Result<(), Failure> {
        let object = self.object(digest);
        let placed = |error: io::Error| failure::infrastructure("placing a file", &error);
        if bytes >= LINKED_FROM && purpose == Purpose::Input && !executable {
            let (actual, _) = hash_file(&object).map_err(|error| unreadable(digest, &error))?;
            if actual != *digest {
                return Err(artifact::corrupt(digest, &actual));
            }
            match fs::hard_link(&object, to) {
                Ok(()) => return Ok(()),
                // As many links as the file system can: a copy serves as well.
                Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {}
                Err(error) => return Err(placed(error)),
            }
        }
        let create = || File::options().write(true).create_new(true).mode(purpose.mode(executable)).open(to);
        if bytes >= LINKED_FROM {
            // Too large to hold: what was copied is checked instead.
            let mut from = File::open(&object).map_err(|error| unreadable(digest, &error))?;
            io::copy(&mut from, &mut create().map_err(placed)?).map_err(placed)?;
            let (actual, _) = hash_file(to).map_err(placed)?;
            if actual != *digest {
                fs::remove_file(to).map_err(placed)?;
                return Err(artifact::corrupt(digest, &actual));
            }
            return Ok(());
        }
        let content = self.content(digest)?;
        create().and_then(|mut file| file.write_all(&content)).map_err(placed)
    }

    /// Copies a file of this machine into the store, so that a run can take it as an input. The file stays as it is.
    ///
    /// # Errors
    /// When it is no regular file, or the file system refuses.
    pub fn bring_in(&self, file: &Path) -> io::Result<Artifact> {
        let mut from = File::open(file)?;
        if !from.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let waiting = self.objects.join(TEMPORARY);
        fs::create_dir_all(&waiting)?;
        // What was copied is hashed, not what was read: the file may change meanwhile.
        let mut copy = tempfile::Builder::new().prefix("object-").tempfile_in(&waiting)?;
        io::copy(&mut from, copy.as_file_mut())?;
        let (digest, bytes) = hash_file(copy.path())?;
        copy.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
        let object = self.object(&digest);
        fs::create_dir_all(object.parent().unwrap_or(&self.objects))?;
        copy.persist(&object).map_err(|error| error.error)?;
        Ok(Artifact { digest, kind: ArtifactKind::File, bytes })
    }

    /// Moves what an attempt left into the store.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn keep(&self, output: &FoundOutput) -> Result<(), Failure> {
        let kept = |error: io::Error| failure::infrastructure("keeping an output", &error);
        for (path, digest, _) in &output.files {
            self.keep_file(path, digest).map_err(kept)?;
        }
        if let Some(listing) = &output.listing {
            self.keep_listing(listing, &output.artifact.digest).map_err(kept)?;
        }
        Ok(())
    }

    /// What is in the store already is replaced: it may have been damaged since, and ours was hashed just now.
    fn keep_file(&self, path: &Path, digest: &Digest) -> io::Result<()> {
        let object = self.object(digest);
        match fs::set_permissions(path, fs::Permissions::from_mode(0o444)) {
            Ok(()) => place(path, &object),
            // Two outputs that share a file: the other one has brought it in.
            Err(error) if error.kind() == io::ErrorKind::NotFound && object.exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn keep_listing(&self, listing: &DirectoryListing, digest: &Digest) -> io::Result<()> {
        let object = self.object(digest);
        let folder = object.parent().unwrap_or(&self.objects);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".listing-").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(listing)?)?;
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
            fs::rename(path, object)
        }
        other => other,
    }
}

fn unreadable(digest: &Digest, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        return artifact::missing(digest);
    }
    failure::infrastructure(&format!("reading object {}", keys::artifact(digest)), error)
}
