//! What a batch of commands decided, on its way to storage: written all or nothing.

use crate::command::{ApiKey, DeadLetter, IdempotencyKey};
use crate::control::{Deed, Stop};
use crate::earning::{Earning, Kind, KindDay};
use crate::endpoint::Endpoint;
use crate::facts::RememberedAnswer;
use crate::id::{EventId, KindNo, MerchantNo, PayoutId, Source, UserNo};
use crate::ledger::{Account, Cause, Entry};
use crate::letter::{LetterEnd, Mark};
use crate::link::{Link, LinkState};
use crate::money::{Fen, Micros};
use crate::notice::Notice;
use crate::payout::{Attempt, Payout, Queue, State};
use crate::reconcile::{Bill, BookedLine, Break};
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::{Evidence, Merchant};
use crate::user::{DayTotals, User};

/// What happened to a payout, for the people who have to explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Which payout.
    pub payout: PayoutId,
    /// When.
    pub at: Timestamp,
    /// What happened, such as `held`, `assessed`, `sent`, `answer`, `notification`.
    pub event: &'static str,
    /// The state after it.
    pub state: &'static str,
    /// A code that says more, such as WeChat's.
    pub code: Option<String>,
    /// What was seen.
    pub evidence: Option<Evidence>,
}

impl HistoryLine {
    /// Every event, in the order of a life.
    pub const EVENTS: [&'static str; 16] = [
        "held",
        "assessed",
        "approved",
        "refused",
        "stopped",
        "expired",
        "begun",
        "resend_asked",
        "attempt_ended",
        "marked_paid",
        "marked_unpaid",
        "cancel_asked",
        "answer",
        "query",
        "notification",
        "contradiction",
    ];

    /// The first line of every payout that a withdrawal makes.
    #[must_use]
    pub fn held(payout: &Payout) -> HistoryLine {
        HistoryLine {
            payout: payout.id,
            at: payout.created_at,
            event: "held",
            state: State::Requested.name(),
            code: None,
            evidence: None,
        }
    }
}

/// The entries of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The one that bears the event's name.
    pub first: Entry,
    /// One that follows from it.
    pub second: Option<Entry>,
}

impl Posting {
    /// Both, in their order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// Whether they book this event: its amount, between the accounts that it names.
    #[must_use]
    pub fn fits(&self, earning: &Earning) -> bool {
        let (available, owing) = (
            Account::Available(earning.user),
            Account::Receivable(earning.user),
        );
        let funding = Account::Funding(earning.kind);
        let sides = |entry: &Entry| (entry.debit(), entry.credit(), entry.cause());
        let second = self.second.as_ref().map(sides);
        let (first, rest) = match (earning.from, &earning.reverses) {
            (None, None) => ((funding, available, Cause::Earn), Cause::Repay),
            (Some(from), None) => {
                let sender = Account::Available(from);
                ((sender, available, Cause::Transfer), Cause::Repay)
            }
            (_, Some(_)) => {
                let from_balance = self.first.debit() == available;
                let debit = if from_balance { available } else { owing };
                ((debit, funding, Cause::ClawBack), Cause::Owe)
            }
        };
        let follows = if rest == Cause::Owe {
            (owing, funding, Cause::Owe)
        } else {
            (available, owing, Cause::Repay)
        };
        sides(&self.first) == first
            && second.is_none_or(|second| second == follows)
            && self.booked() == earning.amount
            && self
                .entries()
                .all(|entry| entry.at() == earning.recorded_at)
    }

    /// How much of them is the event's own amount: a debt that an earning pays is not.
    #[must_use]
    pub fn booked(&self) -> Micros {
        let owing = self
            .second
            .iter()
            .filter(|second| second.cause() == Cause::Owe);
        owing.fold(self.first.amount(), |sum, entry| {
            sum.plus(entry.amount()).unwrap_or(sum)
        })
    }

    /// How much of an earning paid a debt.
    #[must_use]
    pub fn repaid(&self) -> Micros {
        let second = self.second.as_ref();
        let second = second.filter(|entry| entry.cause() == Cause::Repay);
        second.map_or(Micros::ZERO, Entry::amount)
    }
}

impl From<Entry> for Posting {
    fn from(first: Entry) -> Posting {
        Posting {
            first,
            second: None,
        }
    }
}

/// What a payout waits for from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What it waits for.
    pub queue: Queue,
    /// Not before this moment.
    pub due_at: Timestamp,
}

/// What a batch of commands decided, written all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New or changed kinds.
    pub kinds: Vec<Kind>,
    /// New or changed merchants.
    pub merchants: Vec<Merchant>,
    /// Stops that are new, tried or lifted.
    pub stops: Vec<Stop>,
    /// What was done by hand.
    pub deeds: Vec<Deed>,
    /// What merchants were told to pay on a day, all together.
    pub merchant_days: Vec<(MerchantNo, BusinessDate, Fen)>,
    /// New keys.
    pub api_keys: Vec<ApiKey>,
    /// New or changed users.
    pub users: Vec<User>,
    /// New or used-up link states.
    pub link_states: Vec<LinkState>,
    /// Links made; one replaces the user's earlier one.
    pub links: Vec<Link>,
    /// Booked events, each with its entries.
    pub earnings: Vec<(Earning, Posting)>,
    /// New totals of users' days per kind.
    pub kind_days: Vec<(UserNo, KindNo, KindDay)>,
    /// What cools off for a user until a day, all together.
    pub cooling: Vec<(UserNo, BusinessDate, Micros)>,
    /// How much of an event was taken back, all together.
    pub clawed: Vec<(Source, EventId, Micros)>,
    /// Inputs that could not be credited.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that somebody replayed or discarded.
    pub letter_ends: Vec<LetterEnd>,
    /// How far sources were read and sinks were told.
    pub marks: Vec<Mark>,
    /// Entries of payouts.
    pub entries: Vec<Entry>,
    /// New or changed payouts; the second part replaces what it waits for. For a payout that is
    /// final nothing is left to wait for; for one that only changed otherwise (`None` while it
    /// is not final) the wait stays as it is.
    pub payouts: Vec<(Payout, Option<Work>)>,
    /// Attempts that ended unpaid while their payouts go on.
    pub attempts: Vec<Attempt>,
    /// What happened to payouts.
    pub history: Vec<HistoryLine>,
    /// New totals of users' days.
    pub day_totals: Vec<(UserNo, BusinessDate, DayTotals)>,
    /// Answers to remember.
    pub answers: Vec<(IdempotencyKey, RememberedAnswer)>,
    /// Booked lines of bills, each with its entry.
    pub bill_lines: Vec<(BookedLine, Entry)>,
    /// Breaks opened, changed or closed.
    pub breaks: Vec<Break>,
    /// Closed bills.
    pub bills: Vec<Bill>,
    /// New or changed endpoints of webhooks.
    pub endpoints: Vec<Endpoint>,
    /// What the outside is told of all this. They are numbered without a gap in this order.
    pub notices: Vec<Notice>,
}

/// What rests on nothing and moves no money: written as it is, whatever else is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Inputs that could not be credited.
    pub dead_letters: Vec<DeadLetter>,
    /// How far sources were read and sinks were told.
    pub marks: Vec<Mark>,
}

impl From<Notes> for Changes {
    fn from(notes: Notes) -> Changes {
        let Notes {
            dead_letters,
            marks,
        } = notes;
        Changes {
            dead_letters,
            marks,
            ..Changes::default()
        }
    }
}

impl Changes {
    /// Adds what the next command of the batch decided.
    pub fn append(&mut self, other: Changes) {
        let Changes {
            kinds,
            merchants,
            stops,
            deeds,
            merchant_days,
            api_keys,
            users,
            link_states,
            links,
            earnings,
            kind_days,
            cooling,
            clawed,
            dead_letters,
            letter_ends,
            marks,
            entries,
            payouts,
            attempts,
            history,
            day_totals,
            answers,
            bill_lines,
            breaks,
            bills,
            endpoints,
            notices,
        } = other;
        self.kinds.extend(kinds);
        self.merchants.extend(merchants);
        self.stops.extend(stops);
        self.deeds.extend(deeds);
        self.merchant_days.extend(merchant_days);
        self.api_keys.extend(api_keys);
        self.users.extend(users);
        self.link_states.extend(link_states);
        self.links.extend(links);
        self.earnings.extend(earnings);
        self.kind_days.extend(kind_days);
        self.cooling.extend(cooling);
        self.clawed.extend(clawed);
        self.dead_letters.extend(dead_letters);
        self.letter_ends.extend(letter_ends);
        self.marks.extend(marks);
        self.entries.extend(entries);
        self.payouts.extend(payouts);
        self.attempts.extend(attempts);
        self.history.extend(history);
        self.day_totals.extend(day_totals);
        self.answers.extend(answers);
        self.bill_lines.extend(bill_lines);
        self.breaks.extend(breaks);
        self.bills.extend(bills);
        self.endpoints.extend(endpoints);
        self.notices.extend(notices);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }

    /// Every entry of the batch, in the order of the flow.
    pub fn all_entries(&self) -> impl Iterator<Item = &Entry> {
        let earned = self
            .earnings
            .iter()
            .flat_map(|(_, booked)| booked.entries());
        let billed = self.bill_lines.iter().map(|(_, entry)| entry);
        earned.chain(&self.entries).chain(billed)
    }
}
