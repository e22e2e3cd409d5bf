//! Whatever is handed in as a manifest with its parts.

use std::ops::Range;
use std::path::Path;

use super::{Manifest, Texts, includes};
use crate::text::acts;

/// A manifest, and its parts behind lines `#part PATH`.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let texts = texts(text, "");
    for number in 0..texts.len() {
        for glob in includes(&texts, number) {
            is_inside(&texts, &glob.at);
        }
    }
    let manifest = match Manifest::read(&texts) {
        Ok(manifest) => manifest,
        Err(wrong) => {
            assert!(!wrong.is_empty());
            for one in &wrong {
                assert!(!one.message.is_empty());
                one.span.iter().for_each(|span| is_inside(&texts, span));
            }
            let told = texts.render(&wrong);
            assert!(
                told.starts_with("error: ") && told.ends_with('\n'),
                "{told}"
            );
            assert!(
                !told.contains(|c| !matches!(c, '\n' | '\t') && acts(c)),
                "{told:?}"
            );
            return;
        }
    };
    assert_eq!(manifest.places.len(), manifest.steps.len());
    for (step, places) in manifest.steps.iter().zip(&manifest.places) {
        assert_eq!(manifest.step(&step.name), Some(step));
        assert_eq!(manifest.routes().route(&step.name), Some(&step.name));
        is_inside(&texts, &places.step);
        is_inside(&texts, &places.script);
        let end = step.script.len();
        for at in [0, end / 2, end] {
            let at = step.script.floor_char_boundary(at);
            let place = places.in_script(texts.all(), at..end);
            is_inside(&texts, &place);
        }
    }
    assert!(manifest.start().is_some() || !manifest.inputs.is_empty());
    // A remark says nothing.
    let remarked = self::texts(text, "\n# [[step]]");
    assert_eq!(Manifest::read(&remarked).as_ref(), Ok(&manifest));
}

fn texts(text: &str, end: &str) -> Texts {
    let mut files = text.split("\n#part ").peekable();
    let own = files.next().unwrap_or_default();
    let end = |is_last: bool| if is_last { end } else { "" };
    let own = own.to_owned() + end(files.peek().is_none());
    let mut texts = Texts::new(Path::new("workflow.toml"), &own);
    while let Some(part) = files.next() {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        let folder = path.rfind('/').map_or("", |end| &path[..=end]);
        let text = text.to_owned() + end(files.peek().is_none());
        texts.push(Path::new(path), folder.to_owned(), &text);
    }
    texts
}

/// It is a part of one of the files.
fn is_inside(texts: &Texts, place: &Range<usize>) {
    assert!(place.start <= place.end, "{place:?}");
    let (text, _, start) = texts.file(texts.of(place.start));
    assert!(place.end <= start + text.len(), "{place:?}");
    assert!(texts.all().get(place.clone()).is_some(), "{place:?}");
}
