//! Where a step's programs come from.

use serde_json::{Value, json};

use crate::model::identity::{Identity, Tools};
use crate::text::visible;

/// Where a step's programs come from, for programs.
pub(in crate::cli) fn environment_json(identity: &Identity) -> Value {
    match &identity.tools {
        Tools::Host => json!({ "kind": "host" }),
        Tools::HostInstead => json!({ "kind": "host-instead-of-packages" }),
        Tools::Nix(environment) => json!({
            "kind": "packages",
            "packages": environment.packages,
            "path": environment.path,
        }),
    }
}

/// Where a step's programs come from, in a few words.
pub(in crate::cli) fn environment(identity: &Identity) -> String {
    let tools = match &identity.tools {
        Tools::Host => "host".to_owned(),
        Tools::HostInstead => "host in place of packages".to_owned(),
        Tools::Nix(environment) => {
            let names = environment.packages.iter();
            let names: Vec<String> = names.map(|p| visible(&p.installable)).collect();
            names.join(", ")
        }
    };
    if identity.pure {
        format!("{tools} (pure)")
    } else {
        tools
    }
}
