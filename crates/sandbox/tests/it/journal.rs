//! What was promised survives: a restart, a sandbox that was never stopped, a torn line.

use std::io::Write as _;
use std::time::Duration;

use lingqian_sandbox::{Credentials, Settings};
use serde_json::Value;

use crate::client::World;

#[tokio::test]
async fn everything_is_there_again_even_after_a_line_was_torn() {
    let world = World::new().await;
    world
        .create(&world.transfer("J1", 500).await)
        .await
        .expect("answers");
    world
        .create(&world.transfer("J2", 500).await)
        .await
        .expect("answers");
    world
        .admin("POST", "transfers/J1/confirm", &Value::Null)
        .await;
    world.sandbox.advance(Duration::from_secs(3_600)).await;
    let before = world.admin("GET", "books", &Value::Null).await;
    let (offset, credentials) = (world.sandbox.offset_ms(), world.credentials.clone());
    // Nobody stops it. A crash tore the line that was being written.
    let World { dir, sandbox, .. } = world;
    std::mem::forget(sandbox);
    let path = dir.path().join("journal.jsonl");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("opens");
    file.write_all(b"{\"record\":\"moved\",\"number\":\"J2\",\"outc")
        .expect("written");
    drop(file);
    let settings = Settings {
        data: dir.path().to_owned(),
        ..Settings::default()
    };
    let again = World::open(dir, settings).await;
    assert_eq!(again.admin("GET", "books", &Value::Null).await, before);
    assert_eq!(again.credentials, credentials);
    assert_eq!(again.sandbox.offset_ms(), offset);
    assert_eq!(again.state("J1").await, "SUCCESS");
    assert_eq!(again.state("J2").await, "WAIT_USER_CONFIRM");
    again
        .admin("POST", "transfers/J2/confirm", &Value::Null)
        .await;
    assert_eq!(again.state("J2").await, "SUCCESS");
}

#[test]
fn a_cancel_that_was_accepted_goes_on_after_a_kill() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    // With its runtime everything of the first sandbox is gone at once.
    let first = runtime();
    let dir = first.block_on(async {
        let world = World::new().await;
        let order = world.transfer("J1", 500).await;
        world.create(&order).await.expect("answers");
        let path = "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/J1/cancel";
        let answer = world.ask("POST", path, "").await.expect("answers");
        assert_eq!(answer.json()["state"], "CANCELING");
        let World { dir, sandbox, .. } = world;
        std::mem::forget(sandbox);
        dir
    });
    first.shutdown_background();
    runtime().block_on(async {
        let settings = Settings {
            data: dir.path().to_owned(),
            ..Settings::default()
        };
        let again = World::open(dir, settings).await;
        for _ in 0..100 {
            if again.state("J1").await == "CANCELLED" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("J1 is {} for ever", again.state("J1").await);
    });
}

#[tokio::test]
async fn a_damaged_line_in_the_middle_is_not_passed_over() {
    let world = World::new().await;
    world
        .create(&world.transfer("J1", 500).await)
        .await
        .expect("answers");
    let World { dir, sandbox, .. } = world;
    sandbox.stop().await;
    let path = dir.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).expect("reads");
    std::fs::write(&path, format!("nonsense\n{text}")).expect("written");
    let settings = Settings {
        data: dir.path().to_owned(),
        ..Settings::default()
    };
    let error = lingqian_sandbox::Sandbox::start(settings)
        .await
        .expect_err("damaged");
    assert!(
        format!("{error:#}").contains("record 1 of the journal is damaged"),
        "{error:#}"
    );
}

#[test]
fn credentials_are_made_once_and_then_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Credentials::load(dir.path()).expect("made");
    assert_eq!(Credentials::load(dir.path()).expect("read"), first);
    assert_eq!(first.apiv3_key.len(), 32);
    assert_eq!(first.v2_key.len(), 32);
    assert!(first.public_key_id.starts_with("PUB_KEY_ID_"));
}

#[test]
fn two_first_starts_at_once_end_with_the_same_credentials() {
    let dir = tempfile::tempdir().expect("a directory");
    let load = || Credentials::load(dir.path()).expect("made or read");
    let (one, other) = std::thread::scope(|threads| {
        let (one, other) = (threads.spawn(load), threads.spawn(load));
        (
            one.join().expect("no panic"),
            other.join().expect("no panic"),
        )
    });
    assert_eq!(one, other);
}
