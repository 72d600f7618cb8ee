//! The whole books, fed to the auditor from one snapshot.
//!
//! Pages are checked against their hashes, chains against the entries, ids against the events
//! and every stored balance, as of its own entry, against the sum of all before it.

use std::collections::{BTreeMap, HashMap};

use lingqian_core::audit::{Audit, Finding, Invariant};
use lingqian_core::id::{MerchantNo, PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::money::Micros;
use lingqian_core::payout::Payout;
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::store::Audited;
use rusqlite::{Connection, Row};

use crate::accounts::{self, each_stored};
use crate::browse::{bills, count};
use crate::codec::{day, fault, fen, get};
use crate::ids;
use crate::ledger::{Prints, State, Totals, sources, state, system, users};
use crate::page::{Line, walk};
use crate::prefetch::cached;
use crate::record::{EventName, Names, Request};
use crate::{payouts, sql};

/// Audits one snapshot of the books; writers go on meanwhile.
pub(crate) fn audit(snapshot: &Connection) -> Result<Audited, Fault> {
    let mut audit = Audit::default();
    let mut audited = Audited::default();
    let mut books = Books::open(snapshot)?;
    let walked = walk(snapshot, 1, |page, _| {
        page.lines().try_for_each(|line| {
            let line = line?;
            audited.entries += 1;
            audit.entry(line.seq.cast_signed(), &line.entry()?);
            books.line(&line)
        })
    });
    match walked {
        // What comes after a page that does not fit proves nothing.
        Err(Fault::Broken(words) | Fault::Damaged(words)) => {
            audited.findings.push(finding("the pages", "ok", words));
            return Ok(audited);
        }
        walked => walked?,
    }
    books.balances(snapshot, &mut audit, &mut audited)?;
    books.events(snapshot, &mut audit, &mut audited)?;
    each(snapshot, sql!("all_payouts"), |row| {
        audited.payouts += 1;
        let payout = payouts::row(row)?.payout;
        audit.payout(&payout, get(row, payouts::COLUMNS)?);
        books.payout(&payout, row)
    })?;
    each(snapshot, sql!("all_days"), |row| {
        let totals = DayTotals {
            count: get(row, 2)?,
            amount: fen(row, 3)?,
        };
        audit.day(UserNo(get(row, 0)?), day(get(row, 1)?)?, totals);
        Ok(())
    })?;
    each(snapshot, sql!("state_totals"), |row| {
        let state: String = get(row, 0)?;
        audit.state_total(&state, (count(row, 1)?, get(row, 2)?));
        Ok(())
    })?;
    each(snapshot, sql!("all_bill_days"), |row| {
        let of = (MerchantNo(get(row, 0)?), day(get(row, 1)?)?);
        audit.bill_day(of, i128::from(get::<i64>(row, 2)?));
        Ok(())
    })?;
    for bill in bills(snapshot)? {
        audited.bills += 1;
        audit.bill(&bill);
    }
    audited.findings = audit.finish();
    audited.findings.append(&mut books.findings);
    damage(snapshot, &mut audited.findings)?;
    Ok(audited)
}

fn finding(subject: &str, expected: impl ToString, found: impl ToString) -> Finding {
    Finding {
        invariant: Invariant::SequenceWithoutGap,
        subject: subject.into(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

/// What the entries tell beside what is stored.
struct Books {
    state: State,
    sources: Vec<String>,
    key: crate::names::Key,
    /// Stored accounts by user, each brought up to the end, and the entry that it was stored at.
    stored: HashMap<UserNo, (accounts::Account, u64)>,
    /// The newest entry of each user.
    heads: HashMap<UserNo, u64>,
    /// Every account that an entry touched.
    seen: BTreeMap<Account, ()>,
    totals: Totals,
    /// Fingerprints of all events, and their entries.
    ids: Vec<ids::Id>,
    /// Names of events and withdrawals, and how many of them are not in runs yet.
    names: u64,
    recent: u64,
    /// The named hold of each withdrawal.
    holds: HashMap<PayoutId, ids::Id>,
    /// What was taken back, by the entry of the event that brought it.
    taken: BTreeMap<u64, i64>,
    /// The amounts of events that something was taken back of.
    amounts: BTreeMap<u64, i64>,
    /// The event whose second entry may come next.
    before: Option<u64>,
    findings: Vec<Finding>,
}

impl Books {
    fn open(snapshot: &Connection) -> Result<Books, Fault> {
        let (key, state) = state(snapshot)?;
        let mut stored = HashMap::new();
        each_stored(snapshot, |user, account, to| {
            if account != accounts::Account::default() {
                stored.insert(user, (account, to));
            }
        })?;
        let mut amounts = BTreeMap::new();
        each(snapshot, sql!("all_clawed"), |row| {
            amounts.insert(get::<i64>(row, 0)?.unsigned_abs(), 0);
            Ok(())
        })?;
        Ok(Books {
            state,
            key,
            sources: sources(snapshot)?,
            stored,
            heads: HashMap::new(),
            seen: BTreeMap::new(),
            totals: Totals::default(),
            ids: Vec::new(),
            names: 0,
            recent: 0,
            holds: HashMap::new(),
            taken: BTreeMap::new(),
            amounts,
            before: None,
            findings: Vec::new(),
        })
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        let record = &line.record;
        for user in users(record.debit, record.credit) {
            let derived = self.heads.get(&user).copied().unwrap_or(0);
            if record.prev(user) != Some(derived) {
                let subject = format!("the entry before {} of user number {}", line.seq, user.0);
                let found = format!("{:?}", record.prev(user));
                self.findings.push(finding(&subject, derived, found));
            }
        }
        for user in users(record.debit, record.credit) {
            self.heads.insert(user, line.seq);
        }
        let amount = record.amount.0;
        for (account, amount) in [(record.debit, -amount), (record.credit, amount)] {
            self.seen.insert(account, ());
            self.post(account, amount, line.seq);
        }
        self.request(line);
        self.event(line)
    }

    /// What a withdrawal is known by.
    fn request(&mut self, line: &Line<'_>) {
        let Some(request) = &line.names.request else {
            return;
        };
        let prints = Prints::of(&self.key, request);
        for print in std::iter::once(prints.reference).chain(prints.key) {
            self.name((print, line.seq));
        }
        let hold = line.record.cause == Cause::Hold;
        let payout = line.names.payout.filter(|_| hold);
        let id = (prints.reference, line.seq);
        if payout.is_none_or(|payout| self.holds.insert(payout, id).is_some()) {
            let subject = format!("entry {}", line.seq);
            let found = line.record.cause.name();
            self.findings
                .push(finding(&subject, "the hold of one withdrawal", found));
        }
    }

    fn name(&mut self, id: ids::Id) {
        self.names += 1;
        self.recent += u64::from(id.1 > self.state.sealed_to);
        self.ids.push(id);
    }

    /// Whether a payout is found by its reference.
    fn payout(&mut self, payout: &Payout, row: &Row<'_>) -> Result<(), Fault> {
        let hold: Option<i64> = get(row, payouts::COLUMNS + 1)?;
        let bare: Option<String> = get(row, payouts::COLUMNS + 2)?;
        let print = ids::reference_print(&self.key, payout.reference.as_str());
        let is_found = match self.holds.remove(&payout.id) {
            Some((known, seq)) => {
                known == print && bare.is_none() && hold.is_none_or(|own| own.unsigned_abs() == seq)
            }
            None => hold.is_none() && bare == Some(payout.id.to_string()),
        };
        if !is_found {
            let subject = format!("the reference of payout {}", payout.id);
            let found = format!("hold {hold:?}, row {bare:?}");
            self.findings
                .push(finding(&subject, "one place that names it", found));
        }
        Ok(())
    }

    /// Brings the stored account of a user up to the end.
    fn post(&mut self, account: Account, amount: i64, seq: u64) {
        let Some(user) = account.user() else {
            return;
        };
        let (own, to) = self.stored.entry(user).or_default();
        let fresh = *to < seq;
        let (balance, total, amount) = match account {
            Account::Held(_) => (&mut own.held, &mut self.totals.held, amount),
            Account::Receivable(_) => (&mut own.owed, &mut self.totals.owed, -amount),
            _ => (&mut own.available, &mut self.totals.available, amount),
        };
        *total = total.wrapping_add(amount);
        if fresh {
            *balance = balance.wrapping_add(amount);
            own.newest = seq;
        }
    }

    fn event(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        let (record, names) = (&line.record, &line.names);
        let owes = record.cause == Cause::Owe;
        if owes {
            self.totals.events_sum = self.totals.events_sum.wrapping_add(record.amount.0);
            if let Some(original) = self.before {
                *self.taken.entry(original).or_default() += record.amount.0;
            }
        }
        self.before = names.reverses;
        let Some((source, id)) = names.event else {
            return Ok(());
        };
        if !record.cause.is_event() {
            let subject = format!("entry {}", line.seq);
            let found = record.cause.name();
            self.findings
                .push(finding(&subject, "an entry that books an event", found));
        }
        self.totals.events += 1;
        self.totals.events_sum = self.totals.events_sum.wrapping_add(record.amount.0);
        if let Some(original) = names.reverses {
            *self.taken.entry(original).or_default() += record.amount.0;
        }
        if let Some(amount) = self.amounts.get_mut(&line.seq) {
            *amount = record.amount.0;
        }
        let source = self.sources.get(source as usize);
        let source = source.ok_or_else(|| crate::codec::damaged("sources"))?;
        let fingerprint = match id {
            EventName::Text(text) => ids::fingerprint(&self.key, source, text),
            EventName::Packed(..) => ids::fingerprint(&self.key, source, &id.text()),
        };
        self.name((fingerprint, line.seq));
        Ok(())
    }

    fn balances(
        &mut self,
        snapshot: &Connection,
        audit: &mut Audit,
        audited: &mut Audited,
    ) -> Result<(), Fault> {
        let mut total = 0_i128;
        for (account, balance) in system(snapshot)? {
            total += i128::from(balance);
            audit.account(account, Micros(balance));
        }
        let mut users: Vec<_> = self.stored.iter().collect();
        users.sort_unstable_by_key(|(user, _)| **user);
        for (user, (own, _)) in users {
            let sides = [
                (Account::Available(*user), own.available),
                (Account::Held(*user), own.held),
                (Account::Receivable(*user), -own.owed),
            ];
            for (account, balance) in sides {
                total += i128::from(balance);
                if balance != 0 || self.seen.contains_key(&account) {
                    audit.account(account, Micros(balance));
                }
            }
            let derived = self.heads.get(user).copied().unwrap_or(0);
            if derived != own.newest {
                let subject = format!("the newest entry of user number {}", user.0);
                self.findings.push(finding(&subject, derived, own.newest));
            }
        }
        audit.total(total);
        audited.accounts = self.seen.len() as u64;
        Ok(())
    }

    fn events(
        &mut self,
        snapshot: &Connection,
        audit: &mut Audit,
        audited: &mut Audited,
    ) -> Result<(), Fault> {
        let stored = self.state.totals;
        audited.earnings = stored.events;
        audit.earnings(stored.events, i128::from(stored.events_sum));
        if self.totals != stored {
            let (expected, found) = (format!("{:?}", self.totals), format!("{stored:?}"));
            self.findings.push(finding("the totals", expected, found));
        }
        let mut in_runs = 0;
        each(snapshot, sql!("id_runs"), |row| {
            in_runs += get::<i64>(row, 3)?.unsigned_abs();
            Ok(())
        })?;
        if in_runs + self.recent != self.names {
            let found = in_runs + self.recent;
            self.findings.push(Finding {
                invariant: Invariant::NamesAreRemembered,
                ..finding("remembered ids", self.names, found)
            });
        }
        each(snapshot, sql!("all_clawed"), |row| {
            let (seq, clawed) = (get::<i64>(row, 0)?.unsigned_abs(), Micros(get(row, 1)?));
            let amount = Micros(self.amounts.get(&seq).copied().unwrap_or(0));
            let taken = Micros(self.taken.remove(&seq).unwrap_or(0));
            audit.clawed(
                &format!("the event of entry {seq}"),
                (amount, clawed),
                taken,
            );
            Ok(())
        })?;
        for (seq, taken) in std::mem::take(&mut self.taken) {
            let subject = format!("the event of entry {seq}");
            audit.clawed(&subject, (Micros(taken), Micros::ZERO), Micros(taken));
        }
        self.ids.sort_unstable();
        let remembered = ids::check(snapshot, &self.ids, self.state.sealed_to)?;
        self.findings.extend(remembered);
        self.twins(snapshot)
    }

    /// What was booked twice: entries of one fingerprint that bear one name.
    fn twins(&mut self, snapshot: &Connection) -> Result<(), Fault> {
        for same in self
            .ids
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|same| same.len() > 1)
        {
            let mut names = BTreeMap::new();
            for (_, seq) in same {
                let page = crate::page::of(snapshot, *seq)?;
                for name in texts(&page.line(*seq)?.names) {
                    if let Some(first) = names.insert(name, *seq) {
                        let subject = format!("a name that entry {first} bears");
                        let found = format!("again in entry {seq}");
                        self.findings.push(finding(&subject, "booked once", found));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The names that an entry bears, each with where it belongs.
fn texts(names: &Names<'_>) -> Vec<(String, String)> {
    let event = names
        .event
        .map(|(source, id)| (format!("event {source}"), id.text()));
    let reference = |request: Request<'_>| ("reference".to_owned(), request.reference.to_owned());
    let keyed = names.request.and_then(|request| request.key);
    let key = keyed.map(|keyed| (format!("key {}", keyed.scope), keyed.key.to_owned()));
    event
        .into_iter()
        .chain(names.request.map(reference))
        .chain(key)
        .collect()
}

fn each(
    connection: &Connection,
    query: &'static str,
    mut read: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = cached(connection, query)?;
    let mut found = statement.query([]).map_err(fault)?;
    while let Some(row) = found.next().map_err(fault)? {
        read(row)?;
    }
    Ok(())
}

/// What SQLite itself finds wrong with the file is a broken sequence of records.
fn damage(connection: &Connection, findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let mut statement = cached(connection, "PRAGMA quick_check(5)")?;
    let lines = crate::codec::rows(&mut statement, [], |row| get::<String>(row, 0))?;
    for line in lines.into_iter().filter(|line| line != "ok") {
        findings.push(finding("the database file", "ok", line));
    }
    Ok(())
}
