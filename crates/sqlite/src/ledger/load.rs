//! Reading the books from the file, and replaying what the stored accounts do not have yet.

use std::collections::{BTreeMap, HashMap, VecDeque};

use lingqian_core::id::{KindNo, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_io::Fault;
use rusqlite::Connection;

use super::taken_back::{Fresh, TakenBack};
use super::{Ledger, Prints, Rows, State, System, Totals, kind_of, users};
use crate::accounts::Accounts;
use crate::codec::{damaged, fault, get};
use crate::ids::{self, fingerprint};
use crate::names::{Key, Names};
use crate::page::{Draft, Line, last, walk};
use crate::prefetch::{cached, kinds};
use crate::sql;

/// The file's own row.
pub(crate) fn state(connection: &Connection) -> Result<(Key, State), Fault> {
    let mut query = cached(connection, sql!("ledger"))?;
    let mut rows = query.query([]).map_err(fault)?;
    let row = rows.next().map_err(fault)?;
    let row = row.ok_or_else(|| damaged("ledger"))?;
    let number = |index| get::<i64>(row, index).map(i64::unsigned_abs);
    let state = State {
        replay_from: number(1)?,
        sealed_to: number(2)?,
        totals: Totals {
            available: get(row, 3)?,
            held: get(row, 4)?,
            owed: get(row, 5)?,
            events: number(6)?,
            events_sum: get(row, 7)?,
        },
    };
    Ok((get(row, 0)?, state))
}

/// Every source of events by its number.
pub(crate) fn sources(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut query = cached(connection, sql!("sources"))?;
    let names = query.query_map([], |row| row.get(1)).map_err(fault)?;
    names.collect::<Result<_, _>>().map_err(fault)
}

impl Ledger {
    /// Reads the books; so many ids are kept in memory. The caller holds a transaction, so that all of it is of one moment.
    ///
    /// # Errors
    /// A fault; [`Fault::Broken`] names the page that is damaged.
    pub(crate) fn load(connection: &Connection, recent_ids: usize) -> Result<Ledger, Fault> {
        let (key, state) = state(connection)?;
        let source_names = sources(connection)?;
        let numbered = (0_u32..).zip(&source_names);
        let sources: HashMap<String, u32> = numbered
            .map(|(number, name)| (name.clone(), number))
            .collect();
        let (last, _) = last(connection)?;
        let mut ledger = Ledger {
            key,
            kinds: kinds(connection)?,
            names: Names::default(),
            accounts: Accounts::new(state.replay_from),
            ids: ids::load(connection, key, recent_ids)?,
            sources,
            source_names,
            new_sources: Vec::new(),
            system: System::new(&system(connection)?),
            totals: state.totals,
            clawed: HashMap::new(),
            new_clawed: Vec::new(),
            last,
            batch_began: last,
            draft: Draft::new(last + 1),
            finished: Vec::new(),
            kept: VecDeque::new(),
            durable: last,
            state,
            merchant: None,
            rows: Rows::default(),
            withdrawals: 0,
            broken: false,
        };
        let from = state.replay_from.min(state.sealed_to) + 1;
        let mut taken_back = TakenBack::default();
        walk(connection, from, |page, _| {
            for line in page.lines() {
                let line = line?;
                if line.seq > state.replay_from {
                    let fresh = ledger.replay(connection, &line)?;
                    ledger.replay_terms(&line, fresh);
                    taken_back.note(&line, fresh);
                }
                if line.seq > state.sealed_to {
                    ledger.replay_id(&line)?;
                }
            }
            Ok(())
        })?;
        taken_back.replay(connection, &mut ledger)?;
        // Their share of merging was done when they came.
        ledger.ids.take_added();
        Ok(ledger)
    }

    /// Moves the money of an entry; tells the users whose accounts did not hold it yet.
    fn replay(&mut self, connection: &Connection, line: &Line<'_>) -> Result<Fresh, Fault> {
        let record = &line.record;
        self.accounts.see(record.at.business_date());
        let (mut fresh, mut touched) = ([None; 2], 0);
        for user in users(record.debit, record.credit) {
            self.accounts.load(connection, user)?;
            if !self.accounts.holds(user, line.seq) && !fresh.contains(&Some(user)) {
                fresh[touched] = Some(user);
                touched += 1;
            }
        }
        for (account, amount) in [
            (record.debit, -record.amount.0),
            (record.credit, record.amount.0),
        ] {
            if let Some(user) = account.user().filter(|user| fresh.contains(&Some(*user))) {
                self.replay_balance(user, account, amount, line.seq)?;
            }
        }
        Ok(fresh)
    }

    fn replay_balance(
        &mut self,
        user: UserNo,
        account: Account,
        amount: i64,
        seq: u64,
    ) -> Result<(), Fault> {
        let lost = || damaged("pages, an entry beyond its user's balance,");
        let own = self.accounts.get_mut(user).ok_or_else(lost)?;
        let (balance, amount) = match account {
            Account::Held(_) => (&mut own.held, amount),
            Account::Receivable(_) => (&mut own.owed, -amount),
            _ => (&mut own.available, amount),
        };
        *balance = balance.checked_add(amount).ok_or_else(lost)?;
        own.newest = seq;
        Ok(())
    }

    /// What counted towards a day, and what cools off.
    fn replay_terms(&mut self, line: &Line<'_>, fresh: Fresh) {
        let record = &line.record;
        let day = record.at.business_date();
        if record.counted
            && let Some(user) = record.debit.user().or(record.credit.user())
            && fresh.contains(&Some(user))
        {
            let kind = kind_of(record, &line.names).unwrap_or(KindNo::TOP_UP);
            let totals = self.accounts.kind_day(user, kind).on(day);
            if let Some(totals) = totals.with(record.amount) {
                self.accounts.set_kind_day(user, kind, totals);
            }
        }
        let Some(until) = record.matures_on else {
            return;
        };
        let (user, change) = match (record.cause, record.debit, record.credit) {
            (Cause::Earn | Cause::Transfer, _, Account::Available(user)) => (user, record.amount.0),
            (Cause::Repay, Account::Available(user), _) => (user, -record.amount.0),
            _ => return,
        };
        if fresh.contains(&Some(user)) {
            self.accounts.cool(user, until, change);
        }
    }

    fn replay_id(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        if let Some(request) = &line.names.request {
            Prints::of(&self.key, request).add(&mut self.ids, line.seq);
        }
        let Some((source, id)) = line.names.event else {
            return Ok(());
        };
        let source = self.source_name(source).ok_or_else(|| damaged("sources"))?;
        let fingerprint = fingerprint(&self.key, source, &id.text());
        self.ids.add((fingerprint, line.seq));
        Ok(())
    }
}

/// The balances of the system accounts.
pub(crate) fn system(connection: &Connection) -> Result<BTreeMap<Account, i64>, Fault> {
    let mut query = cached(connection, sql!("accounts"))?;
    let mut rows = query.query([]).map_err(fault)?;
    let mut system = BTreeMap::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let account = Account::from_code(get(row, 0)?, get(row, 1)?);
        let account = account.ok_or_else(|| damaged("accounts"))?;
        system.insert(account, get(row, 2)?);
    }
    Ok(system)
}
