//! Books that are moved to another store arrive whole, though whoever moves them is killed.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use lingqian_core::earning::Credited;
use lingqian_core::id::UserNo;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::{EventBatch, EventView};
use lingqian_io::read_out::Part;
use lingqian_io::{Browse, Store};
use lingqian_postgres::PostgresStore;
use lingqian_sqlite::{Options, SqliteStore};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{independent_audit, json, lingqian, run};
use crate::server::Server;

/// Good lines of the import, and lines that are kept as dead letters.
const LINES: usize = 20_000;
const BAD_LINES: usize = 30;

/// An installation with a whole life in it, and a file of events that it has booked.
struct World {
    dir: TempDir,
    events: PathBuf,
}

impl World {
    fn start() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let events = dir.path().join("events.ndjson");
        let world = World { dir, events };
        let (data, mut text) = (world.path("data"), String::new());
        for number in 0..LINES {
            let user = number % 70;
            let _ = writeln!(
                text,
                r#"{{"source":"test","event_id":"e{number}","user":"c{user}","kind":"task_done","amount_fen":10}}"#
            );
        }
        for number in 0..BAD_LINES {
            let _ = writeln!(text, "{{\"bad\": {}}}", number % 7);
        }
        std::fs::write(&world.events, text).expect("written");
        let life = ["quickstart", "--exit", "--users", "60"];
        let life = [&life[..], &["--events-count", "3000", "--seed", "9"]].concat();
        assert!(run(&data, &life).status.success());
        world.import(&data);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn import(&self, data: &Path) -> Value {
        let file = self.events.to_str().expect("a plain path");
        json(data, &["import", file, "--register"])["counts"].clone()
    }

    /// Everything of an installation but its books.
    fn files_to(&self, name: &str) -> PathBuf {
        let target = self.path(name);
        copy_files(&self.path("data"), &target);
        target
    }
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for found in std::fs::read_dir(from).expect("a directory") {
        let found = found.expect("a name");
        let name = found.file_name();
        if found.path().is_dir() {
            copy_files(&found.path(), &to.join(name));
        } else if !name.to_string_lossy().starts_with("lingqian.db") {
            std::fs::copy(found.path(), to.join(name)).expect("copied");
        }
    }
}

/// How far a copy came by its own notes: the place of the part, or one more than there are.
fn came_to(notes: &str) -> usize {
    let names = Part::ALL.map(|part| format!("\"part\":\"{}\"", part.name()));
    let found = names.iter().position(|name| notes.contains(name));
    found.unwrap_or(Part::ALL.len())
}

/// Copies, and kills that when it has come to a part, once for each of these; then again to the
/// end. Tells what the last run said and how many were killed.
fn copy(notes: &Path, (from, to): (&str, &str), kills: &[(Part, u64)]) -> (Value, u32) {
    let arguments = ["copy", "--from", from, "--to", to, "--json"];
    let mut killed = 0;
    for (part, wait) in kills {
        let before = std::fs::read_to_string(notes).unwrap_or_default();
        let mut child = lingqian(Path::new("unused"), &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let wanted = Part::ALL.iter().position(|known| known == part);
        until_noted(notes, &before, wanted.expect("a part"));
        std::thread::sleep(Duration::from_millis(*wait));
        // What has just arrived is only said; it is let be.
        if notes.exists() {
            child.kill().expect("killed or gone");
        }
        let output = child.wait_with_output().expect("gone");
        if output.status.success() {
            return (
                serde_json::from_slice(&output.stdout).expect("JSON"),
                killed,
            );
        }
        killed += u32::from(output.status.signal() == Some(9));
    }
    let last = json(Path::new("unused"), &arguments[..5]);
    assert!(!notes.exists(), "a copy that arrived leaves nothing behind");
    (last, killed)
}

/// Waits until a copy has written a new note, and in it that it has come to some part; or until
/// there is nothing left to be noted.
fn until_noted(notes: &Path, before: &str, part: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < patience, "no note came");
        match std::fs::read_to_string(notes) {
            Ok(text) if text == before => {}
            Ok(text) if came_to(&text) >= part => return,
            Err(_) if !before.is_empty() => return,
            _ => {}
        }
        std::thread::yield_now();
    }
}

/// Every user's wallet and statement.
async fn same_people<F: Browse + Store, T: Browse + Store>(from: &F, to: &T) {
    let users = from.sweepable(Micros(0), UserNo(0), 10_000).await;
    let users = users.expect("a list");
    let others = to.sweepable(Micros(0), UserNo(0), 10_000).await;
    assert_eq!(Ok(&users), others.as_ref());
    assert!(users.len() > 100, "{}", users.len());
    let day = Timestamp(0).business_date();
    for (no, id) in users {
        assert_eq!(from.user(&id, day).await, to.user(&id, day).await);
        let ours = from.statement(no, None, 1_000).await;
        assert_eq!(ours, to.statement(no, None, 1_000).await);
    }
    let (ours, theirs) = (from.dead_letters(99).await, to.dead_letters(99).await);
    assert_eq!(ours, theirs);
    let (ours, theirs) = (from.audit().await, to.audit().await);
    assert_eq!(ours, theirs);
    assert_eq!(theirs.expect("reads").findings, []);
}

/// Parts in whose midst a copy is killed, and how long after each began, in milliseconds.
const KILLS: [(Part, u64); 6] = [
    (Part::Catalogue, 0),
    (Part::Users, 0),
    (Part::Payouts, 3),
    (Part::Entries, 20),
    (Part::Entries, 0),
    (Part::TakenBack, 0),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_to_another_directory_that_was_killed_again_and_again_arrives_whole() {
    let world = World::start();
    let (data, target) = (world.path("data"), world.files_to("moved"));
    let ends = (
        data.to_str().expect("plain"),
        target.to_str().expect("plain"),
    );
    let notes = data.join("lingqian.db.copy.json");
    let (last, killed) = copy(&notes, ends, &KILLS);
    assert!(killed >= 3, "only {killed} were killed in time");
    assert_eq!(
        (&last["alike"], &last["resumed"]),
        (&true.into(), &true.into())
    );
    for data in [&data, &target] {
        let audit = json(data, &["audit"]);
        assert_eq!(
            (&audit["sound"], &audit["entries"]),
            (&true.into(), &last["entries"])
        );
        independent_audit(data);
    }
    let from = SqliteStore::open(&data.join("lingqian.db")).expect("it opens");
    let to = SqliteStore::open(&target.join("lingqian.db")).expect("it opens");
    same_people(&from, &to).await;
    // One process at a time has books open for writing, and that was this one.
    drop((from, to));
    let again = world.import(&target);
    assert_eq!(
        (&again["credited"], &again["duplicates"]),
        (&0.into(), &LINES.into())
    );
    // Books that are used are nothing that a copy may touch.
    let refused = run(&data, &["copy", "--from", ends.0, "--to", ends.1]);
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("a copy needs an empty store"), "{words}");
}

#[test]
fn a_copy_that_is_not_whole_is_served_by_nobody() {
    let world = World::start();
    let (data, target) = (world.path("data"), world.files_to("half"));
    let ends = [&data, &target].map(|path| path.to_str().expect("plain"));
    let notes = data.join("lingqian.db.copy.json");
    let arguments = ["copy", "--from", ends[0], "--to", ends[1], "--json"];
    let mut child = lingqian(Path::new("unused"), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    until_noted(&notes, "", 1);
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(notes.exists(), "it was killed in time");
    let events = world.events.to_str().expect("plain");
    for refused in [
        run(&target, &["import", events]),
        run(&target, &["serve", "--listen", "127.0.0.1:0"]),
        run(
            &data,
            &["copy", "--from", ends[1], "--to", &format!("{}-2", ends[1])],
        ),
    ] {
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("copy_unfinished"), "{words}");
    }
    let (last, _) = copy(&notes, (ends[0], ends[1]), &[]);
    assert_eq!(
        (&last["alike"], &last["resumed"]),
        (&true.into(), &true.into())
    );
    let again = world.import(&target);
    assert_eq!(again["duplicates"], LINES);
}

/// Has the ids of books gather to a run, and changes one of its bits, as a disk may.
async fn damage_a_remembered_id(books: &Path) {
    let options = Options {
        recent_ids: 1_000,
        ..Options::default()
    };
    let store = SqliteStore::open_with(books, &options).expect("it opens");
    let mut events = EventBatch::default();
    let event = EventView {
        source: "test",
        event_id: "one-more",
        user: "c1",
        kind: "task_done",
        amount: Some(Micros(100_000)),
        occurred_at: None,
        from: None,
        reverses: None,
    };
    events.push(&event).expect("well formed");
    let answers = store
        .earn(Timestamp(1_790_000_000_000), events)
        .await
        .expect("booked");
    assert!(matches!(answers[..], [Ok(Credited::Now(_))]));
    drop(store);
    let books = rusqlite::Connection::open(books).expect("it opens");
    let bucket = "SELECT slot, ids FROM id_buckets LIMIT 1";
    let bucket = books.query_row(bucket, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (slot, mut ids): (i64, Vec<u8>) = bucket.expect("a run");
    ids[7] ^= 1;
    let update = "UPDATE id_buckets SET ids = ?2 WHERE slot = ?1";
    assert_eq!(books.execute(update, rusqlite::params![slot, ids]), Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_damaged_is_seen_and_a_copy_makes_it_anew() {
    let world = World::start();
    let (data, target) = (world.path("data"), world.files_to("mended"));
    damage_a_remembered_id(&data.join("lingqian.db")).await;
    let audit = run(&data, &["audit", "--json"]);
    assert_eq!(audit.status.code(), Some(3));
    let told = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(told.contains("names_are_remembered"), "{told}");
    let ends = [&data, &target].map(|path| path.to_str().expect("plain"));
    let copied = json(&data, &["copy", "--from", ends[0], "--to", ends[1]]);
    assert_eq!(copied["alike"], true, "{copied:#}");
    let made_anew = copied["made_anew"].as_array().map_or(0, Vec::len);
    assert!(made_anew >= 2, "{copied:#}");
    assert_eq!(json(&target, &["audit"])["sound"], true);
    let again = world.import(&target);
    assert_eq!(
        (&again["credited"], &again["duplicates"]),
        (&0.into(), &LINES.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_to_postgresql_and_back_arrives_whole() {
    let world = World::start();
    let server = Server::start();
    let (data, url) = (world.path("data"), server.url());
    let ends = (data.to_str().expect("plain"), url.as_str());
    let notes = data.join("lingqian.db.copy.json");
    let (last, killed) = copy(&notes, ends, &KILLS);
    assert!(killed >= 3, "only {killed} were killed in time");
    assert_eq!(last["alike"], true, "{last:#}");
    let from = SqliteStore::open(&data.join("lingqian.db")).expect("it opens");
    let to = PostgresStore::open(&url).await.expect("it opens");
    same_people(&from, &to).await;
    let back = world.path("back.db");
    let notes = world.path("back.db.copy.json");
    let ends = (url.as_str(), back.to_str().expect("plain"));
    let (last, killed) = copy(&notes, ends, &KILLS);
    assert!(killed >= 3, "only {killed} were killed in time");
    assert_eq!(last["alike"], true, "{last:#}");
    let back = SqliteStore::open(&back).expect("it opens");
    same_people(&from, &back).await;
}
