use super::*;

/// The names of the commands, `?` for one that is not known.
fn names(script: &str) -> Result<String, String> {
    let calls = of(script)?.commands;
    let names = calls.into_iter().map(|call| call[0].clone());
    let names: Vec<String> = names.map(|name| name.unwrap_or("?".into())).collect();
    Ok(names.join(" "))
}

#[test]
fn every_command_is_found_wherever_it_stands() {
    for (script, wanted) in [
        ("", ""),
        ("# nothing", ""),
        ("a 'b c' d; e & f && g || h | i\nj # k", "a e f g h i j"),
        ("if a; then b; elif c; then d; else e; fi > f", "a b c d e"),
        ("while a; do b; done; until c\ndo d\ndone", "a b c d"),
        ("for x in a b; do c $x; done; for y\ndo d; done", "c d"),
        ("case $x in a|b) c ;; (d) e;; *) f; esac; g", "c e f g"),
        ("case x in esac; a", "a"),
        ("{ a; b; }; (c; (d)); ! e", "a b c d e"),
        ("f() { a; }; g () ( b ); f", "a b f"),
        ("X=1 Y=$(a) b; Z=`c d`", "a b c"),
        ("a \"$(b \"$(c 'd)')\")\" $(e)", "c b e a"),
        ("a ${x:-$(b)} ${y%\"$(c)\"} \"${z:-`d`}\"", "b c d a"),
        ("a $((1 + $(b) * (2 + x)))", "b a"),
        ("a <<E | b\n$(c) `d`\nE\ne", "a b c d e"),
        ("a <<'E' <<-F\n$(c)\nE\n\t$(d)\n\tF\ne", "a d e"),
        ("a 2>&1 >x <y >>$(b) >|z; 2>x c", "b a c"),
        ("$x a; \"$y\"; a$z", "? ? ?"),
        ("'i'f x; \\while y; \"do\"", "if while do"),
        ("a \\\n b; c\\\nd", "a cd"),
        ("echo a#b $# ${#x} '#' ; c", "echo c"),
        ("[ -n \"$x\" ] && a", "[ a"),
    ] {
        assert_eq!(names(script).as_deref(), Ok(wanted), "{script}");
    }
}

#[test]
fn what_is_not_common_or_not_whole_is_not_read() {
    for script in [
        "[[ a ]]",
        "((a))",
        "a <<< b",
        "a <(b)",
        "x=(a b)",
        "a &> b",
        "a |& b",
        "a $'b'",
        "a $\"b\"",
        "function f { a; }",
        "time a",
        "select x in a; do b; done",
        "coproc a",
        "if a; then b",
        "a )",
        "a; }",
        "fi",
        "a `b \\`c\\``",
        "a 'b",
        "a \"b",
        "${!x}",
        "cat <<E\nx",
        "a ;; b",
        "a (b)",
        "f() a",
        "{a,b}",
        "a | ",
        "a && ",
        "cat /p*/self/stat",
        "a \"${x:-'}'}\"",
        "a $((1;2))",
        "while a; done",
    ] {
        assert!(of(script).is_err(), "{script}");
    }
}
