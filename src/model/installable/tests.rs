use proptest::prelude::{any, proptest};

use super::*;

fn kind(text: &str) -> (Kind, String, String) {
    let parsed = Installable::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
    assert_eq!(parsed.text(), text);
    (
        parsed.kind(),
        parsed.reference().into(),
        parsed.selector().into(),
    )
}

#[test]
fn bare_names() {
    for text in [
        "jq",
        "python3Packages.numpy",
        "gtk+",
        "a.\"b.c\".d",
        "0ad",
        "foo'",
    ] {
        assert_eq!(kind(text), (Kind::Bare, String::new(), text.into()));
    }
    assert_eq!(kind("curl^bin,dev").0, Kind::Bare);
    let curl = Installable::parse("curl^bin,dev").unwrap();
    assert_eq!(curl.outputs(), Some("bin,dev"));
    let within = curl.within("github:NixOS/nixpkgs/nixos-unstable").unwrap();
    assert_eq!(
        within.text(),
        "github:NixOS/nixpkgs/nixos-unstable#curl^bin,dev"
    );
    assert_eq!(within.reference(), "github:NixOS/nixpkgs/nixos-unstable");
    assert_eq!(within.selector(), "#curl^bin,dev");
}

#[test]
fn flakes() {
    let long = "github:o/r/0123456789abcdef0123456789abcdef01234567?dir=a#x";
    for (text, reference, selector) in [
        ("github:o/r", "github:o/r", ""),
        ("github:o/r#x", "github:o/r", "#x"),
        ("github:o/r^dev", "github:o/r", "^dev"),
        ("github:o/r#x.y^*", "github:o/r", "#x.y^*"),
        (long, &long[..long.len() - 2], "#x"),
        ("nixpkgs#jq", "nixpkgs", "#jq"),
        ("nixpkgs/nixos-24.05#jq", "nixpkgs/nixos-24.05", "#jq"),
        ("nixpkgs/nixos-24.05", "nixpkgs/nixos-24.05", ""),
        ("flake:nixpkgs#jq", "flake:nixpkgs", "#jq"),
        (
            "git+https://h/r?ref=main#x",
            "git+https://h/r?ref=main",
            "#x",
        ),
        ("path:./tools#x", "path:./tools", "#x"),
        ("git+file:///r#", "git+file:///r", "#"),
        ("newer:o/r#x", "newer:o/r", "#x"),
    ] {
        assert_eq!(kind(text), (Kind::Flake, reference.into(), selector.into()));
    }
}

#[test]
fn folders_and_store_paths() {
    let path = "/nix/store/0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-jq-1.7";
    for (text, reference, selector) in [
        (".", ".", ""),
        (".#x", ".", "#x"),
        ("..#x", "..", "#x"),
        ("./a/b?dir=c#x^out", "./a/b?dir=c", "#x^out"),
        ("/srv/flake#x", "/srv/flake", "#x"),
        (path, path, ""),
    ] {
        assert_eq!(
            kind(text),
            (Kind::Folder, reference.into(), selector.into())
        );
    }
    let drv = format!("{path}.drv^out,dev");
    let parsed = Installable::parse(&drv).unwrap();
    assert_eq!(parsed.reference(), format!("{path}.drv"));
    assert_eq!(parsed.outputs(), Some("out,dev"));
}

#[test]
fn what_is_wrong_where_and_what_was_meant() {
    let scheme = |text: &str| Problem::Scheme(text.into());
    for (text, problem, at, suggestion) in [
        ("", Problem::Empty, 0, None),
        (" jq", Problem::Char(' '), 0, Some("jq")),
        ("jq curl", Problem::Char(' '), 2, None),
        ("jq\0", Problem::Char('\0'), 2, None),
        ("-jq", Problem::Dash, 0, None),
        ("#jq", Problem::NoReference, 0, Some(".#jq")),
        ("a..b", Problem::EmptyPart, 2, None),
        ("a.", Problem::EmptyPart, 2, None),
        ("a.\"b", Problem::Quote, 2, None),
        ("jq@1.7", Problem::Char('@'), 2, None),
        ("jq^", Problem::NoOutput, 3, None),
        ("jq^a,,b", Problem::NoOutput, 5, None),
        ("~/x#y", Problem::Tilde, 0, None),
        ("guthub:o/r#x", scheme("guthub"), 0, Some("github:o/r#x")),
        ("github:o#x", Problem::OwnerRepo("github".into()), 8, None),
        ("path:#x", Problem::NoPath("path".into()), 5, None),
        ("a/b/c#x", Problem::Vague, 0, Some("./a/b/c#x")),
        ("x#y#z", Problem::Char('#'), 3, None),
        ("/nix/store/jq", Problem::StorePath, 13, None),
        ("💥", Problem::Char('💥'), 0, None),
    ] {
        let bad = Installable::parse(text).expect_err(text);
        assert_eq!(bad.problem, problem, "{text}");
        assert_eq!(bad.at, at, "{text}");
        assert_eq!(bad.suggestion.as_deref(), suggestion, "{text}");
    }
}

#[test]
fn a_reference_alone() {
    for good in [
        "github:NixOS/nixpkgs/nixos-unstable",
        "nixpkgs",
        ".",
        "path:/x",
    ] {
        assert_eq!(check_reference(good), Ok(()));
    }
    let bad = check_reference("nixpkgs#jq").unwrap_err();
    assert_eq!((bad.at, bad.suggestion.as_deref()), (7, Some("nixpkgs")));
    assert!(check_reference("").is_err());
}

#[test]
fn fixed_needs_a_revision_and_a_hash() {
    let rev = "0123456789abcdef0123456789abcdef01234567";
    for (text, fixed) in [
        (format!("github:o/r/{rev}?narHash=sha256-x#y"), true),
        (format!("git+file:///r?rev={rev}&narHash=sha256-x#y"), true),
        (format!("github:o/r/{rev}#y"), false),
        ("github:o/r?narHash=sha256-x#y".to_owned(), false),
        ("jq".to_owned(), false),
    ] {
        assert_eq!(
            Installable::parse(&text).unwrap().is_fixed(),
            fixed,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_kept_or_refused_at_a_place_in_it(text in any::<String>()) {
        match Installable::parse(&text) {
            Ok(parsed) => {
                assert_eq!(parsed.text(), text);
                assert_eq!(format!("{}{}", parsed.reference(), parsed.selector()), text);
            }
            Err(bad) => {
                assert!(bad.at <= text.len() && text.is_char_boundary(bad.at));
            }
        }
    }

    #[test]
    fn a_suggestion_is_another_text(text in "[a-z#:^./, ]{0,12}") {
        if let Err(BadInstallable { suggestion: Some(better), .. }) = Installable::parse(&text) {
            assert_ne!(better, text);
        }
    }
}

#[test]
fn the_name_nixpkgs_is_that_of_the_manifest() {
    let nixpkgs = "github:NixOS/nixpkgs/nixos-24.05";
    for (text, whole) in [
        ("jq", "github:NixOS/nixpkgs/nixos-24.05#jq"),
        ("nixpkgs#jq", "github:NixOS/nixpkgs/nixos-24.05#jq"),
        (
            "flake:nixpkgs#jq^bin",
            "github:NixOS/nixpkgs/nixos-24.05#jq^bin",
        ),
        (
            "nixpkgs#a.\"b c\"",
            "github:NixOS/nixpkgs/nixos-24.05#a.\"b c\"",
        ),
        ("nixpkgs/nixos-23.11#jq", "nixpkgs/nixos-23.11#jq"),
        ("other#jq", "other#jq"),
    ] {
        let within = Installable::parse(text).unwrap().within(nixpkgs).unwrap();
        assert_eq!(within.text(), whole);
        assert_eq!(within.within(nixpkgs).unwrap(), within);
    }
    let same = Installable::parse("nixpkgs#jq").unwrap().within("nixpkgs");
    assert_eq!(same.unwrap().text(), "nixpkgs#jq");
}

#[test]
fn blanks_are_for_quotes() {
    for text in [
        ".#\"a b\"",
        "\"a b\"",
        "x.\"a b\".y^out",
        "n/b#\"a $b\"^dev",
    ] {
        assert_eq!(Installable::parse(text).unwrap().text(), text);
    }
    for text in [
        ".#a b",
        ".#\"a b",
        "./a\"b c\"#x",
        "\"a\" b",
        ".#\"a\nb\"",
        "path:\"a b\"",
    ] {
        assert!(Installable::parse(text).is_err(), "{text}");
    }
}
