//! Links between pages.

use std::path::{Component, Path, PathBuf};

use crate::pages::{CONTENTS, ROOT, all, of_users, page};

/// Where a relative path leads to from a page.
fn resolved(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{link} leads out of the repository"),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    for from in all() {
        for link in from.links() {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = match target {
                "" => from.path.clone(),
                target => resolved(&from.path, target),
            };
            let here = from.path.display();
            assert!(Path::new(ROOT).join(&path).exists(), "{here}: {link}");
            if !anchor.is_empty() {
                let anchors = page(path).anchors();
                assert!(
                    anchors.iter().any(|one| one == anchor),
                    "{here}: {link}: {anchors:?}"
                );
            }
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_page_can_be_found_from_the_readme() {
    let linked = page("README.md").links();
    for page in of_users().iter().skip(1) {
        let path = page.path.to_str().unwrap();
        assert!(linked.iter().any(|link| link == path), "{path}");
    }
}

/// What it does not list is not in the book, and links there lead nowhere.
#[test]
fn the_book_has_every_page_once() {
    let contents = page(CONTENTS);
    let links = contents.links();
    let mut listed: Vec<PathBuf> = links.iter().map(|l| resolved(&contents.path, l)).collect();
    listed.sort();
    let mut pages: Vec<PathBuf> = all().into_iter().map(|page| page.path).collect();
    pages.retain(|path| *path != contents.path);
    pages.sort();
    assert_eq!(listed, pages);
}

/// It is for someone who has five minutes.
#[test]
fn the_readme_is_short() {
    assert!(page("README.md").length() <= 200);
}
