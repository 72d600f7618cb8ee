//! What the outside is told: one notice for each change of a state that somebody may wait for.
//!
//! Notices are derived from what a command changed, in one place (`of`), so that no rule can
//! forget one; stores write them in the commit of the change itself and number them without a
//! gap. What is absent: earnings, of which there are too many to tell one by one (the entries
//! tell them); that a payout was made, which is what the request for it was answered with; and
//! openids, names and who did something.

use crate::changes::{Changes, HistoryLine};
use crate::control::{Actor, Stop};
use crate::facts::Facts;
use crate::id::{MerchantNo, UserId};
use crate::link::{Link, Sharing, Standing};
use crate::payout::{Payout, State};
use crate::reconcile::{Bill, Break};
use crate::time::Timestamp;
use crate::user::User;

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event(&'static str);

impl Event {
    /// The name of every event, in the order of the flow.
    pub const ALL: [&'static str; 27] = [
        "user.linked",
        "user.frozen",
        "user.unfrozen",
        "link.active",
        "link.needs_reauthorization",
        "link.revoked",
        "link.shared",
        "payout.review",
        "payout.approved",
        "payout.sending",
        "payout.deferred",
        "payout.unknown",
        "payout.processing",
        "payout.awaiting_user",
        "payout.cancelling",
        "payout.paid",
        "payout.failed",
        "payout.expired",
        "payout.cancelled",
        "payout.refused",
        "payout.contradiction",
        "stop.set",
        "stop.lifted",
        "break.opened",
        "break.changed",
        "break.closed",
        "bill.closed",
    ];

    /// The event of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Event> {
        Event::ALL
            .into_iter()
            .find(|known| *known == name)
            .map(Event)
    }

    /// The stable name, such as `payout.paid`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// What sort of thing changed: `user`, `link`, `payout`, `stop`, `break` or `bill`.
    #[must_use]
    pub fn object(self) -> &'static str {
        self.0.split('.').next().unwrap_or(self.0)
    }

    /// That a payout came into a state; nothing for the state in which it is made.
    fn payout(state: &State) -> Option<Event> {
        let of = |known: &&'static str| known.strip_prefix("payout.") == Some(state.name());
        Event::ALL.into_iter().find(of).map(Event)
    }
}

/// One thing that the outside is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// To which thing of its sort: a payout's or user's id, a stop's scope and cause, a break's
    /// subject, a bill's merchant and day.
    pub subject: String,
    /// Whose it is, where it is about one user.
    pub user: Option<UserId>,
    /// The version of the row in [`Notice::data`], where rows of its sort have one.
    pub version: Option<u32>,
    /// The row as it is committed, as a JSON object.
    pub data: String,
}

impl Notice {
    /// Notices of one lane are delivered in their order: those of a user, or of one thing.
    #[must_use]
    pub fn lane(&self) -> String {
        match &self.user {
            Some(user) => format!("user:{user}"),
            None => format!("{}:{}", self.event.object(), self.subject),
        }
    }
}

/// A notice with its number in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// From 1, without a gap, in the order of the commits.
    pub number: i64,
    /// The notice.
    pub notice: Notice,
}

impl Told {
    /// Rises with every notice about the same thing.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.notice.version.map_or(self.number, i64::from)
    }
}

/// What these changes have the outside told; `facts` are those on which they were decided.
pub(crate) fn of(now: Timestamp, changes: &Changes, facts: &Facts) -> Vec<Notice> {
    let users = changes
        .users
        .iter()
        .filter_map(|user| of_user(now, user, facts));
    let links = changes.links.iter();
    let links = links.flat_map(|link| of_link(now, link, facts));
    let payouts = changes
        .payouts
        .iter()
        .filter_map(|(payout, _)| of_payout(now, payout, facts));
    let history = changes.history.iter();
    let contradicted = history.filter_map(|line| contradiction(now, line, facts));
    let stops = changes
        .stops
        .iter()
        .filter_map(|stop| of_stop(now, stop, facts));
    let breaks = changes
        .breaks
        .iter()
        .map(|found| of_break(now, found, facts));
    let bills = changes.bills.iter().map(|bill| of_bill(now, bill, facts));
    users
        .chain(links)
        .chain(payouts)
        .chain(contradicted)
        .chain(stops)
        .chain(breaks)
        .chain(bills)
        .collect()
}

fn of_user(now: Timestamp, user: &User, facts: &Facts) -> Option<Notice> {
    let before = facts.users.get(&user.id)?.as_ref()?;
    let event = match (before.frozen, user.frozen) {
        (false, true) => "user.frozen",
        (true, false) => "user.unfrozen",
        (true, true) | (false, false) => return None,
    };
    let write = |data: Object| data.flag("frozen", user.frozen);
    Some(about_user(now, event, user, write))
}

/// A link that was made or that stands differently. That its tokens were refreshed is nobody's
/// business.
fn of_link(now: Timestamp, link: &Link, facts: &Facts) -> Vec<Notice> {
    let Some(wallet) = facts.wallets.get(&link.user) else {
        return Vec::new();
    };
    let before = wallet.links.get(&link.app);
    let granted = before.is_none_or(|before| before.linked_at != link.linked_at)
        || before.is_some_and(|before| before.openid != link.openid || !before.holds());
    let mut told = Vec::new();
    if granted && link.holds() {
        told.push(about_user(now, "user.linked", &wallet.user, |data| {
            let data = data.text("app", link.app.as_str());
            let data = data.when("linked_at", link.linked_at);
            data.maybe_when("cools_until", link.cools_until)
        }));
    }
    let stood = before.map(|before| before.standing);
    let event = match link.standing {
        Standing::Active => "link.active",
        Standing::NeedsReauthorization => "link.needs_reauthorization",
        Standing::Revoked => "link.revoked",
    };
    let moved = stood.is_some_and(|stood| stood != link.standing);
    if moved && !(granted && link.holds()) {
        told.push(about_link(now, event, link, &wallet.user));
    }
    let flagged = |link: &Link| link.sharing == Sharing::Flagged;
    if flagged(link) && !before.is_some_and(flagged) {
        told.push(about_link(now, "link.shared", link, &wallet.user));
    }
    told
}

fn about_link(now: Timestamp, event: &'static str, link: &Link, user: &User) -> Notice {
    Notice {
        at: now,
        event: Event(event),
        subject: format!("{}/{}", user.id, link.app),
        user: Some(user.id.clone()),
        version: Some(link.version),
        data: Object::new()
            .text("user", user.id.as_str())
            .text("app", link.app.as_str())
            .text("standing", link.standing.name())
            .maybe_text("reason", link.reason.as_deref())
            .text("sharing", link.sharing.name())
            .when("since", link.changed_at)
            .maybe_when("cools_until", link.cools_until)
            .finish(),
    }
}

fn about_user(
    now: Timestamp,
    event: &'static str,
    user: &User,
    write: impl FnOnce(Object) -> Object,
) -> Notice {
    Notice {
        at: now,
        event: Event(event),
        subject: user.id.to_string(),
        user: Some(user.id.clone()),
        version: None,
        data: write(Object::new().text("id", user.id.as_str())).finish(),
    }
}

/// A payout that was there before and is in another state now.
fn of_payout(now: Timestamp, payout: &Payout, facts: &Facts) -> Option<Notice> {
    let before = facts.payouts.get(&payout.id)?.as_ref()?;
    let moved = before.state.name() != payout.state.name();
    let event = Event::payout(&payout.state).filter(|_| moved)?;
    about_payout(now, event, payout, facts)
}

/// What was said of a payout contradicts what was proved; it stays as it is.
fn contradiction(now: Timestamp, line: &HistoryLine, facts: &Facts) -> Option<Notice> {
    if line.event != "contradiction" {
        return None;
    }
    let payout = facts.payouts.get(&line.payout)?.as_ref()?;
    about_payout(now, Event("payout.contradiction"), payout, facts)
}

fn about_payout(now: Timestamp, event: Event, payout: &Payout, facts: &Facts) -> Option<Notice> {
    let user = &facts.wallets.get(&payout.user)?.user.id;
    Some(Notice {
        at: now,
        event,
        subject: payout.id.to_string(),
        user: Some(user.clone()),
        version: Some(payout.version),
        data: payout_row(payout, user),
    })
}

/// A payout as the outside sees it. Who approved it and the page on which it is confirmed are
/// told to those who ask for it.
fn payout_row(payout: &Payout, user: &UserId) -> String {
    let attempt = payout.state.attempt();
    let paid_at = if let State::Paid(_, at) = &payout.state {
        Some(*at)
    } else {
        None
    };
    Object::new()
        .text("id", &payout.id.to_string())
        .text("user", user.as_str())
        .text("state", payout.state.name())
        .flag("final", payout.state.is_final())
        .maybe_text("code", code(&payout.state).as_deref())
        .number("amount_fen", payout.amount.0)
        .text("currency", "CNY")
        .number("billed_fen", payout.billed.0)
        .text("reference", payout.reference.as_str())
        .text("asked_by", payout.asked.name())
        .maybe_text(
            "out_bill_no",
            attempt.map(|a| a.number().to_string()).as_deref(),
        )
        .maybe_text(
            "transfer_bill_no",
            attempt.and_then(|a| a.bill_no.as_deref()),
        )
        .when("created_at", payout.created_at)
        .when("updated_at", payout.updated_at)
        .maybe_when("paid_at", paid_at)
        .number("version", i64::from(payout.version))
        .number("tries", i64::from(payout.tries))
        .finish()
}

fn code(state: &State) -> Option<String> {
    match state {
        State::Deferred(_, code) | State::Unknown(_, code) | State::Failed(_, code) => {
            Some(code.clone())
        }
        State::Review(review) => Some(joined(&review.reasons)),
        State::Refused(reasons) => Some(joined(reasons)),
        State::Requested
        | State::Approved
        | State::Sending(_)
        | State::Processing(_)
        | State::AwaitingUser(..)
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Expired(_)
        | State::Cancelled(_) => None,
    }
}

fn joined(reasons: &[crate::risk::Reason]) -> String {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    codes.join(",")
}

/// A stop that is new or lifted; that one payout was tried meanwhile is nobody's business.
fn of_stop(now: Timestamp, stop: &Stop, facts: &Facts) -> Option<Notice> {
    let known = facts.stops.get(&stop.scope, stop.cause).is_some();
    let event = match (known, stop.lifted_at.is_some()) {
        (false, false) => "stop.set",
        (true, true) => "stop.lifted",
        (true, false) | (false, true) => return None,
    };
    // What a person wrote is for those who ask for it.
    let by_engine = stop.act.actor == Actor::engine();
    let reason = by_engine.then_some(stop.act.reason.as_str());
    let scope = stop.scope.to_string();
    Some(Notice {
        at: now,
        event: Event(event),
        subject: format!("{scope}/{}", stop.cause.name()),
        user: None,
        version: None,
        data: Object::new()
            .text("scope", &scope)
            .text("cause", stop.cause.name())
            .maybe_text("reason", reason)
            .when("since", stop.since)
            .maybe_when("lifted_at", stop.lifted_at)
            .finish(),
    })
}

fn of_break(now: Timestamp, found: &Break, facts: &Facts) -> Notice {
    let known = facts.open_break(&found.subject).is_some();
    let event = match (found.closed_at.is_some(), known) {
        (true, _) => "break.closed",
        (false, true) => "break.changed",
        (false, false) => "break.opened",
    };
    Notice {
        at: now,
        event: Event(event),
        subject: found.subject.clone(),
        user: None,
        version: None,
        data: Object::new()
            .text("subject", &found.subject)
            .text("kind", found.kind.code())
            .text("date", &found.date.to_string())
            .number("difference_fen", found.difference.0)
            .when("opened_at", found.opened_at)
            .maybe_when("closed_at", found.closed_at)
            .finish(),
    }
}

fn of_bill(now: Timestamp, bill: &Bill, facts: &Facts) -> Notice {
    let mchid = mchid(bill.merchant, facts);
    let date = bill.date.to_string();
    Notice {
        at: now,
        event: Event("bill.closed"),
        subject: format!("{mchid}/{date}"),
        user: None,
        version: None,
        data: Object::new()
            .text("mchid", &mchid)
            .text("date", &date)
            .number("lines", i64::try_from(bill.lines).unwrap_or(i64::MAX))
            .number("out_fen", bill.out.0)
            .number("in_fen", bill.came_in.0)
            .number("opening_fen", bill.opening.0)
            .number("closing_fen", bill.closing.0)
            .when("fetched_at", bill.fetched_at)
            .finish(),
    }
}

fn mchid(merchant: MerchantNo, facts: &Facts) -> String {
    let known = facts.merchant_of(merchant);
    known.map_or_else(String::new, |merchant| merchant.mchid.to_string())
}

/// A flat JSON object on its way.
struct Object(String);

impl Object {
    fn new() -> Object {
        Object("{".to_owned())
    }

    fn name(mut self, name: &str) -> Object {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self
    }

    fn text(self, name: &str, value: &str) -> Object {
        let mut object = self.name(name);
        object.0.push('"');
        for character in value.chars() {
            match character {
                '"' => object.0.push_str("\\\""),
                '\\' => object.0.push_str("\\\\"),
                control if control.is_control() => {
                    let code = u32::from(control);
                    object.0.push_str(&format!("\\u{code:04x}"));
                }
                plain => object.0.push(plain),
            }
        }
        object.0.push('"');
        object
    }

    fn number(self, name: &str, value: i64) -> Object {
        let mut object = self.name(name);
        object.0.push_str(&value.to_string());
        object
    }

    fn flag(self, name: &str, value: bool) -> Object {
        let mut object = self.name(name);
        object.0.push_str(if value { "true" } else { "false" });
        object
    }

    fn nothing(self, name: &str) -> Object {
        let mut object = self.name(name);
        object.0.push_str("null");
        object
    }

    fn maybe_text(self, name: &str, value: Option<&str>) -> Object {
        match value {
            Some(value) => self.text(name, value),
            None => self.nothing(name),
        }
    }

    fn when(self, name: &str, at: Timestamp) -> Object {
        self.text(name, &at.to_string())
    }

    fn maybe_when(self, name: &str, at: Option<Timestamp>) -> Object {
        match at {
            Some(at) => self.when(name, at),
            None => self.nothing(name),
        }
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_json_whatever_is_in_it() {
        let object = Object::new().text("a", "零 \"\\\n\u{7f}").number("b", -1);
        let object = object.flag("c", true).maybe_text("d", None).finish();
        let expected = "{\"a\":\"零 \\\"\\\\\\u000a\\u007f\",\"b\":-1,\"c\":true,\"d\":null}";
        assert_eq!(object, expected);
    }

    #[test]
    fn every_state_but_the_first_has_an_event_of_its_name() {
        for state in State::NAMES.into_iter().filter(|name| *name != "requested") {
            let event = Event::from_name(&format!("payout.{state}"));
            assert_eq!(event.map(Event::object), Some("payout"), "{state}");
        }
        assert_eq!(Event::payout(&State::Requested), None);
        assert_eq!(Event::from_name("payout.*"), None);
    }
}
