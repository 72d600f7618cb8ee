//! The only way in: what may be asked, what may come of it, and how it may be refused.

use crate::control::{Act, Scope, StopCause};
use crate::earning::{EarningEvent, Kind};
use crate::endpoint::Endpoint;
use crate::id::{AppId, IdFault, MchId, PayoutId, UserId};
use crate::letter::{LetterId, Mark};
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
    /// The input as it came; cut at 4 KiB.
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
    /// Keeps an input that could not be credited.
    KeepDeadLetter(DeadLetter),
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
    /// Keeps how far a source was read, or a sink was told.
    KeepMark(Mark),
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

/// Why a command changes nothing. The codes are stable; nobody matches on the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A field is malformed.
    #[error("{field} {fault}")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        fault: IdFault,
    },
    /// No such user was registered.
    #[error("no user is registered under this id")]
    UnknownUser,
    /// The catalogue has no such kind.
    #[error("the catalogue has no such kind of earning")]
    UnknownKind,
    /// No such merchant was defined.
    #[error("no such merchant is defined")]
    UnknownMerchant,
    /// No merchant pays users of that app.
    #[error("no merchant pays under this app")]
    UnknownApp,
    /// The bill is one merchant's and the payout another's.
    #[error("the payout is another merchant's")]
    OtherMerchant,
    /// No such payout exists.
    #[error("there is no such payout")]
    UnknownPayout,
    /// Neither event nor catalogue has an amount.
    #[error("the event has no amount and its kind has no price")]
    AmountMissing,
    /// Zero or less.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// More than allowed.
    #[error("the amount must be at most {} micro-yuan", max.0)]
    AmountOutOfRange {
        /// The most.
        max: Micros,
    },
    /// The kind has a price and the event names another amount.
    #[error("the kind has a fixed price of {} micro-yuan", price.0)]
    AmountNotThePrice {
        /// The price.
        price: Micros,
    },
    /// The event names a sender and its kind, or its being a claw-back, has none.
    #[error("this event has no sender; only a kind between users has one")]
    SenderNotAllowed,
    /// The kind is between users and the event names no sender.
    #[error("a kind between users needs the sender in `from`")]
    SenderMissing,
    /// No such sender was registered.
    #[error("no user is registered under the sender's id")]
    UnknownSender,
    /// Sender and receiver are the same user.
    #[error("the sender and the receiver are the same user")]
    SenderIsReceiver,
    /// The balance would leave its range.
    #[error("the user's balance would leave its range")]
    BalanceOutOfRange,
    /// The cap of the kind for one user and day is reached.
    #[error("the user's cap of this kind for today is reached")]
    DayCapReached,
    /// The event that is to be taken back was never booked.
    #[error("the event to take back was never booked from this source")]
    UnknownEvent,
    /// Only an earning can be taken back.
    #[error("a transfer between users or a claw-back cannot be taken back")]
    NotReversible,
    /// User or kind are not those of the event that is to be taken back.
    #[error("user and kind are not those of the event to take back")]
    OriginalDiffers,
    /// Somebody replayed or discarded the dead letter before.
    #[error("this dead letter was replayed or discarded before")]
    LetterEnded,
    /// Nothing is left to take back.
    #[error("all of that event was taken back before")]
    AlreadyTakenBack,
    /// Money may cool off for so long at most.
    #[error(
        "money may cool off for at most {} days",
        crate::earning::COOLING_DAYS_MAX
    )]
    CoolingTooLong,
    /// Dated too far ahead.
    #[error("the event is dated more than a day ahead")]
    OccurredInFuture,
    /// The same event id with other content.
    #[error("this event id was credited with other content")]
    EventConflict,
    /// The state is unknown.
    #[error("this link was not started here")]
    StateUnknown,
    /// The state is too old.
    #[error("this link was started too long ago; start it again")]
    StateExpired,
    /// The state was used before.
    #[error("this link was already used; start it again")]
    StateUsed,
    /// WeChat handed out a virtual person.
    #[error("WeChat showed a snapshot page with a virtual user; open the page again and agree")]
    SnapshotUser,
    /// The wallet is another user's.
    #[error("this wallet is linked to another user")]
    WalletLinkedElsewhere,
    /// Another app knows the user as another person.
    #[error("the user's links with other apps are of another WeChat user; unlink those first")]
    UnionidMismatch,
    /// There is no such link.
    #[error("the user has no such link")]
    NotLinked,
    /// There is nothing to refresh.
    #[error("there are no tokens to refresh; only the user can grant it again")]
    NoTokens,
    /// There is nothing to allow.
    #[error("no wallet of this user is flagged as shared")]
    NotShared,
    /// This installation does not know the app's secret.
    #[error("this installation has no secret of this app; name it in [[apps]]")]
    AppNotConfigured,
    /// The app has no page of that sort.
    #[error("this app has no page of this scope: {why}")]
    ScopeNotOfApp {
        /// What to do instead.
        why: &'static str,
    },
    /// The key was used with another request.
    #[error("this idempotency key was used with another request")]
    KeyReused,
    /// The reference was used before.
    #[error("this reference was used by another withdrawal")]
    ReferenceUsed,
    /// The balance does not cover it.
    #[error("the available balance does not cover the amount")]
    InsufficientFunds,
    /// What can be withdrawn is less than the smallest payout.
    #[error("less than the smallest payout of {} fen can be withdrawn", min.0)]
    BelowMinimum {
        /// The smallest payout.
        min: Fen,
    },
    /// The payout's state does not allow it.
    #[error("a payout that is {state} does not allow this")]
    WrongState {
        /// Its state.
        state: &'static str,
    },
    /// One person cannot approve twice.
    #[error("this person approved it before; another one must")]
    SamePerson,
    /// WeChat allows the number to be sent again for three days only.
    #[error("the number was first sent too long ago to be sent again; look at the bills")]
    ResendTooLate,
    /// The bills do not show what is claimed.
    #[error("the bills do not prove it: {lacking}")]
    NoProof {
        /// What is lacking.
        lacking: &'static str,
    },
    /// The number in a report is not this payout's.
    #[error("the business number is not one that was sent")]
    ForeignNumber,
    /// A report contradicts our record of the transfer.
    #[error("the report's {field} is not the one that was sent")]
    ClaimMismatch {
        /// Which field.
        field: &'static str,
    },
    /// A number that may never change would.
    #[error("{what} cannot be changed")]
    Immutable {
        /// What.
        what: &'static str,
    },
}

impl Rejection {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::Malformed { .. } => "malformed",
            Rejection::UnknownUser => "unknown_user",
            Rejection::UnknownKind => "unknown_kind",
            Rejection::UnknownMerchant => "unknown_merchant",
            Rejection::UnknownApp => "unknown_app",
            Rejection::OtherMerchant => "other_merchant",
            Rejection::UnknownPayout => "unknown_payout",
            Rejection::AmountMissing => "amount_missing",
            Rejection::AmountNotPositive => "amount_not_positive",
            Rejection::AmountOutOfRange { .. } => "amount_out_of_range",
            Rejection::AmountNotThePrice { .. } => "amount_not_the_price",
            Rejection::SenderNotAllowed => "sender_not_allowed",
            Rejection::SenderMissing => "sender_missing",
            Rejection::UnknownSender => "unknown_sender",
            Rejection::SenderIsReceiver => "sender_is_receiver",
            Rejection::BalanceOutOfRange => "balance_out_of_range",
            Rejection::DayCapReached => "day_cap_reached",
            Rejection::UnknownEvent => "unknown_event",
            Rejection::NotReversible => "not_reversible",
            Rejection::OriginalDiffers => "original_differs",
            Rejection::AlreadyTakenBack => "already_taken_back",
            Rejection::LetterEnded => "letter_ended",
            Rejection::CoolingTooLong => "cooling_too_long",
            Rejection::OccurredInFuture => "occurred_in_future",
            Rejection::EventConflict => "event_conflict",
            Rejection::StateUnknown => "link_state_unknown",
            Rejection::StateExpired => "link_state_expired",
            Rejection::StateUsed => "link_state_used",
            Rejection::SnapshotUser => "snapshot_user",
            Rejection::WalletLinkedElsewhere => "wallet_linked_elsewhere",
            Rejection::UnionidMismatch => "unionid_mismatch",
            Rejection::NotLinked => "not_linked",
            Rejection::NoTokens => "reauthorization_needed",
            Rejection::NotShared => "not_shared",
            Rejection::AppNotConfigured => "app_not_configured",
            Rejection::ScopeNotOfApp { .. } => "scope_not_of_app",
            Rejection::KeyReused => "idempotency_key_reused",
            Rejection::ReferenceUsed => "reference_used",
            Rejection::InsufficientFunds => "insufficient_funds",
            Rejection::BelowMinimum { .. } => "below_minimum",
            Rejection::WrongState { .. } => "wrong_state",
            Rejection::SamePerson => "same_person",
            Rejection::ResendTooLate => "resend_too_late",
            Rejection::NoProof { .. } => "no_proof",
            Rejection::ForeignNumber => "foreign_number",
            Rejection::ClaimMismatch { .. } => "claim_mismatch",
            Rejection::Immutable { .. } => "immutable",
        }
    }

    /// The field of the input that broke the rule, where one did.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Rejection::Malformed { field, .. } | Rejection::ClaimMismatch { field } => Some(field),
            Rejection::UnknownUser => Some("user"),
            Rejection::UnknownKind | Rejection::DayCapReached => Some("kind"),
            Rejection::UnknownApp | Rejection::AppNotConfigured => Some("app"),
            Rejection::ScopeNotOfApp { .. } => Some("scope"),
            Rejection::SenderNotAllowed
            | Rejection::SenderMissing
            | Rejection::UnknownSender
            | Rejection::SenderIsReceiver => Some("from"),
            Rejection::UnknownEvent
            | Rejection::NotReversible
            | Rejection::OriginalDiffers
            | Rejection::AlreadyTakenBack => Some("reverses"),
            Rejection::AmountMissing
            | Rejection::AmountNotPositive
            | Rejection::AmountOutOfRange { .. }
            | Rejection::AmountNotThePrice { .. }
            | Rejection::InsufficientFunds
            | Rejection::BalanceOutOfRange
            | Rejection::BelowMinimum { .. } => Some("amount"),
            Rejection::OccurredInFuture => Some("occurred_at"),
            Rejection::EventConflict => Some("event_id"),
            Rejection::StateUnknown | Rejection::StateExpired | Rejection::StateUsed => {
                Some("state")
            }
            Rejection::ReferenceUsed => Some("reference"),
            Rejection::UnknownMerchant
            | Rejection::OtherMerchant
            | Rejection::CoolingTooLong
            | Rejection::LetterEnded
            | Rejection::UnknownPayout
            | Rejection::SnapshotUser
            | Rejection::WalletLinkedElsewhere
            | Rejection::UnionidMismatch
            | Rejection::NotLinked
            | Rejection::NoTokens
            | Rejection::NotShared
            | Rejection::KeyReused
            | Rejection::WrongState { .. }
            | Rejection::SamePerson
            | Rejection::ResendTooLate
            | Rejection::NoProof { .. }
            | Rejection::ForeignNumber
            | Rejection::Immutable { .. } => None,
        }
    }
}
