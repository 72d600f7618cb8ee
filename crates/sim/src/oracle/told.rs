//! What the app is told: a notice for each change, as it was committed; to every receiver that
//! wants it, at least once, and in order for each user and each thing that is no user's. Which
//! changes are told, and to whom, is written here once more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lingqian_core::Changes;
use lingqian_core::control::Stop;
use lingqian_core::id::{OpenId, PayoutId, UserNo};
use lingqian_core::notice::Notice;
use lingqian_core::payout::Payout;
use lingqian_core::time::Timestamp;
use lingqian_io::courier::Parcel;
use lingqian_io::outbox::{Ended, Health, Report};
use serde_json::{Value, json};

use super::Oracle;
use super::quiet::CLOCKS_APART_MS;
use super::route::merchant;
use crate::world::hook;

/// Nobody gives a message up within this.
const PATIENCE_MS: i64 = 72 * 3_600_000;

/// What the onlooker knows of messages.
#[derive(Debug, Default)]
pub(super) struct Told {
    listeners: Vec<Listener>,
    notices: Vec<Notice>,
    /// What the changes of this commit have told: event and subject.
    expected: Vec<(String, String)>,
    /// Payouts by version, as they were committed.
    rows: BTreeMap<(PayoutId, u32), Payout>,
    /// Whose wallet was linked last, and when.
    linked: BTreeMap<UserNo, (OpenId, Timestamp)>,
    /// Stops that stand, whoever set them.
    standing: BTreeSet<String>,
}

/// Somebody who is told.
#[derive(Debug)]
struct Listener {
    name: String,
    wants: &'static str,
    /// What was not taken yet, by lane and in order.
    waits: BTreeMap<String, VecDeque<i64>>,
    first_tried: BTreeMap<i64, Timestamp>,
    taken: BTreeSet<i64>,
    /// Given up in time; somebody asks for it once more.
    given_up: BTreeSet<i64>,
}

impl Told {
    pub(super) fn new(hooks: usize) -> Told {
        let listener = |no: usize| {
            let (name, wants) = hook(no);
            Listener {
                name: name.to_owned(),
                wants,
                waits: BTreeMap::new(),
                first_tried: BTreeMap::new(),
                taken: BTreeSet::new(),
                given_up: BTreeSet::new(),
            }
        };
        Told {
            listeners: (0..hooks).map(listener).collect(),
            ..Told::default()
        }
    }

    fn is_heard(&self) -> bool {
        !self.listeners.is_empty()
    }

    fn expect(&mut self, event: impl Into<String>, subject: impl Into<String>) {
        if self.is_heard() {
            self.expected.push((event.into(), subject.into()));
        }
    }

    /// The listener and the notice that the name of a message names.
    fn named(&self, id: &str) -> Option<(usize, i64)> {
        let (name, number) = id.rsplit_once('.')?;
        let place = self.listeners.iter().position(|l| l.name == name)?;
        Some((place, number.parse().ok()?))
    }

    fn notice(&self, number: i64) -> Option<&Notice> {
        self.notices.get(usize::try_from(number - 1).ok()?)
    }
}

/// What is told one after the other.
fn lane(notice: &Notice) -> String {
    match &notice.user {
        Some(user) => format!("user {user}"),
        None => format!("{} {}", notice.event.object(), notice.subject),
    }
}

/// Whether such an event is wanted: all, all of a sort, or one.
fn wanted(wants: &str, event: &str) -> bool {
    match wants.strip_suffix('*') {
        Some(begin) => event.starts_with(begin),
        None => event == wants,
    }
}

impl Oracle {
    /// A payout was committed in another version: a new state is told.
    pub(super) fn tells_of(&mut self, before: &Payout, payout: &Payout) {
        if before.state.name() != payout.state.name() {
            let event = format!("payout.{}", payout.state.name());
            self.told.expect(event, payout.id.to_string());
        }
        if self.told.is_heard() {
            let row = (payout.id, payout.version);
            self.told.rows.insert(row, payout.clone());
        }
    }

    /// What else a commit changes, before anybody here knows of it.
    pub(super) fn tells_the_rest(&mut self, changes: &Changes) {
        self.told.expected.clear();
        if !self.told.is_heard() {
            return;
        }
        let mut frozen: BTreeMap<_, bool> = BTreeMap::new();
        for user in &changes.users {
            let known = self.users.get(&user.no).map(|known| known.frozen);
            let known = frozen.insert(user.no, user.frozen).or(known);
            match (known, user.frozen) {
                (Some(false), true) => self.told.expect("user.frozen", user.id.as_str()),
                (Some(true), false) => self.told.expect("user.unfrozen", user.id.as_str()),
                _ => {}
            }
        }
        for link in &changes.links {
            // The same wallet linked twice within a millisecond is one fact.
            let fact = (link.openid.clone(), link.linked_at);
            let before = self.told.linked.insert(link.user, fact.clone());
            if before == Some(fact) {
                continue;
            }
            let new = changes.users.iter().find(|user| user.no == link.user);
            let known = self.users.get(&link.user).map(|known| known.name.clone());
            let name = known.or(new.map(|user| user.id.to_string()));
            self.told.expect("user.linked", name.unwrap_or_default());
        }
        let contradicted = changes
            .history
            .iter()
            .filter(|l| l.event == "contradiction");
        for line in contradicted.filter(|line| self.payouts.contains_key(&line.payout)) {
            let subject = line.payout.to_string();
            self.told.expect("payout.contradiction", subject);
        }
        changes.stops.iter().for_each(|stop| self.stop_tells(stop));
        let mut open: BTreeSet<String> = self.open_breaks.keys().cloned().collect();
        for found in &changes.breaks {
            let event = match (found.closed_at.is_some(), open.contains(&found.subject)) {
                (true, _) => "break.closed",
                (false, true) => "break.changed",
                (false, false) => "break.opened",
            };
            if found.closed_at.is_some() {
                open.remove(&found.subject);
            } else {
                open.insert(found.subject.clone());
            }
            self.told.expect(event, found.subject.clone());
        }
        for bill in &changes.bills {
            let subject = format!("{}/{}", merchant(bill.merchant), bill.date);
            self.told.expect("bill.closed", subject);
        }
    }

    fn stop_tells(&mut self, stop: &Stop) {
        let subject = format!("{}/{}", stop.scope, stop.cause.name());
        let stood = self.told.standing.contains(&subject);
        match (stood, stop.lifted_at.is_some()) {
            (false, false) => {
                self.told.standing.insert(subject.clone());
                self.told.expect("stop.set", subject);
            }
            (true, true) => {
                self.told.standing.remove(&subject);
                self.told.expect("stop.lifted", subject);
            }
            _ => {}
        }
    }

    /// The notices of a commit are those of its changes, and say what is committed.
    pub(super) fn notices(&mut self, changes: &Changes) {
        if !self.told.is_heard() {
            return;
        }
        let mut expected = std::mem::take(&mut self.told.expected);
        let mut told: Vec<(String, String)> = changes
            .notices
            .iter()
            .map(|notice| (notice.event.name().to_owned(), notice.subject.clone()))
            .collect();
        expected.sort();
        told.sort();
        self.check(expected == told, "change_is_told", || {
            format!("{expected:?} are to be told, {told:?} are")
        });
        for notice in &changes.notices {
            self.says_what_is(notice);
            self.told.notices.push(notice.clone());
            let number = i64::try_from(self.told.notices.len()).unwrap_or(0);
            for listener in &mut self.told.listeners {
                if wanted(listener.wants, notice.event.name()) {
                    let lane = listener.waits.entry(lane(notice)).or_default();
                    lane.push_back(number);
                }
            }
        }
    }

    /// What a notice says of a payout is the row of that version.
    fn says_what_is(&mut self, notice: &Notice) {
        let Ok(payout) = PayoutId::parse(&notice.subject) else {
            return;
        };
        let says: Value = serde_json::from_str(&notice.data).unwrap_or_default();
        if notice.event.object() != "payout" {
            return;
        }
        let version = notice.version.unwrap_or(0);
        let user = self.user_of(payout);
        let row = self.told.rows.get(&(payout, version));
        let is = row.map(|row| {
            json!({
                "id": payout.to_string(), "user": user, "state": row.state.name(),
                "final": row.state.is_final(), "amount_fen": row.amount.0,
                "billed_fen": row.billed.0, "reference": row.reference.as_str(),
                "version": row.version, "tries": row.tries,
            })
        });
        let fits = is.as_ref().and_then(Value::as_object).is_some_and(|is| {
            let mut fields = is.iter();
            fields.all(|(name, value)| says.get(name) == Some(value))
        });
        let own = notice.user.as_ref().is_some_and(|u| u.as_str() == user);
        self.check(fits && own, "told_as_it_is", || {
            format!(
                "{} is told as {}, and is {is:?}",
                notice.subject, notice.data
            )
        });
    }

    /// A message leaves for a receiver.
    pub(crate) fn tried(&mut self, parcel: &Parcel, now: Timestamp) {
        let named = self.told.named(&parcel.id);
        let notice = named
            .and_then(|(_, number)| self.told.notice(number))
            .cloned();
        let (Some((place, number)), Some(notice)) = (named, notice) else {
            self.check(false, "told_as_it_is", || {
                format!("{} is nothing", parcel.id)
            });
            return;
        };
        let says: Value = serde_json::from_str(&parcel.body).unwrap_or_default();
        let data: Value = serde_json::from_str(&notice.data).unwrap_or_default();
        let version = notice.version.map_or(number, i64::from);
        let fits = says
            == json!({
                "type": notice.event.name(), "timestamp": notice.at.to_string(),
                "number": number, "version": version, "data": data,
            });
        let listener = &mut self.told.listeners[place];
        let wants = wanted(listener.wants, notice.event.name());
        listener.first_tried.entry(number).or_insert(now);
        let waits = listener.waits.get(&lane(&notice));
        let place = waits.and_then(|lane| lane.iter().position(|no| *no == number));
        let in_order = place.is_none_or(|place| place == 0);
        self.check(fits && wants, "told_as_it_is", || {
            format!("{} says {} of {notice:?}", parcel.id, parcel.body)
        });
        self.check(in_order, "told_in_order", || {
            format!("{} leaves before an earlier one was taken", parcel.id)
        });
    }

    /// A receiver took a message, whatever its sender hears.
    pub(crate) fn taken(&mut self, id: &str) {
        let Some((place, number)) = self.told.named(id) else {
            return;
        };
        let lane = self.told.notice(number).map(lane).unwrap_or_default();
        let listener = &mut self.told.listeners[place];
        listener.taken.insert(number);
        listener.given_up.remove(&number);
        if let Some(lane) = listener.waits.get_mut(&lane) {
            lane.retain(|waits| *waits != number);
        }
    }

    /// What came of tries is about to be kept.
    pub(crate) fn reported(&mut self, reports: &[Report]) {
        for report in reports {
            let id = format!("{}.{}", report.endpoint, report.number);
            let Some((place, number)) = self.told.named(&id) else {
                continue;
            };
            let lane = self.told.notice(number).map(lane).unwrap_or_default();
            let listener = &mut self.told.listeners[place];
            let taken = listener.taken.contains(&number);
            let first = listener.first_tried.get(&number).copied();
            let tried_for = first.map_or(0, |first| report.at.since_ms(first));
            let given_up = report.ended == Ended::GivenUp && !taken;
            if given_up {
                listener.given_up.insert(number);
                if let Some(lane) = listener.waits.get_mut(&lane) {
                    lane.retain(|waits| *waits != number);
                }
            }
            let known = taken || report.ended != Ended::Delivered;
            self.check(known, "told_until_taken", || {
                format!("{id} is kept as taken, and nobody took it")
            });
            let early = given_up && tried_for < PATIENCE_MS - CLOCKS_APART_MS;
            self.check(!early, "told_until_taken", || {
                format!("{id} is given up after {tried_for} ms")
            });
        }
    }

    /// What was given up, for somebody to ask for once more.
    pub(crate) fn given_up(&self) -> Vec<(String, i64)> {
        let listeners = self.told.listeners.iter();
        let given_up = |l: &Listener| -> Vec<(String, i64)> {
            l.given_up.iter().map(|no| (l.name.clone(), *no)).collect()
        };
        listeners.flat_map(given_up).collect()
    }

    /// Whether every receiver took everything that it wants.
    pub(crate) fn all_is_taken(&self) -> bool {
        let mut listeners = self.told.listeners.iter();
        listeners.all(|l| l.given_up.is_empty() && l.waits.values().all(VecDeque::is_empty))
    }

    /// Nothing happens any more: everything was taken, and nothing waits.
    pub(crate) fn told_to_the_end(&mut self, newest: i64, healths: &[Health]) {
        let left: Vec<String> = self
            .told
            .listeners
            .iter()
            .flat_map(|l| {
                l.waits
                    .values()
                    .flatten()
                    .map(|no| format!("{}.{no}", l.name))
            })
            .collect();
        // What was taken in silence may have been given up all the same.
        let waits: u64 = healths.iter().map(|health| health.pending).sum();
        let told = self.all_is_taken() && waits == 0;
        self.check(told, "told_until_taken", || {
            format!("{waits} messages wait; never taken: {left:?}")
        });
        let heard = self.told.is_heard();
        let count = i64::try_from(self.told.notices.len()).unwrap_or(0);
        self.check(!heard || newest == count, "change_is_told", || {
            format!("{newest} notices are stored, {count} were committed")
        });
    }
}
