//! Pure logic: no file system, process, clock or thread in here or below.

pub mod digest;
pub mod name;
