//! Words about processes that outlived their run.

use crate::process::Leftover;

/// What was done about those of an earlier run, if there were any.
pub(super) fn of_a_killed_run(left: &Leftover) -> Option<String> {
    words(left, "that an earlier run left behind when it was killed")
}

/// What was done about those of this run that kept its folder from being removed.
pub(super) fn of_this_run(left: &Leftover) -> Option<String> {
    words(left, "that went on writing to the folder of this run")
}

fn words(left: &Leftover, which: &str) -> Option<String> {
    let processes = |count| match count {
        1 => "1 process".to_owned(),
        many => format!("{many} processes"),
    };
    if !left.alive.is_empty() {
        let numbers: Vec<String> = left.alive.iter().map(i32::to_string).collect();
        let numbers = numbers.join(" ");
        let count = processes(left.alive.len());
        return Some(format!(
            "cannot end {count} {which}: what they do may mix with what runs now; end them with \
             `kill -9 {numbers}`, or restart the machine"
        ));
    }
    (left.ended > 0).then(|| format!("ended {} {which}", processes(left.ended)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_to_say() {
        let said = |ended, alive: &[i32]| {
            let alive = alive.to_owned();
            of_a_killed_run(&Leftover { ended, alive })
        };
        assert_eq!(said(0, &[]), None);
        assert_eq!(
            said(1, &[]).unwrap(),
            "ended 1 process that an earlier run left behind when it was killed"
        );
        let words = said(3, &[12, 7]).unwrap();
        assert!(words.starts_with("cannot end 2 processes"), "{words}");
        assert!(words.contains("kill -9 12 7"), "{words}");
    }
}
