//! Of the tests of collections those that are worth to be done longer.

#[path = "../cli/gc/beside.rs"]
pub mod beside;
#[expect(dead_code, reason = "shared with the tests that use the rest")]
#[path = "../cli/gc/common.rs"]
pub mod common;
#[path = "../cli/gc/model.rs"]
pub mod model;
#[path = "../cli/gc/nights.rs"]
pub mod nights;
#[path = "../cli/gc/world.rs"]
pub mod world;
