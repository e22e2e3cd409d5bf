use std::ffi::CString;
use std::path::Path;
use std::time::Instant;

use super::handle::Phase;
use super::*;

fn shell(script: &str, time: Option<Duration>) -> Invocation {
    let words = [c"sh", c"-c"].map(CString::from);
    let words = words.into_iter().chain([CString::new(script).unwrap()]);
    Invocation {
        program: "/bin/sh".into(),
        words: words.collect(),
        variables: [("PATH".into(), "/usr/bin:/bin".into())].into(),
        folder: std::env::current_dir().unwrap(),
        openings: Vec::new(),
        limits: Limits { time },
    }
}

fn run(handle: &Handle, script: &str, timeout: Option<Duration>) -> (Ended, Vec<u8>, Vec<u8>) {
    run_this(handle, shell(script, timeout))
}

fn run_this(handle: &Handle, invocation: Invocation) -> (Ended, Vec<u8>, Vec<u8>) {
    let mut pipes = Pipes::new().unwrap();
    let spec = [invocation.prepare(&pipes).unwrap()];
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (end, _) = handle
        .launch(
            &spec,
            &mut pipes,
            &mut |stream, bytes: &[u8]| match stream {
                Stream::Stdout => out.extend_from_slice(bytes),
                Stream::Stderr => err.extend_from_slice(bytes),
            },
        )
        .unwrap();
    (end, out, err)
}

#[test]
fn one_can_be_put_into_another() {
    let inner = shell("nice; echo $KEPT $0 $1; cat; exit 3", None);
    let mut words = inner.words.clone();
    words.extend([c"zero", c"one"].map(CString::from));
    let input = Opening::Read(0, c"/etc/hostname".into());
    let inner = Invocation {
        words,
        openings: vec![input],
        ..inner
    };
    let (nice, env) = (Path::new("/usr/bin/nice"), Path::new("/usr/bin/env"));
    let nicer = inner.within(nice, &["-n".as_ref(), "7".as_ref()]).unwrap();
    let outer = nicer.within(env, &["KEPT=a b".as_ref()]).unwrap();
    let (end, out, _) = run_this(&Handle::default(), outer);
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    // The tests themselves may run at some niceness.
    let own = std::process::Command::new(nice).output().unwrap().stdout;
    let own: i32 = String::from_utf8(own).unwrap().trim().parse().unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{}\na b zero one\n{host}", (own + 7).min(19))
    );
    assert_eq!(describe(end.status), "exit status 3");
}

fn end(script: &str) -> String {
    describe(run(&Handle::default(), script, None).0.status)
}

#[test]
fn endings_in_words() {
    assert_eq!(end("exit 3"), "exit status 3");
    assert_eq!(end("kill -9 $$"), "killed by SIGKILL");
}

#[test]
fn all_that_is_written_arrives() {
    let script = "echo a; echo b >/dev/stderr; echo c >/dev/stdout; seq 1 100000; echo d >&2";
    let (_, out, err) = run(&Handle::default(), script, None);
    assert_eq!(err, b"b\nd\n");
    assert!(out.starts_with(b"a\nc\n1\n") && out.ends_with(b"\n100000\n"));
}

#[test]
fn the_whole_group_is_ended() {
    let handle = Handle::default();
    let other = handle.clone();
    let thread = std::thread::spawn(move || run(&other, "sleep 60 & sleep 60", None));
    while !matches!(handle.lock().phase, Phase::Running { .. }) {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(50));
    handle.end();
    let (end, ..) = thread.join().unwrap();
    assert_eq!(describe(end.status), "killed by SIGTERM");
    assert_eq!(end.cut, Some(StopReason::Asked));
}

#[test]
fn time_is_limited() {
    let (end, out, _) = run(
        &Handle::default(),
        "trap 'echo bye; exit 0' TERM; sleep 60 & wait",
        Some(Duration::from_millis(100)),
    );
    assert_eq!(end.cut, Some(StopReason::Timeout));
    assert_eq!(out, b"bye\n");
}

#[test]
fn who_does_not_listen_has_its_grace_and_no_more() {
    let script = "trap '' TERM; while :; do sleep 0.01; done";
    let (limit, grace) = (Duration::from_millis(50), Duration::from_millis(200));
    let began = Instant::now();
    let (end, ..) = run(&Handle::new(grace), script, Some(limit));
    assert_eq!(describe(end.status), "killed by SIGKILL");
    assert_eq!(end.cut, Some(StopReason::Timeout));
    assert!(began.elapsed() >= limit + grace);
    assert!(began.elapsed() < GRACE);
}

#[test]
fn what_is_left_is_seen_and_killed() {
    let handle = Handle::default();
    let (end, ..) = run(&handle, "sleep 60 >/dev/null 2>&1 &", None);
    end.left.unwrap().kill();
    assert_eq!(run(&handle, ":", None).0.left, None);
}

#[test]
fn a_refused_child_never_runs() {
    let handle = Handle::default();
    handle.end();
    let mut pipes = Pipes::new().unwrap();
    let spec = [shell("true", None).prepare(&pipes).unwrap()];
    let end = handle.launch(&spec, &mut pipes, &mut |_, _: &[u8]| {});
    assert!(matches!(end, Err(RunError::Refused)));
}

#[test]
fn one_that_is_stopped_ends_in_time() {
    let began = Instant::now();
    let stop = "kill -STOP $$; sleep 60";
    let limit = Some(Duration::from_millis(100));
    let (end, ..) = run(&Handle::default(), stop, limit);
    assert_eq!(end.cut, Some(StopReason::Timeout));
    assert_eq!(describe(end.status), "killed by SIGTERM");
    assert!(began.elapsed() < GRACE);
}

#[test]
fn time_in_which_all_is_stopped_does_not_count() {
    let (roll, handle) = (Roll::default(), Handle::default());
    roll.add(handle.clone());
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.01; done; echo end";
    let limit = Some(Duration::from_millis(400));
    let thread = std::thread::spawn(move || run(&handle, script, limit));
    std::thread::sleep(Duration::from_millis(30));
    roll.halt_while(|| std::thread::sleep(Duration::from_millis(500)));
    let (end, out, _) = thread.join().unwrap();
    assert_eq!(end.cut, None);
    assert!(out.ends_with(b"10\nend\n"));
}

/// A pipe may be larger than most, and may keep apart what is written apart.
#[cfg(target_os = "linux")]
#[test]
fn all_that_was_written_is_taken_out_of_a_pipe() {
    use rustix::fs::OFlags;
    let mut pipes = Pipes::new().unwrap();
    let write = &pipes.stdout.write;
    rustix::pipe::fcntl_setpipe_size(write, 1 << 20).unwrap();
    rustix::fs::fcntl_setfl(write, OFlags::DIRECT | OFlags::NONBLOCK).unwrap();
    let mut written = 0;
    while let Ok(length) = rustix::io::write(write, &[b'x'; 4096]) {
        written += length;
    }
    assert!(written > 1 << 19, "{written}");
    let mut read = 0;
    pipes
        .drain(&mut |_, bytes: &[u8]| read += bytes.len())
        .unwrap();
    assert_eq!(read, written);
    pipes.settle(false).unwrap();
    let flags = rustix::fs::fcntl_getfl(&pipes.stdout.write).unwrap();
    assert!(!flags.intersects(OFlags::DIRECT | OFlags::NONBLOCK));
}
