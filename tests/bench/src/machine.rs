//! The machine, in lines for the table.

use std::fs::read_to_string;
use std::path::Path;

/// What decides how fast it is.
pub fn describe(folder: &Path, parallel: usize) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let cpu = first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let uname = rustix::system::uname();
    let memory = first("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB of memory", kib >> 20));
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split_whitespace()
        .nth(2)
        .unwrap_or("unknown")
        .to_owned();
    vec![
        format!("{cpu}, {cores} cores, {parallel} used{memory}"),
        format!(
            "{} {}, {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            file_system(folder).unwrap_or_else(|| "unknown file system".to_owned()),
        ),
        format!("load of the last 15 minutes at the end: {load}"),
    ]
}

fn first(path: &str, key: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The kind of the file system that `folder` is on: the longest mount point above it.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind.to_owned())
}
