//! The pure parts: `cargo bench -p bench`.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use task_pipeline::model::digest::Digest;
use task_pipeline::model::gather::Line;
use task_pipeline::model::identity::Identity;
use task_pipeline::model::list::Form;
use task_pipeline::model::name::StepName;
use task_pipeline::model::plan::{Next, Plan, Ready};
use task_pipeline::model::route::Router;
use task_pipeline::model::task::{TaskId, TaskState};

fn router(steps: usize) -> Router {
    Router::new((0..steps).filter_map(|n| StepName::new(&format!("step_{n}")).ok()))
}

fn routing(c: &mut Criterion) {
    for steps in [10, 1000] {
        let router = router(steps);
        c.bench_function(&format!("route, {steps} steps, a hit"), |b| {
            b.iter(|| {
                router
                    .route(black_box("part_00001_step_7.tar.gz"))
                    .is_some()
            });
        });
        c.bench_function(&format!("route, {steps} steps, a final output"), |b| {
            b.iter(|| {
                router
                    .route(black_box("some_longer_name_of_a_result.tar.gz"))
                    .is_some()
            });
        });
    }
}

fn fingerprint(c: &mut Criterion) {
    let identity = Identity {
        script: "tr a-z A-Z < \"$INPUT_FILE\" > \"$OUTPUT_DIR/result\"\n".repeat(20),
        shell: ["sh", "-e", "-c"].map(str::to_owned).to_vec(),
        env: BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]),
        ..Identity::default()
    };
    c.bench_function("fingerprint of a step", |b| {
        b.iter(|| black_box(&identity).fingerprint());
    });
}

/// All of 10 000 tasks of one step through the plan, 64 rows a refill, two at once.
fn drain() -> i64 {
    const TASKS: i64 = 10_000;
    let mut plan = Plan::new(2, [(None, true)]);
    let mut running = 0;
    let mut taken = 0;
    loop {
        match plan.decide() {
            Next::Take(queue, ready) => {
                plan.start(queue, None);
                running += 1;
                taken += i64::from(ready.attempt == 0 || ready.attempt == 1);
            }
            Next::Refill {
                queue,
                after,
                count,
            } => {
                let last = TASKS.min(after.0 + i64::try_from(count).unwrap_or(TASKS));
                plan.fill(queue, (after.0 + 1..=last).map(ready));
            }
            Next::Wait if running > 0 => {
                running -= 1;
                plan.ended(0, None);
            }
            Next::Wait => return taken,
        }
    }
}

fn ready(id: i64) -> Ready {
    Ready {
        id: TaskId(id),
        input: Digest([0; 32]),
        form: Form::File,
        parent: None,
        name: Some("item".into()),
        state: TaskState::Pending,
        forced: false,
        attempt: 0,
        line: Line::default(),
        key: None,
        context: None,
        raised: 0,
    }
}

fn planning(c: &mut Criterion) {
    assert_eq!(drain(), 10_000, "every task is taken once");
    c.bench_function("plan, 10 000 tasks", |b| b.iter(drain));
}

criterion_group!(pure, routing, fingerprint, planning);
criterion_main!(pure);
