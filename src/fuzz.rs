//! Readers of what others wrote, each with what must hold of it for any bytes at all. For tests alone: a
//! kept corpus and changes of it in the unit tests, and whatever a fuzzer thinks of in `tests/fuzz`.

/// Looks at a reader with these bytes; panics where something does not hold.
pub type Target = fn(&[u8]);

/// All of them, by the names of the folders in `tests/fuzz/corpus`.
pub const TARGETS: [(&str, Target); 12] = [
    ("manifest", crate::manifest::fuzz::manifest),
    ("route", crate::model::fuzz::route),
    ("list", crate::model::fuzz::list),
    ("names", crate::model::fuzz::names),
    ("stored", crate::store::fuzz::list),
    ("lock", crate::packages::fuzz::lock),
    ("nix", crate::packages::fuzz::nix),
    ("index", crate::packages::fuzz::index),
    ("sheet", crate::inputs::fuzz::sheet),
    ("text", crate::text::fuzz::text),
    ("page", crate::view::fuzz::page),
    ("script", script),
];

/// What is read of scripts has its place in them.
fn script(bytes: &[u8]) {
    use crate::script::{network, shell::Shell, simple, survey, warm};
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for found in [
        survey::of(text),
        survey::of_text(text),
        survey::of_value(text),
    ] {
        for word in &found.words {
            assert!(text.is_char_boundary(word.at), "{word:?}");
        }
    }
    let _ = survey::imports(text, "folder/");
    let _ = network::first_use(text);
    let _ = simple::parse(text);
    for shell in [Shell::Dash, Shell::Bash] {
        let arguments = ["-e".to_owned(), "-c".to_owned()];
        if let Ok(script) = warm::Script::new(Some(shell), &arguments, text) {
            let _ = script.unnoticed();
            assert!(script.looped("fifo").contains(text));
        }
    }
}

#[cfg(test)]
mod tests;
