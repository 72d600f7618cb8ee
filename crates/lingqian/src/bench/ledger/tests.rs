//! A bench that finds nothing wrong is worth something only if it would find it.

use lingqian_core::earning::Credited;
use lingqian_core::id::PayoutId;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::{Audited, Browse as _, Claim, Committed, EventAnswer, Store};
use lingqian_io::twin::MemoryStore;

use crate::bench::ledger::check::{Verdict, audit, balances, sums};
use crate::bench::ledger::drive::Driver;
use crate::bench::ledger::open::open_books;
use crate::bench::ledger::plan::Plan;
use crate::bench::load::Load;
use crate::bench::options::{Ids, LedgerOptions, Share, Spread};
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

#[derive(Clone)]
struct Liar(MemoryStore, Lie);

impl Store for Liar {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.0.prefetch(keys).await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.0.commit(basis, changes).await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
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

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.0.claim(claim).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.0.audit().await
    }
}

/// What a bench of 3,000 entries finds wrong with such a store.
async fn found(lie: Lie) -> String {
    let options = LedgerOptions {
        entries: 3_000,
        users: Some(40),
        batch: 200,
        spread: Spread::Zipf,
        ids: Ids::RandomHex,
        duplicates: Share(20_000),
        withdrawals: Share(50_000),
        in_flight: 2,
        slice: 1_000,
        seed: 11,
        dir: None,
        reopen: false,
        read: None,
        sync_probe: false,
        beside: None,
        no_audit: false,
        harness: false,
    };
    let load = Load::new(options.seed, 40, options.spread, options.ids);
    let store = Liar(MemoryStore::default(), lie);
    open_books(&store, load.users()).await.expect("users");
    let mut plan = Plan::new(&load, &options);
    let mut driver = Driver::new(store.clone(), options.in_flight, options.entries);
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
    let mut verdict = Verdict::default();
    let summary = store.0.summary().await.expect("a summary");
    sums(&mut verdict, &driver.tally, &summary, &expected);
    balances(&mut verdict, &store, plan.balances())
        .await
        .expect("balances");
    let mut sheet = Sheet::default();
    sheet.section("check");
    audit(&mut sheet, &mut verdict, (&store, false), &expected)
        .await
        .expect("an audit");
    verdict.put(&mut sheet);
    let sheet = serde_json::to_value(&sheet).expect("JSON");
    let words = sheet["check"]["lost_or_wrong"].as_str().expect("words");
    assert_eq!(verdict.is_good(), words == "nothing");
    words.to_owned()
}

#[tokio::test]
async fn a_store_that_keeps_everything_passes_and_one_that_lies_does_not() {
    assert_eq!(found(Lie::Never).await, "nothing");
    let lost = found(Lie::Loses).await;
    for what in ["booked events", "users whose balances differ", "audited"] {
        assert!(lost.contains(what), "{what}: {lost}");
    }
    let miscounted = found(Lie::Miscounts).await;
    assert!(miscounted.starts_with("answers"), "{miscounted}");
    assert!(!miscounted.contains("balances"), "{miscounted}");
}
