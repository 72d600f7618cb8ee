//! Withdrawals in batches while others commit: money is held once, whoever asks.

use std::collections::BTreeSet;
use std::time::Duration;

use lingqian_core::command::IdempotencyKey;
use lingqian_core::id::{AppId, MchId, MerchantNo, PayoutId, Reference, UserId};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::Asked;
use lingqian_core::risk::Policy;
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, EventBatch, EventView, Outcome, Rejection};
use lingqian_io::store::WithdrawalAnswer;
use lingqian_io::{Browse as _, Store as _};
use lingqian_postgres::PostgresStore;

use crate::given::{NOON, commit, pair};
use crate::world::connect;

/// What each user begins with.
const BEGIN: i64 = 100_000_000;

/// Two processes over books in which two users have money.
async fn rich() -> (PostgresStore, PostgresStore, String) {
    let (one, two, url) = pair(2).await;
    let merchant = Merchant {
        no: MerchantNo(1),
        mchid: MchId::parse("1900000109").expect("an id"),
        apps: vec![AppId::parse("wx8888888888888888").expect("an id")],
        scene: "1000".into(),
        scene_report: Vec::new(),
        remark: "small change".into(),
        weight: 1,
        day_quota: None,
    };
    let changes = Changes {
        merchants: vec![merchant],
        ..Changes::default()
    };
    commit(&one, changes).await;
    for part in 0..100 {
        earn(&one, &format!("begin-{part}"), BEGIN / 100).await;
    }
    (one, two, url)
}

/// The same for both users.
async fn earn(store: &PostgresStore, name: &str, micros: i64) {
    let mut events = EventBatch::default();
    for user in ["u1", "u2"] {
        let event = EventView {
            source: "game",
            event_id: &format!("{name}-{user}"),
            user,
            kind: "ad_view",
            amount: Some(Micros(micros)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        events.push(&event).expect("well formed");
    }
    let answers = store.earn(NOON, events).await.expect("they are answered");
    assert!(answers.iter().all(Result::is_ok));
}

fn request(no: u64, salt: u128, wanted: Wanted) -> Withdrawal {
    let user = format!("u{}", 1 + no % 2);
    Withdrawal {
        payout: PayoutId::new(NOON, salt << 64 | u128::from(no)),
        user: UserId::parse(&user).expect("an id"),
        wanted,
        reference: Reference::parse(&format!("order-{no}")).expect("an id"),
        asked: Asked::ByRequest,
        key: None,
    }
}

async fn withdraw(store: &PostgresStore, requests: Vec<Withdrawal>) -> Vec<WithdrawalAnswer> {
    let answers = store.withdraw(NOON, &Policy::default(), requests).await;
    answers.expect("they are answered")
}

#[tokio::test]
async fn a_reference_that_goes_through_every_process_at_once_holds_money_once() {
    let (first, second, url) = rich().await;
    let third = PostgresStore::open(&url).await.expect("it opens");
    let processes = [first.clone(), second, third];
    let mut running = Vec::new();
    for (place, process) in (1_u128..).zip(&processes) {
        for part in 0..6 {
            let (store, numbers) = (process.clone(), part * 20..part * 20 + 30);
            running.push(tokio::spawn(async move {
                let all = numbers.map(|no| request(no, place * 100, Wanted::Exactly(Fen(7))));
                withdraw(&store, all.collect()).await
            }));
            let store = process.clone();
            running.push(tokio::spawn(async move {
                earn(&store, &format!("{place}-{part}"), 1).await;
                Vec::new()
            }));
        }
    }
    let mut accepted = BTreeSet::new();
    for answers in running {
        for answer in answers.await.expect("no panic") {
            match answer {
                Ok(Outcome::Withdrawn { payout, .. }) => assert!(accepted.insert(payout)),
                Err(Rejection::ReferenceUsed) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(accepted.len(), 130, "every reference was accepted once");
    let summary = first.summary().await.expect("a summary");
    let held = 130 * 7 * 10_000;
    let all = i128::from(2 * BEGIN) + 36;
    assert_eq!(summary.users_hold, (all - held, held));
    let audited = first.audit().await.expect("the books are read");
    assert_eq!((audited.findings, audited.payouts), (Vec::new(), 130));
}

/// Has a request decided, and something else done, as another process would, before it is written.
async fn overtaken(by: &str, all: Vec<Withdrawal>) -> Vec<WithdrawalAnswer> {
    let (books, _, url) = rich().await;
    let other = connect(&url).await;
    let hold = "BEGIN; SELECT batch_no FROM chain_head FOR UPDATE";
    other.batch_execute(hold).await.expect("the end is held");
    let waiting = tokio::spawn(async move { withdraw(&books, all).await });
    let waits_for_us = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = \
                        ANY (pg_blocking_pids(pid))";
    loop {
        let row = other.query_one(waits_for_us, &[]).await.expect("a row");
        if row.get::<_, i64>(0) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    other.batch_execute(by).await.expect("it is done");
    other.batch_execute("COMMIT").await.expect("committed");
    waiting.await.expect("no panic")
}

const PAYOUT: &str = "INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, \
    asked, created_at, updated_at, version, billed_fen, state) \
    VALUES ('po_01HZZZZZZZZZZZZZZZZZZZZZZ1', 2, 1, 5, 'order-9', 'request', 0, 0, 1, 0, 'requested')";

#[tokio::test]
async fn what_others_did_between_the_decision_and_the_end_is_seen() {
    let all = vec![request(2, 1, Wanted::All)];
    let today = NOON.business_date().0;
    let much = format!("INSERT INTO payout_days VALUES (1, {today}, 1, 19995)");
    let min = Fen(10);
    let below = Err(Rejection::BelowMinimum { min });
    assert_eq!(overtaken(&much, all).await, [below]);

    let mut one = request(2, 1, Wanted::Exactly(Fen(5)));
    one.reference = Reference::parse("order-9").expect("an id");
    assert_eq!(
        overtaken(PAYOUT, vec![one]).await,
        [Err(Rejection::ReferenceUsed)]
    );

    let (scope, key) = ("withdrawals".to_owned(), "k".to_owned());
    let key = IdempotencyKey { scope, key };
    let mut one = request(2, 1, Wanted::Exactly(Fen(5)));
    one.key = Some((key.clone(), [7; 32]));
    let answer = format!(
        "{PAYOUT}; INSERT INTO idempotency VALUES ('{}', '{}', decode(repeat('07', 32), 'hex'), \
         'po_01HZZZZZZZZZZZZZZZZZZZZZZ1', 5, 0)",
        key.scope, key.key
    );
    let answers = overtaken(&answer, vec![one]).await;
    let again = |answer: &WithdrawalAnswer| matches!(answer, Ok(Outcome::Withdrawn { replayed: true, amount, .. }) if *amount == Fen(5));
    assert!(
        answers.iter().all(again) && answers.len() == 1,
        "{answers:?}"
    );
}
