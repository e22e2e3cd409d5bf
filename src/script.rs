//! What can be known of a script from its text. Pure: no file system, process, clock or thread in here.

pub mod plain;
pub mod shell;
pub mod warm;
