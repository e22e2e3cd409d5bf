//! What people look at: graphs, trees, charts, pages. Pure: no file system, process, clock or thread in
//! here.

pub(crate) mod explain;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub(crate) mod graph;
pub(crate) mod junit;
pub(crate) mod lineage;
pub(crate) mod page;
pub(crate) mod spread;
pub(crate) mod timeline;
