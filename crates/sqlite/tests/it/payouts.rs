//! Payouts that no rule makes, and what of theirs must read back.

use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::transfer::Merchant;
use lingqian_core::{Changes, Keys};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Store};
use lingqian_sqlite::SqliteStore;
use rusqlite::Connection;

use crate::lived;

/// A row in `state` with the columns that depend on it.
fn insert(state: &str, code: &str, package: &str, paid_at: &str, paid_on: &str) -> String {
    format!(
        "INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, \
         created_at, updated_at, version, billed_fen, state, code, package, paid_at, paid_on) \
         SELECT 'x', user_no, merchant_no, amount_fen, 'x', asked, created_at, updated_at, \
         version, billed_fen, '{state}', {code}, {package}, {paid_at}, {paid_on} \
         FROM payouts LIMIT 1"
    )
}

#[tokio::test]
async fn a_state_without_its_data_or_with_that_of_another_is_refused() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let refusals = [
        (
            insert("paid", "NULL", "NULL", "NULL", "1"),
            "payouts_paid_has_a_time",
        ),
        (
            insert("paid", "NULL", "NULL", "1", "NULL"),
            "payouts_paid_has_a_day",
        ),
        (
            insert("approved", "NULL", "NULL", "1", "1"),
            "payouts_paid_has_a_time",
        ),
        (
            insert("failed", "NULL", "NULL", "NULL", "NULL"),
            "payouts_code_belongs",
        ),
        (
            insert("approved", "'x'", "NULL", "NULL", "NULL"),
            "payouts_code_belongs",
        ),
        (
            insert("sending", "NULL", "'x'", "NULL", "NULL"),
            "payouts_package_belongs",
        ),
        (
            insert("lost", "NULL", "NULL", "NULL", "NULL"),
            "payouts_state",
        ),
    ];
    for (statement, constraint) in refusals {
        let error = books.execute(&statement, []).expect_err(constraint);
        assert!(
            error.to_string().contains(constraint),
            "{constraint}: {error}"
        );
    }
}

#[tokio::test]
async fn a_scene_report_reads_back_whatever_is_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("books.db")).expect("opens");
    let pair = |kind: &str, words: &str| (kind.to_owned(), words.to_owned());
    let merchant = Merchant {
        no: MerchantNo(1),
        mchid: MchId::parse("1900000109").expect("an id"),
        apps: vec![AppId::parse("wx8888888888888888").expect("an id")],
        scene: "1000".into(),
        scene_report: vec![
            pair("a\tb", "line\nline\r\n"),
            pair("", r"C:\new\table\"),
            pair("活动名称", r"\\t \\"),
        ],
        remark: "r".into(),
        weight: 1,
        day_quota: None,
    };
    let changes = Changes {
        merchants: vec![merchant.clone()],
        ..Changes::default()
    };
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
    assert_eq!(store.merchants().await, Ok(vec![merchant]));
}

#[tokio::test]
async fn a_row_that_does_not_read_back_is_named_without_its_value() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let changed = books.execute("UPDATE users SET user_id = user_id || ' secret'", []);
    changed.expect_err("names are kept");
    books
        .execute_batch(
            "DROP TRIGGER users_keep_their_names; UPDATE users SET user_id = 'top secret!'
             WHERE user_no = 1;",
        )
        .expect("the trigger is gone");
    let store = SqliteStore::open(&path).expect("opens");
    let refused = store.audit().await.expect_err("damaged").to_string();
    assert!(refused.contains("users.user_id"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
}
