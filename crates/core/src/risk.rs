//! Facts and limits in, pass or refuse out. Every rule is asked, so that a refusal names all
//! of its reasons at once.

use crate::link::LinkPolicy;
use crate::money::Fen;
use crate::time::DAY_MS;
use crate::user::DayTotals;

/// The limits in force. They are facts of the moment of a decision, not of the payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The smallest payout. WeChat takes no transfer under ¥0.10.
    pub payout_min: Fen,
    /// The largest payout.
    pub payout_max: Fen,
    /// What one user may be paid in one business day.
    pub user_day_amount_max: Fen,
    /// How many payouts one user may get in one business day.
    pub user_day_count_max: u32,
    /// From this amount on WeChat compares the real name, so we must know it.
    pub name_required_from: Fen,
    /// From this amount on a person must approve.
    pub review_from: Option<Fen>,
    /// From this amount on two different people must approve.
    pub second_from: Option<Fen>,
    /// What nobody approved within so many milliseconds ends and returns to the balance.
    pub review_ms: i64,
    /// What could not be sent within so many milliseconds of the request, and provably was not,
    /// ends and returns to the balance.
    pub hold_ms: i64,
    /// How many attempts a payout has at most, each after the proven end of the one before it.
    pub attempts_max: u8,
    /// How links are kept.
    pub links: LinkPolicy,
}

impl Default for Policy {
    /// WeChat's published limits for new merchants, and ten payouts a day.
    fn default() -> Self {
        Policy {
            payout_min: Fen(10),
            payout_max: Fen(20_000),
            user_day_amount_max: Fen(20_000),
            user_day_count_max: 10,
            name_required_from: Fen(200_000),
            review_from: None,
            second_from: None,
            review_ms: 7 * DAY_MS,
            hold_ms: 30 * DAY_MS,
            attempts_max: 3,
            links: LinkPolicy::default(),
        }
    }
}

impl Policy {
    /// How many people must approve this amount.
    #[must_use]
    pub fn approvals(&self, amount: Fen) -> usize {
        let from = |limit: Option<Fen>| limit.is_some_and(|limit| amount >= limit);
        match (from(self.review_from), from(self.second_from)) {
            (_, true) => 2,
            (true, false) => 1,
            (false, false) => 0,
        }
    }
}

/// What a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// What is to be paid.
    pub amount: Fen,
    /// Whether a wallet is linked.
    pub linked: bool,
    /// Whether a merchant pays under an app that the user is linked with.
    pub payable: bool,
    /// Whether the wallet is another user's, too, and no person has allowed that.
    pub shared: bool,
    /// Whether the user is frozen.
    pub frozen: bool,
    /// Whether the real name is known.
    pub named: bool,
    /// What else was approved for this user today.
    pub today: DayTotals,
}

/// Why a payout is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Under [`Policy::payout_min`].
    BelowMinimum,
    /// Over [`Policy::payout_max`].
    AboveMaximum,
    /// Over [`Policy::user_day_amount_max`] together with the day's others.
    DayAmount,
    /// Over [`Policy::user_day_count_max`] together with the day's others.
    DayCount,
    /// No wallet is linked.
    NotLinked,
    /// The user is frozen.
    Frozen,
    /// The amount needs a real name and none is known.
    NameMissing,
    /// From [`Policy::review_from`] on a person must approve.
    ApprovalNeeded,
    /// From [`Policy::second_from`] on a second person must approve.
    SecondNeeded,
    /// A person said no.
    ByPerson,
    /// Nobody approved it in time.
    ReviewExpired,
    /// It could not be sent in time.
    HoldExpired,
    /// No merchant pays under an app that the user is linked with.
    NoPayingApp,
    /// The wallet is linked to several users.
    SharedWallet,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 14] = [
        Reason::BelowMinimum,
        Reason::AboveMaximum,
        Reason::DayAmount,
        Reason::DayCount,
        Reason::NotLinked,
        Reason::Frozen,
        Reason::NameMissing,
        Reason::ApprovalNeeded,
        Reason::SecondNeeded,
        Reason::ByPerson,
        Reason::ReviewExpired,
        Reason::HoldExpired,
        Reason::NoPayingApp,
        Reason::SharedWallet,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Reason::BelowMinimum => "below_minimum",
            Reason::AboveMaximum => "above_maximum",
            Reason::DayAmount => "day_amount_exceeded",
            Reason::DayCount => "day_count_exceeded",
            Reason::NotLinked => "not_linked",
            Reason::Frozen => "user_frozen",
            Reason::NameMissing => "name_missing",
            Reason::ApprovalNeeded => "approval_needed",
            Reason::SecondNeeded => "second_approval_needed",
            Reason::ByPerson => "refused_by_person",
            Reason::ReviewExpired => "review_expired",
            Reason::HoldExpired => "hold_expired",
            Reason::NoPayingApp => "no_paying_app",
            Reason::SharedWallet => "shared_wallet",
        }
    }

    /// The reason of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// What comes of looking at a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent.
    Pass,
    /// People look first, for these reasons.
    Review(Vec<Reason>),
    /// It ends, for these reasons.
    Refuse(Vec<Reason>),
}

/// Looks at a payout that nobody has approved.
#[must_use]
pub fn judge(policy: &Policy, subject: &Subject) -> Verdict {
    let reasons = assess(policy, subject);
    if !reasons.is_empty() {
        return Verdict::Refuse(reasons);
    }
    let mut reasons = match policy.approvals(subject.amount) {
        0 => Vec::new(),
        1 => vec![Reason::ApprovalNeeded],
        _ => vec![Reason::ApprovalNeeded, Reason::SecondNeeded],
    };
    reasons.extend(subject.shared.then_some(Reason::SharedWallet));
    if reasons.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Review(reasons)
    }
}

/// Every reason to refuse; none means that no limit is broken.
#[must_use]
pub fn assess(policy: &Policy, subject: &Subject) -> Vec<Reason> {
    let day_amount = subject.today.amount.plus(subject.amount);
    let day_count = subject.today.count.checked_add(1);
    let rules = [
        (subject.amount < policy.payout_min, Reason::BelowMinimum),
        (subject.amount > policy.payout_max, Reason::AboveMaximum),
        (
            day_amount.is_none_or(|sum| sum > policy.user_day_amount_max),
            Reason::DayAmount,
        ),
        (
            day_count.is_none_or(|count| count > policy.user_day_count_max),
            Reason::DayCount,
        ),
        (!subject.linked, Reason::NotLinked),
        (subject.frozen, Reason::Frozen),
        (
            subject.amount >= policy.name_required_from && !subject.named,
            Reason::NameMissing,
        ),
        (subject.linked && !subject.payable, Reason::NoPayingApp),
    ];
    rules
        .into_iter()
        .filter_map(|(broken, reason)| broken.then_some(reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Subject), expected: &[Reason]) {
        let mut subject = Subject {
            amount: Fen(100),
            linked: true,
            payable: true,
            shared: false,
            frozen: false,
            named: false,
            today: DayTotals::default(),
        };
        change(&mut subject);
        assert_eq!(
            assess(&Policy::default(), &subject),
            expected,
            "{subject:?}"
        );
    }

    #[test]
    fn each_rule_refuses_just_beyond_its_limit() {
        check(|_| {}, &[]);
        check(|s| s.amount = Fen(10), &[]);
        check(|s| s.amount = Fen(9), &[Reason::BelowMinimum]);
        check(|s| s.amount = Fen(20_000), &[]);
        check(
            |s| s.amount = Fen(20_001),
            &[Reason::AboveMaximum, Reason::DayAmount],
        );
        check(|s| s.today.amount = Fen(19_900), &[]);
        check(|s| s.today.amount = Fen(19_901), &[Reason::DayAmount]);
        check(|s| s.today.count = 9, &[]);
        check(|s| s.today.count = 10, &[Reason::DayCount]);
        check(|s| s.linked = false, &[Reason::NotLinked]);
        check(|s| s.payable = false, &[Reason::NoPayingApp]);
        check(|s| s.frozen = true, &[Reason::Frozen]);
        let all_but_minimum = &Reason::ALL[1..7];
        check(
            |s| {
                *s = Subject {
                    amount: Fen(200_000),
                    linked: false,
                    payable: false,
                    shared: true,
                    frozen: true,
                    named: false,
                    today: DayTotals {
                        count: 10,
                        amount: Fen(1),
                    },
                };
            },
            all_but_minimum,
        );
        check(|s| s.today.amount = Fen(i64::MAX), &[Reason::DayAmount]);
    }

    #[test]
    fn codes_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }
}
