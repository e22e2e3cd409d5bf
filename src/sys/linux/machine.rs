//! What the machine has for tasks, as far as this process may use it.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory: what is built in, or the least that a control group above this process is limited to.
pub(crate) fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let built_in = kib.checked_mul(1024)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups
        .lines()
        .filter_map(group)
        .flat_map(|(root, below, file)| {
            let root = Path::new(root);
            // Where the hierarchy is not mounted whole, the path may not be there.
            let folders: Vec<PathBuf> = Path::new(below)
                .ancestors()
                .map(|above| root.join(above.strip_prefix("/").unwrap_or(above)))
                .collect();
            folders.into_iter().filter_map(move |folder| {
                let text = fs::read_to_string(folder.join(file)).ok()?;
                text.trim().parse::<u64>().ok()
            })
        });
    Some(limits.fold(built_in, u64::min))
}

/// Of a line of `/proc/self/cgroup`: where the hierarchy with memory in it is mounted, the group's path
/// there, and the file with its limit.
fn group(line: &str) -> Option<(&'static str, &str, &'static str)> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    if controllers.is_empty() {
        return Some(("/sys/fs/cgroup", path, "memory.max"));
    }
    let is_memory = controllers.split(',').any(|one| one == "memory");
    is_memory.then_some(("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"))
}

/// How many GPUs there are: NVIDIA's by their devices, AMD's by what their driver tells.
pub(crate) fn gpus() -> usize {
    let nvidia = names("/dev").filter(|name| {
        let number = name.strip_prefix("nvidia").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let nvidia = nvidia.count();
    if nvidia > 0 {
        return nvidia;
    }
    let nodes = "/sys/class/kfd/kfd/topology/nodes";
    let is_gpu = |name: &String| {
        let id = fs::read_to_string(Path::new(nodes).join(name).join("gpu_id"));
        id.is_ok_and(|id| id.trim() != "0")
    };
    names(nodes).filter(is_gpu).count()
}

fn names(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        assert!(memory().unwrap() > 16 << 20);
    }

    #[test]
    fn groups_are_found_in_both_kinds_of_hierarchy() {
        let v2 = ("/sys/fs/cgroup", "/user.slice/a:b", "memory.max");
        assert_eq!(group("0::/user.slice/a:b"), Some(v2));
        let v1 = ("/sys/fs/cgroup/memory", "/x", "memory.limit_in_bytes");
        assert_eq!(group("4:memory:/x"), Some(v1));
        assert_eq!(group("5:cpu,cpuacct:/x"), None);
        assert_eq!(group(""), None);
    }
}
