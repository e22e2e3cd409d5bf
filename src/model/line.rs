//! What stands above tasks and waits for others: a set, for which a number stands, as very many tasks have
//! the same.

use std::collections::HashMap;

use crate::model::gather::{BarrierId, KindId, Line};

/// What stands above a task: both ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Above {
    barriers: Box<[BarrierId]>,
    kinds: Box<[KindId]>,
}

/// The sets that there are.
#[derive(Debug)]
pub struct Lines {
    sets: Vec<Above>,
    numbers: HashMap<Above, Line>,
}

impl Default for Lines {
    /// That of nothing, which is the default of [`Line`].
    fn default() -> Self {
        Self {
            sets: vec![Above::default()],
            numbers: [(Above::default(), Line::default())].into(),
        }
    }
}

impl Lines {
    fn above(&self, line: Line) -> &Above {
        &self.sets[line.0 as usize]
    }

    /// The barriers above, ascending.
    pub fn barriers(&self, line: Line) -> &[BarrierId] {
        &self.above(line).barriers
    }

    /// The steps that gather below tasks, of whose groups what has that line comes; ascending.
    pub fn kinds(&self, line: Line) -> &[KindId] {
        &self.above(line).kinds
    }

    /// The same behind one more barrier.
    pub fn through(&mut self, line: Line, barrier: BarrierId) -> Line {
        let above = self.above(line);
        match with(&above.barriers, barrier) {
            Some(barriers) => self.number(Above {
                barriers,
                kinds: above.kinds.clone(),
            }),
            None => line,
        }
    }

    /// The same behind a group below a task.
    pub fn behind(&mut self, line: Line, kind: KindId) -> Line {
        let above = self.above(line);
        match with(&above.kinds, kind) {
            Some(kinds) => self.number(Above {
                barriers: above.barriers.clone(),
                kinds,
            }),
            None => line,
        }
    }

    /// What stands above what comes of both.
    pub fn both(&mut self, one: Line, other: Line) -> Line {
        let Above { barriers, kinds } = self.above(other).clone();
        let through = |line, barrier: &BarrierId| self.through(line, *barrier);
        let line = barriers.iter().fold(one, through);
        let behind = |line, kind: &KindId| self.behind(line, *kind);
        kinds.iter().fold(line, behind)
    }

    fn number(&mut self, set: Above) -> Line {
        if let Some(known) = self.numbers.get(&set) {
            return *known;
        }
        let line = Line(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        self.sets.push(set.clone());
        self.numbers.insert(set, line);
        line
    }
}

/// The set with one more; none, if it has that.
fn with(set: &[usize], one: usize) -> Option<Box<[usize]>> {
    let at = set.binary_search(&one).err()?;
    let mut more = set.to_vec();
    more.insert(at, one);
    Some(more.into())
}
