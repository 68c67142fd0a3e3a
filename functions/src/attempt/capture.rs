//! What a step prints: kept in one log file, without secrets, within a size, and its end in memory.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use super::redact::Redactor;

/// How much of a log is kept, in bytes. More is rarely read, and a step in a loop must not fill the disk.
pub const DEFAULT_LOG_BYTES: usize = 20 << 20;

/// How much of the end of a longer log is kept, in bytes.
const END_BYTES: usize = 1 << 20;

/// How much of the end goes into a failure's detail: lines, and bytes.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: usize = 8 << 10;

/// Writes a log as it comes. The file only ever grows, so that it can be followed.
#[derive(Debug)]
pub struct Capture {
    redactor: Redactor,
    kept: Kept,
}

struct Kept {
    log: PathBuf,
    /// None as long as nothing was printed: most steps of a large map print nothing.
    file: Option<File>,
    /// Gets the same as the file.
    echo: Option<Box<dyn Write + Send>>,
    /// How many bytes go into the file directly; what follows is kept only as far as it is the end.
    head: usize,
    written: usize,
    end: VecDeque<u8>,
    left_out: u64,
    tail: VecDeque<u8>,
    failed: Option<io::Error>,
}

impl Capture {
    /// A log that goes to a file, which is made with the folder it is in once there is something to write.
    pub fn new(log: PathBuf, redactor: Redactor, limit: usize) -> Self {
        let head = limit.saturating_sub(END_BYTES);
        let (end, tail) = (VecDeque::new(), VecDeque::new());
        let kept = Kept { log, file: None, echo: None, head, written: 0, end, left_out: 0, tail, failed: None };
        Self { redactor, kept }
    }

    /// Writes what goes into the log to `echo` as well. That it can not be written there changes nothing.
    #[must_use]
    pub fn echoing(mut self, echo: Box<dyn Write + Send>) -> Self {
        self.kept.echo = Some(echo);
        self
    }

    /// Takes what was printed. A file system that refuses does not stop the step: see [`Self::finish`].
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = &mut self.kept;
        self.redactor.push(bytes, |bytes| kept.take(bytes));
    }

    /// Adds a line of liminal's own.
    pub fn note(&mut self, line: &str) {
        let kept = &mut self.kept;
        self.redactor.finish(|bytes| kept.take(bytes));
        let fresh_line = kept.tail.back().is_none_or(|last| *last == b'\n');
        let lead = if fresh_line { "" } else { "\n" };
        kept.take(format!("{lead}liminal: {line}\n").as_bytes());
    }

    /// Writes what is still held.
    ///
    /// # Errors
    /// The first error of the file system: the log is not whole then.
    pub fn finish(&mut self) -> io::Result<()> {
        let kept = &mut self.kept;
        self.redactor.finish(|bytes| kept.take(bytes));
        kept.close()
    }

    /// A text with the secrets replaced.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let bytes: Vec<u8> = self.kept.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let mut tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        if tail.len() > TAIL_BYTES {
            let from = (tail.len() - TAIL_BYTES..tail.len()).find(|at| tail.is_char_boundary(*at));
            tail.drain(..from.unwrap_or(0));
        }
        tail
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("file", &self.file).field("written", &self.written).finish_non_exhaustive()
    }
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        keep_end(&mut self.tail, bytes, TAIL_BYTES);
        let direct = bytes.len().min(self.head - self.written);
        if direct > 0 {
            self.write(&bytes[..direct]);
            self.written += direct;
        }
        self.left_out += keep_end(&mut self.end, &bytes[direct..], END_BYTES);
    }

    fn close(&mut self) -> io::Result<()> {
        if self.left_out > 0 {
            self.write(format!("\n… {} bytes left out …\n", self.left_out).as_bytes());
        }
        let end = std::mem::take(&mut self.end);
        let (first, second) = end.as_slices();
        self.write(first);
        self.write(second);
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(echo) = &mut self.echo {
            let _ = echo.write_all(bytes);
        }
        if self.failed.is_none()
            && !bytes.is_empty()
            && let Err(error) = self.append(bytes)
        {
            self.failed = Some(error);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(&self.log)?),
        };
        file.write_all(bytes)
    }
}

fn create(log: &Path) -> io::Result<File> {
    match File::create(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = log.parent() {
                std::fs::create_dir_all(folder)?;
            }
            File::create(log)
        }
        other => other,
    }
}

/// Appends, then drops from the front what is over `limit`; returns how much was dropped.
fn keep_end(end: &mut VecDeque<u8>, bytes: &[u8], limit: usize) -> u64 {
    let skipped = bytes.len().saturating_sub(limit);
    let bytes = &bytes[skipped..];
    let dropped = (end.len() + bytes.len()).saturating_sub(limit);
    end.drain(..dropped);
    end.extend(bytes);
    u64::try_from(skipped + dropped).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_loses_its_middle() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("deep/1.log");
        let mut capture = Capture::new(log.clone(), Redactor::default(), END_BYTES + 10);
        capture.push(b"0123456789");
        for _ in 0..3 {
            capture.push(&vec![b'x'; END_BYTES / 2]);
        }
        capture.push(b"the end");
        capture.finish().expect("written");
        let text = std::fs::read_to_string(&log).expect("a log");
        assert!(text.starts_with("0123456789\n… 524295 bytes left out …\nxxx"), "{}", &text[..60]);
        assert!(text.ends_with("xxthe end"));
    }

    #[test]
    fn the_tail_is_the_last_lines_whatever_the_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut capture = Capture::new(folder.path().join("log"), Redactor::new(["pw"]), 1 << 21);
        for line in 0..100 {
            capture.push(format!("line {line}\n").as_bytes());
        }
        capture.push(b"bad \xff byte, pw");
        capture.note("ended");
        capture.finish().expect("written");
        let tail = capture.tail();
        assert!(tail.starts_with("line 62\n"), "{tail}");
        assert!(tail.ends_with("bad \u{fffd} byte, ***\nliminal: ended"), "{tail}");
    }
}
