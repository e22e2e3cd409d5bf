//! The templates that show shapes of pipelines, run with the host's programs.

use std::fs;
use std::path::Path;

use crate::harness::{Test, files};

/// A folder with the template in it.
fn instantiate(template: &str) -> Test {
    let test = Test::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("templates")
        .join(template);
    for file in files(&from) {
        let name = file.strip_prefix(&from).unwrap();
        let to = test.path(name.to_str().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap();
    }
    test
}

/// Runs what is new or changed and exports it: how many tasks were executed.
fn results(test: &Test, options: &[&str]) -> usize {
    let usual = ["-run", "-migrate-tainted", "-host-env", "-strict"];
    let ran = test.run(usual.iter().chain(options)).exits(0);
    test.run(["export", "-to", "results", "-force"]).exits(0);
    let before = ran.stderr.split(" run, ").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn words_of_many_texts_in_one_table() {
    let test = instantiate("words");
    assert_eq!(results(&test, &[]), 3 + 2);
    let words = test.read("results/words.tsv");
    assert!(words.starts_with("the\t22\nand\t10\n"), "{words}");
    assert!(
        test.read("results/top.txt")
            .starts_with("the           22 ####")
    );
    // The same by hand.
    let by_hand = "cat texts/*.txt texts/*/*.txt | tr -cs '[:alpha:]' '\\n' | tr '[:upper:]' '[:lower:]' | grep . |
        sort | uniq -c | while read n word; do printf '%s\\t%s\\n' $word $n; done | sort";
    let by_hand = test.shell(by_hand).output().unwrap();
    let mut lines: Vec<_> = words.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        String::from_utf8(by_hand.stdout)
            .unwrap()
            .lines()
            .collect::<Vec<_>>(),
        lines
    );

    // One more, one that is another, one renamed and one gone.
    test.write("texts/new.txt", "The zebra");
    assert_eq!(results(&test, &[]), 3);
    assert!(test.read("results/words.tsv").contains("zebra\t1\n"));
    test.write("texts/new.txt", "a\n");
    assert_eq!(results(&test, &[]), 3);
    fs::rename(test.path("texts/new.txt"), test.path("texts/old.txt")).unwrap();
    results(&test, &[]);
    fs::remove_file(test.path("texts/old.txt")).unwrap();
    assert_eq!(results(&test, &[]), 0);
    assert_eq!(test.read("results/words.tsv"), words);
}

#[test]
fn a_site_with_a_list_and_a_feed() {
    let test = instantiate("site");
    assert_eq!(results(&test, &[]), 3 + 2);
    let index = test.read("results/index.html");
    let at = |words: &str| {
        index
            .find(words)
            .unwrap_or_else(|| panic!("no {words}: {index}"))
    };
    assert!(at("notes_rain.html\">Rain<") < at(">Bread &amp; butter<"));
    assert!(at(">Bread &amp; butter<") < at(">About this site<"));
    assert!(
        test.read("results/about.html")
            .contains("<li>nothing else is done twice</li>")
    );
    assert!(
        test.read("results/feed.xml")
            .contains("<id>https://www.example.org/about.html</id>")
    );

    // A text without its title or date: the page alone.
    let page = test.read("pages/notes/rain.md");
    test.write("pages/notes/rain.md", page.clone() + "\n`x` & *y*\n");
    assert_eq!(results(&test, &[]), 1);
    assert!(
        test.read("results/notes_rain.html")
            .contains("<code>x</code> &amp; <em>y</em>")
    );
    test.write("pages/notes/rain.md", page.replace("Rain", "Snow"));
    assert_eq!(results(&test, &[]), 3);
    assert!(
        test.read("results/feed.xml")
            .contains("<title>Snow</title>")
    );

    // The template is in all of them but the feed; the address in the feed alone.
    let template = test.read("template.html");
    test.write("template.html", template.replace("40rem", "50rem"));
    assert_eq!(results(&test, &[]), 4);
    assert!(test.read("results/index.html").contains("50rem"));
    assert_eq!(results(&test, &["-param", "address=https://a.example"]), 1);
    assert!(
        test.read("results/feed.xml")
            .contains("https://a.example/about.html")
    );
}

#[test]
fn samples_with_a_reference_and_a_report() {
    let test = instantiate("samples");
    assert_eq!(results(&test, &[]), 1 + 3 + 3 + 3 + 1);
    let summary = test.read("results/summary.md");
    // As many pairs of each gene as the reads were made with, each read counted.
    for line in [
        "| control | 24 | 864 | 49.1 % |",
        "| gene | control | treated | washed |",
        "| alpha | 10 | 2 | 8 |",
        "| beta | 8 | 6 | 8 |",
        "| gamma | 6 | 16 | 8 |",
    ] {
        assert!(summary.contains(line), "no {line} in\n{summary}");
    }
    // Another sample; one that is gone; reads that are others; another reference; another word length.
    let sheet = test.read("samples.csv");
    test.write(
        "samples.csv",
        sheet.clone() + "again,control,reads/control_1.fastq,reads/control_2.fastq\n",
    );
    assert_eq!(
        results(&test, &[]),
        3 + 1,
        "with the key of the sample in the name"
    );
    assert!(
        test.read("results/summary.md")
            .contains("| gene | again | control |")
    );
    test.write("samples.csv", &sheet);
    assert_eq!(results(&test, &[]), 0);
    assert_eq!(test.read("results/summary.md"), summary);
    let reads = test.read("reads/washed_1.fastq");
    let first: String = reads.split_inclusive('\n').take(4).collect();
    test.write("reads/washed_1.fastq", first);
    assert_eq!(results(&test, &[]), 3 + 1);
    let reference = test.read("reference.fa");
    test.write("reference.fa", reference.replace(">alpha", ">omega"));
    assert_eq!(results(&test, &[]), 1 + 3 + 1);
    assert!(test.read("results/summary.md").contains("| omega | 10 |"));
    assert_eq!(results(&test, &["-param", "length=21"]), 1 + 3 + 3);
    // A sample that fails holds the report back, and the run says so.
    test.write("reads/washed_2.fastq", "");
    std::fs::remove_file(test.path("reads/washed_2.fastq")).unwrap();
    test.run(["-run", "-host-env"])
        .exits(2)
        .says("washed_2.fastq");
}

#[test]
fn a_matrix_of_builds_and_tests() {
    let test = instantiate("matrix");
    assert_eq!(results(&test, &[]), 2 + 4 + 1);
    assert_eq!(
        test.read("results/table.txt"),
        "checked_bash     2 tests passed\nchecked_dash     2 tests passed\n\
         plain_bash       2 tests passed\nplain_dash       2 tests passed\n"
    );
    assert!(test.read("results/checked.sh").contains("not a number"));
    assert!(!test.read("results/plain.sh").contains("not a number"));

    // A test that one build alone fails.
    test.write(
        "tests/refuses.sh",
        "! text_repeat x y 2>&1 | grep -q 'Illegal\\|integer'\n! text_repeat x y",
    );
    test.run(["-run", "-migrate-tainted", "-host-env"])
        .exits(1)
        .says("tests/refuses.sh failed in dash")
        .says("tests/refuses.sh failed in bash")
        .says("2 failed");
    test.run(["export", "-to", "results", "-force"]).exits(0);
    assert_eq!(
        test.read("results/table.txt"),
        "checked_bash     3 tests passed\nchecked_dash     3 tests passed\n"
    );
    fs::remove_file(test.path("tests/refuses.sh")).unwrap();
    results(&test, &[]);
    assert_eq!(test.read("results/table.txt").lines().count(), 4);
    assert_eq!(results(&test, &["-param", "version=0.2.0"]), 2 + 4);
}
