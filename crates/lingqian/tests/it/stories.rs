//! Every story over SQLite and over PostgreSQL prints the text that it prints over the twin, and a
//! process may die at every point of every flow over a file as well.

use std::fs;
use std::path::{Path, PathBuf};

use lingqian_postgres::PostgresStore;
use lingqian_sim::crash::enumerate;
use lingqian_sim::story::play;
use lingqian_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

/// The environment variable that names a server where databases may be made.
const SERVER: &str = "LINGQIAN_TEST_POSTGRES";

fn stories() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/stories");
    let files = fs::read_dir(dir).expect("the stories are there");
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let mut stories: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "story"))
        .collect();
    stories.sort();
    assert!(stories.len() >= 15, "only {} stories", stories.len());
    stories
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn books() -> (SqliteStore, TempDir) {
    // Nobody pulls a plug here: where there is a file system in memory, syncing costs nothing.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    let dir = dir.expect("a directory");
    let store = SqliteStore::open(&dir.path().join("books.db")).expect("it opens");
    (store, dir)
}

#[test]
fn every_story_prints_the_same_over_sqlite() {
    for path in stories() {
        let (store, _dir) = books();
        let told = play(&read(&path), move || store.clone()).expect("it reads");
        assert_eq!(
            told.text,
            read(&path.with_extension("txt")),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_story_prints_the_same_over_postgres() {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // This thread only waits; connections live on those of the runtime.
    let _guard = runtime.enter();
    for (number, path) in stories().into_iter().enumerate() {
        let store = database(&runtime, number);
        let told = play(&read(&path), move || store.clone()).expect("it reads");
        assert_eq!(
            told.text,
            read(&path.with_extension("txt")),
            "{}",
            path.display()
        );
    }
}

fn database(runtime: &Runtime, number: usize) -> PostgresStore {
    let server = std::env::var(SERVER)
        .unwrap_or_else(|_| panic!("{SERVER} names no server; `cargo xtask test` starts one"));
    let name = format!("story{}_{number}", std::process::id());
    runtime.block_on(async {
        let url = format!("{server}/postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .expect("connects");
        tokio::spawn(connection);
        for statement in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' \
                 LC_CTYPE 'C'"
            ),
        ] {
            client.batch_execute(&statement).await.expect(&statement);
        }
        PostgresStore::open(&format!("{server}/{name}"))
            .await
            .expect("it opens")
    })
}

#[test]
fn a_process_that_dies_at_any_point_of_any_flow_over_a_file_pays_everything_once() {
    let stores = || {
        let (store, dir) = books();
        move || {
            // The directory lives as long as whoever opens it.
            let _ = dir.path();
            store.clone()
        }
    };
    let tried = enumerate(stores, false);
    for flow in &tried {
        assert_eq!(flow.failure, None, "{}, {} points", flow.name, flow.points);
    }
    let points: u64 = tried.iter().map(|flow| flow.points).sum();
    println!("{points} points of {} flows", tried.len());
    assert!(points > 200, "only {points} points");
}
