//! The names that things get which are brought together, as [`crate::model::list::of`] gives them,
//! however many there are: little of it is in memory.

mod sorted;
mod taken;

use std::io;
use std::path::{Path, PathBuf};

use self::sorted::{Cursor, Sorted, Sorter};
use self::taken::Taken;
use super::{Error, Store, io_error};
use crate::model::digest::Digest;
use crate::model::list::{self, Form};
use crate::model::tree::Kind;

/// What is brought together, in any order.
#[derive(Debug)]
pub(crate) struct Gathered {
    folder: PathBuf,
    members: Sorter,
    count: u64,
}

impl Gathered {
    /// Nothing yet, for a list in that store or for none.
    pub(crate) fn for_list_in(store: Option<&Store>) -> Self {
        match store {
            Some(store) => Self::new(&store.scratch),
            None => Self::new(&std::env::temp_dir()),
        }
    }

    /// What does not fit into memory goes to files in that folder, which have no names.
    fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            members: Sorter::new(folder),
            count: 0,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds one. Its key follows from `about`, and is asked for if another one has the same name.
    pub(crate) fn add(
        &mut self,
        name: &str,
        about: &[u8],
        digest: &Digest,
        form: Form,
    ) -> Result<(), Error> {
        let mut record = Vec::with_capacity(name.len() + about.len() + 40);
        put(&mut record, name.as_bytes());
        put(&mut record, about);
        put_object(&mut record, digest, form);
        self.count += 1;
        self.members.push(&record)
    }

    /// Calls `each` with all, in the order of the names that they get.
    pub(crate) fn named<E: From<Error>>(
        self,
        mut key: impl FnMut(&[u8]) -> Result<Box<str>, E>,
        mut each: impl FnMut(Kind, &Digest, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self {
            folder,
            members,
            count,
        } = self;
        let mut named = Sorter::new(&folder);
        let mut alike = false;
        {
            let members = members.end()?;
            let (mut ahead, mut behind) = (members.read()?, members.read()?);
            let mut next = Record::of(&mut ahead, &folder)?;
            let mut keys = Keys::new(&mut key);
            while let Some(first) = next {
                let (mut group, mut first_key) = (1_u64, None);
                next = Record::of(&mut ahead, &folder)?;
                let mut keyed = false;
                while let Some(other) = next.as_ref().filter(|other| other.name == first.name) {
                    group += 1;
                    if !keyed && other.about != first.about {
                        if first_key.is_none() {
                            first_key = Some(keys.of(&first.about)?.to_owned());
                        }
                        keyed = first_key.as_deref() != Some(keys.of(&other.about)?);
                    }
                    next = Record::of(&mut ahead, &folder)?;
                }
                alike |= group > 1;
                for _ in 0..group {
                    let Some(member) = Record::of(&mut behind, &folder)? else {
                        break;
                    };
                    let mut name = member.name;
                    if keyed {
                        name = list::with_key(keys.of(&member.about)?, &name).into();
                    }
                    let mut record = Vec::with_capacity(name.len() + 40);
                    put(&mut record, name.as_bytes());
                    put_object(&mut record, &member.digest, member.form);
                    named.push(&record)?;
                }
            }
        }
        let mut named = named.end()?;
        if alike {
            named = number(named, &folder, count)?;
        }
        let mut all = named.read()?;
        while let Some(member) = Record::without_key(&mut all, &folder)? {
            each(member.form.in_list(), &member.digest, &member.name)?;
        }
        Ok(())
    }
}

/// Numbers those of equal name.
fn number(named: Sorted, folder: &Path, count: u64) -> Result<Sorted, Error> {
    let mut taken = Taken::new(folder, count * 2);
    let mut all = named.read()?;
    let (mut last, mut alike) = (None, false);
    while let Some(member) = Record::without_key(&mut all, folder)? {
        let again = last.as_ref() == Some(&member.name);
        alike |= again;
        if !again && list::may_have_number(&member.name) {
            taken.insert(&member.name)?;
        }
        last = Some(member.name);
    }
    drop(all);
    if !alike {
        return Ok(named);
    }
    let mut numbered = Sorter::new(folder);
    let mut all = named.read()?;
    let (mut last, mut number) = (None, 1);
    let mut next = Record::without_key(&mut all, folder)?;
    while let Some(member) = next {
        next = Record::without_key(&mut all, folder)?;
        let again = last.as_ref() == Some(&member.name);
        let more = next.as_ref().is_some_and(|next| next.name == member.name);
        let mut record = Vec::with_capacity(member.name.len() + 44);
        if again || more {
            if !again {
                number = 1;
            }
            let own = loop {
                let tried = list::with_number(&member.name, number);
                number += 1;
                let is_new = if list::may_be_of_several(&tried) {
                    taken.insert(&tried)?
                } else {
                    !taken.contains(&tried)?
                };
                if is_new {
                    break tried;
                }
            };
            put(&mut record, own.as_bytes());
        } else {
            put(&mut record, member.name.as_bytes());
        }
        put_object(&mut record, &member.digest, member.form);
        numbered.push(&record)?;
        last = Some(member.name);
    }
    numbered.end()
}

/// Keys, the last of which is kept: the same is asked for again and again.
struct Keys<F> {
    of: F,
    last: Option<(Vec<u8>, Box<str>)>,
}

impl<F> Keys<F> {
    fn new(of: F) -> Self {
        Self { of, last: None }
    }

    fn of<E>(&mut self, about: &[u8]) -> Result<&str, E>
    where
        F: FnMut(&[u8]) -> Result<Box<str>, E>,
    {
        let last = match self.last.take() {
            Some(last) if last.0 == about => last,
            Some(_) | None => (about.to_owned(), (self.of)(about)?),
        };
        Ok(&self.last.insert(last).1)
    }
}

/// One that is brought together.
struct Record {
    name: String,
    about: Vec<u8>,
    digest: Digest,
    form: Form,
}

impl Record {
    fn of(cursor: &mut Cursor, folder: &Path) -> Result<Option<Self>, Error> {
        Self::read(cursor, folder, true)
    }

    fn without_key(cursor: &mut Cursor, folder: &Path) -> Result<Option<Self>, Error> {
        Self::read(cursor, folder, false)
    }

    fn read(cursor: &mut Cursor, folder: &Path, about: bool) -> Result<Option<Self>, Error> {
        let Some(bytes) = cursor.next()? else {
            return Ok(None);
        };
        let other = io_error("read a file in", folder);
        Self::parse(bytes, about).map(Some).ok_or_else(|| {
            let what = "it holds something else than was written to it";
            other(io::Error::new(io::ErrorKind::InvalidData, what))
        })
    }

    fn parse(mut bytes: &[u8], about: bool) -> Option<Self> {
        let name = String::from_utf8(take(&mut bytes)?).ok()?;
        let about = if about { take(&mut bytes)? } else { Vec::new() };
        let (digest, form) = bytes.split_at_checked(32)?;
        let &[form] = form else {
            return None;
        };
        Some(Self {
            name,
            about,
            digest: Digest(digest.try_into().ok()?),
            form: Form::of(form.into())?,
        })
    }
}

/// Adds `part` so that records are ordered as their parts are.
fn put(record: &mut Vec<u8>, part: &[u8]) {
    for byte in part {
        record.push(*byte);
        if *byte == 0 {
            record.push(1);
        }
    }
    record.extend([0, 0]);
}

fn put_object(record: &mut Vec<u8>, digest: &Digest, form: Form) {
    record.extend(digest.0);
    record.push(u8::try_from(form.number()).unwrap_or(u8::MAX));
}

/// What [`put`] added, taken off the front.
fn take(record: &mut &[u8]) -> Option<Vec<u8>> {
    let mut part = Vec::new();
    loop {
        let end = record.iter().position(|byte| *byte == 0)?;
        part.extend_from_slice(&record[..end]);
        let behind = *record.get(end + 1)?;
        *record = &record[end + 2..];
        if behind == 0 {
            return Some(part);
        }
        part.push(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::list::Member;
    use crate::model::tree;

    fn member((name, key, bytes, form): (&str, &str, u8, Form)) -> Member {
        Member {
            name: name.into(),
            key: key.into(),
            digest: Digest::of(&[bytes]),
            form,
        }
    }

    /// The list of them, piece by piece.
    fn list(members: &[Member]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut gathered = Gathered::new(dir.path());
        for Member {
            name,
            key,
            digest,
            form,
        } in members
        {
            gathered.add(name, key.as_bytes(), digest, *form).unwrap();
        }
        assert_eq!(gathered.count(), members.len() as u64);
        let mut text = tree::HEADER.to_owned();
        let key = |about: &[u8]| Ok::<_, Error>(std::str::from_utf8(about).unwrap().into());
        let named = gathered.named(key, |kind, digest, name| {
            tree::add(&mut text, kind, digest, name);
            Ok(())
        });
        named.unwrap();
        text
    }

    #[test]
    fn of_one_name_and_one_key_there_may_be_many() {
        for (name, count) in [("x.csv", 150), ("x.1", 30), (&*"ä.".repeat(85), 150)] {
            let one = |n: usize| member((name, "k", u8::try_from(n % 7).unwrap(), Form::File));
            let members: Vec<Member> = (0..count).map(one).collect();
            assert_eq!(list(&members), list::of(members));
        }
    }

    fn names() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "", "x", "1", "2", "3", "10", "01", "a", "\0", "\u{1}", "ä", "_", "k",
        ]);
        let dotted = prop::collection::vec(part, 0..4).prop_map(|parts| parts.join("."));
        // Such that there is hardly room for a number, or none.
        let filler = (prop::sample::select(vec!["x", "ä", "."]), 244..256_usize);
        let long = (dotted.clone(), filler, dotted.clone());
        let long = long.prop_map(|(front, (filler, length), end)| {
            let room = length.saturating_sub(front.len() + end.len());
            format!("{front}{}{end}", filler.repeat(room / filler.len()))
        });
        prop_oneof![6 => dotted, 1 => long]
    }

    proptest! {
        #[test]
        fn names_are_those_that_they_get_in_memory(
            pool in prop::collection::vec(names(), 1..6),
            chosen in prop::collection::vec(
                (any::<prop::sample::Index>(), 0..3_usize, 0..4_u8, 0..3_usize), 0..60),
        ) {
            let forms = [Form::File, Form::Folder, Form::List];
            let members: Vec<Member> = chosen
                .iter()
                .map(|(name, key, bytes, form)| {
                    member((name.get::<String>(&pool), ["", "k", "1"][*key], *bytes, forms[*form]))
                })
                .collect();
            prop_assert_eq!(list(&members), list::of(members));
        }
    }
}
