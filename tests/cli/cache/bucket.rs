//! A cache in a bucket of somebody else's S3: `moto`, a server that is on the Python package index.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::with_key;
use crate::harness::{Ran, Running, Test, wait_for};

/// The server, until it is dropped.
struct Moto {
    child: Child,
    port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// None where such tests are left out.
    fn start() -> Option<Self> {
        const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_S3";
        if std::env::var_os(OPT_OUT).is_some_and(|value| !value.is_empty()) {
            eprintln!("left out ({OPT_OUT}=1)");
            return None;
        }
        // Where tests/run puts it.
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/moto/bin/moto_server");
        let program = if own.exists() {
            own
        } else {
            PathBuf::from("moto_server")
        };
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}: tests/run installs it; {OPT_OUT}=1 leaves these tests out",
                    program.display()
                )
            });
        // Who connects to a port that is free may be given that one, and hear himself.
        let is_other =
            |stream: TcpStream| stream.local_addr().unwrap() != stream.peer_addr().unwrap();
        wait_for("moto", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok_and(is_other)
        });
        Some(Self { child, port })
    }

    /// A request of the one who runs; moto looks at no signature. What it says.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} /{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        assert!(
            head.lines()
                .next()
                .is_some_and(|line| line.contains(" 200 ")),
            "{method} {path}: {head}"
        );
        answer
    }

    /// The keys in a bucket.
    fn keys(&self, bucket: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("{bucket}?list-type=2"), b"");
        let answer = String::from_utf8(answer).unwrap();
        let keys = answer.split("<Key>").skip(1);
        keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned())
            .collect()
    }

    /// Runs in a db of that name, with a cache there that is written to or read.
    fn run(&self, test: &Test, db: &str, url: &str, puts: bool) -> Ran {
        let cache = if puts {
            ["-cache-push", url, "-cache-key", "lab.secret"]
        } else {
            ["-cache", url, "-cache-trust", "lab.public"]
        };
        let mut command = test.command(["-run", "-db", db].iter().chain(&cache));
        command
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            )
            .env("AWS_ACCESS_KEY_ID", "somebody")
            .env("AWS_SECRET_ACCESS_KEY", "something")
            .env("AWS_REGION", "us-east-1");
        Running::start(command).end().exits(0)
    }
}

#[test]
fn a_bucket_of_somebody_elses_has_results() {
    let Some(moto) = Moto::start() else { return };
    let test = with_key("lab");
    moto.ask("PUT", "bucket", b"");
    let url = "s3://bucket/a/prefix";
    moto.run(&test, "one", url, true)
        .says("10 results put in s3://bucket/a/prefix");
    // What is there stays.
    let before = moto.keys("bucket");
    assert!(
        before.iter().all(|key| key.starts_with("a/prefix/")),
        "{before:?}"
    );
    moto.run(&test, "two", url, true).says("10 from a cache");
    assert_eq!(moto.keys("bucket"), before);
    let ran = moto.run(&test, "three", url, false);
    ran.says("10 from a cache");
    assert_eq!(test.times("work"), 10);
    test.text(&["verify", "-db", "three"]);

    // One object is cut off, one record is made up.
    let of = |kind: &str| {
        let mut keys = before.iter().filter(|key| key.contains(kind));
        keys.next().unwrap().clone()
    };
    moto.ask("PUT", &format!("bucket/{}", of("/results/")), b"{}");
    let object = of("/objects/");
    moto.ask("PUT", &format!("bucket/{object}"), b"\x28\xb5\x2f\xfd");
    let ran = moto.run(&test, "four", url, false);
    let ran = ran.says("warning").says(" from a cache");
    assert!(!ran.stderr.contains("10 from a cache"), "{ran:?}");
    assert!(test.times("work") > 10);
    test.text(&["verify", "-db", "four"]);
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let Some(moto) = Moto::start() else { return };
    let test = with_key("lab");
    moto.run(&test, "one", "s3://nowhere", true)
        .says("10 results are not in s3://nowhere")
        .says("there is no such bucket, or nothing may be put there");
    moto.run(&test, "two", "s3://nowhere", false);
    assert_eq!(test.times("work"), 20);
}

#[test]
fn hundreds_at_once_come_without_a_time_out() {
    let Some(moto) = Moto::start() else { return };
    let test = with_key("lab");
    moto.ask("PUT", "many", b"");
    // Half a MiB each that compresses to nothing.
    test.manifest(
        &test
            .read("workflow.toml")
            .replace("1 2 3 4 5 6 7 8 9 10", "$(seq 200)")
            .replace(
                "cp $INPUT_FILE $OUTPUT_DIR/out.txt",
                "{ cat $INPUT_FILE; head -c 500000 /dev/zero; } > $OUTPUT_DIR/out.txt",
            ),
    );
    moto.run(&test, "one", "s3://many", true)
        .says("200 results put in s3://many");
    moto.run(&test, "two", "s3://many", false)
        .says("200 from a cache")
        .never_says("not used any more");
    assert_eq!(test.times("work"), 200);
}
