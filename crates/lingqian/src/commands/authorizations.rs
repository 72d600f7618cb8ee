//! `lingqian authorizations`: what users granted once so that they confirm no payout, as WeChat has
//! it. Nothing of it is in the books but who asked for it or had it closed, and why: the number of an
//! authorization follows from whose it is, and WeChat is asked each time.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::id::{MchId, OutBillNo, PayoutId, UserId};
use lingqian_core::link::{Link, LinkAct};
use lingqian_core::money::Fen;
use lingqian_core::transfer::{Merchant, TransferOrder};
use lingqian_io::links::{LinkFilter, Links as _};
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use lingqian_wechat::authorized::{Found, number};
use serde_json::{Value, json};

use crate::cli::{Authorizations, ByHand, OfUser, Why};
use crate::door::Door;
use crate::home::Home;
use crate::output::show;
use crate::store::Purpose;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When the user has no link that the merchant can pay by, or WeChat does not do it.
pub(crate) async fn run(
    home: &Home,
    command: &Authorizations,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    wire.follow_sandbox_clock().await;
    let found: Vec<Value> = match command {
        Authorizations::Apply(by) => vec![apply(&wire, home, by).await?],
        Authorizations::Query(of) => vec![query(&wire, of).await?],
        Authorizations::Close(by) => vec![close(&wire, home, by).await?],
        Authorizations::List { merchant, limit } => {
            list(&wire, merchant.as_deref(), *limit).await?
        }
    };
    show(json, &found, |out| {
        for one in &found {
            let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or("-");
            let (user, mchid, app) = (text("user"), text("mchid"), text("app"));
            let (no, state) = (text("out_authorization_no"), text("state"));
            writeln!(out, "{user}  {mchid}  {app}  {no}  {state}")?;
            if let Some(package) = one.get("package_info").and_then(Value::as_str) {
                writeln!(out, "    the page on which it is granted: {package}")?;
            }
        }
        if found.is_empty() {
            writeln!(out, "no linked users")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The merchant of that number, or the first one.
fn merchant<'w>(wire: &'w Wire, mchid: Option<&str>) -> anyhow::Result<&'w Merchant> {
    let mut all = wire.merchants().iter();
    match mchid {
        None => all.find(|one| one.begins()).context("no merchant pays"),
        Some(mchid) => {
            let known = all.find(|one| one.mchid.as_str() == mchid);
            known.with_context(|| format!("the merchant {mchid} is not configured"))
        }
    }
}

/// Whose authorization is meant: an order that is never sent names merchant, app, person and scene.
fn order(merchant: &Merchant, link: &Link) -> TransferOrder {
    TransferOrder {
        number: OutBillNo::new(PayoutId::from_bits(0), 1),
        mchid: merchant.mchid.clone(),
        app: link.app.clone(),
        openid: link.openid.clone(),
        amount: Fen::ZERO,
        scene: merchant.scene.clone(),
        scene_report: Vec::new(),
        remark: String::new(),
        name: None,
        seat: None,
    }
}

/// The link by which a merchant pays a user.
async fn of_user(wire: &Wire, of: &OfUser) -> anyhow::Result<(UserId, TransferOrder)> {
    let user = UserId::parse(&of.user);
    let user = user.with_context(|| format!("{:?} is not a user id; it", of.user))?;
    let today = wire.clock().business().business_date();
    let wallet = wire.store().user(&user, today).await?;
    let wallet = wallet.with_context(|| format!("no user is registered as {user}"))?;
    let named = match of.merchant.as_deref() {
        None => wire.merchants().iter().filter(|one| one.begins()).collect(),
        named => vec![merchant(wire, named)?],
    };
    let held = |merchant: &Merchant| {
        let links = merchant.apps.iter().filter_map(|app| wallet.links.get(app));
        let mut held = links.filter(|link| link.holds());
        held.next().map(|link| order(merchant, link))
    };
    let order = named.into_iter().find_map(held);
    let order = order.with_context(|| {
        format!("no_paying_app: {user} has no link with an app that the merchant pays under")
    })?;
    Ok((user, order))
}

fn value(user: &UserId, order: &TransferOrder, found: &Found) -> Value {
    json!({
        "user": user.as_str(),
        "mchid": order.mchid.as_str(),
        "app": order.app.as_str(),
        "out_authorization_no": number(order, found.turn),
        "state": found.state(),
        "package_info": found.package(),
    })
}

async fn ask(wire: &Wire, mchid: &MchId, order: &TransferOrder) -> anyhow::Result<Found> {
    let rail = wire.rail().of(mchid);
    let rail = rail.with_context(|| format!("no keys of merchant {mchid} are here"))?;
    Ok(rail.pay().find_authorization(order).await?)
}

async fn query(wire: &Wire, of: &OfUser) -> anyhow::Result<Value> {
    let (user, order) = of_user(wire, of).await?;
    let found = ask(wire, &order.mchid, &order).await?;
    Ok(value(&user, &order, &found))
}

/// Puts on record who does it, before WeChat hears of it.
async fn noted(
    home: &Home,
    (user, order): (&UserId, &TransferOrder),
    what: LinkAct,
    why: &Why,
) -> anyhow::Result<()> {
    let door = Door::open(home).await?;
    door.link(user, Some(&order.app), what, why).await?;
    Ok(())
}

async fn apply(wire: &Wire, home: &Home, by: &ByHand) -> anyhow::Result<Value> {
    let (user, order) = of_user(wire, &by.of).await?;
    let found = ask(wire, &order.mchid, &order).await?;
    if found.state() == "TAKING_EFFECT" {
        return Ok(value(&user, &order, &found));
    }
    noted(home, (&user, &order), LinkAct::ApplyAuthorization, &by.why).await?;
    let rail = wire.rail().of(&order.mchid);
    let rail = rail.context("the merchant's keys are not here any more")?;
    let applied = rail
        .pay()
        .apply_for_authorization(&order, found.turn)
        .await?;
    let found = Found {
        turn: found.turn,
        known: Some(applied),
    };
    Ok(value(&user, &order, &found))
}

async fn close(wire: &Wire, home: &Home, by: &ByHand) -> anyhow::Result<Value> {
    let (user, order) = of_user(wire, &by.of).await?;
    let found = ask(wire, &order.mchid, &order).await?;
    anyhow::ensure!(
        found.known.is_some(),
        "nothing_to_close: WeChat has no open authorization of {user}; nothing changed"
    );
    let rail = wire.rail().of(&order.mchid);
    let rail = rail.context("the merchant's keys are not here any more")?;
    noted(home, (&user, &order), LinkAct::CloseAuthorization, &by.why).await?;
    let no = number(&order, found.turn);
    let closed = rail.pay().close_authorization(&no).await?;
    let found = Found {
        turn: found.turn,
        known: Some(closed),
    };
    Ok(value(&user, &order, &found))
}

async fn list(wire: &Wire, mchid: Option<&str>, limit: u32) -> anyhow::Result<Vec<Value>> {
    let merchant = merchant(wire, mchid)?;
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < limit as usize {
        let filter = LinkFilter {
            after: after.take(),
            limit,
            ..LinkFilter::default()
        };
        let rows = wire.store().links(filter).await?;
        after = rows.last().map(|row| (row.link.user, row.link.app.clone()));
        let own = rows.iter().filter(|row| row.link.holds());
        let own = own.filter(|row| merchant.is_bound_to(&row.link.app));
        for row in own.take(limit as usize - found.len()) {
            let order = order(merchant, &row.link);
            let one = ask(wire, &merchant.mchid, &order).await?;
            found.push(value(&row.user, &order, &one));
        }
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}
