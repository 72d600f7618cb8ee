//! Booked events beside their entries, and beside the table of their names.

use std::collections::BTreeMap;

use lingqian_core::audit::{Audit, Finding, Invariant};
use lingqian_core::changes::Posting;
use lingqian_core::earning::Earning;
use lingqian_core::id::{EventId, KindNo, Source};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::chain::EventKey;
use crate::codec::{ENTRY_COLUMNS, damaged, get, id, moment_maybe};

/// Events by their entries. The table of names is compared by a sum that does not depend on the
/// order, so that nothing has to be kept or sorted.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) count: u64,
    pub(crate) sum: i128,
    by_entries: u128,
    stored: (u64, u128),
    /// The last event, as long as its second entry may follow.
    open: Option<(Earning, Posting)>,
    /// What claw-backs took, by source and event.
    taken: BTreeMap<(String, String), i64>,
}

impl Events {
    /// Looks at the next entry.
    pub(crate) fn entry(
        &mut self,
        audit: &mut Audit,
        row: &Row,
        seq: i64,
        entry: &Entry,
    ) -> Result<(), Fault> {
        if matches!(entry.cause(), Cause::Owe | Cause::Repay)
            && let Some((_, posting)) = &mut self.open
        {
            posting.second = Some(entry.clone());
        }
        self.close(audit);
        let Some(earning) = earning(row, entry)? else {
            return Ok(());
        };
        let (source, event) = (earning.source.as_str(), earning.event_id.as_str());
        let weight = EventKey::of(source, event).weight(seq);
        self.count += 1;
        self.sum += i128::from(earning.amount.0);
        self.by_entries = self.by_entries.wrapping_add(weight);
        if let Some(original) = &earning.reverses {
            let key = (source.to_owned(), original.as_str().to_owned());
            let taken = self.taken.entry(key).or_default();
            *taken = taken.saturating_add(earning.amount.0);
        }
        self.open = Some((earning, Posting::from(entry.clone())));
        Ok(())
    }

    /// No entry of the last event follows.
    pub(crate) fn close(&mut self, audit: &mut Audit) {
        let Some((earning, posting)) = self.open.take() else {
            return;
        };
        if !posting.fits(&earning) {
            let subject = format!("{}/{}", earning.source, earning.event_id);
            audit.earning(&subject, earning.amount, None);
        }
    }

    /// A name, and the number of its entry.
    pub(crate) fn name(&mut self, row: &Row) -> Result<(), Fault> {
        let key: EventKey = get(row, 0)?;
        self.stored.0 += 1;
        self.stored.1 = self.stored.1.wrapping_add(key.weight(get(row, 1)?));
        Ok(())
    }

    /// An event of which something was taken back, by its own word.
    pub(crate) fn taken_back(&mut self, audit: &mut Audit, row: &Row) -> Result<(), Fault> {
        let whole = || damaged("taken_back.seq");
        let source = get::<Option<String>>(row, 0)?.ok_or_else(whole)?;
        let event = get::<Option<String>>(row, 1)?.ok_or_else(whole)?;
        let amount = Micros(get::<Option<i64>>(row, 2)?.ok_or_else(whole)?);
        let subject = format!("{source}/{event}");
        let taken = self.taken.remove(&(source, event)).unwrap_or(0);
        audit.clawed(&subject, (amount, Micros(get(row, 3)?)), Micros(taken));
        Ok(())
    }

    /// Everything was seen.
    pub(crate) fn finish(&mut self, audit: &mut Audit) -> Vec<Finding> {
        for ((source, event), taken) in std::mem::take(&mut self.taken) {
            let subject = format!("{source}/{event}");
            audit.clawed(&subject, (Micros(taken), Micros::ZERO), Micros(taken));
        }
        if self.stored == (self.count, self.by_entries) {
            return Vec::new();
        }
        vec![Finding {
            invariant: Invariant::EarningsAreEntries,
            subject: "the names of credited events".into(),
            expected: format!("those of {} entries", self.count),
            found: format!("{} others", self.stored.0),
        }]
    }
}

/// The event whose name an entry bears; its columns follow those of the entry and its chain.
pub(crate) fn earning(row: &Row, entry: &Entry) -> Result<Option<Earning>, Fault> {
    let place = ENTRY_COLUMNS + 2;
    let Some(source) = get::<Option<String>>(row, place)? else {
        return Ok(None);
    };
    let event = |text: &str| id(text, EventId::parse, "entries.event_id");
    let name: String = get(row, place + 1)?;
    let reverses: Option<String> = get(row, place + 5)?;
    let kind: Option<i64> = get(row, place + 3)?;
    let (debit, credit) = (entry.debit(), entry.credit());
    let (user, kind, from) = match (debit, credit, entry.cause()) {
        (debit, Account::Funding(kind), Cause::ClawBack) => (debit.user(), kind, None),
        (Account::Funding(kind), credit, _) => (credit.user(), kind, None),
        (debit, credit, _) => (credit.user(), KindNo(kind.unwrap_or(0)), debit.user()),
    };
    Ok(Some(Earning {
        source: id(&source, Source::parse, "entries.source")?,
        event_id: event(&name)?,
        user: user.ok_or_else(|| damaged("an entry that bears an event's name"))?,
        kind,
        amount: Micros(get::<Option<i64>>(row, place + 4)?.unwrap_or(entry.amount().0)),
        occurred_at: moment_maybe(row, place + 2)?,
        recorded_at: entry.at(),
        from,
        reverses: reverses.as_deref().map(event).transpose()?,
        matures_on: get::<Option<i32>>(row, place + 6)?.map(BusinessDate),
        repaid: Micros::ZERO,
        clawed: Micros::ZERO,
    }))
}
