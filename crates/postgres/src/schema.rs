//! The schema brought up to date, by whichever process comes first; and old programs beside new
//! ones.
//!
//! Migrations add. Each says how much a program must know to work with the tables as they are
//! afterwards; one that knows less refuses to start, to connect and to commit, in words. What
//! programs of earlier schemas say is recorded, and tests hold every later migration against it:
//! the crate's README says how a change is made in steps.

use deadpool_postgres::ClientWrapper;
use lingqian_io::Fault;
use tokio_postgres::Client;

use crate::address::{Address, CREATE_WAIT};
use crate::fault::{fault, silence};
use crate::sql;

/// A step of the schema. What is here never changes; changes are new steps.
struct Migration {
    name: &'static str,
    sql: &'static str,
    /// Programs that know fewer migrations than this cannot work once it is applied.
    needs: i32,
}

const MIGRATIONS: [Migration; 9] = [
    Migration {
        name: "0001_books",
        sql: include_str!("../migrations/0001_books.sql"),
        needs: 1,
    },
    // Who does not know of a second attempt would read the first one for it.
    Migration {
        name: "0002_attempts_and_stops",
        sql: include_str!("../migrations/0002_attempts_and_stops.sql"),
        needs: 2,
    },
    // It only adds what people read.
    Migration {
        name: "0003_views",
        sql: include_str!("../migrations/0003_views.sql"),
        needs: 2,
    },
    // Who does not know of notices would change payouts and tell nobody.
    Migration {
        name: "0004_outbox",
        sql: include_str!("../migrations/0004_outbox.sql"),
        needs: 4,
    },
    // The database keeps them, whoever writes.
    Migration {
        name: "0005_state_totals",
        sql: include_str!("../migrations/0005_state_totals.sql"),
        needs: 4,
    },
    // Who does not know of letters neither ends them nor reads sources, and who knows one link of a
    // user goes on with the table that it knows.
    Migration {
        name: "0006_letters_and_links",
        sql: include_str!("../migrations/0006_letters_and_links.sql"),
        needs: 4,
    },
    // Who does not know of alerts tells nobody of anything.
    Migration {
        name: "0007_alerts_and_messages",
        sql: include_str!("../migrations/0007_alerts_and_messages.sql"),
        needs: 4,
    },
    // Who does not know of leases publishes what another one publishes, too: at least once.
    Migration {
        name: "0008_sink_leases",
        sql: include_str!("../migrations/0008_sink_leases.sql"),
        needs: 4,
    },
    // Who does not know of seats can neither send an order that has one nor report of it: the
    // canonical text says it, and is not changed.
    Migration {
        name: "0009_seats",
        sql: include_str!("../migrations/0009_seats.sql"),
        needs: 4,
    },
];

/// How many migrations this program knows.
const KNOWN: i32 = MIGRATIONS.len() as i32;

/// Whoever migrates holds this lock; the number means nothing but "Lingqian's schema".
const LOCK: i64 = 0x6c69_6e67_7169_616e;

/// Brings the schema up to date. Processes that start at once wait for each other.
pub(crate) async fn migrate(address: &Address) -> Result<(), Fault> {
    let tls = address.tls.clone();
    let connecting = address.config.connect(tls);
    let connected = tokio::time::timeout(CREATE_WAIT, connecting).await;
    let (client, connection) = connected.map_err(|_| silence())?.map_err(fault)?;
    let served = tokio::spawn(connection);
    let done = migrate_with(&client).await;
    drop(client);
    served.abort();
    done
}

async fn migrate_with(client: &Client) -> Result<(), Fault> {
    let encoding = client
        .query_one("SHOW server_encoding", &[])
        .await
        .map_err(fault)?;
    if encoding.get::<_, &str>(0) != "UTF8" {
        return Err(Fault::Broken(
            "the database must be made with ENCODING 'UTF8'".into(),
        ));
    }
    // Without the words of the server in between: a second process finds everything there.
    client
        .batch_execute("SET client_min_messages = warning; BEGIN")
        .await
        .map_err(fault)?;
    client
        .execute(sql!("lock_schema"), &[&LOCK])
        .await
        .map_err(fault)?;
    client
        .batch_execute(sql!("open_schema"))
        .await
        .map_err(fault)?;
    let noted = client.query(sql!("migrations"), &[]).await.map_err(fault)?;
    let newest = noted.last().map_or(0, |row| row.get::<_, i32>(0));
    for row in &noted {
        let (number, words): (i32, &str) = (row.get(0), row.get(3));
        let ours = usize::try_from(number - 1)
            .ok()
            .and_then(|place| MIGRATIONS.get(place));
        if let Some(ours) = ours
            && ours.sql != words
        {
            return Err(Fault::Broken(format!(
                "the database was made with another migration {} than this program's",
                ours.name
            )));
        }
    }
    refuse(
        newest,
        noted.iter().map(|row| row.get(2)).max().unwrap_or(0),
    )?;
    for (number, migration) in (1..)
        .zip(&MIGRATIONS)
        .filter(|(number, _)| *number > newest)
    {
        client.batch_execute(migration.sql).await.map_err(fault)?;
        let values: crate::pool::Values<'_> =
            &[&number, &migration.name, &migration.needs, &migration.sql];
        client
            .execute(sql!("note_migration"), values)
            .await
            .map_err(fault)?;
    }
    client.batch_execute("COMMIT").await.map_err(fault)
}

/// Whether the tables have gone where this program cannot follow.
pub(crate) async fn refuse_newer(client: &ClientWrapper) -> Result<(), Fault> {
    let found = client.query_one(sql!("needs"), &[]).await.map_err(fault)?;
    refuse(found.get(0), found.get(1))
}

/// Whether tables of so many migrations need a program that knows more than this one.
///
/// # Errors
/// [`Fault::Newer`] when they do.
pub(crate) fn refuse(newest: i32, needs: i32) -> Result<(), Fault> {
    if needs <= KNOWN {
        return Ok(());
    }
    Err(Fault::Newer(format!(
        "the database has schema {newest}, which needs a program that knows schema {needs}; this \
         one knows up to {KNOWN}: use a newer program"
    )))
}
