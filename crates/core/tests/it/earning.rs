//! One event, one credit: duplicates, conflicts and prices; what cools off and what is owed.

use lingqian_core::command::{Command, Outcome};

use lingqian_core::earning::{Case, EarningEvent, Kind, KindDay, Known, Purse, Terms, decide};
use lingqian_core::id::{KindCode, KindNo, Source, UserNo};
use lingqian_core::money::{BALANCE_MAX, Micros};
use lingqian_core::rejection::Rejection;

use crate::world::{DAY_MS, NOON, World, event, kind, user};

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

/// Alice's available balance, what of it cools off, what is owed and what can be spent.
fn purse(world: &World) -> [i64; 4] {
    let user = world.facts.user(&user("alice")).expect("alice");
    let purse = world.facts.wallet(user.no).purse(world.now.business_date());
    let spendable = purse.spendable();
    [purse.available, purse.cooling, purse.owed, spendable].map(|micros| micros.0)
}

fn slow(id: &str, micros: i64) -> EarningEvent {
    EarningEvent {
        kind: KindCode::parse("slow").expect("an id"),
        ..event(id, micros)
    }
}

/// Earnings of the kind `slow` cool off for two days.
fn cooling_world(micros: i64) -> World {
    let mut world = World::with_balance(micros);
    world.must(Command::DefineKind(Kind {
        terms: Terms {
            cooling_days: 2,
            ..Terms::default()
        },
        ..kind(3, "slow", None)
    }));
    world
}

#[test]
fn what_cools_off_is_there_on_its_day_and_a_claw_back_takes_it_first_out_of_its_day() {
    let mut world = cooling_world(100);
    assert_eq!(world.run(Command::Earn(slow("s", 50))), CREDITED(50));
    assert_eq!(purse(&world), [150, 50, 0, 100]);
    world.now = world.now.after_ms(DAY_MS);
    assert_eq!(world.run(Command::Earn(slow("t", 7))), CREDITED(7));
    assert_eq!(purse(&world), [157, 57, 0, 100]);
    let back = EarningEvent {
        amount: Some(Micros(30)),
        reverses: Some(slow("s", 1).event_id),
        ..slow("b", 1)
    };
    assert_eq!(world.run(Command::Earn(back)), CREDITED(30));
    assert_eq!(purse(&world), [127, 27, 0, 100]);
    world.now = world.now.after_ms(DAY_MS);
    assert_eq!(purse(&world), [127, 7, 0, 120]);
    world.now = world.now.after_ms(DAY_MS);
    assert_eq!(purse(&world), [127, 0, 0, 127]);
    world.is_sound();
}

#[test]
fn a_debt_is_paid_before_anything_cools_off() {
    let mut world = cooling_world(0);
    world.must(Command::Earn(event("e", 1_000)));
    world.must(Command::RegisterUser {
        user: user("bob"),
        name: None,
    });
    world.must(Command::DefineKind(Kind {
        terms: Terms {
            between_users: true,
            ..Terms::default()
        },
        ..kind(4, "gift", None)
    }));
    let gift = EarningEvent {
        kind: KindCode::parse("gift").expect("an id"),
        user: user("bob"),
        from: Some(user("alice")),
        ..event("g", 900)
    };
    world.must(Command::Earn(gift));
    let back = EarningEvent {
        amount: None,
        reverses: Some(event("e", 1).event_id),
        ..event("b", 1)
    };
    assert_eq!(world.run(Command::Earn(back)), CREDITED(1_000));
    assert_eq!(purse(&world), [0, 0, 900, 0]);
    assert_eq!(world.run(Command::Earn(slow("s", 950))), CREDITED(950));
    assert_eq!(purse(&world), [50, 50, 0, 0], "only what is left cools off");
    world.is_sound();
}

fn case(kind: &Kind) -> Case<'_> {
    Case {
        amount: Some(Micros(10)),
        occurred_at: None,
        reverses: None,
        names_sender: false,
        user: Some(UserNo(1)),
        kind: Some(kind),
        sender: None,
        known: None,
        original: None,
        purse: Purse::default(),
        sender_purse: Purse::default(),
        counted: KindDay::default(),
    }
}

#[test]
fn neither_a_balance_nor_a_debt_nor_a_days_sum_leaves_its_range() {
    let mut kind = kind(1, "sale", None);
    let almost = BALANCE_MAX.minus(Micros(9)).expect("in range");
    let out_of_range = Err(Rejection::BalanceOutOfRange);
    let mut full = case(&kind);
    full.purse.available = almost;
    assert_eq!(decide(NOON, &full), out_of_range);
    full.amount = Some(Micros(9));
    assert!(decide(NOON, &full).is_ok());
    let mut owing = case(&kind);
    owing.reverses = Some("e");
    owing.original = Some(Known {
        user: UserNo(1),
        kind: KindNo(1),
        amount: Micros(10),
        occurred_at: None,
        from: None,
        reverses: None,
        matures_on: None,
        repaid: Micros::ZERO,
        clawed: Micros::ZERO,
    });
    owing.purse.owed = almost;
    assert_eq!(decide(NOON, &owing), out_of_range);
    owing.purse.available = Micros(1);
    assert!(decide(NOON, &owing).is_ok(), "one is taken, nine are owed");
    kind.terms.user_day_amount_max = Some(Micros(i64::MAX));
    let mut counted = case(&kind);
    counted.counted = KindDay {
        day: NOON.business_date(),
        count: 1,
        amount: Micros(i64::MAX - 9),
    };
    assert_eq!(decide(NOON, &counted), Err(Rejection::DayCapReached));
}

#[test]
fn a_clock_that_was_set_back_opens_no_earlier_day() {
    let mut kind = kind(1, "sale", None);
    kind.terms.user_day_count_max = Some(1);
    let mut late = case(&kind);
    late.counted = KindDay {
        day: NOON.after_ms(DAY_MS).business_date(),
        count: 1,
        amount: Micros(1),
    };
    assert_eq!(decide(NOON, &late), Err(Rejection::DayCapReached));
    assert!(decide(NOON.after_ms(2 * DAY_MS), &late).is_ok());
}
