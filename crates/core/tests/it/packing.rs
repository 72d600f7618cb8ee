//! Many payouts in one request: who is in it, when it goes again, and how they part.

use std::collections::BTreeMap;

use lingqian_core::command::{Command, Manual, Outcome};
use lingqian_core::control::{Act, Actor};
use lingqian_core::id::OutBillNo;
use lingqian_core::money::Fen;
use lingqian_core::payout::{NOT_FOUND_WAIT_MS, Queue, RESEND_WINDOW_MS};
use lingqian_core::seat::Seat;
use lingqian_core::transfer::{Cure, Finding, Merchant, Origin, TransferOrder};

use crate::world::{NOON, World, merchant, number, po, report, user};

/// So many approved payouts of alice's, and what their merchant takes in one request.
fn world(payouts: i64) -> World {
    let mut world = World::with_balance(900_000_000);
    world.policy.user_day_count_max = 10_000;
    for no in 1..=payouts {
        world.approve(no, 100);
    }
    world
}

/// What is begun when these are due together, and batches that have to be looked at whole.
fn begin(world: &mut World, numbers: &[i64], most: u16) -> (Vec<TransferOrder>, Vec<OutBillNo>) {
    let payouts = numbers.iter().map(|no| po(*no)).collect();
    let packs = BTreeMap::from([(merchant().mchid, most)]);
    all_begun(world.must(Command::BeginTransfers { payouts, packs }))
}

fn again(world: &mut World, members: &[i64]) -> Vec<TransferOrder> {
    let members = members.iter().map(|no| po(*no)).collect();
    let batch = number(1);
    all_begun(world.must(Command::ResendBatch { batch, members })).0
}

fn all_begun(outcome: Outcome) -> (Vec<TransferOrder>, Vec<OutBillNo>) {
    match outcome {
        Outcome::AllBegun { orders, batches } => (orders, batches),
        other => panic!("{other:?}"),
    }
}

fn seats(orders: &[TransferOrder]) -> Vec<Option<Seat>> {
    orders.iter().map(|order| order.seat).collect()
}

fn state(world: &World, no: i64) -> &'static str {
    world.payout(no).state.name()
}

fn waits(world: &World, no: i64) -> Queue {
    world.work.get(&po(no)).expect("it waits").queue
}

/// All of them are asked about and nobody has a record, for longer than that means anything.
fn is_lost(world: &mut World, numbers: &[i64]) {
    world.now = world.now.after_ms(NOT_FOUND_WAIT_MS);
    for no in numbers {
        world.hear(*no, Origin::Query, Finding::NotFound);
        assert_eq!(
            (state(world, *no), waits(world, *no)),
            ("unknown", Queue::Send)
        );
    }
}

fn refused(cure: Cure) -> Finding {
    let code = "REFUSED".to_owned();
    Finding::Refused { code, cure }
}

#[test]
fn what_is_due_together_goes_together_and_is_kept_as_it_goes() {
    let mut world = world(5);
    let (orders, batches) = begin(&mut world, &[1, 2, 3, 4, 5], 2);
    assert_eq!(batches, []);
    let of = |first, place, of| Seat::new(number(first), place, of);
    let expected = [of(1, 1, 2), of(1, 2, 2), of(3, 1, 2), of(3, 2, 2), None];
    assert_eq!(seats(&orders), expected, "one alone is no batch");
    for (no, order) in (1..).zip(&orders) {
        let attempt = world.payout(no).state.attempt().expect("begun");
        assert_eq!((state(&world, no), &attempt.order), ("sending", order));
    }
    assert_eq!(orders[1].batch(), number(1));
    assert_eq!(orders[4].batch(), number(5));
    let text = orders[1].canonical();
    assert!(
        text.ends_with(&format!("seat={}/0002/0002\n", number(1))),
        "{text}"
    );
    world.is_sound();
}

#[test]
fn who_may_not_go_is_not_in_it_and_nobody_joins_later() {
    let mut world = world(3);
    world.must(Command::DefineMerchant(Merchant {
        day_quota: Some(Fen(250)),
        ..merchant()
    }));
    let (orders, _) = begin(&mut world, &[1, 2, 3], 10);
    assert_eq!(orders.len(), 2, "the quota is spent by two");
    assert_eq!(seats(&orders)[1], Seat::new(number(1), 2, 2));
    assert_eq!(state(&world, 3), "approved");
    world.now = NOON.business_date().next().start();
    let (orders, _) = begin(&mut world, &[3], 10);
    assert_eq!(seats(&orders), [None]);
    world.is_sound();
}

#[test]
fn one_that_is_sent_again_joins_nobody() {
    let mut world = world(3);
    let (alone, _) = begin(&mut world, &[1], 10);
    world.hear(1, Origin::Answer, refused(Cure::Later));
    assert_eq!(
        state(&world, 1),
        "deferred",
        "it went alone and goes again alone"
    );
    let (orders, _) = begin(&mut world, &[1, 2, 3], 10);
    let of = |place| Seat::new(number(2), place, 2);
    assert_eq!(seats(&orders), [of(1), of(2), None]);
    assert_eq!(orders[2], alone[0]);
    world.is_sound();
}

#[test]
fn names_go_with_names_alone() {
    let mut world = world(2);
    world.must(Command::RegisterUser {
        user: user("alice"),
        name: Some(lingqian_core::user::Sealed(vec![1])),
    });
    // Below the amount from which WeChat compares names none goes along.
    world.approve(3, 29);
    let (orders, _) = begin(&mut world, &[1, 3, 2], 10);
    let named: Vec<bool> = orders.iter().map(|order| order.name.is_some()).collect();
    assert_eq!(named, [true, true, false]);
    assert_eq!(seats(&orders)[2], None);
    assert_eq!(seats(&orders)[0], Seat::new(number(1), 1, 2));
}

#[test]
fn a_refusal_parts_a_batch_and_ends_nobody() {
    for cure in [
        Cure::Never,
        Cure::Later,
        Cure::Float,
        Cure::Tomorrow,
        Cure::Person,
    ] {
        let mut world = world(3);
        world.policy.attempts_max = 1;
        let (first, _) = begin(&mut world, &[1, 2, 3], 100);
        for no in 1..=3 {
            let moved = world.hear(no, Origin::Answer, refused(cure));
            assert_eq!(moved, ("approved", true), "{cure:?}");
            assert_eq!(waits(&world, no), Queue::Send);
            assert_eq!(world.payout(no).tries, 1);
            // Said twice it says nothing new.
            let moved = world.hear(no, Origin::Answer, refused(cure));
            assert_eq!(moved, ("approved", false), "{cure:?}");
        }
        let due = (1..=3).map(|no| world.work[&po(no)].due_at).max();
        world.now = due.expect("they wait").max(world.now.after_ms(86_400_000));
        // An empty account is tried by one.
        let together = if cure == Cure::Float { 1 } else { 3 };
        let (second, _) = begin(&mut world, &[1, 2, 3], 100);
        assert_eq!(second.len(), together, "{cure:?}");
        let second_number = OutBillNo::new(po(1), 2);
        assert_eq!(second[0].number, second_number);
        assert_eq!(second[0].batch(), second_number, "another batch");
        assert!(!first.contains(&second[0]));
        world.is_sound();
    }
}

#[test]
fn batches_are_smaller_each_time_until_the_one_to_blame_is_alone() {
    let mut world = world(30);
    let all: Vec<i64> = (1..=30).collect();
    let mut sizes = Vec::new();
    for attempt in 1..=3_u8 {
        let (orders, _) = begin(&mut world, &all, 100);
        assert_eq!(orders.len(), 30);
        sizes.push(orders[0].seat.map_or(1, |seat| seat.of()));
        for order in &orders {
            let mut report = report(1, Origin::Answer, refused(Cure::Never));
            report.number = order.number;
            assert_eq!(order.number.attempt(), attempt);
            world.must(Command::ReportTransfer(Box::new(report)));
        }
    }
    assert_eq!(sizes, [30, 10, 1]);
    // Alone it is refused for its own sake, and that is the end of it.
    assert_eq!(state(&world, 1), "failed");
}

#[test]
fn a_lost_batch_goes_again_whole_and_alike() {
    let mut world = world(3);
    let (first, _) = begin(&mut world, &[1, 2, 3], 10);
    is_lost(&mut world, &[1, 2, 3]);
    // One of it by itself is no reason to send anything.
    let alone = world.must(Command::BeginTransfer(po(2)));
    assert_eq!(alone, Outcome::InBatch(number(1)));
    let (orders, batches) = begin(&mut world, &[2, 1], 10);
    assert_eq!((orders, batches), (vec![], vec![number(1)]));
    assert_eq!(state(&world, 2), "unknown");
    let second = again(&mut world, &[3, 1, 2]);
    assert_eq!(second, first, "whole, alike, and in the same order");
    for no in 1..=3 {
        assert_eq!(state(&world, no), "sending");
        // A refusal of the second send proves nothing about the first one.
        world.hear(no, Origin::Answer, refused(Cure::Never));
        assert_eq!(state(&world, no), "unknown");
    }
    world.is_sound();
}

/// What keeps a batch from being sent again, done to one of its three members.
type Keeps = fn(&mut World);

#[test]
fn a_batch_of_which_anything_is_known_is_asked_about_and_not_sent() {
    let act = || Act {
        actor: Actor::parse("cli:li").expect("a name"),
        reason: "a test".into(),
    };
    let keeps: [(&str, Keeps); 4] = [
        ("accepted", |world| {
            world.hear(2, Origin::Query, Finding::Processing);
        }),
        ("paid", |world| {
            world.hear(2, Origin::Query, Finding::Paid);
        }),
        ("going on under another number", |world| {
            let code = "TRANSFER_RISK".to_owned();
            let cure = Cure::Later;
            world.hear(2, Origin::Query, Finding::Failed { code, cure });
        }),
        ("the window has passed", |world| {
            world.now = NOON.after_ms(RESEND_WINDOW_MS);
        }),
    ];
    for (why, keep) in keeps {
        let mut world = world(3);
        begin(&mut world, &[1, 2, 3], 10);
        is_lost(&mut world, &[1, 2, 3]);
        keep(&mut world);
        assert_eq!(again(&mut world, &[1, 2, 3]), [], "{why}");
        assert_eq!(
            (state(&world, 1), waits(&world, 1)),
            ("unknown", Queue::Ask),
            "{why}"
        );
    }
    // A part of it is no batch, whoever says so.
    let mut world = world(3);
    begin(&mut world, &[1, 2, 3], 10);
    is_lost(&mut world, &[1, 2, 3]);
    assert_eq!(again(&mut world, &[1, 2]), []);
    assert_eq!(again(&mut world, &[]), []);
    // Nor does it go while somebody in it may not be paid; then all of it waits.
    world.must(Command::SetFrozen {
        user: user("alice"),
        frozen: true,
        act: Some(act()),
    });
    assert_eq!(again(&mut world, &[1, 2, 3]), []);
    assert_eq!(waits(&world, 3), Queue::Ask);
    world.must(Command::SetFrozen {
        user: user("alice"),
        frozen: false,
        act: Some(act()),
    });
    // What a person wants sent goes with its batch.
    world.must(Command::Manual {
        payout: po(1),
        what: Manual::Resend,
        act: act(),
    });
    let (orders, batches) = begin(&mut world, &[1], 10);
    assert_eq!((orders, batches), (vec![], vec![number(1)]));
    assert_eq!(again(&mut world, &[1, 2, 3]).len(), 3);
    world.is_sound();
}

#[test]
fn nobody_can_be_taken_out_of_a_batch() {
    let mut world = world(2);
    begin(&mut world, &[1, 2], 10);
    for finding in [
        Finding::Unknown {
            code: "timeout".into(),
        },
        Finding::Processing,
    ] {
        let cancelled = world.run(Command::CancelPayout(po(1)));
        assert!(cancelled.is_err(), "{cancelled:?}");
        world.hear(1, Origin::Answer, finding);
    }
    assert!(world.run(Command::CancelPayout(po(1))).is_err());
    // Members end by themselves, each as it is told of it.
    world.hear(1, Origin::Query, Finding::Paid);
    let code = "ACCOUNT_FROZEN".to_owned();
    let cure = Cure::Never;
    world.hear(2, Origin::Query, Finding::Failed { code, cure });
    assert_eq!((state(&world, 1), state(&world, 2)), ("paid", "failed"));
    world.is_sound();
}
