//! What a script in a sandbox leaves on the host's disk gives nobody rights.

use super::escapes::try_out;
use super::{is_left_out, pipeline};
use crate::harness::Test;
use crate::privileges::with_mounts;

/// Makes and changes files with each of these modes, by all calls of x86-64 that can.
const MODES: &str = r#"
    perl -e '
        umask 0;
        my $raw = `uname -m` =~ /^x86_64/;
        my $here = -100;
        open my $file, ">", "f";
        my ($count, @made) = (0);
        sub told { my ($done, $name, $bits) = @_; printf "out %s %o\n", $name, $bits if $done; }
        for my $bits (04755, 02755, 06711) {
            told(chmod($bits, "f"), "chmod", $bits);
            told(chmod($bits, $file), "fchmod", $bits);
            told(mkdir("d$count", $bits), "mkdir", $bits);
            told(sysopen(my $new, "n$count", 0101, $bits), "open", $bits);
            $count++;
            next unless $raw;
            my $name = "r$count";
            my $calls = {
                open => [2, $name, 0101, $bits],
                creat => [85, $name, $bits],
                chmod => [90, "f", $bits],
                fchmod => [91, fileno $file, $bits],
                mknod => [133, $name, 0100000 | $bits, 0],
                openat => [257, $here, $name, 0101, $bits],
                tmpfile => [257, $here, ".", 020200001, $bits],
                mknodat => [259, $here, $name, 0100000 | $bits, 0],
                fchmodat => [268, $here, "f", $bits],
                openat2 => [437, $here, $name, pack("QQQ", 0101, $bits, 0), 24],
                fchmodat2 => [452, $here, "f", $bits, 0],
            };
            for my $call (sort keys %$calls) {
                my @words = @{$calls->{$call}};
                told(syscall(shift @words, @words) >= 0, $call, $bits);
                unlink $name;
            }
        }
        if ($raw) {
            my ($path, $value) = ("f", pack("V5", 0x2000001, 0x3fff, 0, 0, 0));
            for my $attribute ("user.x", "security.capability") {
                my $name = $attribute;
                told(syscall(188, $path, $name, $value, 20, 0) == 0, $name, 0);
                told(syscall(190, fileno $file, $name, $value, 20, 0) == 0, $name, 0);
            }
            my $setup = "\0" x 120;
            told(syscall(425, 4, $setup) >= 0, "io_uring", 0);
        }
        chmod 0755, "f" or print "out of order: chmod\n";
        mkdir "plain", 01777 or print "out of order: mkdir\n";
        sysopen(my $plain, "plain/f", 0101, 0640) or print "out of order: open\n";
    '
    find . -perm /6000 | sed 's/^/out of find: /'
    cp -p f copied && mkdir -m 700 private && install -m 755 f installed || echo out of order
    rm -rf f d? n? copied private installed plain
"#;

#[test]
fn no_file_takes_the_rights_of_its_owner() {
    if is_left_out() {
        return;
    }
    for keys in ["", "network = true"] {
        try_out(keys, |_| format!("cd \"$TMPDIR\"\n{MODES}"));
    }
}

#[test]
fn what_others_may_not_read_of_the_host_root_does_not_either() {
    if is_left_out() {
        return;
    }
    let script = r#"
        for kind in "f ! -perm -004" "d ! -perm -001"; do
            find /etc -type $kind -exec sh -c 'if test -d "$1"; then ls -A "$1"; else cat "$1"; fi' sh {} \; 2> /dev/null | sed 's/^/out /'
        done
        for file in $(find /etc -maxdepth 1 -type f ! -perm -004); do
            unshare -Urm sh -c 'umount "$1"; cat "$1" && echo' sh "$file" 2> /dev/null | sed '/^$/d; s/^/out of another user namespace /'
        done
        test -s /etc/passwd && cat /etc/passwd > /dev/null || echo out of order
        test ! -e /.nothing || echo out of order: nothing
    "#;
    try_out("", |_| script.to_owned());
}

/// Where a folder hands its group on, so does each that is made in it, and programs that change modes say so again.
#[test]
fn folders_may_hand_their_group_on_where_the_db_does() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.manifest(&pipeline(
        "folders = true",
        "mkdir $OUTPUT_DIR/f; chmod 700 $OUTPUT_DIR/f; test -g $OUTPUT_DIR/f; echo x > $OUTPUT_DIR/f/x\n\
         cp /bin/sh $TMPDIR/sh; ! chmod 4755 $TMPDIR/sh",
    ));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2755);
    std::fs::set_permissions(test.path(""), mode).unwrap();
    test.runs();
}

#[test]
fn a_pipeline_amid_the_programs_of_the_host_is_refused() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.manifest(&pipeline("", "ls -a"));
    let script = "mount -t tmpfs tmpfs /usr/local && mkdir /usr/local/p && cp workflow.toml /usr/local/p &&\n\
         cd /usr/local/p && \"$PROGRAM\" -run; echo status $?; cd - > /dev/null\n\
         \"$PROGRAM\" -db /usr/local/p/own -run; echo status $?\n\
         ln -s /usr/local/p db; mkdir /usr/local/p/objects; \"$PROGRAM\" -run; echo status $?";
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    assert_eq!(ran.stdout, "status 2\nstatus 2\nstatus 2\n", "{ran}");
    ran.says("see all that is in /usr/local/p,")
        .says("see all that is in /usr/local/p/own,")
        .says("hint: have the manifest and the db outside of /usr");
}

/// It says nothing of where they are, and the script has gone elsewhere.
#[test]
fn a_bare_pattern_is_no_file() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("data/one.csv", "");
    test.manifest(&pipeline("", "cat *"));
    test.run(["-run"]).exits(1).never_says("add \"*\"");
    test.manifest(&pipeline("", "cat data/*.csv"));
    test.run(["-run", "-fresh"])
        .exits(1)
        .says("add \"data/*.csv\" to the step's `files`");
}
