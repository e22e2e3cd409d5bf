//! What can be known of a script from its text. Pure: no file system, process, clock or thread in here.

pub mod network;
pub mod shell;
pub mod simple;
pub mod survey;
pub mod warm;
