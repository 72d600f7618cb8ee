//! One event, one credit: duplicates, conflicts and prices.

use lingqian_core::command::{Command, Outcome, Rejection};
use lingqian_core::earning::EarningEvent;
use lingqian_core::id::{KindCode, Source};
use lingqian_core::money::Micros;

use crate::world::{NOON, World, event, kind, user};

type Change = fn(&mut EarningEvent);

const CREDITED: fn(i64) -> Result<Outcome, Rejection> = |amount| {
    Ok(Outcome::Credited {
        amount: Micros(amount),
    })
};

/// Credits an event of ¥0.003 as `e`, then this one; tells what came of it.
fn second(change: impl FnOnce(&mut EarningEvent)) -> Result<Outcome, Rejection> {
    let mut world = World::with_balance(0);
    world.must(Command::Earn(event("e", 3_000)));
    let mut again = event("e", 3_000);
    change(&mut again);
    let answer = world.run(Command::Earn(again));
    world.is_sound();
    let credited = i64::from(matches!(answer, Ok(Outcome::Credited { .. })));
    assert_eq!(world.journal.len(), 1 + usize::from(credited > 0));
    answer
}

#[test]
fn the_same_event_is_credited_once_and_another_under_its_name_is_a_conflict() {
    let conflict = Err(Rejection::EventConflict);
    let cases: [(&str, Change, _); 7] = [
        ("the same", |_| {}, Ok(Outcome::AlreadyCredited)),
        (
            "no amount",
            |e| e.amount = None,
            Ok(Outcome::AlreadyCredited),
        ),
        ("more", |e| e.amount = Some(Micros(3_001)), conflict.clone()),
        ("whose", |e| e.user = user("bob"), conflict.clone()),
        (
            "what",
            |e| e.kind = KindCode::parse("ad").expect("an id"),
            conflict.clone(),
        ),
        ("when", |e| e.occurred_at = Some(NOON), conflict),
        (
            "another source",
            |e| e.source = Source::parse("shop").expect("an id"),
            CREDITED(3_000),
        ),
    ];
    for (name, change, expected) in cases {
        assert_eq!(second(change), expected, "{name}");
    }
}

#[test]
fn a_price_is_the_amount_and_may_change_for_later_events() {
    let mut world = World::with_balance(0);
    let ad = |id: &str, amount: Option<i64>| {
        Command::Earn(EarningEvent {
            kind: KindCode::parse("ad").expect("an id"),
            amount: amount.map(Micros),
            ..event(id, 1)
        })
    };
    assert_eq!(world.run(ad("a", None)), CREDITED(10_000));
    assert_eq!(world.run(ad("b", Some(10_000))), CREDITED(10_000));
    let price = Micros(10_000);
    let other = Err(Rejection::AmountNotThePrice { price });
    assert_eq!(world.run(ad("c", Some(10_001))), other);
    world.must(Command::DefineKind(kind(2, "ad", Some(20_000))));
    for known in [ad("a", None), ad("b", Some(10_000))] {
        assert_eq!(world.run(known), Ok(Outcome::AlreadyCredited));
    }
    let conflict = Err(Rejection::EventConflict);
    assert_eq!(world.run(ad("b", Some(20_000))), conflict);
    assert_eq!(world.run(ad("c", None)), CREDITED(20_000));
    assert_eq!(world.alice(), (40_000, 0));
    world.is_sound();
}

#[test]
fn an_event_may_be_old_or_a_day_ahead_and_as_large_as_its_kind_allows() {
    let mut world = World::with_balance(0);
    let cases = [
        ("old", Some(NOON.after_ms(-400 * 86_400_000)), 1),
        ("ahead", Some(NOON.after_ms(86_400_000)), 1),
        ("large", None, 10_000_000_000),
    ];
    let mut sum = 0;
    for (id, occurred_at, amount) in cases {
        let event = EarningEvent {
            occurred_at,
            ..event(id, amount)
        };
        assert_eq!(world.run(Command::Earn(event)), CREDITED(amount), "{id}");
        sum += amount;
        assert_eq!(world.alice(), (sum, 0));
    }
    world.is_sound();
}

#[test]
fn fractions_of_a_fen_are_kept_and_add_up() {
    let mut world = World::with_balance(0);
    for n in 0..3 {
        world.must(Command::Earn(event(&format!("e{n}"), 3_334)));
    }
    assert_eq!(world.alice(), (10_002, 0));
    assert_eq!(Micros(world.alice().0).whole_fen().0, 1);
}
