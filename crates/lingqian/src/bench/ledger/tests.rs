//! A bench that finds nothing wrong is worth something only if it would find it.

use std::sync::Arc;

use lingqian_core::earning::Credited;
use lingqian_core::id::PayoutId;
use lingqian_core::money::Micros;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, EventBatch, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::{
    Audited, Browse as _, Claim, Committed, EventAnswer, Store, WithdrawalAnswer,
};
use lingqian_io::twin::MemoryStore;
use tokio::sync::Mutex;

use crate::bench::ledger::check::{Verdict, audit, balances, sums};
use crate::bench::ledger::drive::Driver;
use crate::bench::ledger::model::Happened;
use crate::bench::ledger::open::{NO_KIND, open_books};
use crate::bench::ledger::plan::Plan;
use crate::bench::load::Load;
use crate::bench::machine::Meter;
use crate::bench::options::{Habit, Ids, LedgerOptions, Share, Spread};
use crate::bench::sheet::Sheet;

/// How a store lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Never,
    /// The last event of each batch is answered as credited and not booked.
    Loses,
    /// The first event of each batch is answered as one that was known before.
    Miscounts,
}

/// Takes calls in the order in which they are made, as the real stores do.
#[derive(Clone)]
struct Liar(MemoryStore, Lie, Arc<Mutex<()>>);

impl Store for Liar {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.0.prefetch(keys).await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.0.commit(basis, changes).await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let _turn = self.2.lock().await;
        if events.iter().all(|event| event.kind == NO_KIND) {
            return self.0.earn(now, events).await;
        }
        let mut kept = EventBatch::default();
        let lost = usize::from(self.1 == Lie::Loses);
        for event in events.iter().take(events.len() - lost) {
            kept.push(&event).expect("it was well formed");
        }
        let mut answers = self.0.earn(now, kept).await?;
        if let Some(first) = answers.first_mut().filter(|_| self.1 == Lie::Miscounts) {
            *first = Ok(Credited::Before);
        }
        let amount = |place| events.get(place).and_then(|event| event.amount);
        let swallowed = (events.len() - lost..events.len()).map(amount);
        answers.extend(swallowed.map(|amount| Ok(Credited::Now(amount.unwrap_or(Micros(2_500))))));
        Ok(answers)
    }

    async fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> Result<Vec<WithdrawalAnswer>, Fault> {
        let _turn = self.2.lock().await;
        self.0.withdraw(now, policy, requests).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.0.claim(claim).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.0.audit().await
    }
}

/// What a bench of 3,000 entries finds wrong with such a store.
async fn found(lie: Lie, mix: Habit) -> String {
    let options = LedgerOptions {
        entries: 3_000,
        users: Some(40),
        batch: 200,
        spread: Spread::Zipf,
        ids: Ids::RandomHex,
        duplicates: Share(20_000),
        withdrawals: Share(50_000),
        mix,
        claw_backs: Share(60_000),
        transfers: Share(120_000),
        in_flight: 2,
        slice: 1_000,
        seed: 11,
        dir: None,
        reopen: None,
        kills: 1,
        resume_at: None,
        read: None,
        sync_probe: false,
        beside: None,
        beside_postgres: None,
        beside_tigerbeetle: None,
        no_audit: false,
        harness: false,
    };
    let load = Load::new(options.seed, 40, options.spread, options.ids);
    let load = load.with(options.habits());
    let store = Liar(MemoryStore::default(), lie, Arc::default());
    let opened = open_books(&store, load.users(), mix).await;
    opened.expect("users");
    let mut plan = Plan::new(&load, &options);
    let size = (options.in_flight, options.entries);
    let mut driver = Driver::new(store.clone(), size, Meter::default());
    loop {
        let batches = plan.slice(options.slice);
        if batches.is_empty() {
            break;
        }
        driver.run(batches).await.expect("every batch is answered");
    }
    let expected = plan.expected();
    assert_eq!(expected.entries(), 3_000);
    assert!(expected.withdrawn > 50, "{expected:?}");
    if mix == Habit::Full {
        happened(&plan);
    }
    let mut verdict = Verdict::default();
    let summary = store.0.summary().await.expect("a summary");
    sums(&mut verdict, &driver.tally, &summary, &plan);
    balances(&mut verdict, &store, plan.balances())
        .await
        .expect("balances");
    let mut sheet = Sheet::default();
    sheet.section("check");
    audit(&mut sheet, &mut verdict, (&store, false), &plan)
        .await
        .expect("an audit");
    verdict.put(&mut sheet);
    let sheet = serde_json::to_value(&sheet).expect("JSON");
    let words = sheet["check"]["lost_or_wrong"].as_str().expect("words");
    assert_eq!(verdict.is_good(), words == "nothing");
    words.to_owned()
}

/// Expects that the full mix has something of everything.
fn happened(plan: &Plan<'_>) {
    let happened = plan.happened();
    let Happened {
        taken_back,
        owed,
        repaid,
        given,
        cooling,
        refused,
        second_entries,
    } = happened;
    let counts = [taken_back, owed, repaid, given, cooling, second_entries];
    assert!(counts.into_iter().all(|count| *count > 0), "{happened:?}");
    for code in [
        "unknown_user",
        "day_cap_reached",
        "insufficient_funds",
        "unknown_event",
        "not_reversible",
        "already_taken_back",
        "amount_out_of_range",
        "sender_is_receiver",
    ] {
        assert!(refused.contains_key(code), "{code}: {refused:?}");
    }
    assert!(plan.expected().not_withdrawn > 0);
}

#[tokio::test]
async fn a_store_that_keeps_everything_passes_and_one_that_lies_does_not() {
    for mix in [Habit::Plain, Habit::Full] {
        assert_eq!(found(Lie::Never, mix).await, "nothing");
        let lost = found(Lie::Loses, mix).await;
        for what in ["booked events", "users whose balances differ", "audited"] {
            assert!(lost.contains(what), "{what}: {lost}");
        }
    }
    let miscounted = found(Lie::Miscounts, Habit::Plain).await;
    assert!(miscounted.starts_with("answers"), "{miscounted}");
    assert!(!miscounted.contains("balances"), "{miscounted}");
    let miscounted = found(Lie::Miscounts, Habit::Full).await;
    assert!(miscounted.contains("otherwise"), "{miscounted}");
}
