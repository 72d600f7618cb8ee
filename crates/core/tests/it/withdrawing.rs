//! Money is set aside once per request, and never more than there is.

use lingqian_core::command::{Command, Outcome};

use lingqian_core::money::Fen;
use lingqian_core::rejection::Rejection;
use lingqian_core::withdrawal::{Wanted, Withdrawal};

use crate::world::{Answer, DAY_MS, NOON, World, key, po, request};

fn withdraw(request: Withdrawal) -> Command {
    Command::Withdraw(Box::new(request))
}

fn withdrawn(no: i64, fen: i64, replayed: bool) -> Answer {
    Ok(Outcome::Withdrawn {
        payout: po(no),
        amount: Fen(fen),
        created_at: NOON,
        replayed,
    })
}

fn keyed(no: i64, fen: i64, digest: u8) -> Withdrawal {
    Withdrawal {
        key: Some((key("k"), [digest; 32])),
        ..request(no, fen)
    }
}

#[test]
fn a_key_repeats_its_answer_for_ever_and_belongs_to_one_request() {
    let mut world = World::with_balance(2_000_000);
    assert_eq!(
        world.run(withdraw(keyed(1, 100, 7))),
        withdrawn(1, 100, false)
    );
    assert_eq!(world.alice(), (1_000_000, 1_000_000));
    world.now = world.now.after_ms(30 * DAY_MS);
    // The retry comes with a fresh payout id; the answer names the first one.
    assert_eq!(
        world.run(withdraw(keyed(2, 100, 7))),
        withdrawn(1, 100, true)
    );
    let reused = Err(Rejection::KeyReused);
    assert_eq!(world.run(withdraw(keyed(3, 50, 8))), reused);
    let mut other_route = keyed(4, 50, 8);
    other_route.key = other_route.key.map(|(mut key, digest)| {
        key.scope = "sweeps".into();
        (key, digest)
    });
    assert!(world.run(withdraw(other_route)).is_ok());
    assert_eq!(world.alice(), (500_000, 1_500_000));
    world.is_sound();
}

#[test]
fn a_refusal_is_not_remembered_under_its_key() {
    let mut world = World::with_balance(500_000);
    let refused = Err(Rejection::InsufficientFunds);
    assert_eq!(world.run(withdraw(keyed(1, 100, 7))), refused);
    world.must(Command::Earn(crate::world::event("more", 500_000)));
    assert_eq!(
        world.run(withdraw(keyed(2, 100, 7))),
        withdrawn(2, 100, false)
    );
}

#[test]
fn a_reference_names_one_withdrawal_even_after_it_ended() {
    let mut world = World::with_balance(2_000_000);
    world.must(withdraw(request(1, 100)));
    world.must(Command::CancelPayout(po(1)));
    let again = Withdrawal {
        reference: request(1, 1).reference,
        ..request(2, 100)
    };
    assert_eq!(world.run(withdraw(again)), Err(Rejection::ReferenceUsed));
    assert_eq!(world.alice(), (2_000_000, 0));
}

/// What asking for all holds, with a balance and something approved earlier that day, in fen.
fn all(balance_micros: i64, approved_today: i64) -> Result<i64, Rejection> {
    let mut world = World::with_balance(balance_micros + approved_today * 10_000);
    if approved_today > 0 {
        world.approve(1, approved_today);
    }
    let request = Withdrawal {
        wanted: Wanted::All,
        ..request(2, 0)
    };
    let answer = world.run(withdraw(request));
    world.is_sound();
    match answer? {
        Outcome::Withdrawn { amount, .. } => Ok(amount.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_means_whole_fen_up_to_what_the_limits_leave() {
    let below = Err(Rejection::BelowMinimum { min: Fen(10) });
    let cases = [
        ("whole fen only", 1_239_999, 0, Ok(123)),
        ("the smallest payout", 100_000, 0, Ok(10)),
        ("under the smallest payout", 99_999, 0, below.clone()),
        ("nothing", 0, 0, below.clone()),
        ("the largest payout", 900_000_000, 0, Ok(20_000)),
        ("the rest of the day", 900_000_000, 19_000, Ok(1_000)),
        ("the day is nearly full", 900_000_000, 19_995, below.clone()),
        ("the day is full", 900_000_000, 20_000, below),
    ];
    for (name, balance, today, expected) in cases {
        assert_eq!(all(balance, today), expected, "{name}");
    }
}

#[test]
fn what_is_held_cannot_be_asked_for_again() {
    let mut world = World::with_balance(1_000_000);
    assert!(world.run(withdraw(request(1, 60))).is_ok());
    let refused = Err(Rejection::InsufficientFunds);
    assert_eq!(world.run(withdraw(request(2, 41))), refused);
    assert!(world.run(withdraw(request(3, 40))).is_ok());
    assert_eq!(world.alice(), (0, 1_000_000));
    world.is_sound();
}
