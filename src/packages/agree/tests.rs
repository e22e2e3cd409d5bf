//! Pins as the versions of Nix make them, and pins that lead elsewhere.

use std::collections::BTreeMap;

use super::super::pin::Scalar;
use super::*;

const REV: &str = "61b7c44c4073f0b827768aff0049561b5110ea5a";

/// `key=value` pairs, separated by blanks.
fn pin(values: &str) -> Pin {
    let values = values.split(' ').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        let value = if value == "true" {
            Scalar::Bool(true)
        } else {
            Scalar::Text(value.to_owned())
        };
        (key.to_owned(), value)
    });
    let mut values: BTreeMap<_, _> = values.collect();
    values.insert("narHash".into(), Scalar::Text("sha256-x".into()));
    Pin(values)
}

fn wrong(reference: &str, values: &str) -> Option<&'static str> {
    disagreement(reference, &pin(values)).map(|found| found.key)
}

#[test]
fn pins_as_nix_makes_them() {
    for (reference, values) in [
        (
            "github:NixOS/nixpkgs/nixos-unstable",
            "type=github owner=NixOS repo=nixpkgs rev=1",
        ),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=nixpkgs rev=1 treeHash=2",
        ),
        (
            "github:o/r?dir=sub&ref=main",
            "type=github owner=o repo=r dir=sub rev=1",
        ),
        (
            "github:o/r?host=gh.example.org",
            "type=github host=gh.example.org owner=o repo=r rev=1",
        ),
        ("gitlab:a%2Fb/r", "type=gitlab owner=a%2Fb repo=r rev=1"),
        ("gitlab:a%2Fb/r", "type=gitlab owner=a/b repo=r rev=1"),
        ("sourcehut:~o/r", "type=sourcehut owner=~o repo=r rev=1"),
        (
            "git+https://h/o/r?ref=main&submodules=1",
            "type=git url=https://h/o/r ref=main submodules=true rev=1",
        ),
        (
            "git+https://h/o/r?x=1&ref=main",
            "type=git url=https://h/o/r?x=1 ref=refs/heads/main rev=1",
        ),
        (
            "git+ssh://git@h/o/r.git",
            "type=git url=ssh://git@h/o/r.git rev=1",
        ),
        ("git://h/r", "type=git url=git://h/r rev=1"),
        ("git+file:///a%20b", "type=git url=file:///a%20b rev=1"),
        ("git+file:/a", "type=git url=file:///a rev=1"),
        ("git+file:./a", "type=git rev=1"),
        ("hg+https://h/r", "type=hg url=https://h/r rev=1"),
        ("path:/a/b", "type=path path=/a/b"),
        ("path:/a/b?dir=c", "type=path path=/a/b dir=c"),
        ("path:./b", "type=path"),
        ("https://h/x.tar.gz", "type=tarball url=https://h/x.tar.gz"),
        ("https://h/x?id=1", "type=file url=https://h/x?id=1"),
        ("tarball+https://h/x", "type=tarball url=https://h/x"),
        ("file+https://h/x", "type=file url=https://h/x"),
        ("file:///a/x.tar.gz", "type=tarball url=file:///a/x.tar.gz"),
        // Addresses that a server gives for what is there now.
        (
            "https://channels.nixos.org/nixos-25.11/nixexprs.tar.xz",
            "type=tarball rev=1 url=https://releases.nixos.org/nixos/25.11/nixos-25.11.9320.1766437c5509/nixexprs.tar.xz",
        ),
        (
            "https://nixos.org/channels/nixos-unstable/nixexprs.tar.xz",
            "type=tarball url=https://releases.nixos.org/nixos/unstable/nixos-21.05pre269929.ff96a0fa563/nixexprs.tar.xz",
        ),
        (
            "https://flakehub.com/f/hercules-ci/flake-parts/0.1",
            "type=tarball rev=1 url=https://api.flakehub.com/f/pinned/hercules-ci/flake-parts/0.1.377%2Brev-49f0/01972f28/source.tar.gz",
        ),
        (
            "https://git.lix.systems/lix-project/lix/archive/main.tar.gz",
            "type=tarball rev=1 url=https://git.lix.systems/api/v1/repos/lix-project/lix/archive/f4bd.tar.gz?rev=f4bd",
        ),
        // Names may stand for anything.
        ("nixpkgs", "type=github owner=NixOS repo=nixpkgs rev=1"),
        ("flake:tools", "type=path path=/home/me/tools"),
        (
            "nixpkgs/nixos-25.11",
            "type=github owner=NixOS repo=nixpkgs rev=1",
        ),
        ("new+scheme:x", "type=new"),
    ] {
        assert_eq!(wrong(reference, values), None, "{reference}: {values}");
    }
}

#[test]
fn pins_that_lead_elsewhere() {
    for (reference, values, key) in [
        ("github:NixOS/nixpkgs", "type=path path=/evil", "type"),
        (
            "github:NixOS/nixpkgs",
            "type=git url=https://github.com/NixOS/nixpkgs",
            "type",
        ),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=evil repo=nixpkgs",
            "owner",
        ),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=evil",
            "repo",
        ),
        ("github:NixOS/nixpkgs", "type=github repo=nixpkgs", "owner"),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=nixpkgs host=evil.org",
            "host",
        ),
        ("github:o/r?host=a", "type=github owner=o repo=r", "host"),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=nixpkgs dir=evil",
            "dir",
        ),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=nixpkgs url=https://evil",
            "url",
        ),
        (
            "github:NixOS/nixpkgs",
            "type=github owner=NixOS repo=nixpkgs path=/evil",
            "path",
        ),
        ("git+https://h/o/r", "type=git url=https://evil/o/r", "url"),
        ("git+https://h/o/r", "type=git url=https://h/evil/r", "url"),
        ("git+https://h/o/r", "type=git url=http://h/o/r", "url"),
        ("git+https://h/o/r", "type=git url=file:///h/o/r", "url"),
        ("git+https://h/o/r", "type=git url=https://h/o/r?x=1", "url"),
        ("git+https://h/o/r", "type=git", "url"),
        ("git+https://h/o/r", "type=path path=/h/o/r", "type"),
        ("git+file:./a", "type=git path=/a", "path"),
        ("git+file:/a", "type=git url=file:///b", "url"),
        ("path:/a/b", "type=path path=/a/c", "path"),
        ("path:/a/b", "type=path", "path"),
        ("path:./b", "type=git url=file:///b", "type"),
        (
            "https://h/x.tar.gz",
            "type=tarball url=https://h/y.tar.gz",
            "url",
        ),
        ("https://h/x?id=1", "type=file url=https://h/x?id=2", "url"),
        ("https://h/x.tar.gz", "type=path path=/x", "type"),
        ("tarball+https://h/x", "type=file url=https://h/x", "type"),
        (
            "https://github.com/NixOS/nixpkgs/archive/a.tar.gz",
            "type=tarball url=https://github.com/evil/nixpkgs/archive/a.tar.gz",
            "url",
        ),
        (
            "https://github.com/NixOS/nixpkgs/archive/a.tar.gz",
            "type=tarball url=https://github.com/NixOS/nixpkgs/../../evil/a.tar.gz",
            "url",
        ),
        (
            "https://channels.nixos.org/x/nixexprs.tar.xz",
            "type=tarball url=https://releases.nixos.org.evil.org/nixexprs.tar.xz",
            "url",
        ),
        (
            "https://channels.nixos.org/x/nixexprs.tar.xz",
            "type=tarball url=http://releases.nixos.org/nixexprs.tar.xz",
            "url",
        ),
        (
            "https://flakehub.com/f/o/r/1",
            "type=tarball url=https://api.flakehub.com/f/pinned/evil/r/1",
            "url",
        ),
        (
            "https://flakehub.com/f/o/r/1",
            "type=tarball url=https://evil.flakehub.com/f/pinned/o/r/1",
            "url",
        ),
    ] {
        assert_eq!(wrong(reference, values), Some(key), "{reference}: {values}");
    }
}

#[test]
fn a_revision_in_the_reference() {
    let right = format!("type=github owner=o repo=r rev={REV}");
    for reference in [
        format!("github:o/r/{REV}"),
        format!("github:o/r?rev={REV}"),
        format!("nixpkgs/{REV}"),
        format!("nixpkgs/main/{REV}"),
    ] {
        assert_eq!(wrong(&reference, &right), None, "{reference}");
        let other = "type=github owner=o repo=r rev=f00";
        assert_eq!(wrong(&reference, other), Some("rev"), "{reference}");
    }
    let git = format!("git+https://h/r?rev={REV}");
    assert_eq!(
        wrong(&git, &format!("type=git url=https://h/r rev={REV}")),
        None
    );
    assert_eq!(wrong(&git, "type=git url=https://h/r rev=f00"), Some("rev"));
}

#[test]
fn texts_with_percent_signs() {
    for (text, plain) in [
        ("a%20b", "a b"),
        ("%", "%"),
        ("%zz", "%zz"),
        ("%ff", "%ff"),
        ("é%41", "éA"),
    ] {
        assert_eq!(decoded(text), plain);
    }
}
