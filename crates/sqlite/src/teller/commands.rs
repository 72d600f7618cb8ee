//! Facts for commands, and what the rules made of them.

use lingqian_core::changes::Posting;
use lingqian_core::earning::{Booking, Earning, KindDay};
use lingqian_core::id::{EventId, PayoutId, UserNo};
use lingqian_core::ledger::{Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::{Changes, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::Committed;

use super::look::{Answer, fill};
use super::named::{Named, named};
use super::{HANDED_OUT_MAX, HandedOut, Teller};
use crate::commit::{Numbers, write};
use crate::ids::{fingerprint, key_print, reference_print};
use crate::ledger::{Found, Ledger, Leg, Marks, Prints, about_payout, users};
use crate::names::hash;
use crate::prefetch::prefetch;
use crate::record::{EventName, Request};
use crate::scribe::{Reply, Written};

pub(super) fn refused(law: &str) -> Fault {
    Fault::Broken(format!("the store refuses: {law}"))
}

impl Teller {
    /// Reads the facts, all of one moment at which everything is durable.
    pub(crate) fn prefetch(&mut self, keys: Keys) -> Result<Facts, Fault> {
        loop {
            self.settle()?;
            let asked = keys.clone();
            let found = self.ask(move |scribe| scribe.look(|file| prefetch(file, &asked)))??;
            match found {
                Some(facts) => return self.complete(facts, &keys),
                // Somebody else wrote to the file.
                None => self.ledger = None,
            }
        }
    }

    /// Adds to the facts what only the books in memory hold.
    fn complete(&mut self, mut facts: Facts, keys: &Keys) -> Result<Facts, Fault> {
        let (connection, ledger) = (&self.connection, &mut self.ledger);
        let lost = || Fault::Broken("the books are not in memory".into());
        let ledger = ledger.as_mut().ok_or_else(lost)?;
        let kinds = ledger.kinds.iter();
        facts.kinds = kinds
            .map(|kind| (kind.code.clone(), kind.clone()))
            .collect();
        let mut users = Vec::with_capacity(facts.wallets.len());
        for (user, wallet) in &mut facts.wallets {
            fill(ledger, connection, wallet, keys.day)?;
            users.push((*user, ledger.accounts.get(*user).newest));
        }
        for (source, event) in &keys.earnings {
            let name = (source.as_str(), event.as_str());
            let fingerprint = fingerprint(&ledger.key, name.0, name.1);
            let found = ledger.find(connection, name, fingerprint, true)?;
            let key = (source.clone(), event.clone());
            let found = found.map(|found| earning(&key, found)).transpose()?;
            facts.earnings.insert(key, found);
        }
        withdrawals(ledger, connection, keys, &mut facts)?;
        let last = (!keys.earnings.is_empty()).then_some(ledger.last());
        let names = !keys.references.is_empty() || !keys.idempotency.is_empty();
        let withdrawals = names.then_some(ledger.withdrawals);
        facts.basis = self.hand_out(HandedOut {
            basis: 0,
            commits: self.commits,
            users,
            last,
            withdrawals,
        });
        Ok(facts)
    }

    fn hand_out(&mut self, facts: HandedOut) -> u64 {
        if let Some(newest) = self.handed_out.back()
            && facts
                == (HandedOut {
                    basis: 0,
                    ..newest.clone()
                })
        {
            return newest.basis;
        }
        let basis = self.next_basis;
        self.next_basis += 1;
        self.handed_out.push_back(HandedOut { basis, ..facts });
        if self.handed_out.len() > HANDED_OUT_MAX {
            self.handed_out.pop_front();
        }
        basis
    }

    /// Whether facts that were handed out are still true.
    fn holds(&mut self, basis: u64) -> Result<bool, Fault> {
        self.open_books()?;
        let Some(ledger) = &self.ledger else {
            return Ok(false);
        };
        let found = self.handed_out.iter().find(|facts| facts.basis == basis);
        Ok(found.is_some_and(|facts| {
            let same =
                |(user, newest): &(UserNo, u64)| ledger.accounts.get(*user).newest == *newest;
            facts.commits == self.commits
                && facts.last.is_none_or(|last| last == ledger.last())
                && facts
                    .withdrawals
                    .is_none_or(|made| made == ledger.withdrawals)
                && facts.users.iter().all(same)
        }))
    }

    /// Writes what the rules decided on facts.
    pub(crate) fn commit(&mut self, basis: u64, changes: Changes, answer: Answer<Committed>) {
        match self.holds(basis) {
            Err(fault) => {
                let _ = answer.send(Err(fault));
            }
            Ok(false) => {
                let _ = answer.send(Ok(Committed::Conflict));
            }
            Ok(true) => self.commit_now(changes, answer),
        }
    }

    fn commit_now(&mut self, changes: Changes, answer: Answer<Committed>) {
        let (connection, ledger) = (&self.connection, &mut self.ledger);
        let Some(ledger) = ledger.as_mut() else {
            return;
        };
        let posted = check(ledger, connection, &changes).and_then(|()| {
            let named = named(ledger, connection, &changes)?;
            // From here on the books in memory are changed.
            post(ledger, connection, &changes, named).inspect_err(|_| ledger.broken = true)
        });
        let numbers = match posted {
            Ok(numbers) => numbers,
            Err(fault) => {
                if ledger.broken {
                    self.ledger = None;
                }
                let _ = answer.send(Err(fault));
                return;
            }
        };
        remember(ledger, &changes, &numbers);
        self.commits += 1;
        let today = numbers.today;
        let reply = Reply::Other(Box::new(move |written| {
            let committed = written.map(|written| match written {
                Written::Done => Committed::Done,
                Written::Returned => Committed::Conflict,
            });
            // Nobody waits any more when the caller was dropped; the work stands.
            let _ = answer.send(committed);
        }));
        let extra = move |file: &rusqlite::Connection| write(file, &changes, &numbers);
        self.send(today, Some(Box::new(extra)), reply);
    }
}

fn earning(key: &(lingqian_core::id::Source, EventId), found: Found) -> Result<Earning, Fault> {
    let lost = |_| Fault::Broken("an event's name does not read back".into());
    let reverses = found.reverses.as_deref().map(EventId::parse);
    Ok(Earning {
        source: key.0.clone(),
        event_id: key.1.clone(),
        user: found.user,
        kind: found.kind,
        amount: found.amount,
        occurred_at: found.occurred_at,
        recorded_at: found.recorded_at,
        from: found.from,
        reverses: reverses.transpose().map_err(lost)?,
        matures_on: found.matures_on,
        repaid: found.repaid,
        clawed: found.clawed,
    })
}

/// Adds what holds and rows say about names of withdrawals.
fn withdrawals(
    ledger: &Ledger,
    connection: &rusqlite::Connection,
    keys: &Keys,
    facts: &mut Facts,
) -> Result<(), Fault> {
    for reference in &keys.references {
        let print = reference_print(&ledger.key, reference.as_str());
        let found = ledger.withdrawal(connection, reference.as_str(), (print, true))?;
        facts.references.insert(reference.clone(), found.is_some());
    }
    for key in &keys.idempotency {
        let print = key_print(&ledger.key, &key.scope, &key.key);
        let found = ledger.remembered(connection, key, (print, true))?;
        facts.answers.insert(key.clone(), found);
    }
    Ok(())
}

/// Takes what a commit writes to rows into the books in memory, as far as they hold it.
fn remember(ledger: &mut Ledger, changes: &Changes, numbers: &Numbers) {
    for user in &changes.users {
        let hash = hash(&ledger.key, user.id.as_str());
        ledger.names.add(hash, user.no);
    }
    changes.kinds.iter().for_each(|kind| ledger.set_kind(kind));
    let merchants = changes.merchants.iter().map(|merchant| merchant.no);
    ledger.merchant = merchants.chain(ledger.merchant).min();
    for (reference, payout) in &numbers.references {
        ledger.rows.add_reference(reference.as_str(), *payout);
    }
    for place in &numbers.answers {
        let (key, answer) = &changes.answers[*place];
        ledger.rows.add_answer(key, answer);
    }
    for (user, day, totals) in &changes.day_totals {
        ledger.rows.set_day(*user, *day, *totals);
    }
}

/// What no rule could have decided, as far as it shows before anything is changed.
fn check(
    ledger: &Ledger,
    connection: &rusqlite::Connection,
    changes: &Changes,
) -> Result<(), Fault> {
    for (earning, posting) in &changes.earnings {
        if !posting.fits(earning) {
            return Err(refused(
                "an event's entries book its amount between its accounts",
            ));
        }
        let name = (earning.source.as_str(), earning.event_id.as_str());
        let fingerprint = fingerprint(&ledger.key, name.0, name.1);
        if ledger.find(connection, name, fingerprint, true)?.is_some() {
            return Err(refused("an event is credited once"));
        }
    }
    let mut names: Vec<_> = changes
        .earnings
        .iter()
        .map(|(earning, _)| (&earning.source, &earning.event_id))
        .collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused("an event is credited once"));
    }
    let owners = changes
        .all_entries()
        .flat_map(|e| users(e.debit(), e.credit()));
    if owners
        .into_iter()
        .any(|user| u32::try_from(user.0).is_err())
    {
        return Err(refused("the number of a user is out of range"));
    }
    Ok(())
}

/// Posts every entry, in the order of the flow.
fn post(
    ledger: &mut Ledger,
    connection: &rusqlite::Connection,
    changes: &Changes,
    mut named: Named<'_>,
) -> Result<Numbers, Fault> {
    for entry in changes.all_entries() {
        for user in users(entry.debit(), entry.credit()) {
            ledger.accounts.load(connection, user)?;
        }
    }
    for (earning, posting) in &changes.earnings {
        post_event(ledger, connection, changes, earning, posting)?;
    }
    set_terms(ledger, connection, changes)?;
    for (source, event, clawed) in &changes.clawed {
        let name = (source.as_str(), event.as_str());
        let fingerprint = fingerprint(&ledger.key, name.0, name.1);
        let original = ledger.find(connection, name, fingerprint, true)?;
        let original = original.ok_or_else(|| refused("a claw-back takes back an event"))?;
        ledger.set_clawed(original.seq, *clawed);
    }
    let mut numbers = Numbers {
        references: std::mem::take(&mut named.references),
        answers: std::mem::take(&mut named.answers),
        people: std::mem::take(&mut named.people),
        ..Numbers::default()
    };
    for entry in &changes.entries {
        let own = entry.payout().filter(|_| entry.cause() == Cause::Hold);
        let request = own.and_then(|payout| named.requests.remove(&payout));
        let seq = numbers.post(ledger, entry, request)?;
        if let Some(request) = &request {
            Prints::of(&ledger.key, request).add(&mut ledger.ids, seq);
        }
    }
    for (_, entry) in &changes.bill_lines {
        let seq = numbers.post(ledger, entry, None)?;
        numbers.bill_lines.push(seq);
    }
    Ok(numbers)
}

/// Sets what counts towards days and what cools off. Events tell it again whenever the books are
/// read from their entries; what comes without an event must be in the row of its chunk.
fn set_terms(
    ledger: &mut Ledger,
    connection: &rusqlite::Connection,
    changes: &Changes,
) -> Result<(), Fault> {
    let kinds = changes.kind_days.iter().map(|(user, ..)| *user);
    let cooling = changes.cooling.iter().map(|(user, ..)| *user);
    for user in kinds.chain(cooling) {
        ledger.accounts.load(connection, user)?;
        if changes.earnings.is_empty() {
            ledger.accounts.carry_next(user);
        }
    }
    for (user, kind, totals) in &changes.kind_days {
        ledger.accounts.set_kind_day(*user, *kind, *totals);
    }
    for (user, day, amount) in &changes.cooling {
        ledger.accounts.set_cooling(*user, *day, *amount);
    }
    Ok(())
}

impl Numbers {
    fn post(
        &mut self,
        ledger: &mut Ledger,
        entry: &Entry,
        request: Option<Request<'_>>,
    ) -> Result<u64, Fault> {
        self.today = self.today.max(entry.at().business_date());
        let mut about = about_payout(entry.payout());
        about.names.request = request;
        let seq = ledger.append(&Leg::of(entry), &about)?;
        self.of_payouts
            .extend(entry.payout().map(|payout: PayoutId| (payout, seq)));
        Ok(seq)
    }
}

fn post_event(
    ledger: &mut Ledger,
    connection: &rusqlite::Connection,
    changes: &Changes,
    earning: &Earning,
    posting: &Posting,
) -> Result<(), Fault> {
    let name = (earning.source.as_str(), earning.event_id.as_str());
    let original = match &earning.reverses {
        None => None,
        Some(id) => {
            let print = fingerprint(&ledger.key, name.0, id.as_str());
            let found = ledger.find(connection, (name.0, id.as_str()), print, true)?;
            Some(found.ok_or_else(|| refused("a claw-back takes back an event"))?)
        }
    };
    let today = earning.recorded_at.business_date();
    let until = original.as_ref().and_then(|original| original.matures_on);
    let until = until.filter(|day| *day > today);
    let capped = earning.from.unwrap_or(earning.user);
    let counts = changes
        .kind_days
        .iter()
        .any(|(user, kind, _)| (*user, *kind) == (capped, earning.kind));
    let leg = |entry: &Entry| lingqian_core::earning::Leg {
        debit: entry.debit(),
        credit: entry.credit(),
        amount: entry.amount(),
        cause: entry.cause(),
    };
    let booking = Booking {
        amount: earning.amount,
        first: leg(&posting.first),
        second: posting.second.as_ref().map(leg),
        counted: counts.then_some((capped, KindDay::default())),
        matures_on: earning.matures_on,
        // What is left to cool off is set for the whole batch; this only marks the entry.
        cooling: until.map(|day| (day, Micros::ZERO)),
    };
    let source = ledger.source_no(name.0)?;
    let marks = Marks {
        source,
        id: EventName::of(name.1),
        fingerprint: fingerprint(&ledger.key, name.0, name.1),
        user: earning.user,
        kind: earning.kind,
        occurred_at: earning.occurred_at,
        reverses: original.map(|original| original.seq),
    };
    ledger
        .book(earning.recorded_at, &booking, &marks)
        .map(|_| ())
}
