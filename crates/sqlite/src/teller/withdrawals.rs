//! Withdrawals on their way ahead of the disk: from names to holds, as events go.

use std::sync::Arc;

use lingqian_core::id::UserNo;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::user::DayTotals;
use lingqian_core::withdrawal::{Case, Verdict, Wanted, Withdrawal, decide};
use lingqian_core::{Moment, earning::Purse};
use lingqian_io::Fault;
use lingqian_io::store::WithdrawalAnswer;
use rusqlite::Connection;

use super::look::Answer;
use super::{AHEAD_MAX, Teller};
use crate::codec::fault;
use crate::ids::{Again, Settled};
use crate::ledger::{Ledger, Prints, asked};
use crate::names::hash;
use crate::near::TOGETHER;
use crate::payouts::{Born, bear};
use crate::scribe::{Reply, Written};

/// Withdrawals that somebody waits for.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) now: Timestamp,
    pub(crate) policy: Arc<Policy>,
    pub(crate) requests: Arc<Vec<Withdrawal>>,
}

/// The answers, or nothing: then nothing was written, because what the requests were decided on
/// is no longer true, and they are to be given again.
pub(crate) type Decided = Option<Vec<WithdrawalAnswer>>;

/// What a request's names stand for.
#[derive(Clone, Copy, Debug)]
struct Resolved {
    name: u128,
    prints: Prints,
    user: Option<UserNo>,
    /// Whether its names may be among the older ones.
    old: bool,
}

impl Resolved {
    /// The fingerprint of its key; who has no key is asked about twice.
    fn key(&self) -> u64 {
        self.prints.key.unwrap_or(self.prints.reference)
    }
}

/// What was found out about withdrawals before the teller has them.
pub(crate) struct Examined {
    by: Arc<Settled>,
    cases: Vec<Resolved>,
}

impl Examined {
    pub(crate) fn new(by: Arc<Settled>, requests: &[Withdrawal]) -> Examined {
        let resolved = |request: &Withdrawal| Resolved {
            name: hash(&by.key, request.user.as_str()),
            prints: Prints::of(&by.key, &asked(request)),
            user: None,
            old: false,
        };
        let cases = requests.iter().map(resolved).collect();
        let mut examined = Examined { by, cases };
        examined.ask();
        examined
    }

    /// Finds out which names may be among the older ones.
    fn ask(&mut self) {
        let Examined { by, cases } = self;
        by.suspect(cases, |case| case.prints.reference, |case| &mut case.old);
        by.suspect(cases, Resolved::key, |case| &mut case.old);
    }

    /// Finds out which names may be those of runs that came after this one.
    fn ask_since(&mut self, run: u64) {
        let Examined { by, cases } = self;
        for print in [|case: &Resolved| case.prints.reference, Resolved::key] {
            for place in by.came(run, cases, print) {
                cases[place].old = true;
            }
        }
    }
}

impl Teller {
    /// Decides on withdrawals. Whoever waits is answered when they are durable.
    pub(crate) fn withdraw(
        &mut self,
        (asked, examined): (Requests, Examined),
        answer: Answer<Decided>,
    ) {
        let ready = self.wait(AHEAD_MAX - 1);
        if let Err(fault) = ready.and_then(|()| self.open_books().map(|_| ())) {
            let _ = answer.send(Err(fault));
            return;
        }
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let Requests { now, requests, .. } = asked.clone();
        let mut examined = examined;
        match self.board.renew(&mut examined.by, ledger.ids.settled()) {
            Again::Nothing => {}
            Again::Since(run) => examined.ask_since(run),
            Again::Everything => examined.ask(),
        }
        match decide_all(ledger, &self.connection, (&asked, examined)) {
            Err(fault) => {
                self.ledger = None;
                let _ = answer.send(Err(fault));
            }
            Ok((answers, born)) if born.is_empty() => {
                self.after_all(move |current| {
                    let _ = answer.send(current.map(|current| current.then_some(answers)));
                });
            }
            Ok((answers, mut born)) => {
                // The newest at the end, where their table grows.
                born.sort_unstable_by_key(|born| requests[born.place].payout);
                let reply = Reply::Other(Box::new(move |written| {
                    let decided = written.map(|written| match written {
                        Written::Done => Some(answers),
                        Written::Returned => None,
                    });
                    // Nobody waits any more when the caller was dropped; the work stands.
                    let _ = answer.send(decided);
                }));
                let rows = move |file: &Connection| bear(file, now, &requests, &born);
                self.send(now.business_date(), Some(Box::new(rows)), reply);
            }
        }
    }
}

fn decide_all(
    ledger: &mut Ledger,
    connection: &Connection,
    (asked, examined): (&Requests, Examined),
) -> Result<(Vec<WithdrawalAnswer>, Vec<Born>), Fault> {
    // One snapshot for all look-ups, instead of one for each.
    let connection = &connection.unchecked_transaction().map_err(fault)?;
    let moment = Moment {
        now: asked.now,
        policy: &asked.policy,
    };
    let mut cases = examined.cases;
    resolve(ledger, connection, &asked.requests, &mut cases)?;
    let mut answers = Vec::with_capacity(cases.len());
    let mut born = Vec::with_capacity(cases.len());
    for (request, resolved) in asked.requests.iter().zip(&cases) {
        let (answer, held) = decide_one(ledger, connection, &moment, (request, resolved))?;
        let place = answers.len();
        born.extend(held.map(|held| Born { place, ..held }));
        answers.push(answer);
    }
    Ok((answers, born))
}

/// Requests whose users and names are fetched together: each has two names.
const REQUESTS_TOGETHER: usize = TOGETHER / 2;

/// Finds the users of a batch and fetches what is looked at when it is decided on.
fn resolve(
    ledger: &mut Ledger,
    connection: &Connection,
    requests: &[Withdrawal],
    cases: &mut [Resolved],
) -> Result<(), Fault> {
    let requests = requests.chunks(REQUESTS_TOGETHER);
    for (cases, requests) in cases.chunks_mut(REQUESTS_TOGETHER).zip(requests) {
        ledger.names.fetch(cases.iter().map(|case| case.name));
        for (case, request) in cases.iter_mut().zip(requests) {
            let user = request.user.as_str();
            case.user = ledger.names.find(connection, case.name, user)?;
            if let Some(user) = case.user {
                ledger.accounts.load(connection, user)?;
            }
        }
        ledger
            .accounts
            .fetch(cases.iter().filter_map(|case| case.user));
        let prints = cases.iter();
        ledger
            .ids
            .fetch(prints.flat_map(|case| [case.prints.reference, case.key()]));
    }
    Ok(())
}

/// The answer, and what was accepted.
fn decide_one(
    ledger: &mut Ledger,
    connection: &Connection,
    moment: &Moment<'_>,
    (request, resolved): (&Withdrawal, &Resolved),
) -> Result<(WithdrawalAnswer, Option<Born>), Fault> {
    let today = moment.now.business_date();
    let Resolved {
        prints, user, old, ..
    } = *resolved;
    let answer = match (&request.key, prints.key) {
        (Some((key, _)), Some(print)) => ledger.remembered(connection, key, (print, old))?,
        _ => None,
    };
    let reference = (request.reference.as_str(), (prints.reference, old));
    let earlier = ledger.withdrawal(connection, reference.0, reference.1)?;
    let totals = match (request.wanted, user) {
        (Wanted::All, Some(user)) => ledger.day(connection, user, today)?,
        _ => DayTotals::default(),
    };
    let case = Case {
        wanted: request.wanted,
        digest: request.key.as_ref().map(|(_, digest)| digest),
        answer: answer.as_ref(),
        reference_used: earlier.is_some(),
        user,
        merchant: ledger.merchant,
        purse: user.map_or_else(Purse::default, |user| ledger.accounts.purse(user, today)),
        today: totals,
    };
    match decide(moment, &case) {
        Err(rejection) => Ok((Err(rejection), None)),
        Ok(Verdict::Replayed(answer)) => Ok((Ok(answer.replayed()), None)),
        Ok(Verdict::Held(held)) => {
            let seq = ledger.hold(moment.now, &held, request, prints)?;
            let place = 0;
            let born = Born { place, held, seq };
            Ok((Ok(held.outcome(request.payout, moment.now)), Some(born)))
        }
    }
}
