//! What a task can have here it can have elsewhere.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::Test;

#[test]
fn scripts_start_beside_exactly_the_files_that_they_declare() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
files = ["tool.sh", "lib/**/*.txt", "large"]
script = '''
sh ./tool.sh > $OUTPUT_DIR/said_next
find . -type f | sort > $OUTPUT_DIR/seen_next
cksum large > $OUTPUT_DIR/large_next
test -x tool.sh; ! test -x lib/a.txt
if test "$(id -u)" != 0; then ! (echo x > lib/a.txt) 2> /dev/null; ! (: > new) 2> /dev/null; fi
'''
[[step]]
name = "next"
files = ["lib/a.txt"]
script = 'out=$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_next}.txt; cat lib/a.txt $INPUT_FILE > $out; ls -A >> $out'
[[step]]
name = "none"
from = ["begin:said_next"]
script = 'ls -A > $OUTPUT_DIR/alone'
"#,
    );
    test.write("tool.sh", "cat lib/sub/b.txt");
    let tool = test.path("tool.sh");
    std::fs::set_permissions(tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    test.write("lib/a.txt", "a\n");
    test.write("lib/sub/b.txt", "b\n");
    test.write("lib/other", "not declared\n");
    // More than is kept of such files.
    test.write("large", vec![b'x'; 20 << 20]);
    test.run(["-run", "-executor", "child:2*2"]).exits(0);
    assert_eq!(test.output("said.txt"), "a\nb\nlib\n");
    assert_eq!(
        test.output("seen.txt"),
        "a\n./large\n./lib/a.txt\n./lib/sub/b.txt\n./tool.sh\nlib\n"
    );
    assert_eq!(test.output("alone"), "");
    let large = test.output("large.txt");
    assert!(large.contains(&(20 << 20).to_string()), "{large}");
    // A change of them is one of the step's version, wherever it runs.
    test.write("lib/sub/b.txt", "c\n");
    test.run(["-migrate-tainted", "-run", "-executor", "child:1"])
        .exits(0);
    assert_eq!(test.output("said.txt"), "a\nc\nlib\n");
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

/// What scripts in a sandbox see is the same here and there.
#[test]
fn sandboxes_are_made_elsewhere_and_show_what_those_here_do() {
    let manifest = r#"
[defaults]
sandbox = true
[[step]]
name = "begin"
start = true
files = ["lib/*.txt"]
script = '''
pwd > $OUTPUT_DIR/seen_next; find . -type f | sort >> $OUTPUT_DIR/seen_next; cat lib/a.txt >> $OUTPUT_DIR/seen_next
for n in 1 2 3 4 5 6; do echo $n > $OUTPUT_DIR/${n}_next; done
! (echo x > lib/a.txt) 2> /dev/null; ! test -e /root
'''
[[step]]
name = "next"
script = 'cat $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_next}; echo $HOME $OUTPUT_DIR; ls /; ls -A'
[[step]]
name = "net"
network = true
from = ["begin:1_next"]
script = 'cat /etc/hosts > $OUTPUT_DIR/hosts'
"#;
    let of = |executor: &str| {
        // Where it starts is seen.
        let test = Test::apart();
        test.manifest(manifest);
        test.write("lib/a.txt", "a\n");
        test.write("secret.txt", "not declared\n");
        test.run(["-run", "-executor", executor]).exits(0);
        let folder = test.path(".").canonicalize().unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        let seen = test.output("seen").replace(&folder, "FOLDER");
        let logs = test.rows(
            "SELECT task.id FROM task JOIN step ON step.id = step_id WHERE step.name = 'next'",
        );
        let logs = logs.iter().map(|id| test.text(&["log", id, "-stdout"]));
        let logs: std::collections::BTreeSet<String> =
            logs.map(|log| log.replace(&folder, "FOLDER")).collect();
        test.nothing_temporary_is_left();
        (seen, logs, test.output("hosts"))
    };
    let here = of("local");
    assert_eq!(here.0, "FOLDER\n./lib/a.txt\na\n");
    assert_eq!(of("child:2*2"), here);
    assert_eq!(of("child:1"), here);
}

#[test]
fn a_machine_that_makes_no_sandbox_is_told_with_what_to_do() {
    let test = Test::with(
        r#"
[executors.lab]
start = ["sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"", "sh"]
workers = 2
[[step]]
name = "begin"
start = true
executor = "lab"
sandbox = true
retries = 5
script = ": > $OUTPUT_DIR/x"
"#,
    );
    // In namespaces of their own, in which no others are to be had.
    let start = "[\"unshare\", \"--user\", \"--map-root-user\", \"sh\", ";
    let manifest = test.read("workflow.toml").replace("[\"sh\", ", start);
    test.manifest(&manifest);
    test.run(["-run"])
        .exits(1)
        .says("cannot carry out begin #1, which is tried again")
        .says("lost: 3 workers could not carry it out")
        .says("can run in a sandbox there")
        .says("user.max_user_namespaces")
        .never_says("again in");
}

/// The variable that a worker must not hand on.
const TOKEN: &str = "s3cr3t-t0ken-1a2b3c4d5e6f";

#[test]
fn secrets_pass_to_the_steps_that_list_them_alone() {
    let manifest = r#"
[executors.lab]
start = ["env", "X=1"]
[[step]]
name = "begin"
start = true
secrets = ["key", "other"]
script = '''
test "$(cat $SECRET_key)" = "$(cat $SECRET_key)"; test "$(stat -L -c %a $SECRET_key)" = 400
cat $SECRET_key | tr a-z A-Z > $OUTPUT_DIR/1_next; cat $SECRET_other | tr a-z A-Z > $OUTPUT_DIR/2_next
cat $SECRET_key; for n in 3 4 5; do echo $n > $OUTPUT_DIR/${n}_next; done
'''
[[step]]
name = "next"
script = 'test -z "$SECRET_key$TOKEN"; cat $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_next}'
"#;
    let test = Test::with(manifest);
    test.write("other", "a second one\n");
    let run = |arguments: &[&str]| {
        let mut command =
            test.command(["-run", "-secret", "key=env:TOKEN", "-secret", "other=other"]);
        command.args(arguments).env("TOKEN", TOKEN);
        crate::harness::Running::start(command).end()
    };
    // Who carries it may read along.
    run(&["-executor", "lab"])
        .exits(2)
        .says("step begin would have secrets pass")
        .says("executor_secrets = true");
    let ran = run(&["-executor", "child:2*2", "-verbose"]).exits(0);
    assert!(!ran.to_string().contains(TOKEN), "{ran}");
    assert_eq!(test.output("1"), TOKEN.to_uppercase());
    assert_eq!(test.output("2"), "A SECOND ONE\n");
    assert_eq!(test.text(&["log", "1", "-stdout"]), "***");
    let allowed = manifest.replace("secrets = [", "executor_secrets = true\nsecrets = [");
    test.manifest(&allowed);
    run(&["-fresh", "-executor", "lab"]).exits(0);
    assert_eq!(test.finals()["1"], [TOKEN.to_uppercase().as_bytes(); 2]);
    // Without one the task waits, as it does here.
    test.run([
        "-run",
        "-fresh",
        "-executor",
        "child:1",
        "-secret",
        "other=other",
    ])
    .exits(1)
    .says("key");
    test.nothing_temporary_is_left();
}

#[test]
fn a_worker_deals_out_its_gpus_one_by_one() {
    let test = Test::with(
        r#"
[executors.lab]
start = ["env", "CUDA_VISIBLE_DEVICES=4,GPU-b"]
workers = 1
slots = 4
[defaults]
executor = "lab"
[[step]]
name = "begin"
start = true
script = 'for n in 1 2 3 4 5 6; do echo $n > $OUTPUT_DIR/${n}_one; done; : > $OUTPUT_DIR/x_two'
[[step]]
name = "one"
gpus = 1
cache = false
script = 'mkdir "$HELD.$CUDA_VISIBLE_DEVICES"; sleep 0.05; rmdir "$HELD.$CUDA_VISIBLE_DEVICES"; test $HIP_VISIBLE_DEVICES = $CUDA_VISIBLE_DEVICES; echo $CUDA_VISIBLE_DEVICES > $OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_one}'
[[step]]
name = "two"
gpus = 2
cache = false
script = 'echo $CUDA_VISIBLE_DEVICES | tr , "\n" | sort > $OUTPUT_DIR/both'
"#,
    );
    let mut command = test.command(["-run"]);
    command.env("HELD", test.path("held"));
    crate::harness::Running::start(command).end().exits(0);
    let had: std::collections::BTreeSet<String> =
        (1..=6).map(|n| test.output(&n.to_string())).collect();
    assert_eq!(had, ["4\n", "GPU-b\n"].map(str::to_owned).into());
    assert_eq!(test.output("both"), "4\nGPU-b\n");
    // More than a machine has.
    let more = test.read("workflow.toml").replace("gpus = 2", "gpus = 3");
    test.manifest(&more);
    test.run(["-run", "-fresh"])
        .exits(1)
        .says("a task takes 3 GPUs, and the machine has 2");
}

/// The first worker to be started is on a machine of another name, which this makes of it, and comes when the other one
/// has been started, which is as it is.
fn one_is_otherwise(test: &Test, otherwise: &str) -> String {
    let first = format!(
        "if mkdir {0} 2> /dev/null; then exec unshare --user --map-root-user --mount --uts sh -c 'hostname odd; {otherwise}; until test -e {0}/other; do sleep 0.01; done; exec \"$@\"' sh \"$@\"; fi; : > {0}/other; exec \"$@\"",
        test.path("first").display()
    );
    format!(
        "start = [\"sh\", \"-c\", {}, \"sh\"]",
        serde_json::Value::from(first)
    )
}

#[test]
fn what_a_machine_lacks_is_told_and_had_on_another_one() {
    let test = Test::new();
    let place = test.path("small");
    std::fs::create_dir(&place).unwrap();
    let place = place.display();
    let of = |start: &str, step: &str| {
        format!(
            r#"
[executors.lab]
{start}
workers = 2
slots = 1
[[step]]
name = "begin"
start = true
script = 'for n in 1 2 3 4; do echo $n > $OUTPUT_DIR/${{n}}_work; done'
[[step]]
name = "work"
executor = "lab"
{step}
"#
        )
    };
    // Its disk is full.
    let full = format!("mount -t tmpfs -o size=2m none {place}; export TMPDIR={place}");
    let step = "script = 'sleep 1; head -c 4000000 /dev/zero > $OUTPUT_DIR/x; cat $INPUT_FILE >> $OUTPUT_DIR/x'";
    test.manifest(&of(&one_is_otherwise(&test, &full), step));
    test.run(["-run"])
        .exits(0)
        .says("odd cannot carry out work #")
        .says(" is full; head: ");
    assert_eq!(test.finals()["x"].len(), 4);
    // It has not the program that the script is given to.
    std::fs::remove_dir_all(test.path("first")).unwrap();
    let shell = test.path("tools/own-shell");
    test.write("tools/own-shell", "#!/bin/sh\nexec sh \"$@\"\n");
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let lacks = format!("mount -t tmpfs none {}", test.path("tools").display());
    let step = format!(
        "shell = [\"{}\", \"-c\"]\nscript = 'sleep 1; cat $INPUT_FILE > $OUTPUT_DIR/y'",
        shell.display()
    );
    test.manifest(&of(&one_is_otherwise(&test, &lacks), &step));
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("odd cannot carry out work #")
        .says("cannot find the shell");
    assert_eq!(test.finals()["y"].len(), 4);
}

/// A pipeline whose steps for `lab` run with so many slots beside a disk of so many MB.
fn with_small_disk(size: u32, slots: u32, steps: &str) -> Test {
    let test = Test::new();
    let place = test.path("small");
    std::fs::create_dir(&place).unwrap();
    let place = place.display();
    test.manifest(&format!(
        r#"
[executors.lab]
start = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size={size}m none {place}; TMPDIR={place} exec "$@"', "sh"]
workers = 1
slots = {slots}
{steps}"#
    ));
    test
}

#[test]
fn a_small_disk_is_shared_out_among_the_tasks_of_a_machine() {
    // All inputs together have no room there, nor three tasks at a time; one does.
    let steps = r#"
[[step]]
name = "begin"
start = true
executor = "local"
script = 'for n in 1 2 3 4 5 6; do head -c 1500000 /dev/urandom > $OUTPUT_DIR/${n}_work; done'
[[step]]
name = "work"
executor = "lab"
script = 'head -c 3000000 /dev/zero > $TMPDIR/x; sleep 0.05; wc -c < $INPUT_FILE | cat > $OUTPUT_DIR/bytes'
"#;
    let test = with_small_disk(8, 3, steps);
    test.run(["-run"])
        .exits(0)
        .says("there is not room for all its tasks on the disk of ")
        .says("fewer run there at once\nhint: make room there")
        .says("7 run, 0 reused, 0 failed")
        .never_says("lost");
    assert_eq!(test.finals()["bytes"], vec![b"1500000\n".to_vec(); 6]);
}

/// The folder of one for whose input there is no room any more while another writes.
#[test]
fn one_that_has_no_room_takes_none_from_those_that_it_waits_for() {
    // An input of 4 MB is there twice, once for the task.
    let steps = r#"
[[step]]
name = "begin"
start = true
executor = "local"
script = 'echo a > $OUTPUT_DIR/1_writes; head -c 4000000 /dev/urandom > $OUTPUT_DIR/2_reads'
[[step]]
name = "writes"
executor = "lab"
script = 'head -c 5000000 /dev/zero > $TMPDIR/x; sleep 1; head -c 5000000 /dev/zero > $TMPDIR/y; echo a > $OUTPUT_DIR/a'
[[step]]
name = "reads"
executor = "lab"
script = 'wc -c < $INPUT_FILE | cat > $OUTPUT_DIR/bytes'
"#;
    let test = with_small_disk(12, 2, steps);
    test.run(["-run"])
        .exits(0)
        .says("3 run, 0 reused, 0 failed")
        .never_says("lost");
    assert_eq!(test.finals()["bytes"], [b"4000000\n".to_vec()]);
}

#[test]
fn what_a_failed_task_left_elsewhere_comes_back() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
cpus = 1
script = 'mkdir $TMPDIR/sub; echo a > $TMPDIR/sub/a; echo b > $OUTPUT_DIR/b; test -z "$FAILS"'
"#,
    );
    let mut command = test.command(["-run", "-keep-failed", "-executor", "child:1"]);
    command.env("FAILS", "yes");
    crate::harness::Running::start(command)
        .end()
        .exits(1)
        .says("task 1 of begin: what it left is kept in")
        .says("`task-pipeline shell begin 1` shows it");
    assert_eq!(test.read("db/failed/1/tmp/sub/a"), "a\n");
    assert_eq!(test.read("db/failed/1/out/b"), "b\n");
    assert_eq!(
        test.text(&["shell", "begin", "--", "sh", "-c", "cat $OUTPUT_DIR/b"]),
        "b\n"
    );
    // What it took is recorded as that of tasks here is.
    assert_eq!(
        test.rows("SELECT cpu_time IS NULL, peak_memory IS NULL FROM task WHERE id = 1"),
        ["0|0"]
    );
    test.run(["-run", "-keep-failed", "-executor", "child:1"])
        .exits(0);
    assert!(!test.path("db/failed").exists());
    test.nothing_temporary_is_left();
}

#[test]
fn who_changes_the_files_of_a_step_there_changes_no_result() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'for n in 1 2 3 4; do echo $n > $OUTPUT_DIR/${n}_work; done'
[[step]]
name = "work"
files = ["lib"]
script = '''
read -r n < $INPUT_FILE
if test $n = 3; then chmod -R u+w lib; echo poison >> lib/a.txt; fi
cat lib/a.txt > $OUTPUT_DIR/$n.txt
'''
"#,
    );
    test.write("lib/a.txt", "a\n");
    test.run(["-run", "-executor", "child:1*1"])
        .exits(1)
        .says("`lib/a.txt` changed while work ran")
        .says("lost: 3 workers could not carry it out");
    let outputs = test.finals();
    assert!(!outputs.contains_key("3.txt"));
    assert!(
        outputs.values().flatten().all(|bytes| bytes == b"a\n"),
        "{outputs:?}"
    );
    assert_eq!(test.read("lib/a.txt"), "a\n");
}

/// What stands for Slurm starts each worker here, with GPUs of its own.
#[test]
fn slurm_is_asked_for_the_gpus_of_a_workers_tasks() {
    let test = Test::with(
        r#"
[executors.cluster]
slurm = ["-p", "gpu"]
workers = 1
slots = 2
[[step]]
name = "begin"
start = true
script = 'for n in 1 2; do echo $n > $OUTPUT_DIR/${n}_train; done'
[[step]]
name = "train"
executor = "cluster"
gpus = 2
script = 'sleep 0.1; echo $CUDA_VISIBLE_DEVICES > $OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME%_train}'
"#,
    );
    let srun = "#!/bin/sh\nif test \"$1\" = --test-only; then exit 0; fi\necho \"$*\" >> \"$ASKED\"\n\
        while test \"$(basename \"$1\")\" != task-pipeline; do shift; done\nexport CUDA_VISIBLE_DEVICES=0,1,2,3\nexec \"$@\"\n";
    for (name, text) in [("srun", srun), ("scancel", "#!/bin/sh\n")] {
        test.write(&format!("bin/{name}"), text);
        let path = test.path(&format!("bin/{name}"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = test.command(["-run"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", test.path("bin").display()));
    command.env("ASKED", test.path("asked"));
    crate::harness::Running::start(command).end().exits(0);
    let asked = test.read("asked");
    assert!(asked.contains(" --gpus-per-node=4 -p gpu "), "{asked}");
    let mut had = vec![test.output("1"), test.output("2")];
    had.sort();
    assert_eq!(had, ["0,1\n", "2,3\n"]);
}
