//! Random scripts from the grammar of POSIX shells, of commands that a warm shell is used for by
//! default. None of them writes, makes or removes a file by a word that was drawn.

use std::fmt::Write as _;

/// Numbers that follow from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        let count = u64::try_from(all.len()).unwrap();
        all[usize::try_from(self.below(count)).unwrap()]
    }
}

const NAMES: [&str; 5] = ["a", "b", "word", "n", "INPUT_FILE"];
const TEXTS: [&str; 12] = [
    "x",
    "two",
    "3",
    "0",
    "a.b.c",
    "-n",
    "é日",
    "*",
    "/etc/pass?d",
    "%s",
    "~",
    "#",
];

/// A script.
pub fn script(random: &mut Random) -> String {
    let mut text = String::new();
    if random.one_in(6) {
        text.push_str(random.of(&[
            "set -e\n",
            "set -u\n",
            "set -x\n",
            "set +e; ",
            "set -f; ",
            "set -eu; ",
        ]));
    }
    list(random, &mut text, 3);
    if random.one_in(3) {
        text.push('\n');
    }
    if random.one_in(8) {
        text.push_str("# the end");
    }
    // What is told of commands at the same time has no order.
    if text.contains('|') || text.contains('&') {
        text = text.replace("set -x\n", "");
    }
    text
}

fn list(random: &mut Random, text: &mut String, depth: u32) {
    for count in 0..=random.below(3) {
        if count > 0 {
            text.push_str(random.of(&["; ", "\n", "\n\n", " && ", " || ", "; "]));
        }
        pipeline(random, text, depth);
    }
}

/// One that can stand before `;`.
fn body(random: &mut Random, text: &mut String, depth: u32) {
    list(random, text, depth.saturating_sub(1));
    text.push_str(random.of(&["; ", "\n"]));
}

/// Its members do not race: only the last one can write errors, and it reads all.
fn pipeline(random: &mut Random, text: &mut String, depth: u32) {
    if random.one_in(10) {
        text.push_str("! ");
    }
    if random.one_in(6) {
        let maker = random.of(&[
            "echo a.b \"$a\"",
            "cat $INPUT_FILE",
            "printf '%s,' 1 '2 3'",
            "seq 1 4",
            ":",
            "( echo 1; echo 2 )",
        ]);
        text.push_str(maker);
        while random.one_in(3) {
            text.push_str(random.of(&[" | tr a-z A-Z", " |\n sort", "|cat", " | sed s/o/0/"]));
        }
        text.push_str(random.of(&[" | ", " |\n", "|"]));
        text.push_str(random.of(&[
            "cat",
            "{ wc -c; ",
            "( cat; ",
            "while read -r l; do : $l; done",
            "{ cat; ",
        ]));
        if text.ends_with("; ") {
            let close = if text.ends_with("( cat; ") {
                " )"
            } else {
                "; }"
            };
            list(random, text, depth.saturating_sub(1));
            text.push_str(close);
        }
    } else {
        command(random, text, depth);
        if random.one_in(25) {
            text.push_str(" & wait");
        }
    }
}

fn command(random: &mut Random, text: &mut String, depth: u32) {
    if depth == 0 || random.one_in(2) {
        return simple(random, text, depth);
    }
    match random.below(10) {
        0 | 1 => branches(random, text, depth),
        2 => {
            let _ = write!(text, "for {} in ", random.of(&["a", "b", "i"]));
            for _ in 0..random.below(3) {
                word(random, text, depth);
                text.push(' ');
            }
            text.push_str("; do ");
            body(random, text, depth);
            if random.one_in(3) {
                text.push_str(random.of(&["break; ", "continue\n"]));
            }
            text.push_str("done");
        }
        3 => {
            // Ends after a few rounds.
            let word = random.of(&["while", "until"]);
            let end = if word == "while" { "!" } else { "" };
            // Of its own: a loop within this one would begin it anew, for ever.
            let k = format!("k{}", text.len());
            let _ = write!(
                text,
                "{k}=; {word} {end} test \"${k}\" = xx; do {k}=x${k}; "
            );
            body(random, text, depth);
            text.push_str("done");
        }
        4 => {
            text.push_str("case ");
            word(random, text, depth);
            text.push_str(" in ");
            for _ in 0..random.below(3) {
                let _ = write!(
                    text,
                    "{}) ",
                    random.of(&["a*", "(x|3", "\"$a\"", "[0-9]", "*.c", "''"])
                );
                list(random, text, depth - 1);
                text.push_str(random.of(&[";; ", "\n;;\n"]));
            }
            text.push_str("*) ");
            list(random, text, depth - 1);
            text.push_str("\nesac");
        }
        5 => {
            text.push_str("( ");
            list(random, text, depth - 1);
            text.push_str(random.of(&[" )", "\n)"]));
        }
        6 => {
            text.push_str("{ ");
            body(random, text, depth);
            text.push('}');
        }
        7 => {
            // Of its own too: one that is not defined after all must not be the one that it is in.
            let f = format!("f{}", text.len());
            text.push_str(&f);
            text.push_str(random.of(&["() { ", " () {\n"]));
            body(random, text, depth);
            let _ = write!(text, "}}; {f}");
            if random.one_in(2) {
                text.push(' ');
                word(random, text, depth);
            }
        }
        8 => {
            text.push_str("cat <<");
            let (end, tabs) = (random.of(&["E", "'E'", "\"E\"", "-E"]), random.one_in(2));
            let _ = write!(text, "{end}");
            text.push_str(random.of(&["", " | tr a-z A-Z", " > $OUTPUT_DIR/doc"]));
            text.push('\n');
            if tabs && end == "-E" {
                text.push('\t');
            }
            text.push_str(random.of(&[
                "$a \\$a `echo tick`",
                "plain",
                "$(echo paren) \"q\" 'q'",
                "\\\\ ${b:-none}",
            ]));
            text.push_str("\nE\n:");
        }
        _ => {
            text.push_str("while read -r line; do echo \"[$line]\"");
            text.push_str(random.of(&[
                "; done < $INPUT_FILE",
                "; break; done < \"$INPUT_FILE\"",
                "; done",
            ]));
        }
    }
    redirections(random, text);
}

fn branches(random: &mut Random, text: &mut String, depth: u32) {
    text.push_str("if ");
    body(random, text, depth);
    text.push_str("then ");
    body(random, text, depth);
    if random.one_in(3) {
        text.push_str("elif ");
        body(random, text, depth);
        text.push_str("then ");
        body(random, text, depth);
    }
    if random.one_in(2) {
        text.push_str("else ");
        body(random, text, depth);
    }
    text.push_str("fi");
}

fn redirections(random: &mut Random, text: &mut String) {
    while random.one_in(6) {
        text.push_str(random.of(&[
            " > $OUTPUT_DIR/one",
            " >> \"$OUTPUT_DIR/two\"",
            " 2>&1",
            " >&2",
            " 2> $TMPDIR/error",
            " < $INPUT_FILE",
            " < /dev/null",
            " 2>/dev/null",
            " 3>&1 >&3",
            " >&-",
            " <&-",
            " < $TMPDIR/none",
            " 9>&1",
            " >| $TMPDIR/x",
        ]));
    }
}

/// Whatever words it gets, it changes nothing but the task's own folders: that is what runs on the
/// machine of whoever tests, as root perhaps, and a word can be `$0`.
fn simple(random: &mut Random, text: &mut String, depth: u32) {
    while random.one_in(6) {
        let _ = write!(text, "{}=", random.of(&["a", "b", "word"]));
        word(random, text, depth);
        text.push(' ');
    }
    let command = random.of(&[
        "echo",
        "echo",
        "echo",
        "printf '%s,'",
        ":",
        "true",
        "false",
        "test",
        "test -n",
        "[ x =",
        "cat",
        "cat $INPUT_FILE",
        "tr a-z A-Z < $INPUT_FILE",
        "sort",
        "head -n 1 $INPUT_FILE",
        "wc -c <",
        "grep -c some $INPUT_FILE",
        "ls",
        "basename",
        "exit",
        "exit 3",
        "exit 0",
        "cd",
        "pwd",
        "read a b < $INPUT_FILE; echo",
        "shift",
        "set --",
        "unset",
        "export word; env | sort | grep -v -e ^TASK_ -e ^INPUT_ -e ^OUTPUT_ -e ^TMPDIR; echo",
        "readonly",
        "local",
        "umask",
        "getopts ab: o",
        "wait",
        "nosuch",
        "no such",
        "./nosuch",
        "expr 1 +",
        "seq 1 3; echo",
        "awk '{ print NF }' $INPUT_FILE; echo",
        "sed s/o/0/ $INPUT_FILE; echo",
        "echo $# \"$@\" $0 $?; echo",
        "echo $?; echo",
        "command -v",
        "cp $INPUT_FILE $TMPDIR/copy; echo",
        "touch $OUTPUT_DIR/touched; echo",
        "mkdir $TMPDIR/folder; echo",
        "rm -f $OUTPUT_DIR/touched; echo",
        "test -d /",
        "cut -c 1-3 $INPUT_FILE; echo",
        "printenv word; echo",
        "sleep 0; echo",
        "uname >/dev/null; echo",
    ]);
    text.push_str(command);
    for _ in 0..random.below(3) {
        text.push(' ');
        word(random, text, depth);
    }
    if command.starts_with("[ ") {
        text.push_str(" ]");
    }
    redirections(random, text);
}

fn word(random: &mut Random, text: &mut String, depth: u32) {
    match random.below(14) {
        0..=2 => text.push_str(random.of(&TEXTS)),
        3 => {
            let _ = write!(text, "'{} {}'", random.of(&TEXTS), random.of(&TEXTS));
        }
        4 => {
            let _ = write!(
                text,
                "\"{} ${}\"",
                random.of(&TEXTS),
                random.of(&NAMES[..4])
            );
        }
        5 => {
            let _ = write!(text, "${}", random.of(&NAMES[..4]));
        }
        6 => {
            let operator = random.of(&[
                ":-none",
                "-none",
                ":+set",
                ":=made",
                "=made",
                "%.*",
                "##*.",
                "%%.*",
                "#*.",
                ":?missing",
                "?",
            ]);
            let _ = write!(text, "${{{}{operator}}}", random.of(&NAMES[..4]));
        }
        7 => text.push_str(random.of(&[
            "$?",
            "$#",
            "\"$@\"",
            "$*",
            "${#a}",
            "$0",
            "\"$*\"",
            "$1",
            "${1-none}",
        ])),
        8 | 9 if depth > 0 => {
            let quote = random.of(&["", "\""]);
            let _ = write!(text, "{quote}$(");
            list(random, text, depth - 1);
            let _ = write!(text, "\n){quote}");
        }
        10 => text.push_str(random.of(&["`echo back`", "\"`false`\"", "`cat $INPUT_FILE`"])),
        11 => text.push_str(random.of(&[
            "$((1 + 2))",
            "$((n * 3))",
            "$((n = n + 1))",
            "$((a))",
            "$((3 / 0))",
            "$(( (1 << 3) % 5 ))",
        ])),
        12 => {
            text.push_str(random.of(&["\\a", "a\\ b", "\\$a", "\"\\\"\"", "''", "\"\"", "x\\\ny"]));
        }
        _ => text.push_str(random.of(&[
            "$OUTPUT_DIR/left",
            "$TMPDIR/t",
            "$TASK_PIPELINE_INPUT_NAME",
            "$TASK_PIPELINE_STEP",
        ])),
    }
}
