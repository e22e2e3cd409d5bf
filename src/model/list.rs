//! Inputs of several files: a list of them is the object, in the form of [`super::tree`], and the
//! names in it are those that the script finds in `INPUT_DIR`.
//!
//! A list is either a set of files that were brought together, and then `INPUT_FILE` is the list, or
//! a file with others that belong to it, such as a row with those that it names. Then that one has
//! the name "" in the list, is `INPUT_FILE`, and is not in `INPUT_DIR`.

use std::collections::HashSet;

use crate::model::digest::Digest;
use crate::model::tree::{self, Entry, Kind};

/// What the object of an output, or of a task's input, is. A file, a folder and a list of the same bytes
/// are different inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// A file.
    #[default]
    File,
    /// A folder: the object is the list of what is in it, with the paths below it.
    Folder,
    /// A list of files, or of folders, that were brought together.
    List,
}

impl Form {
    /// As the database has it.
    pub fn number(self) -> i64 {
        match self {
            Self::File => 0,
            Self::Folder => 1,
            Self::List => 2,
        }
    }

    /// What [`Form::number`] gave.
    pub fn of(number: i64) -> Option<Self> {
        let all = [Self::File, Self::Folder, Self::List];
        all.into_iter().find(|form| form.number() == number)
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::List => "list",
        }
    }

    /// What stands behind its name where people read that.
    pub fn slash(self) -> &'static str {
        match self {
            Self::Folder => "/",
            Self::File | Self::List => "",
        }
    }

    /// As what it stands in the list of what was brought together.
    pub fn in_list(self) -> Kind {
        match self {
            Self::Folder => Kind::Folder,
            Self::File | Self::List => Kind::File,
        }
    }
}

/// A file or folder that is brought together with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its own name.
    pub name: Box<str>,
    /// Tells it from those of equal name.
    pub key: Box<str>,
    /// Of its bytes.
    pub digest: Digest,
    /// What it is.
    pub form: Form,
}

/// A list that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// The file that is `INPUT_FILE`; none where that is the list itself.
    pub main: Option<Digest>,
    /// What is in `INPUT_DIR`: files, and folders with the hash of the list of what is in them.
    pub files: Vec<Entry>,
}

impl List {
    /// None for what is no list.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut files = tree::read(bytes)?;
        let has_main = files.first().is_some_and(is_main);
        let main = has_main.then(|| files.remove(0).digest);
        files.iter().all(is_file).then_some(Self { main, files })
    }

    /// The same of no more than the beginning of what may be long: [`List::main`]; none for what is no list.
    pub fn main_of(beginning: &[u8]) -> Option<Option<Digest>> {
        let lines = beginning.strip_prefix(tree::HEADER.as_bytes())?;
        let first = lines.split(|byte| *byte == b'\n').next();
        let first = first.and_then(|line| tree::line(std::str::from_utf8(line).ok()?));
        Some(first.filter(is_main).map(|entry| entry.digest))
    }

    /// All objects that it names, some perhaps more than once.
    pub fn objects(&self) -> impl Iterator<Item = &Digest> {
        let files = self.files.iter().map(|entry| &entry.digest);
        self.main.iter().chain(files)
    }
}

/// Whether that is `INPUT_FILE` and not in `INPUT_DIR`.
pub fn is_main(entry: &Entry) -> bool {
    entry.name.is_empty() && entry.kind == Kind::File
}

/// Whether that may be in `INPUT_DIR`.
pub fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::File | Kind::Folder) && tree::is_inner(&entry.name)
}

/// The object for a file and others that belong to it, each of another name.
pub fn with_main(main: Digest, others: impl IntoIterator<Item = (Box<str>, Digest)>) -> String {
    let others = others.into_iter();
    let mut entries: Vec<Entry> = std::iter::once((Box::from(""), main))
        .chain(others)
        .map(|(name, digest)| entry(name, digest, Form::File))
        .collect();
    tree::write(&mut entries)
}

/// The object for what a task gets besides its input: for each of these steps what that left, called
/// as in a list of its own and in a folder of the step's name. Neither order matters.
pub fn context<'a>(steps: impl IntoIterator<Item = (&'a str, Vec<Member>)>) -> String {
    let of_step = |(step, members): (&str, Vec<Member>)| {
        let named = named(members).into_iter();
        let placed = named.map(|(name, digest, form, _)| entry(path(step, &name), digest, form));
        placed.collect::<Vec<Entry>>()
    };
    let mut entries: Vec<Entry> = steps.into_iter().flat_map(of_step).collect();
    tree::write(&mut entries)
}

/// Where in what [`context`] gives the outputs of a step are, in their order.
pub fn paths(step: &str, members: Vec<Member>) -> Vec<Box<str>> {
    let mut paths = vec![Box::from(""); members.len()];
    for (name, .., at) in named(members) {
        paths[at] = path(step, &name);
    }
    paths
}

fn path(step: &str, name: &str) -> Box<str> {
    format!("{step}/{name}").into()
}

/// What is in one that [`context`] gave, each by itself in a list of its own, with the path that it has there.
pub fn each_alone(context: &str) -> Vec<(Box<str>, String)> {
    let files = List::read(context.as_bytes()).map_or_else(Vec::new, |list| list.files);
    let alone = |file: Entry| (file.name.clone(), tree::write(&mut [file]));
    files.into_iter().map(alone).collect()
}

/// The list of the one thing that is at that path in what [`context`] gives.
pub fn alone(path: &str, digest: Digest, form: Form) -> String {
    tree::write(&mut [entry(path.into(), digest, form)])
}

/// The object for these files; their order does not matter. Those of equal name get others: each is
/// called by its key and its name, if the keys differ, and those that are equal still are numbered,
/// before their first extension and in the order of their hashes.
pub fn of(members: Vec<Member>) -> String {
    let named = named(members).into_iter();
    let named = named.map(|(name, digest, form, _)| entry(name, digest, form));
    let mut entries: Vec<Entry> = named.collect();
    tree::write(&mut entries)
}

/// Under which names they are in a list.
fn named(members: Vec<Member>) -> Vec<Named> {
    let mut members: Vec<(Member, usize)> = members.into_iter().zip(0..).collect();
    members.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let mut named: Vec<Named> = Vec::with_capacity(members.len());
    for alike in members.chunk_by(|(a, _), (b, _)| a.name == b.name) {
        let keyed = alike.iter().any(|(member, _)| member.key != alike[0].0.key);
        named.extend(alike.iter().map(|(member, at)| {
            let name = if keyed {
                with_key(&member.key, &member.name)
            } else {
                member.name.clone()
            };
            (name, member.digest, member.form, *at)
        }));
    }
    named.sort_unstable();
    number(&mut named);
    named
}

/// What is brought together, by the name that it gets, and which of all it was.
type Named = (Box<str>, Digest, Form, usize);

fn entry(name: Box<str>, digest: Digest, form: Form) -> Entry {
    Entry {
        kind: form.in_list(),
        digest,
        name,
    }
}

/// Bytes of a file name: what all file systems have room for.
const ROOM: usize = 255;

/// What is called `name`, of which there are some with other keys. A key that begins with a dot hides nothing: a
/// shell's `*` passes over what is hidden.
pub fn with_key(key: &str, name: &str) -> Box<str> {
    let shown = key.starts_with('.') && !name.starts_with('.');
    let whole = format!("{}{key}_{name}", if shown { "_" } else { "" });
    if whole.len() <= ROOM {
        return whole.into();
    }
    let digits = &Digest::of(key.as_bytes()).hex()[..16];
    format!("{digits}_{}", end_of(name, ROOM - 17)).into()
}

/// Numbers those of equal name, which stand side by side.
fn number(named: &mut [Named]) {
    if named.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        return;
    }
    let mut taken: HashSet<Box<str>> = named.iter().map(|(name, ..)| name.clone()).collect();
    for alike in named.chunk_by_mut(|a, b| a.0 == b.0) {
        if alike.len() == 1 {
            continue;
        }
        let name = alike[0].0.clone();
        let mut at = 1;
        for (own, ..) in alike {
            *own = loop {
                let tried = with_number(&name, at);
                at += 1;
                if taken.insert(tried.clone()) {
                    break tried;
                }
            };
        }
    }
}

/// `a.tar.gz` to `a.1.tar.gz`. Dots in front begin no extension.
pub fn with_number(name: &str, number: usize) -> Box<str> {
    let hidden = name.len() - name.trim_start_matches('.').len();
    let dot = name[hidden..]
        .find('.')
        .map_or(name.len(), |at| hidden + at);
    let (stem, extensions) = name.split_at(dot);
    let whole = format!("{stem}.{number}{extensions}");
    if whole.len() <= ROOM {
        return whole.into();
    }
    let digits = number.to_string();
    format!("{digits}.{}", end_of(name, ROOM - digits.len() - 1)).into()
}

/// Whether [`with_number`] may give that name.
pub fn may_have_number(name: &str) -> bool {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty();
    name.split('.').any(is_number)
}

/// Whether [`with_number`] may give that one for several names: what has room is given for one alone.
pub fn may_be_of_several(name: &str) -> bool {
    // The end of a name begins with a whole character.
    name.len() + 4 > ROOM
}

/// The last bytes of a name, `most` of them or a few fewer.
fn end_of(name: &str, most: usize) -> &str {
    &name[name.ceil_char_boundary(name.len().saturating_sub(most))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, key: &str, bytes: &str) -> Member {
        Member {
            form: Form::File,
            name: name.into(),
            key: key.into(),
            digest: Digest::of(bytes.as_bytes()),
        }
    }

    /// Names in the list, with the bytes of each among these.
    fn names(members: &[Member]) -> Vec<(String, Digest)> {
        let text = of(members.to_vec());
        let list = List::read(text.as_bytes()).unwrap();
        assert_eq!(list.main, None);
        assert_eq!(list.files.len(), members.len());
        let different: HashSet<_> = list.files.iter().map(|entry| &entry.name).collect();
        assert_eq!(different.len(), members.len());
        // Whatever the order.
        let mut other = members.to_vec();
        other.reverse();
        assert_eq!(of(other), text);
        let files = list.files.into_iter();
        files
            .map(|entry| (entry.name.into(), entry.digest))
            .collect()
    }

    fn told(members: &[(&str, &str, &str)], wanted: &[(&str, &str)]) {
        let members: Vec<_> = members.iter().map(|(n, k, b)| member(n, k, b)).collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Digest::of(bytes.as_bytes())))
            .collect();
        assert_eq!(names(&members), wanted);
    }

    #[test]
    fn forms_have_numbers() {
        for form in [Form::File, Form::Folder, Form::List] {
            assert_eq!(Form::of(form.number()), Some(form));
        }
        assert_eq!(Form::of(3), None);
    }

    #[test]
    fn files_keep_their_names_where_these_differ() {
        told(&[], &[]);
        told(
            &[("b.csv", "k", "1"), ("a.csv", "k", "2")],
            &[("a.csv", "2"), ("b.csv", "1")],
        );
    }

    #[test]
    fn keys_tell_those_of_equal_name_apart() {
        told(
            &[("x.csv", "a", "1"), ("x.csv", "b", "2"), ("y", "a", "3")],
            &[("a_x.csv", "1"), ("b_x.csv", "2"), ("y", "3")],
        );
        // A shell finds all with `*`, but for what was hidden before.
        told(
            &[
                ("x", ".a", "1"),
                ("x", "_.a", "2"),
                ("x", "b", "3"),
                (".y", ".a", "1"),
                (".y", "b", "2"),
            ],
            &[
                (".a_.y", "1"),
                ("_.1.a_x", "1"),
                ("_.2.a_x", "2"),
                ("b_.y", "2"),
                ("b_x", "3"),
            ],
        );
    }

    #[test]
    fn what_is_equal_still_is_numbered_by_hash() {
        let [one, two] = ["1", "2"].map(|bytes| Digest::of(bytes.as_bytes()));
        assert!(one < two, "the order below");
        told(
            &[
                ("x.tar.gz", "a", "2"),
                ("x.tar.gz", "a", "1"),
                (".x", "", "1"),
            ],
            &[(".x", "1"), ("x.1.tar.gz", "1"), ("x.2.tar.gz", "2")],
        );
        told(
            &[("..x", "", "1"), ("..x", "", "1")],
            &[("..x.1", "1"), ("..x.2", "1")],
        );
        told(
            &[("x", "", "2"), ("x", "", "1")],
            &[("x.1", "1"), ("x.2", "2")],
        );
        told(
            &[("x", "a", "2"), ("x", "a", "1"), ("x", "b", "1")],
            &[("a_x.1", "1"), ("a_x.2", "2"), ("b_x", "1")],
        );
    }

    #[test]
    fn names_that_are_taken_are_passed_over() {
        told(
            &[
                ("x", "", "1"),
                ("x", "", "2"),
                ("x.1", "", "3"),
                ("x.3", "", "3"),
            ],
            &[("x.1", "3"), ("x.2", "1"), ("x.3", "3"), ("x.4", "2")],
        );
        // A key makes a name that another one has.
        told(
            &[("x", "a", "1"), ("x", "b", "1"), ("a_x", "", "2")],
            &[("a_x.1", "1"), ("a_x.2", "2"), ("b_x", "1")],
        );
    }

    #[test]
    fn names_stay_as_short_as_a_file_system_wants_them() {
        let long = "ä".repeat(120) + ".tar.gz";
        let key = "k".repeat(100);
        let alike = [member(&long, "", "1"), member(&long, "", "2")];
        let keyed = [member(&long, &key, "1"), member(&long, "b", "1")];
        let longest = "x".repeat(255);
        let longest = [member(&longest, "a", "1"), member(&longest, "b", "1")];
        for members in [&alike, &keyed, &longest] {
            for (name, _) in names(members) {
                assert!(name.len() <= ROOM, "{name}");
            }
        }
    }

    #[test]
    fn what_steps_left_stands_in_folders_of_their_names() {
        let one = || vec![member("x", "a", "1"), member("x", "b", "2")];
        let other = || vec![member("x", "", "3")];
        let text = context([("s", one()), ("t", other()), ("u", Vec::new())]);
        assert_eq!(context([("t", other()), ("s", one())]), text);
        let list = List::read(text.as_bytes()).unwrap();
        let named: Vec<_> = list.files.iter().map(|file| &*file.name).collect();
        assert_eq!(named, ["s/a_x", "s/b_x", "t/x"]);
        let mut reversed = one();
        reversed.reverse();
        let placed = paths("s", reversed);
        assert_eq!(placed, ["s/b_x".into(), "s/a_x".into()]);
        let alone = alone("s/b_x", Digest::of(b"2"), Form::File);
        assert_eq!(each_alone(&text)[1], ("s/b_x".into(), alone));
        assert_eq!(context([("u", Vec::new())]), of(Vec::new()));
    }

    #[test]
    fn folders_are_members_too_and_no_name_leads_elsewhere() {
        let folder = Member {
            form: Form::Folder,
            ..member("x", "", "1")
        };
        let text = of(vec![folder, member("x", "", "1"), member("y", "", "1")]);
        let one = Digest::of(b"1");
        let wanted = format!("task-pipeline tree 1\nf {one}  x.1\nd {one}  x.2\nf {one}  y\n");
        assert_eq!(text, wanted);
        assert_eq!(List::read(text.as_bytes()).unwrap().files.len(), 3);
        for name in ["../y", "/y", "a/../y", "."] {
            let other = text.replace("  y", &format!("  {name}"));
            assert_eq!(List::read(other.as_bytes()), None, "{name}");
        }
        for kind in ["x", "l"] {
            let other = text.replace("\nd ", &format!("\n{kind} "));
            assert_eq!(List::read(other.as_bytes()), None, "{kind}");
        }
    }

    #[test]
    fn a_file_comes_with_others() {
        let [row, one, two] = ["row", "1", "2"].map(|bytes| Digest::of(bytes.as_bytes()));
        let text = with_main(row, [("b".into(), two), ("a".into(), one)]);
        let list = List::read(text.as_bytes()).unwrap();
        assert_eq!(list.main, Some(row));
        let named: Vec<_> = list
            .files
            .iter()
            .map(|file| (&*file.name, file.digest))
            .collect();
        assert_eq!(named, [("a", one), ("b", two)]);
        assert_eq!(list.objects().copied().collect::<Vec<_>>(), [row, one, two]);
        assert_eq!(List::read(b"x"), None);
        let beginning = |text: &str| List::main_of(&text.as_bytes()[..100.min(text.len())]);
        assert_eq!(beginning(&text), Some(Some(row)));
        for members in [Vec::new(), vec![member("ä", "", "1"); 9]] {
            assert_eq!(beginning(&of(members)), Some(None));
        }
        assert_eq!(beginning("x"), None);
    }
}
