//! The life of a payout, exhaustively: every state, every finding, every origin. The table in
//! `machine.txt` is the specification; a change of it is a change of what happens to money.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};
use lingqian_core::control::Actor;
use lingqian_core::payout::{
    ANSWER_WAIT_MS, Attempt, Effect, LATER_MS, Money, NOT_FOUND_WAIT_MS, PERSON_MS, Queue,
    RESEND_WINDOW_MS, Review, State, Step, ask_due, assessed, begun, cancelled, reported,
};
use lingqian_core::risk::{Reason, Verdict};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Cure, Finding, Origin, TransferOrder};

use crate::world::{NOON, merchant, number, openid, report};

const ORIGINS: [Origin; 3] = [Origin::Answer, Origin::Query, Origin::Notification];

fn order() -> TransferOrder {
    let merchant = merchant();
    TransferOrder {
        number: number(1),
        mchid: merchant.mchid,
        app: merchant.apps[0].clone(),
        openid: openid("openid-alice"),
        amount: lingqian_core::money::Fen(100),
        scene: merchant.scene,
        scene_report: merchant.scene_report,
        remark: merchant.remark,
        name: None,
        seat: None,
    }
}

fn attempt(doubt: bool) -> Attempt {
    Attempt {
        order: order(),
        sends: 1,
        asks: 0,
        doubt,
        first_sent_at: NOON,
        last_sent_at: NOON,
        bill_no: None,
    }
}

/// Every state; those for which doubt makes a difference come with and without it.
fn states() -> Vec<(&'static str, State)> {
    let (sure, doubt) = (|| attempt(false), || attempt(true));
    let code = || "CODE".to_owned();
    vec![
        ("requested", State::Requested),
        (
            "review",
            State::Review(Review {
                reasons: vec![Reason::ApprovalNeeded],
                approvals: vec![Actor::engine()],
            }),
        ),
        ("approved", State::Approved),
        ("sending", State::Sending(sure())),
        ("sending in doubt", State::Sending(doubt())),
        ("deferred", State::Deferred(sure(), code())),
        ("deferred in doubt", State::Deferred(doubt(), code())),
        ("unknown", State::Unknown(doubt(), code())),
        ("processing", State::Processing(sure())),
        ("awaiting, no package", State::AwaitingUser(sure(), None)),
        (
            "awaiting",
            State::AwaitingUser(sure(), Some("known".into())),
        ),
        ("cancelling", State::Cancelling(sure())),
        ("paid", State::Paid(sure(), NOON)),
        ("failed", State::Failed(sure(), code())),
        ("expired", State::Expired(sure())),
        ("cancelled", State::Cancelled(Some(sure()))),
        ("cancelled unsent", State::Cancelled(None)),
        ("refused", State::Refused(vec![Reason::Frozen])),
    ]
}

fn findings() -> Vec<(&'static str, Finding)> {
    let refused = |cure| Finding::Refused {
        code: "CODE".into(),
        cure,
    };
    let code = || "CODE".to_owned();
    let package = |package: Option<&str>| Finding::AwaitingUser {
        package: package.map(str::to_owned),
    };
    vec![
        ("processing", Finding::Processing),
        ("awaiting + package", package(Some("fresh"))),
        ("awaiting", package(None)),
        ("cancelling", Finding::Cancelling),
        ("paid", Finding::Paid),
        ("expired", Finding::Expired),
        ("cancelled", Finding::Cancelled),
        (
            "failed",
            Finding::Failed {
                code: code(),
                cure: Cure::Never,
            },
        ),
        ("refused, later", refused(Cure::Later)),
        ("refused, float", refused(Cure::Float)),
        ("refused, tomorrow", refused(Cure::Tomorrow)),
        ("refused, person", refused(Cure::Person)),
        ("refused, never", refused(Cure::Never)),
        ("not found", Finding::NotFound),
        ("unknown", Finding::Unknown { code: code() }),
    ]
}

fn step(step: &Step, now: Timestamp) -> String {
    let mut text = step.state.name().to_owned();
    if step.state.attempt().is_some_and(|attempt| attempt.doubt) {
        text.push('?');
    }
    match step.money {
        Money::Stays => {}
        Money::Settles => text.push_str(", settles"),
        Money::Returns => text.push_str(", returns"),
    }
    if let Some((queue, due)) = step.wait {
        let name = queue.name();
        let _ = write!(text, ", {name} in {} s", due.since_ms(now) / 1_000);
    }
    text
}

fn effect(effect: &Effect, now: Timestamp) -> String {
    match effect {
        Effect::Nothing => "-".into(),
        Effect::Contradicts => "CONTRADICTS".into(),
        Effect::Moves(moves) => step(moves, now),
    }
}

#[test]
fn every_state_answers_every_finding_from_every_origin() {
    let mut table = String::from(
        "# state | finding | effect of an answer | of a query | of a notification\n\
         # `?` marks doubt, one `=` the same as an answer\n",
    );
    let now = NOON.after_ms(1_000);
    for (state_name, state) in states() {
        table.push('\n');
        for (finding_name, finding) in findings() {
            let by = ORIGINS.map(|origin| {
                let report = report(1, origin, finding.clone());
                effect(&reported(&state, &report, now), now)
            });
            let same = |text: &String| {
                if *text == by[0] {
                    "=".into()
                } else {
                    text.clone()
                }
            };
            let (query, told) = (same(&by[1]), same(&by[2]));
            let (answer, width) = (&by[0], 20);
            let _ = writeln!(
                table,
                "{state_name:width$} | {finding_name:18} | {answer:32} | {query:28} | {told}"
            );
        }
    }
    expect_file!["machine.txt"].assert_eq(&table);
}

#[test]
fn what_is_final_never_moves() {
    for (name, state) in states().into_iter().filter(|(_, s)| s.is_final()) {
        for (finding_name, finding) in findings() {
            for origin in ORIGINS {
                let effect = reported(&state, &report(1, origin, finding.clone()), NOON);
                let moves = matches!(effect, Effect::Moves(_));
                assert!(!moves, "{name} was moved by {finding_name}");
            }
        }
        assert_eq!(begun(state.clone(), order(), NOON), None, "{name}");
        assert_eq!(cancelled(state, NOON), None, "{name}");
    }
}

#[test]
fn only_an_end_moves_money_and_every_end_does() {
    for (name, state) in states() {
        for (finding_name, finding) in findings() {
            for origin in ORIGINS {
                let report = report(1, origin, finding.clone());
                let Effect::Moves(step) = reported(&state, &report, NOON) else {
                    continue;
                };
                let place = format!("{name}, {finding_name}");
                let moved = step.money != Money::Stays;
                assert_eq!(step.state.is_final(), moved, "{place}");
                assert_eq!(step.wait.is_none(), moved, "{place}");
                let paid = matches!(step.state, State::Paid(..));
                assert_eq!(step.money == Money::Settles, paid, "{place}");
                assert_eq!(paid, finding == Finding::Paid, "{place}");
                let says_nothing = matches!(finding, Finding::Unknown { .. } | Finding::NotFound);
                assert!(!(says_nothing && moved), "{place}");
            }
        }
    }
}

/// One line per state: what `next` makes of it.
fn each(next: impl Fn(State) -> Option<Step>) -> String {
    let line = |(name, state): (&str, State)| {
        let next = next(state).map_or("-".to_owned(), |next| step(&next, NOON));
        format!("{name:20} | {next}\n")
    };
    states().into_iter().map(line).collect()
}

#[test]
fn a_send_begins_only_where_nothing_is_under_way() {
    let expected = expect![[r#"
        requested            | -
        review               | -
        approved             | sending, ask in 30 s
        sending              | -
        sending in doubt     | -
        deferred             | sending, ask in 30 s
        deferred in doubt    | sending?, ask in 30 s
        unknown              | sending?, ask in 30 s
        processing           | -
        awaiting, no package | sending?, ask in 30 s
        awaiting             | -
        cancelling           | -
        paid                 | -
        failed               | -
        expired              | -
        cancelled            | -
        cancelled unsent     | -
        refused              | -
    "#]];
    expected.assert_eq(&each(|state| begun(state, order(), NOON)));
}

#[test]
fn a_cancel_ends_only_what_was_surely_not_accepted() {
    let expected = expect![[r#"
        requested            | cancelled, returns
        review               | cancelled, returns
        approved             | cancelled, returns
        sending              | -
        sending in doubt     | -
        deferred             | cancelled, returns
        deferred in doubt    | -
        unknown              | -
        processing           | -
        awaiting, no package | cancelling, cancel in 0 s
        awaiting             | cancelling, cancel in 0 s
        cancelling           | -
        paid                 | -
        failed               | -
        expired              | -
        cancelled            | -
        cancelled unsent     | -
        refused              | -
    "#]];
    expected.assert_eq(&each(|state| cancelled(state, NOON)));
}

#[test]
fn an_accepted_transfer_is_not_failed_by_a_refused_resend() {
    // The answer with the package was lost, so the same order goes out again.
    let state = State::AwaitingUser(attempt(false), None);
    let sending = begun(state, order(), NOON).expect("it is sent again").state;
    let cure = Cure::Never;
    let refused = Finding::Refused {
        code: "PARAM_ERROR".into(),
        cure,
    };
    let effect = reported(&sending, &report(1, Origin::Answer, refused), NOON);
    let Effect::Moves(step) = effect else {
        panic!("{effect:?}");
    };
    assert_eq!((step.state.name(), step.money), ("unknown", Money::Stays));
}

#[test]
fn no_record_is_sent_again_late_enough_and_not_too_late() {
    let wait = |since_first: i64, since_last: i64| {
        let now = NOON.after_ms(since_first);
        let attempt = Attempt {
            last_sent_at: now.after_ms(-since_last),
            asks: 3,
            ..attempt(true)
        };
        let state = State::Unknown(attempt, "timeout".into());
        let report = report(1, Origin::Query, Finding::NotFound);
        match reported(&state, &report, now) {
            Effect::Moves(step) => {
                let (queue, due) = step.wait.expect("it waits");
                (queue, due.since_ms(now))
            }
            other => panic!("{other:?}"),
        }
    };
    let (early, late) = (NOT_FOUND_WAIT_MS - 1, RESEND_WINDOW_MS);
    assert_eq!(wait(early, early), (Queue::Ask, 60_000));
    assert_eq!(wait(early + 1, early + 1), (Queue::Send, 0));
    assert_eq!(wait(late - 1, early), (Queue::Ask, 60_000));
    assert_eq!(wait(late - 1, early + 1), (Queue::Send, 0));
    assert_eq!(wait(late, early + 1), (Queue::Ask, 60_000));
}

#[test]
fn waits_grow_and_stay_at_an_hour() {
    let waits: Vec<i64> = (0..10)
        .map(|asks| ask_due(NOON, asks).since_ms(NOON) / 1_000)
        .collect();
    assert_eq!(waits, [1, 5, 30, 60, 300, 900, 1_800, 3_600, 3_600, 3_600]);
    assert_eq!(ask_due(NOON, u32::MAX).since_ms(NOON), 3_600_000);
    assert_eq!(
        (ANSWER_WAIT_MS, LATER_MS, PERSON_MS),
        (30_000, 30_000, 600_000)
    );
}

#[test]
fn a_package_that_does_not_come_is_asked_for_ever_more_rarely() {
    let due = |sends| {
        let attempt = Attempt {
            sends,
            ..attempt(true)
        };
        let finding = Finding::AwaitingUser { package: None };
        let state = State::Unknown(attempt, "timeout".into());
        match reported(&state, &report(1, Origin::Query, finding), NOON) {
            Effect::Moves(step) => step.wait.map(|(q, due)| (q, due.since_ms(NOON) / 1_000)),
            other => panic!("{other:?}"),
        }
    };
    let waits: Vec<_> = [1, 2, 3, 9].map(due).into_iter().flatten().collect();
    let send = Queue::Send;
    assert_eq!(waits, [(send, 0), (send, 30), (send, 60), (send, 3_600)]);
}

#[test]
fn a_cancel_that_did_not_arrive_is_asked_for_again() {
    let cancelling = State::Cancelling(attempt(false));
    let queue = |finding| {
        let report = report(1, Origin::Query, finding);
        match reported(&cancelling, &report, NOON) {
            Effect::Moves(step) => (step.state.name(), step.wait.map(|(queue, _)| queue)),
            other => panic!("{other:?}"),
        }
    };
    let awaiting = Finding::AwaitingUser { package: None };
    assert_eq!(queue(awaiting), ("cancelling", Some(Queue::Cancel)));
    assert_eq!(queue(Finding::Cancelling), ("cancelling", Some(Queue::Ask)));
    assert_eq!(queue(Finding::Processing), ("cancelling", Some(Queue::Ask)));
}

#[test]
fn risk_passes_or_returns_the_money() {
    assert_eq!(
        step(&assessed(Verdict::Pass, NOON, 60_000), NOON),
        "approved, send in 0 s"
    );
    let people = Verdict::Review(vec![Reason::ApprovalNeeded]);
    assert_eq!(
        step(&assessed(people, NOON, 60_000), NOON),
        "review, review in 60 s"
    );
    let refused = assessed(Verdict::Refuse(vec![Reason::Frozen]), NOON, 60_000);
    assert_eq!(step(&refused, NOON), "refused, returns");
}

#[test]
fn a_payout_is_paid_when_wechat_says_so() {
    let mut told = report(1, Origin::Notification, Finding::Paid);
    told.at = Some(NOON.after_ms(-5_000));
    told.bill_no = Some("4200".into());
    let state = State::Sending(attempt(false));
    let paid = |report| match reported(&state, &report, NOON) {
        Effect::Moves(step) => match step.state {
            State::Paid(attempt, at) => (attempt.bill_no, at),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(
        paid(told.clone()),
        (Some("4200".into()), NOON.after_ms(-5_000))
    );
    told.at = None;
    assert_eq!(paid(told).1, NOON, "our own time where WeChat names none");
}
