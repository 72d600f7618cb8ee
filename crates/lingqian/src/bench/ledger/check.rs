//! What was lost: the answers, every balance and the books' own word against what the generator
//! knows.

use std::collections::BTreeSet;
use std::process::ExitCode;

use lingqian_core::Keys;
use lingqian_core::money::Micros;
use lingqian_io::store::Summary;
use lingqian_io::{Clock as _, Store};

use crate::NEEDS_A_PERSON;
use crate::bench::ledger::model::Balance;
use crate::bench::ledger::plan::{Plan, Tally};
use crate::bench::load::user_id;
use crate::bench::sheet::Sheet;
use crate::progress::Stage;
use crate::world::RealClock;

/// Users whose balances are read together.
const PAGE: usize = 10_000;

/// What was compared and what differs.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What differs, in words; empty when all is well.
    wrong: Vec<String>,
}

impl Verdict {
    /// Whether all is well.
    pub(crate) fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What the bench ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NEEDS_A_PERSON)
        }
    }

    /// Compares one thing.
    pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        found: &T,
        expected: &T,
    ) {
        if found != expected {
            let words = format!("{what}: found {found:?}, expected {expected:?}");
            self.wrong.push(words);
        }
    }

    /// Writes it down.
    pub(crate) fn put(&self, sheet: &mut Sheet) {
        let lost = if self.wrong.is_empty() {
            "nothing".to_owned()
        } else {
            self.wrong.join("; ")
        };
        sheet.put("lost_or_wrong", lost);
    }
}

/// Compares what was answered and what the books sum up with what was sent.
pub(crate) fn sums(verdict: &mut Verdict, answered: &Tally, summary: &Summary, plan: &Plan<'_>) {
    let expected = plan.expected();
    verdict.equal("answers", answered, &expected);
    let earned = (expected.credited, expected.micros);
    verdict.equal("booked events and their sum", &summary.earned, &earned);
    let sum = |read: fn(&Balance) -> Micros| -> i128 {
        let each = plan.balances().iter().map(read);
        each.map(|micros| i128::from(micros.0)).sum()
    };
    let hold = (
        sum(|balance| balance.available),
        sum(|balance| balance.held),
    );
    verdict.equal("what users hold", &summary.users_hold, &hold);
    let owe = sum(|balance| balance.owed);
    verdict.equal("what users owe", &summary.users_owe, &owe);
    let payouts = summary.payouts.iter();
    let (count, fen) = payouts.fold((0, 0), |(count, fen), (_, more, amount)| {
        (count + more, fen + i128::from(*amount))
    });
    let payouts = (expected.withdrawn, expected.fen);
    verdict.equal("payouts and their sum", &(count, fen), &payouts);
}

/// Compares every user's balances.
///
/// # Errors
/// When the store fails.
pub(crate) async fn balances<S: Store>(
    verdict: &mut Verdict,
    store: &S,
    expected: &[Balance],
) -> anyhow::Result<()> {
    let stage = Stage::begin("compare", "balances", Some(expected.len() as u64));
    let day = RealClock::default().business().business_date();
    let mut differ = 0_u64;
    for (page, expected) in expected.chunks(PAGE).enumerate() {
        let first = u32::try_from(page * PAGE)?;
        let names = (first..).take(expected.len()).map(user_id);
        let wallets: BTreeSet<_> = names.collect();
        let keys = Keys {
            users: wallets.clone(),
            wallets: wallets.clone(),
            day,
            ..Keys::default()
        };
        let facts = store.prefetch(keys).await?;
        // Names have one length, so they are in the order of their numbers.
        for (name, expected) in wallets.iter().zip(expected) {
            let user = facts.user(name).map(|user| facts.wallet(user.no));
            let found = user.map(|wallet| Balance {
                available: wallet.available,
                held: wallet.held,
                owed: wallet.owed,
            });
            if found != Some(*expected) {
                differ += 1;
            }
        }
        stage.advance(expected.len() as u64);
    }
    stage.end();
    verdict.equal("users whose balances differ", &differ, &0);
    Ok(())
}

/// Lets the auditor derive everything anew, unless nobody wants it.
///
/// # Errors
/// When the store fails.
pub(crate) async fn audit<S: Store>(
    sheet: &mut Sheet,
    verdict: &mut Verdict,
    (store, left_out): (&S, bool),
    plan: &Plan<'_>,
) -> anyhow::Result<()> {
    let expected = plan.expected();
    if left_out {
        sheet.put("audit", "left out, as was wished");
        return Ok(());
    }
    let stage = Stage::begin("audit", "entries", None);
    let audited = store.audit().await?;
    stage.at(audited.entries);
    let rate = stage.end();
    verdict.equal("findings of the audit", &audited.findings, &Vec::new());
    verdict.equal("audited events", &audited.earnings, &expected.credited);
    verdict.equal("audited payouts", &audited.payouts, &expected.withdrawn);
    let entries = expected.entries() + plan.happened().second_entries;
    verdict.equal("audited entries", &audited.entries, &entries);
    let word = if audited.findings.is_empty() {
        "all invariants hold"
    } else {
        "BROKEN"
    };
    sheet
        .put("audit", word)
        .put("audited_entries", audited.entries)
        .put("audited_per_second", rate.per_second);
    Ok(())
}
