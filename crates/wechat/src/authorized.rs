//! Transfers to people who granted an authorization once and confirm no more.
//!
//! Nothing is remembered here: the number of an authorization follows from whose it is, and where
//! it stands is asked before each send. Who has none, or revoked it, gets the confirm page, with
//! the wish for a new one. All of these ways make the same bill under the same number, so a number
//! that exists pays once, whichever way is tried.

use aws_lc_rs::digest::{SHA256, digest};
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::{Clock, Dice, Fault, Rail as _, Sealer, Signer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::pay::{WechatPay, unanswered};
use crate::settings::RailKind;
use crate::transfer::{self, Answer, CREATE_PATH, Call, silent};

/// Where authorizations are.
pub const PATH: &str = "/v3/fund-app/mch-transfer/user-confirm-authorization";

/// A person's authorizations for one scene, one after the other.
const TURNS_MAX: u8 = 99;

/// A number of ours for an authorization: it follows from the merchant, the app, the person, the
/// scene, and how many the person closed before.
#[must_use]
pub fn number(order: &TransferOrder, turn: u8) -> String {
    let (mchid, app) = (order.mchid.as_str(), order.app.as_str());
    let openid = order.openid.expose();
    let text = format!("{mchid}/{app}/{openid}/{}", scene(order));
    let digest = digest(&SHA256, text.as_bytes());
    let hex: String = digest
        .as_ref()
        .iter()
        .take(13)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("LA{hex}{turn:02}")
}

/// What WeChat says about an authorization. It names a person, so it never prints itself.
#[derive(Clone, Deserialize)]
pub struct Authorization {
    /// Our number.
    pub out_authorization_no: String,
    /// Where it stands.
    pub state: String,
    /// What opens the page on which the user grants it.
    pub package_info: Option<String>,
    /// Whose it is.
    pub openid: Option<String>,
}

/// A person's authorization as WeChat has it. It names a person, so it never prints itself.
#[derive(Clone)]
pub struct Found {
    /// How many the person closed before, and this one.
    pub turn: u8,
    /// What WeChat says; nothing where there is none that is open.
    pub known: Option<Authorization>,
}

impl Found {
    /// Where it stands, in WeChat's words; `NONE` where there is none.
    #[must_use]
    pub fn state(&self) -> &str {
        self.known.as_ref().map_or("NONE", |known| &known.state)
    }

    /// What opens the page on which the user grants it.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        self.known.as_ref()?.package_info.as_deref()
    }
}

/// Where a person's authorization stands.
enum Standing {
    /// It is in effect under this number.
    InEffect(String),
    /// There is none in effect; one may be asked for under this number.
    Open(String),
    /// The merchant may not have any.
    Barred,
}

#[derive(Serialize)]
struct Direct<'a> {
    appid: &'a str,
    out_bill_no: String,
    transfer_scene_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_recv_perception: Option<&'a str>,
    transfer_scene_report_infos: Vec<transfer::Info<'a>>,
    transfer_amount: i64,
    transfer_remark: &'a str,
    out_authorization_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    notify_url: &'a str,
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatPay<S, K, C, D> {
    async fn authorization_call(
        &self,
        (method, path): (&str, &str),
        body: Vec<u8>,
    ) -> Result<Result<Authorization, (u16, String)>, &'static str> {
        let answered = self.call(&self.authorize, (method, path), body).await?;
        let answer = self.proved(answered).await;
        if let Some(error) = answer.error(|error| (error.status, error.code.to_owned())) {
            return Ok(Err(error));
        }
        match answer.doubt {
            Some(doubt) => Err(doubt),
            None => serde_json::from_slice(&answer.body)
                .map(Ok)
                .map_err(|_| "answer_unreadable"),
        }
    }

    /// Applies for an authorization without a transfer; the answer opens the page for the user.
    /// The same order (whose amount does not matter) applies for the same one.
    ///
    /// # Errors
    /// When WeChat does not accept it or cannot be heard.
    pub async fn apply_for_authorization(
        &self,
        order: &TransferOrder,
        turn: u8,
    ) -> Result<Authorization, Fault> {
        let wish = self.wish(&number(order, turn));
        let body = json!({
            "appid": order.app.as_str(),
            "openid": order.openid.expose(),
            "transfer_scene_id": scene(order),
            "out_authorization_no": wish["out_authorization_no"],
            "user_display_name": wish["user_display_name"],
            "authorization_notify_url": wish["authorization_notify_url"],
        });
        told(self.authorization_call(("POST", PATH), bytes(&body)).await)
    }

    /// Asks where an authorization stands.
    ///
    /// # Errors
    /// When there is none or WeChat cannot be heard.
    pub async fn ask_authorization(&self, number: &str) -> Result<Authorization, Fault> {
        let path = query_path(number);
        told(self.authorization_call(("GET", &path), Vec::new()).await)
    }

    /// Closes an authorization; from then on its person confirms each transfer again.
    ///
    /// # Errors
    /// When there is none or WeChat cannot be heard.
    pub async fn close_authorization(&self, number: &str) -> Result<Authorization, Fault> {
        let path = format!("{PATH}/out-authorization-no/{number}/close");
        told(self.authorization_call(("POST", &path), Vec::new()).await)
    }

    /// The authorization of the person of an order that is open, or the turn of the next one.
    ///
    /// # Errors
    /// When WeChat cannot be heard or does not let the merchant ask.
    pub async fn find_authorization(&self, order: &TransferOrder) -> Result<Found, Fault> {
        for turn in 1..=TURNS_MAX {
            let number = number(order, turn);
            let path = query_path(&number);
            let known = match self.authorization_call(("GET", &path), Vec::new()).await {
                Ok(Err((404, _))) => None,
                asked => Some(told(asked)?),
            };
            if known.as_ref().is_none_or(|known| known.state != "CLOSED") {
                return Ok(Found { turn, known });
            }
        }
        Err(Fault::Broken("the user closed 99 authorizations".into()))
    }

    /// Where the person of an order stands; an error is a word for why nobody can tell.
    async fn standing(&self, order: &TransferOrder) -> Result<Standing, String> {
        for turn in 1..=TURNS_MAX {
            let number = number(order, turn);
            let path = query_path(&number);
            let asked = self.authorization_call(("GET", &path), Vec::new()).await;
            match asked.map_err(str::to_owned)? {
                Ok(found) if found.out_authorization_no != number => {
                    return Err("number_mismatch".to_owned());
                }
                Ok(found) => match found.state.as_str() {
                    "TAKING_EFFECT" => return Ok(Standing::InEffect(number)),
                    "WAIT_USER_CONFIRM" => return Ok(Standing::Open(number)),
                    "CLOSED" => {}
                    _ => return Err("state_unknown".to_owned()),
                },
                Err((404, code)) if code == "NOT_FOUND" => return Ok(Standing::Open(number)),
                Err((403, _)) => return Ok(Standing::Barred),
                Err((status, _)) => return Err(format!("status_{status}")),
            }
        }
        Ok(Standing::Barred)
    }

    /// Sends an order the shortest way that its person allows.
    pub(crate) async fn send_authorized(&self, order: &TransferOrder) -> TransferReport {
        let order = &TransferOrder {
            scene: scene(order).to_owned(),
            ..order.clone()
        };
        // What exists under the number is not made again some other way.
        let known = self.ask(order).await;
        match &known.finding {
            Finding::NotFound => {}
            Finding::AwaitingUser { .. } => return self.page_again(order, known).await,
            Finding::Unknown { code } => return unsent(order, code),
            _ => return known,
        }
        match self.standing(order).await {
            Err(word) => unsent(order, &word),
            Ok(Standing::Barred) => self.send(order).await,
            Ok(Standing::Open(number)) => self.send_with_wish(order, &number).await,
            Ok(Standing::InEffect(number)) => {
                let report = self.send_direct(order, &number).await;
                self.fallen_back(order, report).await
            }
        }
    }

    /// A transfer that was refused because the authorization is gone goes out once more by the
    /// confirm page, under the same number.
    async fn fallen_back(&self, order: &TransferOrder, report: TransferReport) -> TransferReport {
        let refused = matches!(report.evidence.status, Some(400 | 403));
        if !refused {
            return report;
        }
        let second = match self.standing(order).await {
            Ok(Standing::Open(number)) => self.send_with_wish(order, &number).await,
            Ok(Standing::Barred) => self.send(order).await,
            Ok(Standing::InEffect(_)) | Err(_) => return report,
        };
        after(report, second)
    }

    /// The confirm page of a bill that waits: the answer to the same create has it.
    async fn page_again(&self, order: &TransferOrder, known: TransferReport) -> TransferReport {
        for turn in 1..=TURNS_MAX {
            let number = number(order, turn);
            let path = query_path(&number);
            let asked = self.authorization_call(("GET", &path), Vec::new()).await;
            let Ok(Ok(found)) = asked else { break };
            if found.state == "CLOSED" {
                continue;
            }
            let report = self.send_with_wish(order, &number).await;
            if matches!(report.finding, Finding::AwaitingUser { .. }) {
                return report;
            }
            break;
        }
        let report = self.send(order).await;
        match report.finding {
            Finding::AwaitingUser { .. } => report,
            _ => known,
        }
    }

    /// The confirm page, on which the user also grants an authorization. One that cannot be asked
    /// for leaves the page alone.
    async fn send_with_wish(&self, order: &TransferOrder, number: &str) -> TransferReport {
        let Ok(name) = self.name(order).await else {
            return unreadable(order);
        };
        let body = transfer::create_body(order, name, &self.settings.notify_url);
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        body["authorization_info"] = self.wish(number);
        let path = format!("{CREATE_PATH}/pre-transfer-with-authorization");
        let answer = match self.created(&path, bytes(&body)).await {
            Ok(answer) => answer,
            Err(word) => return unheard(order, word),
        };
        let report = transfer::report(order.number, Call::Create, &answer);
        let good = (200..300).contains(&answer.status);
        if good || !matches!(answer.status, 400 | 403) {
            return report;
        }
        after(report, self.send(order).await)
    }

    async fn send_direct(&self, order: &TransferOrder, number: &str) -> TransferReport {
        let Ok(user_name) = self.name(order).await else {
            return unreadable(order);
        };
        let direct = Direct {
            appid: order.app.as_str(),
            out_bill_no: order.number.to_string(),
            transfer_scene_id: &order.scene,
            user_recv_perception: transfer::perception(order),
            transfer_scene_report_infos: transfer::infos(order),
            transfer_amount: order.amount.0,
            transfer_remark: &order.remark,
            out_authorization_no: number,
            user_name,
            notify_url: &self.settings.notify_url,
        };
        let body = serde_json::to_vec(&direct).unwrap_or_default();
        match self.created(&format!("{CREATE_PATH}/transfer"), body).await {
            Ok(answer) => transfer::report(order.number, Call::Create, &answer),
            Err(word) => unheard(order, word),
        }
    }

    async fn created(&self, path: &str, body: Vec<u8>) -> Result<Answer, &'static str> {
        let answered = self.call(&self.create, ("POST", path), body).await?;
        Ok(self.proved(answered).await)
    }

    /// What an authorization says of its person: a name that tells nothing.
    fn wish(&self, number: &str) -> Value {
        let tail = number.get(2..8).unwrap_or_default();
        json!({
            "user_display_name": format!("用户{tail}"),
            "out_authorization_no": number,
            "authorization_notify_url": self.settings.notify_url,
        })
    }
}

/// What two sends of one number mean together: a refusal of the second proves nothing about a first
/// one whose fate is not known.
fn after(first: TransferReport, second: TransferReport) -> TransferReport {
    let doubted = matches!(first.finding, Finding::Unknown { .. });
    match second.finding {
        Finding::Refused { .. } | Finding::Unknown { .. } if doubted => first,
        _ => second,
    }
}

fn scene(order: &TransferOrder) -> &str {
    RailKind::scene_id(&order.scene).unwrap_or(&order.scene)
}

fn query_path(number: &str) -> String {
    format!("{PATH}/out-authorization-no/{number}?is_display_authorization=true")
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn told(
    asked: Result<Result<Authorization, (u16, String)>, &'static str>,
) -> Result<Authorization, Fault> {
    match asked {
        Ok(Ok(authorization)) => Ok(authorization),
        Ok(Err((status, code))) => Err(Fault::Broken(format!(
            "the authorization was refused: {status} {code}"
        ))),
        Err(word) => Err(Fault::Retry(word.to_owned())),
    }
}

/// Nothing went out, because it is not known what may.
fn unsent(order: &TransferOrder, word: &str) -> TransferReport {
    let code = word.to_owned();
    let cure = Cure::Later;
    let finding = Finding::Refused { code, cure };
    silent(order.number, Origin::Answer, finding, Evidence::default())
}

fn unreadable(order: &TransferOrder) -> TransferReport {
    let code = "name_unreadable".to_owned();
    let cure = Cure::Person;
    let finding = Finding::Refused { code, cure };
    silent(order.number, Origin::Answer, finding, Evidence::default())
}

fn unheard(order: &TransferOrder, word: &str) -> TransferReport {
    let finding = unanswered(word, Call::Create);
    silent(order.number, Origin::Answer, finding, Evidence::default())
}
