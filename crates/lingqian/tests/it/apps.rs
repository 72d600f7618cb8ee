//! One user's wallet under two apps, from their pages to WeChat's books: real processes, a sandbox.

use serde_json::{Value, json};

use crate::merchants::{World, in_states};
use crate::process::{independent_audit, json as said, until};

/// Two merchants, the second of which is bound to an app of its own as well.
async fn started() -> World {
    let world = World::start(100_000, "", "").await;
    // Without a unionid nobody can tell that it is the same person, so a second app's wallet would
    // cool off for a day.
    let config = world.data.join("lingqian.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let text = format!("{text}\n[links]\nrelink_cooling_hours = 0\n");
    std::fs::write(&config, text).expect("written");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_goes_by_the_app_that_is_still_linked_and_to_the_person_that_app_knows() {
    let world = started().await;
    let platform = world.serve();
    let [first, second] = world.accounts.each_ref().map(|account| &account["appid"]);
    // The same event comes twice and is credited once; the second page adds a link.
    platform.user("alice", None, 500).await;
    platform.user("alice", Some(second), 500).await;
    let links = said(&world.data, &["link", "show", "alice"]);
    let links = links.as_array().expect("a list").clone();
    let apps: Vec<&Value> = links.iter().map(|link| &link["app"]).collect();
    assert!(
        apps.len() == 2 && apps.contains(&first) && apps.contains(&second),
        "{links:#?}"
    );
    let app = first.as_str().expect("text");
    let unlink = [
        "link",
        "unlink",
        "alice",
        "--app",
        app,
        "--reason",
        "she left it",
    ];
    said(&world.data, &unlink);
    platform.withdraw("alice", 300).await;
    platform.paid(1).await;
    let paid = (world.paid_fen(1).await, world.paid_fen(2).await);
    assert_eq!(
        paid,
        (0, 300),
        "only the second merchant may pay under that app"
    );
    let transfers = world.see("transfers?limit=10").await["data"].clone();
    let transfers = transfers.as_array().expect("a list").clone();
    assert_eq!(transfers.len(), 1, "{transfers:#?}");
    assert_eq!(&transfers[0]["appid"], second);
    assert_eq!(transfers[0]["mch_id"], world.mchid(2));
    // The openid is the one of that app; under the other one she is somebody else.
    let people = world.see("users").await["data"].clone();
    let people = people.as_array().expect("a list").clone();
    let alice = people.iter().find(|person| person["name"] == "alice");
    let openids = &alice.expect("alice")["openids"];
    let under = |app: &Value| openids[app.as_str().expect("text")].clone();
    assert_eq!(transfers[0]["openid"], under(second), "{openids:#}");
    assert_ne!(under(first), under(second));
    let unlink = ["link", "unlink", "alice", "--reason", "she left"];
    said(&world.data, &unlink);
    let wanted = json!({ "user": "alice", "amount_fen": 100, "reference": "again" });
    let (status, held) = platform.call("POST", "/v1/withdrawals", &wanted).await;
    assert!(status < 300, "{held}");
    until("it is refused", async || {
        let (_, summary) = platform.call("GET", "/v1/summary", &Value::Null).await;
        (in_states(&summary, &["refused"]) < 1).then(|| summary["payouts"].to_string())
    })
    .await;
    let (_, alice) = platform.call("GET", "/v1/users/alice", &Value::Null).await;
    assert_eq!(
        alice["available_micros"], 2_000_000,
        "the money is hers still: {alice:#}"
    );
    let transfers = world.see("transfers?limit=10").await["data"].clone();
    assert_eq!(
        transfers.as_array().map(Vec::len),
        Some(1),
        "nothing more was sent"
    );
    platform.server.kill();
    let audit = said(&world.data, &["audit"]);
    assert_eq!(audit["sound"], true, "{audit:#}");
    independent_audit(&world.data);
}
