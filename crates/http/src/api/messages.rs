//! The inbox of a user: what the user was told, and what of it was read.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use lingqian_core::id::UserId;
use lingqian_io::inbox::InboxWish;
use lingqian_io::{Browse as _, Clock as _, Inbox as _, Outbox as _, Ports};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::acts::Body;
use crate::request::{self, Query, id};
use crate::wire::message;
use crate::{Doors, Problem};

/// A user who is there.
pub(crate) async fn known<P: Ports>(doors: &Doors<P>, user: &str) -> Result<UserId, Problem> {
    let user = id("/id", user, UserId::parse)?;
    let today = doors.ports.clock().business().business_date();
    let wallet = doors.ports.store().user(&user, today).await?;
    wallet.ok_or_else(|| Problem::not_found("user"))?;
    Ok(user)
}

fn wish(user: UserId, before: Option<i64>, limit: u32) -> InboxWish {
    InboxWish {
        user,
        events: message::events(),
        before,
        limit,
    }
}

/// Lists a user's messages, the newest first.
pub(crate) async fn list<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = query.limit()?;
    let before = query.cursor()?;
    let user = known(&doors, &user).await?;
    let found = doors.ports.store().inbox(wish(user, before, limit + 1));
    let found = found.await?;
    let has_more = found.page.len() > limit as usize;
    let page = &found.page[..found.page.len().min(limit as usize)];
    let data: Vec<String> = page
        .iter()
        .map(|told| message::shown(told, found.read_to))
        .collect();
    let next = page.last().filter(|_| has_more).map(|told| told.number);
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    let (data, unread, read_to) = (data.join(","), found.unread, found.read_to);
    let body = format!(
        r#"{{"data":[{data}],"unread":{unread},"read_to":{read_to},"has_more":{has_more},"next_cursor":{next}}}"#
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadTo {
    to: i64,
}

/// Notes that a user read the messages up to a number.
pub(crate) async fn read<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let ReadTo { to } = request::json(&headers, &request::body(body)?)?;
    let store = doors.ports.store();
    let newest = store.newest_notice().await?;
    if !(0..=newest).contains(&to) {
        let detail = format!("to must be the number of a message, from 0 to {newest}");
        return Err(Problem::field("/to", "field_invalid", detail));
    }
    let user = known(&doors, &user).await?;
    store.read_inbox(user.clone(), to).await?;
    let found = store.inbox(wish(user, None, 1)).await?;
    Ok(Json(
        json!({ "read_to": found.read_to, "unread": found.unread }),
    ))
}
