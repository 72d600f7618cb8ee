//! Books against bill, in both directions: every line matched, explained or an open break, and
//! every paid payout on the bill or an open break.

use lingqian_core::command::{Command, Outcome};

use lingqian_core::id::{MchId, MerchantNo, OutBillNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{Bill, BillLine, Direction, Match};
use lingqian_core::rejection::Rejection;
use lingqian_core::transfer::{Finding, Origin};

use crate::world::{DAY_MS, NOON, World, line, mchid, merchant, po};

use Direction::{In, Out};

/// Payout 1 of ¥1 was paid, 2 of ¥2 expired, 3 of ¥3 is under way.
fn world() -> World {
    let mut world = World::with_balance(6_000_000);
    for (no, fen) in [(1, 100), (2, 200), (3, 300)] {
        world.begin(no, fen);
    }
    world.hear(1, Origin::Answer, Finding::Paid);
    world.hear(2, Origin::Notification, Finding::Expired);
    world.hear(3, Origin::Answer, Finding::Processing);
    world
}

fn look_for(world: &mut World, no: i64) -> bool {
    let (payout, date) = (po(no), NOON.business_date());
    let command = Command::CheckEnded {
        mchid: mchid(),
        payout,
        date,
    };
    match world.must(command) {
        Outcome::Checked { open } => open,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_merchants_bill_says_nothing_about_anothers_payouts() {
    let mut world = world();
    let mut second = merchant();
    second.no = MerchantNo(2);
    second.mchid = MchId::parse("1900000002").expect("an id");
    world.must(Command::DefineMerchant(second.clone()));
    let check = Command::CheckEnded {
        mchid: second.mchid.clone(),
        payout: po(1),
        date: NOON.business_date(),
    };
    assert_eq!(world.run(check), Err(Rejection::OtherMerchant));
    // A line of the second that names a payout of the first is money that nothing explains.
    for mchid in [second.mchid, merchant().mchid] {
        world.must(Command::RecordBillLine {
            mchid,
            date: NOON.business_date(),
            line: line("same", 1, Out, 100),
        });
    }
    assert_eq!(open(&world), ["1900000002:same unknown_line 100"]);
    assert_eq!(world.payout(1).billed, Fen(100));
    world.is_sound();
}

/// Books lines, looks for payouts 1 to 3, and tells the open breaks as `subject kind by fen`.
fn breaks(lines: &[BillLine]) -> Vec<String> {
    let mut world = world();
    for line in lines {
        world.book(line.clone());
    }
    for no in 1..=3 {
        look_for(&mut world, no);
    }
    let once = open(&world);
    for line in lines {
        assert_eq!(world.book(line.clone()), Outcome::LineKnown);
        assert!(
            world.last.is_empty(),
            "a line that is known changes nothing"
        );
    }
    for no in 1..=3 {
        look_for(&mut world, no);
        assert!(world.last.is_empty(), "looked for twice: {:?}", world.last);
    }
    assert_eq!(open(&world), once, "running twice changes nothing");
    world.is_sound();
    once
}

fn open(world: &World) -> Vec<String> {
    let short = |subject: &str| match (1..=3).find(|no| po(*no).to_string() == subject) {
        Some(no) => no.to_string(),
        None => subject.to_owned(),
    };
    let breaks = world.facts.open_breaks.values();
    let told =
        breaks.map(|b| format!("{} {} {}", short(&b.subject), b.kind.code(), b.difference.0));
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

fn other(flow_no: &str, voucher: &str, direction: Direction, fen: i64) -> BillLine {
    BillLine {
        voucher: voucher.into(),
        ..line(flow_no, 1, direction, fen)
    }
}

#[test]
fn every_difference_between_bill_and_books_is_a_break_of_its_kind() {
    let good = line("a", 1, Out, 100);
    let second = OutBillNo::new(po(1), 2).to_string();
    let cases: Vec<(&str, Vec<BillLine>, &[&str])> = vec![
        ("matched", vec![good.clone()], &[]),
        ("missing", vec![], &["1 missing_on_bill -100"]),
        (
            "twice",
            vec![good.clone(), line("b", 1, Out, 100)],
            &["1 amount_differs 100"],
        ),
        (
            "less",
            vec![line("a", 1, Out, 99)],
            &["1 amount_differs -1"],
        ),
        (
            "came back by the bill, paid by our books",
            vec![good.clone(), line("b", 1, In, 100)],
            &["1 missing_on_bill -100"],
        ),
        (
            "expired, out and back",
            vec![good.clone(), line("b", 2, Out, 200), line("c", 2, In, 200)],
            &[],
        ),
        (
            "expired, and never back",
            vec![good.clone(), line("b", 2, Out, 200)],
            &["2 paid_on_bill_only 200"],
        ),
        (
            "expired, back in part",
            vec![good.clone(), line("b", 2, Out, 200), line("c", 2, In, 50)],
            &["2 amount_differs 150"],
        ),
        (
            "under way, its money locked",
            vec![good.clone(), line("b", 3, Out, 300)],
            &[],
        ),
        (
            "under way, another amount locked",
            vec![good.clone(), line("b", 3, Out, 301)],
            &["3 amount_differs 301"],
        ),
        (
            "a top-up",
            vec![good.clone(), other("b", "recharge-7", In, 5_000)],
            &[],
        ),
        (
            "not ours",
            vec![good.clone(), other("b", "plfk2020042013", Out, 7)],
            &["1900000109:b unknown_line 7"],
        ),
        (
            "a second number, which we never made",
            vec![good.clone(), other("b", &second, Out, 7)],
            &["1900000109:b unknown_line 7"],
        ),
        (
            "looks like ours and was never sent",
            vec![good, line("b", 9, Out, 7)],
            &["1900000109:b unknown_line 7"],
        ),
    ];
    for (name, lines, expected) in cases {
        assert_eq!(breaks(&lines), expected, "{name}");
    }
}

#[test]
fn a_return_the_next_day_closes_the_break() {
    let mut world = world();
    world.book(line("a", 2, Out, 200));
    assert_eq!(open(&world), ["2 paid_on_bill_only 200"]);
    world.now = world.now.after_ms(DAY_MS);
    let booked = world.book(line("b", 2, In, 200));
    let matched = Match::Returned(po(2));
    assert_eq!(booked, Outcome::LineBooked { matched });
    assert!(open(&world).is_empty());
    let closed = world.last.breaks.first().expect("a closed break");
    assert_eq!(closed.closed_at, Some(world.now));
    world.is_sound();
}

#[test]
fn a_line_of_the_next_days_bill_closes_what_was_missing() {
    let mut world = world();
    assert!(look_for(&mut world, 1));
    assert_eq!(open(&world), ["1 missing_on_bill -100"]);
    world.book(line("late", 1, Out, 100));
    assert!(open(&world).is_empty());
    assert!(!look_for(&mut world, 1));
    world.is_sound();
}

#[test]
fn what_was_explained_while_under_way_is_looked_at_when_it_ends() {
    let mut paid = world();
    paid.book(line("a", 3, Out, 300));
    assert!(open(&paid).is_empty(), "locked and under way");
    paid.hear(3, Origin::Query, Finding::Paid);
    assert!(open(&paid).is_empty());
    let mut expired = world();
    expired.book(line("a", 3, Out, 300));
    expired.hear(3, Origin::Query, Finding::Expired);
    assert_eq!(open(&expired), ["3 paid_on_bill_only 300"]);
    expired.book(line("b", 3, In, 300));
    assert!(open(&expired).is_empty(), "the money came back");
    let mut differs = world();
    differs.book(line("a", 3, Out, 299));
    assert_eq!(open(&differs), ["3 amount_differs 299"]);
    differs.hear(3, Origin::Query, Finding::Paid);
    assert_eq!(open(&differs), ["3 amount_differs -1"]);
    for world in [paid, expired, differs] {
        world.is_sound();
    }
}

#[test]
fn a_day_that_is_being_booked_is_not_compared_before_it_is_closed() {
    let mut world = world();
    let close = |world: &mut World, days: i64, bill: (i64, i64, i64)| {
        let (opening, out, closing) = (Fen(bill.0), Fen(bill.1), Fen(bill.2));
        let bill = Bill {
            merchant: merchant().no,
            date: NOON.after_ms(days * DAY_MS).business_date(),
            sha1: "0".repeat(40),
            lines: 1,
            out,
            came_in: Fen::ZERO,
            opening,
            closing,
            fetched_at: world.now,
        };
        let mchid = mchid();
        world.must(Command::CloseBill { mchid, bill });
    };
    world.book(line("a", 1, Out, 100));
    close(&mut world, 0, (1_000, 100, 900));
    world.is_sound();
    world.now = world.now.after_ms(DAY_MS);
    world.must(Command::RecordBillLine {
        mchid: mchid(),
        date: NOON.after_ms(DAY_MS).business_date(),
        line: other("b", "fee", Out, 3),
    });
    world.is_sound();
    close(&mut world, 1, (900, 4, 896));
    let found = world.audit();
    let names: Vec<&str> = found.iter().map(|f| f.invariant.name()).collect();
    assert_eq!(
        names,
        ["float_matches_bills"],
        "the bill says 4, a line of 3 was booked"
    );
    close(&mut world, 1, (900, 3, 897));
    world.is_sound();
}

#[test]
fn clearing_returns_to_zero_and_the_float_follows_the_bill() {
    let mut world = world();
    world.book(other("a", "recharge", In, 10_000));
    world.book(line("b", 1, Out, 100));
    world.book(line("c", 2, Out, 200));
    world.book(line("d", 2, In, 200));
    world.book(other("e", "fee", Out, 3));
    let bill = Bill {
        merchant: merchant().no,
        date: NOON.business_date(),
        sha1: "0".repeat(40),
        lines: 5,
        out: Fen(303),
        came_in: Fen(10_200),
        opening: Fen::ZERO,
        closing: Fen(9_897),
        fetched_at: world.now,
    };
    let mchid = mchid();
    world.must(Command::CloseBill { mchid, bill });
    let sum = |account| {
        let gains = world.journal.iter().filter(|e| e.credit() == account);
        let gains: i64 = gains.map(|e| e.amount().0).sum();
        let losses = world.journal.iter().filter(|e| e.debit() == account);
        gains - losses.map(|e| e.amount().0).sum::<i64>()
    };
    let no = merchant().no;
    assert_eq!(sum(Account::Clearing(no)), 0);
    assert_eq!(sum(Account::Float(no)), -98_970_000);
    assert_eq!(sum(Account::Suspense), -30_000);
    world.is_sound();
}
