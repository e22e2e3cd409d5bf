//! Answers as files, by one who does not come to the end.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Test;

/// One task that leaves very many files.
const MANY: &str = r#"
[[step]]
name = "many"
start = true
script = 'i=0; while [ $i -lt 3000 ]; do echo $i > "$OUTPUT_DIR/$i.txt"; i=$((i + 1)); done'
"#;

/// What this program has for its own in the folder.
fn own(world: &Test) -> Vec<String> {
    fs::read_dir(world.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".task-pipeline-"))
        .collect()
}

/// A call that a test which fails does not leave behind.
struct Call(Option<Child>);

impl Call {
    fn begin(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    /// An export that has begun to write files, and is stopped there.
    fn stopped(world: &Test) -> Self {
        let before = own(world);
        let call = Self::begin(world.command(&["export", "-to", "out"]));
        wait_for(|| {
            own(world).iter().any(|name| {
                let files = fs::read_dir(world.path(name).join("files"));
                !before.contains(name) && files.is_ok_and(|mut files| files.next().is_some())
            })
        });
        call.signal(Signal::STOP);
        call
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.0.as_ref().unwrap()), signal).unwrap();
    }

    fn end(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for(there: impl Fn() -> bool) {
    let begin = Instant::now();
    while !there() {
        assert!(begin.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn an_export_that_is_ended_leaves_nothing() {
    let world = Test::in_memory();
    world.manifest(MANY);
    world.text(&["-run", "-quiet"]);
    for (asked, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let call = Call::stopped(&world);
        call.signal(asked);
        call.signal(Signal::CONT);
        let ended = call.end();
        assert_eq!(ended.status.code(), Some(128 + number), "{ended:?}");
        assert_eq!(own(&world), [""; 0]);
        assert!(!world.path("out").exists());
    }

    // Nobody is asked: the next one to export takes it away, but not what another one is at.
    let killed = Call::stopped(&world);
    killed.signal(Signal::KILL);
    assert_eq!(killed.end().status.signal(), Some(9));
    let left = own(&world);
    assert_eq!(left.len(), 1, "{left:?}");
    let other = Call::stopped(&world);
    let made = own(&world);
    assert!(made.len() == 1 && made != left, "{made:?}");
    world.text(&["export", "-to", "second"]);
    assert_eq!(own(&world), made);
    other.signal(Signal::CONT);
    assert!(other.end().status.success());
    assert_eq!(own(&world), [""; 0]);
    for name in ["out", "second"] {
        assert_eq!(fs::read_dir(world.path(name)).unwrap().count(), 3000);
    }
}

/// Brothers: the trace of a run that is killed.
#[test]
fn what_a_killed_run_left_of_its_trace_goes_with_the_next() {
    let world = Test::with(
        "[[step]]\nname = 'only'\nstart = true\n\
         script = 'touch started; while [ -e started ]; do sleep 0.02; done'\n",
    );
    let run = Call::begin(world.command(&["-run", "-quiet", "-trace", "trace.json"]));
    wait_for(|| world.path("started").exists());
    run.signal(Signal::KILL);
    fs::remove_file(world.path("started")).unwrap();
    run.end();
    assert_eq!(own(&world).len(), 1);
    world.text(&["report", "-o", "page.html"]);
    assert_eq!(own(&world).len(), 1, "another kind of file");
    world.manifest("[[step]]\nname = 'only'\nstart = true\nscript = 'true'\n");
    world.text(&["-run", "-quiet", "-trace", "trace.json"]);
    assert_eq!(own(&world), [""; 0]);
    assert!(world.path("trace.json").exists());
}
