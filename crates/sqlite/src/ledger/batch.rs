//! What a batch of entries changes in the file, on its way there.

use std::sync::Arc;

use lingqian_core::ledger::Account;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use rusqlite::{Connection, params};

use super::{Ledger, Totals};
use crate::accounts::StoredChunk;
use crate::codec::fault;
use crate::ids::SealedRun;
use crate::page::{Hash, Page, insert};
use crate::prefetch::cached;
use crate::sql;

/// A whole turn of all chunks to their rows takes at least so many entries,
const TURN_ENTRIES_MIN: u64 = 1 << 16;
/// and at most so many. Opening replays at most two turns.
const TURN_ENTRIES_MAX: u64 = 1 << 21;

/// What the file knows about itself beyond its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Every chunk of accounts holds at least up to this entry.
    pub(crate) replay_from: u64,
    /// The ids of events up to this entry are in runs.
    pub(crate) sealed_to: u64,
    pub(crate) totals: Totals,
}

/// What a batch changes.
pub(crate) struct Batch {
    pages: Vec<Arc<Page>>,
    system: Vec<(Account, i64)>,
    state: State,
    chunks: Vec<StoredChunk>,
    sources: Vec<(u32, String)>,
    clawed: Vec<(u64, i64)>,
    pub(crate) sealed: Option<Arc<SealedRun>>,
    /// Ids that it adds.
    pub(crate) ids: u64,
    /// The newest entry.
    pub(crate) last: u64,
}

impl Ledger {
    /// Takes what changed since the last batch.
    pub(crate) fn batch(&mut self, today: BusinessDate) -> Batch {
        self.turn_page();
        let sealed = self.ids.seal();
        if sealed.is_some() {
            self.state.sealed_to = self.last;
        }
        let entries = self.last - self.batch_began;
        self.batch_began = self.last;
        let turn = (self.accounts.users() as u64 * 2).clamp(TURN_ENTRIES_MIN, TURN_ENTRIES_MAX);
        self.accounts.see(today);
        let (chunks, ended) = self.accounts.carry(self.last, entries, turn);
        if let Some(held) = ended {
            self.state.replay_from = held;
        }
        self.state.totals = self.totals;
        let pages = std::mem::take(&mut self.finished);
        self.kept.extend(pages.iter().cloned());
        let new_sources = std::mem::take(&mut self.new_sources).into_iter();
        let new_clawed = std::mem::take(&mut self.new_clawed).into_iter();
        Batch {
            system: self.system.take_moved(),
            sources: new_sources
                .map(|number| (number, self.source_names[number as usize].clone()))
                .collect(),
            clawed: new_clawed
                .map(|seq| (seq, self.clawed.get(&seq).copied().unwrap_or(0)))
                .collect(),
            pages,
            state: self.state,
            chunks,
            sealed,
            ids: self.ids.take_added(),
            last: self.last,
        }
    }
}

impl Batch {
    /// About how much it writes.
    pub(crate) fn bytes(&self) -> usize {
        let pages: usize = self.pages.iter().map(|page| page.body.len()).sum();
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.body.len()).sum();
        let sealed = self.sealed.as_ref().map_or(0, |run| run.bytes());
        pages + chunks + sealed
    }

    /// Writes everything; tells the hash of the last page. The caller holds the transaction.
    pub(crate) fn write(&self, connection: &Connection, before: &Hash) -> Result<Hash, Fault> {
        let mut hash = *before;
        for page in &self.pages {
            hash = page.hash(&hash);
            insert(connection, page, &hash)?;
        }
        let mut upsert = cached(connection, sql!("upsert_account"))?;
        for (account, balance) in &self.system {
            let (class, owner) = account.code();
            upsert.execute([class, owner, *balance]).map_err(fault)?;
        }
        let mut insert = cached(connection, sql!("insert_source"))?;
        for (number, name) in &self.sources {
            insert.execute(params![number, name]).map_err(fault)?;
        }
        let mut upsert = cached(connection, sql!("upsert_clawed"))?;
        for (seq, amount) in &self.clawed {
            upsert
                .execute([seq.cast_signed(), *amount])
                .map_err(fault)?;
        }
        for chunk in &self.chunks {
            chunk.write(connection)?;
        }
        if let Some(sealed) = &self.sealed {
            sealed.write(connection)?;
        }
        let State {
            replay_from,
            sealed_to,
            totals,
        } = self.state;
        let values = params![
            replay_from.cast_signed(),
            sealed_to.cast_signed(),
            totals.available,
            totals.held,
            totals.owed,
            totals.events.cast_signed(),
            totals.events_sum,
        ];
        let mut update = cached(connection, sql!("update_ledger"))?;
        update.execute(values).map_err(fault)?;
        Ok(hash)
    }
}
