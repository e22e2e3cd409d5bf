use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Router, suggest};
use crate::model::fuzz::specified;
use crate::model::name::StepName;
use crate::model::promise::Pattern;

fn router<'a>(names: impl IntoIterator<Item = &'a str>) -> Router {
    Router::new(names.into_iter().map(|name| StepName::new(name).unwrap()))
}

fn route<'a>(names: &'a [&str], file: &str) -> Option<&'a str> {
    let router = router(names.iter().copied());
    let route = router.route(file)?.to_string();
    names.iter().copied().find(|name| *name == route)
}

fn near(names: &[&str], file: &str) -> Option<String> {
    let router = router(names.iter().copied());
    router.near(file).map(ToString::to_string)
}

#[test]
fn by_name_by_last_part_and_without_extensions() {
    let steps = ["next", "transform", "a_next", "x.y"];
    for (file, step) in [
        ("next", Some("next")),
        ("result_next.txt", Some("next")),
        ("final_transform.txt", Some("transform")),
        ("x_y_next.tar.gz", Some("next")),
        ("done.txt", None),
        // The longest part wins, the whole name before all.
        ("a_next", Some("a_next")),
        ("b_a_next.txt", Some("a_next")),
        ("ba_next.txt", Some("next")),
        // More of the name wins over less.
        ("transform.txt_next", Some("next")),
        ("transform.x_y", Some("transform")),
        // Steps' names with dots.
        ("x.y", Some("x.y")),
        ("a_x.y.z", Some("x.y")),
        ("x.z", None),
        // Not only a part, and not the part before.
        ("mynext", None),
        ("next_1", None),
        ("next_", None),
        ("_next", Some("next")),
        ("__next", Some("next")),
        ("Next", None),
        ("", None),
        ("_", None),
        (".", None),
    ] {
        assert_eq!(route(&steps, file), step, "{file}");
    }
}

#[test]
fn dots_at_the_ends_of_names() {
    let steps = ["next", ".hidden"];
    for (file, step) in [
        ("next.", Some("next")),
        ("next..", Some("next")),
        ("next..gz", Some("next")),
        (".next", None),
        ("..next", None),
        (".x_next", Some("next")),
        (".x_next.txt", Some("next")),
        (".hidden", Some(".hidden")),
        (".hidden.txt", Some(".hidden")),
        ("a_.hidden", Some(".hidden")),
        ("...", None),
    ] {
        assert_eq!(route(&steps, file), step, "{file}");
    }
}

#[test]
fn a_step_that_was_perhaps_meant() {
    let steps = ["next", "transform", "one", "big_step"];
    for (file, step) in [
        ("Next", Some("next")),
        ("nxet", Some("next")),
        ("result-next.txt", Some("next")),
        ("result next.txt", Some("next")),
        ("result_NEXT.txt", Some("next")),
        ("result_nexd.txt", Some("next")),
        ("transfrom", Some("transform")),
        ("a_tranform.tar.gz", Some("transform")),
        ("tronsfrom.txt", Some("transform")),
        ("big-step.txt", Some("big_step")),
        ("a_bigstep.txt", Some("big_step")),
        ("ONE", Some("one")),
        // Those that have a route.
        ("next", None),
        ("a_one.txt", None),
        // Ordinary names.
        ("done.txt", None),
        ("on", None),
        ("text.txt", Some("next")),
        ("result.txt", None),
        ("report.html", None),
        ("nets", None),
        ("transit", None),
        ("", None),
    ] {
        assert_eq!(near(&steps, file).as_deref(), step, "{file}");
    }
}

/// What is near, by comparing with each name.
fn specified_near<'a>(
    router: &'a Router,
    names: &'a [StepName],
    file: &str,
) -> Option<&'a StepName> {
    let mut sorted: Vec<_> = names
        .iter()
        .map(|name| (super::fold(name.as_str()), name))
        .collect();
    sorted.sort();
    let mut best: Option<(usize, &StepName)> = None;
    if router.route(file).is_some() {
        return None;
    }
    for tail in super::stems(file).flat_map(|stem| super::tails(stem, &['_', '-', ' '])) {
        let tail = super::fold(tail);
        for (folded, name) in &sorted {
            let shorter = folded.chars().count().min(tail.chars().count());
            let edits = suggest::distance(&tail, folded);
            if edits == 0 {
                return Some(name);
            }
            if edits <= super::few_edits(shorter) && best.is_none_or(|(least, _)| edits < least) {
                best = Some((edits, name));
            }
        }
    }
    best.map(|(_, name)| name)
}

proptest! {
    #[test]
    fn the_nearest_is_that_of_comparing_with_each(
        names in vec("[abAB_]{3,10}", 0..12), file in "[abA_-]{3,10}(\\.[ab]{1,9})?"
    ) {
        let names: Vec<_> = names.iter().filter_map(|name| StepName::new(name).ok()).collect();
        let router = Router::new(names.clone());
        prop_assert_eq!(router.near(&file), specified_near(&router, &names, &file));
    }

    #[test]
    fn total(names in vec(any::<String>(), 0..5), file in any::<String>()) {
        let router = Router::new(names.iter().filter_map(|name| StepName::new(name).ok()));
        prop_assert!(router.route(&file).is_none() || router.near(&file).is_none());
    }

    #[test]
    fn the_longest_match(names in vec("[ab][ab_.]{0,4}", 0..8), file in "[ab_.]{0,12}") {
        let names: Vec<_> = names.iter().map(|name| StepName::new(name).unwrap()).collect();
        let router = Router::new(names.clone());
        prop_assert_eq!(router.route(&file), specified(&names, &file));
    }

    #[test]
    fn the_order_of_steps_is_nothing(names in vec("[abAB_-]{1,5}", 0..8), file in "[abAB_.-]{0,12}") {
        let forward = router(names.iter().map(String::as_str));
        let backward = router(names.iter().rev().map(String::as_str));
        prop_assert_eq!(forward.route(&file), backward.route(&file));
        prop_assert_eq!(forward.near(&file), backward.near(&file));
    }

    #[test]
    fn a_step_s_own_name_goes_to_it(names in vec("[ab_.]{3,6}", 1..8), prefix in "[a.]{0,3}_") {
        let names: Vec<_> = names.iter().filter_map(|name| StepName::new(name).ok()).collect();
        let router = Router::new(names.clone());
        for name in &names {
            prop_assert_eq!(router.route(name.as_str()), Some(name));
            let longer = format!("{prefix}{name}");
            prop_assert!(router.route(&longer).is_some(), "{}", longer);
        }
    }

    #[test]
    fn an_extension_changes_nothing(
        names in vec("[ab_]{1,4}", 1..8), file in "[ab_.]{0,8}", extension in "[ab]{0,3}"
    ) {
        let router = router(names.iter().map(String::as_str));
        if let Some(step) = router.route(&file) {
            prop_assert_eq!(router.route(&format!("{file}.{extension}")), Some(step));
        }
    }

    #[test]
    fn what_is_certain_is_so_for_each_beginning(
        names in vec("[ab][ab_.]{0,3}", 1..6), begin in "[ab_.]{0,4}", end in "[ab_.]{1,5}"
    ) {
        let router = router(names.iter().map(String::as_str));
        if let Some(step) = router.certain(&end) {
            prop_assert_eq!(router.route(&format!("{begin}{end}")), Some(step));
        }
    }
}

#[test]
fn an_end_that_decides() {
    let router = router(["s", "b_s", "a.b"]);
    let certain = |end| router.certain(end).map(StepName::as_str);
    for (end, step) in [
        ("_s.txt", None),
        ("_c_s.txt", Some("s")),
        ("_b_s.txt", Some("b_s")),
        ("s.txt", None),
        (".a_s", Some("s")),
        ("", None),
        ("_x", None),
    ] {
        assert_eq!(certain(end), step, "{end}");
    }
}

/// What a name has by its whole, it has not by a part of it.
#[test]
fn a_key_is_of_the_step_that_the_name_goes_to() {
    let router = router(["next", "a_next.txt", "b.next"]);
    for (file, key) in [
        ("a_next.txt", None),
        ("a_next", Some("a")),
        ("x_a_next.txt", Some("x")),
        ("b_next.txt.gz", Some("b")),
        ("b.next", None),
        ("_next", None),
        ("none", None),
    ] {
        assert_eq!(router.key(file), key, "{file}");
    }
}

/// Where a pattern's name goes, it may go.
#[test]
fn where_a_pattern_may_lead() {
    let router = router(["a", "_a", "b_s", "s", "x.y"]);
    for (pattern, steps) in [
        ("*_a.b", &["a", "_a"][..]),
        ("*_s", &["s", "b_s"]),
        ("*_c_s.txt", &["s"]),
        ("*_x.y.gz", &["x.y"]),
        ("s", &["s"]),
        ("*", &["a", "_a", "b_s", "s", "x.y"]),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        for name in ["a", "_a", "b_s", "s", "x.y"] {
            let step = StepName::new(name).unwrap();
            let may = router.may_go(&pattern, &step);
            assert_eq!(may, steps.contains(&name), "{pattern:?} {name}");
        }
    }
}
