//! One of the targets of `task_pipeline::fuzz` under libFuzzer; `tests/fuzz/run` starts it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use task_pipeline::fuzz::{TARGETS, Target};

/// That which `FUZZ_TARGET` names.
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let names = TARGETS.map(|(name, _)| name).join(", ");
    target
        .unwrap_or_else(|| panic!("FUZZ_TARGET is one of {names}"))
        .1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
