//! What must be true, kept beside the world by somebody who sees both sides: every commit of the
//! store, every answer to a client, and WeChat's own books. The store's audit knows one side.

mod clients;
mod commits;
mod ends;
mod quiet;
mod rail;
mod route;
mod terms;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::payout::Payout;
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::TransferOrder;

use crate::world::Settings;

/// WeChat surely takes a number for the same for so long. It is written here once more, because
/// whoever judges must not borrow the rule that is judged.
const WINDOW_MS: i64 = 3 * 24 * 3_600_000;

/// Something that must never be, and was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant is broken; the names are stable.
    pub invariant: String,
    /// What was seen.
    pub detail: String,
}

/// The invariants that the oracle checks beyond those of the audit, each with what it says.
pub const INVARIANTS: [(&str, &str); 51] = [
    (
        "acknowledged_exists",
        "what was answered as accepted or credited is in the books, also after a crash",
    ),
    (
        "auditor_is_right",
        "the live auditor finds nothing in sound books, whatever is done to them meanwhile",
    ),
    (
        "auditor_sees",
        "the audit, and the live auditor, find what was made wrong past all rules",
    ),
    (
        "batch_goes_whole",
        "a batch arrives at WeChat with everybody who was put into it, and with nobody else",
    ),
    (
        "bills_agree",
        "a bill made from WeChat's truth leaves no break and nothing in clearing",
    ),
    (
        "break_is_found",
        "a paid payout that a bill leaves out becomes a break",
    ),
    (
        "change_is_told",
        "every change that somebody may wait for is told once, in the commit of the change",
    ),
    (
        "cooling_is_kept",
        "money that cools off is neither withdrawn nor given away, and other money may be",
    ),
    (
        "day_cap_holds",
        "a user earns no more of a kind in a day than its cap, and not less",
    ),
    (
        "durable_before_sent",
        "the order that arrives at WeChat was committed before, exactly so",
    ),
    (
        "earned_once",
        "an event is booked at most once, and with its amount",
    ),
    (
        "empty_account_stops",
        "an empty account stops its merchant and no other, but for one try now and then",
    ),
    ("engine_does_not_panic", "no assertion of the engine fails"),
    (
        "everything_ends",
        "once faults stop every payout becomes final and every queue empty",
    ),
    ("final_stays", "a final state never changes"),
    (
        "final_waits_for_nothing",
        "a final payout waits for nothing, an unfinished one for one thing",
    ),
    (
        "float_is_known",
        "once all is billed the money at WeChat is reckoned to the fen",
    ),
    (
        "forgery_has_no_effect",
        "a notification that is forged or about other data commits nothing",
    ),
    (
        "four_eyes",
        "a large payout is approved by as many different people as it needs",
    ),
    (
        "graph_is_monotone",
        "a payout never goes back to where it was not sent",
    ),
    (
        "hold_ends_once",
        "a hold ends once: settled if paid, released otherwise",
    ),
    (
        "lease_is_exclusive",
        "work that is leased is not handed to anybody else",
    ),
    (
        "limits_hold",
        "approved payouts of a user's day stay within the limits",
    ),
    (
        "model_agrees",
        "balances are what events and WeChat's payments add up to",
    ),
    (
        "name_goes_along",
        "a transfer says whom it is for, where that is known and it is not tiny",
    ),
    (
        "never_negative",
        "no user's account is below zero after any entry",
    ),
    (
        "no_late_resend",
        "nothing in doubt is sent again after three days",
    ),
    (
        "no_late_send",
        "nothing is sent that waited for longer than it may",
    ),
    (
        "no_try_too_many",
        "no more attempts are made than are allowed",
    ),
    (
        "nothing_is_broken",
        "the store never has to refuse what the engine wants to write",
    ),
    (
        "one_hold",
        "a payout has one hold, of its amount, from the commit that makes it",
    ),
    (
        "one_number_at_a_time",
        "a new number is sent only after the earlier one is proved dead",
    ),
    (
        "people_have_their_time",
        "what people are asked about is not given up before their time is over",
    ),
    (
        "one_wallet_one_user",
        "a wallet belongs to one user at a time",
    ),
    ("one_success", "WeChat pays at most once for a payout"),
    (
        "order_never_changes",
        "a number always goes with the same order",
    ),
    (
        "other_body_refused",
        "a key that was used is refused with another request",
    ),
    (
        "page_is_shown",
        "a willing user gets the page to confirm, and is paid",
    ),
    (
        "paid_means_paid",
        "a payout is paid exactly if WeChat says so, with its amount",
    ),
    (
        "payout_keeps_its_make",
        "amount, user and reference of a payout never change",
    ),
    (
        "quota_holds",
        "a merchant is told to pay within its quota, counted once, and only with a share",
    ),
    ("reference_once", "a reference names one payout"),
    (
        "same_key_same_answer",
        "a key that is repeated gets the first answer",
    ),
    (
        "sweep_takes_all",
        "a sweep asks for all that may be withdrawn, in as many parts as may be",
    ),
    (
        "sent_only_while_allowed",
        "a first send goes to the linked wallet of a user who is not frozen",
    ),
    (
        "stop_is_kept",
        "nothing is sent for the first time while it is stopped",
    ),
    (
        "told_as_it_is",
        "a message says what was committed in that version, to whom wants to hear it",
    ),
    (
        "told_in_order",
        "no message leaves while an earlier one about the same user was not taken",
    ),
    (
        "told_until_taken",
        "every receiver takes everything once, or it is given up after three days of trying",
    ),
    (
        "unpaid_means_unpaid",
        "money is released only when WeChat will never pay it",
    ),
    (
        "version_rises",
        "a payout's version rises by one with every change",
    ),
];

/// A payout as it was last committed.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) payout: Payout,
    /// Holds, settlements and releases, each counted.
    moves: [u32; 3],
    /// The day on which it was approved, while it counts.
    approved_on: Option<BusinessDate>,
    lease: Option<Timestamp>,
    /// A cancel was wanted at some time.
    pub(crate) unwanted: bool,
}

/// A user as committed.
#[derive(Clone, Debug, Default)]
struct Known {
    name: String,
    frozen: bool,
    wallet: Option<String>,
    /// The real name, sealed.
    called: Option<Vec<u8>>,
}

/// What a key was first accepted for.
#[derive(Clone, Debug)]
struct Accepted {
    digest: [u8; 32],
    payout: PayoutId,
    fen: i64,
    created_at: Timestamp,
}

/// The onlooker.
#[derive(Debug)]
pub struct Oracle {
    policy: Policy,
    /// Whether every commit is seen; if not, only what commits show is checked.
    sees_all: bool,
    /// The first violation.
    pub violation: Option<Violation>,
    /// How many checks were made.
    pub checks: u64,
    pub(crate) commits: u64,
    pub(crate) payouts: BTreeMap<PayoutId, Watched>,
    by_reference: BTreeMap<String, PayoutId>,
    accounts: BTreeMap<Account, i64>,
    entries: u64,
    /// Booked events: whose, and what each adds to users' balances.
    booked: BTreeMap<String, Vec<(String, i64)>>,
    users: BTreeMap<UserNo, Known>,
    /// What the last commit changed, as it was before.
    earlier: BTreeMap<UserNo, Known>,
    days: BTreeMap<(UserNo, BusinessDate), (u32, i64)>,
    keys: BTreeMap<String, Accepted>,
    /// Every order that was ever committed.
    orders: BTreeMap<OutBillNo, TransferOrder>,
    /// When each first went out.
    first_sent: BTreeMap<OutBillNo, Timestamp>,
    /// Stops of people and of the audit, as they are and as the last commit found them.
    pub(crate) stops: BTreeSet<String>,
    stops_before: BTreeSet<String>,
    approvers: BTreeMap<String, BTreeSet<String>>,
    open_breaks: BTreeMap<String, &'static str>,
    /// Earnings that cool off, and what was earned under a cap in a day.
    cooling: BTreeMap<String, terms::Cool>,
    /// What each earning brought, and what was taken back of it.
    brought: BTreeMap<String, (i64, i64)>,
    capped: BTreeMap<(UserNo, BusinessDate, bool), (i64, u32)>,
    routes: route::Routes,
    told: told::Told,
    /// Closed bills that do not say what was.
    untrue: BTreeSet<(MerchantNo, BusinessDate)>,
    /// The books were made to lie, and whether the auditor has seen it.
    pub(crate) spoilt: Option<bool>,
    /// Payouts whose page must be shown and whose users are willing.
    pub(crate) promised: BTreeSet<OutBillNo>,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Oracle {
        Oracle {
            policy: settings.policy.clone(),
            sees_all: !settings.fast,
            cooling: BTreeMap::new(),
            brought: BTreeMap::new(),
            capped: BTreeMap::new(),
            routes: route::Routes::new(&settings.merchants),
            told: told::Told::new(settings.hooks),
            untrue: BTreeSet::new(),
            spoilt: None,
            violation: None,
            checks: 0,
            commits: 0,
            payouts: BTreeMap::new(),
            by_reference: BTreeMap::new(),
            accounts: BTreeMap::new(),
            entries: 0,
            booked: BTreeMap::new(),
            users: BTreeMap::new(),
            earlier: BTreeMap::new(),
            days: BTreeMap::new(),
            keys: BTreeMap::new(),
            orders: BTreeMap::new(),
            first_sent: BTreeMap::new(),
            stops: BTreeSet::new(),
            stops_before: BTreeSet::new(),
            approvers: BTreeMap::new(),
            open_breaks: BTreeMap::new(),
            promised: BTreeSet::new(),
        }
    }

    /// Something must hold.
    pub(crate) fn check(&mut self, holds: bool, invariant: &str, detail: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation {
                invariant: invariant.to_owned(),
                detail: detail(),
            });
        }
    }

    /// Whether somebody was told that a key was accepted.
    pub(crate) fn is_acknowledged(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The payout of a reference, by the books.
    pub(crate) fn payout_named(&self, name: &str) -> Option<PayoutId> {
        self.by_reference.get(name).copied()
    }

    /// What people call a payout.
    pub(crate) fn name_of(&self, payout: PayoutId) -> String {
        let watched = self.payouts.get(&payout);
        watched.map_or_else(
            || "an unknown payout".to_owned(),
            |watched| watched.payout.reference.to_string(),
        )
    }

    /// Every user that the books know.
    pub(crate) fn user_names(&self) -> Vec<String> {
        self.users.values().map(|user| user.name.clone()).collect()
    }

    /// Users who are frozen.
    pub(crate) fn frozen(&self) -> Vec<String> {
        let frozen = self.users.values().filter(|user| user.frozen);
        frozen.map(|user| user.name.clone()).collect()
    }

    /// Whose payout it is.
    pub(crate) fn user_of(&self, payout: PayoutId) -> String {
        let watched = self.payouts.get(&payout);
        let user = watched.and_then(|watched| self.users.get(&watched.payout.user));
        user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone())
    }

    /// The number under which a payout was last sent.
    pub(crate) fn number_of(&self, payout: PayoutId) -> Option<OutBillNo> {
        let watched = self.payouts.get(&payout)?;
        watched
            .payout
            .state
            .attempt()
            .map(|attempt| attempt.number())
    }

    /// The package with which the app can open the page, where it has one.
    pub(crate) fn package_of(&self, payout: PayoutId) -> Option<&str> {
        use lingqian_core::payout::State;
        match &self.payouts.get(&payout)?.payout.state {
            State::AwaitingUser(_, package) => package.as_deref(),
            _ => None,
        }
    }
}
