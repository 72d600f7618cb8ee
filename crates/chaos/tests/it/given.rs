//! A small true history with its books, in which one thing after another is made false.

use std::collections::BTreeMap;

use lingqian_chaos::evidence::{AVAILABLE, CLEARING, Entry, Evidence, HELD, Transfer};
use lingqian_chaos::history::{Call, Credit, Credited, Fate, Form, LineSeen, Op, PayoutSeen, Saw};
use serde_json::json;

pub(crate) const PAYOUT: &str = "po_01M88JANPQ8XRK28HZ4E65N4M8";

fn account(class: i64, owner: &str) -> (i64, String) {
    (class, owner.to_owned())
}

fn entry(seq: i64, fen: i64, debit: (i64, String), credit: (i64, String)) -> Entry {
    let cause = match (debit.0, credit.0) {
        (AVAILABLE, HELD) => "hold",
        (HELD, CLEARING) => "settle",
        _ => "earn",
    };
    Entry {
        seq,
        cause: cause.into(),
        amount: fen * 10_000,
        debit,
        credit,
        event: None,
        payout: None,
    }
}

pub(crate) fn op(number: u64, (asked, told): (u64, u64), call: Call, saw: Saw) -> Op {
    Op {
        op: number,
        client: "somebody".into(),
        asked,
        told,
        call,
        fate: Fate::Ok,
        status: Some(200),
        code: None,
        saw,
    }
}

pub(crate) fn credit(event: &str, fen: i64) -> Credit {
    Credit {
        event: event.into(),
        user: "alice".into(),
        kind: "task_done".into(),
        micros: fen * 10_000,
        from: None,
        reverses: None,
    }
}

pub(crate) fn earn(event: &str, fen: i64) -> Call {
    Call::Earn {
        form: Form::Single,
        credits: vec![credit(event, fen)],
    }
}

pub(crate) fn credited(result: Credited) -> Saw {
    Saw::Credited {
        results: vec![result],
    }
}

pub(crate) fn withdraw(key: &str, reference: &str) -> Call {
    Call::Withdraw {
        key: key.into(),
        user: "alice".into(),
        fen: Some(30),
        reference: reference.into(),
    }
}

pub(crate) fn withdrawn(payout: &str) -> Saw {
    Saw::Withdrawn {
        payout: payout.into(),
        amount_fen: 30,
        replayed: false,
    }
}

pub(crate) fn seen(state: &str, version: i64) -> PayoutSeen {
    PayoutSeen {
        id: PAYOUT.into(),
        user: "alice".into(),
        state: state.into(),
        ended: state == "paid" || state == "failed",
        amount_fen: 30,
        reference: "order-1".into(),
        version,
        out_bill_no: Some(number(1)),
    }
}

/// The number of a try at the payout.
pub(crate) fn number(attempt: u8) -> String {
    format!("LQ{}{attempt:02}", &PAYOUT[3..])
}

pub(crate) fn transfer(attempt: u8, state: &str) -> Transfer {
    Transfer {
        out_bill_no: number(attempt),
        state: state.into(),
        transfer_amount: 30,
        openid: "oAliceAliceAliceAlice".into(),
    }
}

pub(crate) fn user() -> Call {
    Call::User {
        user: "alice".into(),
    }
}

pub(crate) fn balances(available_fen: i64, held_fen: i64) -> Saw {
    Saw::Balances {
        available: available_fen * 10_000,
        held: held_fen * 10_000,
    }
}

pub(crate) fn lines(entries: &[Entry]) -> Saw {
    let line = |entry: &Entry| LineSeen {
        seq: entry.seq,
        cause: entry.cause.clone(),
        amount_micros: entry.amount,
        payout: entry.payout.clone(),
        event_id: entry.event.clone(),
    };
    Saw::Lines {
        lines: entries.iter().rev().map(line).collect(),
    }
}

/// Alice earned 100 and 20 fen, withdrew 30, and was paid; everybody saw it happen.
pub(crate) fn truth() -> Evidence {
    let (funding, alice) = (account(10, "3"), account(AVAILABLE, "alice"));
    let (held, clearing) = (account(HELD, "alice"), account(CLEARING, "1"));
    let mut entries = vec![
        entry(1, 100, funding.clone(), alice.clone()),
        entry(2, 20, funding, alice.clone()),
        entry(3, 30, alice, held.clone()),
        entry(4, 30, held, clearing),
    ];
    entries[0].event = Some("e1".into());
    entries[1].event = Some("e2".into());
    entries[2].payout = Some(PAYOUT.into());
    entries[3].payout = Some(PAYOUT.into());
    let story = |state, version| Saw::Payouts {
        payouts: vec![seen(state, version)],
    };
    let payout = || Call::Payout {
        payout: PAYOUT.into(),
    };
    let statement = Call::Statement {
        user: "alice".into(),
    };
    let mut unknown = op(3, (30, 39), earn("e3", 5), credited(Credited::Unknown));
    unknown.fate = Fate::Info;
    let ops = vec![
        op(1, (10, 19), earn("e1", 100), credited(Credited::Now)),
        op(2, (20, 29), earn("e2", 20), credited(Credited::Now)),
        unknown,
        op(4, (40, 49), user(), balances(120, 0)),
        op(5, (50, 59), withdraw("k1", "order-1"), withdrawn(PAYOUT)),
        op(6, (60, 69), user(), balances(90, 30)),
        op(7, (60, 69), payout(), story("sending", 3)),
        op(8, (70, 79), withdraw("k1", "order-1"), withdrawn(PAYOUT)),
        op(9, (80, 89), payout(), story("paid", 5)),
        op(10, (80, 89), user(), balances(90, 0)),
        op(11, (90, 99), statement, lines(&entries)),
    ];
    Evidence {
        ops,
        entries,
        payouts: vec![seen("paid", 5)],
        balances: BTreeMap::from([("alice".into(), (900_000, 0))]),
        transfers: vec![transfer(1, "SUCCESS")],
        openids: BTreeMap::from([("alice".into(), "oAliceAliceAliceAlice".into())]),
        commands: vec![
            ("audit".into(), json!({ "sound": true })),
            ("ledger verify".into(), json!({ "whole": true })),
        ],
        logs: vec![("serve-0.log".into(), "all is well\n".into())],
        secrets: vec![("the openid of alice".into(), "oAliceAliceAliceAlice".into())],
        ..Evidence::default()
    }
}
