//! Ways out of a sandbox by what is no file: processes, memory, keys, network, terminals.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command, Stdio};

use super::escapes::try_out;
use super::{is_left_out, pipeline};
use crate::harness::{Running, Test, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// Ends with the test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Shared memory that goes with the test.
struct Segment(String);

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = Command::new("ipcrm").args(["-m", &self.0]).status();
    }
}

#[test]
fn processes_of_others_cannot_be_reached() {
    if is_left_out() {
        return;
    }
    // One of the same user, with something in its environment.
    let mut other = Command::new("sleep");
    let other = Other(
        other
            .arg("100")
            .env("OTHERS", "0ther-s3cret")
            .spawn()
            .unwrap(),
    );
    let id = other.0.id();
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
        # Its memory, by the two calls for that.
        perl -e '
            my $traced = `uname -m` =~ /^x86_64/ ? 101 : 117;
            my $read = `uname -m` =~ /^x86_64/ ? 310 : 270;
            for my $id (1, {id}) {{
                if (syscall($traced, 16, $id, 0, 0) == 0) {{ print "out ptrace $id\n"; syscall($traced, 17, $id, 0, 0) }}
                my $to = "\0" x 8;
                my $here = pack("p Q", $to, 8);
                my $there = pack("Q Q", unpack("Q", pack("p", $to)), 8);
                print "out memory of $id\n" if syscall($read, $id, $here, 1, $there, 1, 0) > 0;
            }}'
        if nsenter -t 1 -m true 2> /dev/null; then echo out nsenter; fi
        test "$(ls /proc | grep -c '^[0-9]')" -lt 8 || echo out processes
        "#
    );
    try_out("", |_| script.clone());
}

/// Memory that all processes of a user share, and the names of the machine.
#[test]
fn shared_memory_is_its_own() {
    if is_left_out() {
        return;
    }
    let made = Command::new("ipcmk")
        .args(["-M", "64", "-p", "0666"])
        .output();
    let said = String::from_utf8(made.unwrap().stdout).unwrap();
    let id = said.trim().rsplit(' ').next().unwrap().to_owned();
    let segment = Segment(id);
    let script = format!(
        r#"
        perl -e 'my $read; print "out shared memory\n" if shmread({id}, $read, 0, 8)'
        test "$(hostname)" = localhost || echo out the name of the machine
        "#,
        id = segment.0
    );
    try_out("", |_| script.clone());
}

/// Keys of the user outlive processes, and are no files.
#[test]
fn keys_are_out_of_reach() {
    if is_left_out() {
        return;
    }
    let number = r#"my $number = `uname -m` =~ /^x86_64/ ? 248 : 217; my ($kind, $name, $text) = ("user", "task-pipeline-test", "x");"#;
    // In those of the user, of the session and of a new one.
    let script = format!(
        r#"
        perl -e '{number}
            for my $ring (-4, -3) {{
                print "out key\n" if syscall($number, $kind, $name, $text, 1, $ring) >= 0;
                print "out search\n" if syscall($number + 2, 10, $ring, $kind, $name, 0) >= 0;
            }}
            print "out request\n" if syscall($number + 1, $kind, $name, 0, -3) >= 0;'
        if grep task-pipeline-test /proc/keys; then echo out list; fi
        "#
    );
    try_out("", |_| script.clone());
    let test = Test::new();
    test.manifest(&pipeline("", &format!("{script}\necho done")));
    // A session with a key of this test, which it ends with.
    let with_key = format!(
        r#"{number}
        syscall($number + 2, 1, 0) >= 0 or die "no session: $!";
        my $key = syscall($number, $kind, $name, $text, 1, -3);
        # Nobody is told of it but who has it.
        $key >= 0 && syscall($number + 2, 5, $key, 0x3f000000) >= 0 or die "no key: $!";
        exec $ENV{{PROGRAM}}, "-run", "-verbose""#
    );
    let mut command = Command::new("perl");
    command.args(["-e", &with_key]);
    test.prepare(&mut command);
    command.env("PROGRAM", PROGRAM);
    let ran = Running::start(command).end().exits(0);
    ran.says("| done").never_says("| out");
}

#[test]
fn there_is_no_network_unless_it_is_asked_for() {
    if is_left_out() {
        return;
    }
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
    // bash has sockets, perl has those of names, and those that are in no namespace of a network.
    let script = format!(
        r#"
        if (read -r -n 5 word < /dev/tcp/127.0.0.1/{port} && echo "out $word") 2> /dev/null; then :; fi
        perl -MSocket -e '
            for my $family (17, 38, 40) {{
                print "out family $family\n" if socket(S, $family, SOCK_STREAM, 0) || $! != 97;
            }}
            print "out io_uring\n" if syscall(425, 1, 0) >= 0 || $! != 38;
            print "out pairs\n" unless socketpair(A, B, AF_UNIX, SOCK_STREAM, 0);
            socket(S, PF_UNIX, SOCK_STREAM, 0) or exit;
            connect(S, pack("S a*", AF_UNIX, "\0{name}")) or exit;
            print "out by name\n"' || :
        grep -v -e lo: -e '|' /proc/net/dev && echo out devices
        (exec 5<> /dev/udp/127.0.0.1/9) 2> /dev/null || echo out of order: no loopback
        "#
    );
    let keys = "shell = ['bash', '-c']";
    try_out(keys, |_| script.clone());
    let test = Test::new();
    let keys = format!("{keys}\nnetwork = true");
    test.manifest(&pipeline(&keys, &script));
    let ran = test.run(["-run", "-fresh", "-verbose"]).exits(0);
    ran.says("| out hello");
}

/// Starts a line of a shell on a terminal of its own: what is written there.
fn on_a_terminal(test: &Test, line: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]);
    test.prepare(&mut command);
    command.env("PROGRAM", PROGRAM);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut told).unwrap();
    child.wait().unwrap();
    told
}

#[test]
fn no_terminal_can_be_written_into() {
    if is_left_out() {
        return;
    }
    let script = r#"
        if (: < /dev/tty) 2> /dev/null; then echo out terminal; fi
        perl -e 'for my $fd (0, 1, 2) {
            open(my $f, "<&=", $fd) or next;
            my $c = "x";
            print "out TIOCSTI\n" if ioctl($f, 0x5412, $c);
        }' || :
    "#;
    try_out("", |_| script.to_owned());
    // Where there is one, no task has it.
    let test = Test::new();
    test.manifest(&pipeline("", &format!("{script}\necho done")));
    let told = on_a_terminal(&test, "\"$PROGRAM\" -run -verbose");
    assert!(told.contains("| done"), "{told}");
    assert!(!told.contains("| out"), "{told}");
    // Who looks around by hand has one, as standard input or by its name.
    let inject = r#"my $c = "x"; print ioctl(STDIN, 0x5412, $c) ? "injected\n" : "refused\n""#;
    for line in [
        format!("\"$PROGRAM\" shell a -- perl -e '{inject}'"),
        format!(
            "\"$PROGRAM\" shell a -- sh -c 'perl -e \"$0\" < /dev/tty' '{inject}' < /dev/null 2> /dev/null | cat"
        ),
    ] {
        let told = on_a_terminal(&test, &line);
        assert!(told.contains("refused"), "{told}");
    }
}

/// A daemon ends with the sandbox, and the sandbox with whoever started it, however that ends.
#[test]
fn nothing_is_left_when_the_process_outside_is_killed() {
    if is_left_out() {
        return;
    }
    let kinds = [
        ("alone", false),
        ("served", false),
        ("alone", true),
        ("served", true),
    ];
    for (at, (kind, with_run)) in kinds.into_iter().enumerate() {
        let test = Test::apart();
        let own = format!("{}{:06}", at + 1, std::process::id());
        let script = format!(
            "own={own}$(cat $INPUT_FILE); setsid sleep $own & setsid sleep $own & echo begun; wait; sleep $own"
        );
        let manifest = pipeline("timeout = '1m'", &script);
        test.manifest(&if kind == "served" {
            let inputs = "[[input]]\nlines = 'seq 3'\nstep = 'a'\n\n";
            inputs.to_owned() + &manifest.replace("start = true\n", "")
        } else {
            manifest
        });
        let running = test.start(["-run", "-verbose", "-parallel", "1"]);
        running.says("| begun");
        let first = if kind == "served" {
            format!("{own}1")
        } else {
            own
        };
        wait_for("the daemons", || count(&["sleep", &first]) == 2);
        // Whoever waits outside: a child of the run.
        let run = running.pid().to_string();
        let outside = processes().into_iter().find(|one| {
            one.parent == run && one.words.get(1).is_some_and(|word| word == "in-a-sandbox")
        });
        let outside = outside.unwrap_or_else(|| panic!("{kind}: nobody waits outside"));
        if with_run {
            // Nobody is there who could end what is left.
            running.signal(rustix::process::Signal::KILL);
        }
        rustix::process::kill_process(outside.id, rustix::process::Signal::KILL).unwrap();
        wait_for("their end", || count(&["sleep", &first]) == 0);
        if !with_run {
            running.signal(rustix::process::Signal::TERM);
        }
        running.end();
        if !with_run {
            test.nothing_temporary_is_left();
        }
    }
}

struct Process {
    id: rustix::process::Pid,
    parent: String,
    words: Vec<String>,
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit(')').next()?.split(' ').nth(2)?.to_owned();
            let words = std::fs::read(entry.path().join("cmdline")).ok()?;
            let words = String::from_utf8_lossy(&words);
            Some(Process {
                id: rustix::process::Pid::from_raw(id)?,
                parent,
                words: words
                    .trim_end_matches('\0')
                    .split('\0')
                    .map(str::to_owned)
                    .collect(),
            })
        })
        .collect()
}

/// How many processes have these words.
fn count(words: &[&str]) -> usize {
    processes().iter().filter(|one| one.words == words).count()
}
