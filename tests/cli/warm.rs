//! Warm shells: no script can tell, and no process is left.

mod ends;
mod generate;
mod same;
mod serves;

use crate::harness::Test;
use same::folder;

/// What shows which shell ran a task: the leader of its process group.
const GROUP: &str = "set -- $(cat /proc/self/stat); echo $5 > $OUTPUT_DIR/group";

/// As many inputs for the step `work` with this script as `count` says.
fn several(count: usize, keys: &str, script: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in $(seq {count}); do echo $i > $OUTPUT_DIR/${{i}}_work; done'\n\
         [[step]]\nname = 'work'\nwarm = true\n{keys}\nscript = '''{script}'''\n"
    )
}

/// The leaders of the groups that tasks of the step `work` ran in, by those that left them.
fn groups(test: &Test) -> Vec<String> {
    let all = test.finals().remove("group").unwrap_or_default();
    all.into_iter()
        .map(|bytes| String::from_utf8(bytes).unwrap().trim().to_owned())
        .collect()
}

/// How many there are.
fn distinct(groups: &[String]) -> usize {
    let mut groups = groups.to_vec();
    groups.sort();
    groups.dedup();
    groups.len()
}

fn is_alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}
