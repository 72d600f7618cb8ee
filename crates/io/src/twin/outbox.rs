//! Notices and their deliveries.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::notice::{Notice, Told};
use lingqian_core::time::Timestamp;

use crate::outbox::{Delivery, DeliveryLine, Ended, Health, Report, SinkLease, Wish};

/// A message that was not taken yet.
#[derive(Clone, Debug)]
struct Waiting {
    lane: String,
    due_at: Option<Timestamp>,
    lease_until: Option<Timestamp>,
    tries: u32,
    first_at: Option<Timestamp>,
    code: Option<String>,
}

impl Waiting {
    fn new(lane: String, now: Timestamp) -> Waiting {
        Waiting {
            lane,
            due_at: Some(now),
            lease_until: None,
            tries: 0,
            first_at: None,
            code: None,
        }
    }
}

/// One notice's number is its place, from 1.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    notices: Vec<Notice>,
    endpoints: BTreeMap<EndpointId, (Endpoint, Health)>,
    waiting: BTreeMap<(EndpointId, i64), Waiting>,
    leases: BTreeMap<String, (String, Timestamp)>,
}

fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Outgoing {
    pub(crate) fn newest(&self) -> i64 {
        i64::try_from(self.notices.len()).unwrap_or(i64::MAX)
    }

    pub(crate) fn lease(&mut self, lease: SinkLease) -> bool {
        let known = self.leases.get(&lease.sink);
        if known.is_some_and(|(holder, until)| *holder != lease.holder && *until > lease.now) {
            return false;
        }
        self.leases.insert(lease.sink, (lease.holder, lease.until));
        true
    }

    pub(crate) fn write(&mut self, endpoints: Vec<Endpoint>, notices: Vec<Notice>) {
        let newest = self.newest();
        for mut endpoint in endpoints {
            let after = endpoint.after.take();
            let known = self.endpoints.get(&endpoint.id);
            let mut health = known.map_or_else(Health::default, |(_, health)| health.clone());
            if known.is_none() {
                health.planned_to = newest;
            }
            health.planned_to = after.unwrap_or(health.planned_to);
            if endpoint.off.is_none() {
                (health.failures, health.paused_until) = (0, None);
            }
            if endpoint.deleted {
                self.waiting.retain(|(id, _), _| *id != endpoint.id);
            }
            self.endpoints
                .insert(endpoint.id.clone(), (endpoint, health));
        }
        self.notices.extend(notices);
    }

    fn told(&self, number: i64) -> Option<Told> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        let notice = self.notices.get(place)?.clone();
        Some(Told { number, notice })
    }

    pub(crate) fn notices(&self, after: i64, limit: u32) -> Vec<Told> {
        let numbers = after.max(0).saturating_add(1)..=self.newest();
        let told = numbers.filter_map(|number| self.told(number));
        told.take(at_most(limit)).collect()
    }

    pub(crate) fn endpoints(&self) -> Vec<(Endpoint, Health)> {
        let here = self.endpoints.values().filter(|(end, _)| !end.deleted);
        here.map(|(endpoint, health)| {
            let mut health = health.clone();
            let own = self
                .waiting
                .iter()
                .filter(|((id, _), _)| *id == endpoint.id);
            for (_, waiting) in own {
                match waiting.due_at {
                    Some(_) => health.pending += 1,
                    None => health.given_up += 1,
                }
            }
            (endpoint.clone(), health)
        })
        .collect()
    }

    /// Endpoints as another store commits them: each begins with what it did not take.
    pub(crate) fn for_copy(&self) -> Vec<Endpoint> {
        let copied = |(endpoint, health): &(Endpoint, Health)| {
            let own = self
                .waiting
                .iter()
                .filter(|((id, _), _)| *id == endpoint.id);
            let open = own.filter(|(_, waiting)| waiting.due_at.is_some());
            let first = open.map(|((_, number), _)| *number).min();
            health.copied(endpoint.clone(), first)
        };
        self.endpoints.values().map(copied).collect()
    }

    pub(crate) fn deliveries(&self, id: &EndpointId, after: i64, limit: u32) -> Vec<DeliveryLine> {
        let own = self.waiting.iter().filter(|((end, _), _)| end == id);
        let later = own.filter(|((_, number), _)| *number > after);
        let lines = later.map(|((_, number), waiting)| DeliveryLine {
            number: *number,
            tries: waiting.tries,
            first_at: waiting.first_at,
            due_at: waiting.due_at,
            code: waiting.code.clone(),
        });
        lines.take(at_most(limit)).collect()
    }

    pub(crate) fn plan(&mut self, now: Timestamp, limit: u32) -> u64 {
        let mut looked = 0;
        let on = self.endpoints.values();
        let on = on.filter(|(endpoint, _)| !endpoint.deleted && endpoint.off.is_none());
        let on: Vec<(Endpoint, i64)> = on
            .map(|(endpoint, health)| (endpoint.clone(), health.planned_to))
            .collect();
        for (endpoint, planned_to) in on {
            let next = self.notices(planned_to, limit);
            looked += next.len() as u64;
            let last = next.last().map_or(planned_to, |told| told.number);
            for (number, lane) in endpoint.wanted(&next) {
                let key = (endpoint.id.clone(), number);
                self.waiting.entry(key).or_insert(Waiting::new(lane, now));
            }
            if let Some((_, health)) = self.endpoints.get_mut(&endpoint.id) {
                health.planned_to = last;
            }
        }
        looked
    }

    pub(crate) fn claim(&mut self, wish: &Wish) -> Vec<Delivery> {
        let Wish {
            now,
            lease_until,
            limit,
        } = *wish;
        let sends = |id: &EndpointId| {
            self.endpoints.get(id).is_some_and(|(endpoint, health)| {
                let paused = health.paused_until.is_some_and(|until| until > now);
                !endpoint.deleted && endpoint.off.is_none() && !paused
            })
        };
        let mut lanes = BTreeSet::new();
        let mut due: Vec<(Timestamp, (EndpointId, i64))> = Vec::new();
        for (key, waiting) in &self.waiting {
            let Some(due_at) = waiting.due_at else {
                continue;
            };
            let first = lanes.insert((key.0.clone(), waiting.lane.clone()));
            let free = waiting.lease_until.is_none_or(|until| until <= now);
            if first && free && due_at <= now && sends(&key.0) {
                due.push((due_at, key.clone()));
            }
        }
        due.sort_by(|a, b| (a.0, a.1.1, &a.1.0).cmp(&(b.0, b.1.1, &b.1.0)));
        due.truncate(at_most(limit));
        let mut claimed = Vec::with_capacity(due.len());
        for (_, key) in due {
            let Some(told) = self.told(key.1) else {
                continue;
            };
            if let Some(waiting) = self.waiting.get_mut(&key) {
                waiting.lease_until = Some(lease_until);
                claimed.push(Delivery {
                    endpoint: key.0,
                    told,
                    tries: waiting.tries,
                    first_at: waiting.first_at,
                });
            }
        }
        claimed
    }

    pub(crate) fn report(&mut self, report: Report) {
        let key = (report.endpoint.clone(), report.number);
        match &report.ended {
            Ended::Delivered => {
                self.waiting.remove(&key);
            }
            Ended::Again(_) | Ended::GivenUp => {
                if let Some(waiting) = self.waiting.get_mut(&key) {
                    waiting.due_at = match report.ended {
                        Ended::Again(at) => Some(at),
                        _ => None,
                    };
                    waiting.lease_until = None;
                    waiting.tries += 1;
                    waiting.first_at = waiting.first_at.or(Some(report.at));
                    waiting.code = Some(report.code.clone());
                }
            }
        }
        let Some((endpoint, health)) = self.endpoints.get_mut(&report.endpoint) else {
            return;
        };
        if report.ended == Ended::Delivered {
            (health.failures, health.paused_until) = (0, None);
            health.delivered_at = Some(report.at);
        } else {
            health.failures += 1;
            health.failed_at = Some(report.at);
            health.failed_with = Some(report.code.clone());
            health.paused_until = report.pause_until.or(health.paused_until);
        }
        if report.turns_off && endpoint.off.is_none() {
            endpoint.off = Some((report.at, report.code));
        }
    }

    pub(crate) fn replay(&mut self, id: &EndpointId, numbers: (i64, i64), now: Timestamp) -> u64 {
        let Some((endpoint, health)) = self.endpoints.get(id) else {
            return 0;
        };
        let (after, count) = health.replayed(numbers);
        let wanted: Vec<(i64, String)> = endpoint.wanted(&self.notices(after, count)).collect();
        let made = wanted.len() as u64;
        for (number, lane) in wanted {
            let fresh = Waiting::new(lane, now);
            self.waiting.insert((id.clone(), number), fresh);
        }
        made
    }
}
