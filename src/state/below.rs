//! What is dead with rows that are.

/// The live rows that were made of those of the table `of`, of whatever was made of them, and so on,
/// as `d`: what descends from a row, and what gathers it.
pub(super) fn below(of: &str) -> String {
    let gathers = "JOIN task AS m ON m.id = above.id AND m.role = 1
        JOIN task AS t ON t.gathering = m.gathering AND t.role = 3 WHERE t.live = 1";
    let owns = "JOIN gathering AS g ON g.owner = above.id AND g.owner > 0
        JOIN task AS t ON t.gathering = g.id AND t.role = 3 WHERE t.live = 1";
    let descends = "JOIN task AS t ON t.input_task_id = above.id WHERE t.live = 1";
    format!(
        "WITH RECURSIVE d (id) AS (
             SELECT t.id FROM {of} AS above {descends}
             UNION SELECT t.id FROM {of} AS above {gathers}
             UNION SELECT t.id FROM {of} AS above {owns}
             UNION SELECT t.id FROM d AS above {descends}
             UNION SELECT t.id FROM d AS above {gathers}
             UNION SELECT t.id FROM d AS above {owns})"
    )
}

/// The table of finished tasks that get something else besides their inputs.
pub(super) const AGAIN: &str = "CREATE TEMP TABLE again (id INTEGER PRIMARY KEY);";
