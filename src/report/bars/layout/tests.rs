use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::super::super::now::Running;
use super::super::model::Earlier;
use super::*;
use crate::model::event::{Event, Presence};
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId};

fn lane(name: &str, finished: i64, failed: u64, pending: i64) -> Lane {
    let tally = TaskCounts {
        done: finished,
        pending: pending + i64::try_from(failed).unwrap(),
        ..TaskCounts::default()
    };
    let name = StepName::new(name).unwrap();
    let mut lane = Model::new(&[(name, tally)], &Earlier::new())
        .lanes
        .remove(0);
    lane.failed = failed;
    lane
}

fn draw(lanes: Vec<Lane>, width: usize, height: usize) -> Vec<String> {
    let mut model = Model::new(&[], &Earlier::new());
    model.lanes = lanes;
    lines(
        &model,
        Duration::from_secs(75),
        Size { width, height },
        false,
    )
}

fn two() -> Vec<Lane> {
    let mut process = lane("process", 1234, 3, 8763);
    process.executed = 1237;
    process.busy = Duration::from_secs(75);
    vec![lane("fetch", 1, 0, 0), process]
}

#[test]
fn eighty_columns() {
    assert_eq!(
        draw(two(), 80, 24),
        [
            "fetch       ━━━━━━━━━━━━━━━━━━━━━━━━━━━         1/1",
            "process     ━━━━───────────────────────  1234/10000            16/s  3 failed",
            "total 1:15  ━━━━───────────────────────  1235/10001            16/s  3 failed",
        ]
    );
}

#[test]
fn who_works_elsewhere_and_who_waits_for_a_place() {
    let mut model = Model::new(&[], &Earlier::new());
    model.lanes = two();
    let event = |worker, presence| Event::Worker {
        executor: "slurm",
        place: 0,
        most: 4,
        worker,
        presence,
    };
    let here = |node| Presence::Here {
        node,
        slots: 1,
        waited: Duration::ZERO,
    };
    let drawn = |model: &mut Model, now| {
        model.advance(Duration::from_secs(now));
        let size = Size {
            width: 80,
            height: 24,
        };
        let lines = lines(model, Duration::from_secs(now), size, false);
        let [crew, _total] = &lines[2..] else {
            panic!("{lines:?}");
        };
        crew.clone()
    };
    model.event(&event(1, Presence::Called));
    assert_eq!(
        drawn(&mut model, 35),
        "slurm: 0 of 4 workers, 1 waits 35s for a place"
    );
    let why = "PartitionDown";
    model.event(&event(1, Presence::Waits { why }));
    assert_eq!(
        drawn(&mut model, 35),
        "slurm: 0 of 4 workers, 1 waits 35s for a place (PartitionDown)"
    );
    model.event(&event(1, here("n2")));
    model.event(&event(2, Presence::Called));
    model.event(&event(3, Presence::Called));
    assert_eq!(
        drawn(&mut model, 105),
        "slurm: 1 of 4 workers, 2 wait 1m10s for a place; n2"
    );
    model.event(&event(2, here("n1")));
    let gone = Presence::Gone {
        node: None,
        why: "it ended",
    };
    model.event(&event(3, gone));
    assert_eq!(drawn(&mut model, 110), "slurm: 2 of 4 workers; n1, n2");
    model.event(&event(1, gone));
    model.event(&event(2, gone));
    model.advance(Duration::from_secs(111));
    let size = Size {
        width: 80,
        height: 24,
    };
    assert_eq!(lines(&model, Duration::ZERO, size, false).len(), 3);
}

/// A model of one step, of whose tasks some took four seconds, so long after its start.
fn under_way(seconds: u64) -> Model {
    let mut model = Model::new(&[], &Earlier::new());
    let mut work = lane("work", 5, 0, 20);
    work.pace.feeds = Some(false);
    (0..5).for_each(|_| work.pace.add(Duration::from_secs(4)));
    model.lanes = vec![work];
    model.advance(Duration::from_secs(seconds));
    model
}

fn begin(model: &mut Model, task: i64, began: u64, node: Option<&str>) {
    let running = Running {
        lane: 0,
        input: Some(format!("sample-{task}.txt")),
        began: Duration::from_secs(began),
        node: node.map(str::to_owned),
    };
    model.now.begin(TaskId(task), running);
    model.lanes[0].running += 1;
    model.lanes[0].pace.peak += 1;
}

fn told(model: &Model, width: usize) -> Vec<String> {
    let size = Size { width, height: 24 };
    lines(model, Duration::from_secs(75), size, false)
}

#[test]
fn what_runs_how_long_that_may_take_and_what_is_slow() {
    let mut model = under_way(100);
    begin(&mut model, 7, 99, None);
    begin(&mut model, 8, 97, Some("n1"));
    begin(&mut model, 9, 100, None);
    begin(&mut model, 10, 10, Some("n2"));
    assert_eq!(
        told(&model, 100),
        [
            "work        ━━━━━━────────────────────────  5/25   4 run",
            "running: work #8 (sample-8.txt) on n1 3s, work #7 (sample-7.txt) 1s, and 1 more",
            "slow: work #10 (sample-10.txt) on n2 1m30s, usual is 4.0s",
            "total 1:15  ━━━━━━────────────────────────  5/25   4 run          at least 20s left",
        ]
    );
    for task in 11..20 {
        begin(&mut model, task, 20, None);
    }
    let lines = told(&model, 60);
    assert_eq!(
        lines[1],
        "running: work #8 (sample-8.txt) on n1 3s, and 2 more"
    );
    assert!(lines[4].starts_with("slow: work #12 "), "{lines:?}");
    assert_eq!(lines[5], "and 7 more are slow");
    // On a screen of few rows only how far all is.
    let size = Size {
        width: 60,
        height: 8,
    };
    assert_eq!(super::lines(&model, Duration::ZERO, size, false).len(), 2);
}

#[test]
fn what_waits_to_be_tried_again() {
    let mut model = under_way(100);
    let at = |seconds: u64| Some(Duration::from_millis(seconds * 1000 - 500));
    model.now.end(TaskId(3), at(112));
    assert_eq!(told(&model, 80)[1], "1 task waits to be tried again in 12s");
    model.now.end(TaskId(4), at(190));
    assert_eq!(
        told(&model, 80)[1],
        "2 tasks wait to be tried again, the next one in 12s"
    );
    assert!(told(&model, 80)[2].ends_with("about 2m left"));
    model.advance(Duration::from_secs(200));
    assert_eq!(told(&model, 80).len(), 2);
}

#[test]
fn forty_columns() {
    assert_eq!(
        draw(two(), 40, 24),
        [
            "fetch              1/1",
            "process     1234/10000  3 failed",
            "total 1:15  1235/10001  3 failed",
        ]
    );
}

#[test]
fn no_line_is_as_wide_as_the_terminal_and_all_fit_its_height() {
    let names = [
        "a",
        "extrêmement-long-nom-de-étape-qui-ne-finit-pas",
        "処理する段階の長い名前",
        "x",
    ];
    for count in [1, 4, 13, 300] {
        let lanes: Vec<Lane> = (0..count)
            .map(|at| lane(names[at % 4], 1 << (at % 40), (at % 3) as u64, 10))
            .collect();
        for width in 1..220 {
            for height in [1, 2, 5, 24, 80] {
                let drawn = draw(lanes.clone(), width, height);
                assert!(drawn.len() <= height, "{count} {width} {height}");
                for line in &drawn {
                    assert!(
                        line.width() + MARGIN <= width.max(MARGIN),
                        "{width}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn of_many_steps_those_that_run_are_shown_and_the_others_summed_up() {
    let mut lanes: Vec<Lane> = (0..300)
        .map(|at| match at {
            0..100 => lane(&format!("done{at}"), 5, 0, 0),
            100..200 => lane(&format!("waits{at}"), 0, 0, 5),
            _ => lane(&format!("idle{at}"), 0, 0, 0),
        })
        .collect();
    lanes[150].running = 1;
    let drawn = draw(lanes, 80, 12);
    assert_eq!(drawn.len(), 8);
    assert!(drawn[0].starts_with("waits100"));
    assert!(drawn[5].starts_with("waits150"));
    assert_eq!(
        drawn[6],
        "other steps: 94 under way, 100 done, 100 without tasks"
    );
    assert!(drawn[7].starts_with("total 1:15"));
}

#[test]
fn colours_only_where_wanted() {
    let mut model = Model::new(&[], &Earlier::new());
    model.lanes = two();
    let size = Size {
        width: 80,
        height: 24,
    };
    let plain = lines(&model, Duration::ZERO, size, false).join("\n");
    assert!(!plain.contains('\u{1b}'));
    let coloured = lines(&model, Duration::ZERO, size, true).join("\n");
    assert!(coloured.contains("\u{1b}[31m  3 failed\u{1b}[0m"));
}

#[test]
fn rows_of_lines_that_a_narrower_terminal_breaks() {
    let lines = "\u{1b}[32m123456\u{1b}[0m\n処理処理\n\n12";
    for (width, taken) in [(80, 4), (6, 5), (3, 7), (0, 17)] {
        assert_eq!(rows(lines, width), taken, "{width}");
    }
}

#[test]
fn rates() {
    for (rate, text) in [
        (1234.4, "1234/s"),
        (9.96, "10/s"),
        (5.24, "5.2/s"),
        (0.5, "30/min"),
        (0.01, "36/h"),
        (0.0001, "1/h"),
    ] {
        assert_eq!(per_time(rate), text);
    }
}
