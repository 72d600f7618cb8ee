//! Events in the books: finding one by its name, and booking one.

use lingqian_core::earning::{Booking, Known};
use lingqian_core::id::{KindNo, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use rusqlite::{Connection, OptionalExtension};

use super::{About, Ledger, Leg, kind_of};
use crate::codec::fault;
use crate::page::{Line, damaged};
use crate::prefetch::cached;
use crate::record::{EventName, Names};
use crate::sql;

/// A booked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) seq: u64,
    pub(crate) user: UserNo,
    pub(crate) kind: KindNo,
    pub(crate) amount: Micros,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) from: Option<UserNo>,
    /// The id of the event that it takes back.
    pub(crate) reverses: Option<String>,
    pub(crate) matures_on: Option<BusinessDate>,
    pub(crate) repaid: Micros,
    pub(crate) clawed: Micros,
}

impl Found {
    /// What the rule compares and counts.
    pub(crate) fn known(&self) -> Known<'_> {
        Known {
            user: self.user,
            kind: self.kind,
            amount: self.amount,
            occurred_at: self.occurred_at,
            from: self.from,
            reverses: self.reverses.as_deref(),
            matures_on: self.matures_on,
            repaid: self.repaid,
            clawed: self.clawed,
        }
    }
}

/// What the entry of an event bears beside the movement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks<'a> {
    pub(crate) source: u32,
    pub(crate) id: EventName<'a>,
    pub(crate) fingerprint: u64,
    pub(crate) user: UserNo,
    pub(crate) kind: KindNo,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) reverses: Option<u64>,
}

/// An event as its entry in the file tells it, which is never changed, whatever its source.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    source: u32,
    found: Found,
    /// The entry of the event that it takes back.
    reverses: Option<u64>,
}

impl Seen {
    /// The event of that entry, if it has this id.
    pub(crate) fn of(line: &Line<'_>, id: EventName<'_>) -> Result<Option<Seen>, Fault> {
        let Some((source, _)) = line.names.event.filter(|(_, own)| *own == id) else {
            return Ok(None);
        };
        let (found, reverses) = found(line)?;
        Ok(Some(Seen {
            source,
            found,
            reverses,
        }))
    }
}

impl Ledger {
    /// The event of that name. `old` says whether runs are looked into.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        name: (&str, &str),
        fingerprint: u64,
        old: bool,
    ) -> Result<Option<Found>, Fault> {
        let places = self.places(connection, fingerprint, old)?;
        self.find_among(connection, name, places)
    }

    /// The event of that name, where `seen` is everything that older ids lead to.
    pub(crate) fn find_beside(
        &self,
        connection: &Connection,
        name: (&str, &str),
        fingerprint: u64,
        seen: &[Seen],
    ) -> Result<Option<Found>, Fault> {
        let places = self.places(connection, fingerprint, false)?;
        if let Some(found) = self.find_among(connection, name, places)? {
            return Ok(Some(found));
        }
        let source = self.known_source(name.0);
        let seen = seen.iter().find(|seen| Some(seen.source) == source);
        seen.map(|seen| self.complete(connection, seen.found.clone(), seen.reverses))
            .transpose()
    }

    fn find_among(
        &self,
        connection: &Connection,
        (source, event_id): (&str, &str),
        places: Vec<u64>,
    ) -> Result<Option<Found>, Fault> {
        if places.is_empty() {
            return Ok(None);
        }
        let Some(source) = self.known_source(source) else {
            return Ok(None);
        };
        let name = Some((source, EventName::of(event_id)));
        for seq in places {
            let found = self.with_line(connection, seq, |line| {
                if line.names.event != name {
                    return Ok(None);
                }
                found(line).map(Some)
            })?;
            if let Some((found, reverses)) = found {
                return self.complete(connection, found, reverses).map(Some);
            }
        }
        Ok(None)
    }

    /// Entries that may bear the name with this fingerprint. `old` says whether runs are looked
    /// into.
    pub(crate) fn places(
        &self,
        connection: &Connection,
        fingerprint: u64,
        old: bool,
    ) -> Result<Vec<u64>, Fault> {
        let mut places: Vec<u64> = self.ids.recent(fingerprint).collect();
        if old {
            places.extend(self.ids.old(connection, fingerprint)?);
        }
        Ok(places)
    }

    /// What an event's own entry does not tell: what follows it, and what it takes back.
    fn complete(
        &self,
        connection: &Connection,
        mut found: Found,
        reverses: Option<u64>,
    ) -> Result<Found, Fault> {
        if let Some(original) = reverses {
            let id = self.with_line(connection, original, |line| {
                let (_, id) = line.names.event.ok_or_else(|| damaged(original))?;
                Ok(id.text())
            })?;
            found.reverses = Some(id);
            let sum = found
                .amount
                .plus(self.follows(connection, found.seq, Cause::Owe)?);
            found.amount = sum.ok_or_else(|| damaged(found.seq))?;
        } else if found.matures_on.is_some() {
            found.repaid = self.follows(connection, found.seq, Cause::Repay)?;
        }
        found.clawed = self.clawed(connection, found.seq)?;
        Ok(found)
    }

    /// What the entry moves that follows from an event's own one, where one does.
    pub(crate) fn follows(
        &self,
        connection: &Connection,
        seq: u64,
        cause: Cause,
    ) -> Result<Micros, Fault> {
        if seq >= self.last {
            return Ok(Micros::ZERO);
        }
        self.with_line(connection, seq + 1, |next| {
            let follows = next.record.cause == cause;
            Ok(if follows {
                next.record.amount
            } else {
                Micros::ZERO
            })
        })
    }

    /// How much of an event was taken back.
    pub(crate) fn clawed(&self, connection: &Connection, seq: u64) -> Result<Micros, Fault> {
        if let Some(known) = self.clawed.get(&seq) {
            return Ok(Micros(*known));
        }
        let mut query = cached(connection, sql!("clawed"))?;
        let found = query.query_row([seq.cast_signed()], |row| row.get(0));
        let found: Option<i64> = found.optional().map_err(fault)?;
        Ok(Micros(found.unwrap_or(0)))
    }

    /// Notes how much of an event was taken back, all together.
    pub(crate) fn set_clawed(&mut self, seq: u64, amount: Micros) {
        self.clawed.insert(seq, amount.0);
        self.new_clawed.push(seq);
    }

    /// Books an event; tells the number of its entry. The chunks of its users must be loaded.
    ///
    /// # Errors
    /// As for [`Ledger::append`].
    pub(crate) fn book(
        &mut self,
        at: Timestamp,
        booking: &Booking,
        marks: &Marks<'_>,
    ) -> Result<u64, Fault> {
        let first = booking.first;
        let cools_until = booking.cooling.map(|(day, _)| day);
        let is_transfer = first.cause == Cause::Transfer;
        let about = About {
            names: Names {
                event: Some((marks.source, marks.id)),
                reverses: marks.reverses,
                kind: is_transfer.then_some(marks.kind),
                ..Names::default()
            },
            occurred_at: marks.occurred_at,
            matures_on: booking.matures_on.or(cools_until),
            counted: booking.counted.is_some(),
        };
        let seq = self.append(&Leg::at(&first, at), &about)?;
        if let Some(second) = &booking.second {
            let about = About {
                matures_on: booking.matures_on,
                ..About::default()
            };
            self.append(&Leg::at(second, at), &about)?;
        }
        if let Some((user, totals)) = booking.counted {
            self.accounts.set_kind_day(user, marks.kind, totals);
        }
        if let Some((day, change)) = booking.cooling {
            self.accounts.cool(marks.user, day, change.0);
        }
        self.note_event(marks.fingerprint, seq, booking.amount)?;
        Ok(seq)
    }

    /// Remembers an event's id and counts it.
    pub(crate) fn note_event(
        &mut self,
        fingerprint: u64,
        seq: u64,
        amount: Micros,
    ) -> Result<(), Fault> {
        self.ids.add((fingerprint, seq));
        self.totals.events += 1;
        let sum = self.totals.events_sum.checked_add(amount.0);
        let too_much = || Fault::Broken("the sum of all events leaves its range".into());
        self.totals.events_sum = sum.ok_or_else(too_much)?;
        Ok(())
    }
}

/// An event as its entry tells it, and the entry that it takes back.
pub(crate) fn found(line: &Line<'_>) -> Result<(Found, Option<u64>), Fault> {
    let record = &line.record;
    let lost = || damaged(line.seq);
    let user = match record.cause {
        Cause::ClawBack => record.debit.user(),
        _ => record.credit.user(),
    };
    let from = match (record.cause, record.debit) {
        (Cause::Transfer, Account::Available(from)) => Some(from),
        _ => None,
    };
    let found = Found {
        seq: line.seq,
        user: user.ok_or_else(lost)?,
        kind: kind_of(record, &line.names).ok_or_else(lost)?,
        amount: record.amount,
        occurred_at: record.occurred_at,
        recorded_at: record.at,
        from,
        reverses: None,
        matures_on: record.matures_on.filter(|_| line.names.reverses.is_none()),
        repaid: Micros::ZERO,
        clawed: Micros::ZERO,
    };
    Ok((found, line.names.reverses))
}
