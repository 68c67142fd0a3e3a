//! Writing zips whose bytes depend on their entries alone: no clock, no umask, no machine.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use liminal_schemas::digest::Digest;
use sha2::Digest as _;
use sha2::Sha256;
use zip::CompressionMethod;
use zip::DateTime;
use zip::PreparedZipFile;
use zip::System;
use zip::ZIP64_BYTES_THR;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::write::ZipFileBuilder;

use super::symbols::Trim;

/// The level of deflate. Fixed, since another level is other bytes.
const DEFLATE_LEVEL: i64 = 6;

/// How much is compressed at once and kept in memory until it is written, in bytes before compression.
const BATCH_BYTES: u64 = 64 << 20;

/// How much is compressed, or hashed, at once, in bytes. Fixed, since other blocks compress to other bytes.
const BLOCK_BYTES: usize = 1 << 17;

/// The most threads that compress.
const MAX_THREADS: usize = 8;

/// A file on its way into a zip.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path in the zip.
    pub(super) path: String,
    /// Whether it may be executed: mode 0755 rather than 0644.
    pub(super) executable: bool,
    /// Its length, in bytes.
    pub(super) bytes: u64,
    /// Where its content is.
    pub(super) source: Source,
}

/// Where the content of an entry is.
#[derive(Debug)]
pub(super) enum Source {
    /// In a file.
    File(PathBuf),
    /// In a library, whose symbols are left out.
    Library(PathBuf, Trim),
    /// Here.
    Bytes(Vec<u8>),
}

impl Entry {
    /// Its content.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.source {
            Source::File(path) => Box::new(File::open(path)?),
            Source::Library(path, trim) => trim.open(path)?,
            Source::Bytes(bytes) => Box::new(bytes.as_slice()),
        })
    }
}

/// What every entry of every zip has: regular file, fixed time, no extra fields.
pub(super) fn options(executable: bool, bytes: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .system(System::Unix)
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(DEFLATE_LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(if executable { 0o755 } else { 0o644 })
        .large_file(bytes >= ZIP64_BYTES_THR)
}

/// Writes entries, in the order given, compressing several at a time.
pub(super) fn write<W: Write + Seek>(writer: &mut ZipWriter<W>, entries: &[Entry]) -> Result<(), ZipError> {
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let mut bytes = first.bytes;
        let mut count = 1;
        while let Some(next) = rest.get(count)
            && bytes + next.bytes <= BATCH_BYTES
        {
            bytes += next.bytes;
            count += 1;
        }
        let (batch, later) = rest.split_at(count);
        if first.bytes > BATCH_BYTES {
            writer.start_file(first.path.as_str(), options(first.executable, first.bytes))?;
            feed(first, writer)?;
        } else {
            compress(batch)?.into_iter().try_for_each(|file| writer.add_prepared_file(file))?;
        }
        rest = later;
    }
    Ok(())
}

/// Compresses entries on all processors; gives them in their order.
fn compress(entries: &[Entry]) -> Result<Vec<PreparedZipFile>, ZipError> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(entries.len()));
    let work = || -> Result<(), ZipError> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(entry) = entries.get(index) else { return Ok(()) };
            let mut builder = ZipFileBuilder::new(&entry.path, options(entry.executable, entry.bytes))?;
            feed(entry, &mut builder)?;
            let file = builder.finish()?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, file));
        }
    };
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS)).min(entries.len());
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        workers.into_iter().fold(own, |result, worker| {
            let other =
                worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread that compresses failed").into()));
            result.and(other)
        })
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, file)| file).collect())
}

/// Writes the content of an entry in blocks of one size. What deflate makes of a content depends on where it is cut, and
/// that must not depend on how a system reads files.
fn feed(entry: &Entry, writer: &mut impl Write) -> io::Result<()> {
    let mut content = entry.open()?;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        block.clear();
        content.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        writer.write_all(&block)?;
    }
}

/// Makes a zip of some entries in a new file.
pub(super) fn create(path: &Path, entries: &[Entry]) -> Result<(), ZipError> {
    let mut writer = ZipWriter::new(io::BufWriter::new(File::create(path)?));
    write(&mut writer, entries)?;
    writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

/// The sha256 of a content, and its length in bytes.
pub(super) fn sha256(mut content: impl Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(hasher.finalize().into()), bytes)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_content_is_read_changes_no_byte() {
        let text: Vec<u8> =
            (0..900_000_u32).flat_map(|number| (number.wrapping_mul(number) % 1009).to_string().into_bytes()).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, &text).unwrap();
        let zip = |source| {
            let entry = Entry { path: "text".to_owned(), executable: false, bytes: text.len() as u64, source };
            let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
            write(&mut writer, &[entry]).unwrap();
            writer.finish().unwrap().into_inner()
        };
        assert!(zip(Source::File(path)) == zip(Source::Bytes(text.clone())));
    }
}
