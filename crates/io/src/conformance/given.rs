//! What the suite's stories begin with, and the few ways in which they touch a store.

use lingqian_core::audit::Invariant;
use lingqian_core::changes::{Posting, Work};
use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::{Earning, Kind, Terms};
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, OpenId, OutBillNo, PayoutId, Reference,
    Source, UserId, UserNo,
};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::link::{Link, Sharing, Standing};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Asked, Attempt, Payout, Queue, State};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Merchant, TransferOrder};
use lingqian_core::user::{Sealed, User};
use lingqian_core::{Changes, Facts, Keys};

use crate::store::{Audited, Committed};
use crate::{Fault, Store};

/// 2026-03-02, noon in Beijing.
pub(super) const NOON: Timestamp = Timestamp(1_772_424_000_000);
/// A whole day.
pub(super) const DAY_MS: i64 = 86_400_000;
/// What each user of [`opened`] has: ¥100.
pub(super) const EARNED: Micros = Micros(100_000_000);
/// The one merchant.
pub(super) const MERCHANT: MerchantNo = MerchantNo(1);
/// The one kind.
pub(super) const KIND: KindNo = KindNo(7);

pub(super) fn user_id(no: i64) -> UserId {
    UserId::parse(&format!("user-{no}")).expect("an id")
}

pub(super) fn openid(no: i64) -> OpenId {
    OpenId::parse(&format!("openid-{no}")).expect("an id")
}

pub(super) fn mchid() -> MchId {
    MchId::parse("1900000109").expect("an id")
}

pub(super) fn app() -> AppId {
    AppId::parse("wx8888888888888888").expect("an id")
}

pub(super) fn source() -> Source {
    Source::parse("game").expect("an id")
}

pub(super) fn event_id(name: &str) -> EventId {
    EventId::parse(name).expect("an id")
}

pub(super) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: "withdrawals".into(),
        key: name.into(),
    }
}

pub(super) fn user(no: i64) -> User {
    User {
        no: UserNo(no),
        id: user_id(no),
        created_at: NOON,
        frozen: false,
        name: Some(Sealed(vec![0, 255, 10, 13, 39])),
    }
}

pub(super) fn link(user: i64, person: i64) -> Link {
    Link {
        user: UserNo(user),
        app: app(),
        openid: openid(person),
        unionid: Some(openid(person + 1_000)),
        scope: "snsapi_userinfo".into(),
        tokens: Some(Sealed(vec![0, 1, 2, 254, 255])),
        linked_at: NOON,
        standing: Standing::Active,
        reason: None,
        changed_at: NOON,
        cools_until: Some(NOON.after_ms(person)),
        sharing: Sharing::Alone,
        refresh_at: Some(NOON.after_ms(10 * person)),
        refresh_tries: 2,
        version: 3,
    }
}

pub(super) fn kind() -> Kind {
    Kind {
        no: KIND,
        code: KindCode::parse("ad_view").expect("an id"),
        price: None,
        amount_max: Micros(1_000_000_000),
        tax_class: "incidental".into(),
        terms: Terms::default(),
    }
}

pub(super) fn merchant() -> Merchant {
    Merchant {
        no: MERCHANT,
        mchid: mchid(),
        apps: vec![app(), AppId::parse("wx0000000000000002").expect("an id")],
        scene: "1000".into(),
        scene_report: vec![
            ("活动名称".into(), "看广告得零钱".into()),
            ("奖励说明".into(), "每次 1 分".into()),
        ],
        remark: "看广告的零钱".into(),
        weight: 3,
        day_quota: Some(Fen(5_000_000)),
    }
}

/// An event and its entry.
pub(super) fn earned(event: &str, user: i64, amount: Micros) -> (Earning, Posting) {
    let earning = Earning {
        source: source(),
        event_id: event_id(event),
        user: UserNo(user),
        kind: KIND,
        amount,
        occurred_at: Some(NOON.after_ms(-1_500)),
        recorded_at: NOON,
        from: None,
        reverses: None,
        matures_on: None,
        repaid: Micros::ZERO,
        clawed: Micros::ZERO,
    };
    let sides = (Account::Funding(KIND), Account::Available(UserNo(user)));
    (earning, entry(sides, amount, Cause::Earn, None).into())
}

pub(super) fn entry(
    sides: (Account, Account),
    amount: Micros,
    cause: Cause,
    payout: Option<PayoutId>,
) -> Entry {
    Entry::new(sides, amount, cause, payout, NOON).expect("an entry that moves money")
}

pub(super) fn payout_id(no: i64) -> PayoutId {
    PayoutId::new(NOON.after_ms(no), u128::MAX)
}

/// A payout of ¥1 to user 1; the higher its number, the newer it is.
pub(super) fn payout(no: i64, state: State) -> Payout {
    Payout {
        id: payout_id(no),
        user: UserNo(1),
        merchant: MERCHANT,
        amount: Fen(100),
        reference: Reference::parse(&format!("order-{no}")).expect("an id"),
        asked: Asked::ByRequest,
        created_at: NOON,
        updated_at: NOON,
        version: 1,
        counted_on: None,
        billed: Fen::ZERO,
        tries: 0,
        state,
    }
}

/// An attempt at the payout of that number, with everything that may be in one.
pub(super) fn attempt(no: i64) -> Attempt {
    Attempt {
        order: TransferOrder {
            number: OutBillNo::new(payout_id(no), 1),
            mchid: mchid(),
            app: app(),
            openid: openid(1),
            amount: Fen(100),
            scene: "1000".into(),
            scene_report: merchant().scene_report,
            remark: "零钱 \"到账\"; --".into(),
            name: Some(Sealed(vec![9, 0, 9])),
            seat: None,
        },
        sends: 2,
        asks: 3,
        doubt: true,
        first_sent_at: NOON.after_ms(1),
        last_sent_at: NOON.after_ms(2),
        bill_no: Some("1330000071100999991182020050700019480001".into()),
    }
}

pub(super) fn waits(queue: Queue, due_at: Timestamp) -> Option<Work> {
    Some(Work { queue, due_at })
}

/// A payout with the entries that its state implies, and something to wait for where it is not
/// final.
pub(super) fn held(payout: Payout) -> Changes {
    let (available, held) = (Account::Available(payout.user), Account::Held(payout.user));
    let amount = payout.amount.micros().expect("in range");
    let id = Some(payout.id);
    let mut entries = vec![entry((available, held), amount, Cause::Hold, id)];
    if let State::Paid(..) = payout.state {
        let sides = (held, Account::Clearing(payout.merchant));
        entries.push(entry(sides, amount, Cause::Settle, id));
    } else if payout.state.is_final() {
        entries.push(entry((held, available), amount, Cause::Release, id));
    }
    let work = waits(Queue::Assess, NOON).filter(|_| !payout.state.is_final());
    Changes {
        entries,
        payouts: vec![(payout, work)],
        ..Changes::default()
    }
}

/// Facts of this moment.
pub(super) async fn look<S: Store>(store: &S, keys: Keys) -> Facts {
    let facts = store.prefetch(keys).await;
    facts.expect("a prefetch is answered")
}

pub(super) async fn basis<S: Store>(store: &S) -> u64 {
    look(store, Keys::default()).await.basis
}

/// Commits on fresh facts.
pub(super) async fn commit<S: Store>(store: &S, changes: Changes) {
    let basis = basis(store).await;
    let committed = store.commit(basis, changes).await;
    assert_eq!(committed, Ok(Committed::Done), "nobody else commits");
}

/// Expects the store to refuse, and to be as it was.
pub(super) async fn refuse<S: Store>(store: &S, changes: Changes, law: &str) {
    let before = store.audit().await.expect("the books are read");
    let basis = basis(store).await;
    let committed = store.commit(basis, changes).await;
    assert!(
        matches!(committed, Err(Fault::Broken(_))),
        "{law}: the store answered {committed:?}"
    );
    let after = store.audit().await.expect("the books are read");
    assert_eq!(after, before, "{law}: what is refused changes nothing");
}

/// Audits and expects exactly these invariants to be broken.
pub(super) async fn audit<S: Store>(store: &S, broken: &[Invariant], story: &str) -> Audited {
    let audited = store.audit().await.expect("the books are read");
    let mut found: Vec<Invariant> = audited.findings.iter().map(|f| f.invariant).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, broken, "{story}: {:#?}", audited.findings);
    audited
}

/// Books with one kind, one merchant and three users of whom each has [`EARNED`]. User 1 is
/// linked.
pub(super) async fn opened<S: Store>(store: S) -> S {
    let users = 1..=3;
    let changes = Changes {
        kinds: vec![kind()],
        merchants: vec![merchant()],
        users: users.clone().map(user).collect(),
        links: vec![link(1, 1)],
        earnings: users
            .map(|no| earned(&format!("opening-{no}"), no, EARNED))
            .collect(),
        ..Changes::default()
    };
    commit(&store, changes).await;
    store
}
