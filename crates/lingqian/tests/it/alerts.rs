//! Operators are told by real processes: once, of which a `kill -9` between the telling and its
//! record makes twice under one name, and that it is over.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{json, lingqian, run};
use crate::webhooks::{Came, World, next, receiver};

/// The variable that holds the address of the receiver.
const URL: &str = "LINGQIAN_TEST_ALERTS";

const TARGET: &str = "[[alerts.targets]]\nname = \"ops\"\nvia = \"webhook\"\n\
                      url = \"env:LINGQIAN_TEST_ALERTS\"\n\n[webhooks]";

fn world(more: &[(&str, &str)]) -> World {
    let allowed = [
        ("allow_private = false", "allow_private = true"),
        ("settle_seconds = 120", "settle_seconds = 0"),
        ("[webhooks]", TARGET),
    ];
    World::start(&[&allowed, more].concat())
}

/// The one letter that there is needs nobody any more.
pub(crate) fn discard_the_letter(data: &Path) {
    let letters = json(data, &["letters", "list"]);
    let id = letters["data"][0]["id"].as_str().expect("a letter");
    json(data, &["letters", "discard", id, "--reason", "a test"]);
}

/// A line that cannot be credited.
pub(crate) fn bad_line(data: &Path) {
    let file = data.join("bad.jsonl");
    std::fs::write(&file, "{\"source\":1}\n").expect("written");
    let file = file.to_str().expect("a plain path");
    assert!(run(data, &["import", file]).status.code().is_some());
}

fn pass(world: &World, url: &str) -> Command {
    let mut pass = lingqian(&world.data, &["pass", "alert", "--once", "--json"]);
    pass.env(URL, url).stdout(Stdio::piped());
    pass
}

/// Runs a pass that has something to tell.
fn telling(world: &World, (url, came): (&str, &std::sync::mpsc::Receiver<Came>)) -> Value {
    let pass = pass(world, url).spawn().expect("it starts");
    let told = next(came);
    let body: Value = serde_json::from_str(&told.body).expect("JSON");
    let id = told.header("webhook-id").to_owned();
    told.answer("204 No Content");
    let done = pass.wait_with_output().expect("it ends");
    let done: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&done["taken"], &done["moved"]), (&1.into(), &1.into()));
    serde_json::json!({ "id": id, "alerts": body["alerts"] })
}

fn quiet(world: &World, url: &str) {
    let done = pass(world, url).output().expect("it runs");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    let said: Value = serde_json::from_slice(&done.stdout).expect(&errors);
    assert_eq!(said["taken"], 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_told_once_and_that_it_was_discarded() {
    let world = world(&[]);
    let (url, came) = receiver();
    quiet(&world, &url);
    bad_line(&world.data);
    let first = telling(&world, (&url, &came));
    let alert = &first["alerts"][0];
    assert_eq!(
        (&alert["what"], &alert["kind"]),
        (&"began".into(), &"dead_letters".into())
    );
    assert_eq!(alert["runbook"], "docs/RUNBOOK.md#dead_letters");
    quiet(&world, &url);
    let list = json(&world.data, &["alerts", "list"]);
    assert_eq!(list["alerts"][0]["told"][0]["target"], "ops", "{list:#}");
    assert_eq!(list["targets"][0]["failures"], 0, "{list:#}");
    discard_the_letter(&world.data);
    world.advance(5).await;
    let over = telling(&world, (&url, &came));
    assert_eq!(over["alerts"][0]["what"], "ended");
    quiet(&world, &url);
    let list = json(&world.data, &["alerts", "list"]);
    assert_eq!(list["alerts"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_telling_and_record_tells_once_more_under_the_same_name() {
    let world = world(&[]);
    let (url, came) = receiver();
    bad_line(&world.data);
    let mut dies = pass(&world, &url).spawn().expect("it starts");
    let first = next(&came);
    dies.kill().expect("it is killed");
    dies.wait().expect("it is gone");
    let id = first.header("webhook-id").to_owned();
    assert!(id.starts_with("al_"), "{id}");
    quiet(&world, &url);
    world.advance(61).await;
    let again = telling(&world, (&url, &came));
    assert_eq!(again["id"], id.as_str(), "the same name");
    quiet(&world, &url);
}

#[test]
fn a_trial_says_who_takes_it_and_a_secret_that_is_not_there_is_named() {
    let world = world(&[]);
    let missing = run(&world.data, &["alerts", "test"]);
    let words = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && words.contains(URL), "{words}");
    // What only looks goes on without it.
    assert!(run(&world.data, &["alerts", "list"]).status.success());
    assert!(run(&world.data, &["cases"]).status.success());
    let (url, came) = receiver();
    let mut test = lingqian(&world.data, &["alerts", "test", "--json"]);
    let test = test.env(URL, &url).stdout(Stdio::piped());
    let test = test.spawn().expect("it starts");
    let trial = next(&came);
    assert!(trial.body.contains("alert.trial"), "{}", trial.body);
    trial.answer("503 Service Unavailable");
    let done = test.wait_with_output().expect("it ends");
    assert!(!done.status.success());
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(said[0]["code"], "http_503", "{said}");
    let mut nobody = lingqian(&world.data, &["alerts", "test", "--target", "nobody"]);
    let nobody = nobody.env(URL, &url).output().expect("it runs");
    let words = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(words.contains("nobody"), "{words}");
}
