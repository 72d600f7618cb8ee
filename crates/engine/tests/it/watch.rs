//! The auditor over live books, the money at WeChat, reviews that end, and sweeps in parts.

use lingqian_core::changes::Changes;
use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{UserId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::payout::{Payout, Queue, State};
use lingqian_core::reconcile::Bill;
use lingqian_core::risk::Policy;
use lingqian_core::{Keys, Outcome};
use lingqian_engine::ages::{Ages, ages};
use lingqian_engine::float::{Float, float};
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::wake::{WakeCursor, wake};
use lingqian_engine::watch::{WatchCursor, watch};
use lingqian_engine::{Desk, Limits, assess, dispatch, expire};
use lingqian_io::store::{Committed, PayoutFilter};
use lingqian_io::twin::Spoil;
use lingqian_io::{Browse as _, Clock as _, Store as _};

use crate::world::{World, event, withdrawal};

const LIMITS: Limits = Limits {
    claim_max: 256,
    calls_max: 32,
    lease_ms: 120_000,
    page_max: 1_000,
    watch_max: 2,
    refresh_max: 64,
};

async fn commit(world: &World, changes: Changes) {
    let basis = world.store.prefetch(Keys::default()).await;
    let basis = basis.expect("no fault").basis;
    let committed = world.store.commit(basis, changes).await;
    assert_eq!(committed, Ok(Committed::Done));
}

async fn payouts(world: &World) -> Vec<Payout> {
    let filter = PayoutFilter {
        limit: 100,
        ..PayoutFilter::default()
    };
    let rows = world.store.payouts(filter).await.expect("no fault");
    rows.into_iter().map(|row| row.payout).collect()
}

/// A whole round; what was wrong, by the invariants' names.
async fn round(world: &World, desk: &Desk) -> (u64, Vec<&'static str>) {
    let (mut cursor, mut seen, mut wrong) = (WatchCursor::default(), 0, Vec::new());
    while cursor.walks == 0 {
        let (watched, next) = watch(world, desk, &LIMITS, &cursor)
            .await
            .expect("no fault");
        seen += watched.payouts;
        wrong.extend(watched.findings.iter().map(|f| f.invariant.name()));
        cursor = next;
    }
    (seen, wrong)
}

#[tokio::test]
async fn sound_books_are_walked_through_and_nothing_is_stopped() {
    let world = World::new().await;
    let seen = world
        .live(async |desk| {
            for number in 1..=5 {
                let _ = desk.submit(withdrawal(number, "alice", 100)).await;
            }
            world.passes(&desk).await.expect("no fault");
            world.wechat.everybody_confirms();
            round(&world, &desk).await
        })
        .await;
    assert_eq!(seen, (5, Vec::new()));
    assert_eq!(world.store.stops().await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_payout_that_was_paid_without_its_entry_stops_everything() {
    let world = World::new().await;
    let begun = world
        .live(async |desk| {
            for number in 1..=3 {
                let _ = desk.submit(withdrawal(number, "alice", 100)).await;
            }
            world.passes(&desk).await.expect("no fault");
            let victim = payouts(&world).await.remove(1);
            let attempt = victim.state.attempt().expect("sent").clone();
            let falsified = Payout {
                version: victim.version + 1,
                state: State::Paid(attempt, world.clock.business()),
                ..victim
            };
            let changes = Changes {
                payouts: vec![(falsified, None)],
                ..Changes::default()
            };
            commit(&world, changes).await;
            let (_, wrong) = round(&world, &desk).await;
            assert_eq!(wrong, ["hold_matches_state"]);
            let _ = desk.submit(withdrawal(9, "alice", 100)).await;
            assess::assess(&world, &desk, &LIMITS)
                .await
                .expect("no fault");
            dispatch::dispatch(&world, &desk, &LIMITS)
                .await
                .expect("no fault")
        })
        .await;
    assert_eq!(begun.moved, 0, "nothing leaves any more");
    let stops = world.store.stops().await.expect("no fault");
    let found: Vec<_> = stops.iter().map(|stop| (&stop.scope, stop.cause)).collect();
    assert_eq!(found, [(&Scope::All, StopCause::Audit)]);
    assert!(stops[0].act.reason.contains("hold_matches_state"));
}

#[tokio::test]
async fn a_user_with_many_entries_is_walked_through_over_several_looks() {
    let few = Limits {
        page_max: 3,
        ..LIMITS
    };
    for falsified in [false, true] {
        let world = World::new().await;
        let (looks, wrong) = world
            .live(async |desk| {
                for number in 1..=4 {
                    let _ = desk.submit(withdrawal(number, "alice", 100)).await;
                }
                world.passes(&desk).await.expect("no fault");
                world.wechat.everybody_confirms();
                if falsified {
                    // The sum of everything is as it was.
                    let (from, to) = (Account::Fees, Account::Held(UserNo(1)));
                    world.store.spoil(&Spoil::Moved(from, to, 5));
                }
                let (mut cursor, mut looks, mut wrong) = (WatchCursor::default(), 0, Vec::new());
                while cursor.walks == 0 {
                    let (seen, next) = watch(&world, &desk, &few, &cursor).await.expect("reads");
                    assert!(seen.walked <= 3, "{seen:?}");
                    wrong.extend(seen.findings.iter().map(|f| f.invariant.name()));
                    wrong.dedup();
                    (cursor, looks) = (next, looks + 1);
                }
                (looks, wrong)
            })
            .await;
        assert!(looks > 2, "{looks}");
        let expected: &[&str] = if falsified {
            &["balances_are_sums"]
        } else {
            &[]
        };
        assert_eq!(wrong, expected);
    }
}

#[tokio::test]
async fn who_was_never_paid_is_looked_at_too() {
    let world = World::new().await;
    let wrong = world
        .live(async |desk| {
            for user in ["bob", "carol", "dave"] {
                let user = UserId::parse(user).expect("an id");
                let name = None;
                let registered = desk.submit(Command::RegisterUser { user, name }).await;
                assert!(matches!(registered, Ok(Ok(_))), "{registered:?}");
            }
            let mut wrong = round(&world, &desk).await.1;
            assert_eq!(wrong, Vec::<&str>::new());
            // The sum of everything is as it was.
            let last = world
                .store
                .user(
                    &UserId::parse("dave").expect("an id"),
                    world.clock.business().business_date(),
                )
                .await;
            let last = last.expect("no fault").expect("a user").user.no;
            let (from, to) = (Account::Fees, Account::Available(last));
            world.store.spoil(&Spoil::Moved(from, to, 5));
            let mut cursor = WatchCursor::default();
            while cursor.turns == 0 {
                let (seen, next) = watch(&world, &desk, &LIMITS, &cursor).await.expect("reads");
                wrong.extend(seen.findings.iter().map(|f| f.invariant.name()));
                cursor = next;
            }
            wrong
        })
        .await;
    assert_eq!(wrong, ["balances_are_sums"]);
}

#[tokio::test]
async fn what_is_left_at_wechat_is_what_bills_say_less_what_left_since() {
    let world = World::new().await;
    let before = float(&world).await.expect("no fault");
    assert_eq!((before.left, before.lasts_ms()), (None, None));
    let today = world.clock.business().business_date();
    let bill = Bill {
        merchant: lingqian_core::id::MerchantNo(1),
        date: lingqian_core::time::BusinessDate(today.0 - 1),
        sha1: String::new(),
        lines: 0,
        out: Fen(0),
        came_in: Fen(0),
        opening: Fen(5_000),
        closing: Fen(5_000),
        fetched_at: world.clock.business(),
    };
    let bills = Changes {
        bills: vec![bill],
        ..Changes::default()
    };
    commit(&world, bills).await;
    world
        .live(async |desk| {
            let wanted = vec![withdrawal(1, "alice", 300), withdrawal(2, "alice", 400)];
            let _ = desk.submit_all(wanted).await;
            world.passes(&desk).await.expect("no fault");
            let sent = float(&world).await.expect("no fault");
            assert_eq!((sent.left, sent.in_flight), (Some(Fen(4_300)), Fen(700)));
            world.wechat.everybody_confirms();
            world.clock.advance_ms(120_000);
            world.passes(&desk).await.expect("no fault");
        })
        .await;
    let paid = float(&world).await.expect("no fault");
    assert_eq!((paid.left, paid.in_flight), (Some(Fen(4_300)), Fen(0)));
    // ¥7 left in twelve hours of the day: 58 fen an hour.
    assert_eq!(paid.hourly, Fen(58));
    assert_eq!(paid.lasts_ms().map(|ms| ms / 3_600_000), Some(74));
}

#[tokio::test]
async fn the_oldest_of_what_waits_tells_its_age() {
    let world = World::new().await;
    let none = ages(&world, &LIMITS, &Float::default())
        .await
        .expect("no fault");
    assert_eq!(none, Ages::default());
    world.wechat.lose_answers(1);
    world
        .live(async |desk| {
            let _ = desk.submit(withdrawal(1, "alice", 100)).await;
            assess::assess(&world, &desk, &LIMITS)
                .await
                .expect("no fault");
            dispatch::dispatch(&world, &desk, &LIMITS)
                .await
                .expect("no fault");
        })
        .await;
    world.clock.advance_ms(90_000);
    let seen = ages(&world, &LIMITS, &Float::default())
        .await
        .expect("no fault");
    assert_eq!((seen.unknown_ms, seen.review_ms), (Some(90_000), None));
}

#[tokio::test]
async fn a_review_that_nobody_looked_at_ends_by_the_pass() {
    let world = World::new().await;
    let policy = Policy {
        review_from: Some(Fen(100)),
        ..Policy::default()
    };
    let days = policy.review_ms;
    world
        .live_under(policy, async |desk| {
            let _ = desk.submit(withdrawal(1, "alice", 100)).await;
            assess::assess(&world, &desk, &LIMITS)
                .await
                .expect("no fault");
            let early = expire::expire(&world, &desk, &LIMITS).await;
            assert_eq!(early.expect("no fault").taken, 0);
            world.clock.advance_ms(days);
            let done = expire::expire(&world, &desk, &LIMITS).await;
            assert_eq!(done.expect("no fault").moved, 1);
        })
        .await;
    let states: Vec<&str> = payouts(&world)
        .await
        .iter()
        .map(|p| p.state.name())
        .collect();
    assert_eq!(states, ["refused"]);
    world.audited("after the review ended").await;
}

#[tokio::test]
async fn a_balance_is_swept_in_parts_and_goes_on_after_a_crash_between_them() {
    let world = World::new().await;
    let policy = Policy {
        payout_max: Fen(400),
        user_day_amount_max: Fen(1_000_000),
        ..Policy::default()
    };
    let plan = Plan {
        threshold: Fen(10),
        run: world.clock.business().business_date(),
        split: Some(Fen(400)),
    };
    let run = async |desk: &Desk, plan: &Plan| {
        let cursor = SweepCursor::default();
        let swept = sweep(&world, desk, &LIMITS, plan, cursor).await;
        swept.expect("no fault").0.moved
    };
    world
        .live_under(policy, async |desk| {
            // The first part alone, as a process leaves it that dies after it.
            let first = Plan {
                split: None,
                ..plan
            };
            assert_eq!(run(&desk, &first).await, 1);
            assert_eq!(run(&desk, &plan).await, 2);
            assert_eq!(run(&desk, &plan).await, 0, "everybody once a run");
            let more = desk.submit(event("more", "alice", 4_000_000)).await;
            assert!(matches!(more, Ok(Ok(Outcome::Credited { .. }))));
        })
        .await;
    let mut amounts: Vec<i64> = payouts(&world).await.iter().map(|p| p.amount.0).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [200, 400, 400]);
}

/// A walk over what was put off, two at a time, as a process begins it; how many it roused.
async fn roused(world: &World, desk: &Desk) -> u64 {
    let few = Limits {
        page_max: 2,
        ..LIMITS
    };
    let (mut cursor, mut roused) = (WakeCursor::default(), 0);
    loop {
        let (seen, next) = wake(world, desk, &few, &cursor).await.expect("no fault");
        roused += seen.moved;
        if next == cursor {
            return roused;
        }
        cursor = next;
    }
}

#[tokio::test]
async fn what_a_stop_puts_off_waits_and_is_due_once_it_is_lifted() {
    let world = World::new().await;
    let act = Act::new(Actor::engine(), "a test").expect("a reason");
    let stop = |on: bool| Command::SetStop {
        scope: Scope::All,
        cause: StopCause::Person,
        on,
        act: act.clone(),
    };
    world
        .live(async |desk| {
            let _ = desk.submit(stop(true)).await;
            for number in 1..=3 {
                let _ = desk.submit(withdrawal(number, "alice", 100)).await;
            }
            world.passes(&desk).await.expect("no fault");
            let waiting = world.store.summary().await.expect("no fault").waiting;
            assert_eq!(waiting, [(Queue::Send, 3)]);
            assert_eq!(roused(&world, &desk).await, 0, "it is stopped");
            let _ = desk.submit(stop(false)).await;
            let early = dispatch::dispatch(&world, &desk, &LIMITS).await;
            assert_eq!(early.expect("no fault").taken, 0, "it waits a minute");
            assert_eq!(roused(&world, &desk).await, 3);
            let sent = dispatch::dispatch(&world, &desk, &LIMITS).await;
            assert_eq!(sent.expect("no fault").moved, 3);
            assert_eq!(roused(&world, &desk).await, 0, "nothing is left to rouse");
        })
        .await;
}
