//! Calls take effect in the order in which they are made, however they travel, and those that are
//! written together fail apart.

use lingqian_core::earning::Credited;
use lingqian_core::money::Fen;
use lingqian_core::risk::Policy;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Outcome, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::{Browse as _, EventAnswer, Store as _, WithdrawalAnswer};
use lingqian_sqlite::{Options, SqliteStore};

use crate::lived;
use crate::withdrawals::{NOW, ask, feed, is_new, request};

/// Events of a batch that goes by way of the scout.
const LARGE: u32 = 1_000;
/// Events of one that goes straight to the teller, if nobody is on the way.
const SMALL: u32 = 20;

#[tokio::test]
async fn who_comes_behind_a_large_batch_does_not_overtake_it() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let all = |number: u32| Withdrawal {
        wanted: Wanted::All,
        ..request(number, 1 + 2 * number)
    };
    ask(&store, vec![all(1_000)]).await;
    for round in 0..40 {
        // Each takes all that is there: a fen for each event that came before it.
        let (_, first, _, second) = tokio::join!(
            biased;
            feed(&store, LARGE, 2 * round),
            ask(&store, vec![all(2 * round)]),
            feed(&store, SMALL, 2 * round + 1),
            ask(&store, vec![all(2 * round + 1)]),
        );
        let amounts = [&first, &second].map(|made| amount(&made[0]));
        let expected = [LARGE, SMALL].map(|fen| Some(Fen(i64::from(fen))));
        assert_eq!(amounts, expected, "round {round}");
    }
}

fn amount(answer: &Result<Outcome, Rejection>) -> Option<Fen> {
    match answer {
        Ok(Outcome::Withdrawn { amount, .. }) => Some(*amount),
        _ => None,
    }
}

/// What is asked about on the way is asked before those in front are decided on; their ids become runs
/// meanwhile.
#[tokio::test]
async fn what_comes_twice_at_once_counts_once_though_its_ids_become_runs_meanwhile() {
    let (_dir, path) = lived().await;
    let options = Options {
        recent_ids: 300,
        ..Options::default()
    };
    let store = SqliteStore::open_with(&path, &options).expect("opens");
    for round in 0..25 {
        let names = |round: u32| (300 * round..300 * round + 300).map(|name| 2 * name + 1);
        let requests = |again: u32| {
            let number = |name| request(2 * name + again, name);
            names(round).map(number).collect::<Vec<_>>()
        };
        let (first, other, second, held, third, refused) = tokio::join!(
            biased;
            feed(&store, LARGE, 2 * round),
            feed(&store, LARGE, 2 * round + 1),
            feed(&store, LARGE, 2 * round),
            ask(&store, requests(0)),
            feed(&store, LARGE, 2 * round + 1),
            ask(&store, requests(1)),
        );
        let booked = [first, other, second, third].map(|answers| {
            let now = |answer: &&EventAnswer| matches!(answer, Ok(Credited::Now(_)));
            answers.iter().filter(now).count() as u32
        });
        assert_eq!(booked, [LARGE, LARGE, 0, 0], "round {round}");
        assert!(held.iter().all(is_new), "round {round}");
        let used = |answer: &WithdrawalAnswer| *answer == Err(Rejection::ReferenceUsed);
        assert!(refused.iter().all(used), "round {round}");
    }
    assert_eq!(store.audit().await.expect("reads").findings, []);
}

#[tokio::test]
async fn one_that_cannot_be_written_leaves_those_beside_it_alone() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let before = store.summary().await.expect("reads").earned.0;
    feed(&store, LARGE, 0).await;
    assert!(is_new(&ask(&store, vec![request(1, 1)]).await[0]));
    let policy = Policy::default();
    for round in 1..20 {
        // No rule looks at the payout's number; the file knows it already.
        let impossible = vec![request(1, 1_001 + 2 * round)];
        let (events, good, bad, more) = tokio::join!(
            biased;
            feed(&store, 3, 2 * round),
            ask(&store, vec![request(10 + round, 11 + 2 * round)]),
            store.withdraw(NOW, &policy, impossible),
            feed(&store, LARGE, 2 * round + 1),
        );
        assert!(matches!(bad, Err(Fault::Broken(_))), "{bad:?}");
        assert!(is_new(&good[0]), "{good:?}");
        assert_eq!((events.len(), more.len()), (3, LARGE as usize));
    }
    let audited = store.audit().await.expect("audits");
    assert_eq!(audited.findings, []);
    let booked = store.summary().await.expect("reads").earned.0 - before;
    assert_eq!(booked, u64::from(LARGE + 19 * (3 + LARGE)));
}
