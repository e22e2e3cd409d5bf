//! What the runner is short of is no task's failure.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::{Running, Test, wait_for};
use crate::privileges::{as_a_user, with_mounts};

/// `count` tasks that each run this script on an input of their own.
fn many(count: u32, script: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in $(seq {count}); do echo $i > $OUTPUT_DIR/${{i}}_act; done'\n\
         [[step]]\nname = 'act'\nscript = '''\n{script}\n'''\n"
    ))
}

/// No task failed, and so many are done.
fn none_failed(test: &Test, done: usize) {
    let failed = "SELECT count(*) FROM task WHERE error IS NOT NULL";
    assert_eq!(test.rows(failed), ["0"]);
    let finished = "SELECT count(*) FROM task JOIN step ON step_id = step.id
                    WHERE step.name = 'act' AND processed = 1";
    assert_eq!(test.rows(finished), [done.to_string()]);
    test.tally_is_right();
    test.objects_are_whole();
}

#[test]
fn fewer_tasks_run_where_few_files_can_be_open() {
    let test = many(100, "if :; then cat $INPUT_FILE > $OUTPUT_DIR/out; fi");
    let ran = Running::start(test.shell("ulimit -n 128; exec $PROGRAM -run -parallel 60"))
        .end()
        .exits(0)
        .says("tasks run at once, and not 60: no more than 128 files can be open\nhint: ")
        .says("101 run, 0 reused, 0 failed, 0 pending");
    assert_eq!(ran.stderr.matches("ulimit -n").count(), 1, "{ran}");
    none_failed(&test, 100);
    test.nothing_temporary_is_left();
}

#[test]
fn scripts_have_the_limit_that_they_were_meant_to_have() {
    const AT_ONCE: usize = 40;
    if getrlimit(Resource::Nofile)
        .maximum
        .is_some_and(|hard| hard < 1024)
    {
        return;
    }
    // Each waits until all run.
    let test = many(
        80,
        "ulimit -n >> $COUNT; ulimit -Hn >> $COUNT.hard; touch $HOME/at.$TASK_PIPELINE_TASK
         n=0; until test $(ls $HOME | grep -c '^at[.]') -ge 40; do sleep 0.01; n=$((n + 1)); test $n -lt 2000; done
         cat $INPUT_FILE > $OUTPUT_DIR/out",
    );
    let script = format!("ulimit -Sn 300; exec $PROGRAM -run -parallel {AT_ONCE}");
    Running::start(test.shell(&script))
        .end()
        .exits(0)
        .never_says("files can be open");
    assert_eq!(test.count(), vec!["300"; 80]);
    let hard = test.read("count.hard");
    assert!(hard.lines().all(|limit| limit != "300"), "{hard}");
    none_failed(&test, 80);
}

/// Sets how many files that process may have open.
fn limit(pid: u32, files: u64) -> Rlimit {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(files),
        maximum,
    };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap()
}

/// Waits until so many tasks run, so that none of them begins under a limit that is not its own.
fn begun(test: &Test, parallel: &str) {
    let is_mark = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("begun.");
    wait_for("the tasks", || {
        let entries = fs::read_dir(test.path("")).unwrap().flatten();
        entries.filter(is_mark).count().to_string() == parallel
    });
}

#[test]
fn a_shortage_that_passes_is_waited_out() {
    for parallel in ["1", "4"] {
        let test = many(
            20,
            "touch $HOME/begun.$TASK_PIPELINE_TASK; until test -e $HOME/go; do sleep 0.01; done
             echo x >> $COUNT; cat $INPUT_FILE > $OUTPUT_DIR/out",
        );
        let running = test.start(["-run", "-parallel", parallel, "-verbose"]);
        begun(&test, parallel);
        let usual = limit(running.pid(), 8).current.unwrap();
        test.write("go", "");
        wait_for("its end", || !test.count().is_empty());
        running.says("ended, still to be done");
        limit(running.pid(), usual);
        running
            .end()
            .exits(0)
            .says("ended, still to be done")
            .says("21 run, 0 reused, 0 failed, 0 pending");
        none_failed(&test, 20);
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_shortage_that_stays_ends_the_run_and_fails_nothing() {
    for parallel in ["1", "4"] {
        let test = many(
            20,
            "touch $HOME/begun.$TASK_PIPELINE_TASK; until test -e $HOME/go; do sleep 0.01; done
             cat $INPUT_FILE > $OUTPUT_DIR/out",
        );
        let running = test.start(["-run", "-parallel", parallel]);
        begun(&test, parallel);
        limit(running.pid(), 8);
        test.write("go", "");
        let ran = running
            .end()
            .exits(2)
            .says("1 run, 0 reused, 0 failed, 20 pending")
            .says("error: task ")
            .says(": Too many open files (os error 24)\nhint: give a smaller -parallel, or raise");
        assert_eq!(ran.stderr.matches("\nerror: ").count(), 1, "{ran}");
        none_failed(&test, 0);
        // Nothing could be opened to be removed; the next run does that.
        test.runs().says("20 run, 0 reused, 0 failed, 0 pending");
        none_failed(&test, 20);
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_limit_of_very_few_files_fails_no_task() {
    for files in 12..26 {
        let test = many(8, "if :; then cat $INPUT_FILE > $OUTPUT_DIR/out; fi");
        let script = format!("ulimit -n {files}; exec $PROGRAM -run -parallel 4");
        let ran = Running::start(test.shell(&script)).end();
        assert!(matches!(ran.status, 0 | 2), "{files}: {ran}");
        ran.never_says("failed after");
        test.run(["-run"]).exits(0);
        none_failed(&test, 8);
    }
}

#[test]
fn fewer_tasks_run_where_few_processes_can() {
    if !rustix::process::geteuid().is_root() {
        // The limit would count what else this user runs.
        return;
    }
    let test = many(60, "cp $INPUT_FILE $OUTPUT_DIR/out");
    let script = "bash -c 'ulimit -u 12; exec $PROGRAM -run -parallel 30 -log-format json'";
    let Some(ran) = as_a_user(&test, script) else {
        return;
    };
    let ran = ran
        .exits(0)
        .says(r#""executed":61,"reused":0,"failed":0,"pending":0"#);
    // A command that could not be started was not given to a shell, which could start it no more.
    let of_a_shell = r#""launch":"shell""#;
    assert_eq!(ran.stderr.matches(of_a_shell).count(), 1, "{ran}");
    none_failed(&test, 60);
}

/// With `db` on a disk of 4 MiB, and objects on one of 1 MiB, each of which is made larger then.
const SMALL: &str = r#"
mkdir -p db objects && mount -t tmpfs -o size=4m none db && mount -t tmpfs -o size=1m none objects || exit 99
ln -s ../objects db/objects
$PROGRAM -run -parallel 2; echo "status $?"
sqlite3 db/db 'SELECT count(*) FROM task WHERE error IS NOT NULL'
mount -o remount,size=64m objects && mount -o remount,size=64m db || exit 99
$PROGRAM -run -parallel 2; echo "status $?"
rm db/objects; cp -r objects db/objects; cp -r db kept
"#;

#[test]
fn a_full_disk_ends_the_run_and_fails_nothing() {
    for script in [
        // Its own writes fail, to an output or to a log.
        "if :; then seq $(cat $INPUT_FILE)00000 $(cat $INPUT_FILE)30000 > $OUTPUT_DIR/out; fi",
        // Those of the runner do, which keeps what was written.
        "if :; then seq $(cat $INPUT_FILE)00000 $(cat $INPUT_FILE)30000; fi",
        // A copy takes room that there is not.
        "if :; then cp $INPUT_FILE $OUTPUT_DIR/out; head -c 200000 /dev/urandom > $TMPDIR/x; ln $TMPDIR/x $OUTPUT_DIR/y; fi",
    ] {
        let test = many(20, script);
        let Some(ran) = with_mounts(&test, SMALL) else {
            return;
        };
        let told: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(told, ["status 2", "0", "status 0"], "{script}\n{ran}");
        let ran = ran.says("hint: make room on that disk and run again");
        assert_eq!(ran.stderr.matches("\nerror: ").count(), 1, "{ran}");
        assert_eq!(ran.stderr.matches("hint: ").count(), 1, "{ran}");
        fs::remove_file(test.path("db/objects"))
            .or_else(|_| fs::remove_dir(test.path("db")))
            .unwrap();
        let _ = fs::remove_dir_all(test.path("db"));
        fs::rename(test.path("kept"), test.path("db")).unwrap();
        none_failed(&test, 20);
        test.nothing_temporary_is_left();
    }
}

/// A task that has filled the disk itself has room for what it keeps as soon as its other files are gone.
#[test]
fn what_a_task_keeps_outlives_a_disk_that_it_has_filled() {
    let test = Test::with(
        "[[step]]\nname = 'act'\nstart = true\ncheckpoint = true\nscript = '''\n\
         if [ -e $STATE_DIR/half ]; then cp $STATE_DIR/half $OUTPUT_DIR; exit 0; fi\n\
         head -c 100000 /dev/urandom > $STATE_DIR/half\n\
         cat /dev/zero > $OUTPUT_DIR/much || cat /dev/zero > $TMPDIR/more\n'''\n",
    );
    let script = "mkdir db && mount -t tmpfs -o size=8m none db || exit 99
                  $PROGRAM -run; $PROGRAM -run; $PROGRAM cat half | wc -c";
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    assert_eq!(ran.stdout.trim(), "100000", "{ran}");
    ran.never_says("does not keep");
}

#[test]
fn a_script_that_fails_while_there_is_room_has_failed() {
    let test = many(3, "echo 'No space left on device' >&2; exit 1");
    test.run(["-run"]).exits(1).says("3 failed");
}

#[test]
fn a_file_that_may_not_be_so_large_ends_the_run() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'seq 300000 > $OUTPUT_DIR/act'\n\
         [[step]]\nname = 'act'\nscript = 'test -e $HOME/go; cp $INPUT_FILE $OUTPUT_DIR/out'\n",
    );
    test.run(["-run"]).exits(1);
    test.write("go", "");
    Running::start(test.shell("ulimit -f 2000; exec $PROGRAM -run"))
        .end()
        .exits(2)
        .says("act: cannot copy an object to ")
        .says("hint: raise the limit of file sizes (ulimit -f)");
    test.runs().says("1 run, 0 reused, 0 failed, 0 pending");
}

/// Whatever is asked for: that there is no room for it is told with what to do, and nothing stands in the way afterwards.
#[test]
fn files_for_users_on_a_full_disk_are_told_with_what_to_do() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'seq 9 > $OUTPUT_DIR/out'\n\
         [publish]\ndir = 'results'\n",
    );
    let script = r#"
mkdir full db results && mount -t tmpfs -o size=64k none full && mount -t tmpfs -o size=4m none db || exit 99
$PROGRAM -run || exit 99
dd if=/dev/zero of=full/filler bs=4k 2>&-
mount --bind full results || exit 99
for call in 'report -o full/r.html' 'export -to full/out' 'init samples full/new' 'cache-key a.example.org-1 full/key' \
    '-run -junit full/j.xml' '-run -trace full/t.json'; do
    echo "== $call" >&2; $PROGRAM $call; echo "status $?" >&2
done
echo '== report -o -' >&2; $PROGRAM report -o - > full/taken; echo "status $?" >&2
echo '== graph' >&2; $PROGRAM graph > full/taken; echo "status $?" >&2
dd if=/dev/zero of=db/filler bs=4k 2>&-
dd if=/dev/zero of=db/more bs=1 count=4096 2>&-
echo '== -run -fresh -junit full/j.xml' >&2; $PROGRAM -run -fresh -junit full/j.xml; echo "status $?" >&2
find full -type f
"#;
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    let calls: Vec<&str> = ran.stderr.split("== ").skip(1).collect();
    assert_eq!(calls.len(), 9, "{ran}");
    for call in &calls {
        let words = call.lines().next().unwrap();
        for said in [
            "cannot write",
            "No space left on device",
            "hint: make room on that disk and run again",
            "status 2",
        ] {
            assert!(call.contains(said), "{words}: {ran}");
        }
        if let Some(at) = words.find("full/j.xml").or(words.find("full/t.json")) {
            let told = format!("{}: No space left", &words[at..]);
            assert!(call.contains(&told), "{words}: {ran}");
        }
        assert!(!call.contains("name a file in"), "{words}: {ran}");
    }
    assert!(calls[8].contains("db: the disk is full"), "{ran}");
    let mut left: Vec<&str> = ran.stdout.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["full/filler", "full/taken"], "{ran}");
}
