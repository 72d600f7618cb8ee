//! Facts: everything that the keys name, all of one moment, in two rounds of sets.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::earning::{Earning, Kind};
use lingqian_core::facts::{RememberedAnswer, Wallet};
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, OpenId, Source, UserId, UserNo,
};
use lingqian_core::link::{Link, LinkState, StateDigest};
use lingqian_core::money::Micros;
use lingqian_core::reconcile::{Break, BreakKind};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::Merchant;
use lingqian_core::user::{DayTotals, Sealed, User};
use lingqian_core::{Facts, Keys};
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::chain::EventKey;
use crate::codec::{
    damaged, day, digest, fen, get, id, moment, moment_maybe, number, payout_id, report, text,
};
use crate::pool::{Session, Values};
use crate::{payouts, sql};

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
    let catalogue = async { tokio::try_join!(kinds(session), merchants(session)) };
    let next = session.first(sql!("next_user"), &[]);
    let (catalogue, next, found) = tokio::try_join!(catalogue, next, first_round(session, keys))?;
    let (kinds, merchants) = catalogue;
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
        ..Facts::default()
    };
    let wallets = sort_out(keys, &found, &mut facts)?;
    second_round(session, wallets, &mut facts).await?;
    Ok(facts)
}

async fn first_round(session: &Session, keys: &Keys) -> Result<Found, Fault> {
    let names: BTreeSet<&UserId> = keys.users.iter().chain(&keys.wallets).collect();
    let names: Vec<&str> = names.into_iter().map(UserId::as_str).collect();
    let events: Vec<EventKey> = keys
        .earnings
        .iter()
        .map(|(s, e)| EventKey::of(s, e))
        .collect();
    let states: Vec<&[u8]> = keys
        .link_states
        .iter()
        .map(|state| state.0.as_slice())
        .collect();
    let openids: Vec<&str> = keys.openids.iter().map(OpenId::expose).collect();
    let references: Vec<&str> = keys.references.iter().map(|name| name.as_str()).collect();
    let scopes: Vec<&str> = keys
        .idempotency
        .iter()
        .map(|key| key.scope.as_str())
        .collect();
    let own_keys: Vec<&str> = keys
        .idempotency
        .iter()
        .map(|key| key.key.as_str())
        .collect();
    let payouts: Vec<String> = keys.payouts.iter().map(ToString::to_string).collect();
    let mchids: Vec<&str> = keys
        .bill_lines
        .iter()
        .map(|(mchid, _)| mchid.as_str())
        .collect();
    let flows: Vec<&str> = keys
        .bill_lines
        .iter()
        .map(|(_, flow)| flow.as_str())
        .collect();
    let subjects: Vec<&str> = payouts
        .iter()
        .map(String::as_str)
        .chain(flows.iter().copied())
        .collect();
    // Each has its values in a future of its own, so that all can be under way at once.
    let users = async { some(session, &names, sql!("users_by_id"), &[&names]).await };
    let events = async { some(session, &events, sql!("events"), &[&events]).await };
    let states = async { some(session, &states, sql!("link_states"), &[&states]).await };
    let holders = async { some(session, &openids, sql!("holders"), &[&openids]).await };
    let used = async {
        some(
            session,
            &references,
            sql!("references_used"),
            &[&references],
        )
        .await
    };
    let answers = async { some(session, &scopes, sql!("answers"), &[&scopes, &own_keys]).await };
    let named = async { some(session, &payouts, sql!("payouts_by_name"), &[&payouts]).await };
    let breaks = async { some(session, &subjects, sql!("open_breaks"), &[&subjects]).await };
    let lines = async {
        some(
            session,
            &flows,
            sql!("bill_lines_known"),
            &[&mchids, &flows],
        )
        .await
    };
    let (users, events, link_states, holders, references) =
        tokio::try_join!(users, events, states, holders, used)?;
    let (answers, payouts, open_breaks, bill_lines) =
        tokio::try_join!(answers, named, breaks, lines)?;
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
        .map(|openid| (openid.clone(), None))
        .collect();
    for row in &found.holders {
        let openid = id(text(row, 0)?, OpenId::parse, "links.openid")?;
        facts.holders.insert(openid, Some(UserNo(get(row, 1)?)));
    }
    let used: BTreeSet<&str> = found
        .references
        .iter()
        .map(|row| text(row, 0))
        .collect::<Result<_, _>>()?;
    let known = |name: &lingqian_core::id::Reference| (name.clone(), used.contains(name.as_str()));
    facts.references = keys.references.iter().map(known).collect();
    facts.answers = keys
        .idempotency
        .iter()
        .map(|key| (key.clone(), None))
        .collect();
    for row in &found.answers {
        let key = lingqian_core::command::IdempotencyKey {
            scope: get(row, 0)?,
            key: get(row, 1)?,
        };
        let answer = RememberedAnswer {
            digest: digest(row.get(2), "idempotency.digest")?,
            payout: payout_id(text(row, 3)?)?,
            amount: fen(row, 4)?,
            created_at: moment(row, 5)?,
        };
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

/// The wallets that the first round asks for.
async fn second_round(session: &Session, wanted: Wanted, facts: &mut Facts) -> Result<(), Fault> {
    if wanted.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = wanted.keys().map(|user| user.0).collect();
    let (wallets, users) = wallets(session, &numbers, &wanted).await?;
    for user in users {
        facts.users.insert(user.id.clone(), Some(user));
    }
    let payouts = facts.payouts.values().flatten();
    let mut owners = payouts.map(|payout| payout.user);
    if owners.any(|owner| !wallets.contains_key(&owner)) {
        return Err(damaged("payouts.user_no"));
    }
    facts.wallets = wallets;
    Ok(())
}

/// Wallets by the numbers of their users, and the users.
async fn wallets(
    session: &Session,
    numbers: &[i64],
    wanted: &Wanted,
) -> Result<(BTreeMap<UserNo, Wallet>, Vec<User>), Fault> {
    let days = wanted
        .iter()
        .flat_map(|(user, days)| days.iter().map(|day| (user.0, day.0)));
    let (day_users, day_numbers): (Vec<i64>, Vec<i32>) = days.unzip();
    let (users, links, accounts, days) = tokio::try_join!(
        async { session.rows(sql!("users_by_no"), &[&numbers]).await },
        async { session.rows(sql!("links"), &[&numbers]).await },
        async { session.rows(sql!("accounts"), &[&numbers]).await },
        async {
            session
                .rows(sql!("days"), &[&day_users, &day_numbers])
                .await
        },
    )?;
    let users: Vec<User> = users.iter().map(user).collect::<Result<_, _>>()?;
    let new = |user: &User| (user.no, Wallet::new(user.clone()));
    let mut wallets: BTreeMap<UserNo, Wallet> = users.iter().map(new).collect();
    let missing = || damaged("users, a row that others name,");
    for row in &links {
        let link = link(row)?;
        let wallet = wallets.get_mut(&link.user).ok_or_else(missing)?;
        wallet.link = Some(link);
    }
    for row in &accounts {
        let wallet = wallets.get_mut(&UserNo(get(row, 0)?)).ok_or_else(missing)?;
        let micros = |place| Ok(Micros(get::<Option<i64>>(row, place)?.unwrap_or(0)));
        (wallet.available, wallet.held) = (micros(1)?, micros(2)?);
    }
    for row in &days {
        let wallet = wallets.get_mut(&UserNo(get(row, 0)?)).ok_or_else(missing)?;
        let totals = DayTotals {
            count: number(row, 2)?,
            amount: fen(row, 3)?,
        };
        wallet.days.insert(day(row, 1)?, totals);
    }
    Ok((wallets, users))
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
    let (mut wallets, _) = wallets(session, &[no.0], &wanted).await?;
    Ok(wallets.remove(&no))
}

fn user(row: &Row) -> Result<User, Fault> {
    Ok(User {
        no: UserNo(get(row, 0)?),
        id: id(text(row, 1)?, UserId::parse, "users.user_id")?,
        created_at: moment(row, 2)?,
        frozen: get(row, 3)?,
        name: get::<Option<Vec<u8>>>(row, 4)?.map(Sealed),
    })
}

fn link(row: &Row) -> Result<Link, Fault> {
    let person = |text: &str| id(text, OpenId::parse, "links.openid");
    let unionid: Option<String> = get(row, 3)?;
    Ok(Link {
        user: UserNo(get(row, 0)?),
        app: id(text(row, 1)?, AppId::parse, "links.app")?,
        openid: person(text(row, 2)?)?,
        unionid: unionid.as_deref().map(person).transpose()?,
        scope: get(row, 4)?,
        tokens: Sealed(get(row, 5)?),
        linked_at: moment(row, 6)?,
    })
}

fn state(row: &Row) -> Result<LinkState, Fault> {
    Ok(LinkState {
        digest: StateDigest(digest(&get::<Vec<u8>>(row, 0)?, "link_states.digest")?),
        user: UserNo(get(row, 1)?),
        app: id(text(row, 2)?, AppId::parse, "link_states.app")?,
        expires_at: moment(row, 3)?,
        used_at: moment_maybe(row, 4)?,
    })
}

/// A credited event; its key comes first and is not needed here.
fn earning(row: &Row) -> Result<Earning, Fault> {
    Ok(Earning {
        source: id(text(row, 1)?, Source::parse, "entries.source")?,
        event_id: id(text(row, 2)?, EventId::parse, "entries.event_id")?,
        user: UserNo(get(row, 3)?),
        kind: KindNo(get(row, 4)?),
        amount: Micros(get(row, 5)?),
        occurred_at: moment_maybe(row, 6)?,
        recorded_at: moment(row, 7)?,
    })
}

/// A break from its six columns.
pub(crate) fn broken(row: &Row) -> Result<Break, Fault> {
    Ok(Break {
        subject: get(row, 0)?,
        kind: BreakKind::from_code(text(row, 1)?).ok_or_else(|| damaged("breaks.kind"))?,
        date: day(row, 2)?,
        difference: fen(row, 3)?,
        opened_at: moment(row, 4)?,
        closed_at: moment_maybe(row, 5)?,
    })
}

async fn kinds(session: &Session) -> Result<Vec<Kind>, Fault> {
    let rows = session.rows(sql!("kinds"), &[]).await?;
    let kind = |row: &Row| {
        Ok(Kind {
            no: KindNo(get(row, 0)?),
            code: id(text(row, 1)?, KindCode::parse, "kinds.code")?,
            price: get::<Option<i64>>(row, 2)?.map(Micros),
            amount_max: Micros(get(row, 3)?),
            tax_class: get(row, 4)?,
        })
    };
    rows.iter().map(kind).collect()
}

/// All merchants.
pub(crate) async fn merchants(session: &Session) -> Result<Vec<Merchant>, Fault> {
    let rows = session.rows(sql!("merchants"), &[]).await?;
    let merchant = |row: &Row| {
        Ok(Merchant {
            no: MerchantNo(get(row, 0)?),
            mchid: id(text(row, 1)?, MchId::parse, "merchants.mchid")?,
            app: id(text(row, 2)?, AppId::parse, "merchants.app")?,
            scene: get(row, 3)?,
            scene_report: report(text(row, 4)?)?,
            remark: get(row, 5)?,
        })
    };
    rows.iter().map(merchant).collect()
}
