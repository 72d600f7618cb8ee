//! The audit finds each planted corruption, and names the invariant that it breaks.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::audit::{Audit, Finding as Wrong, Invariant};
use lingqian_core::changes::Posting;
use lingqian_core::command::Command;
use lingqian_core::earning::Earning;
use lingqian_core::id::{EventId, KindNo, Source, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Payout, State};
use lingqian_core::reconcile::{Bill, Direction};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{Finding, Origin};
use lingqian_core::user::DayTotals;

use crate::world::{NOON, World, line, mchid, merchant, po};

const ALICE: UserNo = UserNo(1);

/// Books as they are stored, open to vandals.
struct Stored {
    entries: Vec<(i64, Entry)>,
    accounts: BTreeMap<Account, i64>,
    earned: (u64, i128),
    payouts: Vec<(Payout, u32)>,
    days: BTreeMap<(UserNo, BusinessDate), DayTotals>,
    states: BTreeMap<String, (u64, i64)>,
    lines: BTreeMap<BusinessDate, i128>,
    bills: Vec<Bill>,
}

/// Payout 1 of ¥1 was paid and billed, 2 of ¥2 expired, 3 of ¥3 is under way; two bills.
fn stored() -> Stored {
    let mut world = World::with_balance(9_000_000);
    for (no, fen) in [(1, 100), (2, 200), (3, 300)] {
        world.begin(no, fen);
    }
    world.hear(1, Origin::Answer, Finding::Paid);
    world.hear(2, Origin::Answer, Finding::Expired);
    world.book(line("a", 1, Direction::Out, 100));
    for (date, opening, out) in [
        (NOON.business_date(), 1_000, 100),
        (NOON.business_date().next(), 900, 0),
    ] {
        let bill = Bill {
            merchant: merchant().no,
            date,
            sha1: String::new(),
            lines: 1,
            out: Fen(out),
            came_in: Fen::ZERO,
            opening: Fen(opening),
            closing: Fen(900),
            fetched_at: NOON,
        };
        let mchid = mchid();
        world.must(Command::CloseBill { mchid, bill });
    }
    world.is_sound();
    let mut accounts: BTreeMap<Account, i64> = BTreeMap::new();
    for entry in &world.journal {
        *accounts.entry(entry.debit()).or_default() -= entry.amount().0;
        *accounts.entry(entry.credit()).or_default() += entry.amount().0;
    }
    let payouts = world.facts.payouts.values().flatten();
    let payouts = payouts.map(|p| (p.clone(), u32::from(world.work.contains_key(&p.id))));
    let payouts: Vec<(Payout, u32)> = payouts.collect();
    let mut states: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for (payout, _) in &payouts {
        let total = states.entry(payout.state.name().to_owned()).or_default();
        *total = (total.0 + 1, total.1 + payout.amount.0);
    }
    let wallets = world.facts.wallets.values();
    let days = wallets.flat_map(|w| w.days.iter().map(|(day, t)| ((w.user.no, *day), *t)));
    Stored {
        entries: (1..).zip(world.journal.iter().cloned()).collect(),
        accounts,
        earned: (1, 9_000_000),
        payouts,
        days: days.collect(),
        states,
        lines: BTreeMap::from([(NOON.business_date(), 100)]),
        bills: world.bills.clone(),
    }
}

fn audit(stored: &Stored) -> Vec<Wrong> {
    let mut audit = Audit::default();
    for (seq, entry) in &stored.entries {
        audit.entry(*seq, entry);
    }
    for (account, sum) in &stored.accounts {
        audit.account(*account, Micros(*sum));
    }
    audit.total(stored.accounts.values().map(|sum| i128::from(*sum)).sum());
    audit.earnings(stored.earned.0, stored.earned.1);
    for (payout, waits) in &stored.payouts {
        audit.payout(payout, *waits);
    }
    for ((user, day), totals) in &stored.days {
        audit.day(*user, *day, *totals);
    }
    for (state, total) in &stored.states {
        audit.state_total(state, *total);
    }
    for (day, out) in &stored.lines {
        audit.bill_day((merchant().no, *day), *out);
    }
    stored.bills.iter().for_each(|bill| audit.bill(bill));
    audit.finish()
}

/// Plants something and tells which invariants are found broken.
fn broken(plant: impl FnOnce(&mut Stored)) -> BTreeSet<Invariant> {
    let mut stored = stored();
    plant(&mut stored);
    let found = audit(&stored);
    for finding in &found {
        let text = finding.to_string();
        assert!(text.starts_with(finding.invariant.name()), "{text}");
    }
    found.iter().map(|finding| finding.invariant).collect()
}

fn payout(stored: &mut Stored, no: i64) -> &mut (Payout, u32) {
    let mut payouts = stored.payouts.iter_mut();
    payouts.find(|(p, _)| p.id == po(no)).expect("it is there")
}

/// Adds an entry and keeps the balances right, so that only its meaning is wrong.
fn post(stored: &mut Stored, sides: (Account, Account), micros: i64, cause: Cause, no: i64) {
    let about = (no > 0).then(|| po(no));
    let entry = Entry::new(sides, Micros(micros), cause, about, NOON).expect("sound");
    *stored.accounts.entry(sides.0).or_default() -= micros;
    *stored.accounts.entry(sides.1).or_default() += micros;
    let seq = stored.entries.len() + 1;
    stored
        .entries
        .push((i64::try_from(seq).expect("few"), entry));
}

type Plant = fn(&mut Stored);

const AVAILABLE: Account = Account::Available(ALICE);
const HELD: Account = Account::Held(ALICE);

fn corruptions() -> Vec<(Invariant, &'static str, Plant)> {
    let mut all = of_payouts();
    all.extend(of_books());
    all
}

fn of_books() -> Vec<(Invariant, &'static str, Plant)> {
    use Invariant as I;
    vec![
        (I::SequenceWithoutGap, "a gap", |s| {
            for (seq, _) in s.entries.iter_mut().skip(3) {
                *seq += 1;
            }
        }),
        (I::SequenceWithoutGap, "a number twice", |s| {
            s.entries[4].0 = 4;
            s.entries[5].0 = 5;
            for (seq, _) in s.entries.iter_mut().skip(6) {
                *seq -= 1;
            }
        }),
        (I::EarningsAreEntries, "an event was lost", |s| {
            s.earned.0 = 0
        }),
        (I::EarningsAreEntries, "money from nowhere", |s| {
            post(
                s,
                (Account::Funding(KindNo(1)), AVAILABLE),
                5,
                Cause::Earn,
                0,
            );
        }),
        (I::BillsChain, "a bill that does not add up", |s| {
            s.bills[0].out = Fen(99);
        }),
        (I::FloatMatchesBills, "a line that is on no bill", |s| {
            let float = Account::Float(merchant().no);
            post(s, (Account::Suspense, float), 10_000, Cause::Unexplained, 0);
        }),
        (I::FloatMatchesBills, "a line of another day", |s| {
            s.lines = BTreeMap::from([(NOON.business_date().next(), 100)]);
        }),
        (I::FloatMatchesBills, "a bill that shows more", |s| {
            s.bills[1].closing = Fen(899);
            s.bills[1].out = Fen(1);
        }),
    ]
}

fn of_payouts() -> Vec<(Invariant, &'static str, Plant)> {
    use Invariant as I;
    vec![
        (I::OneHold, "no hold", |s| {
            payout(s, 3).0.id = po(33);
        }),
        (I::OneHold, "a second hold", |s| {
            post(s, (AVAILABLE, HELD), 3_000_000, Cause::Hold, 3);
        }),
        (I::OneHold, "a hold of another amount", |s| {
            payout(s, 3).0.amount = Fen(301);
            s.days.values_mut().for_each(|totals| totals.amount.0 += 1);
            let state = payout(s, 3).0.state.name();
            s.states.entry(state.into()).or_default().1 += 1;
        }),
        (I::OneHold, "a payout that was lost", |s| {
            s.payouts.retain(|(p, _)| p.id != po(2));
            s.states.remove("expired");
        }),
        (I::HoldMatchesState, "released twice", |s| {
            post(s, (HELD, AVAILABLE), 2_000_000, Cause::Release, 2);
        }),
        (I::HoldMatchesState, "settled and not paid", |s| {
            let clearing = Account::Clearing(merchant().no);
            post(s, (HELD, clearing), 3_000_000, Cause::Settle, 3);
        }),
        (I::HoldMatchesState, "ended, and still held", |s| {
            let (payout, waits) = payout(s, 3);
            let attempt = payout.state.attempt().expect("sent").clone();
            let before = payout.state.name();
            payout.state = State::Paid(attempt, NOON);
            *waits = 0;
            s.states.remove(before);
            *s.states.entry("paid".into()).or_default() = (2, 400);
        }),
        (I::BilledIsBooked, "billed without a line", |s| {
            payout(s, 3).0.billed = Fen(1);
        }),
        (I::WorkMatchesState, "nobody looks", |s| payout(s, 3).1 = 0),
        (I::WorkMatchesState, "two look", |s| payout(s, 3).1 = 2),
        (I::WorkMatchesState, "looked at after its end", |s| {
            payout(s, 1).1 = 1;
        }),
        (I::DayTotalsAreSums, "one too many", |s| {
            s.days.values_mut().for_each(|totals| totals.count += 1);
        }),
        (I::DayTotalsAreSums, "a day was lost", |s| s.days.clear()),
        (I::StateTotalsAreSums, "a payout counted twice", |s| {
            s.states.values_mut().for_each(|total| total.0 += 1);
        }),
        (I::StateTotalsAreSums, "a sum that is too large", |s| {
            s.states.values_mut().for_each(|total| total.1 += 1);
        }),
        (I::StateTotalsAreSums, "a state that nobody counts", |s| {
            s.states.clear();
        }),
        (I::StateTotalsAreSums, "a state that nobody is in", |s| {
            s.states.insert("refused".into(), (1, 100));
        }),
    ]
}

#[test]
fn each_corruption_breaks_the_invariant_that_it_is_about() {
    assert!(broken(|_| {}).is_empty(), "the books were sound");
    for (invariant, name, plant) in corruptions() {
        let found = broken(plant);
        assert_eq!(found, BTreeSet::from([invariant]), "{name}");
    }
}

#[test]
fn wrong_balances_are_seen_singly_and_in_sum() {
    use Invariant as I;
    let found = broken(|s| *s.accounts.entry(AVAILABLE).or_default() += 1);
    assert_eq!(found, BTreeSet::from([I::SumIsZero, I::BalancesAreSums]));
    let found = broken(|s| {
        *s.accounts.entry(AVAILABLE).or_default() += 1;
        *s.accounts.entry(HELD).or_default() -= 1;
    });
    assert_eq!(found, BTreeSet::from([I::BalancesAreSums]));
    let found = broken(|s| {
        s.accounts.insert(Account::Fees, 0);
        s.accounts.remove(&HELD);
    });
    assert_eq!(found, BTreeSet::from([I::SumIsZero, I::BalancesAreSums]));
}

#[test]
fn an_account_below_zero_is_seen_though_it_recovers() {
    let found = broken(|s| {
        post(
            s,
            (AVAILABLE, Account::Fees),
            9_000_000,
            Cause::Unexplained,
            0,
        );
        post(
            s,
            (Account::Fees, AVAILABLE),
            9_000_000,
            Cause::Unexplained,
            0,
        );
    });
    assert_eq!(found, BTreeSet::from([Invariant::NeverNegative]));
}

#[test]
fn a_day_opens_where_the_one_before_closed() {
    let found = broken(|s| {
        s.bills[1].opening = Fen(901);
        s.bills[1].closing = Fen(901);
    });
    assert_eq!(found, BTreeSet::from([Invariant::BillsChain]));
    // The bill of the day between them is late, and its lines are not booked yet.
    let found = broken(|s| {
        let bill = &mut s.bills[1];
        bill.date = bill.date.next();
        bill.opening = Fen(700);
        bill.closing = Fen(700);
    });
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn an_earning_has_an_entry_of_its_amount_and_sort() {
    let sides = (Account::Funding(KindNo(1)), AVAILABLE);
    let entry = |cause| Entry::new(sides, Micros(5), cause, None, NOON).expect("sound");
    let earning = |amount: i64| Earning {
        source: Source::parse("game").expect("an id"),
        event_id: EventId::parse("e1").expect("an id"),
        user: UserNo(1),
        kind: KindNo(1),
        amount: Micros(amount),
        occurred_at: None,
        recorded_at: NOON,
        from: None,
        reverses: None,
        matures_on: None,
        repaid: Micros::ZERO,
        clawed: Micros::ZERO,
    };
    let fits = |amount, cause| Posting::from(entry(cause)).fits(&earning(amount));
    assert!(fits(5, Cause::Earn));
    assert!(!fits(6, Cause::Earn));
    assert!(!fits(5, Cause::TopUp));
    let wrong = |amount: i64, booked: Option<i64>| {
        let mut audit = Audit::default();
        audit.earning("game/e1", Micros(amount), booked.map(Micros));
        audit.finish().len()
    };
    assert_eq!(
        (wrong(5, Some(5)), wrong(6, Some(5)), wrong(5, None)),
        (0, 1, 1)
    );
}

#[test]
fn no_more_is_taken_back_than_an_event_brought() {
    let wrong = |amount, clawed, taken| {
        let mut audit = Audit::default();
        audit.clawed("game/e1", (Micros(amount), Micros(clawed)), Micros(taken));
        audit.finish().len()
    };
    assert_eq!((wrong(5, 0, 0), wrong(5, 5, 5)), (0, 0));
    assert_eq!(
        (wrong(5, 6, 6), wrong(5, 3, 4), wrong(5, -1, -1)),
        (1, 1, 1)
    );
}

#[test]
fn no_invariant_is_without_a_corruption() {
    let planted = corruptions().into_iter().map(|(invariant, _, _)| invariant);
    let mut covered: BTreeSet<Invariant> = planted.collect();
    covered.extend([
        Invariant::SumIsZero,
        Invariant::BalancesAreSums,
        Invariant::NeverNegative,
        Invariant::ClawBacksFit,
        // Only a store knows how it finds a name; `sqlite` damages each of its ways.
        Invariant::NamesAreRemembered,
    ]);
    assert_eq!(covered, BTreeSet::from(Invariant::ALL));
}
