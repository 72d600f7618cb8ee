//! What whoever tests sees and does: the page's words, and everything that it calls. `clicks` drives
//! it by hand.

use serde_json::{Value, json};

use crate::client::{Address, World, call};

async fn made(world: &World, number: &str, address: &Address) {
    let mut body = world.transfer(number, 500).await;
    body["notify_url"] = json!(address.url);
    assert_eq!(world.create(&body).await.expect("answers").status, 200);
}

#[tokio::test]
async fn the_page_is_one_file_in_two_languages_and_calls_what_there_is() {
    let world = World::new().await;
    let page = call("GET", &format!("{}/_sandbox", world.url), &[], "").await;
    let page = page.expect("answers");
    assert!(page.headers["content-type"].starts_with("text/html"));
    let text = String::from_utf8_lossy(&page.body).into_owned();
    for foreign in ["src=", "@import", "url(", "https://", "<link"] {
        assert!(!text.contains(foreign), "it needs {foreign} from elsewhere");
    }
    let count = |name: &str| text.matches(name).count();
    assert_eq!(
        count("data-en="),
        count("data-zh="),
        "each word in both languages"
    );
    assert_eq!(count("data-hint-en="), count("data-hint-zh="));
    // Every fault and every damage that can be chosen is one that is taken.
    let list = |name: &str| {
        let start = text.find(&format!("const {name} = [")).expect("a list");
        let list = &text[start..start + text[start..].find("];").expect("an end")];
        let words = list.split('\'').skip(1).step_by(2);
        words.map(str::to_owned).collect::<Vec<String>>()
    };
    let times: Value = list("FAULTS")
        .into_iter()
        .map(|name| (name, json!(0)))
        .collect();
    assert!(times.as_object().is_some_and(|times| times.len() > 30));
    let all = json!({ "times": times, "bill": list("DAMAGE") });
    world.admin("POST", "faults", &all).await;
}

#[tokio::test]
async fn users_confirm_refuse_and_are_the_wrong_person() {
    let world = World::new().await;
    let address = Address::open(0).await;
    world.person("bob").await;
    for number in ["P1", "P2", "P3"] {
        made(&world, number, &address).await;
    }
    let wrong = async |path: &str| {
        let url = format!("{}/_sandbox/{path}", world.url);
        call("POST", &url, &[], "").await.expect("answers")
    };
    for path in ["transfers/P1/confirm?user=bob", "transfers/P1/wrong-person"] {
        let shown = wrong(path).await;
        assert_eq!(shown.status, 400);
        assert!(
            shown.json()["error"]
                .as_str()
                .is_some_and(|text| text.contains("不一致"))
        );
    }
    assert_eq!(
        world.state("P1").await,
        "WAIT_USER_CONFIRM",
        "nothing happened"
    );
    world
        .admin("POST", "transfers/P1/confirm?user=alice", &Value::Null)
        .await;
    let reason = "transfers/P2/refuse?reason=ACCOUNT_FROZEN";
    world.admin("POST", reason, &Value::Null).await;
    assert_eq!(
        world.query("P2").await.json()["fail_reason"],
        "ACCOUNT_FROZEN"
    );
    // By the page in WeChat, whose answer says only that it was shown.
    let package = world
        .create(&world.transfer("P4", 100).await)
        .await
        .expect("answers")
        .json();
    let open = async |user: &str, package: &Value| {
        let body = json!({ "package": package["package_info"], "user": user,
            "mch_id": world.credentials.mchid, "app_id": world.credentials.appid });
        let told = world.admin("POST", "packages", &body).await;
        told["err_msg"].as_str().expect("words").to_owned()
    };
    assert!(open("bob", &package).await.contains("fail 你的微信号"));
    assert_eq!(open("alice", &package).await, "requestMerchantTransfer:ok");
    assert_eq!(world.state("P4").await, "SUCCESS");
    assert!(open("alice", &package).await.contains("已过期"));
    assert!(
        open("alice", &json!({ "package_info": "none" }))
            .await
            .contains("fail")
    );
    let orders = world.admin("GET", "orders?limit=3", &Value::Null).await;
    let orders = orders["data"].as_array().expect("a list");
    assert_eq!((orders.len(), &orders[0]["user"]), (3, &json!("alice")));
}

#[tokio::test]
async fn authorizations_are_granted_and_end_for_every_reason() {
    let world = World::new().await;
    let openid = world.person("alice").await;
    const PATH: &str = "/v3/fund-app/mch-transfer/user-confirm-authorization";
    for (deed, reason) in [
        ("revoke", "USER_CLOSE"),
        ("risk", "TRANSFER_RISK"),
        ("abnormal", "USER_ACCOUNT_ABNORMAL"),
    ] {
        let apply = json!({ "out_authorization_no": deed, "appid": world.credentials.appid,
            "openid": openid, "transfer_scene_id": "1000", "user_display_name": "a***e",
            "authorization_notify_url": "http://127.0.0.1:9/none" });
        let applied = world
            .ask("POST", PATH, &apply.to_string())
            .await
            .expect("answers")
            .json();
        assert_eq!(applied["state"], "WAIT_USER_CONFIRM", "{applied}");
        world
            .admin(
                "POST",
                &format!("authorizations/{deed}/confirm"),
                &Value::Null,
            )
            .await;
        let again = world
            .ask("POST", PATH, &apply.to_string())
            .await
            .expect("answers")
            .json();
        assert_eq!(again["state"], "TAKING_EFFECT", "the same again: {again}");
        world
            .admin(
                "POST",
                &format!("authorizations/{deed}/{deed}"),
                &Value::Null,
            )
            .await;
        let path = format!("{PATH}/out-authorization-no/{deed}");
        let asked = world.ask("GET", &path, "").await.expect("answers").json();
        assert_eq!(asked["close_info"]["close_reason"], reason);
    }
    let list = world.admin("GET", "authorizations", &Value::Null).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_log_says_what_was_announced_and_how_each_try_went() {
    let world = World::new().await;
    let address = Address::open(1).await;
    made(&world, "L1", &address).await;
    world
        .admin("POST", "transfers/L1/confirm", &Value::Null)
        .await;
    address.received(1).await;
    let resent = world.admin("POST", "notifications/1", &Value::Null).await;
    assert_eq!(resent["delivered"], true);
    let told = world.admin("GET", "notifications/1", &Value::Null).await;
    assert_eq!(told["resource"]["state"], "SUCCESS");
    let tries = told["attempts"].as_array().expect("tries");
    let statuses: Vec<&Value> = tries.iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [&json!(500), &json!(204)]);
    let all = world.admin("GET", "attempts?limit=1", &Value::Null).await;
    assert_eq!(all["data"][0]["status"], 204, "the newest first");
    let later = world.sandbox.now_business() + 60_000;
    let moment =
        json!({ "to": jiff::Timestamp::from_millisecond(later).expect("a time").to_string() });
    let clock = world.admin("POST", "clock", &moment).await;
    assert!(clock["now_ms"].as_i64().is_some_and(|now| now >= later));
}
