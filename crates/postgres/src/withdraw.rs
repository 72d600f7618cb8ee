//! Withdrawals in batches, in sets: names to numbers, the end of the chain taken, accounts and what
//! was asked before, one rule per request, and everything that comes of it in a few statements.
//!
//! What the rule looks at cannot change before the commit: nobody else has the end of the chain.
//! Which merchant a payout begins with may be a moment old: who pays is decided when its order is
//! made.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lingqian_core::changes::{HistoryLine, Work};
use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::Purse;
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::id::{MerchantNo, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::{AMOUNT_MAX, BALANCE_MAX, Micros};
use lingqian_core::payout::Queue;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::user::DayTotals;
use lingqian_core::withdrawal::{Case, Held, Verdict, Wanted, Withdrawal, decide};
use lingqian_core::{Changes, Facts, Moment, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::WithdrawalAnswer;

use crate::accounts::{self, Accounts};
use crate::ahead::{After, Stand};
use crate::codec::{fen, get, number, text};
use crate::commit::{Refused, lock_end};
use crate::journal::{Journal, Sealed};
use crate::lane::{Batch, Book};
use crate::pool::Session;
use crate::settle::Books;
use crate::{bills, payouts, prefetch, rows, sql};

/// Withdrawals that somebody waits for.
pub(crate) struct Requests {
    pub(crate) now: Timestamp,
    pub(crate) policy: Policy,
    pub(crate) all: Vec<Withdrawal>,
}

impl Batch for Requests {
    type Answers = Vec<WithdrawalAnswer>;
    type Book<'a> = Holds<'a>;

    async fn decided<'a>(
        &'a self,
        books: &Books,
        session: &Session,
        _: Stand,
    ) -> Result<(Self::Answers, Option<Holds<'a>>), Refused> {
        let names: Vec<&str> = self.all.iter().map(|one| one.user.as_str()).collect();
        let numbers = books.names.resolve(session, &names).await?;
        let end = lock_end(session).await?;
        let mut desk = Desk::gather(session, self, numbers).await?;
        let answers = (0..self.all.len()).map(|place| desk.next(place)).collect();
        if desk.held.is_empty() {
            return Ok((answers, None));
        }
        let entries = i64::try_from(desk.held.len()).unwrap_or(i64::MAX);
        end.room_for(entries)?;
        let mut journal = Journal::begin(end, desk.accounts, entries);
        for (_, _, hold) in &desk.held {
            journal.append(hold, None)?;
        }
        journal.forget_untouched();
        let holds = Holds {
            journal,
            requests: self,
            held: desk.held,
        };
        Ok((answers, Some(holds)))
    }
}

/// What is set aside, with the end of the chain in hand.
pub(crate) struct Holds<'a> {
    journal: Journal,
    requests: &'a Requests,
    held: Vec<(usize, Held, Entry)>,
}

impl Book for Holds<'_> {
    fn after(&mut self) -> After {
        let (end, accounts) = self.journal.after();
        After {
            end,
            accounts,
            known: HashMap::new(),
            kind_days: BTreeMap::new(),
            cooling: BTreeMap::new(),
        }
    }

    async fn write(self, session: &Session) -> Result<Sealed, Refused> {
        let now = self.requests.now;
        let mut about = Changes::default();
        for (place, held, _) in &self.held {
            let request = &self.requests.all[*place];
            let payout = held.payout(request, now);
            about.history.push(HistoryLine::held(&payout));
            about.answers.extend(answer(request, held, now));
            let work = Work {
                queue: Queue::Assess,
                due_at: now,
            };
            about.payouts.push((payout, Some(work)));
        }
        let born: Vec<_> = about.payouts.iter().map(|(payout, _)| payout).collect();
        payouts::write(session, &born, &[]).await?;
        bills::about_payouts(session, &about).await?;
        self.journal.close(session, false).await
    }
}

/// What the key of an accepted request is remembered with.
fn answer(
    request: &Withdrawal,
    held: &Held,
    now: Timestamp,
) -> Option<(IdempotencyKey, RememberedAnswer)> {
    let (key, digest) = request.key.as_ref()?;
    let answer = RememberedAnswer {
        digest: *digest,
        payout: request.payout,
        amount: held.amount,
        created_at: now,
    };
    Some((key.clone(), answer))
}

/// Everything that the requests of a batch meet, kept up to date with what was decided so far.
struct Desk<'b> {
    requests: &'b Requests,
    /// The number of each request's user.
    numbers: Vec<Option<i64>>,
    accounts: BTreeMap<i64, Accounts>,
    purses: HashMap<i64, Purse>,
    merchant: Option<MerchantNo>,
    references: HashSet<String>,
    answers: BTreeMap<IdempotencyKey, RememberedAnswer>,
    /// What was approved today, of those who ask for all.
    days: BTreeMap<i64, DayTotals>,
    held: Vec<(usize, Held, Entry)>,
}

impl<'b> Desk<'b> {
    /// Reads, with the end of the chain in hand.
    async fn gather(
        session: &Session,
        requests: &'b Requests,
        numbers: Vec<Option<i64>>,
    ) -> Result<Desk<'b>, Refused> {
        let users: BTreeSet<i64> = numbers.iter().flatten().copied().collect();
        let users: Vec<i64> = users.into_iter().collect();
        let accounts = accounts::of_all(session, &users).await?;
        let merchants = rows::merchants(session).await?.into_iter();
        let facts = Facts {
            merchants: merchants
                .map(|merchant| (merchant.mchid.clone(), merchant))
                .collect(),
            ..Facts::default()
        };
        Ok(Desk {
            merchant: facts.paying_merchant().map(|merchant| merchant.no),
            purses: purses(session, requests, (&users, &accounts)).await?,
            references: references(session, requests).await?,
            answers: remembered(session, requests).await?,
            days: days(session, requests, &numbers).await?,
            held: Vec::with_capacity(requests.all.len()),
            requests,
            numbers,
            accounts,
        })
    }

    /// Decides on the next request.
    fn next(&mut self, place: usize) -> WithdrawalAnswer {
        let Requests { now, policy, all } = self.requests;
        let (now, request) = (*now, &all[place]);
        let user = self.numbers[place];
        let purse = user.and_then(|user| self.purses.get(&user)).copied();
        let today = user.and_then(|user| self.days.get(&user)).copied();
        let case = Case {
            wanted: request.wanted,
            digest: request.key.as_ref().map(|(_, digest)| digest),
            answer: request
                .key
                .as_ref()
                .and_then(|(key, _)| self.answers.get(key)),
            reference_used: self.references.contains(request.reference.as_str()),
            user: user.map(UserNo),
            merchant: self.merchant,
            purse: purse.unwrap_or_default(),
            today: today.unwrap_or_default(),
        };
        let held = match decide(&Moment { now, policy }, &case)? {
            Verdict::Replayed(answer) => return Ok(answer.replayed()),
            Verdict::Held(held) => held,
        };
        let sides = (Account::Available(held.user), Account::Held(held.user));
        let hold = Entry::new(sides, held.micros, Cause::Hold, Some(request.payout), now);
        let hold = hold.ok_or(Rejection::AmountOutOfRange { max: AMOUNT_MAX })?;
        // Later requests of the batch meet what this one brought.
        if let Some(purse) = self.purses.get_mut(&held.user.0) {
            let left = purse.available.minus(held.micros);
            purse.available = left.unwrap_or(Micros::ZERO);
        }
        self.references
            .insert(request.reference.as_str().to_owned());
        self.answers.extend(answer(request, &held, now));
        self.held.push((place, held, hold));
        Ok(held.outcome(request.payout, now))
    }
}

/// What each of these users has.
async fn purses(
    session: &Session,
    requests: &Requests,
    (users, accounts): (&[i64], &BTreeMap<i64, Accounts>),
) -> Result<HashMap<i64, Purse>, Fault> {
    let purse = |accounts: &Accounts| Purse {
        available: Micros(accounts.available.unwrap_or(0)),
        cooling: Micros::ZERO,
        owed: Micros(accounts.receivable.unwrap_or(0).saturating_neg()),
    };
    let mut purses: HashMap<i64, Purse> = accounts
        .iter()
        .map(|(user, accounts)| (*user, purse(accounts)))
        .collect();
    let today = requests.now.business_date().0;
    for row in &session.rows(sql!("cooling"), &[&users, &today]).await? {
        if let Some(purse) = purses.get_mut(&get(row, 0)?) {
            let more = purse.cooling.plus(Micros(get(row, 2)?));
            purse.cooling = more.unwrap_or(BALANCE_MAX);
        }
    }
    Ok(purses)
}

/// Which references of the batch earlier withdrawals have.
async fn references(session: &Session, requests: &Requests) -> Result<HashSet<String>, Fault> {
    let all = requests.all.iter();
    // In the order of the tree, so that neighbours find their page warm.
    let all: BTreeSet<&str> = all.map(|request| request.reference.as_str()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let used = session.rows(sql!("references_used"), &[&all]).await?;
    let reference = |row| text(row, 0).map(str::to_owned);
    used.iter().map(reference).collect()
}

/// What the keys of the batch were answered with before.
async fn remembered(
    session: &Session,
    requests: &Requests,
) -> Result<BTreeMap<IdempotencyKey, RememberedAnswer>, Fault> {
    let keys = requests.all.iter().filter_map(|one| one.key.as_ref());
    let keys: BTreeSet<&IdempotencyKey> = keys.map(|(key, _)| key).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let scopes: Vec<&str> = keys.iter().map(|key| key.scope.as_str()).collect();
    let names: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
    let found = session.rows(sql!("answers"), &[&scopes, &names]).await?;
    found.iter().map(prefetch::answer).collect()
}

/// What was approved today for those who ask for all.
async fn days(
    session: &Session,
    requests: &Requests,
    numbers: &[Option<i64>],
) -> Result<BTreeMap<i64, DayTotals>, Fault> {
    let all = requests.all.iter().zip(numbers);
    let all = all.filter(|(request, _)| request.wanted == Wanted::All);
    let users: BTreeSet<i64> = all.filter_map(|(_, number)| *number).collect();
    if users.is_empty() {
        return Ok(BTreeMap::new());
    }
    let users: Vec<i64> = users.into_iter().collect();
    let today = vec![requests.now.business_date().0; users.len()];
    let mut totals = BTreeMap::new();
    for row in &session.rows(sql!("days"), &[&users, &today]).await? {
        let approved = DayTotals {
            count: number(row, 2)?,
            amount: fen(row, 3)?,
        };
        totals.insert(get(row, 0)?, approved);
    }
    Ok(totals)
}
