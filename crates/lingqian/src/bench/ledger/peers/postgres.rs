//! Ledgers over PostgreSQL by hand: a transaction for each event, with the row of a kind that
//! everybody waits for and without it; double entry in functions, one by one and many at once; and
//! the bare statement for a set.

use anyhow::Context as _;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::{Ours, Sent, events, expected, row};
use crate::bench::load::{Load, SOURCE, kinds};
use crate::bench::machine::Meter;
use crate::bench::options::LedgerOptions;
use crate::bench::server;
use crate::bench::sheet::Sheet;

/// A query of the bench's folder.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../sql/peers/", $name, ".sql"))
    };
}

/// How a ledger is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A transaction for each event; each adds to the row of its kind.
    HotRow,
    /// A transaction for each event.
    Rows,
    /// A call of a function for each event.
    Functions,
    /// A call of a function for so many events.
    ManyInFunctions,
    /// A statement for so many events.
    Set,
}

/// Each with its name, events at once, connections, and events that are sent at most.
const WAYS: [(Way, &str, u64, usize, u64); 5] = [
    (Way::HotRow, "rows, one of a kind hot", 1, 8, 10_000),
    (Way::Rows, "rows", 1, 8, 10_000),
    (Way::Functions, "double entry in functions", 1, 8, 10_000),
    (
        Way::ManyInFunctions,
        "double entry in functions",
        1_000,
        2,
        100_000,
    ),
    (Way::Set, "one bare statement", 1_000, 1, 400_000),
];

/// What is said of a server that does not sync.
const NOT_DURABLE: &str = "NO: fsync or synchronous_commit is off, so compare these with nothing";

/// Measures all ways on that server and writes down how they compare with the books.
///
/// # Errors
/// When the server fails or the sums are wrong.
pub(crate) async fn beside(
    sheet: &mut Sheet,
    url: &str,
    (options, load): (&LedgerOptions, &Load),
    ours: Ours,
) -> anyhow::Result<()> {
    let client = server::connect(url).await?;
    let durable = says(&client, sql!("durable")).await?;
    anyhow::ensure!(
        !says(&client, sql!("exists")).await?,
        "the database of --beside-postgres has the schema lingqian_bench_peers of an earlier run; \
         drop it"
    );
    client.batch_execute(sql!("schema")).await?;
    let measured = measure(url, &client, (options, load), ours).await;
    client.batch_execute(sql!("drop")).await?;
    sheet
        .section("postgresql_by_hand")
        .put("durable", if durable { "yes" } else { NOT_DURABLE })
        .put("ledgers", Value::Array(measured?));
    Ok(())
}

/// What a question is answered with yes or no.
async fn says(client: &Client, query: &str) -> anyhow::Result<bool> {
    Ok(client.query_one(query, &[]).await?.get(0))
}

async fn measure(
    url: &str,
    client: &Client,
    (options, load): (&LedgerOptions, &Load),
    ours: Ours,
) -> anyhow::Result<Vec<Value>> {
    let process = server::process(client).await;
    let users = i64::from(load.users());
    let kinds: Vec<&str> = kinds().collect();
    let mut rows = Vec::new();
    for (way, name, at_once, connections, most) in WAYS {
        client.batch_execute(sql!("empty")).await?;
        match way {
            Way::Functions | Way::ManyInFunctions => {
                client
                    .execute(sql!("open_accounts"), &[&users, &kinds])
                    .await?;
            }
            Way::HotRow | Way::Rows | Way::Set => {
                client.execute(sql!("open_balances"), &[&users]).await?;
                client.execute(sql!("open_kinds"), &[&kinds]).await?;
            }
        }
        client.batch_execute("ANALYZE").await?;
        let sent = events(load, options, most.min(options.entries));
        let (count, sum) = expected(&sent);
        let (booked, meter) = run(url, (way, at_once, connections), sent, process)
            .await
            .with_context(|| format!("the ledger by hand: {name}"))?;
        let found = client.query_one(sql!("sums"), &[]).await?;
        let found: (i64, i64, i64, i64) = (found.get(0), found.get(1), found.get(2), found.get(3));
        let double = matches!(way, Way::Functions | Way::ManyInFunctions);
        let all = if double { 0 } else { found.2 };
        let right = (i64::try_from(count)?, sum, all, 0);
        anyhow::ensure!(
            found == right && booked == count,
            "{name}: found {found:?} and {booked} booked, expected {right:?} and {count}"
        );
        rows.push(row(name, (at_once, connections), (booked, &meter), ours));
    }
    Ok(rows)
}

/// Sends everything over so many connections.
async fn run(
    url: &str,
    (way, at_once, connections): (Way, u64, usize),
    sent: Vec<Sent>,
    process: Option<u32>,
) -> anyhow::Result<(u64, Meter)> {
    let chunks: Vec<Vec<Sent>> = sent
        .chunks(usize::try_from(at_once)?)
        .map(<[Sent]>::to_vec)
        .collect();
    let mut shares = vec![Vec::new(); connections];
    for (place, chunk) in chunks.into_iter().enumerate() {
        shares[place % connections].push(chunk);
    }
    let mut lines = Vec::new();
    for share in shares {
        let client = server::connect(url).await?;
        let search = "SET search_path = lingqian_bench_peers; SET synchronous_commit = on";
        client.batch_execute(search).await?;
        lines.push((Line::new(client, way).await?, share));
    }
    let mut meter = Meter::along_family(process);
    let mut sending = JoinSet::new();
    meter.start();
    for (mut line, share) in lines {
        sending.spawn(async move {
            let mut booked = 0;
            for chunk in &share {
                booked += line.book(chunk).await?;
            }
            anyhow::Ok(booked)
        });
    }
    let mut booked = 0;
    while let Some(sent) = sending.join_next().await {
        booked += sent.context("a connection panicked")??;
    }
    meter.stop();
    Ok((booked, meter))
}

/// A connection with its prepared statements.
struct Line {
    client: Client,
    way: Way,
    statements: Vec<Statement>,
}

impl Line {
    async fn new(client: Client, way: Way) -> anyhow::Result<Line> {
        let queries: &[&str] = match way {
            Way::HotRow | Way::Rows => &[
                sql!("insert_event"),
                sql!("add_to_balance"),
                sql!("add_to_kind"),
            ],
            Way::Functions => &[sql!("book")],
            Way::ManyInFunctions => &[sql!("book_many")],
            Way::Set => &[sql!("insert_set")],
        };
        let mut statements = Vec::new();
        for query in queries {
            statements.push(client.prepare(query).await?);
        }
        Ok(Line {
            client,
            way,
            statements,
        })
    }

    /// Books some events; tells how many were new.
    async fn book(&mut self, events: &[Sent]) -> anyhow::Result<u64> {
        match self.way {
            Way::HotRow | Way::Rows => self.by_rows(events).await,
            Way::Functions => self.by_functions(events).await,
            Way::ManyInFunctions => self.many(events).await,
            Way::Set => self.set(events).await,
        }
    }

    async fn by_rows(&mut self, events: &[Sent]) -> anyhow::Result<u64> {
        let mut booked = 0;
        let change = self.client.transaction().await?;
        for event in events {
            let Sent {
                id,
                user,
                kind,
                micros,
                at,
                ..
            } = event;
            let values: [&(dyn ToSql + Sync); 6] = [&SOURCE, id, user, kind, micros, at];
            if change.execute(&self.statements[0], &values).await? == 0 {
                continue;
            }
            booked += 1;
            let values: [&(dyn ToSql + Sync); 2] = [user, micros];
            change.execute(&self.statements[1], &values).await?;
            if self.way == Way::HotRow {
                let values: [&(dyn ToSql + Sync); 2] = [kind, micros];
                change.execute(&self.statements[2], &values).await?;
            }
        }
        change.commit().await?;
        Ok(booked)
    }

    async fn by_functions(&mut self, events: &[Sent]) -> anyhow::Result<u64> {
        let mut booked = 0;
        for event in events {
            let giver = format!("funding:{}", event.kind);
            let values: [&(dyn ToSql + Sync); 5] =
                [&SOURCE, &event.id, &giver, &event.user, &event.micros];
            let row = self.client.query_one(&self.statements[0], &values).await?;
            booked += u64::from(row.get::<_, bool>(0));
        }
        Ok(booked)
    }

    async fn many(&mut self, events: &[Sent]) -> anyhow::Result<u64> {
        let Columns {
            sources,
            ids,
            users,
            kinds,
            amounts,
            ..
        } = Columns::of(events);
        let givers: Vec<String> = kinds.iter().map(|kind| format!("funding:{kind}")).collect();
        let values: [&(dyn ToSql + Sync); 5] = [&sources, &ids, &givers, &users, &amounts];
        let row = self.client.query_one(&self.statements[0], &values).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }

    async fn set(&mut self, events: &[Sent]) -> anyhow::Result<u64> {
        let Columns {
            sources,
            ids,
            users,
            kinds,
            amounts,
            times,
        } = Columns::of(events);
        let values: [&(dyn ToSql + Sync); 6] = [&sources, &ids, &users, &kinds, &amounts, &times];
        let row = self.client.query_one(&self.statements[0], &values).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }
}

/// Events as columns.
struct Columns<'a> {
    sources: Vec<&'static str>,
    ids: Vec<&'a str>,
    users: Vec<&'a str>,
    kinds: Vec<&'static str>,
    amounts: Vec<i64>,
    times: Vec<Option<i64>>,
}

impl Columns<'_> {
    fn of(events: &[Sent]) -> Columns<'_> {
        Columns {
            sources: vec![SOURCE; events.len()],
            ids: events.iter().map(|event| event.id.as_str()).collect(),
            users: events.iter().map(|event| event.user.as_str()).collect(),
            kinds: events.iter().map(|event| event.kind).collect(),
            amounts: events.iter().map(|event| event.micros).collect(),
            times: events.iter().map(|event| event.at).collect(),
        }
    }
}
