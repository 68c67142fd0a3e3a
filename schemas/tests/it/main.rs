//! Reading definitions, from the outside.

mod files;
mod hostile;
mod memory_files;
mod reading;
mod rendering;
mod shapes;
mod yaml_errors;
mod speed_tmp;
