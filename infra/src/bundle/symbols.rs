//! Leaving out what compiled libraries carry for debuggers alone.
//!
//! Wheels often hold symbol tables and debug information: a tenth of all native code in a typical lock file, which
//! decides about the limit of a function. The dynamic loader reads the file header, the program headers and what these
//! refer to; sections behind the last of that are for linkers and debuggers. Such a tail is cut off when, by the section
//! table, it holds nothing else; then the header says that there is no section table. Nothing that is loaded moves, so
//! this is safe where `strip`, which moves sections, breaks libraries that were rewritten by `patchelf`.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;

/// The length of the header of a 64-bit ELF file.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;

/// More than any library has, so that a broken file costs no memory.
const MAX_TABLE: u64 = 4 << 20;

/// What is cut costs another hash, so less than this is left alone.
const LEAST: u64 = 4096;

/// How a library is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trim {
    /// How much of the file stays, in bytes.
    pub(super) length: u64,
}

impl Trim {
    /// How a file can be cut; none when it is no library, or nothing is to be gained.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(loaded(&mut file, length)?.filter(|kept| kept + LEAST <= length).map(|length| Self { length }))
    }

    /// The content that stays.
    pub(super) fn open(self, path: &Path) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        // No section table: neither place nor count nor names.
        header[40..48].fill(0);
        header[60..64].fill(0);
        let rest = file.take(self.length - HEADER as u64);
        Ok(Box::new(io::Cursor::new(header).chain(rest)))
    }
}

/// The end of what is loaded, when all behind it is for debuggers.
fn loaded(file: &mut File, length: u64) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if length < HEADER as u64 {
        return Ok(None);
    }
    file.read_exact(&mut header)?;
    // 64 bits, little-endian, current version; a shared object.
    if !header.starts_with(b"\x7fELF\x02\x01\x01") || half(&header, 16) != 3 {
        return Ok(None);
    }
    let Some(programs) = table(file, length, long(&header, 32), half(&header, 54), half(&header, 56), PROGRAM_HEADER)?
    else {
        return Ok(None);
    };
    let mut end = long(&header, 32) + programs.len() as u64;
    for program in programs.chunks_exact(PROGRAM_HEADER) {
        end = end.max(long(program, 8).saturating_add(long(program, 32)));
    }
    let sections_at = long(&header, 40);
    let Some(sections) = table(file, length, sections_at, half(&header, 58), half(&header, 60), SECTION_HEADER)? else {
        return Ok(None);
    };
    let sections_end = sections_at + sections.len() as u64;
    let sections: Vec<&[u8]> = sections.chunks_exact(SECTION_HEADER).collect();
    let Some(names) = sections.get(usize::from(half(&header, 62))) else { return Ok(None) };
    let Some(names) = bytes(file, length, long(names, 24), long(names, 32))? else { return Ok(None) };
    // Whatever is behind the last section was put there by somebody who will look for it.
    let mut last = sections_end.max(end);
    for section in &sections {
        const NOTHING: u32 = 0;
        const NO_BITS: u32 = 8;
        const ALLOCATED: u64 = 2;
        let (kind, start, size) = (word(section, 4), long(section, 24), long(section, 32));
        if kind == NOTHING || kind == NO_BITS || size == 0 {
            continue;
        }
        let section_end = start.saturating_add(size);
        last = last.max(section_end);
        if section_end > end
            && (start < end || long(section, 8) & ALLOCATED != 0 || !is_for_debuggers(name(&names, section)))
        {
            return Ok(None);
        }
    }
    Ok((last == length && end <= length && sections_at >= end).then_some(end))
}

fn is_for_debuggers(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] =
        [b".symtab", b".strtab", b".shstrtab", b".comment", b".gnu_debuglink", b".gnu.build.attributes"];
    NAMES.contains(&name) || name.starts_with(b".debug_") || name.starts_with(b".zdebug_")
}

fn name<'a>(names: &'a [u8], section: &[u8]) -> &'a [u8] {
    let start = usize::try_from(word(section, 0)).unwrap_or(usize::MAX);
    names.get(start..).and_then(|rest| rest.split(|byte| *byte == 0).next()).unwrap_or_default()
}

/// A table of the file, when its entries have the expected size.
fn table(file: &mut File, length: u64, at: u64, size: u16, count: u16, expected: usize) -> io::Result<Option<Vec<u8>>> {
    if usize::from(size) != expected || count == 0 {
        return Ok(None);
    }
    bytes(file, length, at, u64::from(size) * u64::from(count))
}

fn bytes(file: &mut File, length: u64, at: u64, count: u64) -> io::Result<Option<Vec<u8>>> {
    if count > MAX_TABLE || at.checked_add(count).is_none_or(|end| end > length) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A library: what is loaded, a section with the given name and flags, and the tables that say so.
    fn library(section: &str, flags: u64, behind: &[u8]) -> Vec<u8> {
        let names = format!("\0{section}\0.shstrtab\0");
        let (loaded, debug) = (512_u64, 8192_u64);
        let sections_at = loaded + debug + names.len() as u64;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(HEADER, 0);
        bytes[16] = 3;
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&sections_at.to_le_bytes());
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[58] = 64;
        bytes[60] = 3;
        bytes[62] = 2;
        let mut program = vec![0; PROGRAM_HEADER];
        program[0] = 1;
        program[32..40].copy_from_slice(&loaded.to_le_bytes());
        bytes.extend(program);
        bytes.resize(loaded as usize, b'L');
        bytes.resize((loaded + debug) as usize, b'D');
        bytes.extend(names.as_bytes());
        let mut add = |name: u32, kind: u32, flags: u64, start: u64, size: u64| {
            let mut section = vec![0; SECTION_HEADER];
            section[0..4].copy_from_slice(&name.to_le_bytes());
            section[4..8].copy_from_slice(&kind.to_le_bytes());
            section[8..16].copy_from_slice(&flags.to_le_bytes());
            section[24..32].copy_from_slice(&start.to_le_bytes());
            section[32..40].copy_from_slice(&size.to_le_bytes());
            bytes.extend(section);
        };
        add(0, 0, 0, 0, 0);
        add(1, 1, flags, loaded, debug);
        add(section.len() as u32 + 2, 3, 0, loaded + debug, names.len() as u64);
        bytes.extend(behind);
        bytes
    }

    fn trimmed(bytes: &[u8]) -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lib.so");
        fs::write(&path, bytes).unwrap();
        let trim = Trim::of(&path).unwrap()?;
        let mut kept = Vec::new();
        trim.open(&path).unwrap().read_to_end(&mut kept).unwrap();
        assert_eq!(kept.len() as u64, trim.length);
        Some(kept)
    }

    #[test]
    fn debug_information_behind_what_is_loaded_is_cut_off() {
        let bytes = library(".debug_info", 0, b"");
        let kept = trimmed(&bytes).unwrap();
        assert_eq!(kept.len(), 512);
        assert_eq!(kept[HEADER..], bytes[HEADER..512]);
        assert_eq!(long(&kept, 40), 0);
        assert_eq!(half(&kept, 60), 0);
        assert_eq!(trimmed(&kept), None);
    }

    #[test]
    fn what_may_be_needed_stays() {
        assert_eq!(trimmed(&library(".nv_fatbin", 0, b"")), None);
        assert_eq!(trimmed(&library(".debug_info", 2, b"")), None);
        assert_eq!(trimmed(&library(".debug_info", 0, b"an archive of its own")), None);
    }

    #[test]
    fn broken_files_are_left_alone() {
        let bytes = library(".debug_info", 0, b"");
        for length in (0..bytes.len()).step_by(61) {
            assert_eq!(trimmed(&bytes[..length]), None);
        }
        for place in 0..HEADER {
            let mut broken = bytes.clone();
            broken[place] = 0xff;
            if let Some(kept) = trimmed(&broken) {
                assert!(kept.len() >= 512, "byte {place}");
            }
        }
    }
}
