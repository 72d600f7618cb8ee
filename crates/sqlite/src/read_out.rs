//! The books read out piece by piece, for another store.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::changes::Work;
use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::Earning;
use lingqian_core::id::{EventId, MerchantNo, Source, UserNo};
use lingqian_core::ledger::Cause;
use lingqian_core::link::StateDigest;
use lingqian_core::money::Micros;
use lingqian_core::reconcile::{BillLine, BookedLine, Direction, Match};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::read_out::{
    Booked, Cursor, Gather, LETTERS_MAX, Part, Piece, letters, told_after,
};
use rusqlite::{Connection, Row, params};

use crate::browse::{self, Walk};
use crate::codec::{damaged, day, digest, fen, get, id, payout_id, queue, rows};
use crate::ledger::{Ledger, answer_in, answer_row, found, sources};
use crate::page::{Line, walk_while};
use crate::prefetch::{self, cached};
use crate::{control, letters as desk, links, outbox, payouts, sql};

/// Rows of a part, and where the next ones begin, if there are more.
type Rows = (Changes, Option<Cursor>);

/// A piece of any part but [`Part::Terms`], which is in the books in memory.
pub(crate) fn piece(connection: &Connection, from: &Cursor, limit: u32) -> Result<Piece, Fault> {
    let limit = limit.max(1);
    let (changes, more) = match from.part {
        Part::Catalogue => (catalogue(connection)?, None),
        Part::Users => some_users(connection, from, limit)?,
        Part::LinkStates => link_states(connection, from, limit)?,
        Part::Payouts => some_payouts(connection, from, limit)?,
        Part::Entries => return entries(connection, from, limit),
        Part::TakenBack => taken_back(connection, from, limit)?,
        Part::Terms => (Changes::default(), None),
        Part::Days => days(connection, from, limit)?,
        Part::Answers => answers(connection, from, limit)?,
        Part::Reconciled => (reconciled(connection)?, None),
        Part::Deeds => deeds(connection, from, limit)?,
        Part::DeadLetters => return dead_letters(connection, from, limit),
        Part::Notices => notices(connection, from, limit)?,
        Part::Work => work(connection, from, limit)?,
    };
    Ok(Piece::new(from.part, changes, more))
}

/// Whether a query that was asked for one row more than `limit` found it; it is dropped then.
fn cut<T>(found: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    more
}

fn catalogue(connection: &Connection) -> Result<Changes, Fault> {
    Ok(Changes {
        kinds: prefetch::kinds(connection)?,
        merchants: prefetch::merchants(connection)?,
        stops: control::stops(connection, true)?,
        merchant_days: control::merchant_days(connection, BusinessDate(i32::MIN))?,
        api_keys: browse::api_keys(connection)?,
        letter_ends: desk::ends(connection)?,
        marks: desk::marks(connection, "")?,
        ..Changes::default()
    })
}

/// Notices, and after the last of them the endpoints that wait for them.
fn notices(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let told = outbox::notices(connection, from.numbers.0, limit)?;
    let (mut changes, next) = told_after(from, told, outbox::newest(connection)?);
    if next.is_none() {
        changes.endpoints = outbox::for_copy(connection)?;
    }
    Ok((changes, next))
}

fn some_users(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("users_after"))?;
    let values = params![from.numbers.0, i64::from(limit) + 1];
    let mut users = rows(&mut query, values, prefetch::user)?;
    let more = cut(&mut users, limit);
    let last = users.last().map(|user| user.no.0);
    let mut by_user = cached(connection, sql!("link_by_user"))?;
    let mut all = Vec::new();
    for user in &users {
        all.extend(rows(&mut by_user, [user.no.0], links::link)?);
    }
    let changes = Changes {
        users,
        links: all,
        ..Changes::default()
    };
    let last = last.filter(|_| more);
    Ok((changes, last.map(|no| Cursor::at(from.part, (no, 0)))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Fault> {
    let byte = |place| {
        let digits = text.get(place..place + 2);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.ok_or_else(|| damaged("a cursor"))
    };
    (0..text.len()).step_by(2).map(byte).collect()
}

fn link_states(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("link_states_after"))?;
    let values = params![unhex(&from.names.0)?, i64::from(limit) + 1];
    let mut states = rows(&mut query, values, |row| {
        let bytes: Vec<u8> = get(row, 4)?;
        prefetch::state(StateDigest(digest(&bytes, "link_states.digest")?), row)
    })?;
    let more = cut(&mut states, limit);
    let last = states.last().filter(|_| more);
    let last = last.map(|state| Cursor::named(from.part, hex(&state.digest.0), ""));
    let changes = Changes {
        link_states: states,
        ..Changes::default()
    };
    Ok((changes, last))
}

fn some_payouts(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("payouts_after"))?;
    let values = params![from.names.0, i64::from(limit) + 1];
    let mut found = rows(&mut query, values, |row| {
        let hold: Option<i64> = get(row, payouts::COLUMNS)?;
        Ok((payouts::row(row)?.payout, hold))
    })?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(payout, _)| Cursor::named(from.part, payout.id.to_string(), ""));
    let mut changes = Changes::default();
    for (payout, hold) in found {
        let history = browse::history(connection, &payout, hold)?;
        changes.history.extend(history);
        let earlier = payouts::earlier(connection, &payout)?;
        changes.attempts.extend(earlier);
        changes.payouts.push((payout, None));
    }
    Ok((changes, last))
}

fn work(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("work_after"))?;
    let values = params![from.names.0, i64::from(limit) + 1];
    let mut found = rows(&mut query, values, |row| {
        let work = Work {
            queue: queue(&get::<String>(row, payouts::COLUMNS)?)?,
            due_at: Timestamp(get(row, payouts::COLUMNS + 1)?),
        };
        Ok((payouts::row(row)?.payout, Some(work)))
    })?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(payout, _)| Cursor::named(from.part, payout.id.to_string(), ""));
    let changes = Changes {
        payouts: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

fn entries(connection: &Connection, from: &Cursor, limit: u32) -> Result<Piece, Fault> {
    let mut gather = Gather::after(from, limit);
    let start = gather.first().unsigned_abs();
    let mut beside = Beside {
        connection,
        sources: sources(connection)?,
        walk: Walk::default(),
        lines: BTreeMap::new(),
        lines_to: 0,
        limit,
    };
    walk_while(connection, start, |page, _| {
        for seq in page.first.max(start)..=page.last() {
            let line = page.line(seq)?;
            let booked = beside.booked(&line)?;
            if !gather.take(line.entry()?, booked) {
                return Ok(false);
            }
            if let Some((key, answer)) = answer_in(&line)? {
                gather.answer(key, answer);
            }
        }
        Ok(true)
    })?;
    Ok(gather.finish())
}

/// What is kept beside entries and belongs to them.
struct Beside<'c> {
    connection: &'c Connection,
    sources: Vec<String>,
    walk: Walk,
    lines: BTreeMap<i64, BookedLine>,
    lines_to: i64,
    limit: u32,
}

impl Beside<'_> {
    fn booked(&mut self, line: &Line<'_>) -> Result<Booked, Fault> {
        if line.names.event.is_some() {
            return self.event(line);
        }
        let cause = line.record.cause;
        if !matches!(
            cause,
            Cause::BillOut | Cause::BillReturn | Cause::TopUp | Cause::Unexplained
        ) {
            return Ok(Booked::Plain);
        }
        let seq = line.seq.cast_signed();
        if seq > self.lines_to {
            // No index knows the entries of lines, so that many are looked for at once.
            self.lines_to = seq.saturating_add(i64::from(self.limit));
            let mut query = cached(self.connection, sql!("bill_lines_between"))?;
            let found = rows(&mut query, [seq, self.lines_to], bill_line)?;
            self.lines = found.into_iter().collect();
        }
        let booked = self.lines.remove(&seq);
        Ok(booked.map_or(Booked::Plain, |line| Booked::Line(Box::new(line))))
    }

    fn event(&mut self, line: &Line<'_>) -> Result<Booked, Fault> {
        let (found, original) = found(line)?;
        let (source, event_id) = self.name(line)?;
        let reverses = match original {
            None => None,
            Some(original) => {
                let line = self.walk.line(self.connection, original)?;
                let (_, id) = line.names.event.ok_or_else(|| damaged("a claw-back"))?;
                Some(event_name(&id.text())?)
            }
        };
        Ok(Booked::Event(Box::new(Earning {
            source,
            event_id,
            user: found.user,
            kind: found.kind,
            amount: found.amount,
            occurred_at: found.occurred_at,
            recorded_at: found.recorded_at,
            from: found.from,
            reverses,
            matures_on: found.matures_on,
            repaid: Micros::ZERO,
            clawed: Micros::ZERO,
        })))
    }

    /// The name of the event that an entry bears.
    fn name(&self, line: &Line<'_>) -> Result<(Source, EventId), Fault> {
        let lost = || damaged("the event of an entry");
        let (source, event) = line.names.event.ok_or_else(lost)?;
        let source = self.sources.get(source as usize).ok_or_else(lost)?;
        let source = id(source, Source::parse, "sources.source")?;
        Ok((source, event_name(&event.text())?))
    }
}

fn event_name(text: &str) -> Result<EventId, Fault> {
    id(text, EventId::parse, "the event of an entry")
}

fn bill_line(row: &Row<'_>) -> Result<(i64, BookedLine), Fault> {
    let (direction, matched): (String, String) = (get(row, 7)?, get(row, 11)?);
    let payout: Option<String> = get(row, 12)?;
    let payout = payout.as_deref().map(payout_id).transpose()?;
    let booked = BookedLine {
        merchant: MerchantNo(get(row, 1)?),
        date: day(get(row, 3)?)?,
        line: BillLine {
            flow_no: get(row, 2)?,
            booked_at: Timestamp(get(row, 4)?),
            business_no: get(row, 5)?,
            voucher: get(row, 6)?,
            direction: match direction.as_str() {
                "out" => Direction::Out,
                "in" => Direction::In,
                _ => return Err(damaged("bill_lines.direction")),
            },
            amount: fen(row, 8)?,
            balance: fen(row, 9)?,
            words: get(row, 10)?,
        },
        matched: match (matched.as_str(), payout) {
            ("payout", Some(payout)) => Match::Payout(payout),
            ("returned", Some(payout)) => Match::Returned(payout),
            ("top_up", None) => Match::TopUp,
            ("unexplained", None) => Match::Unexplained,
            _ => return Err(damaged("bill_lines.matched")),
        },
    };
    Ok((get(row, 0)?, booked))
}

fn taken_back(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("clawed_after"))?;
    let values = params![from.numbers.0, i64::from(limit) + 1];
    let mut taken: Vec<(i64, Micros)> = rows(&mut query, values, |row| {
        Ok((get(row, 0)?, Micros(get(row, 1)?)))
    })?;
    let more = cut(&mut taken, limit);
    let last = taken.last().filter(|_| more);
    let last = last.map(|(seq, _)| Cursor::at(from.part, (*seq, 0)));
    let (sources, mut walk) = (sources(connection)?, Walk::default());
    let mut changes = Changes::default();
    for (seq, sum) in taken {
        let line = walk.line(connection, seq.unsigned_abs())?;
        let (source, event) = line.names.event.ok_or_else(|| damaged("clawed"))?;
        let source = sources.get(source as usize);
        let source = source.ok_or_else(|| damaged("sources"))?;
        let source = id(source, Source::parse, "sources.source")?;
        changes
            .clawed
            .push((source, event_name(&event.text())?, sum));
    }
    Ok((changes, last))
}

/// What counted towards days and what cools off, of users that the file has.
pub(crate) fn terms(
    ledger: &mut Ledger,
    connection: &Connection,
    from: &Cursor,
    limit: u32,
) -> Result<Piece, Fault> {
    let mut query = cached(connection, sql!("users_after"))?;
    let values = params![from.numbers.0, i64::from(limit) + 1];
    let mut users: Vec<UserNo> = rows(&mut query, values, |row| Ok(UserNo(get(row, 0)?)))?;
    let more = cut(&mut users, limit);
    let ever = BusinessDate(i32::MIN);
    let mut changes = Changes::default();
    for user in &users {
        ledger.accounts.load(connection, *user)?;
        let kinds = ledger.accounts.kind_days(*user, ever);
        let kinds = kinds.into_iter().map(|(kind, day)| (*user, kind, day));
        changes.kind_days.extend(kinds);
        let cooling = ledger.accounts.cooling(*user, ever);
        let cooling = cooling.into_iter().map(|(day, sum)| (*user, day, sum));
        changes.cooling.extend(cooling);
    }
    let last = users.last().filter(|_| more);
    let last = last.map(|no| Cursor::at(Part::Terms, (no.0, 0)));
    Ok(Piece::new(Part::Terms, changes, last))
}

fn days(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("days_after"))?;
    let values = params![from.numbers.0, from.numbers.1, i64::from(limit) + 1];
    let mut found = rows(&mut query, values, |row| {
        let totals = DayTotals {
            count: get(row, 2)?,
            amount: fen(row, 3)?,
        };
        Ok((UserNo(get(row, 0)?), day(get(row, 1)?)?, totals))
    })?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(user, day, _)| Cursor::at(from.part, (user.0, i64::from(day.0))));
    let changes = Changes {
        day_totals: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

fn answers(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut query = cached(connection, sql!("answers_after"))?;
    let values = params![from.names.0, from.names.1, i64::from(limit) + 1];
    let mut found = rows(&mut query, values, |row| {
        let key = IdempotencyKey {
            scope: get(row, 4)?,
            key: get(row, 5)?,
        };
        Ok((key, answer_row(row)?))
    })?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(key, _)| Cursor::named(from.part, &key.scope, &key.key));
    let changes = Changes {
        answers: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

fn reconciled(connection: &Connection) -> Result<Changes, Fault> {
    let mut query = cached(connection, sql!("breaks"))?;
    Ok(Changes {
        bills: browse::bills(connection)?,
        breaks: rows(&mut query, [], prefetch::broken)?,
        ..Changes::default()
    })
}

fn deeds(connection: &Connection, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut found = control::deeds_after(connection, from.numbers.0, i64::from(limit) + 1)?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(deed, _)| Cursor::at(from.part, (*deed, 0)));
    let changes = Changes {
        deeds: found.into_iter().map(|(_, deed)| deed).collect(),
        ..Changes::default()
    };
    Ok((changes, last))
}

fn dead_letters(connection: &Connection, from: &Cursor, limit: u32) -> Result<Piece, Fault> {
    let limit = limit.min(LETTERS_MAX);
    let mut query = cached(connection, sql!("letters_after"))?;
    let values = params![from.numbers.0, i64::from(limit) + 1];
    let found = rows(&mut query, values, browse::letter)?;
    Ok(letters(from, found, limit))
}
