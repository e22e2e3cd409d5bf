use std::fs;
use std::path::Path;

use super::TARGETS;

/// Changes of what is kept, a target.
const CHANGES: usize = 2000;

/// Numbers that look like chance and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder.join(target))
        .unwrap_or_else(|error| panic!("the corpus of {target}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        all.push(fs::read(&path).unwrap());
    }
    assert!(all.len() > 2, "{target}");
    all
}

/// One or several changes: of bytes, pieces left out, doubled, or of another one.
fn changed(one: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    const BYTES: &[u8] =
        b"\0\n\r\t \"'#,.:=[]{}()<>&\\/_-*?~$\x1b\x7f\xff\xc2\xa0\xe2\x80\xae09azAZ";
    let mut bytes = one.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + 1 + chance.below(16)).min(bytes.len());
        match chance.below(6) {
            0 => bytes.insert(at, BYTES[chance.below(BYTES.len())]),
            1 if at < bytes.len() => bytes[at] = BYTES[chance.below(BYTES.len())],
            2 => drop(bytes.drain(at..end.max(at))),
            3 => {
                let piece = bytes[at..end.max(at)].to_vec();
                let to = chance.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => {
                let from = chance.below(other.len() + 1);
                let piece = &other[from..(from + chance.below(40)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn replay(target: &str) {
    let (_, look) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let kept = kept(target);
    let look = |bytes: &[u8]| {
        let ended = std::panic::catch_unwind(|| look(bytes));
        let escaped: String = bytes.escape_ascii().to_string();
        assert!(ended.is_ok(), "with b\"{escaped}\"");
    };
    look(b"");
    kept.iter().for_each(|bytes| look(bytes));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..CHANGES {
        let (one, other) = (chance.below(kept.len()), chance.below(kept.len()));
        look(&changed(&kept[one], &kept[other], &mut chance));
    }
}

/// A test for each, so that they run beside one another.
macro_rules! replay {
    ($($target:ident)*) => {
        $(#[test] fn $target() { replay(stringify!($target)); })*

        #[test]
        fn all_are_replayed() {
            let names = TARGETS.map(|(name, _)| name);
            assert_eq!(names, [$(stringify!($target)),*]);
        }
    };
}

replay!(manifest route list names stored lock nix index sheet text page script);
