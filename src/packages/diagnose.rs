//! A call for several packages failed: which of them are to blame.

use std::collections::BTreeMap;

use super::command::{CallError, Inputs, Nix};
use super::failure::{Failure, Kind};
use super::wanted::All;
use super::{BadPackage, Error};

/// The failure of the package at `place`.
pub(super) fn one(all: &All, place: usize, failure: Failure) -> BadPackage {
    together(all, &[place], failure)
}

/// One failure of all the packages at `places`.
pub(super) fn together(all: &All, places: &[usize], failure: Failure) -> BadPackage {
    let text = |place: &usize| all.wanted[*place].text.clone();
    BadPackage {
        packages: places.iter().map(text).collect(),
        steps: all.steps_of(places),
        failure,
    }
}

/// Names every package of `arguments` that is to blame for `failure`. Each is evaluated by itself;
/// none is built again: a failed build belongs to all that need it.
pub(super) fn several(
    all: &All,
    nix: &Nix<'_>,
    arguments: &BTreeMap<usize, String>,
    inputs: Inputs<'_>,
    failure: Failure,
) -> Error {
    let places: Vec<usize> = arguments.keys().copied().collect();
    let steps = all.steps_of(&places);
    let all_alike = failure.kind.is_of_daemon() || failure.kind == Kind::NoSpace;
    if all_alike {
        return Error::of_call(CallError::Failed(failure), &steps);
    }
    if let [place] = places[..] {
        return Error::Packages(vec![one(all, place, failure)]);
    }
    let mut bad = Vec::new();
    for (place, argument) in arguments {
        let derivation = match nix.derivation_of(argument, inputs) {
            Ok(derivation) => derivation,
            Err(CallError::Failed(failure)) => {
                bad.push(one(all, *place, failure));
                continue;
            }
            Err(call) => return Error::of_call(call, &steps),
        };
        let Some(derivation) = derivation.filter(|_| !failure.builds.is_empty()) else {
            continue;
        };
        let Ok(needs) = nix.requisites(std::slice::from_ref(&derivation)) else {
            continue;
        };
        for build in failure.builds.keys().filter(|build| needs.contains(build)) {
            bad.push(one(all, *place, failure.of_build(build)));
        }
    }
    if bad.is_empty() {
        return Error::of_call(CallError::Failed(failure), &steps);
    }
    Error::Packages(bad)
}
