use proptest::prelude::*;

use super::*;
use crate::model::environment::Package;

fn environment(paths: &[String]) -> Environment {
    Environment {
        packages: paths
            .iter()
            .map(|p| Package {
                installable: p.clone(),
                store_paths: vec![p.clone()],
                pin: None,
            })
            .collect(),
        path: paths.iter().map(|p| format!("{p}/bin")).collect(),
    }
}

prop_compose! {
    fn identity()(
        script in "[ab]{0,3}",
        shell in prop::collection::vec("[ab]{0,2}", 0..3),
        env in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
        pure: bool,
        keep in prop::collection::vec("[ab]{0,2}", 0..3),
        tools in prop_oneof![
            Just(Tools::Host),
            Just(Tools::HostInstead),
            prop::collection::vec("[ab]{0,2}", 0..3).prop_map(|p| Tools::Nix(environment(&p))),
        ],
        kept in prop::collection::btree_map("[ab]{0,2}", prop::option::of("[ab]{1,2}"), 0..3),
        files in prop::option::of("[ab]".prop_map(|text| Files {
            tree: Digest::of(text.as_bytes()),
            mentions: [format!("PARAM_{text}")].into(),
        })),
        params in prop::collection::btree_map("[ab]{1,2}", "[ab]{0,2}", 0..3),
        gather: bool,
        (with, each, secrets, sandbox, network) in (
            prop::collection::vec("[ab]{1,2}", 0..3),
            any::<bool>(),
            prop::collection::btree_set("[ab]{1,2}", 0..3),
            any::<bool>(),
            any::<bool>(),
        ),
        rest in prop::collection::btree_map("[ab]{1,2}", "[ab]{0,2}", 0..2),
    ) -> Identity {
        let rest = rest.into_iter().map(|(name, value)| (name, value.into())).collect();
        let secrets = secrets.into_iter().collect();
        Identity { script, shell, env, pure, keep, tools, kept, files, params, gather, with, each, secrets, sandbox, network, rest }
    }
}

proptest! {
    // Every component changes it, nothing else does, and the words agree with the hash.
    #[test]
    fn equal_fingerprints_exactly_without_changes(a in identity(), b in identity()) {
        let same = a.fingerprint() == b.fingerprint();
        prop_assert_eq!(same, a.changes_since(&b).is_empty());
        prop_assert_eq!(same, b.changes_since(&a).is_empty());
        prop_assert_eq!(same, a == b);
    }

    #[test]
    fn a_record_says_all(a in identity()) {
        prop_assert_eq!(Identity::from_json(&a.to_json()), Some(a));
    }
}

fn plain() -> Identity {
    Identity {
        script: "true".into(),
        shell: vec!["sh".into(), "-c".into()],
        ..Identity::default()
    }
}

/// All that a manifest could say when this format was made.
fn full() -> Identity {
    Identity {
        script: "jq . < \"$INPUT_FILE\"\n".into(),
        env: [("A".to_owned(), "ä\0".to_owned())].into(),
        pure: true,
        keep: vec!["LANG".into(), "TZ".into()],
        tools: Tools::Nix(Environment {
            packages: vec![
                Package {
                    installable: "nixpkgs#jq".into(),
                    store_paths: vec!["/nix/store/a-jq".into(), "/nix/store/b-jq-man".into()],
                    pin: Some("github:NixOS/nixpkgs/0123".into()),
                },
                Package {
                    installable: "/nix/store/c-sed".into(),
                    store_paths: vec!["/nix/store/c-sed".into()],
                    pin: None,
                },
            ],
            path: vec!["/nix/store/a-jq/bin".into(), "/nix/store/c-sed/bin".into()],
        }),
        ..plain()
    }
}

/// Identities with their records and fingerprints, as they are in the databases of users. A line
/// that is here stays as it is: a change of it would taint every task, or blank its history.
fn recorded() -> [(Identity, &'static str, &'static str); 7] {
    let kept = Identity {
        keep: vec!["LANG".into(), "TZ".into()],
        kept: [
            ("LANG".to_owned(), Some(Digest::of(b"C").to_string())),
            ("TZ".to_owned(), None),
        ]
        .into(),
        ..plain()
    };
    let files = Identity {
        files: Some(Files {
            tree: Digest::EMPTY,
            mentions: ["TASK_PIPELINE_KEY".to_owned()].into(),
        }),
        ..plain()
    };
    let instead = Identity {
        tools: Tools::HostInstead,
        ..plain()
    };
    let secrets = Identity {
        secrets: vec!["api_token".into(), "key".into()],
        ..plain()
    };
    let sandbox = Identity {
        sandbox: true,
        network: true,
        ..plain()
    };
    [
        (
            plain(),
            r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":[],"tools":"Host"}"#,
            "466886270cfeac49398bc421d1bc6b97481427527ee761ce702a113a37d76fba",
        ),
        (
            instead,
            r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":[],"tools":"HostInstead"}"#,
            "4348d246864326267fec91192e2443fa5ae2b1e4070fb4bdd3369ca1f3a38bb0",
        ),
        (
            full(),
            concat!(
                r#"{"script":"jq . < \"$INPUT_FILE\"\n","shell":["sh","-c"],"env":{"A":"ä\u0000"},"#,
                r#""pure":true,"keep":["LANG","TZ"],"tools":{"Nix":{"packages":["#,
                r#"{"installable":"nixpkgs#jq","store_paths":["/nix/store/a-jq","/nix/store/b-jq-man"],"#,
                r#""pin":"github:NixOS/nixpkgs/0123"},"#,
                r#"{"installable":"/nix/store/c-sed","store_paths":["/nix/store/c-sed"],"pin":null}],"#,
                r#""path":["/nix/store/a-jq/bin","/nix/store/c-sed/bin"]}}}"#,
            ),
            "3bb44ffe461611b32ced4ae48f38a56a1c32c2303e35dde0064d920ce9e40d4e",
        ),
        (
            kept,
            concat!(
                r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":["LANG","TZ"],"#,
                r#""tools":"Host","kept":{"#,
                r#""LANG":"6b23c0d5f35d1b11f9b683f0b0a617355deb11277d91ae091d399c655b87940d","TZ":null}}"#,
            ),
            "0af0bda74912b0e155e9c498c774dc65709f80873601c66a51b1ac82575b51c7",
        ),
        (
            files,
            concat!(
                r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":[],"tools":"Host","#,
                r#""files":{"tree":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","#,
                r#""mentions":["TASK_PIPELINE_KEY"]}}"#,
            ),
            "87aa0909ba295e4e659abcf46e961bb8cce1343f9a28473caf9e82355e7957ae",
        ),
        (
            secrets,
            concat!(
                r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":[],"tools":"Host","#,
                r#""secrets":["api_token","key"]}"#,
            ),
            "ee977e6cf9dfb229228b307b6e09d235bc04d98318dc6cb63d12a97e2eb768ad",
        ),
        (
            sandbox,
            concat!(
                r#"{"script":"true","shell":["sh","-c"],"env":{},"pure":false,"keep":[],"tools":"Host","#,
                r#""sandbox":true,"network":true}"#,
            ),
            "eff400c3c0fe67b6f982fc02fb632f98ed30b27d2fb545bd95fecee2d7cd1dd7",
        ),
    ]
}

#[test]
fn records_and_fingerprints_are_the_same_for_ever() {
    for (identity, json, fingerprint) in recorded() {
        assert_eq!(identity.to_json(), json);
        assert_eq!(identity.fingerprint().to_string(), fingerprint);
        assert_eq!(Identity::from_json(json), Some(identity));
    }
}

#[test]
fn what_a_newer_version_recorded_stays_readable() {
    for (identity, json, _) in recorded() {
        // In the identity, and in each of its parts.
        let newer = json
            .replacen('{', r#"{"nice":{"by":5},"#, 1)
            .replace(r#"{"installable""#, r#"{"built":true,"installable""#)
            .replace(r#"{"packages""#, r#"{"libraries":[],"packages""#);
        let read = Identity::from_json(&newer).unwrap();
        assert_eq!(read.tools, identity.tools);
        assert_ne!(read.fingerprint(), identity.fingerprint());
        let changes = [Change::Unknown(vec!["nice".to_owned()])];
        assert_eq!(identity.changes_since(&read), changes);
        assert_eq!(read.changes_since(&identity), changes);
        assert_eq!(
            changes[0].to_string(),
            "what a newer task-pipeline knows (nice)"
        );
        // Written again, nothing of it is lost.
        assert_eq!(Identity::from_json(&read.to_json()), Some(read));
    }
}

#[test]
fn a_damaged_record_is_none() {
    for json in ["", "{", "{}", r#"{"script":"true"}"#] {
        assert_eq!(Identity::from_json(json), None);
    }
}

#[test]
fn another_name_for_the_same_path_is_no_change() {
    let mut a = plain();
    let mut b = plain();
    let mut env = environment(&["/nix/store/x".to_owned()]);
    a.tools = Tools::Nix(env.clone());
    env.packages[0].installable = "other#name".into();
    env.packages[0].pin = Some("rev".into());
    b.tools = Tools::Nix(env);
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert_eq!(a.changes_since(&b), []);
}

#[test]
fn words() {
    let old = plain();
    let mut new = plain();
    new.script = "false".into();
    new.env.insert("A".into(), "1".into());
    new.tools = Tools::Nix(environment(&["p".into()]));
    let words: Vec<String> = new
        .changes_since(&old)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(words, ["script", "variables (A)", "packages were added"]);
}

#[test]
fn what_files_mention_counts() {
    let mut step = plain();
    assert!(!step.reads_task() && !step.reads_input_name());
    let files = |name: &str| Files {
        tree: Digest::EMPTY,
        mentions: [name.to_owned()].into(),
    };
    step.files = Some(files("TASK_PIPELINE_RUNSET"));
    assert!(step.reads_task());
    step.files = Some(files("TASK_PIPELINE_INPUT_NAME"));
    assert!(step.reads_input_name() && !step.reads_task());
}

#[test]
fn files_are_named_where_they_are_known() {
    let mut changes = FileChanges {
        new: None,
        old: Some(Digest::EMPTY),
        names: Vec::new(),
    };
    assert_eq!(changes.to_string(), "files");
    changes.names = ["a", "b (removed)"].map(str::to_owned).to_vec();
    assert_eq!(changes.to_string(), "files (a, b (removed))");
    changes.names = vec!["x".to_owned(); 7];
    assert_eq!(changes.to_string(), "files (x, x, x, x, x and 2 more)");
}
