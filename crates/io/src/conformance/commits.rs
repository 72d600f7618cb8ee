//! What a commit promises: all or nothing, once, in order, on facts that are still true.

use std::collections::BTreeSet;

use lingqian_core::changes::HistoryLine;
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::id::{OutBillNo, Reference, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::link::StateDigest;
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Queue, State};
use lingqian_core::{Changes, Keys};

use super::given::{
    EARNED, KIND, NOON, attempt, audit, basis, commit, earned, entry, event_id, held, key, kind,
    look, mchid, merchant, opened, openid, payout, payout_id, refuse, source, user, user_id, waits,
};
use crate::store::{Claim, Committed, Summary};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    empty_books_are_green_and_number_users_from_one(make().await).await;
    what_is_absent_is_reported_absent(make().await).await;
    every_acknowledged_write_reads_back(make().await).await;
    a_commit_on_an_old_basis_conflicts_and_writes_nothing(make().await).await;
    a_lease_does_not_age_facts(make().await).await;
    entries_are_numbered_without_a_gap_in_the_order_of_the_flow(make().await).await;
    an_event_is_credited_once(make().await).await;
    an_event_books_its_own_amount_between_its_own_accounts(make().await).await;
    a_user_account_never_goes_below_zero(make().await).await;
    a_refused_part_takes_the_whole_batch_with_it(make().await).await;
    names_are_given_once(make().await).await;
    catalogue_and_merchants_can_be_changed(make().await).await;
}

async fn empty_books_are_green_and_number_users_from_one<S: Store + Browse>(store: S) {
    let audited = audit(&store, &[], "empty books").await;
    assert_eq!((audited.entries, audited.accounts), (0, 0));
    let facts = look(&store, Keys::default()).await;
    assert_eq!(facts.next_user, 1);
    assert!(facts.kinds.is_empty() && facts.merchants.is_empty());
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary, Summary::default());
}

fn all_sorts_of_keys() -> Keys {
    Keys {
        users: BTreeSet::from([user_id(8)]),
        wallets: BTreeSet::from([user_id(9)]),
        earnings: BTreeSet::from([(source(), event_id("e"))]),
        link_states: BTreeSet::from([StateDigest([7; 32])]),
        openids: BTreeSet::from([openid(9)]),
        references: BTreeSet::from([Reference::parse("r").expect("an id")]),
        idempotency: BTreeSet::from([key("k")]),
        payouts: BTreeSet::from([payout_id(1)]),
        bill_lines: BTreeSet::from([(mchid(), "flow".to_owned())]),
        closed_bills: true,
        day: NOON.business_date(),
    }
}

async fn what_is_absent_is_reported_absent<S: Store + Browse>(store: S) {
    nothing_is_there(&store).await;
    let catalogue = Changes {
        kinds: vec![kind()],
        merchants: vec![merchant()],
        users: vec![user(1)],
        ..Changes::default()
    };
    commit(&store, catalogue).await;
    nothing_is_there(&store).await;
    let user = store.user(&user_id(9), NOON.business_date()).await;
    assert_eq!(user, Ok(None));
    let story = store.payout(payout_id(1)).await;
    assert_eq!(story, Ok(None));
}

async fn nothing_is_there<S: Store>(store: &S) {
    let keys = all_sorts_of_keys();
    let facts = look(store, keys).await;
    assert_eq!(facts.user(&user_id(8)), None);
    assert_eq!(facts.user(&user_id(9)), None);
    assert_eq!(facts.earning(&source(), &event_id("e")), None);
    assert_eq!(facts.link_state(StateDigest([7; 32])), None);
    assert!(facts.holders(&openid(9)).is_empty());
    assert!(!facts.reference_used(&Reference::parse("r").expect("an id")));
    assert_eq!(facts.answer(&key("k")), None);
    assert_eq!(facts.payout(payout_id(1)), None);
    assert_eq!(
        facts.bill_lines.get(&(mchid(), "flow".to_owned())),
        Some(&false)
    );
    assert!(facts.wallets.is_empty() && facts.open_breaks.is_empty());
}

async fn every_acknowledged_write_reads_back<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (earning, posted) = earned("one", 2, Micros(1));
    let answer = RememberedAnswer {
        digest: [200; 32],
        payout: payout_id(1),
        amount: Fen(100),
        created_at: NOON,
    };
    let mut changes = held(payout(1, State::Requested));
    changes.earnings.push((earning.clone(), posted));
    changes.answers.push((key("k"), answer.clone()));
    commit(&store, changes).await;
    let facts = look(
        &store,
        Keys {
            users: BTreeSet::from([user_id(3)]),
            wallets: BTreeSet::from([user_id(2)]),
            earnings: BTreeSet::from([(source(), event_id("one"))]),
            references: BTreeSet::from([payout(1, State::Requested).reference]),
            idempotency: BTreeSet::from([key("k")]),
            payouts: BTreeSet::from([payout_id(1)]),
            ..Keys::default()
        },
    )
    .await;
    assert_eq!(facts.kind(&kind().code), Some(&kind()));
    assert_eq!(facts.merchant(&mchid()), Some(&merchant()));
    assert_eq!(facts.user(&user_id(3)), Some(&user(3)));
    assert_eq!(facts.user(&user_id(2)), Some(&user(2)));
    assert_eq!(
        facts.wallet(UserNo(2)).available,
        EARNED.plus(Micros(1)).expect("in range")
    );
    assert_eq!(facts.earning(&source(), &event_id("one")), Some(&earning));
    assert!(facts.reference_used(&payout(1, State::Requested).reference));
    assert_eq!(facts.answer(&key("k")), Some(&answer));
    assert_eq!(
        facts.payout(payout_id(1)),
        Some(&payout(1, State::Requested))
    );
    assert_eq!(facts.next_user, 4);
    let wallet = facts.wallet(UserNo(1));
    assert_eq!(wallet.held, Micros(1_000_000), "a payout brings its wallet");
    audit(&store, &[], "an ordinary batch").await;
}

async fn a_commit_on_an_old_basis_conflicts_and_writes_nothing<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (mine, theirs) = (basis(&store).await, basis(&store).await);
    let credit = |event: &str| Changes {
        earnings: vec![earned(event, 1, Micros(5))],
        ..Changes::default()
    };
    let done = store.commit(theirs, credit("theirs")).await;
    assert_eq!(done, Ok(Committed::Done));
    for attempt in 0..2 {
        let lost = store.commit(mine, credit("mine")).await;
        assert_eq!(lost, Ok(Committed::Conflict), "try {attempt}");
    }
    let audited = audit(&store, &[], "after a conflict").await;
    assert_eq!(audited.earnings, 4);
    commit(&store, credit("mine")).await;
    assert_eq!(audit(&store, &[], "decided again").await.earnings, 5);
}

async fn a_lease_does_not_age_facts<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, held(payout(1, State::Requested))).await;
    let basis = basis(&store).await;
    let claim = Claim {
        queue: Queue::Assess,
        now: NOON,
        lease_until: NOON.after_ms(1),
        limit: 1,
    };
    let claimed = store.claim(claim).await;
    assert_eq!(claimed, Ok(vec![payout_id(1)]));
    let credit = Changes {
        earnings: vec![earned("after", 1, Micros(5))],
        ..Changes::default()
    };
    let committed = store.commit(basis, credit).await;
    assert_eq!(committed, Ok(Committed::Done));
}

async fn entries_are_numbered_without_a_gap_in_the_order_of_the_flow<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut changes = held(payout(1, State::Approved));
    changes.earnings = vec![
        earned("a", 1, Micros(11)),
        earned("b", 2, Micros(12)),
        earned("c", 1, Micros(13)),
    ];
    let expected: Vec<_> = changes.all_entries().cloned().collect();
    commit(&store, changes).await;
    commit(
        &store,
        Changes {
            earnings: vec![earned("d", 1, Micros(14))],
            ..Changes::default()
        },
    )
    .await;
    let lines = store.statement(UserNo(1), None, 10).await;
    let lines = lines.expect("a statement");
    let found: Vec<_> = lines.iter().rev().map(|l| (l.seq, &l.entry)).collect();
    let last = earned("d", 1, Micros(14)).1.first;
    let opening = earned("opening-1", 1, EARNED).1.first;
    assert_eq!(
        found,
        [
            (1, &opening),
            (4, &expected[0]),
            (6, &expected[2]),
            (7, &expected[3]),
            (8, &last),
        ],
        "three openings, then earnings before the entries of payouts"
    );
    assert_eq!(audit(&store, &[], "numbers").await.entries, 8);
}

async fn an_event_is_credited_once<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let law = "an event is credited once";
    let twice = Changes {
        earnings: vec![earned("twin", 1, Micros(1)), earned("twin", 2, Micros(2))],
        ..Changes::default()
    };
    refuse(&store, twice, law).await;
    let again = Changes {
        earnings: vec![earned("opening-1", 1, EARNED)],
        ..Changes::default()
    };
    refuse(&store, again, law).await;
}

async fn an_event_books_its_own_amount_between_its_own_accounts<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (mut more, posted) = earned("more", 1, Micros(10));
    more.amount = Micros(11);
    let (whose, _) = earned("whose", 1, Micros(10));
    let (_, of_another) = earned("whose", 2, Micros(10));
    for (earning, posting) in [(more, posted), (whose, of_another)] {
        let changes = Changes {
            earnings: vec![(earning, posting)],
            ..Changes::default()
        };
        let law = "an event's entries book its amount between its accounts";
        refuse(&store, changes, law).await;
    }
}

async fn a_user_account_never_goes_below_zero<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (available, held) = (Account::Available(UserNo(1)), Account::Held(UserNo(1)));
    let more = EARNED.plus(Micros(1)).expect("in range");
    let take = |sides, amount, cause| Changes {
        entries: vec![entry(sides, amount, cause, None)],
        ..Changes::default()
    };
    let law = "a user account is never below zero";
    refuse(&store, take((available, held), more, Cause::Hold), law).await;
    let release = take((held, available), Micros(1), Cause::Release);
    refuse(&store, release, law).await;
    let newcomer = Account::Available(UserNo(99));
    let fees = take((newcomer, Account::Fees), Micros(1), Cause::Hold);
    refuse(&store, fees, law).await;
    let wallet = store.user(&user_id(1), NOON.business_date()).await;
    let wallet = wallet.expect("a look").expect("a user");
    assert_eq!((wallet.available, wallet.held), (EARNED, Micros::ZERO));
}

async fn a_refused_part_takes_the_whole_batch_with_it<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut changes = held(payout(1, State::Requested));
    changes.users.push(user(4));
    changes.earnings = vec![earned("new", 4, Micros(1)), earned("opening-2", 2, EARNED)];
    changes.history.push(HistoryLine {
        payout: payout_id(1),
        at: NOON,
        event: "held",
        state: "requested",
        code: None,
        evidence: None,
    });
    refuse(&store, changes, "one event of the batch is known").await;
    let facts = look(
        &store,
        Keys {
            users: BTreeSet::from([user_id(4)]),
            earnings: BTreeSet::from([(source(), event_id("new"))]),
            payouts: BTreeSet::from([payout_id(1)]),
            ..Keys::default()
        },
    )
    .await;
    assert_eq!(facts.user(&user_id(4)), None);
    assert_eq!(facts.earning(&source(), &event_id("new")), None);
    assert_eq!(facts.payout(payout_id(1)), None);
    let summary = store.summary().await.expect("a summary");
    assert!(summary.waiting.is_empty() && summary.payouts.is_empty());
    commit(&store, held(payout(1, State::Requested))).await;
}

async fn names_are_given_once<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut first = held(payout(1, State::Sending(attempt(1))));
    let answer = RememberedAnswer {
        digest: [1; 32],
        payout: payout_id(1),
        amount: Fen(100),
        created_at: NOON,
    };
    first.answers.push((key("k"), answer.clone()));
    commit(&store, first).await;
    let mut other = payout(2, State::Requested);
    other.reference = payout(1, State::Requested).reference;
    refuse(&store, held(other), "a reference names one payout").await;
    let again = Changes {
        answers: vec![(key("k"), answer)],
        ..Changes::default()
    };
    refuse(&store, again, "a key has one answer").await;
    let mut taken = user(4);
    taken.id = user_id(2);
    let taken = Changes {
        users: vec![taken],
        ..Changes::default()
    };
    refuse(&store, taken, "a name is one user's").await;
    let mut moved = attempt(1);
    moved.order.number = OutBillNo::new(payout_id(1), 2);
    let moved = Changes {
        payouts: vec![(payout(1, State::Sending(moved)), waits(Queue::Ask, NOON))],
        ..Changes::default()
    };
    refuse(&store, moved, "an order keeps its number").await;
}

async fn catalogue_and_merchants_can_be_changed<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut dearer = kind();
    dearer.price = Some(Micros(10_000));
    dearer.tax_class = "labour".into();
    let mut renamed = merchant();
    renamed.remark = "新的说明".into();
    renamed.scene_report.clear();
    commit(
        &store,
        Changes {
            kinds: vec![dearer.clone()],
            merchants: vec![renamed.clone()],
            ..Changes::default()
        },
    )
    .await;
    let facts = look(&store, Keys::default()).await;
    assert_eq!(facts.kinds.len(), 1);
    assert_eq!(facts.kind(&dearer.code), Some(&dearer));
    assert_eq!(dearer.no, KIND);
    assert_eq!(facts.merchant(&mchid()), Some(&renamed));
    assert_eq!(store.merchants().await, Ok(vec![renamed]));
}
