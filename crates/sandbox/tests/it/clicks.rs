//! The page as a person uses it: a browser clicks and types, and the API then says what came of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::client::{Address, World};

/// Notes what goes wrong in the page's own script.
const ERRORS: &str = "window.errors = [];
  addEventListener('error', (told) => window.errors.push(String(told.message)));";
const DAY_MS: i64 = 86_400_000;

/// A merchant with three transfers, a fourth that was announced, and an authorization.
async fn world() -> (World, Address) {
    let world = World::new().await;
    let into_day = (world.sandbox.now_business() + 8 * 3_600_000).rem_euclid(DAY_MS);
    let ahead = u64::try_from(DAY_MS - into_day + 12 * 3_600_000).expect("ahead");
    world.sandbox.advance(Duration::from_millis(ahead)).await;
    let address = Address::open(0).await;
    for number in ["CLICK1", "CLICK2", "CLICK3"] {
        let mut body = world.transfer(number, 500).await;
        body["notify_url"] = json!(address.url);
        assert_eq!(world.create(&body).await.expect("answers").status, 200);
    }
    let apply = json!({ "out_authorization_no": "AUTH1", "appid": world.credentials.appid,
        "openid": world.person("alice").await, "transfer_scene_id": "1000",
        "user_display_name": "a***e", "authorization_notify_url": address.url });
    const PATH: &str = "/v3/fund-app/mch-transfer/user-confirm-authorization";
    let applied = world.ask("POST", PATH, &apply.to_string()).await;
    assert_eq!(applied.expect("answers").status, 200);
    (world, address)
}

impl Browser {
    /// The same for the first button that says so, in the row that names something.
    pub(crate) fn click_in_row(&mut self, table: &str, named: &str, button: &str) {
        self.click(&format!(
            "[...document.querySelectorAll('#{table} tr')]
               .find((row) => [...row.cells].some((cell) => cell.textContent === '{named}'))
               ?.querySelector('button[data-act=\"{button}\"]')"
        ));
    }

    /// Clicks into a field and types what is to be there instead.
    pub(crate) fn type_into(&mut self, id: &str, text: &str) {
        self.click(&format!("document.getElementById('{id}')"));
        let all = json!({ "type": "keyDown", "key": "a", "code": "KeyA", "modifiers": 2,
            "windowsVirtualKeyCode": 65, "commands": ["selectAll"] });
        self.call("Input.dispatchKeyEvent", &all);
        self.call("Input.insertText", &json!({ "text": text }));
        self.until(&format!(
            "document.getElementById('{id}').value === {}",
            json!(text)
        ));
    }

    /// Chooses from a list by the keyboard.
    pub(crate) fn choose(&mut self, id: &str, value: &str) {
        self.look(&format!("document.getElementById('{id}').focus()"));
        for letter in value.chars() {
            let key = json!({ "type": "char", "text": letter.to_string() });
            self.call("Input.dispatchKeyEvent", &key);
        }
        self.until(&format!(
            "document.getElementById('{id}').value === {}",
            json!(value)
        ));
    }
}

/// What the page is asked to do, one after the other, and what the API says then.
struct Hands {
    world: World,
    address: Address,
    browser: Browser,
}

impl Hands {
    async fn get(&self, path: &str) -> Value {
        self.world.admin("GET", path, &Value::Null).await
    }

    /// Waits for what the page asked for.
    async fn until(&self, path: &str, what: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..200 {
            let told = self.get(path).await;
            if what(&told) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "{path} never came to be as it should: {}",
            self.get(path).await
        );
    }

    async fn people_and_money(&mut self) {
        self.browser.type_into("user-name", "carol");
        self.browser.type_into("user-real", "王小王");
        self.browser.click("document.getElementById('new-user')");
        let named = |told: &Value, name: &str, frozen: bool| {
            let people = told["data"].as_array().expect("people");
            let mut people = people.iter();
            people.any(|one| one["name"] == name && one["frozen"] == frozen)
        };
        self.until("users", |told| named(told, "carol", false))
            .await;
        self.browser.click_in_row("users", "carol", "freeze");
        self.until("users", |told| named(told, "carol", true)).await;
        let mchid = self.world.credentials.mchid.clone();
        self.browser.answer = "1234.56".into();
        self.browser.click_in_row("merchants", &mchid, "set");
        let has = |fen: i64| move |told: &Value| told["data"][0]["balance_fen"] == fen;
        self.until("merchants", has(123_456)).await;
        self.browser.click_in_row("merchants", &mchid, "top up");
        self.until("merchants", has(100_123_456)).await;
        self.browser
            .click("document.getElementById('new-merchant')");
        let two = |told: &Value| told["data"].as_array().map(Vec::len) == Some(2);
        self.until("merchants", two).await;
    }

    async fn times(&mut self) {
        self.browser.type_into("robot-confirm", "12");
        self.browser.click("document.getElementById('robot-set')");
        self.until("robot", |told| told["confirm_per_mille"] == 12)
            .await;
        self.browser.type_into("lag-processing", "700");
        self.browser.click("document.getElementById('lag-set')");
        self.until("lag", |told| told["processing_ms"] == 700).await;
    }

    async fn thumbs(&mut self) {
        self.browser
            .click_in_row("orders", "CLICK3", "wrong-person");
        let told = "document.getElementById('told').textContent.includes('不一致')";
        self.browser.until(told);
        assert_eq!(self.world.state("CLICK3").await, "WAIT_USER_CONFIRM");
        self.browser.click_in_row("orders", "CLICK1", "confirm");
        self.browser.click_in_row("orders", "CLICK2", "refuse");
        let ended = |number: &'static str, state: &'static str| {
            move |told: &Value| {
                let all = told["data"].as_array().expect("transfers");
                let mut all = all.iter();
                all.any(|one| one["out_bill_no"] == number && one["state"] == state)
            }
        };
        self.until("transfers", ended("CLICK1", "SUCCESS")).await;
        self.until("transfers", ended("CLICK2", "FAIL")).await;
        self.browser
            .click_in_row("authorizations", "AUTH1", "confirm");
        let stands = |state: &'static str| move |told: &Value| told["data"][0]["state"] == state;
        self.until("authorizations", stands("TAKING_EFFECT")).await;
        self.browser
            .click_in_row("authorizations", "AUTH1", "revoke");
        let told = self.until("authorizations", stands("CLOSED")).await;
        assert_eq!(told["data"][0]["close_info"]["close_reason"], "USER_CLOSE");
    }

    async fn faults(&mut self) {
        self.browser.choose("fault-name", "notice_never");
        self.browser.type_into("fault-number", "CLICK3");
        self.browser.click("document.getElementById('fault-add')");
        let one = |told: &Value| told["numbers"]["CLICK3"]["notice_never"] == 1;
        self.until("faults", one).await;
        self.browser
            .type_into("faults", r#"{"times":{"not_enough":1}}"#);
        self.browser.click("document.getElementById('faults-set')");
        let other = |told: &Value| told["times"]["not_enough"] == 1 && !one(told);
        self.until("faults", other).await;
        let body = self.world.transfer("CLICK4", 500).await;
        let refused = self.world.create(&body).await.expect("answers");
        assert_eq!(refused.error().1, "NOT_ENOUGH");
        self.browser.click("document.getElementById('faults-none')");
        let none = |told: &Value| told["times"] == json!({});
        self.until("faults", none).await;
    }

    async fn notices(&mut self) {
        // Two transfers and an authorization ended, and it was granted before.
        let told = self.address.received(4).await.len();
        self.browser.click_in_row("notices", "CLICK1", "resend");
        let received = self.address.received(told + 1).await;
        let (headers, body) = received.last().expect("one");
        assert!(crate::client::proves(
            &self.world.credentials,
            headers,
            body
        ));
        let body: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(
            self.world.opened(&body["resource"])["out_bill_no"],
            "CLICK1"
        );
    }

    async fn clock_and_bill(&mut self) {
        let day = self.get("clock").await["business_time"].clone();
        let day = day.as_str().expect("a time")[..10].to_owned();
        let before = self.get("clock").await["offset_ms"].as_i64();
        let before = before.expect("a number");
        self.browser
            .click("document.querySelector('[data-go=\"3600\"]')");
        let hour = |told: &Value| told["offset_ms"].as_i64() == Some(before + 3_600_000);
        self.until("clock", hour).await;
        self.browser.click("document.getElementById('morning')");
        let morning = |told: &Value| {
            let time = told["business_time"].as_str().expect("a time");
            time[..10] > *day && time[11..].starts_with("10:00")
        };
        self.until("clock", morning).await;
        let path = format!("bill?date={day}");
        // What it is for the one who downloads it: with a column less, and with a hash that is wrong.
        let whole = self.text(&path).await;
        assert!(
            whole
                .lines()
                .next()
                .is_some_and(|header| header.contains("业务凭证号"))
        );
        for damage in ["missing_column", "wrong_hash"] {
            let found = format!("document.querySelector('#damage input[value={damage}]')");
            self.browser.click(&found);
            let set = |told: &Value| {
                told["bill"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == damage))
            };
            self.until("faults", set).await;
        }
        self.browser.look(&format!(
            "document.getElementById('bill-day').value = '{day}'"
        ));
        self.browser.click("document.getElementById('bill-show')");
        self.browser
            .until("document.getElementById('bill').textContent.includes('CLICK1')");
        let shown = self
            .browser
            .look("document.getElementById('bill').textContent");
        let shown = shown.as_str().expect("text");
        let header = shown.lines().next().expect("a header");
        assert!(
            !header.contains("业务凭证号"),
            "a column is missing: {header}"
        );
        let asked = format!("/v3/bill/fundflowbill?bill_date={day}");
        let told = self
            .world
            .ask("GET", &asked, "")
            .await
            .expect("answers")
            .json();
        let url = told["download_url"].as_str().expect("an address");
        let path = url.strip_prefix(&self.world.url).unwrap_or(url);
        let file = self.world.ask("GET", path, "").await.expect("answers");
        let body = String::from_utf8(file.body.to_vec()).expect("text");
        // A page reads the mark at the beginning and does not show it.
        assert_eq!(
            body.trim_start_matches('\u{feff}'),
            shown,
            "it shows what is downloaded"
        );
        assert_ne!(
            told["hash_value"],
            sha1(body.as_bytes()),
            "and its hash is another"
        );
    }

    async fn text(&self, path: &str) -> String {
        let url = format!("{}/_sandbox/{path}", self.world.url);
        let answer = crate::client::call("GET", &url, &[], "").await;
        String::from_utf8(answer.expect("answers").body.to_vec()).expect("text")
    }
}

fn sha1(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_drives_the_whole_sandbox_by_its_page() {
    let (world, address) = world().await;
    let url = format!("{}/_sandbox", world.url);
    let mut browser = Browser::open(&world.dir.path().join("browser"), "about:blank");
    browser.pretend("a person's browser", ERRORS);
    browser.go(&url);
    browser.until("document.body?.dataset.ready === 'yes'");
    let mut hands = Hands {
        world,
        address,
        browser,
    };
    hands.people_and_money().await;
    hands.thumbs().await;
    hands.faults().await;
    hands.notices().await;
    hands.browser.picture("sandbox-english");
    hands.times().await;
    hands.clock_and_bill().await;
    hands.browser.click("document.getElementById('tongue')");
    hands
        .browser
        .until("document.body.innerText.includes('商户与余额')");
    hands
        .browser
        .until("document.body.innerText.includes('CLICK1')");
    hands.browser.picture("sandbox-chinese");
    assert_eq!(hands.browser.look("window.errors"), json!([]));
}
