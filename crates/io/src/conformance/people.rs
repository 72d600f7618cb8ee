//! Users, links and their states, days, keys: what is kept about people.

use std::collections::BTreeSet;

use lingqian_core::command::ApiKey;
use lingqian_core::id::UserNo;
use lingqian_core::link::{LinkState, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::State;
use lingqian_core::user::{DayTotals, Sealed};
use lingqian_core::{Changes, Keys};

use super::given::{
    NOON, app, attempt, audit, commit, held, link, look, opened, openid, payout, payout_id, refuse,
    user, user_id,
};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_user_can_be_named_and_frozen(make().await).await;
    a_link_state_reads_back_with_its_wallet_and_is_used_up(make().await).await;
    a_wallet_has_one_holder_and_a_user_one_wallet(make().await).await;
    day_totals_come_with_the_day_that_was_asked_for(make().await).await;
    a_withdrawn_api_key_stays_withdrawn(make().await).await;
}

async fn a_user_can_be_named_and_frozen<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut changed = user(2);
    changed.frozen = true;
    changed.name = Some(Sealed(vec![0; 300]));
    let mut nameless = user(3);
    nameless.name = None;
    commit(
        &store,
        Changes {
            users: vec![changed.clone(), nameless.clone()],
            ..Changes::default()
        },
    )
    .await;
    for expected in [changed, nameless] {
        let found = store.user(&expected.id, NOON.business_date()).await;
        let found = found.expect("a look").expect("a user");
        assert_eq!(found.user, expected);
    }
    let facts = look(&store, Keys::default()).await;
    assert_eq!(facts.next_user, 4, "a change is not a new user");
}

async fn a_link_state_reads_back_with_its_wallet_and_is_used_up<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let digest = StateDigest([0xA5; 32]);
    let state = LinkState {
        digest,
        user: UserNo(2),
        app: app(),
        expires_at: NOON.after_ms(600_000),
        used_at: None,
    };
    let used = LinkState {
        used_at: Some(NOON.after_ms(3)),
        ..state.clone()
    };
    for expected in [state, used] {
        commit(
            &store,
            Changes {
                link_states: vec![expected.clone()],
                ..Changes::default()
            },
        )
        .await;
        let keys = Keys {
            link_states: BTreeSet::from([digest]),
            ..Keys::default()
        };
        let facts = look(&store, keys).await;
        assert_eq!(facts.link_state(digest), Some(&expected));
        assert_eq!(facts.wallet(UserNo(2)).user, user(2));
        assert_eq!(facts.user(&user_id(2)), Some(&user(2)));
    }
}

async fn a_wallet_has_one_holder_and_a_user_one_wallet<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let linked = |user, person| Changes {
        links: vec![link(user, person)],
        ..Changes::default()
    };
    refuse(&store, linked(2, 1), "a wallet is linked to one user").await;
    commit(&store, linked(1, 1)).await;
    commit(&store, linked(1, 5)).await;
    commit(&store, linked(2, 1)).await;
    let keys = Keys {
        openids: BTreeSet::from([openid(1), openid(5), openid(6)]),
        wallets: BTreeSet::from([user_id(1), user_id(2), user_id(3)]),
        ..Keys::default()
    };
    let facts = look(&store, keys).await;
    assert_eq!(*facts.holders(&openid(1)), BTreeSet::from([UserNo(2)]));
    assert_eq!(*facts.holders(&openid(5)), BTreeSet::from([UserNo(1)]));
    assert_eq!(*facts.holders(&openid(6)), BTreeSet::new());
    let linked = |no| facts.wallet(UserNo(no)).links.values().collect::<Vec<_>>();
    assert_eq!(linked(1), [&link(1, 5)]);
    assert_eq!(linked(2), [&link(2, 1)]);
    assert!(linked(3).is_empty());
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.users, (3, 2));
}

async fn day_totals_come_with_the_day_that_was_asked_for<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (today, tomorrow) = (NOON.business_date(), NOON.business_date().next());
    let counted = |no, day| {
        let mut payout = payout(no, State::Sending(attempt(no)));
        payout.counted_on = Some(day);
        held(payout)
    };
    let totals = |count, amount| DayTotals {
        count,
        amount: Fen(amount),
    };
    let mut changes = counted(1, today);
    changes.append(counted(2, today));
    changes.append(counted(3, tomorrow));
    changes.day_totals = vec![
        (UserNo(1), today, totals(1, 100)),
        (UserNo(1), tomorrow, totals(1, 100)),
        (UserNo(1), today, totals(2, 200)),
    ];
    commit(&store, changes).await;
    let of_user = |day| Keys {
        wallets: BTreeSet::from([user_id(1)]),
        day,
        ..Keys::default()
    };
    let facts = look(&store, of_user(today)).await;
    assert_eq!(facts.wallet(UserNo(1)).day(today), totals(2, 200));
    let facts = look(&store, of_user(tomorrow.next())).await;
    let nothing = DayTotals::default();
    assert_eq!(facts.wallet(UserNo(1)).day(tomorrow.next()), nothing);
    let of_payout = Keys {
        payouts: BTreeSet::from([payout_id(3)]),
        day: today,
        ..Keys::default()
    };
    let facts = look(&store, of_payout).await;
    let wallet = facts.wallet(UserNo(1));
    let days = (wallet.day(today), wallet.day(tomorrow));
    let law = "a payout brings today and the day that it counts towards";
    assert_eq!(days, (totals(2, 200), totals(1, 100)), "{law}");
    let found = store.user(&user_id(1), tomorrow).await;
    let found = found.expect("a look").expect("a user");
    assert_eq!(found.day(tomorrow), totals(1, 100));
    assert_eq!(
        (found.available.0, found.held),
        (97_000_000, Micros(3_000_000))
    );
    audit(&store, &[], "days").await;
}

async fn a_withdrawn_api_key_stays_withdrawn<S: Store + Browse>(store: S) {
    let key = |id: &str, created: i64| ApiKey {
        id: id.into(),
        digest: [u8::try_from(created).expect("a small number"); 32],
        scopes: vec!["events:write".into(), "payouts:read".into()],
        created_at: NOON.after_ms(created),
        revoked_at: None,
    };
    let revoked = ApiKey {
        revoked_at: Some(NOON.after_ms(9)),
        ..key("b", 1)
    };
    for keys in [
        vec![key("a", 2), key("b", 1)],
        vec![revoked.clone()],
        vec![key("b", 1)],
    ] {
        let api_keys = Changes {
            api_keys: keys,
            ..Changes::default()
        };
        commit(&store, api_keys).await;
    }
    let mut found = store.api_keys().await.expect("a look");
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, [key("a", 2), revoked]);
}
