//! Every falsehood that is planted into a true history is found, and what is unknown is not one.

use lingqian_chaos::check::check;
use lingqian_chaos::evidence::{Evidence, entries_of_csv};
use lingqian_chaos::history::{Call, Credited, Fate, Saw, Struck};
use lingqian_chaos::weather::Weather;
use serde_json::json;

use crate::given::{
    PAYOUT, balances, credited, earn, op, seen, transfer, truth, user, withdraw, withdrawn,
};

/// What the checks say about a truth in which something was changed.
fn said(change: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = truth();
    change(&mut evidence);
    let findings: Vec<String> = check(&evidence).iter().map(ToString::to_string).collect();
    findings.join("\n")
}

fn found(words: &str, change: impl FnOnce(&mut Evidence)) {
    let said = said(change);
    assert!(said.contains(words), "not found: {words}; found: {said}");
}

#[test]
fn the_truth_is_not_doubted() {
    assert_eq!(said(|_| {}), "");
}

#[test]
fn what_is_unknown_may_have_happened_or_not() {
    // Credited although nobody said so, and a withdrawal likewise.
    let said = said(|evidence| {
        evidence.ops[0].saw = credited(Credited::Unknown);
        evidence.ops[0].fate = Fate::Info;
        for place in [4, 7] {
            evidence.ops[place].saw = Saw::Nothing;
            evidence.ops[place].fate = Fate::Info;
            evidence.ops[place].told = u64::MAX;
        }
    });
    assert_eq!(said, "");
}

#[test]
fn a_lost_write_is_found() {
    found("lost: e9", |evidence| {
        let acknowledged = op(20, (90, 95), earn("e9", 7), credited(Credited::Now));
        evidence.ops.push(acknowledged);
    });
    found("lost: po_9", |evidence| {
        let call = withdraw("k9", "order-9");
        evidence.ops.push(op(20, (90, 95), call, withdrawn("po_9")));
    });
}

#[test]
fn a_double_credit_is_found() {
    found("doubled: e1 is there 2 times", |evidence| {
        let mut again = evidence.entries[0].clone();
        again.seq = 5;
        evidence.entries.push(again);
    });
    found("e8 is there and nobody sent it", |evidence| {
        evidence.entries[0].event = Some("e8".into());
    });
    found("e2 was refused every time and is there", |evidence| {
        evidence.ops[1].saw = credited(Credited::Refused);
    });
    found("e1 is there as", |evidence| evidence.entries[0].amount += 1);
}

#[test]
fn a_double_pay_is_found() {
    found("paid twice: po_", |evidence| {
        evidence.transfers.push(transfer(2, "SUCCESS"));
    });
    found(
        "we settled 300000 micro-yuan, and WeChat paid 0",
        |evidence| {
            evidence.transfers[0].state = "FAIL".into();
        },
    );
    found("went to somebody else's wallet", |evidence| {
        evidence.transfers[0].openid = "oBob".into();
    });
    found("WeChat may still pay", |evidence| {
        evidence.transfers.push(transfer(2, "WAIT_USER_CONFIRM"));
    });
    found("WeChat never heard of it", |evidence| {
        evidence.transfers.clear()
    });
    // One try failed and the next paid: that is once.
    let said = said(|evidence| {
        evidence.transfers[0].state = "FAIL".into();
        evidence.transfers.push(transfer(2, "SUCCESS"));
    });
    assert_eq!(said, "");
}

#[test]
fn a_key_with_two_answers_is_found() {
    found("the key k1 has several answers", |evidence| {
        evidence.ops[7].saw = withdrawn("po_other");
    });
    found("answers the keys", |evidence| {
        evidence.ops[7].call = withdraw("k2", "order-1");
    });
    found("the key k1 was accepted for several requests", |evidence| {
        evidence.ops[7].call = withdraw("k1", "order-2");
    });
    found("order-1 has several payouts", |evidence| {
        let mut other = seen("paid", 5);
        other.id = "po_other".into();
        evidence.payouts.push(other);
    });
    found("was refused every time and is there", |evidence| {
        for place in [4, 7] {
            evidence.ops[place].fate = Fate::Fail;
            evidence.ops[place].saw = Saw::Nothing;
        }
    });
}

#[test]
fn a_version_that_goes_back_is_found() {
    let story = |state, version| Saw::Payouts {
        payouts: vec![seen(state, version)],
    };
    found("went back from version 5 to 4", |evidence| {
        let call = Call::Payout {
            payout: PAYOUT.into(),
        };
        evidence.ops.push(op(20, (95, 99), call, story("paid", 4)));
    });
    found("was failed for good and is paid", |evidence| {
        evidence.ops[6].saw = story("failed", 3);
    });
    found("version 5 of", |evidence| {
        evidence.ops[6].saw = story("sending", 5)
    });
    found("and operation 9 did not find it", |evidence| {
        evidence.ops[8].saw = Saw::Nothing;
        evidence.ops[8].status = Some(404);
        evidence.ops[8].code = Some("not_found".into());
    });
}

#[test]
fn a_read_that_lacks_an_acknowledged_write_or_goes_back_is_found() {
    let words = "which they had at no moment that it could show";
    found(words, |evidence| evidence.ops[3].saw = balances(100, 0));
    found(words, |evidence| evidence.ops[9].saw = balances(120, 0));
    found(words, |evidence| evidence.ops[9].saw = balances(91, 0));
    // The later of two reads shows the earlier moment, though nobody acknowledged the writes.
    found(words, |evidence| {
        for place in [0, 1] {
            evidence.ops[place].saw = credited(Credited::Unknown);
            evidence.ops[place].fate = Fate::Info;
        }
        let later = op(20, (50, 52), user(), balances(100, 0));
        evidence.ops.push(later);
    });
    // Two at once may be in either order.
    let said = said(|evidence| {
        evidence.ops[1].told = 60;
        let beside = op(20, (30, 39), user(), balances(100, 0));
        evidence.ops.push(beside);
    });
    assert_eq!(said, "");
}

#[test]
fn a_read_from_the_future_is_found() {
    // It was answered before anybody asked for what it shows.
    found("which they had at no moment", |evidence| {
        let early = op(20, (12, 18), user(), balances(120, 0));
        evidence.ops.push(early);
    });
}

#[test]
fn a_statement_that_is_not_the_books_is_found() {
    found("lines that are not the books'", |evidence| {
        if let Saw::Lines { lines } = &mut evidence.ops[10].saw {
            lines.remove(1);
        }
    });
    found("at a moment that it could not show", |evidence| {
        if let Saw::Lines { lines } = &mut evidence.ops[10].saw {
            lines.drain(..3);
        }
    });
}

#[test]
fn books_that_do_not_add_up_are_found() {
    found("entry 4 stands where 3 should", |evidence| {
        evidence.entries.remove(2);
    });
    found("alice is shown (900001, 0)", |evidence| {
        evidence.balances.insert("alice".into(), (900_001, 0));
    });
    found("the account of alice is at -", |evidence| {
        evidence.entries.swap(0, 2)
    });
    found("was held 1 times and ended 0 times", |evidence| {
        evidence.entries.pop();
    });
    found("stuck: po_", |evidence| {
        evidence.payouts[0] = seen("unknown", 5)
    });
}

#[test]
fn what_processes_say_about_themselves_is_held_against_them() {
    found(
        "serve-0.log has the openid of alice in line 2",
        |evidence| {
            evidence.logs[0].1 += "user oAliceAliceAliceAlice\n";
        },
    );
    found("tells of a panic", |evidence| {
        evidence.logs[0].1 += "thread 'main' panicked at src/x.rs\n";
    });
    found("`audit` says", |evidence| {
        evidence.commands[0].1 = json!({ "sound": false })
    });
    found("incident: it fell", |evidence| {
        evidence.incidents.push("it fell".into())
    });
    found("was refused without a code", |evidence| {
        evidence.ops[3].status = Some(500)
    });
    let ready = |evidence: &mut Evidence, told| {
        for (at, weather) in [(1_000, Weather::Hole), (9_000_000, Weather::Clear)] {
            evidence.struck.push(Struck {
                at,
                what: "database-0".into(),
                how: String::new(),
                weather: Some(weather),
            });
        }
        let call = Call::Ready { process: 0 };
        evidence
            .ops
            .push(op(20, (2_000_000, told), call, Saw::Nothing));
    };
    found("said at 3000000 µs that it was ready", |evidence| {
        ready(evidence, 3_000_000);
    });
    assert_eq!(said(|evidence| ready(evidence, 9_500_000)), "");
    found("a forged notification was believed", |evidence| {
        evidence.struck.push(Struck {
            at: 1,
            what: "forgery_believed".into(),
            how: "200".into(),
            weather: None,
        });
    });
}

#[test]
fn an_export_reads_as_the_books() {
    let text = "seq,cause,amount_micros,debit_class,debit_owner,credit_class,credit_owner,\
                event_id,payout\n1,earn,5,10,ad,1,alice,e1,\n";
    let entries = entries_of_csv(text).expect("it reads");
    assert_eq!(entries[0].credit, (1, "alice".into()));
    assert_eq!(
        (entries[0].event.as_deref(), &entries[0].payout),
        (Some("e1"), &None)
    );
    assert!(entries_of_csv("seq,cause\n").is_err());
    assert!(entries_of_csv(&text.replace(",e1,", ",e1")).is_err());
}
