//! What a run tells, and to whom: JSON lines, traces, forges, bars on a terminal.

mod bars;
mod colours;
mod follow;
mod forges;
mod github;
mod hostile;
mod json;
mod live;
mod runner;
mod stderr;
mod terminal;
mod trace;

/// A start step that leaves four inputs of `work`, of which one fails and three give a result.
const FAN_OUT: &str = r#"
[[step]]
name = "split"
start = true
script = 'for i in 1 2 3 4; do echo $i > "$OUTPUT_DIR/${i}_work"; done'

[[step]]
name = "work"
script = '''
if [ "$(cat "$INPUT_FILE")" = 3 ]; then echo "100%: no, three" >&2; exit 7; fi
cp "$INPUT_FILE" "$OUTPUT_DIR/result.txt"
'''
"#;

/// One task, which does not end by itself.
const ENDLESS: &str =
    "[[step]]\nname = 'wait'\nstart = true\nscript = 'touch begun; exec sleep 600'\n";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
