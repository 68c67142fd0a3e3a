//! Reading the headers of compiled libraries: 64-bit, little-endian ELF, which is all that functions run.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::ops::Range;

/// The length of the file header.
pub(super) const HEADER: usize = 64;
pub(super) const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;

/// More than any library has, so that a broken file costs no memory.
const MAX_TABLE: u64 = 4 << 20;

/// The headers of a shared library.
pub(super) struct Library {
    /// The file header.
    pub(super) header: [u8; HEADER],
    /// Where the program headers are.
    pub(super) programs_at: u64,
    /// The program headers, as they are in the file.
    pub(super) programs: Vec<u8>,
    /// The sections.
    pub(super) sections: Vec<Section>,
    /// Where the section table is.
    pub(super) section_table: Range<u64>,
}

/// A section that has content.
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) place: Range<u64>,
    /// Whether it is in memory when the library is loaded.
    pub(super) is_loaded: bool,
}

/// What a program header tells the loader.
pub(super) struct Program {
    /// Whether its content is mapped into memory.
    pub(super) is_mapped: bool,
    /// Where its content is in the file.
    pub(super) place: Range<u64>,
    /// What place in file and address in memory must agree in.
    pub(super) align: u64,
}

impl Library {
    /// Reads the headers; none when it is no library, or not one that is understood to the last byte.
    pub(super) fn read(file: &mut File, length: u64) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        if length < HEADER as u64 {
            return Ok(None);
        }
        file.read_exact(&mut header)?;
        const SHARED_OBJECT: u16 = 3;
        // 64 bits, little-endian, current version.
        if !header.starts_with(b"\x7fELF\x02\x01\x01") || half(&header, 16) != SHARED_OBJECT {
            return Ok(None);
        }
        let mut table = |at, size, count, expected| {
            let fits = usize::from(half(&header, size)) == expected && half(&header, count) > 0;
            let count = u64::from(half(&header, count)) * expected as u64;
            if fits { bytes(file, length, at, count) } else { Ok(None) }
        };
        let (programs_at, sections_at) = (long(&header, 32), long(&header, 40));
        let Some(programs) = table(programs_at, 54, 56, PROGRAM_HEADER)? else { return Ok(None) };
        let Some(table) = table(sections_at, 58, 60, SECTION_HEADER)? else { return Ok(None) };
        let rows: Vec<&[u8]> = table.chunks_exact(SECTION_HEADER).collect();
        let Some(names) = rows.get(usize::from(half(&header, 62))) else { return Ok(None) };
        let Some(names) = bytes(file, length, long(names, 24), long(names, 32))? else { return Ok(None) };
        let sections = rows.iter().filter_map(|row| Section::read(row, &names)).collect();
        let section_table = sections_at..sections_at + table.len() as u64;
        Ok(Some(Self { header, programs_at, programs, sections, section_table }))
    }

    /// What the program headers say.
    pub(super) fn programs(&self) -> impl Iterator<Item = Program> {
        self.programs.chunks_exact(PROGRAM_HEADER).map(|program| {
            const MAPPED: u32 = 1;
            let is_mapped = word(program, 0) == MAPPED;
            // What is mapped has a page in the file, also when all of it is zero.
            let size = long(program, 32).max(u64::from(is_mapped));
            let start = long(program, 8);
            Program { is_mapped, place: start..start.saturating_add(size), align: long(program, 48) }
        })
    }
}

impl Section {
    fn read(row: &[u8], names: &[u8]) -> Option<Self> {
        const NOTHING: u32 = 0;
        const NO_BITS: u32 = 8;
        const LOADED: u64 = 2;
        let (kind, start, size) = (word(row, 4), long(row, 24), long(row, 32));
        if kind == NOTHING || kind == NO_BITS || size == 0 {
            return None;
        }
        let name = names.get(usize::try_from(word(row, 0)).ok()?..)?.split(|byte| *byte == 0).next()?;
        let is_loaded = long(row, 8) & LOADED != 0;
        Some(Self { name: name.to_vec(), place: start..start.saturating_add(size), is_loaded })
    }
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

pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
