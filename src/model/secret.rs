//! Secrets: what a run is given for its scripts and nobody else.

/// In front of its name, the variable with the path of a secret.
pub const VARIABLE: &str = "SECRET_";

/// The variable of a secret.
pub fn variable(name: &str) -> String {
    format!("{VARIABLE}{name}")
}
