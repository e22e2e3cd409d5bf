use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::model::event::{Event, Presence};
use crate::model::name::StepName;
use crate::model::task::TaskCounts;

fn lane(name: &str, finished: i64, failed: u64, pending: i64) -> Lane {
    let tally = TaskCounts {
        done: finished,
        pending: pending + i64::try_from(failed).unwrap(),
        ..TaskCounts::default()
    };
    let name = StepName::new(name).unwrap();
    let mut lane = Model::new(&[(name, tally)]).lanes.remove(0);
    lane.failed = failed;
    lane
}

fn draw(lanes: Vec<Lane>, width: usize, height: usize) -> Vec<String> {
    let mut model = Model::new(&[]);
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
            "fetch       ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━         1/1",
            "process     ━━━━──────────────────────────  1234/10000    16/s  3 failed",
            "total 1:15  ━━━━──────────────────────────  1235/10001    16/s  3 failed",
        ]
    );
}

#[test]
fn who_works_elsewhere_and_who_waits_for_a_place() {
    let mut model = Model::new(&[]);
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
    model.event(&event(2, Presence::Called));
    model.event(&event(3, Presence::Called));
    model.event(&event(1, here("n2")));
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
    let mut model = Model::new(&[]);
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
