//! Operators are told: by one process, once, again after a while, and that it is over, whatever
//! dies.

use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lingqian_core::command::DeadLetter;
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::MchId;
use lingqian_core::{Command, Notes};
use lingqian_engine::Progress;
use lingqian_engine::alerts::{Kind, LEASE_MS, Rules, alert, look};
use lingqian_io::alerts::{Alerts as _, Target, Telling, What};
use lingqian_io::courier::Receipt;
use lingqian_io::twin::{FaultPoint, TwinHerald};
use lingqian_io::{Clock as _, Store as _};

use crate::world::{World, event, withdrawal};

/// More moments than one pass has.
const MOMENTS_MAX: usize = 500;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn act() -> Act {
    Act::new(Actor::engine(), "the account is empty").expect("a reason")
}

async fn submit(world: &World, command: Command) {
    world
        .live(async |desk| {
            let answer = desk.submit(command.clone()).await.expect("no fault");
            answer.expect("no rejection");
        })
        .await;
}

async fn set_stop(world: &World, cause: StopCause, on: bool) {
    let scope = match cause {
        StopCause::Float => Scope::Merchant(MchId::parse("1900000109").expect("valid")),
        _ => Scope::All,
    };
    let stop = Command::SetStop {
        scope,
        cause,
        on,
        act: act(),
    };
    submit(world, stop).await;
}

fn target(name: &str, kinds: &[&str]) -> Target {
    Target {
        name: name.into(),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

fn herald() -> TwinHerald {
    TwinHerald::new(vec![target("ops", &[])])
}

async fn pass(world: &World, herald: &TwinHerald) -> Progress {
    let done = alert(world, herald, &Rules::default(), None).await;
    done.expect("no fault")
}

/// Who was told what, in words.
fn said(told: &[Telling]) -> Vec<String> {
    let line = |telling: &Telling| {
        let items = telling.items.iter().map(|item| {
            let key = &item.alert.key;
            format!("{} {} {}", item.what.name(), key.kind, key.subject)
        });
        let items: Vec<String> = items.collect();
        format!("{}: {}", telling.target, items.join(", "))
    };
    told.iter().map(line).collect()
}

const EMPTY: &str = "float_empty merchant:1900000109";

#[tokio::test]
async fn what_stands_is_told_once_again_after_a_while_and_its_end_is_told() {
    let (world, herald) = (World::new().await, herald());
    assert_eq!(
        pass(&world, &herald).await,
        Progress::default(),
        "all is well"
    );
    set_stop(&world, StopCause::Float, true).await;
    let first = pass(&world, &herald).await;
    assert_eq!((first.taken, first.moved), (1, 1));
    let told = herald.told();
    assert_eq!(said(&told), [format!("ops: began {EMPTY}")]);
    assert!(told[0].items[0].grave);
    assert_eq!(told[0].items[0].alert.words, "the account is empty");
    for _ in 0..(Rules::default().repeat_ms / HOUR_MS - 1) {
        world.clock.advance_ms(HOUR_MS);
        assert_eq!(pass(&world, &herald).await.taken, 0, "it is known");
    }
    world.clock.advance_ms(HOUR_MS);
    pass(&world, &herald).await;
    assert_eq!(said(&herald.told()), [format!("ops: lasts {EMPTY}")]);
    set_stop(&world, StopCause::Float, false).await;
    pass(&world, &herald).await;
    assert_eq!(herald.told(), [], "it may come back");
    world.clock.advance_ms(Rules::default().settle_ms);
    pass(&world, &herald).await;
    assert_eq!(said(&herald.told()), [format!("ops: ended {EMPTY}")]);
    let board = world.store.alerts().await.expect("no fault");
    assert_eq!((board.alerts.len(), board.tells.len()), (0, 0));
    world.clock.advance_ms(HOUR_MS);
    assert_eq!(pass(&world, &herald).await.taken, 0);
}

#[tokio::test]
async fn what_comes_and_goes_is_told_once() {
    let (world, herald) = (World::new().await, herald());
    for _ in 0..10 {
        set_stop(&world, StopCause::Float, true).await;
        pass(&world, &herald).await;
        world.clock.advance_ms(MINUTE_MS / 2);
        set_stop(&world, StopCause::Float, false).await;
        pass(&world, &herald).await;
        world.clock.advance_ms(MINUTE_MS / 2);
    }
    assert_eq!(said(&herald.told()), [format!("ops: began {EMPTY}")]);
    // One that was over before anybody could be told is told to nobody.
    let quiet = TwinHerald::new(Vec::new());
    world.clock.advance_ms(HOUR_MS);
    pass(&world, &quiet).await;
    assert_eq!(world.store.alerts().await.expect("no fault").alerts, []);
}

/// Polls in turns, from every offset of the one to the other.
#[tokio::test]
async fn of_two_processes_one_tells() {
    for offset in 0..MOMENTS_MAX {
        let world = World::new().await;
        set_stop(&world, StopCause::Audit, true).await;
        let (one, other) = (herald(), herald());
        let rules = Rules::default();
        let mut first = pin!(alert(&world, &one, &rules, None));
        let mut second = pin!(alert(&world, &other, &rules, None));
        let mut context = Context::from_waker(Waker::noop());
        let over = (0..offset).any(|_| first.as_mut().poll(&mut context).is_ready());
        let (mut left, mut right) = (!over, true);
        while left || right {
            right = right && second.as_mut().poll(&mut context).is_pending();
            left = left && first.as_mut().poll(&mut context).is_pending();
        }
        let told = [one.told(), other.told()].concat();
        assert_eq!(said(&told), ["ops: began contradiction all"], "{offset}");
        if over {
            return;
        }
    }
    panic!("one pass has more moments than that");
}

#[tokio::test]
async fn who_dies_at_any_moment_is_followed_by_one_who_tells_at_most_once_more() {
    let mut twice = 0;
    for moment in 0..MOMENTS_MAX {
        let (world, herald) = (World::new().await, herald());
        set_stop(&world, StopCause::Float, true).await;
        let ended = {
            let rules = Rules::default();
            let mut dies = pin!(alert(&world, &herald, &rules, None));
            let mut context = Context::from_waker(Waker::noop());
            (0..moment).any(|_| matches!(dies.as_mut().poll(&mut context), Poll::Ready(_)))
        };
        world.clock.advance_ms(LEASE_MS);
        while pass(&world, &herald).await.taken > 0 {}
        let told = herald.told();
        assert!((1..=2).contains(&told.len()), "{moment}: {told:?}");
        assert!(
            told.iter().all(|one| one.id == told[0].id),
            "under one name: {told:?}"
        );
        twice += usize::from(told.len() == 2);
        if ended {
            assert!(twice > 0, "some deaths were between a send and its record");
            assert_eq!(told.len(), 1);
            return;
        }
    }
    panic!("one pass has more moments than that");
}

#[tokio::test]
async fn who_does_not_take_messages_rests_and_holds_up_nobody() {
    let world = World::new().await;
    let herald = TwinHerald::new(vec![
        target("down", &[]),
        target("letters", &["dead_letters"]),
        target("ops", &["float_empty"]),
    ]);
    set_stop(&world, StopCause::Float, true).await;
    let mut tries = BTreeMap::<String, Vec<i64>>::new();
    let begun = world.clock.business();
    for _ in 0..120 {
        // The first of the two that have something to be told.
        let down = world.store.alerts().await.expect("no fault");
        let down = down.targets.iter().any(|health| health.failures > 0);
        herald.answers([Receipt::unanswered("timeout")]);
        if down {
            // Only that one is left.
            pass(&world, &herald).await;
        } else {
            let progress = pass(&world, &herald).await;
            assert_eq!((progress.taken, progress.moved), (2, 1));
        }
        for telling in herald.told() {
            let at = world.clock.business().since_ms(begun);
            tries.entry(telling.target).or_default().push(at);
        }
        world.clock.advance_ms(MINUTE_MS / 2);
    }
    let counts: BTreeMap<&str, usize> =
        tries.iter().map(|(n, at)| (n.as_str(), at.len())).collect();
    assert_eq!(counts.get("ops"), Some(&1), "{tries:?}");
    assert_eq!(counts.get("letters"), None, "of nothing that it wants");
    let down = &tries["down"];
    assert!((6..=14).contains(&down.len()), "{down:?}");
    let board = world.store.alerts().await.expect("no fault");
    let health = &board.targets[0];
    assert_eq!(health.target, "down");
    assert_eq!(health.failed_with.as_deref(), Some("timeout"));
    assert_eq!(health.failures as usize, down.len());
}

#[tokio::test]
async fn a_fault_ends_the_run_and_the_next_one_tells() {
    for points in [
        vec![FaultPoint::Claim],
        vec![FaultPoint::Look],
        vec![FaultPoint::Look, FaultPoint::Claim],
    ] {
        let (world, herald) = (World::new().await, herald());
        set_stop(&world, StopCause::Float, true).await;
        for point in &points {
            world.store.fail_next(*point);
        }
        let failed = alert(&world, &herald, &Rules::default(), None).await;
        assert!(failed.is_err(), "{points:?}");
        if points.len() == 2 {
            // The lease could not be given back.
            assert_eq!(pass(&world, &herald).await.taken, 0);
            world.clock.advance_ms(LEASE_MS);
        }
        pass(&world, &herald).await;
        assert_eq!(said(&herald.told()), [format!("ops: began {EMPTY}")]);
    }
}

#[tokio::test]
async fn payouts_without_an_end_letters_and_breaks_of_the_books_are_seen() {
    let world = World::new().await;
    let rules = Rules::default();
    submit(&world, event("e", "alice", 10_000_000)).await;
    world.wechat.lose_answers(99);
    world
        .live(async |desk| {
            let answer = desk.submit(withdrawal(1, "alice", 100)).await;
            answer.expect("no fault").expect("no rejection");
            world.passes(&desk).await.expect("no fault");
        })
        .await;
    let kinds = async || -> Vec<Kind> {
        let found = look(&world, &rules, None).await.expect("no fault");
        found.iter().map(|condition| condition.kind).collect()
    };
    assert_eq!(kinds().await, [], "it was sent just now");
    world.clock.advance_ms(rules.stuck_ms + 1);
    assert_eq!(kinds().await, [Kind::PayoutStuck]);
    world.clock.advance_ms(4 * 24 * HOUR_MS);
    let old = kinds().await;
    assert!(
        [Kind::InDoubt, Kind::PayoutStuck].contains(&old[0]),
        "{old:?}"
    );
    let letter = DeadLetter {
        door: "http".into(),
        position: "line 1".into(),
        code: "malformed".into(),
        raw: b"{".to_vec(),
        at: world.clock.business(),
    };
    let notes = Notes {
        dead_letters: vec![letter],
        ..Notes::default()
    };
    world.store.note(notes).await.expect("it is kept");
    set_stop(&world, StopCause::Audit, true).await;
    set_stop(&world, StopCause::Person, true).await;
    let all = kinds().await;
    assert_eq!(all[0], Kind::Contradiction, "the gravest first");
    assert_eq!(all.len(), 3, "a person's stop is known to people");
    assert_eq!(all[2], Kind::DeadLetters);
    let herald = herald();
    pass(&world, &herald).await;
    let told = herald.told();
    assert_eq!(told.len(), 1, "one message tells all of it");
    assert!(told[0].items.iter().all(|item| item.what == What::Began));
}
