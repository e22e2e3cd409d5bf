//! What rows need of the store: the one place that says so.
//!
//! Whoever looks for what is missing, and whoever removes what is not needed, asks here; so what one of
//! them knows of the other does, too. What is in a list or a folder is named by that object itself
//! ([`crate::model::tree`]); the files of a step by its record ([`crate::model::identity::Identity`]).

use super::checkpoint::of_use;

/// Every object that a row of `task` names, a question for each way in which it does: `object` in hexadecimal digits,
/// its `form` ([`crate::model::list::Form`]), as what the row has it (`part`), the row (`task`) and its `runset`.
///
/// Of what a task wrote it has that of the task whose results it took over, as whoever is shown it does.
pub(super) const NEEDS: [&str; 5] = [
    "SELECT object_hash AS object, kind AS form, 'input' AS part, id AS task, runset FROM task",
    "SELECT context AS object, 2 AS form, 'context' AS part, id AS task, runset FROM task
         WHERE context IS NOT NULL",
    "SELECT log.stdout AS object, 0 AS form, 'stdout' AS part, task.id AS task, task.runset AS runset
         FROM task JOIN log ON log.task_id = coalesce(task.reused_from, task.id)
         WHERE log.stdout IS NOT NULL",
    "SELECT log.stderr AS object, 0 AS form, 'stderr' AS part, task.id AS task, task.runset AS runset
         FROM task JOIN log ON log.task_id = coalesce(task.reused_from, task.id)
         WHERE log.stderr IS NOT NULL",
    // Any other one is of no use: see `super::checkpoint`.
    concat!(
        "SELECT checkpoint.tree AS object, 1 AS form, 'checkpoint' AS part, task.id AS task, task.runset AS runset
         FROM ",
        of_use!()
    ),
];
