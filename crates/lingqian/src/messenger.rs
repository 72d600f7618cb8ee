//! Users hear of what happens by WeChat's own messages. An app that tells its users is an endpoint
//! of the outbox like any other, so that what is told is planned, leased, tried again and given up
//! as webhooks are; only the way there is another one.
//!
//! It is best effort: nothing that comes of it changes a payout, and what is a day old is not told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::id::{AppId, OpenId, UserId};
use lingqian_core::link::Standing;
use lingqian_core::money::Fen;
use lingqian_core::time::{DAY_MS, Timestamp};
use lingqian_engine::Desk;
use lingqian_engine::notify::IN_HOUSE;
use lingqian_http::wire::title;
use lingqian_io::courier::{Courier, Parcel, Receipt};
use lingqian_io::{Browse as _, Clock as _, Outbox as _, Ports as _};
use lingqian_wechat::message::{NAME_MAX, Told, UserMessage, WechatMessages};
use serde::Deserialize;

use crate::config::messages::MessageEntry;
use crate::output::beijing;
use crate::wire::Wire;
use crate::world::RealClock;

/// What is older is not told any more, in milliseconds.
const AGE_MAX_MS: i64 = DAY_MS;

/// The ways to the users of apps, by app.
pub(crate) type Ways = BTreeMap<AppId, Arc<WechatMessages<RealClock>>>;

/// Carries webhooks to the network, and messages of apps to their users.
pub(crate) struct Carrier(pub(crate) Wire);

impl Courier for Carrier {
    async fn deliver(&self, parcel: Parcel) -> Receipt {
        let Some(app) = parcel.url.strip_prefix(IN_HOUSE) else {
            return self.0.webhooks().deliver(parcel).await;
        };
        let told = self.told(app, &parcel).await;
        told.unwrap_or_else(Receipt::unanswered)
    }
}

/// As much of a notice as messages tell.
#[derive(Deserialize)]
struct Heard {
    #[serde(rename = "type")]
    event: String,
    timestamp: String,
    number: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    id: String,
    user: Option<String>,
    amount_fen: Option<i64>,
    reference: Option<String>,
    code: Option<String>,
}

impl Carrier {
    async fn told(&self, app: &str, parcel: &Parcel) -> Result<Receipt, &'static str> {
        let heard: Heard = serde_json::from_str(&parcel.body).map_err(|_| "notice_unreadable")?;
        let app = AppId::parse(app).map_err(|_| "app_not_configured")?;
        let at: Result<jiff::Timestamp, _> = heard.timestamp.parse();
        let at = at.map_err(|_| "notice_unreadable")?;
        let at = Timestamp(at.as_millisecond());
        let mut entries = self.0.config().messages.iter();
        let entry = entries.find(|entry| entry.app == app.as_str() && entry.event == heard.event);
        let old = self.0.clock().business().since_ms(at) > AGE_MAX_MS;
        let (Some(entry), false) = (entry, old) else {
            return Ok(Receipt::Taken);
        };
        let way = self.0.ways().get(&app).ok_or("app_not_configured")?;
        let Some(to) = self.openid(&heard.data, &app).await? else {
            return Ok(Receipt::Taken);
        };
        let mut name = format!("{}-{app}", heard.number);
        name.truncate(NAME_MAX);
        let fill = |(key, text): (&String, &String)| (key.clone(), filled(text, &heard, at));
        let message = UserMessage {
            to,
            template: entry.template.clone(),
            name,
            page: entry.page.clone(),
            url: entry.url.clone(),
            data: entry.data.iter().map(fill).collect(),
        };
        Ok(match way.send(&message).await {
            Told::Taken => Receipt::Taken,
            Told::Unwanted(errcode) => {
                tracing::debug!(errcode, "a user takes no message");
                Receipt::Taken
            }
            Told::Later(code) => Receipt::unanswered(&code),
            Told::Wrong(errcode) => Receipt::unanswered(&format!("errcode_{errcode}")),
        })
    }

    /// Whom the app knows the user as; nobody where there is no link, or it was ended.
    async fn openid(&self, data: &Data, app: &AppId) -> Result<Option<OpenId>, &'static str> {
        let user = data.user.as_deref().unwrap_or(&data.id);
        let Ok(user) = UserId::parse(user) else {
            return Ok(None);
        };
        let today = self.0.clock().business().business_date();
        let wallet = self.0.store().user(&user, today).await;
        let wallet = wallet.map_err(|_| "store_away")?;
        let link = wallet.and_then(|mut wallet| wallet.links.remove(app));
        let link = link.filter(|link| link.standing != Standing::Revoked);
        Ok(link.map(|link| link.openid))
    }
}

/// A value with what stands in braces.
fn filled(text: &str, heard: &Heard, at: Timestamp) -> String {
    let data = &heard.data;
    let amount = data.amount_fen.map(|fen| Fen(fen).to_string());
    let amount = amount.map(|text| format!("{}元", text.replace('¥', "")));
    let words = [
        ("{title}", title(&heard.event).0.to_owned()),
        ("{amount}", amount.unwrap_or_default()),
        ("{time}", beijing(at)),
        ("{reference}", data.reference.clone().unwrap_or_default()),
        ("{code}", data.code.clone().unwrap_or_default()),
        ("{payout}", data.id.clone()),
    ];
    words.iter().fold(text.to_owned(), |text, (word, value)| {
        text.replace(word, value)
    })
}

/// What an app's endpoint is called.
fn endpoint_id(app: &AppId) -> anyhow::Result<EndpointId> {
    Ok(EndpointId::parse(&format!("we_{app}"))?)
}

/// Endpoints become what the configuration says: one for each app that tells its users, and none
/// for others.
///
/// # Errors
/// When an app has no secret here, or the store fails.
pub(crate) async fn set_up(wire: &Wire, desk: &Desk) -> anyhow::Result<()> {
    let mut wanted: BTreeMap<AppId, BTreeSet<String>> = BTreeMap::new();
    for MessageEntry { app, event, .. } in &wire.config().messages {
        let app = AppId::parse(app)?;
        anyhow::ensure!(
            wire.ways().contains_key(&app),
            "messages: the app {app} is not known here: name its secret in [[apps]]"
        );
        wanted.entry(app).or_default().insert(event.clone());
    }
    let known = wire.store().endpoints().await?;
    let known = known.into_iter().map(|(endpoint, _)| endpoint);
    let known = known.filter(|endpoint| endpoint.url.starts_with(IN_HOUSE));
    let mut known: BTreeMap<EndpointId, Endpoint> =
        known.map(|one| (one.id.clone(), one)).collect();
    for (app, events) in wanted {
        let id = endpoint_id(&app)?;
        let events: Vec<String> = events.into_iter().collect();
        match known.remove(&id) {
            Some(endpoint) if endpoint.events == events => {}
            Some(endpoint) => set(desk, Endpoint { events, ..endpoint }, "change").await?,
            None => {
                let endpoint = Endpoint {
                    id,
                    url: format!("{IN_HOUSE}{app}"),
                    events,
                    note: "messages to users".to_owned(),
                    secrets: Vec::new(),
                    created_at: wire.clock().business(),
                    off: None,
                    deleted: false,
                    after: None,
                };
                set(desk, endpoint, "create").await?;
            }
        }
    }
    for endpoint in known.into_values() {
        let deleted = true;
        set(
            desk,
            Endpoint {
                deleted,
                ..endpoint
            },
            "delete",
        )
        .await?;
    }
    Ok(())
}

async fn set(desk: &Desk, endpoint: Endpoint, what: &'static str) -> anyhow::Result<()> {
    let act = Act::new(Actor::engine(), "the configuration says so")?;
    let command = Command::SetEndpoint {
        endpoint: Box::new(endpoint),
        what,
        act,
    };
    let set = desk.submit(command).await?;
    set.context("an endpoint of messages")?;
    Ok(())
}
