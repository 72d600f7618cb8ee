//! The process dies at every moment at which it can, and is started again. Every place where
//! something is awaited is such a moment: the store's twin yields before and after each
//! operation, WeChat before and after each arrival.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lingqian_core::{Outcome, Rejection};
use lingqian_io::Browse;
use lingqian_io::store::PayoutFilter;

use crate::world::{World, withdrawal};

/// More moments than the life of two payouts has.
const MOMENTS_MAX: usize = 2_000;

/// Lets something run for so many moments; whether it came to its end.
fn run_for<F: Future>(future: F, moments: usize) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..moments).any(|_| matches!(future.as_mut().poll(&mut context), Poll::Ready(_)))
}

/// Two withdrawals and all that follows, as one process does it.
async fn life(world: &World) {
    world
        .live(async |desk| {
            let wanted = vec![withdrawal(1, "alice", 300), withdrawal(2, "alice", 400)];
            let _ = desk.submit_all(wanted).await;
            for _ in 0..3 {
                let _ = world.passes(&desk).await;
            }
        })
        .await;
}

/// The caller repeats what was not answered, time passes, users confirm.
async fn recover(world: &World) {
    world
        .live(async |desk| {
            let wanted = vec![withdrawal(1, "alice", 300), withdrawal(2, "alice", 400)];
            for answer in desk.submit_all(wanted).await.expect("no fault") {
                let known = matches!(
                    answer,
                    Ok(Outcome::Withdrawn { .. }) | Err(Rejection::ReferenceUsed)
                );
                assert!(known, "{answer:?}");
            }
            for _ in 0..12 {
                while world.passes(&desk).await.expect("no fault") > 0 {}
                world.wechat.everybody_confirms();
                world.clock.advance_ms(15 * 60_000);
            }
        })
        .await;
}

async fn check(world: &World, when: &str) {
    world.audited(when).await;
    let filter = PayoutFilter {
        limit: 10,
        ..PayoutFilter::default()
    };
    let rows = world.store.payouts(filter).await.expect("no fault");
    let ended: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| (row.payout.state.name(), row.payout.amount.0))
        .collect();
    assert_eq!(ended, [("paid", 400), ("paid", 300)], "{when}");
    let known = world.wechat.known();
    let payouts: BTreeSet<_> = known.keys().map(|number| number.payout()).collect();
    assert_eq!(
        payouts.len(),
        known.len(),
        "one number for each payout, {when}"
    );
    let paid: i64 = known
        .values()
        .filter(|known| known.paid)
        .map(|known| known.amount.0)
        .sum();
    assert_eq!(paid, 700, "{when}");
}

/// Kills at every moment; answers how many there were.
async fn killed_at_every_moment(lost_answers: u32) -> usize {
    for moment in 0..MOMENTS_MAX {
        let world = World::new().await;
        world.wechat.lose_answers(lost_answers);
        let ended = run_for(life(&world), moment);
        world.audited(&format!("killed at moment {moment}")).await;
        recover(&world).await;
        check(&world, &format!("killed at moment {moment}")).await;
        if ended {
            return moment;
        }
    }
    panic!("a life has more than {MOMENTS_MAX} moments");
}

#[tokio::test]
async fn a_process_that_dies_at_any_moment_pays_everything_once() {
    let moments = killed_at_every_moment(0).await;
    assert!(moments > 30, "only {moments} moments were tried");
}

#[tokio::test]
async fn a_process_that_dies_at_any_moment_while_answers_are_lost_pays_everything_once() {
    let moments = killed_at_every_moment(2).await;
    assert!(moments > 30, "only {moments} moments were tried");
}

#[tokio::test]
async fn a_transfer_that_never_arrived_is_sent_again_under_its_number() {
    // Dies after the order is durable and before the first byte goes out: there is a moment
    // at which WeChat knows nothing and the payout is sending.
    let mut resent = 0;
    for moment in 0..MOMENTS_MAX {
        let world = World::new().await;
        let ended = run_for(life(&world), moment);
        let filter = PayoutFilter {
            state: Some("sending".into()),
            limit: 10,
            ..PayoutFilter::default()
        };
        let sending = world.store.payouts(filter).await.expect("no fault");
        let numbers: BTreeSet<_> = sending
            .iter()
            .filter_map(|row| row.payout.state.attempt().map(|attempt| attempt.number()))
            .collect();
        let unknown: Vec<_> = numbers
            .iter()
            .filter(|number| !world.wechat.known().contains_key(number))
            .collect();
        if !unknown.is_empty() {
            recover(&world).await;
            let sends = world.wechat.sends();
            assert!(
                unknown.iter().all(|number| sends.contains_key(number)),
                "moment {moment}"
            );
            resent += 1;
        }
        if ended {
            break;
        }
    }
    assert!(
        resent > 0,
        "no moment had an order that was durable and not sent"
    );
}

#[tokio::test]
async fn passes_that_run_again_with_nothing_due_do_nothing() {
    let world = World::new().await;
    life(&world).await;
    recover(&world).await;
    let before = world.store.summary().await.expect("no fault");
    let taken = world
        .live(async |desk| world.passes(&desk).await.expect("no fault"))
        .await;
    assert_eq!(taken, 0);
    assert_eq!(world.store.summary().await.expect("no fault"), before);
}
