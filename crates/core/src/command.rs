//! The only way in: what may be asked, what may come of it, and how it may be refused.

use std::collections::BTreeMap;

use crate::control::{Act, Scope, StopCause};
use crate::earning::{EarningEvent, Kind};
use crate::endpoint::Endpoint;
use crate::id::{AppId, MchId, OutBillNo, PayoutId, UserId};
use crate::letter::LetterId;
use crate::link::{Identity, LinkCommand, Page, StateDigest};
use crate::money::{Fen, Micros};
use crate::reconcile::{BillLine, Match};
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::{Merchant, TransferOrder, TransferReport};
use crate::user::Sealed;
use crate::withdrawal::Withdrawal;

/// A caller's promise that two requests with one key are one request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey {
    /// The route that the key was given to.
    pub scope: String,
    /// The caller's key.
    pub key: String,
}

/// A person or program that may call the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part of the key, by which people name it.
    pub id: String,
    /// SHA-256 of the secret part.
    pub digest: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

/// An input that could not be credited, kept for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The door it came through, such as `import` or `http`.
    pub door: String,
    /// Where in that input, such as `line 12`.
    pub position: String,
    /// Why it was not credited.
    pub code: String,
    /// The input as it came, up to the limit of its door.
    pub raw: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// Everything that may be asked of the rules, in the order in which money moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds a kind to the catalogue or changes its price; its number never changes.
    DefineKind(Kind),
    /// Adds a merchant or changes what its transfers say.
    DefineMerchant(Merchant),
    /// Admits a key.
    AddApiKey(ApiKey),
    /// Makes an endpoint of webhooks, or changes one.
    SetEndpoint {
        /// As it is to be.
        endpoint: Box<Endpoint>,
        /// What is done to it, such as `create`.
        what: &'static str,
        /// Who, and why.
        act: Act,
    },
    /// Registers a user of the app. Doing it again changes nothing but a name given.
    RegisterUser {
        /// The app's name for the user.
        user: UserId,
        /// The real name, sealed.
        name: Option<Sealed>,
    },
    /// Stops or allows payouts to a user.
    SetFrozen {
        /// Whose.
        user: UserId,
        /// Whether to stop.
        frozen: bool,
        /// Who did it and why, where a person did.
        act: Option<Act>,
    },
    /// Hands out a single-use state for the authorization page.
    StartLink {
        /// Whose wallet.
        user: UserId,
        /// By which app; the first that a merchant pays under where none is asked for.
        app: Option<AppId>,
        /// On which page.
        page: Page,
        /// The digest of the state parameter.
        state: StateDigest,
    },
    /// The user came back with a state; it is used up before WeChat is asked.
    RedeemState {
        /// The digest of the state parameter.
        state: StateDigest,
    },
    /// WeChat said who the person is.
    CompleteLink {
        /// The state that was redeemed for this.
        state: StateDigest,
        /// Who they are.
        identity: Identity,
    },
    /// About links that need no page: made by a code, refreshed, ended.
    Link(Box<LinkCommand>),
    /// Books an earning event: a credit, a transfer between users, or a claw-back.
    Earn(EarningEvent),
    /// Gives the event of a dead letter again, perhaps mended; the letter ends with it.
    ReplayLetter {
        /// Which letter.
        letter: LetterId,
        /// How often it had come.
        times: u64,
        /// The event that is to be booked.
        event: EarningEvent,
        /// Who, and why.
        act: Act,
    },
    /// Ends a dead letter of which nothing is to come.
    DiscardLetter {
        /// Which letter.
        letter: LetterId,
        /// How often it had come.
        times: u64,
        /// Who, and why.
        act: Act,
    },
    /// Sets money aside for a payout.
    Withdraw(Box<Withdrawal>),
    /// Lets risk look at a payout.
    Assess(PayoutId),
    /// Ends a payout that nobody approved in time.
    ExpireReview(PayoutId),
    /// Does something to a payout by hand.
    Manual {
        /// To which payout.
        payout: PayoutId,
        /// What.
        what: Manual,
        /// Who, and why.
        act: Act,
    },
    /// Stops payouts, or lifts a stop.
    SetStop {
        /// Which payouts.
        scope: Scope,
        /// Which of the stops of this scope.
        cause: StopCause,
        /// Whether to stop.
        on: bool,
        /// Who, and why.
        act: Act,
    },
    /// Makes the order durable, just before it is sent.
    BeginTransfer(PayoutId),
    /// Makes many orders durable, just before they are sent; those that can go out in one request
    /// are made a batch.
    BeginTransfers {
        /// Which payouts, in the order in which they go.
        payouts: Vec<PayoutId>,
        /// Of whose orders so many may go out in one request; of the others each goes alone.
        packs: BTreeMap<MchId, u16>,
    },
    /// Sends a batch again, whole, where nothing of it is known and everybody in it may go.
    ResendBatch {
        /// The batch's number.
        batch: OutBillNo,
        /// All payouts that ever were in it.
        members: Vec<PayoutId>,
    },
    /// Lets a payout that a stop put off be due now, where nothing stops it any more.
    Rouse(PayoutId),
    /// Wants a payout stopped.
    CancelPayout(PayoutId),
    /// Reports what WeChat said.
    ReportTransfer(Box<TransferReport>),
    /// Books one line of a bill.
    RecordBillLine {
        /// Whose bill.
        mchid: MchId,
        /// Which day's.
        date: BusinessDate,
        /// The line.
        line: BillLine,
    },
    /// Looks whether a payout that ended that day is on the bill.
    CheckEnded {
        /// Whose bill.
        mchid: MchId,
        /// Which payout.
        payout: PayoutId,
        /// Which day's bill.
        date: BusinessDate,
    },
    /// Closes a day: every line was booked and every payout checked.
    CloseBill {
        /// Whose bill.
        mchid: MchId,
        /// The bill as a whole; the merchant number in it is filled in.
        bill: crate::reconcile::Bill,
    },
}

/// What a person can do to a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manual {
    /// Say yes to what risk wants looked at.
    Approve,
    /// End it before anything is sent; the money returns to the balance.
    Refuse,
    /// Stop it, as the app could.
    Cancel,
    /// Send the same order again now.
    Resend,
    /// It is on a bill as paid.
    MarkPaid,
    /// It is on no bill, and can come on none any more.
    MarkUnpaid,
}

impl Manual {
    /// Everything that can be done.
    pub const ALL: [Manual; 6] = [
        Manual::Approve,
        Manual::Refuse,
        Manual::Cancel,
        Manual::Resend,
        Manual::MarkPaid,
        Manual::MarkUnpaid,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Manual::Approve => "approve",
            Manual::Refuse => "refuse",
            Manual::Cancel => "cancel",
            Manual::Resend => "resend",
            Manual::MarkPaid => "mark-paid",
            Manual::MarkUnpaid => "mark-unpaid",
        }
    }

    /// What has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Manual> {
        Manual::ALL.into_iter().find(|what| what.name() == name)
    }
}

/// What came of a command that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is so now, or was so before.
    Done,
    /// The event was credited.
    Credited {
        /// With how much.
        amount: Micros,
    },
    /// The event had been credited before.
    AlreadyCredited,
    /// A link was begun.
    LinkStarted {
        /// By this app.
        app: AppId,
    },
    /// The state was redeemed.
    StateRedeemed {
        /// For whom.
        user: UserId,
        /// The app whose page gave the code.
        app: AppId,
    },
    /// The state was redeemed before, and its user is linked by it.
    LinkedBefore {
        /// Who.
        user: UserId,
    },
    /// A link stands there now.
    Link {
        /// The name of its standing.
        standing: &'static str,
        /// Whether this command changed it.
        moved: bool,
    },
    /// Money was set aside.
    Withdrawn {
        /// For which payout.
        payout: PayoutId,
        /// How much.
        amount: Fen,
        /// Since when.
        created_at: Timestamp,
        /// Whether this answer repeats an earlier one.
        replayed: bool,
    },
    /// Risk has looked.
    Assessed {
        /// Whether it passed.
        passed: bool,
    },
    /// The order is durable and must be sent.
    Begun(Box<TransferOrder>),
    /// These orders are durable and must be sent; those of a batch in one request.
    AllBegun {
        /// The orders, each batch's in the order of its places.
        orders: Vec<TransferOrder>,
        /// Batches of which some wait to be sent again: that is done to all of a batch at once.
        batches: Vec<OutBillNo>,
    },
    /// The order is in a batch, which is sent again whole or not at all. Nothing changed.
    InBatch(OutBillNo),
    /// The payout stands there now.
    Payout {
        /// The name of its state.
        state: &'static str,
        /// Whether this command moved it.
        moved: bool,
    },
    /// The line was booked.
    LineBooked {
        /// What it was found to be.
        matched: Match,
    },
    /// The line had been booked before.
    LineKnown,
    /// The payout was checked.
    Checked {
        /// Whether there is an open break.
        open: bool,
    },
}

impl Outcome {
    /// Where an act by hand left the payout.
    #[must_use]
    pub fn state_by_hand(&self) -> &'static str {
        if let Outcome::Payout { state, .. } = self {
            state
        } else if *self == (Outcome::Assessed { passed: true }) {
            "approved"
        } else {
            "refused"
        }
    }
}
