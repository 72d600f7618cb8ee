//! Books with a kind and some users, and events for them.

use lingqian_core::command::DeadLetter;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::user::User;
use lingqian_core::{Changes, EventBatch, EventView, Keys};
use lingqian_io::Store as _;
use lingqian_io::store::Committed;
use lingqian_postgres::PostgresStore;

use crate::world::store;

/// 2026-03-02, noon in Beijing.
pub(crate) const NOON: Timestamp = Timestamp(1_772_424_000_000);

pub(crate) fn letter(raw: &str) -> Changes {
    let letter = DeadLetter {
        door: "test".into(),
        position: "line 1".into(),
        code: "malformed".into(),
        raw: raw.into(),
        at: NOON,
    };
    Changes {
        dead_letters: vec![letter],
        ..Changes::default()
    }
}

pub(crate) fn user(no: i64) -> User {
    User {
        no: UserNo(no),
        id: UserId::parse(&format!("u{no}")).expect("an id"),
        created_at: NOON,
        frozen: false,
        name: None,
    }
}

pub(crate) fn kind(price: Option<Micros>) -> Kind {
    Kind {
        no: KindNo(1),
        code: KindCode::parse("ad_view").expect("an id"),
        price,
        amount_max: Micros(1_000_000),
        tax_class: "incidental".into(),
        terms: Terms::default(),
    }
}

pub(crate) async fn commit(store: &PostgresStore, changes: Changes) {
    let basis = store.prefetch(Keys::default()).await.expect("facts").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
}

/// Two stores over books with a kind and so many users.
pub(crate) async fn pair(users: i64) -> (PostgresStore, PostgresStore, String) {
    let (first, url) = store().await;
    let second = PostgresStore::open(&url).await.expect("it opens");
    let changes = Changes {
        kinds: vec![kind(None)],
        users: (1..=users).map(user).collect(),
        ..Changes::default()
    };
    commit(&first, changes).await;
    (first, second, url)
}

pub(crate) fn batch(events: impl Iterator<Item = (String, i64)>) -> EventBatch {
    let mut batch = EventBatch::default();
    for (event, user) in events {
        let view = EventView {
            source: "app",
            event_id: &event,
            user: &format!("u{user}"),
            kind: "ad_view",
            amount: Some(Micros(10)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        batch.push(&view).expect("well formed");
    }
    batch
}
