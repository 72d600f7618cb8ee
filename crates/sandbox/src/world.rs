//! The sandbox's whole memory, and the events that change it.
//!
//! Nothing changes except by `World::apply`, and every event it takes is a line of the journal:
//! replaying the journal gives the same world. Events carry times, draws and decisions, so
//! `apply` reads no clock and no setting.

mod books;
mod notices;
mod people;
mod transfer;

use serde::{Deserialize, Serialize};

pub(crate) use books::{Books, Line, LineKind, Wallet};
pub(crate) use notices::{Manner, Notice, Notices, Try};
pub(crate) use people::{Code, People, Scope, Token, User};
pub(crate) use transfer::{Hand, KeyChoice, Move, Order, State, Transfer};

/// Everything that can happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The business clock was put ahead of the wire clock by this much.
    ClockSet { offset_ms: i64 },
    /// A user was made or changed.
    UserPut(User),
    /// The OAuth page gave out a code.
    CodeIssued(Code),
    /// A code was exchanged for a token.
    CodeUsed { code: String, token: Token },
    /// A token was refreshed: `replaced` is the access token before.
    TokenRefreshed { replaced: String, token: Token },
    /// Money came to the operation account.
    ToppedUp { at_ms: i64, amount_fen: u64, note: String },
    /// A transfer was accepted.
    Accepted(Box<Transfer>),
    /// A transfer went to its next state.
    Moved(Box<Move>),
    /// A notification was sent once; `next_ms` is when to send it again.
    NoticeTried { id: String, attempt: Try, next_ms: Option<i64> },
    /// A person asked to send a notification again.
    NoticeAgain { id: String, at_ms: i64, manner: Manner },
}

/// The memory.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) offset_ms: i64,
    pub(crate) latest_ms: i64,
    pub(crate) people: People,
    pub(crate) books: Books,
    pub(crate) notices: Notices,
}

impl World {
    /// Lets an event happen.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::ClockSet { offset_ms } => self.offset_ms = *offset_ms,
            Event::UserPut(user) => self.people.put(user),
            Event::CodeIssued(code) => self.people.issue(code),
            Event::CodeUsed { code, token } => self.people.exchange(code, token),
            Event::TokenRefreshed { replaced, token } => self.people.refresh(replaced, token),
            Event::ToppedUp { at_ms, amount_fen, note } => {
                self.saw(*at_ms);
                self.books.top_up(*at_ms, *amount_fen, note);
            }
            Event::Accepted(transfer) => {
                self.saw(transfer.created_ms);
                self.books.accept(transfer);
            }
            Event::Moved(step) => {
                self.saw(step.at_ms);
                self.books.advance(step);
                if let (Some(manner), Some(transfer)) =
                    (step.notice, self.books.transfer(&step.out_bill_no))
                    && let Some(url) = &transfer.order.notify_url
                {
                    self.notices.add(&step.out_bill_no, url, step.at_ms, manner);
                }
            }
            Event::NoticeTried { id, attempt, next_ms } => {
                self.notices.tried(id, attempt, *next_ms);
            }
            Event::NoticeAgain { id, at_ms, manner } => self.notices.again(id, *at_ms, *manner),
        }
    }

    fn saw(&mut self, at_ms: i64) {
        self.latest_ms = self.latest_ms.max(at_ms);
    }
}
