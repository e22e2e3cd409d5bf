//! What a pipeline is made of, and the rules that it follows. Pure: no file system, process, clock or
//! thread in here.

pub mod barrier;
pub(crate) mod checkpoint;
pub mod digest;
pub mod entry;
pub mod environment;
pub mod event;
pub mod executor;
pub mod file;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub mod gather;
pub mod glob;
pub mod identity;
pub mod installable;
pub mod line;
pub mod list;
pub mod mention;
pub mod name;
pub mod param;
pub mod partition;
pub mod plan;
pub mod promise;
pub mod publish;
pub mod resources;
pub mod retry;
pub mod route;
pub mod sample;
pub mod scope;
pub mod secret;
pub mod shared;
pub mod task;
pub mod trail;
pub mod tree;
pub mod untaken;
pub mod waits;
