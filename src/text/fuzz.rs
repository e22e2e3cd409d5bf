//! Whatever is to be shown.

use super::command::{Fence, calm};
use super::mask::{Mask, Masked};
use super::width::{cut, cut_middle, head};
use super::{Colours, Screen, acts, html, json, lines, message, plain, quoted, said, visible};

/// A secret on the first line; then text.
pub(crate) fn text(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (secret, rest) = bytes.split_at(end.map_or(0, |end| end + 1));
    masked(secret, rest);
    on_a_terminal(rest);
    fenced(rest);
    let text = &*String::from_utf8_lossy(rest);
    let none_acts = |shown: &str, passes: &[char]| {
        assert!(
            !shown.contains(|c| acts(c) && !passes.contains(&c)),
            "{shown:?}"
        );
    };
    none_acts(&visible(text), &[]);
    assert_eq!(visible(&visible(text)), visible(text));
    none_acts(&quoted(text), &[]);
    assert!(quoted(text).chars().count() <= 62 + 10 * 60);
    none_acts(&lines(text), &['\n', '\t']);
    assert_eq!(lines(&lines(text)), lines(text));
    for line in said(rest) {
        none_acts(&without_colours(&line), &['\t']);
    }
    none_acts(&without_colours(&message(text)), &['\n', '\t']);
    escaped(text);
    let calmed = calm(text);
    assert_eq!(calm(&calmed), calmed);
    for line in calmed.lines() {
        assert!(!line.trim_start().starts_with("::") || !line.trim_start()[2..].contains(':'));
        assert!(!line.contains("##[") && !line.contains("##vso["));
    }
    // Colours of a log are gone, whatever else is left of it.
    let coloured = format!("\u{1b}[1;31m{}\u{1b}[0m", text.replace('\u{1b}', ""));
    assert!(!plain(&coloured).contains('\u{1b}'));
    let seen = visible(text);
    for width in [0, 1, 3, 10, 80] {
        use unicode_width::UnicodeWidthStr as _;
        assert!(cut(&seen, width).width() <= width);
        assert!(width < 3 || cut_middle(&seen, width).width() <= width);
        let (start, is_cut) = head(text, width);
        assert!(text.starts_with(start) && start.len() <= width && is_cut == (start != text));
    }
}

/// In HTML nothing of a text is markup, and it reads as it was; JSON says the same.
fn escaped(text: &str) {
    let escaped = html(text);
    assert!(
        !escaped.contains(|c| acts(c) || "<>\"'".contains(c)),
        "{escaped}"
    );
    let mut back = escaped.clone();
    for (entity, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
    ] {
        back = back.replace(entity, letter);
    }
    assert_eq!(back.matches('&').count(), back.matches("&amp;").count());
    let mut shown = String::new();
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    assert_eq!(back.replace("&amp;", "&"), shown);
    let written = serde_json::to_string(text).unwrap_or_default();
    let safe = json(written);
    assert!(!safe.contains(acts));
    assert!(!safe.contains("##[") && !safe.contains("##vso["));
    assert_eq!(
        serde_json::from_str::<String>(&safe).ok().as_deref(),
        Some(text)
    );
}

/// The text without the colours that may be in it.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split("\u{1b}[");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'));
        match end.map(|end| piece.split_at(end)) {
            Some((_, rest)) if rest.starts_with('m') => out.push_str(&rest[1..]),
            _ => {
                out.push('\u{1b}');
                out.push_str(piece);
            }
        }
    }
    out
}

/// In whatever pieces it comes, the same is shown, and nothing acts but colours.
fn on_a_terminal(bytes: &[u8]) {
    for colours in [Colours::Line, Colours::Text] {
        let shown = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut out = String::new();
            let mut screen = Screen::new(colours);
            pieces.for_each(|piece| screen.add(piece, &mut out));
            screen.end(&mut out);
            out
        };
        let whole = shown(&mut std::iter::once(bytes));
        let plain = without_colours(&whole);
        assert!(
            !plain.contains(|c| acts(c) && !matches!(c, '\n' | '\t')),
            "{whole:?}"
        );
        assert_eq!(shown(&mut bytes.chunks(1)), whole);
        assert_eq!(shown(&mut bytes.chunks(7)), whole);
        // No colour is on at the end, nor where a line is to end it.
        if let Some(at) = whole.rfind("\u{1b}[") {
            let codes = whole[at + 2..].split('m').next().unwrap_or_default();
            assert!(codes.bytes().all(|byte| byte == b'0'), "{whole:?}");
        }
    }
}

/// A word is nowhere in what passes, in whatever pieces it comes, and all else passes.
fn masked(secret: &[u8], bytes: &[u8]) {
    let mut mask = Mask::default();
    mask.add(secret);
    // So that it is there.
    let bytes = &[bytes, secret, b"\n", secret, bytes].concat();
    let shown = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut out, mut stream) = (Vec::new(), Masked::default());
        let mut pass = |bytes: &[u8]| out.extend_from_slice(bytes);
        pieces.for_each(|piece| stream.add(&mask, piece, &mut pass));
        stream.end(&mask, &mut pass);
        out
    };
    let whole = shown(&mut std::iter::once(&bytes[..]));
    assert_eq!(shown(&mut bytes.chunks(1)), whole);
    assert_eq!(shown(&mut bytes.chunks(5)), whole);
    let word = super::mask::without_ends(secret);
    if word.len() < Mask::LEAST {
        assert_eq!(whole, *bytes);
    } else if !word.contains(&b'*') {
        assert!(!whole.windows(word.len()).any(|at| at == word));
    }
}

/// All bytes pass, and those that would be heard as commands stand where nobody listens.
fn fenced(bytes: &[u8]) {
    let shown = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut out, mut fence) = (Vec::new(), Fence::new("TOKEN".to_owned()));
        pieces.for_each(|piece| fence.add(piece, &mut out));
        fence.end(&mut out);
        out
    };
    let whole = shown(&mut std::iter::once(bytes));
    assert_eq!(shown(&mut bytes.chunks(1)), whole);
    let text = String::from_utf8_lossy(&whole);
    let listened = text
        .split("::stop-commands::TOKEN\n")
        .next()
        .unwrap_or_default();
    for line in listened.split(['\n', '\r']) {
        let line = line.trim_start();
        assert!(
            !line.starts_with("::") || !line[2..].contains(':'),
            "{text:?}"
        );
        assert!(!line.contains("##["), "{text:?}");
    }
}
