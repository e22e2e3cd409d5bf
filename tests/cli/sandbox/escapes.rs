//! Ways out of a sandbox by files, each tried by a script that says `out` if it finds one.

use std::path::Path;
use std::process::Command;

use super::{is_left_out, pipeline};
use crate::harness::{Ran, Running, Test};
use crate::privileges::{as_a_user, with_mounts};

/// Where the script were in no sandbox it says so, and touches nothing of the machine.
const GUARD: &str = "if test ! -d /task; then echo out of no sandbox; exit; fi";

/// Runs the script in a sandbox that is made for it alone, and in those that a server makes for many tasks; as the
/// user of the test, and as another one where that is root. It says `out` where it got out.
pub fn try_out(keys: &str, script: impl Fn(&Test) -> String) {
    let check = |ran: Ran, kind: &str| {
        ran.exits(0)
            .says(&format!("| done {kind}"))
            .never_says("| out");
    };
    for (test, kind) in [(Test::new(), "alone"), (Test::apart_for_all(), "served")] {
        let manifest = pipeline(
            keys,
            &format!(
                "{GUARD}\n{}\ngrep -qzx for-many /proc/1/cmdline && echo done served || echo done alone",
                script(&test)
            ),
        );
        test.manifest(&if kind == "served" {
            let inputs = "[[input]]\nlines = 'seq 3'\nstep = 'a'\n\n";
            inputs.to_owned() + &manifest.replace("start = true\n", "")
        } else {
            manifest
        });
        let run = ["-run", "-verbose", "-parallel", "1"];
        check(test.run(run), kind);
        if rustix::process::geteuid().is_root() {
            let own = test.path("db");
            let _ = std::fs::remove_dir_all(own);
            if let Some(ran) = as_a_user(&test, "\"$PROGRAM\" -run -verbose -parallel 1") {
                check(ran, kind);
            }
        }
    }
}

#[test]
fn the_db_the_objects_and_the_home_are_not_there() {
    if is_left_out() {
        return;
    }
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    try_out("", |test| {
        format!(
            r#"
            for path in "{db}" "{db}/db" "{db}/objects" "{db}/tmp" "{home}" /root /nix/var /var/lib /srv /mnt /opt /sys /boot \
                /.host/etc /proc/1/root/etc /task/../db /task/../../db /proc/self/root/root; do
                if test -e "$path"; then echo "out $path"; fi
            done
            find / \( -path /usr -o -path /proc -o -path /etc \) -prune -o \
                \( -name '*.toml' -o -name db -o -name objects -o -name '*view*' \) -print | sed 's/^/out /'
            "#,
            db = test.path("db").display()
        )
    });
}

#[test]
fn inputs_of_others_are_not_there() {
    if is_left_out() {
        return;
    }
    for test in [Test::new(), Test::apart()] {
        test.manifest(
            r#"
            [[input]]
            lines = "seq 8"
            step = "a"

            [[step]]
            name = "a"
            sandbox = true
            script = '''
            own=$(cat "$INPUT_FILE")
            sleep 0.1
            for file in $(find / \( -path /usr -o -path /etc -o -path /proc \) -prune -o \( -name input -o -name '*.sqlite' \) -print); do
                case $file in /task/input) echo found ;; *) echo "out $file" ;; esac
            done
            for file in /proc/[0-9]*/environ; do
                if grep -z '^TASK_PIPELINE_INPUT_NAME=' "$file" | grep -qzvx "TASK_PIPELINE_INPUT_NAME=$own"; then echo "out $file"; fi
            done 2> /dev/null
            test "$(ls /proc | grep -c '^[0-9]')" -lt 8 || echo out processes
            echo "$own" > "$OUTPUT_DIR/n.txt"
            '''
            "#,
        );
        test.run(["-run", "-parallel", "4", "-verbose"])
            .exits(0)
            .says("| found")
            .never_says("| out");
        assert_eq!(test.finals()["n.txt"].len(), 8);
    }
}

#[test]
fn nothing_else_can_be_written_to() {
    if is_left_out() {
        return;
    }
    let script = r#"
        for path in /x ./x mine /usr/x /etc/x /etc/passwd /dev/x /dev/pts/x /run/x /home/x /home/task/../x /task/../x \
            /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
            if (: >> "$path") 2> /dev/null; then echo "out $path"; fi
        done
        for folder in / . /usr /etc /dev /run; do
            if mkdir "$folder/new" 2> /dev/null; then rmdir "$folder/new"; echo "out $folder"; fi
        done
        # Modes and times: what is there is given to it again.
        for path in / . mine /usr /etc /dev /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /proc /proc/meminfo \
            /proc/sys /proc/mtrr /proc/version; do
            if chmod --reference="$path" "$path" 2> /dev/null; then echo "out mode of $path"; fi
            if touch --reference="$path" "$path" 2> /dev/null; then echo "out times of $path"; fi
        done
        find /proc -path '/proc/[0-9]*' -prune -o -path /proc/sys/net -prune -o -path /proc/pressure -prune -o -type f -writable ! -name ns_last_pid -print 2> /dev/null |
            sed 's/^/out /'
        for how in "remount,rw /" "remount,rw,bind /" "remount,rw,bind /usr" "--bind /task /usr" "-t tmpfs tmpfs /mnt"; do
            if mount -o $how 2> /dev/null; then echo "out mount $how"; fi
        done
        if umount /usr 2> /dev/null; then echo out umount; fi
        if unshare -Urm sh -c 'mount -o remount,rw,bind / || mount -o remount,rw,bind /usr || umount /usr || umount -l /proc' 2> /dev/null; then
            echo out of another user namespace
        fi
        # With rights of its own it could mount the control groups of the host, and kill the run there.
        if unshare -U true 2> /dev/null; then echo out in a user namespace; fi
        if unshare -UrmC sh -c 'mount -t cgroup2 c /dev/shm && test -w /dev/shm/cgroup.procs' 2> /dev/null; then echo out control groups; fi
        if unshare -Ur sh -c ': >> /proc/sys/kernel/core_pattern' 2> /dev/null; then echo out core_pattern; fi
    "#;
    try_out("files = ['mine']", |test| {
        test.write("mine", "as it was");
        script.to_owned()
    });
}

/// All that is seen is restricted as a whole, so that none of the calls that this list lacks does anything either.
#[test]
fn every_mount_is_restricted() {
    if is_left_out() {
        return;
    }
    let script = r#"
        while read -r id parent device root at options rest; do
            case $at in /task|/home/task|/dev/shm|/tmp|/dev/pts) ;; /proc) test "$(id -u)" = 0 || continue ;; esac
            case $at in
                /task|/home/task|/dev/shm|/tmp|/dev/pts) ;;
                *) case ,$options, in *,ro,*) ;; *) echo "out $at can be written to: $options" ;; esac ;;
            esac
            case ,$options, in *,nosuid,*) ;; *) echo "out $at gives rights: $options" ;; esac
            case $at in /dev/*) test "$at" = /dev/shm || continue ;; esac
            case ,$options, in *,nodev,*) ;; *) echo "out $at has devices: $options" ;; esac
        done < /proc/self/mountinfo
        test "$(ls -A /dev/pts)" = ptmx || echo out terminals
    "#;
    // One that is not its own, while it looks.
    let _terminal = nix::pty::openpty(None, None).unwrap();
    try_out("files = ['mine']", |test| {
        test.write("mine", "");
        script.to_owned()
    });
}

/// Marks of folders would stay on those that the next task has.
#[test]
fn folders_cannot_be_marked() {
    if is_left_out() {
        return;
    }
    let script = r#"
        perl -e '
            for my $path (".", "/task", "/task/out", "/task/tmp", "/task/input") {
                open my $file, "<", $path or next;
                my $flags = pack "q", 0x8;
                for my $request (0x40086602, 0x40046602, 0x401C5820, 0x800C6613, 0xC0506617, 0x40806685, 0x5000940E) {
                    print "out $request on $path\n" if ioctl $file, $request, $flags . "\0" x 4096;
                    print "out $request is asked for: $!\n" unless $!{EOPNOTSUPP};
                }
            }'
    "#;
    try_out("", |_| script.to_owned());
}

/// What is mounted below a folder that is declared is seen, and cannot be changed either.
#[test]
fn what_is_mounted_below_is_restricted_too() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    std::fs::create_dir_all(test.path("data/below")).unwrap();
    let script = format!(
        "{GUARD}\ncat data/below/file\nif (: >> data/below/file) 2> /dev/null; then echo out; fi\n\
         if (: > data/below/new) 2> /dev/null; then echo out new; fi\n: > /tmp/x && echo done"
    );
    test.manifest(&pipeline("files = ['data']\nfolders = true", &script));
    let script = "mount -t tmpfs tmpfs data/below && echo inner > data/below/file && \"$PROGRAM\" -run -verbose";
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    ran.exits(0)
        .says("| inner")
        .says("| done")
        .never_says("| out");
}

#[test]
fn devices_and_rights_cannot_be_had() {
    if is_left_out() {
        return;
    }
    let script = r#"
        for folder in "$TMPDIR" "$HOME" /dev/shm "$OUTPUT_DIR"; do
            cd "$folder"
            if mknod disk b 254 0 2> /dev/null; then
                if head -c 1 disk > /dev/null 2>&1; then echo out disk; fi
            fi
            if mknod mem c 1 1 2> /dev/null && head -c 1 mem > /dev/null 2>&1; then echo out mem; fi
            if mknod zero c 1 5 2> /dev/null && head -c 1 zero > /dev/null 2>&1; then echo out zero; fi
            rm -f disk mem zero
        done
        for device in /dev/*; do
            case $device in
                /dev/null|/dev/zero|/dev/full|/dev/random|/dev/urandom|/dev/tty|/dev/pts|/dev/shm|/dev/ptmx|/dev/fd|/dev/std*) ;;
                *) echo "out $device" ;;
            esac
        done
        grep -q '^NoNewPrivs:.1$' /proc/self/status || echo out new rights
        grep '^Cap[IPEA][nrfm].*:' /proc/self/status | grep -v ':.0000000000000000$' && echo out capabilities
        perl -e 'my $secured = syscall(`uname -m` =~ /^x86_64/ ? 157 : 167, 27, 0, 0, 0, 0); print "out secure bits $secured\n" unless $secured == 0xef'
        cd "$TMPDIR"
        cp /usr/bin/id own-id
        if chmod u+s own-id 2> /dev/null; then
            test "$(./own-id -u)" = "$(id -u)" || echo out setuid
        fi
        if test "$(id -u)" != 0; then
            if chown 0:0 own-id 2> /dev/null; then echo out chown; fi
            for program in /usr/bin/su /usr/bin/mount /usr/bin/passwd; do
                if test -u "$program"; then
                    uid=$(sh -c "$program --help > /dev/null 2>&1; grep ^Uid /proc/self/status" | cut -f 3)
                    test "$uid" = "$(id -u)" || echo "out $program"
                fi
            done
        fi
    "#;
    try_out("", |_| script.to_owned());
}

/// A node among the files that a step declares opens no device.
#[test]
fn a_declared_file_that_is_a_device_is_none() {
    if is_left_out() || !rustix::process::geteuid().is_root() {
        return;
    }
    let test = Test::new();
    // One that everybody may read: only zeros come of it.
    std::fs::create_dir(test.path("data")).unwrap();
    let made = Command::new("mknod")
        .args(["-m", "666", "data/zero", "c", "1", "5"])
        .current_dir(test.path(""))
        .status()
        .unwrap();
    assert!(made.success());
    let script = format!(
        "{GUARD}\nls data/zero\nif head -c 1 data/zero > /dev/null 2>&1; then echo out; fi\necho done"
    );
    test.manifest(&pipeline("files = ['data']", &script));
    let ran = test.run(["-run", "-verbose"]);
    ran.never_says("| out");
}

/// What is open in the program's own process when it is started, a folder, is no way out.
#[test]
fn what_is_open_is_closed() {
    if is_left_out() {
        return;
    }
    let script = r#"
        for fd in $(ls /proc/self/fd); do
            case $fd in 0|1|2|3) ;; *) echo "out fd $fd" ;; esac
        done
        case $(readlink /proc/self/fd/0) in /dev/null) ;; *) echo out standard input ;; esac
        for fd in 4 5 6 7 8 9 200; do
            if test -e "/proc/self/fd/$fd/workflow.toml"; then echo "out $fd"; fi
            if test -e "/proc/1/fd/$fd/workflow.toml"; then echo "out first $fd"; fi
        done
        echo done
    "#;
    let alone = pipeline("", script);
    let inputs = "[[input]]\nlines = 'seq 3'\nstep = 'a'\n\n";
    let served = inputs.to_owned() + &alone.replace("start = true\n", "");
    for manifest in [alone, served] {
        let test = Test::apart();
        test.manifest(&manifest);
        let mut command = test.shell("exec 7< . 9< .; exec \"$PROGRAM\" -run -verbose -parallel 1");
        command.env("PROGRAM", env!("CARGO_BIN_EXE_task-pipeline"));
        let ran = Running::start(command).end().exits(0);
        ran.says("| done").never_says("| out");
    }
}

#[test]
fn secrets_of_other_steps_are_not_there() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let second =
        "[[step]]\nname = 'b'\nsandbox = true\nsecrets = ['other']\nscript = 'ls /run/secrets'\n";
    let script = format!(
        "{GUARD}\nls /run/secrets\nif grep -rq 0ther /run /task; then echo out; fi\necho 1 > $OUTPUT_DIR/x_b"
    );
    test.manifest(&(pipeline("secrets = ['token']", &script) + second));
    test.write("token", "s3cr3t-t0ken\n");
    test.write("other", "0ther-s3cret\n");
    let secrets = ["-secret", "token=token", "-secret", "other=other"];
    let ran = test
        .run([&["-run", "-verbose"], &secrets[..]].concat())
        .exits(0);
    ran.says("a #1| SECRET_token")
        .never_says("a #1| SECRET_other")
        .says("b #2| SECRET_other")
        .never_says("b #2| SECRET_token")
        .never_says("| out");
}

#[test]
fn objects_are_as_they_were() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.manifest(
        r#"
        [defaults]
        sandbox = true

        [[step]]
        name = "a"
        start = true
        script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/$i.all; done'

        [[step]]
        name = "all"
        gather = true
        from = ["a"]
        script = '''
        for file in "$INPUT_DIR"/*; do
            chmod 777 "$file" 2> /dev/null && echo "out mode"
            (echo x >> "$file") 2> /dev/null && echo "out written"
            ln "$file" "$OUTPUT_DIR/link" 2> /dev/null && echo "out link"
            rm -f "$file" 2> /dev/null && echo "out removed"
            mv "$file" "$TMPDIR/moved" 2> /dev/null && echo "out moved"
        done
        echo done
        '''
        "#,
    );
    std::fs::set_permissions(
        test.path(""),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let Some(ran) = as_a_user(&test, "\"$PROGRAM\" -run -verbose") else {
        return;
    };
    ran.exits(0).says("| done").never_says("| out");
    test.objects_are_whole();
}

/// What a script leaves is taken by a process outside, which follows no links there.
#[test]
fn links_that_it_leaves_lead_nobody_out() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("beside", "n0t declared\n");
    let beside = test.path("beside");
    for leaves in [
        format!("ln -s {} $OUTPUT_DIR/x.txt", beside.display()),
        format!(
            "mkdir $OUTPUT_DIR/f; ln -s {} $OUTPUT_DIR/f/x",
            beside.display()
        ),
        format!(
            "rmdir $OUTPUT_DIR; ln -s {} $OUTPUT_DIR",
            test.path("").display()
        ),
        format!(
            "rmdir $TMPDIR; ln -s {} $TMPDIR; rm $INPUT_FILE; ln -s {} $INPUT_FILE; exit 1",
            test.path("").display(),
            beside.display()
        ),
    ] {
        test.manifest(&pipeline("folders = true", &format!("{GUARD}\n{leaves}")));
        test.run(["-run", "-fresh"]).exits(1);
        assert_eq!(test.read("beside"), "n0t declared\n");
        for object in crate::harness::files(&test.path("db/objects")) {
            let bytes = std::fs::read(&object).unwrap();
            assert!(!bytes.starts_with(b"n0t"), "{leaves} {object:?}");
        }
    }
    assert!(Path::new(&test.path("workflow.toml")).exists());
}
