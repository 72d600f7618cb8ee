//! Why a command may be refused, in words, by a stable code and by field.

use crate::id::IdFault;
use crate::money::{Fen, Micros};

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
