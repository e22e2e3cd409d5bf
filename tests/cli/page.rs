//! Graphs and pages through the program, and the page in a real browser.
//!
//! The browser is `chromium` on PATH, or what `TASK_PIPELINE_TESTS_CHROMIUM` names.
//! `TASK_PIPELINE_TESTS_WITHOUT_BROWSER=1` leaves the tests that need it out.

mod browser;

use crate::harness::{Test, wait_for};

const STEPS: &str = r#"
[[step]]
name = "first"
start = true
env = { HOSTILE = "</script><script>alert(1)</script>" }
script = '''
for n in 1 2 3 10; do echo $n > $OUTPUT_DIR/${n}_work; done
echo x > $OUTPUT_DIR/end.txt
'''

[[step]]
name = "work"
script = '''
n=$(cat $INPUT_FILE)
if [ $n = 3 ]; then printf '\033[31m<img src=x onerror=alert(2)>\033[0m\n' >&2; exit 7; fi
[ $n = 2 ] && echo 20 > $OUTPUT_DIR/again_work
head -c $((n * 100)) /dev/zero > $OUTPUT_DIR/size.bin
'''
"#;

#[test]
fn graph_in_every_form() {
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run"]).exits(1);
    let text = pipeline.run(["graph"]).exits(0).stdout;
    assert!(text.contains("✓ first v1 (start)\n    1 done\n    → work: 4 outputs\n"));
    assert!(text.contains("✗ work v1\n    1 failed, 4 done\n    ↻ work: 1 output\n"));
    assert!(text.contains("■ final outputs: 5 files\n"), "{text}");
    let dot = pipeline.run(["graph", "-format", "dot"]).exits(0).stdout;
    assert!(dot.contains("n0 -> n1 [label=\"4\"];"));
    let mermaid = pipeline
        .run(["graph", "-format", "mermaid"])
        .exits(0)
        .stdout;
    assert!(mermaid.contains("n1 -->|1| n1"));
    let svg = pipeline.run(["graph", "-format", "svg"]).exits(0).stdout;
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert!(svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("node failed"));
}

#[test]
fn graph_before_anything_ran_shows_what_is_declared() {
    let pipeline = Test::with(STEPS);
    let text = pipeline.run(["graph"]).exits(0).stdout;
    assert!(text.starts_with("nothing has run yet\n"));
    assert!(text.contains("↻ work: in the script, not seen yet"));
    assert!(text.contains("⇢ final outputs: in the script, not seen yet"));
    assert!(!pipeline.path("db").exists());
}

#[test]
fn a_graph_too_large_for_a_picture_is_one_in_groups() {
    let test = Test::new();
    let steps = (0..3000).map(|step| {
        let start = if step == 0 { "start = true\n" } else { "" };
        let next = [step + 1, step + 1 + step * 7919 % 1000].map(|next| next.min(2999));
        let script = next.map(|next| format!("echo > $OUTPUT_DIR/x_s{next}"));
        let script = if step == 2999 {
            ":".to_owned()
        } else {
            script.join("; ")
        };
        format!("[[step]]\nname = 's{step}'\n{start}script = '{script}'\n")
    });
    test.manifest(&steps.collect::<String>());
    test.run(["graph", "-whole", "-format", "svg"])
        .exits(2)
        .says("error: 3000 steps are too many, and go too far, for one picture\nhint: leave out -whole");
    test.run(["graph", "-whole", "-format", "dot"]).exits(0);
    test.run(["graph", "-format", "svg"])
        .exits(0)
        .prints("</svg>");
}

#[test]
fn graph_tells_what_is_tainted_and_what_left_the_manifest() {
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run"]).exits(1);
    let (first, _) = STEPS.split_once("\n[[step]]\nname = \"work\"").unwrap();
    pipeline.manifest(&first.replace("echo x", "echo y"));
    pipeline.run([""; 0]).exits(0);
    let text = pipeline.run(["graph"]).exits(0).stdout;
    assert!(text.contains("! first v2 (start)\n    1 done, 1 of them tainted\n"));
    assert!(text.contains("✗ work v1 (gone)\n"), "{text}");
}

#[test]
fn unknown_runsets_are_refused_with_a_suggestion() {
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run", "-runset", "nightly"]).exits(1);
    for command in [&["graph"] as &[&str], &["report", "-o", "x.html"]] {
        let arguments = [command, &["-runset", "nihgtly"]].concat();
        let error = pipeline.run(arguments).exits(2).stderr;
        assert!(error.contains("there is no runset `nihgtly`"), "{error}");
        assert!(error.contains("hint: did you mean `nightly`?"), "{error}");
    }
    assert!(!pipeline.path("x.html").exists());
    pipeline.run(["graph", "-runset", "all"]).exits(0);
}

#[test]
fn a_page_follows_a_run_to_its_end() {
    let pipeline = Test::new();
    pipeline.manifest(&format!(
        "[[step]]\nname = 'a'\nstart = true\nscript = 'echo 1 > $OUTPUT_DIR/x_b; echo 2 > $OUTPUT_DIR/y_b'\n\
         [[step]]\nname = 'b'\nscript = 'until [ -e {} ]; do sleep 0.02; done'\n",
        pipeline.path("go").display()
    ));
    let error = pipeline.run(["report", "-follow", "-"]).exits(2).stderr;
    assert!(error.contains("-follow writes a file"), "{error}");
    let page = || std::fs::read_to_string(pipeline.path("page.html")).unwrap_or_default();
    let following = pipeline.start(["report", "-follow", "page.html"]);
    following.says("nothing ever ran in ./db: waiting for a run (Ctrl-C ends)");
    let run = pipeline.start(["-run"]);
    wait_for("a page", || {
        page().contains("2 tasks still to be executed.")
    });
    assert!(page().contains("http-equiv=\"refresh\""));
    pipeline.write("go", "");
    run.end().exits(0);
    let said = following.end().exits(0).stdout;
    assert_eq!(said, "page.html, again and again until the run has ended\n");
    assert!(page().contains("Everything is done."));
    assert!(!page().contains("http-equiv=\"refresh\""));
    // With no run there is one page.
    let said = pipeline
        .run(["report", "-follow", "page.html"])
        .exits(0)
        .stdout;
    assert_eq!(said, "page.html, as it is now: no run is on\n");
}

#[test]
fn report_to_a_file_and_to_standard_output() {
    let pipeline = Test::with(STEPS);
    let error = pipeline.run(["report", "-o", "page.html"]).exits(2).stderr;
    assert!(error.contains("there is no db at"), "{error}");
    pipeline.run(["-run"]).exits(1);
    assert_eq!(
        pipeline.run(["report", "-o", "page.html"]).exits(0).stdout,
        "page.html\n"
    );
    let page = std::fs::read_to_string(pipeline.path("page.html")).unwrap();
    let printed = pipeline.run(["report", "-o", "-"]).exits(0).stdout;
    // All but the second in which it was made.
    assert_eq!(page.len(), printed.len());
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<img"));
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;"));
    assert!(page.contains("HOSTILE=&lt;/script&gt;"));
    // Replaced whole, and nothing is left beside it.
    pipeline.run(["report", "-o", "page.html"]).exits(0);
    let names: Vec<_> = std::fs::read_dir(pipeline.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn report_refuses_what_is_no_file() {
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run"]).exits(1);
    std::fs::create_dir(pipeline.path("folder")).unwrap();
    let error = pipeline.run(["report", "-o", "folder"]).exits(2).stderr;
    assert!(
        error.contains("cannot write folder: it is a folder"),
        "{error}"
    );
    let error = pipeline
        .run(["report", "-o", "missing/page.html"])
        .exits(2)
        .stderr;
    assert!(error.contains("cannot write missing/page.html"), "{error}");
    let error = pipeline.run(["report", "-o", "/dev/null"]).exits(2).stderr;
    assert!(error.contains("it is no regular file"), "{error}");
}

#[test]
fn pages_and_graphs_change_nothing() {
    let pipeline = Test::with(STEPS);
    pipeline.run(["-run"]).exits(1);
    let before = std::fs::read(pipeline.path("db/db")).unwrap();
    pipeline.run(["report", "-o", "page.html"]).exits(0);
    pipeline.run(["graph"]).exits(0);
    assert!(std::fs::read(pipeline.path("db/db")).unwrap() == before);
}
