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
