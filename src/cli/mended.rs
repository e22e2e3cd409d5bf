//! What is told of a database that was damaged.

use crate::state::Mended;

/// What has been done.
pub(super) fn done(mended: Mended) -> Vec<String> {
    let mut done = Vec::new();
    match mended.orphans {
        0 => {}
        1 => done.push("1 row that no task left was taken out".to_owned()),
        many => done.push(format!("{many} rows that no task left were taken out")),
    }
    match mended.again {
        0 => {}
        1 => done.push("1 task is to run again".to_owned()),
        many => done.push(format!("{many} tasks are to run again")),
    }
    if mended.other {
        done.push("counts were corrected".to_owned());
    }
    done
}

/// What was wrong and has been mended, and what to do about the rest.
pub(super) fn words(mended: Mended) -> Vec<String> {
    let done = done(mended);
    let mut told = Vec::new();
    if mended.emptied {
        told.push(
            "the file of the database was empty, although there are objects: what was recorded is \
             lost (a power cut in the first run, or something emptied the file), and all begins \
             anew; to go back, end this run and restore the file from a backup"
                .to_owned(),
        );
    }
    if !done.is_empty() {
        told.push(format!(
            "the db was damaged when a write failed in an earlier run: {}",
            done.join(", ")
        ));
    }
    if mended.unsure {
        told.push(
            "if an earlier run ended because the disk was full, its last task may have lost some \
             outputs, which cannot be found out: -run -start STEP runs a step's tasks again"
                .to_owned(),
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_of_a_sound_database() {
        assert!(words(Mended::default()).is_empty());
    }

    #[test]
    fn everything_is_told_that_was_mended() {
        let told = words(Mended {
            orphans: 2,
            again: 1,
            other: true,
            unsure: true,
            emptied: true,
        });
        assert!(told[0].starts_with("the file of the database was empty"));
        assert!(told[1].ends_with(
            "2 rows that no task left were taken out, 1 task is to run again, counts were corrected"
        ));
        assert!(told[2].contains("-start STEP"));
    }
}
