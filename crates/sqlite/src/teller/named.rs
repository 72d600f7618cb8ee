//! By which names the withdrawals of a commit are known: most by those in their holds.

use std::collections::{BTreeSet, HashMap};

use lingqian_core::Changes;
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::id::{MerchantNo, PayoutId, Reference, UserNo};
use lingqian_core::ledger::{Cause, Entry};
use lingqian_io::Fault;
use rusqlite::Connection;

use super::commands::refused;
use crate::ids::{key_print, reference_print};
use crate::ledger::Ledger;
use crate::record::{Keyed, Request};

/// The names of a commit's new payouts.
#[derive(Debug, Default)]
pub(super) struct Named<'c> {
    /// Requests whose holds are in the same commit.
    pub(super) requests: HashMap<PayoutId, Request<'c>>,
    /// References that no hold bears.
    pub(super) references: Vec<(Reference, PayoutId)>,
    /// Places of answers that no hold bears.
    pub(super) answers: Vec<usize>,
    /// Whose payouts are new.
    pub(super) people: Vec<(UserNo, MerchantNo)>,
}

/// Finds them, and refuses a name that is used a second time.
pub(super) fn named<'c>(
    ledger: &Ledger,
    connection: &Connection,
    changes: &'c Changes,
) -> Result<Named<'c>, Fault> {
    let mut named = Named::default();
    if changes.payouts.is_empty() && changes.answers.is_empty() {
        return Ok(named);
    }
    let mut holds: HashMap<PayoutId, &Entry> = HashMap::new();
    let entries = changes.entries.iter();
    for entry in entries.filter(|entry| entry.cause() == Cause::Hold) {
        if let Some(payout) = entry.payout() {
            holds.entry(payout).or_insert(entry);
        }
    }
    references(ledger, connection, changes, &holds, &mut named)?;
    answers(ledger, connection, changes, &holds, &mut named)?;
    Ok(named)
}

fn references<'c>(
    ledger: &Ledger,
    connection: &Connection,
    changes: &'c Changes,
    holds: &HashMap<PayoutId, &'c Entry>,
    named: &mut Named<'c>,
) -> Result<(), Fault> {
    let mut seen = HashMap::new();
    for (payout, _) in &changes.payouts {
        let reference = &payout.reference;
        let text = reference.as_str();
        let known = match seen.insert(text, payout.id) {
            Some(known) => Some(known),
            None => {
                let print = reference_print(&ledger.key, text);
                let old = ledger.ids.may_be_old(print);
                ledger.withdrawal(connection, text, (print, old))?
            }
        };
        match known {
            Some(known) if known == payout.id => continue,
            Some(_) => return Err(refused("a reference names one payout")),
            None => {}
        }
        named.people.push((payout.user, payout.merchant));
        if holds.contains_key(&payout.id) {
            let request = Request {
                reference: text,
                key: None,
            };
            named.requests.insert(payout.id, request);
        } else {
            named.references.push((reference.clone(), payout.id));
        }
    }
    Ok(())
}

fn answers<'c>(
    ledger: &Ledger,
    connection: &Connection,
    changes: &'c Changes,
    holds: &HashMap<PayoutId, &'c Entry>,
    named: &mut Named<'c>,
) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (place, (key, answer)) in changes.answers.iter().enumerate() {
        let print = key_print(&ledger.key, &key.scope, &key.key);
        let old = ledger.ids.may_be_old(print);
        let known = ledger.remembered(connection, key, (print, old))?;
        if known.is_some() || !seen.insert(key) {
            return Err(refused("a key is answered once"));
        }
        let keyed = Keyed {
            scope: &key.scope,
            key: &key.key,
            digest: &answer.digest,
        };
        let told = holds
            .get(&answer.payout)
            .is_some_and(|hold| tells(hold, answer));
        match named.requests.get_mut(&answer.payout) {
            Some(request) if told && request.key.is_none() => request.key = Some(keyed),
            _ => named.answers.push(place),
        }
    }
    Ok(())
}

/// Whether a hold tells what a key was answered with.
fn tells(hold: &Entry, answer: &RememberedAnswer) -> bool {
    answer.amount.micros() == Some(hold.amount()) && answer.created_at == hold.at()
}
