//! What rows need of the store: the one place that says so.
//!
//! Whoever looks for what is missing, and whoever removes what is not needed, asks here; so what one of
//! them knows of the other does, too. What is in a list or a folder is named by that object itself
//! ([`crate::model::tree`]); the files of a step by its record ([`crate::model::identity::Identity`]).

/// Every object that a row of `task` names: `object` in hexadecimal digits, its `form`
/// ([`crate::model::list::Form`]), as what the row has it (`part`), the row (`task`) and its `runset`.
///
/// Of what a task wrote it has that of the task whose results it took over, as whoever is shown it does.
pub(super) const NEEDS: &str = "
SELECT object_hash AS object, kind AS form, 'input' AS part, id AS task, runset FROM task
UNION ALL SELECT context, 2, 'context', id, runset FROM task WHERE context IS NOT NULL
UNION ALL SELECT log.stdout, 0, 'stdout', task.id, task.runset
    FROM task JOIN log ON log.task_id = coalesce(task.reused_from, task.id)
    WHERE log.stdout IS NOT NULL
UNION ALL SELECT log.stderr, 0, 'stderr', task.id, task.runset
    FROM task JOIN log ON log.task_id = coalesce(task.reused_from, task.id)
    WHERE log.stderr IS NOT NULL";
