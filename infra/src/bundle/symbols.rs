//! Leaving out what compiled libraries carry for debuggers alone.
//!
//! Wheels often hold symbol tables and debug information: a sixth of all native code in a typical lock file, which
//! decides about the limit of a function. The dynamic loader reads the file header, the program headers and what these
//! refer to. All else is cut out when, by the section table, it is for linkers and debuggers; then the file header says
//! that there is no section table. Addresses in memory stay as they are. What follows a cut moves in the file by whole
//! pages, and the program headers, which alone know places in the file, follow. `strip` would move sections as well,
//! which breaks libraries that were rewritten by `patchelf`, and is not on every machine.

use std::fs::File;
use std::io;
use std::io::Cursor;
use std::io::Read;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::ops::Range;
use std::path::Path;

use super::elf::HEADER;
use super::elf::Library;
use super::elf::PROGRAM_HEADER;
use super::elf::long;

/// What is cut costs another hash, so less than this is left alone, in bytes.
const LEAST: u64 = 4096;

/// What may be behind all sections, in bytes: `patchelf` leaves one, and nothing that somebody looks for is as short.
const PADDING: u64 = 8;

/// The smallest page that Linux maps, in bytes.
const PAGE: u64 = 4096;

/// How a library is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trim {
    /// What stays of the file, in bytes.
    pub(super) length: u64,
    pieces: Vec<Piece>,
}

/// A part of what stays.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it is in the file.
    Kept(Range<u64>),
    /// Headers, changed.
    Written(Vec<u8>),
}

impl Trim {
    /// How a file can be cut; none when it is no library, or nothing is to be gained.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let trim = Library::read(&mut file, length)?.and_then(|library| trim(&library, length));
        Ok(trim.filter(|trim| trim.length + LEAST <= length))
    }

    /// The content that stays.
    pub(super) fn open(&self, path: &Path) -> io::Result<Box<dyn Read + '_>> {
        let mut content: Box<dyn Read> = Box::new(io::empty());
        for piece in &self.pieces {
            content = match piece {
                Piece::Kept(place) => {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(place.start))?;
                    Box::new(content.chain(file.take(place.end - place.start)))
                }
                Piece::Written(bytes) => Box::new(content.chain(Cursor::new(bytes))),
            };
        }
        Ok(content)
    }
}

fn trim(library: &Library, length: u64) -> Option<Trim> {
    let needed = needed(library, length)?;
    let is_needed =
        |place: &Range<u64>| needed.iter().any(|other| other.start <= place.start && place.end <= other.end);
    let unneeded = library.sections.iter().filter(|section| !is_needed(&section.place));
    let mut last = needed.last()?.end.max(library.section_table.end);
    for section in unneeded {
        let overlaps = needed.iter().any(|other| other.start < section.place.end && section.place.start < other.end);
        if section.is_loaded || overlaps || !is_for_debuggers(&section.name) {
            return None;
        }
        last = last.max(section.place.end);
    }
    // Whatever is behind all sections was put there by somebody who will look for it.
    if last > length || length - last > PADDING {
        return None;
    }
    let cuts = cuts(&needed, library.programs().filter(|it| it.is_mapped).map(|it| it.align).fold(PAGE, u64::max));
    Some(pieces(library, needed.last()?.end, &cuts))
}

/// The parts of the file that the loader reads, in order, none touching the next; none when they are not in the file.
fn needed(library: &Library, length: u64) -> Option<Vec<Range<u64>>> {
    let table = library.programs_at..library.programs_at + library.programs.len() as u64;
    let mut parts = vec![0..HEADER as u64, table.clone()];
    if table.start < HEADER as u64 {
        return None;
    }
    for program in library.programs() {
        if program.is_mapped && !(program.align.is_power_of_two() && program.align <= length.next_power_of_two()) {
            return None;
        }
        parts.push(program.place);
    }
    parts.retain(|part| !part.is_empty());
    parts.sort_by_key(|part| part.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match merged.last_mut().filter(|last| part.start <= last.end) {
            Some(last) => last.end = last.end.max(part.end),
            None => merged.push(part),
        }
    }
    merged.last().is_some_and(|last| last.end <= length).then_some(merged)
}

/// What can be cut out between needed parts, so that all behind it moves by a multiple of the alignment.
fn cuts(needed: &[Range<u64>], align: u64) -> Vec<Range<u64>> {
    let gaps = needed.windows(2).map(|pair| pair[0].end.next_multiple_of(align)..pair[1].start / align * align);
    gaps.filter(|gap| !gap.is_empty()).collect()
}

/// Where something is in the file once cuts are made.
fn moved(place: u64, cuts: &[Range<u64>]) -> u64 {
    let before = cuts.iter().filter(|cut| cut.start < place);
    place - before.map(|cut| cut.end.min(place) - cut.start).sum::<u64>()
}

fn pieces(library: &Library, end: u64, cuts: &[Range<u64>]) -> Trim {
    let mut header = library.header;
    header[32..40].copy_from_slice(&moved(library.programs_at, cuts).to_le_bytes());
    // No section table: neither place nor count nor names.
    header[40..48].fill(0);
    header[60..64].fill(0);
    let mut programs = library.programs.clone();
    for program in programs.chunks_exact_mut(PROGRAM_HEADER) {
        let place = moved(long(program, 8), cuts);
        program[8..16].copy_from_slice(&place.to_le_bytes());
    }
    let table = library.programs_at..library.programs_at + programs.len() as u64;
    let mut left_out: Vec<(Range<u64>, Option<Vec<u8>>)> = cuts.iter().map(|cut| (cut.clone(), None)).collect();
    left_out.push((0..HEADER as u64, Some(header.to_vec())));
    left_out.push((table, Some(programs)));
    left_out.sort_by_key(|(place, _)| place.start);
    let mut pieces = Vec::new();
    let mut at = 0;
    for (place, written) in left_out {
        if at < place.start {
            pieces.push(Piece::Kept(at..place.start));
        }
        pieces.extend(written.map(Piece::Written));
        at = place.end;
    }
    if at < end {
        pieces.push(Piece::Kept(at..end));
    }
    Trim { length: moved(end, cuts), pieces }
}

fn is_for_debuggers(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] =
        [b".symtab", b".strtab", b".shstrtab", b".comment", b".gnu_debuglink", b".gnu.build.attributes"];
    NAMES.contains(&name) || name.starts_with(b".debug_") || name.starts_with(b".zdebug_")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::elf::half;
    use super::*;

    const DEBUG: u64 = 5 * 4096;

    /// A library: headers and a first segment; a section with the given name and flags; a second segment when it is one
    /// that `patchelf` has been at; then the tables.
    fn library(section: &str, flags: u64, is_rewritten: bool, behind: &[u8]) -> Vec<u8> {
        let names = format!("\0{section}\0.shstrtab\0");
        let (loaded, second) = (5000_u64, if is_rewritten { 3000 } else { 0 });
        let second_at = (loaded + DEBUG).next_multiple_of(4096);
        let names_at = if is_rewritten { second_at + second } else { loaded + DEBUG };
        let sections_at = names_at + names.len() as u64;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(HEADER, 0);
        bytes[16] = 3;
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&sections_at.to_le_bytes());
        bytes[54] = 56;
        bytes[56] = 1 + u8::from(is_rewritten);
        bytes[58] = 64;
        bytes[60] = 3;
        bytes[62] = 2;
        for (start, size) in [(0, loaded), (second_at, second)] {
            let mut program = vec![0; PROGRAM_HEADER];
            program[0] = 1;
            program[8..16].copy_from_slice(&start.to_le_bytes());
            program[32..40].copy_from_slice(&size.to_le_bytes());
            program[48..56].copy_from_slice(&4096_u64.to_le_bytes());
            if size > 0 {
                bytes.extend(program);
            }
        }
        bytes.resize(loaded as usize, b'L');
        bytes.resize((loaded + DEBUG) as usize, b'D');
        if is_rewritten {
            bytes.resize(second_at as usize, b'-');
            bytes.resize((second_at + second) as usize, b'S');
        }
        bytes.extend(names.as_bytes());
        let mut add = |name: u32, kind: u32, flags: u64, start: u64, size: u64| {
            let mut section = vec![0; 64];
            section[0..4].copy_from_slice(&name.to_le_bytes());
            section[4..8].copy_from_slice(&kind.to_le_bytes());
            section[8..16].copy_from_slice(&flags.to_le_bytes());
            section[24..32].copy_from_slice(&start.to_le_bytes());
            section[32..40].copy_from_slice(&size.to_le_bytes());
            bytes.extend(section);
        };
        add(0, 0, 0, 0, 0);
        add(1, 1, flags, loaded, DEBUG);
        add(section.len() as u32 + 2, 3, 0, names_at, names.len() as u64);
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
        let bytes = library(".debug_info", 0, false, b"");
        let kept = trimmed(&bytes).unwrap();
        assert_eq!(kept.len(), 5000);
        assert_eq!(kept[HEADER..], bytes[HEADER..5000]);
        assert_eq!(long(&kept, 40), 0);
        assert_eq!(half(&kept, 60), 0);
        assert_eq!(trimmed(&kept), None);
    }

    #[test]
    fn symbols_between_what_is_loaded_are_cut_out_by_whole_pages() {
        let bytes = library(".symtab", 0, true, b"\0");
        let kept = trimmed(&bytes).unwrap();
        let second = HEADER + PROGRAM_HEADER;
        let (was, is) = (long(&bytes, second + 8), long(&kept, second + 8));
        assert_eq!((was - is, is), (DEBUG, 8192));
        assert_eq!(kept[5000..8192], bytes[5000..8192]);
        assert_eq!(kept[8192..], [b'S'; 3000]);
        assert_eq!(long(&kept, HEADER + 8), 0);
    }

    #[test]
    fn what_may_be_needed_stays() {
        for is_rewritten in [false, true] {
            assert_eq!(trimmed(&library(".nv_fatbin", 0, is_rewritten, b"")), None);
            assert_eq!(trimmed(&library(".debug_info", 2, is_rewritten, b"")), None);
            assert_eq!(trimmed(&library(".debug_info", 0, is_rewritten, b"an archive of its own")), None);
        }
    }

    #[test]
    fn broken_files_are_left_alone() {
        let bytes = library(".debug_info", 0, true, b"");
        for length in (0..bytes.len()).step_by(211) {
            assert_eq!(trimmed(&bytes[..length]), None);
        }
        for place in 0..HEADER + 2 * PROGRAM_HEADER {
            for value in [0, 1, 0xff] {
                let mut broken = bytes.clone();
                broken[place] = value;
                // It may be cut or not: it is read without an end that never comes.
                let _ = trimmed(&broken);
            }
        }
    }
}
