//! Modes follow the umask.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::harness::{Running, Test};
use crate::privileges::as_a_user;

/// Names below the test's folder with their modes, as `find` tells them.
fn modes(test: &Test) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    let mut todo = vec![test.path("db"), test.path("written")];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        all.push((path.display().to_string(), metadata.mode()));
        if metadata.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    all
}

#[test]
fn no_umask_takes_the_rights_of_the_owner() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'mkdir $OUTPUT_DIR/f; echo 1 > $OUTPUT_DIR/1_act; rmdir $OUTPUT_DIR/f'\n\
         [[step]]\nname = 'act'\nscript = 'if :; then cat $INPUT_FILE > $OUTPUT_DIR/out; fi'\n",
    );
    let script = "umask 777; \"$PROGRAM\" -run && \"$PROGRAM\" -run -fresh && \"$PROGRAM\" verify && \"$PROGRAM\" export -to out && cat out/out";
    let Some(ran) = as_a_user(&test, script) else {
        return;
    };
    ran.exits(0).prints("nothing is wrong").prints("\n1\n");
}

#[test]
fn whatever_is_made_has_the_mode_that_the_umask_leaves() {
    for umask in [0o077, 0o027, 0o022, 0o002] {
        let test = Test::with(
            "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n\
             stat -c %a $OUTPUT_DIR $TMPDIR ${OUTPUT_DIR%/*} ${OUTPUT_DIR%/*/*} >> $COUNT.folders\n\
             stat -c %a $INPUT_FILE >> $COUNT.files\n\
             for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_act; done; seq 20000\n'''\n\
             [[step]]\nname = 'act'\nscript = '''\n\
             stat -c %a $OUTPUT_DIR $TMPDIR >> $COUNT.folders; stat -c %a $INPUT_FILE >> $COUNT.files\n\
             seq 20000 > $OUTPUT_DIR/large; echo err >&2; test $(cat $INPUT_FILE) != 2\n'''\n",
        );
        let script = format!(
            "umask {umask:03o}; mkdir written\n\
             $PROGRAM -run -parallel 1 -keep-failed -trace written/trace.json\n\
             $PROGRAM export -to written/out >/dev/null && $PROGRAM report -o written/report.html"
        );
        Running::start(test.shell(&script)).end().exits(0);
        let (folder, file) = (0o777 & !umask, 0o666 & !umask);
        // Those of tasks are nobody else's.
        let of_tasks = 0o770 & !umask;
        let objects = test.path("db/objects").display().to_string();
        let seen = modes(&test);
        for name in [
            "db/lock",
            "db/db-wal",
            "db/failed",
            "out/large",
            "report.html",
            "trace.json",
        ] {
            assert!(seen.iter().any(|(path, _)| path.ends_with(name)), "{name}");
        }
        for (path, mode) in seen {
            let expected = match mode & 0o170_000 {
                0o040_000 if path.ends_with("db/failed") => of_tasks,
                0o040_000 => folder,
                _ if path.starts_with(&objects) => 0o444 & !umask,
                _ => file,
            };
            assert_eq!(mode & 0o7777, expected, "{umask:o}: {path}: {mode:o}");
        }
        for (name, expected, count) in [("folders", folder, 10), ("files", file, 4)] {
            let told = test.read(&format!("count.{name}"));
            assert_eq!(told.lines().count(), count);
            for (at, mode) in told.lines().enumerate() {
                // The fourth is the run's, in which the tasks' are.
                let of_run = name == "folders" && at == 3;
                let expected = if of_run { of_tasks } else { expected };
                assert_eq!(mode, format!("{expected:o}"), "{umask:o}: {told}");
            }
        }
    }
}
