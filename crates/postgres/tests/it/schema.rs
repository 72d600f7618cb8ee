//! The schema, with old and new programs beside each other.

use lingqian_core::Keys;
use lingqian_io::{Browse as _, Fault, Store as _};
use lingqian_postgres::PostgresStore;

use crate::given::letter;
use crate::world::{connect, database, lived};

async fn refusal(url: &str) -> Fault {
    let opened = PostgresStore::open(url).await;
    opened.map(drop).expect_err("it is refused")
}

#[tokio::test]
async fn many_processes_that_start_at_once_make_one_set_of_tables() {
    let url = database().await;
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::open(&url).await.map(drop) })
        })
        .collect();
    for start in starts {
        assert_eq!(start.await.expect("no panic"), Ok(()));
    }
    let noted = "SELECT count(*), max(number) FROM migrations";
    let noted = connect(&url)
        .await
        .query_one(noted, &[])
        .await
        .expect("a row");
    assert_eq!(noted.get::<_, i64>(0), i64::from(noted.get::<_, i32>(1)));
}

#[tokio::test]
async fn what_was_written_is_there_for_the_next_process() {
    let (store, url) = lived().await;
    let again = PostgresStore::open(&url).await.expect("it opens again");
    assert_eq!(again.summary().await, store.summary().await);
    assert_eq!(again.audit().await.expect("audits").findings, []);
}

#[tokio::test]
async fn a_newer_schema_is_worked_with_if_it_allows_and_refused_in_words_if_not() {
    let (store, url) = lived().await;
    let books = connect(&url).await;
    let newer = "INSERT INTO migrations VALUES (98, '0098_more', 1, 'words that we do not know')";
    books.batch_execute(newer).await.expect("noted");
    let beside = PostgresStore::open(&url)
        .await
        .expect("an addition disturbs nobody");
    assert_eq!(beside.audit().await.expect("audits").findings, []);
    let newer = "INSERT INTO migrations VALUES (99, '0099_other', 99, 'words')";
    books.batch_execute(newer).await.expect("noted");
    let refused = refusal(&url).await;
    let words = "use a newer program";
    assert!(
        matches!(&refused, Fault::Newer(said) if said.contains(words)),
        "{refused:?}"
    );
    assert_eq!(refused.code(), "schema_too_new");
    // Whoever runs already is stopped at the next commit, though its connections are good,
    let basis = store.prefetch(Keys::default()).await.expect("facts").basis;
    let stopped = store.commit(basis, letter("late")).await;
    assert!(matches!(&stopped, Err(Fault::Newer(_))), "{stopped:?}");
    // and at the next connection.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \
               current_database() AND pid <> pg_backend_pid()";
    books.execute(end, &[]).await.expect("connections end");
    let stopped = loop {
        match store.summary().await {
            Err(Fault::Retry(_)) => {}
            other => break other,
        }
    };
    assert!(
        matches!(&stopped, Err(Fault::Newer(said)) if said.contains(words)),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn a_database_made_with_other_words_is_refused() {
    let (_store, url) = lived().await;
    let altered = "UPDATE migrations SET words = words || ' ' WHERE number = 1";
    connect(&url)
        .await
        .batch_execute(altered)
        .await
        .expect("altered");
    let refused = refusal(&url).await;
    assert!(
        matches!(&refused, Fault::Broken(said) if said.contains("0001_books")),
        "{refused:?}"
    );
}

/// Whoever takes the connection and says nothing does not keep us for ever.
#[tokio::test]
async fn somebody_who_says_nothing_is_not_waited_for_without_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    let refused = refusal(&format!("postgres://lingqian@127.0.0.1:{port}/books")).await;
    assert!(matches!(refused, Fault::Retry(_)), "{refused:?}");
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let url = database().await;
    let admin = connect(&url.replace(url.rsplit('/').next().expect("a name"), "postgres")).await;
    let name = format!("latin_{}", std::process::id());
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' \
             LC_CTYPE 'C'"
        ),
    ] {
        admin.batch_execute(&statement).await.expect("made");
    }
    let (server, _) = url.rsplit_once('/').expect("a name");
    let refused = refusal(&format!("{server}/{name}")).await;
    assert!(
        matches!(&refused, Fault::Broken(said) if said.contains("UTF8")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_address_that_cannot_work_is_refused_without_its_password() {
    for address in [
        "postgres://lingqian:hush@",
        "mysql://lingqian:hush@127.0.0.1/x",
        "postgres://lingqian:hush@127.0.0.1:1/x",
        "postgres://lingqian:hush@127.0.0.1/x?no_such=option",
        "postgres://lingqian:hush@db.example/x?sslmode=require",
        "lingqian:hush",
    ] {
        let refused = format!("{:?}", refusal(address).await);
        assert!(!refused.contains("hush"), "{address}: {refused}");
    }
    let gone = refusal("postgres://lingqian:hush@127.0.0.1:1/x").await;
    assert!(matches!(gone, Fault::Retry(_)), "{gone:?}");
}
