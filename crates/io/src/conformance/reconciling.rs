//! Bills, their lines and breaks; inputs that could not be credited.

use std::collections::BTreeSet;

use lingqian_core::audit::Invariant;
use lingqian_core::command::DeadLetter;
use lingqian_core::id::{KindNo, MchId, PayoutId};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::reconcile::{Bill, BillLine, BookedLine, Break, BreakKind, Direction, Match};
use lingqian_core::time::BusinessDate;
use lingqian_core::{Changes, Keys};

use super::given::{
    MERCHANT, NOON, attempt, audit, commit, entry, held, look, mchid, opened, payout, payout_id,
    refuse,
};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_booked_line_is_known_to_its_merchant_and_booked_once(make().await).await;
    breaks_open_change_close_and_open_again(make().await).await;
    bills_close_by_day_and_may_be_closed_again(make().await).await;
    dead_letters_are_kept_once_and_counted(make().await).await;
}

fn line(flow_no: &str, direction: Direction, amount: i64) -> BillLine {
    BillLine {
        flow_no: flow_no.into(),
        booked_at: NOON,
        business_no: "1330000071100999991182020050700019480001".into(),
        voucher: "充值-1".into(),
        direction,
        amount: Fen(amount),
        balance: Fen(100_000),
        words: "商家转账; \"备注\"".into(),
    }
}

/// Each sort of line with its entry; the payout of number 1 was paid.
fn lines(date: BusinessDate) -> Changes {
    lines_of(payout_id(1), date)
}

/// Each sort of line with its entry, some of them about a payout that was paid.
pub(super) fn lines_of(payout: PayoutId, date: BusinessDate) -> Changes {
    let (float, clearing) = (Account::Float(MERCHANT), Account::Clearing(MERCHANT));
    let top_up = (float, Account::Funding(KindNo::TOP_UP));
    let (o, i) = (Direction::Out, Direction::In);
    let sorts = [
        ("f1", i, Match::TopUp, top_up, Cause::TopUp),
        (
            "f2",
            o,
            Match::Payout(payout),
            (clearing, float),
            Cause::BillOut,
        ),
        (
            "f3",
            i,
            Match::Returned(payout),
            (float, clearing),
            Cause::BillReturn,
        ),
        (
            "f4",
            o,
            Match::Unexplained,
            (Account::Suspense, float),
            Cause::Unexplained,
        ),
    ];
    let booked = sorts.map(|(flow_no, direction, matched, sides, cause)| {
        let about = match matched {
            Match::Payout(id) | Match::Returned(id) => Some(id),
            Match::TopUp | Match::Unexplained => None,
        };
        let amount = Fen(100).micros().expect("in range");
        let line = line(flow_no, direction, 100);
        let booked = BookedLine {
            merchant: MERCHANT,
            date,
            line,
            matched,
        };
        (booked, entry(sides, amount, cause, about))
    });
    Changes {
        bill_lines: booked.into(),
        ..Changes::default()
    }
}

async fn a_booked_line_is_known_to_its_merchant_and_booked_once<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let date = NOON.business_date();
    commit(&store, held(payout(1, State::Paid(attempt(1), NOON)))).await;
    commit(&store, lines(date)).await;
    let stranger = MchId::parse("1900000110").expect("an id");
    let asked = |mchid: &MchId, flow: &str| (mchid.clone(), flow.to_owned());
    let keys = Keys {
        bill_lines: BTreeSet::from([
            asked(&mchid(), "f1"),
            asked(&mchid(), "f4"),
            asked(&mchid(), "f5"),
            asked(&stranger, "f1"),
        ]),
        ..Keys::default()
    };
    let facts = look(&store, keys).await;
    let known: Vec<bool> = facts.bill_lines.values().copied().collect();
    assert_eq!(known, [true, true, false, false], "{:?}", facts.bill_lines);
    let mut again = lines(date.next());
    again.bill_lines.truncate(1);
    refuse(&store, again, "a bill's line is booked once").await;
    let story = store.payout(payout_id(1)).await.expect("a look");
    let story = story.expect("a payout");
    let causes: Vec<Cause> = story.entries.iter().map(|(_, e)| e.cause()).collect();
    let expected = [
        Cause::Hold,
        Cause::Settle,
        Cause::BillOut,
        Cause::BillReturn,
    ];
    assert_eq!(causes, expected);
    audit(&store, &[], "out and back is nothing billed").await;
}

async fn breaks_open_change_close_and_open_again<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, held(payout(1, State::Paid(attempt(1), NOON)))).await;
    let subject = payout_id(1).to_string();
    let opened = Break {
        subject: subject.clone(),
        kind: BreakKind::MissingOnBill,
        date: NOON.business_date(),
        difference: Fen(-100),
        opened_at: NOON,
        closed_at: None,
    };
    let differs = Break {
        kind: BreakKind::AmountDiffers,
        difference: Fen(1),
        opened_at: NOON.after_ms(1),
        ..opened.clone()
    };
    let closed = Break {
        closed_at: Some(NOON.after_ms(2)),
        ..differs.clone()
    };
    for stands in [opened.clone(), differs, closed, opened.clone()] {
        let breaks = Changes {
            breaks: vec![stands.clone()],
            ..Changes::default()
        };
        commit(&store, breaks).await;
        let keys = Keys {
            payouts: BTreeSet::from([payout_id(1)]),
            ..Keys::default()
        };
        let facts = look(&store, keys).await;
        let open = Some(&stands).filter(|found| found.closed_at.is_none());
        assert_eq!(facts.open_break(&subject), open);
        let story = store.payout(payout_id(1)).await.expect("a look");
        let told = story.expect("a payout").breaks;
        assert_eq!(told, std::slice::from_ref(&stands));
        let (_, all) = store.reconciled().await.expect("a look");
        assert_eq!(all, std::slice::from_ref(&stands), "one subject, one break");
        let summary = store.summary().await.expect("a summary");
        assert_eq!(summary.open_breaks, u64::from(open.is_some()));
    }
    let of_flow = Break {
        subject: "f9".into(),
        kind: BreakKind::UnknownLine,
        ..opened.clone()
    };
    let breaks = Changes {
        breaks: vec![of_flow.clone()],
        ..Changes::default()
    };
    commit(&store, breaks).await;
    let keys = Keys {
        bill_lines: BTreeSet::from([(mchid(), "f9".to_owned())]),
        ..Keys::default()
    };
    let facts = look(&store, keys).await;
    assert_eq!(facts.open_break("f9"), Some(&of_flow));
    assert_eq!(facts.open_break(&subject), None, "only what was asked for");
}

/// A day on which as much came in as left.
pub(super) fn bill(date: BusinessDate) -> Bill {
    Bill {
        merchant: MERCHANT,
        date,
        sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709".into(),
        lines: 4,
        out: Fen(200),
        came_in: Fen(200),
        opening: Fen(100_000),
        closing: Fen(100_000),
        fetched_at: NOON,
    }
}

async fn bills_close_by_day_and_may_be_closed_again<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let date = NOON.business_date();
    let first = bill(date);
    let empty = Bill {
        date: date.next(),
        sha1: String::new(),
        lines: 0,
        out: Fen::ZERO,
        came_in: Fen::ZERO,
        ..first.clone()
    };
    let again = Bill {
        fetched_at: NOON.after_ms(1),
        ..first.clone()
    };
    for bill in [&empty, &first, &again] {
        let bills = Changes {
            bills: vec![bill.clone()],
            ..Changes::default()
        };
        commit(&store, bills).await;
    }
    let (bills, breaks) = store.reconciled().await.expect("a look");
    assert_eq!(bills, [again, empty], "by day, one a day");
    assert_eq!(breaks, []);
    let audited = audit(&store, &[], "days without movement").await;
    assert_eq!(audited.bills, 2);
    commit(&store, lines(date)).await;
    audit(
        &store,
        &[Invariant::OneHold],
        "lines of a payout that is not there",
    )
    .await;
}

async fn dead_letters_are_kept_once_and_counted<S: Store + Browse>(store: S) {
    let letter = |code: &str, raw: &[u8], line: i64| DeadLetter {
        door: "import".into(),
        position: format!("line {line}"),
        code: code.into(),
        raw: raw.to_vec(),
        at: NOON.after_ms(line),
    };
    let letters = [
        letter("malformed", b"{\xff\x00", 1),
        letter("malformed", b"", 2),
        letter("unknown_kind", b"{\xff\x00", 3),
        letter("malformed", b"{\xff\x00", 4),
    ];
    for letter in letters.clone() {
        let dead_letters = Changes {
            dead_letters: vec![letter],
            ..Changes::default()
        };
        commit(&store, dead_letters).await;
    }
    let [_, second, third, fourth] = letters;
    let expected = [(fourth, 2), (third, 1), (second, 1)];
    assert_eq!(store.dead_letters(9).await, Ok(expected.to_vec()));
    let newest = store.dead_letters(1).await;
    assert_eq!(newest, Ok(expected[..1].to_vec()));
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.dead_letters, 3, "repeats count once");
}
