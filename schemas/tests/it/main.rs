//! Reading definitions, from the outside.

mod memory_files;
mod reading;
mod rendering;
