//! What a script leaves beside its own folders: no other task has anything of it, in a sandbox or not.

use rustix::process::Signal;

use super::is_left_out;
use crate::harness::{Ran, Test, files, wait_for};
use crate::privileges::as_a_user;

/// Runs the pipeline, one task after the other, as the user of the test, and as another one where that is root.
fn runs(test: &Test, manifest: &str, check: impl Fn(Ran)) {
    test.manifest(manifest);
    check(test.run(["-run", "-verbose", "-parallel", "1"]));
    if rustix::process::geteuid().is_root() {
        std::fs::remove_dir_all(test.path("db")).unwrap();
        if let Some(ran) = as_a_user(test, "\"$PROGRAM\" -run -verbose -parallel 1") {
            check(ran);
        }
    }
}

/// The next try, and the next task, could be shown whatever a link leads to.
#[test]
fn no_link_that_it_leaves_shows_anything() {
    if is_left_out() {
        return;
    }
    // A step that fails is tried again; one that does not is followed by another one, for one task and for many.
    for (first, inputs) in [("exit 1", 1), ("echo > a_next", 1), ("echo > a_next", 3)] {
        let test = Test::apart_for_all();
        test.write("outside/key", "secret");
        let outside = test.path("outside");
        let step = |name: &str, end: &str| {
            format!(
                "[[step]]\nname = '{name}'\nsandbox = true\nretries = 1\nretry_delay = '1ms'\nscript = '''\n\
                 if [ -e {0} ] || [ -e {0}/key ] || grep -rs secret /task; then echo out; fi\n\
                 mkdir -p /task/files /task/with/begin\n\
                 for at in /task/files/x /task/with/begin/x; do ln -sf {0} $at; ln -sf {0}/key $at.key; done\n\
                 cd \"$OUTPUT_DIR\"; {end}\n'''\n",
                outside.display()
            )
        };
        let input = format!("[[input]]\nlines = 'seq {inputs}'\nstep = 'begin'\n");
        let steps = step("begin", first) + &step("next", "exit 1");
        runs(&test, &(input + &steps), |ran| {
            ran.exits(1).says("failed: ").never_says("| out");
        });
    }
}

#[test]
fn no_other_task_finds_it() {
    if is_left_out() {
        return;
    }
    for sandbox in [true, false] {
        let test = Test::apart_for_all();
        let manifest = format!(
            r#"
[[input]]
lines = 'seq 6'
step = 'work'

[[step]]
name = 'work'
sandbox = {sandbox}
outputs = ['*_next', '*_set.*']
script = '''
here=${{OUTPUT_DIR%/*}}
{look}
for name in files with state-1-0123456789abcdef other; do
    mkdir -p $here/$name; cp "$INPUT_FILE" $here/$name/stolen
done
n=$(cat "$INPUT_FILE")
cp "$INPUT_FILE" "$OUTPUT_DIR/${{n}}_next"
cp "$INPUT_FILE" "$OUTPUT_DIR/all_set.$n"
chmod 0555 "$here"
'''

# Programs look for settings in the folders above theirs.
[[step]]
name = 'next'
sandbox = {other}
outputs = ['*.txt']
script = '''
for at in $(ls -A "${{OUTPUT_DIR%/*}}"); do
    case $at in input|out|tmp) ;; *) echo "out $at" ;; esac
done
cp "$INPUT_FILE" "$OUTPUT_DIR/one.txt"
'''

# They have folders of such names.
[[step]]
name = 'set'
gather = 'name'
with = ['work']
outputs = ['*.txt']
script = '''
cat "$INPUT_DIR"/* > "$OUTPUT_DIR/got.txt"; ls "$INPUT_DIR" "$WITH_DIR"
'''
"#,
            look = if sandbox {
                "for at in files with other; do if [ -e /task/$at ]; then echo out $at; fi; done"
            } else {
                ""
            },
            other = !sandbox,
        );
        runs(&test, &manifest, |ran| {
            let ran = ran.exits(0).never_says("| out");
            assert_eq!(test.output("got.txt"), "1\n2\n3\n4\n5\n6\n", "{ran}");
        });
    }
}

/// The name of what a task keeps can be worked out: it is the task's all the same.
#[test]
fn no_task_that_goes_on_after_a_kill_begins_with_it() {
    if is_left_out() {
        return;
    }
    let test = Test::with(
        r#"
[[input]]
lines = "echo same"
step = ["plants", "keeps"]

[[step]]
name = "plants"
sandbox = true
script = '''
for version in 1 2; do
    sign=$(perl -MDigest::SHA=sha256,sha256_hex -e '
        local $/; print substr(sha256_hex(pack("q<", shift) . sha256(<STDIN>)), 0, 16)' $version < "$INPUT_FILE")
    for task in 1 2 3 4; do mkdir -p "/task/state-$task-$sign"; echo x > "/task/state-$task-$sign/planted"; done
done
touch "$OUTPUT_DIR/ready"; sleep 600
'''

[[step]]
name = "keeps"
checkpoint = true
script = '''
ls -A "$STATE_DIR" > "$OUTPUT_DIR/found"; echo x > "$STATE_DIR/own"; test -e $COUNT; cat "$STATE_DIR/own" >> "$OUTPUT_DIR/found"
'''
"#,
    );
    let is_ready = || {
        files(&test.path("db"))
            .iter()
            .any(|file| file.ends_with("ready"))
    };
    let running = test.start(["-run", "-parallel", "1"]);
    wait_for("what is planted", is_ready);
    running.signal(Signal::KILL);
    running.end();
    test.write("count", "");
    test.run(["-run", "-only", "keeps"]).exits(0);
    let found = test.output("found");
    assert!(!found.contains("planted"), "{found}");
}

/// That writing does not wait is a pipe's, whoever writes to it.
#[test]
fn no_other_task_writes_as_it_had_it() {
    let sandboxes = if is_left_out() {
        &[false][..]
    } else {
        &[true, false]
    };
    for (sandbox, keys) in sandboxes
        .iter()
        .flat_map(|sandbox| ["", "warm = false\n", "warm = true\n"].map(|keys| (*sandbox, keys)))
    {
        if sandbox && !keys.is_empty() {
            continue;
        }
        let test = Test::with(&format!(
            r#"
[[input]]
lines = 'seq 4'
step = 'sets'

[[step]]
name = 'sets'
sandbox = {sandbox}
{keys}script = '''
seq 100000 | cat
perl -e 'use Fcntl; fcntl($_, F_SETFL, O_WRONLY | O_NONBLOCK) or die for (*STDOUT, *STDERR)'
cp "$INPUT_FILE" "$OUTPUT_DIR/x_writes"
'''

[[step]]
name = 'writes'
shell = ['bash', '-euo', 'pipefail', '-c']
script = 'seq 100000 | cat'
"#
        ));
        test.run(["-run", "-parallel", "1"]).exits(0);
    }
}

/// The mode of what it writes to is not a flag that could be taken back.
#[test]
fn no_other_task_has_its_pipes() {
    if is_left_out() {
        return;
    }
    let manifest = r#"
[[input]]
lines = 'seq 3'
step = 'locks'

[[step]]
name = 'locks'
sandbox = true
script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/x_writes"; cp "$INPUT_FILE" "$OUTPUT_DIR/x_boxed"; chmod 0 /dev/stdout /dev/stderr'

[[step]]
name = 'boxed'
sandbox = true
script = 'echo note > /dev/stderr'

[[step]]
name = 'writes'
script = 'echo note > /dev/stderr'
"#;
    runs(&Test::apart_for_all(), manifest, |ran| {
        ran.exits(0).says("9 run");
    });
}

/// One sandbox after the other is in the same network.
#[test]
fn a_port_is_free_for_each_task() {
    if is_left_out() {
        return;
    }
    let manifest = r#"
[[input]]
lines = 'seq 4'
step = 'serves'

[[step]]
name = 'serves'
sandbox = true
script = '''
perl -MIO::Socket::INET -e '
    my $own = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8080", Listen => 1) or die "no port: $!";
    my $other = IO::Socket::INET->new("127.0.0.1:8080") or die "nobody there: $!";
    my $came = $own->accept or die "nobody came: $!";
    close $came; sysread $other, my $end, 1; close $other'
'''
"#;
    runs(&Test::apart_for_all(), manifest, |ran| {
        ran.exits(0).says("4 run");
    });
}

/// Of what a task is given as links, a sandbox shows what they lead to, for a task alone and for one after the other.
#[test]
fn what_it_is_given_is_there_whoever_runs_it() {
    if is_left_out() {
        return;
    }
    let test = Test::apart_for_all();
    let manifest = r#"
[[step]]
name = 'begin'
start = true
outputs = ['*_pair.*']
script = '''
cd "$OUTPUT_DIR"
for i in 1 2 3 4 5; do
    echo small $i > ${i}_pair.1
    (echo large $i; head -c 9000000 /dev/zero) > ${i}_pair.2
done
'''

[[step]]
name = 'pair'
sandbox = true
gather = 'name'
outputs = ['*_last', '*.txt']
script = '''
cd "$INPUT_DIR"
for file in *; do
    if (echo >> $file) 2> /dev/null || chmod u+w "$(readlink -f $file)" 2> /dev/null; then echo "out $file"; fi
    head -n 1 $file | tee -a "$OUTPUT_DIR/a_last"
done > "$OUTPUT_DIR/two.txt"
cat *.2 | wc -c >> "$OUTPUT_DIR/two.txt"
'''

[[step]]
name = 'last'
sandbox = true
gather = true
with = ['begin', 'pair']
outputs = ['*.txt']
script = 'cat "$WITH_DIR"/pair/*.txt > "$OUTPUT_DIR/end.txt"; cat "$WITH_DIR"/begin/*.2 | wc -c >> "$OUTPUT_DIR/end.txt"'
"#;
    runs(&test, manifest, |ran| {
        let ran = ran.exits(0).never_says("| out");
        let pairs: Vec<String> = (1..=5)
            .map(|n| format!("small {n}\nlarge {n}\n9000008\n"))
            .collect();
        let found = test.finals().remove("two.txt").unwrap();
        let found = found
            .into_iter()
            .map(|text| String::from_utf8(text).unwrap());
        assert_eq!(found.collect::<Vec<_>>(), pairs);
        assert_eq!(
            test.output("end.txt"),
            pairs.concat() + "45000040\n",
            "{ran}"
        );
        test.objects_are_whole();
    });
}
