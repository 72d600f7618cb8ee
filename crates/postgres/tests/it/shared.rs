//! Several stores over one database, as several processes are.

use std::collections::BTreeSet;
use std::time::Duration;

use lingqian_core::command::Command;
use lingqian_core::earning::{Credited, Kind, Terms};
use lingqian_core::id::UserNo;
use lingqian_core::money::Micros;
use lingqian_core::risk::Policy;
use lingqian_core::user::User;
use lingqian_core::{Changes, EventBatch, EventView, Keys, Moment, execute};
use lingqian_io::store::{Committed, earn_by_commands};
use lingqian_io::{Browse as _, Fault, Outbox as _, Store as _};
use lingqian_postgres::PostgresStore;

use crate::given::{NOON, batch, commit, kind, letter, pair, user};
use crate::world::connect;

#[tokio::test]
async fn a_commit_of_another_process_is_a_conflict_exactly_if_it_touches_the_facts() {
    let (ours, theirs, _) = pair(3).await;
    let named = |no| Keys {
        users: BTreeSet::from([user(no).id]),
        ..Keys::default()
    };
    let frozen = |no| Changes {
        users: vec![User {
            frozen: true,
            ..user(no)
        }],
        ..Changes::default()
    };
    let basis = ours.prefetch(named(1)).await.expect("facts").basis;
    commit(&theirs, frozen(2)).await;
    let apart = ours.commit(basis, letter("beside it")).await;
    assert_eq!(
        apart,
        Ok(Committed::Done),
        "facts about user 1 are still true"
    );
    let basis = ours.prefetch(named(2)).await.expect("facts").basis;
    let unfrozen = Changes {
        users: vec![user(2)],
        ..Changes::default()
    };
    commit(&theirs, unfrozen).await;
    let lost = ours.commit(basis, letter("too late")).await;
    assert_eq!(lost, Ok(Committed::Conflict), "facts about user 2 are not");
    assert_eq!(
        ours.commit(basis, letter("again")).await,
        Ok(Committed::Conflict)
    );
    let next = ours.prefetch(Keys::default()).await.expect("facts");
    commit(
        &theirs,
        Changes {
            users: vec![user(next.next_user)],
            ..Changes::default()
        },
    )
    .await;
    let taken = Changes {
        users: vec![User {
            id: user(9).id,
            ..user(next.next_user)
        }],
        ..Changes::default()
    };
    assert_eq!(
        ours.commit(next.basis, taken).await,
        Ok(Committed::Conflict)
    );
    assert_eq!(ours.dead_letters(9).await.expect("letters").len(), 1);
    assert_eq!(ours.audit().await.expect("audits").findings, []);
}

#[tokio::test]
async fn a_price_that_another_process_changed_counts_at_once() {
    let (ours, theirs, _) = pair(1).await;
    let earned = ours
        .earn(NOON, batch([("a".to_owned(), 1)].into_iter()))
        .await;
    assert_eq!(earned, Ok(vec![Ok(Credited::Now(Micros(10)))]));
    let priced = Changes {
        kinds: vec![kind(Some(Micros(7)))],
        ..Changes::default()
    };
    commit(&theirs, priced).await;
    let refused = ours
        .earn(NOON, batch([("b".to_owned(), 1)].into_iter()))
        .await;
    let price = Micros(7);
    let expected = lingqian_core::Rejection::AmountNotThePrice { price };
    assert_eq!(refused, Ok(vec![Err(expected)]));
}

/// Four feeders over two stores send the same events in different orders, fast and slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_come_through_every_process_at_once_are_credited_once() {
    const EVENTS: usize = 600;
    const USERS: i64 = 17;
    let (first, second, _) = pair(USERS).await;
    let mut feeders = Vec::new();
    for feeder in 0..4_usize {
        let store = [&first, &second][feeder % 2].clone();
        feeders.push(tokio::spawn(async move {
            let mut now = 0;
            // Strides that meet every event once.
            let stride = [1, 7, 11, 13][feeder];
            let order: Vec<usize> = (0..EVENTS).map(|place| place * stride % EVENTS).collect();
            for part in order.chunks(25) {
                let events = part.iter().map(|event| {
                    let user = i64::try_from(*event).expect("small") % USERS + 1;
                    (format!("e{event}"), user)
                });
                let events = batch(events);
                let answers = if feeder == 3 {
                    earn_by_commands(&store, NOON, events).await
                } else {
                    store.earn(NOON, events).await
                };
                let answers = answers.expect("it is answered");
                now += answers
                    .iter()
                    .filter(|answer| matches!(answer, Ok(Credited::Now(_))))
                    .count();
            }
            now
        }));
    }
    let mut credited = 0;
    for feeder in feeders {
        credited += feeder.await.expect("no panic");
    }
    assert_eq!(credited, EVENTS, "each event was credited by one of them");
    let audited = first.audit().await.expect("audits");
    assert_eq!(
        (audited.earnings, audited.findings),
        (EVENTS as u64, Vec::new())
    );
}

/// What is refused because another process booked it meanwhile is told to be booked: the cap that
/// refuses it is full of itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_both_processes_are_sent_at_once_is_refused_by_neither() {
    const USERS: i64 = 60;
    let (first, second, _) = pair(USERS).await;
    let capped = Kind {
        terms: Terms {
            user_day_count_max: Some(1),
            ..Terms::default()
        },
        ..kind(None)
    };
    commit(
        &first,
        Changes {
            kinds: vec![capped],
            ..Changes::default()
        },
    )
    .await;
    for round in 1..=USERS {
        let same = || batch([(format!("e{round}"), round)].into_iter());
        let both = futures_util::future::join(first.earn(NOON, same()), second.earn(NOON, same()));
        let (one, other) = both.await;
        let (one, other) = (one.expect("answered"), other.expect("answered"));
        let mut answers = [one, other].concat();
        answers.sort_by_key(|answer| *answer == Ok(Credited::Before));
        let expected = [Ok(Credited::Now(Micros(10))), Ok(Credited::Before)];
        assert_eq!(answers, expected, "round {round}");
    }
    assert_eq!(first.audit().await.expect("audits").findings, []);
}

/// Batches that are under way together, the later ones about the earlier ones; now and then
/// another process books the same, so that the first is decided again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_process_take_effect_in_the_order_in_which_they_came() {
    let (store, other, _) = pair(40).await;
    for round in 0..12 {
        let names = |kind: &'static str| move |event: i64| format!("{kind}{round}-{event}");
        let events = (0..40).map(|event| (names("e")(event), event + 1));
        let mut back = EventBatch::default();
        for event in 0..40 {
            let view = EventView {
                source: "app",
                event_id: &names("b")(event),
                user: &format!("u{}", event + 1),
                kind: "ad_view",
                amount: None,
                occurred_at: None,
                from: None,
                reverses: Some(&names("e")(event)),
            };
            back.push(&view).expect("well formed");
        }
        let again = batch((0..40).map(|event| (names("e")(event), event + 1)));
        let meddles = async {
            if round % 2 == 0 {
                let same = batch((0..9).map(|event| (names("e")(event), event + 1)));
                other.earn(NOON, same).await.expect("answered");
            }
        };
        let calls = async {
            futures_util::future::join3(
                store.earn(NOON, batch(events)),
                store.earn(NOON, back),
                store.earn(NOON, again),
            )
            .await
        };
        let ((first, second, third), ()) = futures_util::future::join(calls, meddles).await;
        assert!(
            first.expect("answered").iter().all(Result::is_ok),
            "round {round}"
        );
        let taken: Vec<_> = second.expect("answered");
        let now = Ok(Credited::Now(Micros(10)));
        assert!(
            taken.iter().all(|answer| *answer == now),
            "round {round}: {taken:?}"
        );
        let third = third.expect("answered");
        assert!(
            third.iter().all(|answer| *answer == Ok(Credited::Before)),
            "round {round}"
        );
    }
    let audited = store.audit().await.expect("audits");
    assert_eq!((audited.earnings, audited.findings), (960, Vec::new()));
}

/// Withdrawals of one user through both processes at once: one wins each round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_spend_the_same_money() {
    let (first, second, _) = pair(1).await;
    let events = (0..10).map(|event| (format!("e{event}"), 1));
    first.earn(NOON, batch(events)).await.expect("earned");
    let hold = |amount| {
        let account = lingqian_core::ledger::Account::Available(UserNo(1));
        let fees = lingqian_core::ledger::Account::Fees;
        let cause = lingqian_core::ledger::Cause::Unexplained;
        let entry = lingqian_core::ledger::Entry::new((account, fees), amount, cause, None, NOON);
        Changes {
            entries: vec![entry.expect("it moves money")],
            ..Changes::default()
        }
    };
    let mut spenders = Vec::new();
    for spender in 0..6_usize {
        let store = [&first, &second][spender % 2].clone();
        spenders.push(tokio::spawn(async move {
            let keys = Keys {
                wallets: BTreeSet::from([user(1).id]),
                ..Keys::default()
            };
            let mut spent = 0;
            loop {
                let facts = store.prefetch(keys.clone()).await.expect("facts");
                if facts.wallet(UserNo(1)).available < Micros(30) {
                    return spent;
                }
                match store.commit(facts.basis, hold(Micros(30))).await {
                    Ok(Committed::Done) => spent += 30,
                    Ok(Committed::Conflict) => {}
                    Err(fault) => panic!("{fault}"),
                }
            }
        }));
    }
    let mut spent = 0;
    for spender in spenders {
        spent += spender.await.expect("no panic");
    }
    assert_eq!(spent, 90, "of a hundred, three times thirty");
    assert_eq!(first.audit().await.expect("audits").findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folding_at_any_time_and_twice_changes_no_balance() {
    let (first, second, url) = pair(2).await;
    for round in 0..20 {
        let events = (0..3).map(|event| (format!("{round}-{event}"), event % 2 + 1));
        first.earn(NOON, batch(events)).await.expect("earned");
        let (a, b) = tokio::join!(first.fold(), second.fold());
        assert_eq!((a, b), (Ok(()), Ok(())));
    }
    let events = [("last".to_owned(), 1)].into_iter();
    first.earn(NOON, batch(events)).await.expect("earned");
    let parts = "SELECT (SELECT sum(balance_micros) FROM system_accounts)::bigint, \
                 (SELECT sum(delta_micros) FROM system_deltas)::bigint";
    let parts = connect(&url)
        .await
        .query_one(parts, &[])
        .await
        .expect("a row");
    assert_eq!((parts.get(0), parts.get(1)), (-600_i64, -10_i64));
    assert_eq!(first.audit().await.expect("audits").findings, []);
}

/// Futures that are dropped anywhere leave no transaction behind in the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_nothing_half_done() {
    let (store, other, url) = pair(5).await;
    for round in 0..150_u64 {
        let wait = Duration::from_micros(fastrand::u64(0..4_000));
        let events = (0..5).map(|event| (format!("r{round}-{event}"), event + 1));
        let events = batch(events);
        if round % 3 == 0 {
            let keys = Keys {
                wallets: BTreeSet::from([user(1).id]),
                ..Keys::default()
            };
            let _ = tokio::time::timeout(wait, store.prefetch(keys)).await;
        } else if round % 3 == 1 {
            let _ = tokio::time::timeout(wait, store.earn(NOON, events)).await;
        } else {
            let _ = tokio::time::timeout(wait, earn_by_commands(&store, NOON, events)).await;
        }
        if round % 10 == 0 {
            let events = [(format!("sure-{round}"), 1)].into_iter();
            let earned = store.earn(NOON, batch(events)).await;
            assert_eq!(earned, Ok(vec![Ok(Credited::Now(Micros(10)))]));
            let events = [(format!("sure-{round}"), 1)].into_iter();
            let seen = other.earn(NOON, batch(events)).await;
            assert_eq!(
                seen,
                Ok(vec![Ok(Credited::Before)]),
                "others see what was answered"
            );
        }
    }
    // What goes on by itself ends.
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    let books = connect(&url).await;
    let began = std::time::Instant::now();
    while books
        .query_one(idle, &[])
        .await
        .expect("a row")
        .get::<_, i64>(0)
        > 0
    {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "a transaction was left behind"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.audit().await.expect("audits").findings, []);
}

/// The end of the chain is locked by somebody who stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_for_another_is_told_to_come_again() {
    let (store, _, url) = pair(1).await;
    let still = connect(&url).await;
    still
        .batch_execute("BEGIN; SELECT * FROM chain_head FOR UPDATE")
        .await
        .expect("locked");
    let earned = store
        .earn(NOON, batch([("a".to_owned(), 1)].into_iter()))
        .await;
    assert!(matches!(earned, Err(Fault::Retry(_))), "{earned:?}");
    still.batch_execute("ROLLBACK").await.expect("free");
    let earned = store
        .earn(NOON, batch([("a".to_owned(), 1)].into_iter()))
        .await;
    assert_eq!(earned, Ok(vec![Ok(Credited::Now(Micros(10)))]));
}

#[tokio::test]
async fn a_statement_does_not_lose_its_way_in_a_long_chain() {
    let (store, _, _) = pair(2).await;
    for round in 0..5 {
        let events = (0..40).map(|event| (format!("{round}-{event}"), event % 2 + 1));
        store.earn(NOON, batch(events)).await.expect("earned");
    }
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let lines = store.statement(UserNo(2), before, 7).await.expect("lines");
        let Some(last) = lines.last() else { break };
        before = Some(last.seq);
        seen.extend(lines.iter().map(|line| line.seq));
    }
    let expected: Vec<i64> = (1..=100).map(|place| place * 2).rev().collect();
    assert_eq!(seen, expected);
    // A number that is not the user's own is a place to begin as well.
    let lines = store
        .statement(UserNo(2), Some(101), 2)
        .await
        .expect("lines");
    assert_eq!(
        lines.iter().map(|line| line.seq).collect::<Vec<_>>(),
        [100, 98]
    );
}

#[tokio::test]
async fn who_copies_and_who_writes_keep_each_other_out() {
    let (first, second, _) = pair(1).await;
    // The first has written, so that it may write again at any time.
    let refused = second.alone().await.map(drop);
    assert!(
        matches!(&refused, Err(Fault::Held(words)) if words.contains("stop")),
        "{refused:?}"
    );
    drop(first);
    let mut waited = 0;
    let alone = loop {
        match second.alone().await {
            Ok(alone) => break alone,
            Err(fault) if waited > 100 => panic!("{fault:?}"),
            Err(_) => waited += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let refused = second.ready().await;
    assert!(
        matches!(&refused, Err(Fault::Held(words)) if words.contains("copies")),
        "{refused:?}"
    );
    assert_eq!(
        second
            .user(&user(1).id, NOON.business_date())
            .await
            .map(|u| u.is_some()),
        Ok(true)
    );
    assert!(alone.is_held().await);
    drop(alone);
    let mut waited = 0;
    while let Err(fault) = second.ready().await {
        assert!(waited < 100, "{fault:?}");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn frozen(no: i64, frozen: bool) -> Command {
    Command::SetFrozen {
        user: user(no).id,
        frozen,
        act: None,
    }
}

/// Freezes and frees a user many times, by the rules, against whoever else commits.
async fn freeze_and_free(store: PostgresStore, no: i64, times: u32) {
    let policy = Policy::default();
    let moment = Moment {
        now: NOON,
        policy: &policy,
    };
    for time in 0..times {
        let command = frozen(no, time % 2 == 0);
        loop {
            let facts = store.prefetch(Keys::of([&command].into_iter(), NOON)).await;
            let facts = facts.expect("facts");
            let (changes, _) = execute(&moment, &command, &facts).expect("it is allowed");
            if store.commit(facts.basis, changes).await.expect("a commit") == Committed::Done {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_saw_a_notice_never_finds_a_new_one_before_it() {
    const TIMES: u32 = 25;
    let (ours, theirs, _) = pair(4).await;
    let writers = [(1, &ours), (2, &theirs), (3, &ours), (4, &theirs)];
    let writers: Vec<_> = writers
        .into_iter()
        .map(|(no, store)| tokio::spawn(freeze_and_free(store.clone(), no, TIMES)))
        .collect();
    // What follows the last number that was seen is all that a reader ever asks for.
    let (mut seen, mut told) = (0, Vec::new());
    loop {
        let over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        for next in theirs.notices(seen, 3).await.expect("notices") {
            assert_eq!(next.number, seen + 1, "no gap, at any moment");
            seen = next.number;
            told.push(next.notice);
        }
        if over && theirs.newest_notice().await == Ok(seen) {
            break;
        }
    }
    for writer in writers {
        writer.await.expect("it worked");
    }
    for no in 1..=4 {
        let own = told
            .iter()
            .filter(|notice| notice.user == Some(user(no).id));
        let events: Vec<&str> = own.map(|notice| notice.event.name()).collect();
        let expected = (0..TIMES).map(|time| ["user.frozen", "user.unfrozen"][time as usize % 2]);
        assert_eq!(
            events,
            expected.collect::<Vec<&str>>(),
            "each change once, in its order"
        );
    }
    assert_eq!(
        told,
        ours.notices(0, 999)
            .await
            .expect("notices")
            .into_iter()
            .map(|told| told.notice)
            .collect::<Vec<_>>()
    );
}
