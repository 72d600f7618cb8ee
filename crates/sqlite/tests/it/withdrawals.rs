//! Withdrawals in a file: what is on its way is seen, and what a file remembers for ever.

use lingqian_core::command::IdempotencyKey;
use lingqian_core::id::{PayoutId, Reference, UserId};
use lingqian_core::money::Fen;
use lingqian_core::payout::Asked;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{EventBatch, EventView, Outcome, Rejection};
use lingqian_io::store::{EventAnswer, WithdrawalAnswer};
use lingqian_io::{Browse, Store};
use lingqian_sqlite::SqliteStore;
use rusqlite::Connection;

use crate::lived;

pub(crate) const NOW: Timestamp = Timestamp(1_772_600_000_000);

/// A request for one fen of the first user.
pub(crate) fn request(no: u32, name: u32) -> Withdrawal {
    let key = IdempotencyKey {
        scope: "test".into(),
        key: format!("key {name}"),
    };
    Withdrawal {
        payout: PayoutId::new(NOW.after_ms(i64::from(no)), 1),
        user: UserId::parse("user-1").expect("an id"),
        wanted: Wanted::Exactly(Fen(1)),
        reference: Reference::parse(&format!("reference-{name}")).expect("an id"),
        asked: Asked::ByRequest,
        key: name.is_multiple_of(2).then_some((key, [3; 32])),
    }
}

pub(crate) async fn ask(store: &SqliteStore, requests: Vec<Withdrawal>) -> Vec<WithdrawalAnswer> {
    let policy = Policy::default();
    let answers = store.withdraw(NOW, &policy, requests).await;
    answers.expect("they are answered")
}

pub(crate) fn is_new(answer: &WithdrawalAnswer) -> bool {
    let new = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Withdrawn {
                replayed: false,
                ..
            }
        )
    };
    answer.as_ref().is_ok_and(new)
}

/// What a request under an old name is told: the answer to its key, or that the name is used.
fn is_old(answer: &WithdrawalAnswer, name: u32) -> bool {
    let payout = PayoutId::new(NOW.after_ms(i64::from(name)), 1);
    match answer {
        Err(Rejection::ReferenceUsed) => !name.is_multiple_of(2),
        Ok(Outcome::Withdrawn {
            payout: found,
            replayed: true,
            ..
        }) => name.is_multiple_of(2) && *found == payout,
        _ => false,
    }
}

pub(crate) async fn feed(store: &SqliteStore, events: u32, round: u32) -> Vec<EventAnswer> {
    let mut batch = EventBatch::default();
    for number in 0..events {
        let id = format!("feed-{round}-{number}");
        let event = EventView {
            source: "feed",
            event_id: &id,
            user: "user-1",
            kind: "ad_view",
            amount: Some(lingqian_core::money::Micros(10_000)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        batch.push(&event).expect("well formed");
    }
    let answers = store.earn(NOW, batch).await.expect("they are answered");
    assert!(answers.iter().all(Result::is_ok));
    answers
}

fn sound(audited: &lingqian_io::store::Audited) {
    assert_eq!(audited.findings, []);
}

#[tokio::test]
async fn a_name_is_seen_before_it_is_durable() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    feed(&store, 100, 0).await;
    // None of them waits for another.
    let asks = (0..40).map(|no| {
        let store = store.clone();
        tokio::spawn(async move { ask(&store, vec![request(no, 0), request(100 + no, 1)]).await })
    });
    let asks: Vec<_> = asks.collect();
    let (mut first, mut second) = (0, 0);
    for asked in asks {
        let answers = asked.await.expect("no panic");
        first += u32::from(is_new(&answers[0]));
        second += u32::from(is_new(&answers[1]));
    }
    assert_eq!((first, second), (1, 1));
    sound(&store.audit().await.expect("audits"));
}

#[tokio::test]
async fn names_are_remembered_for_ever_by_whoever_opens_the_file() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    feed(&store, 1_000, 0).await;
    let made = ask(&store, (0..100).map(|no| request(no, no)).collect()).await;
    assert!(made.iter().all(is_new));
    let again: Vec<_> = (0..100).map(|no| request(1_000 + no, no)).collect();
    // From pages; then from a run, after so many ids that the newest became one.
    for round in 1..3 {
        drop(SqliteStore::open(&path).expect("opens"));
        let store = SqliteStore::open(&path).expect("opens");
        let answers = ask(&store, again.clone()).await;
        for (answer, name) in answers.iter().zip(0..) {
            assert!(is_old(answer, name), "round {round}: {name} got {answer:?}");
        }
        feed(&store, 130_000, round).await;
        feed(&store, 1, 10 + round).await;
        sound(&store.audit().await.expect("audits"));
    }
    let answers = ask(&store, again).await;
    assert!(
        answers
            .iter()
            .zip(0..)
            .all(|(answer, name)| is_old(answer, name))
    );
}

#[tokio::test]
async fn two_processes_make_one_withdrawal_of_one_name() {
    let (_dir, path) = lived().await;
    let (ours, theirs) = (
        SqliteStore::open(&path).expect("opens"),
        SqliteStore::open(&path).expect("opens"),
    );
    feed(&ours, 10, 0).await;
    assert!(is_new(&ask(&ours, vec![request(0, 0)]).await[0]));
    let answers = ask(&theirs, vec![request(7, 0), request(1, 1)]).await;
    assert!(is_old(&answers[0], 0) && is_new(&answers[1]), "{answers:?}");
    let answers = ask(&ours, vec![request(8, 1), request(9, 3)]).await;
    assert!(is_old(&answers[0], 1) && is_new(&answers[1]), "{answers:?}");
    sound(&ours.audit().await.expect("audits"));
}

#[tokio::test]
async fn a_payout_that_the_file_refuses_takes_its_batch_with_it_and_nothing_else() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    feed(&store, 10, 0).await;
    let policy = Policy::default();
    // The second of the second batch is a payout that is there under another name.
    assert!(is_new(&ask(&store, vec![request(0, 1)]).await[0]));
    let batch = vec![request(1, 3), request(0, 5), request(2, 7)];
    let (refused, earned) = tokio::join!(
        store.withdraw(NOW, &policy, batch),
        // Decided on while the first is written.
        feed(&store, 10, 1)
    );
    assert!(
        matches!(refused, Err(lingqian_io::Fault::Broken(_))),
        "{refused:?}"
    );
    assert_eq!(earned.len(), 10);
    sound(&store.audit().await.expect("audits"));
    let answers = ask(&store, vec![request(3, 3), request(4, 5), request(5, 1)]).await;
    assert!(answers[..2].iter().all(is_new), "{answers:?}");
    assert_eq!(answers[2], Err(Rejection::ReferenceUsed));
    drop(store);
    let store = SqliteStore::open(&path).expect("opens");
    sound(&store.audit().await.expect("audits"));
}

#[tokio::test]
async fn names_in_rows_are_names_as_well() {
    let (_dir, path) = lived().await;
    let bare = "INSERT INTO bare_references SELECT 'reference-9', payout FROM payouts LIMIT 1";
    let books = Connection::open(&path).expect("opens");
    assert_eq!(books.execute(bare, []), Ok(1));
    let store = SqliteStore::open(&path).expect("opens");
    feed(&store, 10, 0).await;
    let answers = ask(&store, vec![request(0, 9), request(1, 11)]).await;
    assert_eq!(answers[0], Err(Rejection::ReferenceUsed));
    assert!(is_new(&answers[1]));
}

#[tokio::test]
async fn the_auditor_finds_a_payout_that_its_reference_does_not() {
    let tricks = [
        "UPDATE payouts SET hold_seq = hold_seq + 1",
        "UPDATE payouts SET reference = 'another'",
        "INSERT INTO bare_references SELECT reference, payout FROM payouts",
    ];
    for trick in tricks {
        let (_dir, path) = lived().await;
        let store = SqliteStore::open(&path).expect("opens");
        feed(&store, 10, 0).await;
        assert!(is_new(&ask(&store, vec![request(0, 0)]).await[0]));
        sound(&store.audit().await.expect("audits"));
        let books = Connection::open(&path).expect("opens");
        books
            .execute_batch("DROP TRIGGER payouts_keep_what_they_were_made_of")
            .expect("drops");
        assert!(books.execute(trick, []).expect(trick) > 0);
        let audited = store.audit().await.expect("audits");
        let named = |finding: &lingqian_core::audit::Finding| {
            finding.subject.starts_with("the reference of payout")
        };
        assert!(
            audited.findings.iter().any(named),
            "{trick}: {:?}",
            audited.findings
        );
    }
}

#[tokio::test]
async fn payouts_of_an_older_file_are_listed_and_named_as_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    crate::chain::old_books(&path);
    let store = SqliteStore::open(&path).expect("it is brought up to date");
    let filter = lingqian_io::store::PayoutFilter {
        user: Some(UserId::parse("user-1").expect("an id")),
        limit: 9,
        ..lingqian_io::store::PayoutFilter::default()
    };
    let payouts = store.payouts(filter).await.expect("a look");
    assert_eq!(payouts.len(), 1);
    let mut asked = request(0, 1);
    asked.reference = payouts[0].payout.reference.clone();
    let answers = ask(&store, vec![asked]).await;
    assert_eq!(answers, [Err(Rejection::ReferenceUsed)]);
    let waiting = store.summary().await.expect("a look").waiting;
    assert_eq!(waiting, [(lingqian_core::payout::Queue::Assess, 1)]);
    sound(&store.audit().await.expect("audits"));
}
