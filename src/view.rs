//! What people look at: graphs, trees, charts, pages. Pure: no file system, process, clock or thread in
//! here.

pub mod explain;
pub mod graph;
pub mod lineage;
pub mod page;
pub mod spread;
pub mod timeline;
