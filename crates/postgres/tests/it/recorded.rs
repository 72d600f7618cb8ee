//! Old programs beside new ones: what a program of an earlier schema says to the database is
//! recorded, and must go on to work after every later migration.
//!
//! `recorded/NNNN.sql` has each statement of programs that know `NNNN` migrations, with arguments
//! from `recorded/life.txt` where it writes. A record only grows: while a migration is the newest,
//! a query that changes is added to what was said before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lingqian_io::Browse as _;
use lingqian_io::store::PayoutFilter;
use lingqian_postgres::PostgresStore;
use tokio_postgres::Client;

use crate::world::{connect, database};

/// The first schema whose programs were recorded.
const FIRST: i32 = 3;

/// What is said before or beside the tables: it makes them, or locks without touching them.
const BESIDE: [&str; 7] = [
    "lock_alone",
    "lock_schema",
    "lock_together",
    "migrations",
    "note_migration",
    "open_schema",
    "question_shape",
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How many migrations there are.
fn known() -> i32 {
    let files = fs::read_dir(here("migrations")).expect("a folder");
    i32::try_from(files.count()).expect("a few")
}

fn record_of(level: i32) -> String {
    format!("recorded/{level:04}.sql")
}

/// A statement as it was said, and what it is run with.
#[derive(Clone, PartialEq, Eq)]
struct Said {
    name: String,
    text: String,
}

/// The statements of today, in the order of a life, whatever only reads after that.
fn today() -> Vec<Said> {
    let life = arguments();
    let mut all: Vec<Said> = Vec::new();
    for entry in fs::read_dir(here("queries")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.expect("a plain name").to_owned();
        if BESIDE.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a query");
        let text = text.trim().to_owned();
        let writes = ["INSERT", "UPDATE ", "DELETE", "COPY"].iter();
        let mut writes =
            writes.filter(|word| text.starts_with(**word) || text.contains("AS (DELETE"));
        assert!(
            writes.next().is_none() || life.iter().any(|(known, _)| *known == name),
            "queries/{name}.sql writes: say in recorded/life.txt what it is run with"
        );
        all.push(Said { name, text });
    }
    let place = |said: &Said| {
        let place = life.iter().position(|(name, _)| *name == said.name);
        (place.unwrap_or(usize::MAX), said.name.clone())
    };
    all.sort_by_key(place);
    all
}

/// What the life says, by name and in its order.
fn arguments() -> Vec<(String, String)> {
    let text = read("recorded/life.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, arguments) = line.split_once(':').expect("a name and a colon");
        (name.to_owned(), arguments.trim().to_owned())
    };
    lines.map(pair).collect()
}

/// A statement as SQL that stands by itself. What is copied in is inserted instead.
fn block(said: &Said, life: &[(String, String)]) -> String {
    let Said { name, text } = said;
    let own = life.iter().filter(|(known, _)| known == name);
    let mut given: Vec<&str> = own.map(|(_, arguments)| arguments.as_str()).collect();
    let highest = (1..99).rev().find(|no| text.contains(&format!("${no}")));
    let nothing = vec!["NULL"; highest.unwrap_or(0)].join(", ");
    if given.is_empty() {
        given.push(&nothing);
    }
    let mut sql = format!("-- {name}\n");
    if let Some(columns) = text.strip_prefix("COPY ") {
        let (columns, _) = columns.split_once(" FROM STDIN").expect("copied in");
        for arguments in given {
            sql.push_str(&format!("INSERT INTO {columns} VALUES ({arguments});\n"));
        }
        return sql;
    }
    sql.push_str(&format!("PREPARE one AS {text};\n"));
    for arguments in given {
        let list = match arguments {
            "" => String::new(),
            some => format!(" ({some})"),
        };
        sql.push_str(&format!("EXECUTE one{list};\n"));
    }
    sql.push_str("DEALLOCATE one;\n");
    sql
}

/// The blocks of a record with their names.
fn blocks(record: &str) -> Vec<(String, String)> {
    let parts = record.split("\n-- ").filter(|part| !part.trim().is_empty());
    let pair = |part: &str| {
        let part = part.strip_prefix("-- ").unwrap_or(part).trim_end();
        let (name, _) = part.split_once('\n').expect("a name and what it says");
        (name.to_owned(), format!("-- {part}\n"))
    };
    parts.map(pair).collect()
}

#[test]
fn everything_that_this_program_says_is_recorded() {
    let path = record_of(known());
    let life = arguments();
    let recorded = fs::read_to_string(here(&path)).unwrap_or_default();
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order: Vec<String> = today().into_iter().map(|said| said.name).collect();
    for (name, block) in blocks(&recorded) {
        if !order.contains(&name) {
            order.push(name.clone());
        }
        kept.entry(name).or_default().push(block);
    }
    let mut missing = Vec::new();
    for said in today() {
        let own = kept.entry(said.name.clone()).or_default();
        let new = block(&said, &life);
        if !own.contains(&new) {
            own.push(new);
            missing.push(said.name);
        }
    }
    if missing.is_empty() {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_EXPECT").is_some(),
        "{path} does not have {missing:?} as it is said today; a program that runs like this must \
         go on to work after the next migration, so write it down: \
         UPDATE_EXPECT=1 cargo test -p lingqian-postgres recorded"
    );
    let all = order.iter().filter_map(|name| kept.get(name));
    let all: Vec<&str> = all.flatten().map(String::as_str).collect();
    fs::write(here(&path), all.join("\n")).expect("written");
}

/// Says everything that is recorded of a schema, and tells what does not work.
async fn trouble(books: &Client, level: i32) -> Option<String> {
    let path = record_of(level);
    let all = blocks(&read(&path));
    assert!(all.len() > 80, "{path} has {} statements", all.len());
    books.batch_execute("BEGIN").await.expect("begun");
    for (place, (name, block)) in all.iter().enumerate() {
        let again = all.get(place + 1).is_some_and(|next| next.0 == *name);
        books.batch_execute("SAVEPOINT said").await.expect("saved");
        if let Err(error) = books.batch_execute(block).await {
            let said = error.as_db_error().map(ToString::to_string);
            let end = "ROLLBACK";
            books.batch_execute(end).await.expect("taken back");
            return Some(format!("{name} ({path}): {}", said.unwrap_or_default()));
        }
        // Of what was said in several ways the last counts.
        let end = if again {
            "ROLLBACK TO said"
        } else {
            "RELEASE said"
        };
        books.batch_execute(end).await.expect("ended");
    }
    books.batch_execute("COMMIT").await.expect("committed");
    None
}

#[tokio::test]
async fn what_programs_of_earlier_schemas_say_works_on_the_newest() {
    for level in FIRST..=known() {
        let url = database().await;
        drop(PostgresStore::open(&url).await.expect("it is migrated"));
        let books = connect(&url).await;
        let needs = "SELECT max(needs) FROM migrations";
        let needs: i32 = books.query_one(needs, &[]).await.expect("a row").get(0);
        if level < needs {
            continue;
        }
        if let Some(words) = trouble(&books, level).await {
            panic!(
                "what programs of schema {level} say does not work after migration {}: {words}. \
                 Add first and take away later, or raise what it needs once no such program can \
                 run any more",
                known()
            );
        }
        is_understood(&url).await;
    }
}

#[tokio::test]
async fn a_migration_that_would_break_programs_that_run_is_noticed() {
    for (migration, statement) in [
        (
            "ALTER TABLE users ADD COLUMN region text NOT NULL",
            "upsert_users",
        ),
        (
            "ALTER TABLE idempotency DROP COLUMN digest",
            "insert_answers",
        ),
        (
            "ALTER TABLE work RENAME COLUMN due_at TO due",
            "upsert_work",
        ),
        (
            "ALTER TABLE entries ADD CHECK (cause <> 'earn' OR event_kind IS NOT NULL)",
            "copy_entries",
        ),
    ] {
        let url = database().await;
        drop(PostgresStore::open(&url).await.expect("it is migrated"));
        let books = connect(&url).await;
        books.batch_execute(migration).await.expect(migration);
        let words = trouble(&books, known()).await.expect(migration);
        assert!(words.starts_with(statement), "{migration}: {words}");
    }
}

/// Expects that the program of today reads what an old one wrote.
async fn is_understood(url: &str) {
    let store = PostgresStore::open(url).await.expect("it opens");
    let summary = store.summary().await.expect("a summary");
    assert_eq!((summary.users.0, summary.earned.0), (2, 1));
    let filter = PayoutFilter {
        limit: 9,
        ..PayoutFilter::default()
    };
    let payouts = store.payouts(filter).await.expect("payouts");
    assert_eq!(payouts.len(), 1);
    let story = store.payout(payouts[0].payout.id).await.expect("a look");
    assert_eq!(story.expect("a story").entries.len(), 1);
    assert_eq!(store.merchants().await.expect("merchants").len(), 1);
    assert_eq!(store.reconciled().await.expect("bills").0.len(), 1);
}

#[tokio::test]
async fn no_migration_stops_programs_that_know_all_but_itself() {
    let url = database().await;
    drop(PostgresStore::open(&url).await.expect("it is migrated"));
    let noted = "SELECT number, name, needs FROM migrations WHERE number > $1 AND needs >= number";
    let stops = connect(&url).await.query(noted, &[&FIRST]).await;
    let stops = stops.expect("rows");
    let names: Vec<&str> = stops.iter().map(|row| row.get(1)).collect();
    assert!(
        names.is_empty(),
        "{names:?}: processes that run while these are applied would stop; add first, take away \
         with a later migration"
    );
}
