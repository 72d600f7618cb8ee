//! Facts: everything that the keys name, all of one moment, in two rounds of sets.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::command::IdempotencyKey;
use lingqian_core::facts::{RememberedAnswer, Wallet};
use lingqian_core::id::{KindNo, MchId, OpenId, Reference, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_core::user::DayTotals;
use lingqian_core::{Facts, Keys};
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::chain::EventKey;
use crate::codec::{damaged, day, digest, fen, get, id, moment, number, payout_id, text};
use crate::pool::{Session, Values};
use crate::rows::{broken, earning, kind_day, kinds, merchants, state, user};
use crate::{control, links, payouts, sql};

/// The end of the chain at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many batches were committed.
    pub(crate) batch_no: i64,
    /// How many entries there were.
    pub(crate) seq: i64,
}

/// The end of the chain, without a lock.
pub(crate) async fn head(session: &Session) -> Result<Head, Fault> {
    let row = session.first(sql!("head"), &[]).await?;
    let row = row.ok_or_else(|| damaged("chain_head"))?;
    Ok(Head {
        batch_no: get(&row, 0)?,
        seq: get(&row, 1)?,
    })
}

/// A query that is asked only if there is something to ask for.
async fn some<T>(
    session: &Session,
    wanted: &[T],
    query: &'static str,
    values: Values<'_>,
) -> Result<Vec<Row>, Fault> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    session.rows(query, values).await
}

/// What the first round found.
struct Found {
    users: Vec<Row>,
    events: Vec<Row>,
    link_states: Vec<Row>,
    holders: Vec<Row>,
    references: Vec<Row>,
    answers: Vec<Row>,
    payouts: Vec<Row>,
    open_breaks: Vec<Row>,
    bill_lines: Vec<Row>,
}

/// Reads the facts. All reads must be of one moment: of one snapshot, or while nobody can
/// commit. The caller fills the basis.
pub(crate) async fn facts(session: &Session, keys: &Keys) -> Result<Facts, Fault> {
    let stopped = control::stops(session, false);
    let told = control::merchant_days(session, keys.day);
    let (kinds, merchants) = (kinds(session), merchants(session));
    let catalogue = async { tokio::try_join!(kinds, merchants, stopped, told) };
    let next = session.first(sql!("next_user"), &[]);
    let (catalogue, next, found) = tokio::try_join!(catalogue, next, first_round(session, keys))?;
    let (kinds, merchants, stops, days) = catalogue;
    let next = next.ok_or_else(|| damaged("users"))?;
    let mut facts = Facts {
        kinds: kinds
            .into_iter()
            .map(|kind| (kind.code.clone(), kind))
            .collect(),
        merchants: merchants
            .into_iter()
            .map(|m| (m.mchid.clone(), m))
            .collect(),
        next_user: get(&next, 0)?,
        stops: stops.into_iter().collect(),
        merchant_days: days
            .into_iter()
            .filter(|(_, day, _)| *day == keys.day)
            .map(|(no, _, amount)| (no, amount))
            .collect(),
        day: keys.day,
        ..Facts::default()
    };
    if keys.closed_bills {
        let closed = control::closed_bills(session).await?;
        facts.closed_bills = closed.into_iter().collect();
    }
    let wallets = sort_out(keys, &found, &mut facts)?;
    second_round(session, keys.day, wallets, &mut facts).await?;
    Ok(facts)
}

async fn first_round(session: &Session, keys: &Keys) -> Result<Found, Fault> {
    let names: BTreeSet<&UserId> = keys.users.iter().chain(&keys.wallets).collect();
    let names: Vec<&str> = names.into_iter().map(UserId::as_str).collect();
    let events = keys.earnings.iter();
    let events: Vec<EventKey> = events
        .map(|(source, event)| EventKey::of(source.as_str(), event.as_str()))
        .collect();
    let states = keys.link_states.iter();
    let states: Vec<&[u8]> = states.map(|state| state.0.as_slice()).collect();
    let openids: Vec<&str> = keys.openids.iter().map(OpenId::expose).collect();
    let names_used: Vec<&str> = keys.references.iter().map(Reference::as_str).collect();
    // Each has its values in a future of its own, so that all can be under way at once.
    let users = async { some(session, &names, sql!("users_by_id"), &[&names]).await };
    let events = async { some(session, &events, sql!("events"), &[&events]).await };
    let states = async { some(session, &states, sql!("link_states"), &[&states]).await };
    let holders = async { some(session, &openids, sql!("holders"), &[&openids]).await };
    let query = sql!("references_used");
    let used = async { some(session, &names_used, query, &[&names_used]).await };
    let (users, events, link_states, holders, references, rest) = tokio::try_join!(
        users,
        events,
        states,
        holders,
        used,
        about_payouts(session, keys)
    )?;
    let [answers, payouts, open_breaks, bill_lines] = rest;
    Ok(Found {
        users,
        events,
        link_states,
        holders,
        references,
        answers,
        payouts,
        open_breaks,
        bill_lines,
    })
}

/// Remembered answers, payouts, open breaks and lines of bills.
async fn about_payouts(session: &Session, keys: &Keys) -> Result<[Vec<Row>; 4], Fault> {
    let scopes = keys.idempotency.iter();
    let scopes: Vec<&str> = scopes.map(|key| key.scope.as_str()).collect();
    let own_keys = keys.idempotency.iter();
    let own_keys: Vec<&str> = own_keys.map(|key| key.key.as_str()).collect();
    let payouts: Vec<String> = keys.payouts.iter().map(ToString::to_string).collect();
    let mchids = keys.bill_lines.iter();
    let mchids: Vec<&str> = mchids.map(|(mchid, _)| mchid.as_str()).collect();
    let flows = keys.bill_lines.iter();
    let flows: Vec<&str> = flows.map(|(_, flow)| flow.as_str()).collect();
    let subjects = payouts.iter().map(String::as_str);
    let subjects: Vec<&str> = subjects.chain(flows.iter().copied()).collect();
    let answers = async { some(session, &scopes, sql!("answers"), &[&scopes, &own_keys]).await };
    let named = async { some(session, &payouts, sql!("payouts_by_name"), &[&payouts]).await };
    let breaks = async { some(session, &subjects, sql!("open_breaks"), &[&subjects]).await };
    let query = sql!("bill_lines_known");
    let lines = async { some(session, &flows, query, &[&mchids, &flows]).await };
    let (answers, payouts, breaks, lines) = tokio::try_join!(answers, named, breaks, lines)?;
    Ok([answers, payouts, breaks, lines])
}

/// Whose wallets are needed, each with the days whose totals are.
type Wanted = BTreeMap<UserNo, BTreeSet<BusinessDate>>;

/// Puts what was found in its place, what was not found as absent, and tells whose wallets are
/// needed.
fn sort_out(keys: &Keys, found: &Found, facts: &mut Facts) -> Result<Wanted, Fault> {
    let mut wanted = Wanted::new();
    let absent = |name: &UserId| (name.clone(), None);
    facts.users = keys.users.iter().chain(&keys.wallets).map(absent).collect();
    for row in &found.users {
        let user = user(row)?;
        if keys.wallets.contains(&user.id) {
            wanted.entry(user.no).or_default().insert(keys.day);
        }
        facts.users.insert(user.id.clone(), Some(user));
    }
    earnings(keys, found, facts)?;
    facts.link_states = keys
        .link_states
        .iter()
        .map(|digest| (*digest, None))
        .collect();
    for row in &found.link_states {
        let state = state(row)?;
        wanted.entry(state.user).or_default().insert(keys.day);
        facts.link_states.insert(state.digest, Some(state));
    }
    facts.payouts = keys.payouts.iter().map(|payout| (*payout, None)).collect();
    for row in &found.payouts {
        let payout = payouts::row(row)?.payout;
        let days = wanted.entry(payout.user).or_default();
        days.insert(keys.day);
        days.extend(payout.counted_on);
        facts.payouts.insert(payout.id, Some(payout));
    }
    names(keys, found, facts)?;
    Ok(wanted)
}

fn earnings(keys: &Keys, found: &Found, facts: &mut Facts) -> Result<(), Fault> {
    facts.earnings = keys
        .earnings
        .iter()
        .map(|key| (key.clone(), None))
        .collect();
    for row in &found.events {
        let earning = earning(row)?;
        let key = (earning.source.clone(), earning.event_id.clone());
        // Two events of one key do not happen; if they do, nobody is credited by mistake.
        let place = facts.earnings.get_mut(&key);
        *place.ok_or_else(|| damaged("credited"))? = Some(earning);
    }
    Ok(())
}

fn names(keys: &Keys, found: &Found, facts: &mut Facts) -> Result<(), Fault> {
    facts.holders = keys
        .openids
        .iter()
        .map(|openid| (openid.clone(), BTreeSet::new()))
        .collect();
    for row in &found.holders {
        let person = id(text(row, 0)?, OpenId::parse, "app_links.openid")?;
        let holders = facts.holders.entry(person).or_default();
        holders.insert(UserNo(get(row, 1)?));
    }
    let used: BTreeSet<&str> = found
        .references
        .iter()
        .map(|row| text(row, 0))
        .collect::<Result<_, _>>()?;
    let known = |name: &Reference| (name.clone(), used.contains(name.as_str()));
    facts.references = keys.references.iter().map(known).collect();
    facts.answers = keys
        .idempotency
        .iter()
        .map(|key| (key.clone(), None))
        .collect();
    for row in &found.answers {
        let (key, answer) = answer(row)?;
        facts.answers.insert(key, Some(answer));
    }
    for row in &found.open_breaks {
        let open = broken(row)?;
        facts.open_breaks.insert(open.subject.clone(), open);
    }
    facts.bill_lines = keys
        .bill_lines
        .iter()
        .map(|key| (key.clone(), false))
        .collect();
    for row in &found.bill_lines {
        let mchid = id(text(row, 0)?, MchId::parse, "merchants.mchid")?;
        facts.bill_lines.insert((mchid, get(row, 1)?), true);
    }
    Ok(())
}

/// A remembered answer and its key.
pub(crate) fn answer(row: &Row) -> Result<(IdempotencyKey, RememberedAnswer), Fault> {
    let key = IdempotencyKey {
        scope: get(row, 0)?,
        key: get(row, 1)?,
    };
    let answer = RememberedAnswer {
        digest: digest(&get::<Vec<u8>>(row, 2)?, "idempotency.digest")?,
        payout: payout_id(text(row, 3)?)?,
        amount: fen(row, 4)?,
        created_at: moment(row, 5)?,
    };
    Ok((key, answer))
}

/// The wallets that the first round asks for.
async fn second_round(
    session: &Session,
    today: BusinessDate,
    wanted: Wanted,
    facts: &mut Facts,
) -> Result<(), Fault> {
    if wanted.is_empty() {
        return Ok(());
    }
    let wallets = wallets(session, today, &wanted).await?;
    for wallet in wallets.values() {
        let user = &wallet.user;
        facts.users.insert(user.id.clone(), Some(user.clone()));
    }
    let payouts = facts.payouts.values().flatten();
    let mut owners = payouts.map(|payout| payout.user);
    if owners.any(|owner| !wallets.contains_key(&owner)) {
        return Err(damaged("payouts.user_no"));
    }
    facts.wallets = wallets;
    Ok(())
}

/// What is kept about users' money, as rows.
struct Kept {
    links: Vec<Row>,
    accounts: Vec<Row>,
    days: Vec<Row>,
    kinds: Vec<Row>,
    cooling: Vec<Row>,
}

/// Wallets by the numbers of their users.
async fn wallets(
    session: &Session,
    today: BusinessDate,
    wanted: &Wanted,
) -> Result<BTreeMap<UserNo, Wallet>, Fault> {
    let numbers: Vec<i64> = wanted.keys().map(|user| user.0).collect();
    let days = wanted
        .iter()
        .flat_map(|(user, days)| days.iter().map(|day| (user.0, day.0)));
    let (day_users, day_numbers): (Vec<i64>, Vec<i32>) = days.unzip();
    let (users, linked, accounts, days, kinds, cooling) = tokio::try_join!(
        async { session.rows(sql!("users_by_no"), &[&numbers]).await },
        async { session.rows(sql!("links"), &[&numbers]).await },
        async { session.rows(sql!("accounts"), &[&numbers]).await },
        async {
            session
                .rows(sql!("days"), &[&day_users, &day_numbers])
                .await
        },
        async { session.rows(sql!("kind_days"), &[&numbers, &today.0]).await },
        async { session.rows(sql!("cooling"), &[&numbers, &today.0]).await },
    )?;
    let new = |row: &Row| user(row).map(|user| (user.no, Wallet::new(user)));
    let mut wallets: BTreeMap<UserNo, Wallet> = users.iter().map(new).collect::<Result<_, _>>()?;
    let kept = Kept {
        links: linked,
        accounts,
        days,
        kinds,
        cooling,
    };
    fill(&mut wallets, &kept)?;
    Ok(wallets)
}

fn fill(wallets: &mut BTreeMap<UserNo, Wallet>, kept: &Kept) -> Result<(), Fault> {
    for row in &kept.links {
        let link = links::link(row)?;
        of(wallets, row)?.links.insert(link.app.clone(), link);
    }
    for row in &kept.accounts {
        let micros = |place| Ok(Micros(get::<Option<i64>>(row, place)?.unwrap_or(0)));
        let wallet = of(wallets, row)?;
        (wallet.available, wallet.held) = (micros(1)?, micros(2)?);
        wallet.owed = Micros(micros(3)?.0.saturating_neg());
    }
    for row in &kept.days {
        let totals = DayTotals {
            count: number(row, 2)?,
            amount: fen(row, 3)?,
        };
        of(wallets, row)?.days.insert(day(row, 1)?, totals);
    }
    for row in &kept.kinds {
        of(wallets, row)?
            .kinds
            .insert(KindNo(get(row, 1)?), kind_day(row)?);
    }
    for row in &kept.cooling {
        of(wallets, row)?
            .cooling
            .insert(day(row, 1)?, Micros(get(row, 2)?));
    }
    Ok(())
}

fn of<'w>(wallets: &'w mut BTreeMap<UserNo, Wallet>, row: &Row) -> Result<&'w mut Wallet, Fault> {
    let wallet = wallets.get_mut(&UserNo(get(row, 0)?));
    wallet.ok_or_else(|| damaged("users, a row that others name,"))
}

/// One user's wallet with one day's totals.
pub(crate) async fn wallet(
    session: &Session,
    name: &UserId,
    day: BusinessDate,
) -> Result<Option<Wallet>, Fault> {
    let Some(row) = session.first(sql!("user"), &[&name.as_str()]).await? else {
        return Ok(None);
    };
    let no = user(&row)?.no;
    let wanted = Wanted::from([(no, BTreeSet::from([day]))]);
    Ok(wallets(session, day, &wanted).await?.remove(&no))
}
