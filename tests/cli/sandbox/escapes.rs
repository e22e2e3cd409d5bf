//! Ways out of a sandbox, each tried by a script that fails if it finds one.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use super::{is_left_out, pipeline};
use crate::harness::{Ran, Running, Test};
use crate::privileges::as_a_user;

/// Runs the script in a sandbox as the user of the test, and as another one where that is root. It says `out` where it got out.
fn try_out(test: &Test, keys: &str, script: &str) {
    // Where the script were in no sandbox it says so, and touches nothing of the machine.
    let guard = "if test ! -d /task; then echo out of no sandbox; exit; fi";
    test.manifest(&pipeline(keys, &format!("{guard}\n{script}\necho done")));
    let check = |ran: Ran| {
        ran.exits(0).says("| done").never_says("| out");
    };
    check(test.run(["-run", "-fresh", "-verbose"]));
    if rustix::process::geteuid().is_root() {
        let own = test.path("db");
        let _ = std::fs::remove_dir_all(own);
        if let Some(ran) = as_a_user(test, "\"$PROGRAM\" -run -verbose") {
            check(ran);
        }
    }
}

#[test]
fn the_db_the_objects_and_the_home_are_not_there() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let db = test.path("db");
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let script = format!(
        r#"
        for path in "{db}" "{db}/db" "{db}/objects" "{home}" /root /nix/var /var /srv /mnt /opt /sys /boot /.host /proc/1/root/etc; do
            if test -e "$path"; then echo "out $path"; fi
        done
        for file in $(find / -xdev -name '*.toml' -not -path '/usr/*' 2> /dev/null); do echo "out $file"; done
        "#,
        db = db.display()
    );
    try_out(&test, "", &script);
}

#[test]
fn inputs_of_others_are_not_there() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
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
        for file in $(find / -xdev -name input -o -name '*.sqlite' -o -path '/proc/*/environ' 2> /dev/null); do
            case $file in /usr/*|/etc/*|/proc/*) ;; /task/input) ;; *) echo "out $file" ;; esac
        done
        test "$(ls /proc | grep -c '^[0-9]')" -lt 8 || echo out processes
        echo "$own" > "$OUTPUT_DIR/n.txt"
        '''
        "#,
    );
    test.run(["-run", "-parallel", "4", "-verbose"])
        .exits(0)
        .never_says("| out");
    assert_eq!(test.finals()["n.txt"].len(), 8);
}

#[test]
fn nothing_else_can_be_written_to() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("mine", "as it was");
    let script = r#"
        for path in /x ./x mine /usr/x /etc/x /etc/passwd /dev/x /dev/pts/x /run/x /home/x /home/task/../x /proc/sys/kernel/core_pattern \
            /proc/sys/vm/drop_caches /proc/sysrq-trigger /proc/irq/default_smp_affinity /task/../x; do
            if (: >> "$path") 2> /dev/null; then echo "out $path"; fi
        done
        for folder in / . /usr /etc /dev /run; do
            if mkdir "$folder/new" 2> /dev/null; then rmdir "$folder/new"; echo "out $folder"; fi
            if chmod --reference="$folder" "$folder" 2> /dev/null; then echo "out mode of $folder"; fi
        done
        for how in "remount,rw /" "remount,rw,bind /" "remount,rw,bind /usr" "--bind /task /usr" "-t tmpfs tmpfs /mnt"; do
            if mount -o $how 2> /dev/null; then echo "out mount $how"; fi
        done
        if umount /usr 2> /dev/null; then echo out umount; fi
        if unshare -Urm sh -c 'mount -o remount,rw,bind / || mount -o remount,rw,bind /usr || umount /usr || umount -l /proc/sys' 2> /dev/null; then
            echo out of another user namespace
        fi
        if unshare -Ur sh -c ': >> /proc/sys/kernel/core_pattern' 2> /dev/null; then echo out core_pattern; fi
    "#;
    try_out(&test, "files = ['mine']", script);
    assert_eq!(test.read("mine"), "as it was");
}

#[test]
fn devices_and_rights_cannot_be_had() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script = r#"
        cd "$TMPDIR"
        if mknod disk b 254 0 2> /dev/null; then
            if head -c 1 disk > /dev/null 2>&1; then echo out disk; fi
        fi
        if mknod mem c 1 1 2> /dev/null && head -c 1 mem > /dev/null 2>&1; then echo out mem; fi
        for device in /dev/*; do
            case $device in
                /dev/null|/dev/zero|/dev/full|/dev/random|/dev/urandom|/dev/tty|/dev/pts|/dev/shm|/dev/ptmx|/dev/fd|/dev/std*) ;;
                *) echo "out $device" ;;
            esac
        done
        grep -q '^NoNewPrivs:.1$' /proc/self/status || echo out new rights
        grep '^Cap[IPEA][nrfm].*:' /proc/self/status | grep -v ':.0000000000000000$' && echo out capabilities
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
    try_out(&test, "", script);
}

#[test]
fn processes_of_others_cannot_be_reached() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    // One of the same user, with something in its environment.
    let mut other = Command::new("sleep")
        .arg("100")
        .env("OTHERS", "0ther-s3cret")
        .spawn()
        .unwrap();
    let id = other.id();
    let script = format!(
        r#"
        for file in environ mem maps root cwd exe fd/0 ns/mnt cmdline; do
            if test -e "/proc/{id}/$file"; then echo "out $file"; fi
        done
        if kill -0 {id} 2> /dev/null; then echo out signal; fi
        if grep -l 0ther-s3cret /proc/[0-9]*/environ 2> /dev/null; then echo out environ; fi
        for own in exe root cwd environ mem maps fd/0 fd/3 fd/4 ns/mnt; do
            if cat "/proc/1/$own" > /dev/null 2>&1 || readlink "/proc/1/$own" > /dev/null 2>&1; then echo "out first process $own"; fi
        done
        if strace -p 1 -e none 2>&1 | grep -q 'attached'; then echo out ptrace; fi
        if nsenter -t 1 -m true 2> /dev/null; then echo out nsenter; fi
        test "$(ls /proc | grep -c '^[0-9]')" -lt 8 || echo out processes
        "#
    );
    try_out(&test, "", &script);
    other.kill().unwrap();
    other.wait().unwrap();
}

/// What is open in the program's own process when it is started, a folder, is no way out.
#[test]
fn what_is_open_is_closed() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script = r#"
        for fd in $(ls /proc/self/fd); do
            case $fd in 0|1|2|3) ;; *) echo "out fd $fd" ;; esac
        done
        for fd in 4 5 6 7 8 9 200; do
            if test -e "/proc/self/fd/$fd/workflow.toml"; then echo "out $fd"; fi
            if test -e "/proc/1/fd/$fd/workflow.toml"; then echo "out first $fd"; fi
        done
        echo done
    "#;
    test.manifest(&pipeline("", script));
    let mut command = test.shell("exec 7< . 9< .; exec \"$PROGRAM\" -run -verbose");
    command.env("PROGRAM", env!("CARGO_BIN_EXE_task-pipeline"));
    let ran = Running::start(command).end().exits(0);
    ran.says("| done").never_says("| out");
}

#[test]
fn there_is_no_network_unless_it_is_asked_for() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("task-pipeline-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let local = UnixListener::bind_addr(&address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
    std::thread::spawn(move || {
        for stream in local.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
    // bash has sockets, perl has those of names.
    let script = format!(
        r#"
        if (read -r -n 5 word < /dev/tcp/127.0.0.1/{port} && echo "out $word") 2> /dev/null; then :; fi
        perl -MSocket -e '
            socket(S, PF_UNIX, SOCK_STREAM, 0) or exit;
            connect(S, pack("S a*", AF_UNIX, "\0{name}")) or exit;
            print "out by name\n"' || :
        grep -v -e lo: -e '|' /proc/net/dev && echo out devices
        (exec 5<> /dev/udp/127.0.0.1/9) 2> /dev/null || echo no loopback
        "#
    );
    let keys = "shell = ['bash', '-c']";
    test.manifest(&pipeline(keys, &format!("{script}\necho done")));
    let ran = test.run(["-run", "-verbose"]).exits(0);
    ran.says("| done")
        .never_says("| out")
        .never_says("no loopback");
    let keys = format!("{keys}\nnetwork = true");
    test.manifest(&pipeline(&keys, &script));
    let ran = test.run(["-run", "-fresh", "-verbose"]).exits(0);
    ran.says("| out hello");
}

#[test]
fn no_terminal_can_be_written_into() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script = r#"
        if (: < /dev/tty) 2> /dev/null; then echo out terminal; fi
        perl -e 'for my $fd (0, 1, 2) {
            open(my $f, "<&=", $fd) or next;
            my $c = "x";
            print "out TIOCSTI\n" if ioctl($f, 0x5412, $c);
        }' || :
        ls /dev/pts
    "#;
    try_out(&test, "", script);
    // With a terminal, too, where somebody looks around by hand.
    let inject = r#"my $c = "x"; print ioctl(STDIN, 0x5412, $c) ? "injected\n" : "refused\n""#;
    let words = format!("\"$PROGRAM\" shell a -- perl -e '{inject}'");
    let mut command = Command::new("script");
    command.args(["-qec", &words, "/dev/null"]);
    test.prepare(&mut command);
    command.env("PROGRAM", env!("CARGO_BIN_EXE_task-pipeline"));
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    child.wait().unwrap();
    assert!(told.contains("refused"), "{told}");
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
