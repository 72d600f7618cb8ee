//! What needs a person: reviews, payouts in doubt for longer than their number may be sent again,
//! breaks between bills and books, and what the engine stopped by itself.

use std::collections::BTreeMap;

use lingqian_core::control::StopCause;
use lingqian_core::id::{PayoutId, UserId};
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::Timestamp;
use lingqian_io::links::LinkFilter;
use lingqian_io::store::{PayoutFilter, PayoutRow};
use lingqian_io::{Browse, Clock, Fault, Links, Ports};

/// So many payouts of a state are read at a time.
const ROWS_EACH: u32 = 1_000;
/// A payout that was passed so long ago and is not sent is looked at.
const WAITED_MS: i64 = 60 * 60 * 1_000;

/// Why a person is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The engine stopped something because the books or WeChat's word contradict themselves.
    Contradiction,
    /// A merchant's account at WeChat is empty.
    FloatEmpty,
    /// Nobody knows what became of a payout, and its number may not be sent again.
    InDoubt,
    /// Bill and books differ.
    Break,
    /// Risk wants people to look.
    Review,
    /// A wallet is linked to several users.
    SharedWallet,
    /// No merchant pays under an app that the user is linked with.
    NoPayingApp,
}

impl Kind {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Contradiction => "contradiction",
            Kind::FloatEmpty => "float_empty",
            Kind::InDoubt => "in_doubt",
            Kind::Break => "break",
            Kind::Review => "review",
            Kind::SharedWallet => "shared_wallet",
            Kind::NoPayingApp => "no_paying_app",
        }
    }

    /// What can be done, as commands; `{}` stands for the subject.
    #[must_use]
    pub fn ways(self) -> &'static [&'static str] {
        match self {
            Kind::Contradiction => &[
                "lingqian audit",
                "lingqian resume {} --cause audit --reason \"…\"",
            ],
            Kind::FloatEmpty => &["top up the account; the next try lifts the stop by itself"],
            Kind::InDoubt => &[
                "lingqian explain {}",
                "lingqian payout mark-paid {} --reason \"…\"    (a bill shows it)",
                "lingqian payout mark-unpaid {} --reason \"…\"  (no closed bill shows it)",
            ],
            Kind::Break => &["lingqian explain {}"],
            Kind::Review => &[
                "lingqian payout approve {} --reason \"…\"",
                "lingqian payout refuse {} --reason \"…\"",
            ],
            Kind::SharedWallet => &[
                "lingqian link show {}",
                "lingqian link allow {} --reason \"…\"   (they may share it)",
                "lingqian link revoke {} --reason \"…\"  (they may not)",
            ],
            Kind::NoPayingApp => &[
                "lingqian explain {}",
                "bind the app to a merchant, or let the user link with an app of a merchant's",
                "lingqian payout refuse {} --reason \"…\"",
            ],
        }
    }
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Why.
    pub kind: Kind,
    /// The payout, the flow number of a bill, or the scope of a stop.
    pub subject: String,
    /// Since when.
    pub since: Timestamp,
    /// How much it is about, where that is known.
    pub amount: Option<Fen>,
    /// More, in words.
    pub words: String,
}

impl Case {
    /// What can be done, as commands.
    #[must_use]
    pub fn ways(&self) -> Vec<String> {
        let ways = self.kind.ways().iter();
        ways.map(|way| way.replace("{}", &self.subject)).collect()
    }
}

/// Everything that needs a person, the gravest first, then the oldest.
///
/// # Errors
/// A fault when the books could not be read.
pub async fn cases<P: Ports>(ports: &P) -> Result<Vec<Case>, Fault> {
    let (store, now) = (ports.store(), ports.clock().business());
    let mut cases = Vec::new();
    for stop in store.stops().await? {
        let kind = match stop.cause {
            StopCause::Person => continue,
            StopCause::Float => Kind::FloatEmpty,
            StopCause::Audit => Kind::Contradiction,
        };
        cases.push(Case {
            kind,
            subject: stop.scope.to_string(),
            since: stop.since,
            amount: None,
            words: stop.act.reason,
        });
    }
    of_state(ports, "unknown", &mut cases, |row| in_doubt(row, now)).await?;
    let (_, breaks) = store.reconciled().await?;
    let open = breaks.into_iter().filter(|found| found.closed_at.is_none());
    cases.extend(open.map(|found| Case {
        kind: Kind::Break,
        subject: found.subject,
        since: found.opened_at,
        amount: Some(found.difference),
        words: format!("{} on the bill of {}", found.kind.code(), found.date),
    }));
    of_state(ports, "review", &mut cases, reviewed).await?;
    shared(ports, &mut cases).await?;
    unpayable(ports, now, &mut cases).await?;
    cases.sort_by(|a, b| (a.kind, a.since, &a.subject).cmp(&(b.kind, b.since, &b.subject)));
    Ok(cases)
}

/// All payouts of a state, however many: what is old is not behind what is new.
async fn of_state<P: Ports>(
    ports: &P,
    state: &str,
    cases: &mut Vec<Case>,
    case: impl Fn(&PayoutRow) -> Option<Case> + Send,
) -> Result<(), Fault> {
    let mut before = None;
    loop {
        let (rows, next) = payouts_of(ports, state, before).await?;
        cases.extend(rows.iter().filter_map(&case));
        match next {
            None => return Ok(()),
            next => before = next,
        }
    }
}

/// A page of the payouts of a state, newest first, and where the next one begins, if there is one.
pub(crate) async fn payouts_of<P: Ports>(
    ports: &P,
    state: &str,
    before: Option<PayoutId>,
) -> Result<(Vec<PayoutRow>, Option<PayoutId>), Fault> {
    let filter = PayoutFilter {
        state: Some(state.to_owned()),
        before,
        limit: ROWS_EACH,
        ..PayoutFilter::default()
    };
    let rows = ports.store().payouts(filter).await?;
    let more = rows.len() >= ROWS_EACH as usize;
    let next = rows.last().map(|row| row.payout.id).filter(|_| more);
    Ok((rows, next))
}

/// Wallets that are flagged because several users have them.
async fn shared<P: Ports>(ports: &P, cases: &mut Vec<Case>) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let filter = LinkFilter {
            flagged: true,
            after: after.take(),
            limit: ROWS_EACH,
            ..LinkFilter::default()
        };
        let rows = ports.store().links(filter).await?;
        cases.extend(rows.iter().map(|row| Case {
            kind: Kind::SharedWallet,
            subject: row.user.to_string(),
            since: row.link.linked_at,
            amount: None,
            words: format!("the wallet under {} is another user's, too", row.link.app),
        }));
        if rows.len() < ROWS_EACH as usize {
            return Ok(());
        }
        after = rows.last().map(|row| (row.link.user, row.link.app.clone()));
    }
}

/// Payouts that were passed, have waited for a while, and whose users no merchant can reach. Each
/// user is looked at once, however many payouts wait.
async fn unpayable<P: Ports>(
    ports: &P,
    now: Timestamp,
    cases: &mut Vec<Case>,
) -> Result<(), Fault> {
    let merchants = ports.store().merchants().await?;
    let mut payable: BTreeMap<UserId, bool> = BTreeMap::new();
    let mut before = Some(PayoutId::new(now.after_ms(-WAITED_MS), 0));
    while before.is_some() {
        let (waiting, next) = payouts_of(ports, "approved", before).await?;
        before = next;
        for row in waiting {
            let reached = match payable.get(&row.user) {
                Some(known) => *known,
                None => {
                    let wallet = ports.store().user(&row.user, now.business_date()).await?;
                    let reached = wallet.is_some_and(|wallet| wallet.is_payable(&merchants));
                    payable.insert(row.user.clone(), reached);
                    reached
                }
            };
            if !reached {
                cases.push(unreached(&row));
            }
        }
    }
    Ok(())
}

fn unreached(row: &PayoutRow) -> Case {
    Case {
        kind: Kind::NoPayingApp,
        subject: row.payout.id.to_string(),
        since: row.payout.created_at,
        amount: Some(row.payout.amount),
        words: format!(
            "no merchant pays under an app that {} is linked with",
            row.user
        ),
    }
}

fn in_doubt(row: &PayoutRow, now: Timestamp) -> Option<Case> {
    let State::Unknown(attempt, code) = &row.payout.state else {
        return None;
    };
    (!attempt.may_go_again(now)).then(|| Case {
        kind: Kind::InDoubt,
        subject: row.payout.id.to_string(),
        since: attempt.first_sent_at,
        amount: Some(row.payout.amount),
        words: format!(
            "{} as {}, last heard {code}",
            row.payout.amount,
            attempt.number()
        ),
    })
}

fn reviewed(row: &PayoutRow) -> Option<Case> {
    let State::Review(review) = &row.payout.state else {
        return None;
    };
    let reasons: Vec<&str> = review.reasons.iter().map(|reason| reason.code()).collect();
    let approved = match review.approvals.len() {
        0 => String::new(),
        count => format!(", approved by {count}"),
    };
    Some(Case {
        kind: Kind::Review,
        subject: row.payout.id.to_string(),
        since: row.payout.created_at,
        amount: Some(row.payout.amount),
        words: format!("{}: {}{approved}", row.payout.amount, reasons.join(", ")),
    })
}
