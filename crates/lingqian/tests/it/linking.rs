//! Links and authorizations at the command line, over the books of a quickstart and its sandbox.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, ask, json, run};

/// Books with linked users beside a sandbox.
struct World {
    data: PathBuf,
    users: Vec<String>,
    sandbox: Running,
    _dir: TempDir,
}

impl World {
    fn start() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let made = ["--users", "10", "--events-count", "100", "--seed", "5"];
        let lived = run(&data, &[&["quickstart", "--exit"], &made[..]].concat());
        assert!(lived.status.success(), "{lived:?}");
        let all = json(&data, &["links", "--limit", "1000"]);
        let users = all.as_array().expect("a list").iter();
        let users = users.map(|link| link["user"].as_str().expect("text").to_owned());
        let users: Vec<String> = users.collect();
        let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
        World {
            data,
            users,
            sandbox,
            _dir: dir,
        }
    }

    /// The links of a user.
    fn link(&self, user: &str) -> Value {
        let links = json(&self.data, &["link", "show", user]);
        assert_eq!(links.as_array().map(Vec::len), Some(1), "{links:#}");
        links[0].clone()
    }

    /// What is done to a link, and why.
    fn act(&self, what: &str, user: &str) -> Value {
        json(&self.data, &["link", what, user, "--reason", "a try"])
    }

    fn of(&self, what: &str, user: &str) -> Value {
        let by: &[&str] = match what {
            "query" => &[],
            _ => &["--reason", "a try", "--actor", "wang"],
        };
        let whose = ["authorizations", what, user];
        json(&self.data, &[&whose[..], by].concat())[0].clone()
    }

    /// What is on record of a user's authorizations: what, who and why.
    fn on_record(&self, user: &str) -> Vec<[String; 3]> {
        let deeds = json(&self.data, &["deeds", "--subject", user]);
        let deeds = deeds.as_array().expect("a list").iter();
        let text = |deed: &Value, name: &str| deed[name].as_str().expect("text").to_owned();
        let deeds = deeds.map(|deed| ["what", "actor", "reason"].map(|name| text(deed, name)));
        deeds
            .filter(|deed| deed[0].ends_with("authorization"))
            .collect()
    }
}

/// What a command that must be refused says.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints no result");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How many links stand so.
fn standing(world: &World, name: &str) -> usize {
    let found = json(&world.data, &["links", "--standing", name]);
    found.as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_listed_shown_and_ended_and_no_openid_is_printed() {
    let world = World::start();
    let active = standing(&world, "active");
    assert!(active >= 3 && active == world.users.len(), "{active}");
    let text = run(&world.data, &["links", "--limit", "1000"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert_eq!(text.lines().count(), active, "{text}");
    let url = format!("{}/_sandbox/users", world.sandbox.url);
    let people = ask("GET", &url, &[], "").await.expect("it answers").1;
    let people = people["data"].as_array().expect("a list").clone();
    assert!(people.len() >= active, "{people:#?}");
    for person in &people {
        let openid = person["openid"].as_str().expect("an openid");
        assert!(!text.contains(openid), "{text}");
    }
    let (gone, revoked) = (world.users[0].as_str(), world.users[1].as_str());
    assert_eq!(world.link(gone)["standing"], "active");
    world.act("unlink", gone);
    world.act("revoke", revoked);
    for user in [gone, revoked] {
        let link = world.link(user);
        assert_eq!(link["standing"], "revoked", "{link:#}");
    }
    assert_eq!(
        (standing(&world, "active"), standing(&world, "revoked")),
        (active - 2, 2)
    );
    let app = world.link(gone)["app"].clone();
    let app = app.as_str().expect("an app");
    let own = json(&world.data, &["links", "--app", app, "--limit", "1000"]);
    assert_eq!(own.as_array().map(Vec::len), Some(active), "{own:#}");
    let flagged = json(&world.data, &["links", "--flagged"]);
    assert_eq!(flagged, Value::Array(Vec::new()));
    world.act("refresh", &world.users[2]);
    for (arguments, word) in [
        (vec!["link", "show", "nobody"], "no user is registered"),
        (vec!["links", "--standing", "odd"], "--standing odd"),
        (vec!["links", "--app", "an app"], "--app is not an app id"),
        (
            vec!["link", "unlink", "nobody", "--reason", "x"],
            "unknown_user",
        ),
    ] {
        let words = refused(&world.data, &arguments);
        assert!(words.contains(word), "{arguments:?}: {words}");
    }
    // Doing it again changes nothing.
    let before = world.link(gone);
    world.act("unlink", gone);
    assert_eq!(world.link(gone), before);
    let sound = run(&world.data, &["audit"]);
    assert!(sound.status.success(), "{sound:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorization_is_asked_for_granted_listed_and_closed() {
    let world = World::start();
    let user = world.users[0].as_str();
    let before = world.of("query", user);
    assert!(before["package_info"].is_null(), "{before:#}");
    let asked = world.of("apply", user);
    assert_eq!(asked["state"], "WAIT_USER_CONFIRM", "{asked:#}");
    assert!(asked["package_info"].is_string(), "{asked:#}");
    let again = world.of("apply", user);
    let number = "out_authorization_no";
    assert_eq!(
        again[number], asked[number],
        "asked twice it is one: {again:#}"
    );
    let no = asked[number].as_str().expect("a number");
    let url = format!("{}/_sandbox/authorizations/{no}/confirm", world.sandbox.url);
    let answer = ask("POST", &url, &[], "").await.expect("it answers");
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(world.of("query", user)["state"], "TAKING_EFFECT");
    let all = json(&world.data, &["authorizations", "list"]);
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), world.users.len());
    let granted = |one: &&Value| one["state"] == "TAKING_EFFECT";
    let granted: Vec<&Value> = all.iter().filter(granted).collect();
    assert_eq!(granted.len(), 1, "{granted:#?}");
    assert_eq!(granted[0]["user"], user);
    let closed = world.of("close", user);
    assert_eq!(closed["state"], "CLOSED", "{closed:#}");
    let again = ["authorizations", "close", user, "--reason", "again"];
    let words = refused(&world.data, &again);
    assert!(words.contains("nothing_to_close"), "{words}");
    let deed = |what: &str| [what, "cli:wang", "a try"].map(str::to_owned);
    let (apply, close) = (deed("apply-authorization"), deed("close-authorization"));
    // Newest first. What was not done is not on record, and asking twice is two acts.
    assert_eq!(world.on_record(user), [close, apply.clone(), apply]);
    let nameless = run(&world.data, &["authorizations", "close", user]);
    assert_eq!(nameless.status.code(), Some(2), "a person acts: why?");
    let next = world.of("apply", user);
    assert_ne!(
        next[number], asked[number],
        "a closed one is not asked for again"
    );
    for (arguments, word) in [
        (
            vec!["authorizations", "query", "nobody"],
            "no user is registered",
        ),
        (
            vec!["authorizations", "list", "--merchant", "19"],
            "is not configured",
        ),
    ] {
        let words = refused(&world.data, &arguments);
        assert!(words.contains(word), "{arguments:?}: {words}");
    }
}
