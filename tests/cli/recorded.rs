//! All that is recorded, but for what differs between two runs of the same: numbers of rows, names of runsets, times.

use std::collections::BTreeMap;

use crate::harness::Test;

/// Rows with what they come from, and what belongs to them; how many are alike.
pub fn rows(test: &Test, which: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for row in test.rows(&format!(
        "SELECT (SELECT count(*) FROM runset AS r WHERE r.id < (SELECT id FROM runset WHERE name = t.runset)),
             s.name, s.version, t.name, t.object_hash, t.kind, t.role, t.processed, t.error, t.key, t.context,
             p.name, p.object_hash, p.key, ps.name, o.name, o.object_hash, g.step, g.key, w.name, w.object_hash, t.live
         FROM task AS t LEFT JOIN step AS s ON s.id = t.step_id
         LEFT JOIN task AS p ON p.id = t.input_task_id LEFT JOIN step AS ps ON ps.id = p.step_id
         LEFT JOIN task AS o ON o.id = t.output LEFT JOIN gathering AS g ON g.id = t.gathering
         LEFT JOIN task AS w ON w.id = g.owner WHERE {which}"
    )) {
        *rows.entry(row).or_default() += 1;
    }
    rows
}
