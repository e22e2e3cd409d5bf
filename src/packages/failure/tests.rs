use super::*;

fn failure(errors: &[&str]) -> Failure {
    Failure::of(&Heard {
        errors: errors.iter().map(ToString::to_string).collect(),
        ..Heard::default()
    })
}

#[test]
fn nix_2_8_attribute_with_its_suggestion() {
    let failure = failure(&[
        "error: flake 'path:/f' does not provide attribute 'packages.x86_64-linux.zedd' or 'zedd'\n       Did you mean zed?",
    ]);
    assert_eq!(failure.kind, Kind::UnknownAttribute);
    assert_eq!(
        failure.words,
        "flake 'path:/f' does not provide attribute 'packages.x86_64-linux.zedd' or 'zedd'\nDid you mean zed?"
    );
}

#[test]
fn since_2_26_context_comes_first() {
    let failure = failure(&[
        "error:\n       … while evaluating the attribute 'x'\n         at /f/flake.nix:1:1:\n            1| {\n\n       error: Package ‘x’ has an unfree license (‘unfree’), refusing to evaluate.\n\n       a) To temporarily allow unfree packages\n(use '--show-trace' to show detailed location information)",
    ]);
    assert_eq!(failure.kind, Kind::Refused(Refusal::Unfree));
    assert!(
        failure
            .words
            .starts_with("Package ‘x’ has an unfree license")
    );
    assert!(!failure.words.contains("--show-trace"));
}

#[test]
fn builds_of_all_versions() {
    let drv = "/nix/store/0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-jq-1.7.drv";
    for text in [
        format!("error: builder for '{drv}' failed with exit code 3"),
        format!(
            "error: builder for '{drv}' failed with exit code 3;\n       last 1 log lines:\n       > oops\n       For full logs, run:\n         nix log {drv}"
        ),
        format!(
            "error: Cannot build '{drv}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         /nix/store/x"
        ),
    ] {
        let failure = failure(&[
            &text,
            "error: 1 dependencies of derivation '/nix/store/y.drv' failed to build",
        ]);
        assert_eq!(failure.kind, Kind::Build);
        assert_eq!(failure.builds.keys().collect::<Vec<_>>(), [drv]);
        assert_eq!(
            failure.hint(),
            Some(format!("the whole log: nix log {drv}"))
        );
    }
}

#[test]
fn kinds() {
    for (text, kind) in [
        (
            "error: cannot find flake 'flake:x' in the flake registries",
            Kind::UnknownFlake,
        ),
        (
            "error: unable to download 'https://x': Couldn't resolve host name (6)",
            Kind::Network,
        ),
        (
            "error: cannot connect to socket at '/s': No such file or directory",
            Kind::Daemon,
        ),
        (
            "error: getting status of '/nosuch': No such file or directory",
            Kind::UnknownFlake,
        ),
        ("error: interrupted by the user", Kind::Interrupted),
        ("error: something new", Kind::Other),
    ] {
        assert_eq!(failure(&[text]).kind, kind, "{text}");
    }
    assert_eq!(failure(&[]).words, "Nix gave no reason");
}

#[test]
fn nix_store_names_the_path_before_the_error() {
    let failure = Failure::of(&Heard {
        plain: [
            "don't know how to build these paths:",
            "  /nix/store/x",
            "error: build of '/nix/store/x' failed",
        ]
        .map(String::from)
        .into(),
        ..Heard::default()
    });
    assert_eq!(failure.kind, Kind::NoSuchPath);
    assert_eq!(
        failure.words,
        "don't know how to build these paths:\n  /nix/store/x"
    );
}

/// As nixpkgs says it up to 26.05 and since.
#[test]
fn each_refusal_of_nixpkgs_has_its_own_hint() {
    let old = |why: &str| {
        format!(
            "error: Package ‘openssl-1.1.1w’ in /nix/store/x/default.nix:1 {why}, refusing to evaluate.\n\n"
        )
    };
    let new = |why: &str| {
        format!(
            "error: Refusing to evaluate package 'openssl-1.1.1w' in /nix/store/x/default.nix:1 because it {why}\n"
        )
    };
    let advice = "a) To temporarily allow unfree packages, you can use an environment variable\n\
                  \n  $ export NIXPKGS_ALLOW_BROKEN=1";
    let platform = "is not available on the requested hostPlatform:\n  hostPlatform.system = \"riscv64-linux\"\n";
    for (why, refusal, hint) in [
        (
            "has an unfree license (‘unfree’)",
            Refusal::Unfree,
            "allowUnfree = true",
        ),
        (
            "has a blocklisted license (‘gpl3’)",
            Refusal::Blocklisted,
            "blocklistedLicenses",
        ),
        (
            "contains elements not built from source (‘binary’)",
            Refusal::NonSource,
            "allowNonSource = true",
        ),
        (
            "is marked as insecure",
            Refusal::Insecure,
            "permittedInsecurePackages = [ \"openssl-1.1.1w\" ]",
        ),
        ("is marked as broken", Refusal::Broken, "allowBroken = true"),
        (
            platform,
            Refusal::Unsupported,
            "allowUnsupportedSystem = true",
        ),
        (
            "has an invalid meta attrset:\n  - x",
            Refusal::Faulty,
            "lock --update nixpkgs",
        ),
    ] {
        for text in [old(why), new(why)] {
            let failure = failure(&[&format!("{text}{advice}")]);
            assert_eq!(failure.kind, Kind::Refused(refusal), "{text}");
            let said = failure.hint().unwrap();
            assert!(said.contains(hint), "{said}");
            assert!(!failure.words.contains("temporarily"), "{}", failure.words);
        }
    }
    let issues =
        "Known issues:\n - CVE-2024-1\n\nYou can install it anyway by allowing this package";
    let failure = failure(&[&format!("{}{issues}", old("is marked as insecure"))]);
    assert!(failure.words.ends_with("- CVE-2024-1"), "{}", failure.words);
}

fn of_git(code: u8, outside: &str) -> Failure {
    Failure::of(&Heard {
        errors: vec![
            format!("error: program 'git' failed with exit code {code}"),
            "(use '--show-trace' to show detailed location information)".to_owned(),
        ],
        outside: outside.lines().map(ToOwned::to_owned).collect(),
        ..Heard::default()
    })
}

#[test]
fn words_of_programs_below_nix() {
    for (words, kind, hint) in [
        (
            "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.",
            Kind::Repository,
            "git ls-remote",
        ),
        (
            "fatal: ambiguous argument 'no': unknown revision or path not in the working tree.",
            Kind::Revision,
            "lists",
        ),
        (
            "fatal: couldn't find remote ref refs/heads/no",
            Kind::Revision,
            "lists",
        ),
        (
            "fatal: detected dubious ownership in repository at '/x'\nTo add an exception for this directory, call:",
            Kind::Owner,
            "safe.directory",
        ),
        (
            "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
            Kind::Network,
            "network",
        ),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            Kind::Access,
            "key",
        ),
        (
            "fatal: unable to access 'https://h/x/': Could not resolve host: h",
            Kind::Network,
            "network",
        ),
        (
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            Kind::Access,
            "token",
        ),
        (
            "warning: Not a git repository. Use --no-index to compare two paths outside a working tree\nusage: git diff --no-index [<options>] <path> <path>\n\nDiff output format options",
            Kind::Owner,
            "safe.directory",
        ),
    ] {
        let failure = of_git(128, words);
        assert_eq!(failure.kind, kind, "{words}");
        let first = words.lines().next().unwrap();
        let start = format!("program 'git' failed with exit code 128:\n{first}");
        assert!(failure.words.starts_with(&start), "{}", failure.words);
        assert!(!failure.words.contains("usage:"), "{}", failure.words);
        assert!(failure.hint().unwrap().contains(hint), "{words}");
    }
    let progress = "Cloning into 'x'...\nremote: Enumerating objects: 9\nfatal: early EOF";
    assert_eq!(
        of_git(128, progress).words,
        "program 'git' failed with exit code 128:\nfatal: early EOF"
    );
    assert_eq!(of_git(1, "").words, "program 'git' failed with exit code 1");
    let many: Vec<String> = (0..99).map(|n| format!("line {n}")).collect();
    let failure = of_git(128, &many.join("\n"));
    assert_eq!(failure.words.lines().count(), 9);
    assert!(failure.words.ends_with("line 98"));
}

#[test]
fn words_of_newer_versions_about_git() {
    for (text, kind) in [
        (
            "error:\n       … while fetching the input 'git+file:///x'\n\n       error: repository path '/x' is not owned by current user",
            Kind::Owner,
        ),
        (
            "error: Failed to fetch git repository 'ssh://git@h/x'",
            Kind::Repository,
        ),
    ] {
        let failure = failure(&[text]);
        assert_eq!(failure.kind, kind, "{text}");
        assert!(failure.hint().is_some());
    }
    let failure = Failure::of(&Heard {
        errors: vec!["error: Failed to fetch git repository 'ssh://git@h/x'".to_owned()],
        outside: vec!["git@h: Permission denied (publickey).".to_owned()],
        ..Heard::default()
    });
    assert_eq!(failure.kind, Kind::Access);
    assert!(failure.words.ends_with("Permission denied (publickey)."));
}

#[test]
fn each_way_of_a_daemon_has_its_own_hint() {
    let at = "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket'";
    let remote = "error: cannot open connection to remote store 'daemon'";
    for (text, kind, hint) in [
        (
            format!("{at}: Connection refused"),
            Kind::Daemon,
            "start Nix's daemon",
        ),
        (
            format!("{at}: No such file or directory"),
            Kind::Daemon,
            "start Nix's daemon",
        ),
        (
            format!("{at}: Permission denied"),
            Kind::DaemonDenied,
            "nix-users",
        ),
        (
            format!("{remote}: error: reading from file: Connection reset by peer"),
            Kind::DaemonRefuses,
            "allowed-users",
        ),
        (
            format!("{remote}: error: writing to file: Broken pipe"),
            Kind::DaemonRefuses,
            "allowed-users",
        ),
    ] {
        let failure = failure(&[&text]);
        assert_eq!(failure.kind, kind, "{text}");
        assert!(failure.kind.is_of_daemon());
        assert!(failure.hint().unwrap().contains(hint), "{text}");
    }
}

#[test]
fn a_home_that_cannot_be_made() {
    let failure =
        failure(&["error: creating directory '/var/empty/.cache': Read-only file system"]);
    assert_eq!(failure.kind, Kind::Home);
    assert!(failure.hint().unwrap().contains("XDG_CACHE_HOME"));
}

#[test]
fn lines_may_begin_with_spaces_of_any_kind() {
    let failure = failure(&["error: a\n   b\n \u{3000}c\n\u{a0}d\n  \u{2003}"]);
    assert_eq!(failure.words, "a\n   b\n \u{3000}c\n\u{a0}d");
}
