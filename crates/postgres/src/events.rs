//! A batch of events side by side: each name once, each event's key, and what was booked before.

use std::collections::HashMap;

use lingqian_core::earning::{self, Booking};
use lingqian_core::id::{KindNo, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::{EventBatch, EventView};
use lingqian_io::Fault;

use crate::chain::EventKey;
use crate::codec::{damaged, get, text};
use crate::pool::Session;
use crate::{rows, sql};

/// The events of a batch.
pub(crate) struct Events<'b> {
    pub(crate) views: Vec<EventView<'b>>,
    /// The key of each.
    pub(crate) keys: Vec<EventKey>,
    /// The key of what each takes back.
    pub(crate) originals: Vec<Option<EventKey>>,
    /// Every user that is named, once.
    pub(crate) names: Vec<&'b str>,
    /// The places of the user and the sender among the names.
    pub(crate) people: Vec<(usize, Option<usize>)>,
}

impl<'b> Events<'b> {
    /// Looks at every event once.
    pub(crate) fn of(batch: &'b EventBatch) -> Events<'b> {
        let views: Vec<EventView<'b>> = batch.iter().collect();
        let (mut names, mut places) = (Vec::new(), HashMap::with_capacity(views.len()));
        let mut place = |name: &'b str| {
            *places.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let people = views
            .iter()
            .map(|view| (place(view.user), view.from.map(&mut place)));
        let people = people.collect();
        let key = |view: &EventView<'b>| EventKey::of(view.source, view.event_id);
        let original = |view: &EventView<'b>| Some(EventKey::of(view.source, view.reverses?));
        Events {
            keys: views.iter().map(key).collect(),
            originals: views.iter().map(original).collect(),
            views,
            names,
            people,
        }
    }

    /// What was booked before under those names of the batch that are wished.
    pub(crate) async fn known(
        &self,
        session: &Session,
        wished: impl Fn(&EventKey) -> bool,
    ) -> Result<HashMap<EventKey, Known>, Fault> {
        let named = self.keys.iter().chain(self.originals.iter().flatten());
        let mut keys: Vec<EventKey> = named.copied().filter(wished).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        // In the order of the tree, so that neighbours find their page warm.
        keys.sort_unstable();
        keys.dedup();
        let found = session.rows(sql!("events"), &[&keys]).await?;
        let mut known = HashMap::with_capacity(found.len());
        for row in &found {
            let key: EventKey = get(row, 0)?;
            // Two events of one key do not happen; if they do, nobody is credited by mistake.
            if EventKey::of(text(row, 1)?, text(row, 2)?) != key {
                return Err(damaged("credited"));
            }
            known.insert(key, Known::from(rows::earning(row)?));
        }
        Ok(known)
    }
}

/// A booked event, as the rule looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    user: i64,
    kind: i64,
    pub(crate) amount: Micros,
    occurred_at: Option<Timestamp>,
    from: Option<i64>,
    reverses: Option<Box<str>>,
    matures_on: Option<BusinessDate>,
    repaid: Micros,
    pub(crate) clawed: Micros,
}

impl Known {
    /// One that is booked just now.
    pub(crate) fn new(
        view: &EventView<'_>,
        (user, kind): (i64, i64),
        sender: Option<i64>,
        booking: &Booking,
    ) -> Known {
        Known {
            user,
            kind,
            amount: booking.amount,
            occurred_at: view.occurred_at,
            from: sender,
            reverses: view.reverses.map(Box::from),
            matures_on: booking.matures_on,
            repaid: booking.repaid(),
            clawed: Micros::ZERO,
        }
    }

    /// What the rule compares and counts.
    pub(crate) fn view(&self) -> earning::Known<'_> {
        earning::Known {
            user: UserNo(self.user),
            kind: KindNo(self.kind),
            amount: self.amount,
            occurred_at: self.occurred_at,
            from: self.from.map(UserNo),
            reverses: self.reverses.as_deref(),
            matures_on: self.matures_on,
            repaid: self.repaid,
            clawed: self.clawed,
        }
    }
}

impl From<earning::Earning> for Known {
    fn from(earning: earning::Earning) -> Self {
        let reverses = earning.reverses.as_ref();
        Known {
            user: earning.user.0,
            kind: earning.kind.0,
            amount: earning.amount,
            occurred_at: earning.occurred_at,
            from: earning.from.map(|user| user.0),
            reverses: reverses.map(|event| event.as_str().into()),
            matures_on: earning.matures_on,
            repaid: earning.repaid,
            clawed: earning.clawed,
        }
    }
}
