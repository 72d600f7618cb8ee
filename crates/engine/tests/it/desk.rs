//! The desk: answers in order, batches that share a commit, faults that are told apart.

use lingqian_core::command::Command;
use lingqian_core::id::UserId;
use lingqian_core::money::Micros;
use lingqian_core::{Outcome, Rejection};
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::{Desk, Limits};
use lingqian_io::Fault;
use lingqian_io::twin::FaultPoint;
use lingqian_io::{Browse, Clock as _};

use crate::world::{World, event, withdrawal};

fn credited(micros: i64) -> Result<Outcome, Rejection> {
    Ok(Outcome::Credited {
        amount: Micros(micros),
    })
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_a_refusal_stops_nobody_else() {
    let world = World::new().await;
    let answers = world
        .live(async |desk| {
            let batch = vec![
                event("e1", "alice", 5),
                event("e2", "nobody", 5),
                event("e1", "alice", 5),
                event("e1", "alice", 6),
                event("e3", "alice", 7),
            ];
            desk.submit_all(batch).await.expect("no fault")
        })
        .await;
    let expected = [
        credited(5),
        Err(Rejection::UnknownUser),
        Ok(Outcome::AlreadyCredited),
        Err(Rejection::EventConflict),
        credited(7),
    ];
    assert_eq!(answers, expected);
    world.audited("after the batch").await;
}

#[tokio::test]
async fn two_withdrawals_of_one_balance_in_one_batch_see_each_other() {
    let world = World::new().await;
    let answers = world
        .live(async |desk| {
            let batch = vec![withdrawal(1, "alice", 700), withdrawal(2, "alice", 700)];
            desk.submit_all(batch).await.expect("no fault")
        })
        .await;
    assert!(
        matches!(answers[0], Ok(Outcome::Withdrawn { .. })),
        "{answers:?}"
    );
    assert_eq!(answers[1], Err(Rejection::InsufficientFunds));
}

#[tokio::test]
async fn a_batch_is_decided_anew_when_somebody_else_committed() {
    let world = World::new().await;
    world.store.fail_next(FaultPoint::CommitConflict);
    world.store.fail_next(FaultPoint::CommitConflict);
    let answer = world
        .live(async |desk| desk.submit(event("e1", "alice", 5)).await)
        .await;
    assert_eq!(answer, Ok(credited(5)));
    assert_eq!(world.store.failures_left(), 0, "both conflicts were met");
}

#[tokio::test]
async fn an_unanswered_commit_is_unknown_and_asking_again_credits_once() {
    for fault in [FaultPoint::CommitUnanswered, FaultPoint::CommitLost] {
        let world = World::new().await;
        world.store.fail_next(fault);
        let (first, second) = world
            .live(async |desk: Desk| {
                let first = desk.submit(event("e1", "alice", 5)).await;
                (first, desk.submit(event("e1", "alice", 5)).await)
            })
            .await;
        assert!(matches!(first, Err(Fault::Unknown(_))), "{first:?}");
        assert!(second.expect("no fault").is_ok());
        let earned = world.store.summary().await.expect("no fault").earned;
        assert_eq!(earned, (2, 10_000_005), "{fault:?}");
    }
}

#[tokio::test]
async fn a_sweep_asks_everybody_once_a_day_however_often_it_runs() {
    let world = World::new().await;
    let held = async |world: &World| {
        world
            .live(async |desk| {
                let (mut held, mut cursor) = (0, SweepCursor::default());
                while !cursor.done {
                    let limits = Limits {
                        page_max: 1,
                        ..Limits::default()
                    };
                    let fen = lingqian_core::money::Fen(1);
                    let plan = Plan::today(fen, world.clock.business());
                    let swept = sweep(world, &desk, &limits, &plan, cursor).await;
                    let (progress, next) = swept.expect("no fault");
                    held += progress.moved;
                    cursor = next;
                }
                held
            })
            .await
    };
    assert_eq!(held(&world).await, 1);
    let more = |id: &str| event(id, "alice", 5_000_000);
    world
        .live(async |desk| desk.submit(more("e1")).await.expect("no fault").is_ok())
        .await;
    assert_eq!(held(&world).await, 0, "the same day");
    world.clock.advance_ms(24 * 3_600_000);
    assert_eq!(held(&world).await, 1, "the next day");
}

#[tokio::test]
async fn a_closed_desk_says_so() {
    let world = World::new().await;
    let (desk, work) = Desk::open(
        world.store.clone(),
        std::sync::Arc::clone(&world.clock),
        lingqian_engine::DeskSettings::default(),
    );
    drop(work);
    let user = UserId::parse("bob").expect("valid");
    let answer = desk
        .submit(Command::RegisterUser { user, name: None })
        .await;
    assert!(
        matches!(answer, Err(Fault::Retry(_) | Fault::Unknown(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn withdrawals_and_other_commands_that_wait_together_are_all_answered() {
    let world = World::new().await;
    let answers = world
        .live(async |desk| {
            let ask = |command| desk.submit(command);
            tokio::join!(
                ask(withdrawal(1, "alice", 300)),
                ask(withdrawal(2, "alice", 300)),
                ask(event("e1", "alice", 5)),
                ask(withdrawal(3, "alice", 900)),
                ask(event("e2", "alice", 5)),
            )
        })
        .await;
    assert!(matches!(answers.0, Ok(Ok(Outcome::Withdrawn { .. }))));
    assert!(matches!(answers.1, Ok(Ok(Outcome::Withdrawn { .. }))));
    assert_eq!(answers.2, Ok(credited(5)));
    assert_eq!(answers.3, Ok(Err(Rejection::InsufficientFunds)));
    assert_eq!(answers.4, Ok(credited(5)));
    world.audited("after both sorts").await;
}
