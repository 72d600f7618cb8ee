//! Links of a user with several apps: how they stand, who else has the wallet, and whose tokens
//! are due.

use std::collections::BTreeSet;

use lingqian_core::id::{AppId, UserNo};
use lingqian_core::link::{Link, Sharing, Standing};
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;
use lingqian_core::{Changes, Keys};

use super::given::{NOON, app, commit, link, look, opened, openid, refuse, user_id};
use crate::links::{LinkClaim, LinkFilter};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_user_has_a_link_per_app_and_each_reads_back(make().await).await;
    a_shared_wallet_is_flagged_or_refused(make().await).await;
    due_tokens_are_leased_once_and_a_change_ends_the_lease(make().await).await;
    links_are_listed_by_user_and_app(make().await).await;
}

/// A mini program that knows the same people by other names.
pub(super) fn mini() -> AppId {
    AppId::parse("wx0000000000000002").expect("an id")
}

/// A link that was ended: nothing in it acts for anybody.
pub(super) fn ended(user: i64, person: i64) -> Link {
    Link {
        app: mini(),
        openid: openid(person + 100),
        tokens: None,
        standing: Standing::Revoked,
        reason: Some("unlinked".into()),
        changed_at: NOON.after_ms(7),
        cools_until: None,
        refresh_at: None,
        refresh_tries: 0,
        version: 9,
        ..link(user, person)
    }
}

fn linked(links: Vec<Link>) -> Changes {
    Changes {
        links,
        ..Changes::default()
    }
}

async fn a_user_has_a_link_per_app_and_each_reads_back<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let asleep = Link {
        app: mini(),
        openid: openid(101),
        standing: Standing::NeedsReauthorization,
        reason: Some("42002".into()),
        tokens: Some(Sealed(vec![7])),
        refresh_at: None,
        sharing: Sharing::Allowed,
        ..link(1, 1)
    };
    for second in [asleep, ended(1, 1)] {
        commit(&store, linked(vec![second.clone()])).await;
        let keys = Keys {
            wallets: BTreeSet::from([user_id(1), user_id(2)]),
            openids: BTreeSet::from([openid(1), openid(101), openid(1_001)]),
            ..Keys::default()
        };
        let facts = look(&store, keys).await;
        let links: Vec<&Link> = facts.wallet(UserNo(1)).links.values().collect();
        assert_eq!(links, [&second, &link(1, 1)], "by app");
        let found = store.user(&user_id(1), NOON.business_date()).await;
        let found = found.expect("a look").expect("a user");
        assert_eq!(found.links.values().collect::<Vec<_>>(), links);
        let one = BTreeSet::from([UserNo(1)]);
        assert_eq!(*facts.holders(&openid(1)), one);
        assert_eq!(*facts.holders(&openid(1_001)), one, "by the unionid");
        let held = second.standing != Standing::Revoked;
        assert_eq!(facts.holders(&openid(101)).is_empty(), !held, "{second:?}");
    }
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.users, (3, 1), "a user counts once");
    let revoked = Link {
        app: app(),
        openid: openid(1),
        ..ended(1, 1)
    };
    commit(&store, linked(vec![revoked])).await;
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.users, (3, 0), "and not when all links ended");
}

async fn a_shared_wallet_is_flagged_or_refused<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let law = "a wallet is linked to one user";
    let flagged = |user, sharing| Link {
        sharing,
        ..link(user, 1)
    };
    refuse(&store, linked(vec![link(2, 1)]), law).await;
    commit(&store, linked(vec![flagged(2, Sharing::Flagged)])).await;
    commit(&store, linked(vec![flagged(3, Sharing::Allowed)])).await;
    refuse(&store, linked(vec![link(2, 1)]), law).await;
    let keys = Keys {
        openids: BTreeSet::from([openid(1)]),
        ..Keys::default()
    };
    let facts = look(&store, keys).await;
    assert_eq!(facts.holders(&openid(1)).len(), 3);
    let listed = store
        .links(LinkFilter {
            flagged: true,
            limit: 9,
            ..LinkFilter::default()
        })
        .await
        .expect("a list");
    let users: Vec<_> = listed.iter().map(|row| row.user.clone()).collect();
    assert_eq!(users, [user_id(2)], "what a person allowed is no case");
}

async fn due_tokens_are_leased_once_and_a_change_ends_the_lease<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let due = |user, person, at: Option<Timestamp>| Link {
        refresh_at: at,
        ..link(user, person)
    };
    let first = due(1, 1, Some(NOON));
    let second = due(2, 2, Some(NOON.after_ms(-5)));
    let never = due(3, 3, None);
    commit(&store, linked(vec![first.clone(), second.clone(), never])).await;
    let claim = |now: i64, limit| LinkClaim {
        now: NOON.after_ms(now),
        lease_until: NOON.after_ms(now + 1_000),
        limit,
    };
    let taken = async |now, limit| -> Vec<Link> {
        let claimed = store.claim_links(claim(now, limit)).await;
        let claimed = claimed.expect("a claim").into_iter();
        claimed.map(|row| row.link).collect()
    };
    assert_eq!(
        taken(-1, 9).await,
        std::slice::from_ref(&second),
        "the other is not due"
    );
    assert_eq!(
        taken(0, 9).await,
        std::slice::from_ref(&first),
        "one is leased"
    );
    assert!(taken(998, 9).await.is_empty(), "both are");
    assert_eq!(
        taken(999, 1).await,
        std::slice::from_ref(&second),
        "a lease ends"
    );
    let changed = Link {
        refresh_at: Some(NOON.after_ms(999)),
        version: 4,
        ..first
    };
    commit(&store, linked(vec![changed.clone()])).await;
    assert_eq!(taken(999, 9).await, [changed], "what changed is not leased");
}

async fn links_are_listed_by_user_and_app<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let links = vec![ended(1, 1), link(2, 2), ended(3, 3)];
    commit(&store, linked(links)).await;
    let list = async |filter: LinkFilter| -> Vec<(i64, AppId)> {
        let rows = store.links(filter).await.expect("a list").into_iter();
        rows.map(|row| (row.link.user.0, row.link.app)).collect()
    };
    let all = LinkFilter {
        limit: 9,
        ..LinkFilter::default()
    };
    let everything = [(1, mini()), (1, app()), (2, app()), (3, mini())];
    assert_eq!(list(all.clone()).await, everything);
    let page = LinkFilter {
        after: Some((UserNo(1), mini())),
        limit: 2,
        ..LinkFilter::default()
    };
    assert_eq!(list(page).await, everything[1..3]);
    let revoked = LinkFilter {
        standing: Some(Standing::Revoked),
        ..all.clone()
    };
    assert_eq!(list(revoked).await, [(1, mini()), (3, mini())]);
    let with_app = LinkFilter {
        app: Some(app()),
        ..all
    };
    assert_eq!(list(with_app).await, [(1, app()), (2, app())]);
}
