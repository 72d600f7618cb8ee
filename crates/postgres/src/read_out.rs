//! The books read out piece by piece, for another store.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::changes::Work;
use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::Earning;
use lingqian_core::id::{EventId, KindNo, MerchantNo, Source, UserNo};
use lingqian_core::ledger::Cause;
use lingqian_core::money::Micros;
use lingqian_core::reconcile::{BillLine, BookedLine, Direction, Match};
use lingqian_core::time::BusinessDate;
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::read_out::{
    Booked, Cursor, Gather, LETTERS_MAX, Part, Piece, letters, told_after,
};
use tokio_postgres::Row;

use crate::books::earning;
use crate::browse::{self, all};
use crate::codec::{damaged, day, entry, fen, get, id, moment, number, payout_id, queue, text};
use crate::pool::{Session, Values};
use crate::prefetch::answer;
use crate::rows::{kind_day, kinds, merchants, state, user};
use crate::{control, letters as desk, links, outbox, payouts, sql};

/// Rows of a part, and where the next ones begin, if there are more.
type Rows = (Changes, Option<Cursor>);

/// A piece. The caller holds the snapshot.
pub(crate) async fn piece(session: &Session, from: &Cursor, limit: u32) -> Result<Piece, Fault> {
    let limit = limit.max(1);
    let (changes, more) = match from.part {
        Part::Catalogue => (catalogue(session).await?, None),
        Part::Users => some_users(session, from, limit).await?,
        Part::LinkStates => link_states(session, from, limit).await?,
        Part::Payouts => some_payouts(session, from, limit).await?,
        Part::Entries => return entries(session, from, limit).await,
        Part::TakenBack => taken_back(session, from, limit).await?,
        Part::Terms => terms(session, from, limit).await?,
        Part::Days => days(session, from, limit).await?,
        Part::Answers => answers(session, from, limit).await?,
        Part::Reconciled => (reconciled(session).await?, None),
        Part::Deeds => deeds(session, from, limit).await?,
        Part::DeadLetters => {
            let limit = limit.min(LETTERS_MAX);
            let values: Values<'_> = &[&from.numbers.0, &(i64::from(limit) + 1)];
            let found = all(session, sql!("letters_after"), values, browse::letter).await?;
            return Ok(letters(from, found, limit));
        }
        Part::Notices => notices(session, from, limit).await?,
        Part::Work => work(session, from, limit).await?,
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

async fn catalogue(session: &Session) -> Result<Changes, Fault> {
    Ok(Changes {
        kinds: kinds(session).await?,
        merchants: merchants(session).await?,
        stops: control::stops(session, true).await?,
        merchant_days: control::merchant_days(session, BusinessDate(i32::MIN)).await?,
        api_keys: browse::api_keys(session).await?,
        letter_ends: desk::ends(session).await?,
        marks: desk::marks(session, "").await?,
        ..Changes::default()
    })
}

/// Notices, and after the last of them the endpoints that wait for them.
async fn notices(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let told = outbox::notices(session, from.numbers.0, limit).await?;
    let (mut changes, next) = told_after(from, told, outbox::newest(session).await?);
    if next.is_none() {
        changes.endpoints = outbox::for_copy(session).await?;
    }
    Ok((changes, next))
}

async fn some_users(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.numbers.0, &(i64::from(limit) + 1)];
    let mut users = all(session, sql!("users_after"), values, user).await?;
    let more = cut(&mut users, limit);
    let numbers: Vec<i64> = users.iter().map(|user| user.no.0).collect();
    let mut linked = all(session, sql!("links"), &[&numbers], links::link).await?;
    linked.sort_by(|a, b| (a.user, &a.app).cmp(&(b.user, &b.app)));
    let last = numbers.last().filter(|_| more);
    let last = last.map(|no| Cursor::at(from.part, (*no, 0)));
    let changes = Changes {
        users,
        links: linked,
        ..Changes::default()
    };
    Ok((changes, last))
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

async fn link_states(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&unhex(&from.names.0)?, &(i64::from(limit) + 1)];
    let mut states = all(session, sql!("link_states_after"), values, state).await?;
    let more = cut(&mut states, limit);
    let last = states.last().filter(|_| more);
    let last = last.map(|state| Cursor::named(from.part, hex(&state.digest.0), ""));
    let changes = Changes {
        link_states: states,
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn some_payouts(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.names.0, &(i64::from(limit) + 1)];
    let read = |row: &Row| Ok((payouts::row(row)?.payout, None));
    let mut found = all(session, sql!("payouts_after"), values, read).await?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(payout, _)| Cursor::named(from.part, payout.id.to_string(), ""));
    let names: Vec<String> = found.iter().map(|(p, _)| p.id.to_string()).collect();
    let happened = |row: &Row| browse::history(payout_id(text(row, 8)?)?, row);
    let mut attempts = Vec::new();
    for (payout, _) in &found {
        attempts.append(&mut payouts::earlier(session, payout).await?);
    }
    let changes = Changes {
        attempts,
        history: all(session, sql!("history_of"), &[&names], happened).await?,
        payouts: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn deeds(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let mut found = control::deeds_after(session, from.numbers.0, i64::from(limit) + 1).await?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(deed, _)| Cursor::at(from.part, (*deed, 0)));
    let changes = Changes {
        deeds: found.into_iter().map(|(_, deed)| deed).collect(),
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn work(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.names.0, &(i64::from(limit) + 1)];
    let read = |row: &Row| {
        let work = Work {
            queue: queue(text(row, payouts::COLUMNS)?)?,
            due_at: moment(row, payouts::COLUMNS + 1)?,
        };
        Ok((payouts::row(row)?.payout, Some(work)))
    };
    let mut found = all(session, sql!("work_after"), values, read).await?;
    let more = cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let last = last.map(|(payout, _)| Cursor::named(from.part, payout.id.to_string(), ""));
    let changes = Changes {
        payouts: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

/// Whether an entry of this cause may book a line of a bill.
fn is_billed(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::BillOut | Cause::BillReturn | Cause::TopUp | Cause::Unexplained
    )
}

async fn entries(session: &Session, from: &Cursor, limit: u32) -> Result<Piece, Fault> {
    let mut gather = Gather::after(from, limit);
    let after = from.numbers.0;
    // One more than fit, and the second entry of the last event.
    let to = after.saturating_add(i64::from(limit)).saturating_add(2);
    let read = |row: &Row| {
        let (seq, entry) = entry(row, 0)?;
        let event = earning(row, &entry)?;
        Ok((seq, entry, event))
    };
    let found = all(session, sql!("some_entries"), &[&after, &to], read).await?;
    let mut lines: BTreeMap<i64, BookedLine> = BTreeMap::new();
    if found.iter().any(|(_, entry, _)| is_billed(entry.cause())) {
        // No index knows the entries of lines, so that all of them are looked for at once.
        let values: Values<'_> = &[&after, &to];
        let booked = all(session, sql!("bill_lines_between"), values, bill_line).await?;
        lines = booked.into_iter().collect();
    }
    for (seq, entry, event) in found {
        let booked = match (event, lines.remove(&seq)) {
            (Some(event), _) => Booked::Event(Box::new(Earning {
                amount: entry.amount(),
                ..event
            })),
            (None, Some(line)) => Booked::Line(Box::new(line)),
            (None, None) => Booked::Plain,
        };
        if !gather.take(entry, booked) {
            break;
        }
    }
    Ok(gather.finish())
}

fn bill_line(row: &Row) -> Result<(i64, BookedLine), Fault> {
    let payout: Option<String> = get(row, 12)?;
    let payout = payout.as_deref().map(payout_id).transpose()?;
    let booked = BookedLine {
        merchant: MerchantNo(get(row, 1)?),
        date: day(row, 3)?,
        line: BillLine {
            flow_no: get(row, 2)?,
            booked_at: moment(row, 4)?,
            business_no: get(row, 5)?,
            voucher: get(row, 6)?,
            direction: match text(row, 7)? {
                "out" => Direction::Out,
                "in" => Direction::In,
                _ => return Err(damaged("bill_lines.direction")),
            },
            amount: fen(row, 8)?,
            balance: fen(row, 9)?,
            words: get(row, 10)?,
        },
        matched: match (text(row, 11)?, payout) {
            ("payout", Some(payout)) => Match::Payout(payout),
            ("returned", Some(payout)) => Match::Returned(payout),
            ("top_up", None) => Match::TopUp,
            ("unexplained", None) => Match::Unexplained,
            _ => return Err(damaged("bill_lines.matched")),
        },
    };
    Ok((get(row, 0)?, booked))
}

async fn taken_back(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.numbers.0, &(i64::from(limit) + 1)];
    let read = |row: &Row| {
        let source = id(text(row, 1)?, Source::parse, "entries.source")?;
        let event = id(text(row, 2)?, EventId::parse, "entries.event_id")?;
        Ok((get::<i64>(row, 0)?, (source, event, Micros(get(row, 3)?))))
    };
    let mut taken = all(session, sql!("taken_back_after"), values, read).await?;
    let more = cut(&mut taken, limit);
    let last = taken.last().filter(|_| more);
    let last = last.map(|(seq, _)| Cursor::at(from.part, (*seq, 0)));
    let changes = Changes {
        clawed: taken.into_iter().map(|(_, taken)| taken).collect(),
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn terms(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.numbers.0, &(i64::from(limit) + 1)];
    let read = |row: &Row| get::<i64>(row, 0);
    let mut users = all(session, sql!("users_after"), values, read).await?;
    let more = cut(&mut users, limit);
    let last = users.last().filter(|_| more);
    let last = last.map(|no| Cursor::at(from.part, (*no, 0)));
    let counted = |row: &Row| Ok((UserNo(get(row, 0)?), KindNo(get(row, 1)?), kind_day(row)?));
    let cools = |row: &Row| Ok((UserNo(get(row, 0)?), day(row, 1)?, Micros(get(row, 2)?)));
    let changes = Changes {
        kind_days: all(session, sql!("kind_days_of"), &[&users], counted).await?,
        cooling: all(session, sql!("cooling_of"), &[&users], cools).await?,
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn days(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let after = i32::try_from(from.numbers.1).map_err(|_| damaged("a cursor"))?;
    let values: Values<'_> = &[&from.numbers.0, &after, &(i64::from(limit) + 1)];
    let read = |row: &Row| {
        let totals = DayTotals {
            count: number(row, 2)?,
            amount: fen(row, 3)?,
        };
        Ok((UserNo(get(row, 0)?), day(row, 1)?, totals))
    };
    let mut found = all(session, sql!("days_after"), values, read).await?;
    let more = cut(&mut found, limit);
    let numbers = |(user, day, _): &(UserNo, BusinessDate, DayTotals)| (user.0, i64::from(day.0));
    let last = found.last().filter(|_| more).map(numbers);
    let changes = Changes {
        day_totals: found,
        ..Changes::default()
    };
    Ok((changes, last.map(|numbers| Cursor::at(from.part, numbers))))
}

async fn answers(session: &Session, from: &Cursor, limit: u32) -> Result<Rows, Fault> {
    let values: Values<'_> = &[&from.names.0, &from.names.1, &(i64::from(limit) + 1)];
    let mut found = all(session, sql!("answers_after"), values, answer).await?;
    let more = cut(&mut found, limit);
    let name = |key: &IdempotencyKey| Cursor::named(from.part, &key.scope, &key.key);
    let last = found.last().filter(|_| more).map(|(key, _)| name(key));
    let changes = Changes {
        answers: found,
        ..Changes::default()
    };
    Ok((changes, last))
}

async fn reconciled(session: &Session) -> Result<Changes, Fault> {
    Ok(Changes {
        bills: browse::bills(session).await?,
        breaks: browse::breaks(session).await?,
        ..Changes::default()
    })
}
