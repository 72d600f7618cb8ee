//! What the database refuses by itself, and what the auditor finds when somebody who may do
//! everything did it all the same.

use lingqian_io::{Browse as _, Store as _};
use lingqian_postgres::PostgresStore;

use crate::world::{connect, copy, lived};

/// Statements, and a word of what each is refused with.
const REFUSALS: &[(&str, &str)] = &[
    (
        "UPDATE entries SET amount_micros = amount_micros + 1",
        "append-only",
    ),
    (
        "UPDATE entries_00001 SET at = at + 1 WHERE seq = 1",
        "append-only",
    ),
    ("DELETE FROM entries WHERE seq = 1", "append-only"),
    ("TRUNCATE entries", "append-only"),
    ("TRUNCATE entries_00001", "append-only"),
    ("DELETE FROM credited", "stays so"),
    ("UPDATE credited SET seq = seq + 1", "stays so"),
    (
        "UPDATE batches SET hash = decode(repeat('00', 32), 'hex')",
        "append-only",
    ),
    ("DELETE FROM batches WHERE batch_no = 1", "append-only"),
    (
        "UPDATE user_accounts SET available_micros = -1",
        "accounts_never_negative",
    ),
    (
        "UPDATE user_accounts SET held_micros = -1",
        "accounts_held_never_negative",
    ),
    (
        "INSERT INTO system_deltas VALUES (1, 1, 1, 5)",
        "system_deltas_class_check",
    ),
    (
        "UPDATE payouts SET state = 'requested' WHERE state = 'paid'",
        "keeps|final payout",
    ),
    (
        "UPDATE payouts SET paid_at = paid_at + 1 WHERE state = 'paid'",
        "final payout",
    ),
    (
        "UPDATE payouts SET amount_fen = amount_fen + 1",
        "keeps what it was made of",
    ),
    ("DELETE FROM payouts", "never deleted"),
    ("DELETE FROM user_accounts", "never deleted"),
    ("DELETE FROM users", "never deleted"),
    (
        "UPDATE users SET user_id = 'other' WHERE user_no = 1",
        "number of a user never",
    ),
    ("UPDATE kinds SET code = 'other'", "number of a kind never"),
    (
        "UPDATE merchants SET mchid = 'other'",
        "number of a merchant never",
    ),
    (
        "UPDATE attempts SET name = '\\x00' WHERE name IS NULL",
        "an order never changes",
    ),
    (
        "UPDATE attempts SET amount_fen = amount_fen + 1",
        "an order never changes",
    ),
    (
        "UPDATE attempts SET openid = 'somebody'",
        "an order never changes",
    ),
    (
        "INSERT INTO credited SELECT event, 999 FROM credited LIMIT 1",
        "earnings_once",
    ),
    (
        "INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, \
             amount_micros, cause, at) VALUES (999, 10, 1, 1, 1, 0, 'earn', 1)",
        "entries_amount_positive",
    ),
    (
        "INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, \
             amount_micros, cause, at, credit_prev) VALUES (999, 10, 1, 1, 1, 5, 'earn', 1, 999)",
        "entries_credit_chain_goes_back",
    ),
];

/// Changes with every guard off, and a word of what the auditor says.
const TRICKS: &[(&str, &str)] = &[
    (
        "UPDATE user_accounts SET available_micros = available_micros + 1",
        "balances",
    ),
    (
        "UPDATE user_accounts SET newest = newest - 1 WHERE newest > 1",
        "newest entry",
    ),
    (
        "INSERT INTO system_deltas VALUES (9999, 10, 7, 1)",
        "balances",
    ),
    (
        "UPDATE system_accounts SET balance_micros = balance_micros + 1",
        "balances",
    ),
    ("UPDATE payouts SET billed_fen = billed_fen + 1", "billed"),
    ("UPDATE bills SET closing_fen = closing_fen + 1", "bills"),
    (
        "INSERT INTO work SELECT payout, 'send', 1 FROM payouts LIMIT 1",
        "work",
    ),
    (
        "DELETE FROM credited WHERE seq = 1",
        "names of credited events",
    ),
    (
        "UPDATE credited SET event = gen_random_uuid() WHERE seq = 1",
        "names of credited",
    ),
    ("INSERT INTO taken_back VALUES (1, 1)", "claw_backs_fit"),
    (
        "UPDATE chain_head SET earned_count = earned_count + 1",
        "end of the chain",
    ),
    // Changes that keep every balance: only the chain can tell.
    (
        "UPDATE entries SET at = at + 1 WHERE cause = 'hold'",
        "the chain at batch",
    ),
    (
        "UPDATE entries SET payout = 'po_00000000000000000000000000' WHERE cause = 'top_up'",
        "the chain at batch",
    ),
    (
        "UPDATE batches SET hash = sha256(hash) WHERE batch_no = 2",
        "the chain at batch 2",
    ),
    (
        "UPDATE batches SET entries = entries + 1 WHERE batch_no = 3",
        "the chain at batch",
    ),
    (
        "DELETE FROM batches WHERE batch_no = 2",
        "the chain at batch 3",
    ),
    (
        "UPDATE chain_head SET hash = sha256(hash)",
        "the chain at batch",
    ),
    (
        "UPDATE chain_head SET batch_no = batch_no + 1",
        "the chain at batch",
    ),
];

/// Each statement must be refused by the database itself, whoever sends it.
#[tokio::test]
async fn the_database_refuses_what_would_falsify_the_books() {
    let (store, url) = lived().await;
    let books = connect(&url).await;
    for (statement, reasons) in REFUSALS {
        let error = books.batch_execute(statement).await.expect_err(statement);
        let error = error.as_db_error().expect("the server's own words");
        let words = format!("{} {:?}", error.message(), error.constraint());
        let refused = reasons.split('|').any(|reason| words.contains(reason));
        assert!(refused, "{statement}: {words}");
    }
    let audited = store.audit().await.expect("it can be audited");
    assert_eq!(audited.findings, []);
    assert!(audited.entries > 0 && audited.payouts > 0 && audited.bills > 0);
}

#[tokio::test]
async fn a_state_without_its_data_or_with_that_of_another_is_refused() {
    let (_store, url) = lived().await;
    let books = connect(&url).await;
    let refusals = [
        ("'paid', NULL, NULL, NULL, 1", "payouts_paid_has_a_time"),
        ("'paid', NULL, NULL, 1, NULL", "payouts_paid_has_a_day"),
        ("'approved', NULL, NULL, 1, 1", "payouts_paid_has_a_"),
        ("'failed', NULL, NULL, NULL, NULL", "payouts_code_belongs"),
        ("'approved', 'x', NULL, NULL, NULL", "payouts_code_belongs"),
        (
            "'sending', NULL, 'x', NULL, NULL",
            "payouts_package_belongs",
        ),
        ("'lost', NULL, NULL, NULL, NULL", "payouts_state"),
    ];
    for (data, constraint) in refusals {
        let statement = format!(
            "INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, \
             created_at, updated_at, version, billed_fen, state, code, package, paid_at, \
             paid_on) SELECT 'x', user_no, merchant_no, amount_fen, 'x', asked, created_at, \
             updated_at, version, billed_fen, {data} FROM payouts LIMIT 1"
        );
        let error = books.batch_execute(&statement).await.expect_err(constraint);
        let broken = error.as_db_error().and_then(|error| error.constraint());
        let broken = broken.expect("a constraint");
        assert!(broken.starts_with(constraint), "{constraint}: {broken}");
    }
}

/// What no constraint can see, and what somebody with every right did, the auditor finds.
#[tokio::test]
async fn the_auditor_finds_what_was_changed_behind_the_stores_back() {
    let off = "ALTER TABLE entries DISABLE TRIGGER USER; \
               ALTER TABLE entries_00001 DISABLE TRIGGER USER; \
               ALTER TABLE credited DISABLE TRIGGER USER; \
               ALTER TABLE batches DISABLE TRIGGER USER;";
    let (whole, original) = lived().await;
    whole.fold().await.expect("folded");
    drop(whole);
    for (trick, word) in TRICKS {
        let url = copy(&original).await;
        let store = PostgresStore::open(&url).await.expect("it opens");
        let books = connect(&url).await;
        books.batch_execute(off).await.expect("triggers rest");
        let changed = books.execute(*trick, &[]).await.expect(trick);
        assert!(changed > 0, "{trick} changed nothing");
        let audited = store.audit().await.expect("audits");
        let found = audited.findings.iter().map(ToString::to_string);
        let named = found.clone().any(|finding| finding.contains(word));
        assert!(named, "{trick}: {:?}", found.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_row_that_does_not_read_back_is_named_without_its_value() {
    let (store, url) = lived().await;
    let books = connect(&url).await;
    let spoil = "ALTER TABLE users DISABLE TRIGGER USER; \
                 UPDATE users SET user_id = 'top secret!' WHERE user_no = 1";
    books.batch_execute(spoil).await.expect("spoilt");
    let refused = store.audit().await.expect_err("damaged").to_string();
    assert!(refused.contains("users.user_id"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    let listed = store.payouts(lingqian_io::store::PayoutFilter {
        limit: 9,
        ..Default::default()
    });
    let refused = listed.await.expect_err("damaged").to_string();
    assert!(!refused.contains("secret"), "{refused}");
}
