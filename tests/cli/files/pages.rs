//! A document build: markdown becomes pages by a template, and pages an index.

use std::fs;

use crate::harness::Test;

const PIPELINE: &str = r#"
[defaults]
files = ["lib/*.sh"]

[[step]]
name = "find"
start = true
files = ["pages/**/*.md"]
script = '''
for page in pages/*.md pages/*/*.md; do
  echo find >> $COUNT
  cp "$page" "$OUTPUT_DIR/$(basename "$page" .md)_html"
done
'''

[[step]]
name = "html"
files = ["template.html"]
script = '''
. ./lib/escape.sh
echo html >> $COUNT
title=$(sed -n 's/^# //p' "$INPUT_FILE" | escape)
body=$(sed 1d "$INPUT_FILE" | escape)
sed -e "s|@title@|$title|" -e "s|@body@|$body|" template.html > "$OUTPUT_DIR/$(basename "$TASK_PIPELINE_INPUT_NAME" _html).page"
'''
"#;

fn site() -> Test {
    let test = Test::with(PIPELINE);
    test.write("lib/escape.sh", "escape() { tr '<>' '[]'; }\n");
    test.write("template.html", "<h1>@title@</h1><p>@body@</p>\n");
    test.write("pages/one.md", "# One\nfirst\n");
    test.write("pages/more/two.md", "# Two\nsecond\n");
    test
}

/// The pages by name.
fn pages(test: &Test) -> Vec<(String, String)> {
    let finals = test.finals().into_iter();
    finals
        .map(|(name, all)| {
            (
                name,
                String::from_utf8(all.last().unwrap().clone()).unwrap(),
            )
        })
        .collect()
}

fn expected(pages: &[(&str, &str)]) -> Vec<(String, String)> {
    let pages = pages.iter();
    pages
        .map(|(name, text)| (format!("{name}.page"), format!("{text}\n")))
        .collect()
}

/// Migrates and runs, as someone who edits pages does all day.
fn build(test: &Test) {
    test.run(["-migrate-tainted", "-run"]).exits(0);
}

#[test]
fn pages_are_those_of_the_present_files() {
    let test = site();
    build(&test);
    let first = expected(&[
        ("one", "<h1>One</h1><p>first</p>"),
        ("two", "<h1>Two</h1><p>second</p>"),
    ]);
    assert_eq!(pages(&test), first);
    assert_eq!(test.times("html"), 2);

    // A page: that one alone is made again.
    test.write("pages/one.md", "# One\nchanged\n");
    build(&test);
    let changed = expected(&[
        ("one", "<h1>One</h1><p>changed</p>"),
        ("two", "<h1>Two</h1><p>second</p>"),
    ]);
    assert_eq!(pages(&test), changed);
    assert_eq!(test.times("html"), 3);

    // The template: all of them, and nothing before.
    let found = test.times("find");
    test.write("template.html", "<h2>@title@</h2>@body@\n");
    build(&test);
    let plain = expected(&[
        ("one", "<h2>One</h2>changed"),
        ("two", "<h2>Two</h2>second"),
    ]);
    assert_eq!(pages(&test), plain);
    assert_eq!((test.times("html"), test.times("find")), (5, found));

    // As it was: what was made then is used again.
    test.write("template.html", "<h1>@title@</h1><p>@body@</p>\n");
    build(&test);
    assert_eq!(pages(&test), changed);
    assert_eq!(test.times("html"), 5);

    // A page that goes takes its result along.
    fs::remove_file(test.path("pages/more/two.md")).unwrap();
    test.write("pages/more/three.md", "# 3\n<b>\n");
    build(&test);
    let others = expected(&[
        ("one", "<h1>One</h1><p>changed</p>"),
        ("three", "<h1>3</h1><p>[b]</p>"),
    ]);
    assert_eq!(pages(&test), others);

    // Nothing changed: nothing runs but the start task, which is done.
    let count = test.count();
    build(&test);
    assert_eq!(test.count(), count);
}
