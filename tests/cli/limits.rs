//! Scripts and variables of a length that Linux does not pass to a program.

#![cfg(target_os = "linux")]

use crate::harness::{Running, Test};

/// Bytes that a single argument or variable may have, its end left out.
fn one() -> usize {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    32 * usize::try_from(page.unwrap().unwrap()).unwrap() - 1
}

fn manifest(script: &str, variables: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo begin >> $COUNT; : > $OUTPUT_DIR/big'\n\
         [[step]]\nname = 'big'\nenv = {{ {variables} }}\nscript = '{script}'\n"
    )
}

/// A script of so many bytes, which does something.
fn script(bytes: usize) -> String {
    let begin = "echo big >> $COUNT; : ";
    format!("{begin}{}", "x".repeat(bytes - begin.len()))
}

/// A variable that has so many bytes with its name.
fn variable(name: &str, bytes: usize) -> String {
    format!("{name} = '{}'", "y".repeat(bytes - name.len() - 1))
}

#[test]
fn the_longest_that_fits_runs() {
    let test = Test::with(&manifest(&script(one()), &variable("BIG", one())));
    test.run(["check"]).exits(0);
    test.runs().says("2 run");
    assert_eq!(test.count(), ["begin", "big"]);
}

#[test]
fn what_is_too_long_is_told_before_anything_runs() {
    let many: Vec<String> = (0..25)
        .map(|n| variable(&format!("B{n}"), 100_000))
        .collect();
    for (script, variables, told) in [
        (
            script(one() + 1),
            String::new(),
            format!("step big: its script has {} bytes", one() + 1),
        ),
        (
            ":".to_owned(),
            variable("BIG", one() + 1),
            format!("the variable BIG has {} bytes", one() + 1),
        ),
        (
            ":".to_owned(),
            many.join(", "),
            "step big: its script and variables have together 2500".to_owned(),
        ),
    ] {
        let test = Test::with(&manifest(&script, &variables));
        for words in ["check", "-run", "-run -dry-run"] {
            test.run(words.split(' '))
                .exits(2)
                .says(&told)
                .says("this system passes at most ")
                .says("hint: keep the text in a file");
        }
        assert_eq!(test.count().len(), 0, "{told}");
        assert!(!test.path("db").exists(), "{told}");
    }
}

/// All mistakes of this kind at once.
#[test]
fn each_step_that_is_too_long_is_told() {
    let long = script(one() + 9);
    let test = Test::with(&format!(
        "{}\n[[step]]\nname = 'other'\nscript = '{long}'\n",
        manifest(&long, "")
    ));
    test.run(["check"])
        .exits(2)
        .says("step big: ")
        .says("step other: ");
}

#[test]
fn the_hosts_variables_count() {
    let variables: Vec<String> = (0..9)
        .map(|n| variable(&format!("B{n}"), 100_000))
        .collect();
    let call = |keys: &str| {
        let before = manifest("echo big >> $COUNT", &variables.join(", "));
        let test = Test::with(&before.replace("name = 'big'", &format!("name = 'big'\n{keys}")));
        let mut command = test.command(["-run"]);
        for number in 0..14 {
            command.env(format!("HOST{number}"), "z".repeat(100_000));
        }
        let ran = Running::start(command).end();
        (test, ran)
    };
    let (test, ran) = call("");
    ran.exits(2)
        .says("step big: its script and variables have together ");
    assert_eq!(test.count().len(), 0);
    // A pure step does not see them.
    let (test, ran) = call("pure = true\nkeep = ['COUNT', 'PATH']");
    ran.exits(0);
    assert_eq!(test.count(), ["begin", "big"]);
}
