//! Going up and down in folders that may lie very deep.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use super::Folder;

/// Folders that are held open on the way down; below them only the one that is looked at.
const HELD: usize = if cfg!(test) { 3 } else { 24 };

/// The way from a folder to one somewhere in it, of which few are held open however deep it is. No
/// link is followed.
#[derive(Debug)]
pub(crate) struct Descent {
    /// The first is the one where the way begins.
    held: Vec<Arc<Folder>>,
    /// What the others are called, from the first on.
    names: Vec<OsString>,
    /// How deep it lies, and the folder itself, if it is none of those that are held.
    here: Option<(usize, Arc<Folder>)>,
}

impl Descent {
    /// The way begins at `top`.
    pub(crate) fn new(top: Arc<Folder>) -> Self {
        Self {
            held: vec![top],
            names: Vec::new(),
            here: None,
        }
    }

    /// How many folders lie above.
    pub(crate) fn depth(&self) -> usize {
        self.names.len()
    }

    /// The folder at which the way ends.
    pub(crate) fn here(&mut self) -> io::Result<Arc<Folder>> {
        let depth = self.depth();
        if let Some(folder) = self.held.get(depth) {
            return Ok(Arc::clone(folder));
        }
        let (mut at, mut folder) = match &self.here {
            Some((at, folder)) if *at <= depth => (*at, Arc::clone(folder)),
            _ => match self.held.last() {
                Some(last) => (self.held.len() - 1, Arc::clone(last)),
                None => return Err(io::ErrorKind::NotFound.into()),
            },
        };
        while at < depth {
            folder = Arc::new(folder.entry(&self.names[at]).open_folder()?);
            at += 1;
            if at == self.held.len() && at < HELD {
                self.held.push(Arc::clone(&folder));
            }
        }
        if at >= self.held.len() {
            self.here = Some((at, Arc::clone(&folder)));
        }
        Ok(folder)
    }

    /// Goes down to the one of that name.
    pub(crate) fn down(&mut self, name: impl Into<OsString>) {
        self.names.push(name.into());
    }

    /// Goes up again.
    pub(crate) fn up(&mut self) {
        self.names.pop();
        let depth = self.depth();
        self.held.truncate(depth + 1);
        self.here.take_if(|(at, _)| *at > depth);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_way_leads_up_and_down_however_deep() {
        let dir = tempfile::tempdir().unwrap();
        let mut way = Descent::new(Arc::new(Folder::open(dir.path()).unwrap()));
        for depth in 0..300 {
            let here = way.here().unwrap();
            here.entry(&depth.to_string()).create().unwrap();
            here.make("down").unwrap();
            here.make("other").unwrap();
            way.down("down");
        }
        for depth in (0..300).rev() {
            way.up();
            assert_eq!(way.depth(), depth);
            way.down("other");
            assert!(way.here().unwrap().is_empty().unwrap());
            way.up();
            let file = depth.to_string();
            assert!(way.here().unwrap().entry(&file).look().is_ok(), "{depth}");
        }
        assert!(super::super::remove_all(&dir.path().join("down")));
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("l")).unwrap();
        let mut way = Descent::new(Arc::new(Folder::open(dir.path()).unwrap()));
        way.down("l");
        assert!(way.here().is_err());
        way.up();
        way.down("a");
        way.down("b");
        assert!(way.here().is_ok());
    }
}
