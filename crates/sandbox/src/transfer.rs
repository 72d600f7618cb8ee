//! The merchant transfer of 2025: create, query, cancel, and what the user does.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{OTHER_DATA, Refused, UNKNOWN_FIELD};
use crate::authorization::{Whose, Wish, in_effect, wished};
use crate::books::{Books, DAY_MS, rfc3339};
use crate::crypto::{hex, random_text, sha256};
use crate::fields::{
    address, bound, digits_and_letters, enough, length, missing, opened_name, parsed, person,
};
use crate::kept::{Id, Outcome, Transfer};
use crate::lag;
use crate::scenes::scene;
use crate::world::{Member, World};

/// From this amount on the name is required; below the other it is forbidden.
const NAME_REQUIRED_FROM: i64 = 200_000;
const NAME_ALLOWED_FROM: i64 = 30;
/// The smallest transfer.
const AMOUNT_MIN: i64 = 10;
/// The largest one that may look like a red packet.
const RED_PACKET_MAX: i64 = 20_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    appid: String,
    out_bill_no: String,
    transfer_scene_id: String,
    openid: String,
    user_name: Option<String>,
    transfer_amount: i64,
    transfer_remark: String,
    notify_url: Option<String>,
    user_recv_perception: Option<String>,
    transfer_scene_report_infos: Vec<Info>,
    user_recv_style: Option<Style>,
    authorization_info: Option<Wish>,
    #[serde(rename = "sponsor_mchid")]
    _sponsor: Option<String>,
}

/// A transfer that nobody confirms: the receiver is who granted the authorization.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Direct {
    appid: String,
    out_bill_no: String,
    transfer_scene_id: String,
    user_name: Option<String>,
    transfer_amount: i64,
    transfer_remark: String,
    notify_url: Option<String>,
    user_recv_perception: Option<String>,
    transfer_scene_report_infos: Vec<Info>,
    authorization_id: Option<String>,
    out_authorization_no: Option<String>,
    sponsor_mchid: Option<String>,
}

/// How the page looks to the user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Style {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    info_type: String,
    info_content: String,
}

fn check_form(create: &Create) -> Result<(), Refused> {
    digits_and_letters("out_bill_no", &create.out_bill_no)?;
    length("openid", &create.openid, 64)?;
    length("transfer_remark", &create.transfer_remark, 32)?;
    let url = create.notify_url.as_deref();
    url.map_or(Ok(()), |url| address("notify_url", url))
}

fn check_scene(create: &Create) -> Result<(), Refused> {
    let scene = scene(&create.transfer_scene_id)?;
    let needed = scene.reports;
    let infos = &create.transfer_scene_report_infos;
    if infos.is_empty() {
        return Err(Refused::field(
            "transfer_scene_report_infos",
            "需传入转账场景报备信息，请检查",
        ));
    }
    for info in infos {
        length("transfer_scene_report_infos/info_type", &info.info_type, 15)?;
        length(
            "transfer_scene_report_infos/info_content",
            &info.info_content,
            32,
        )?;
    }
    let complete = infos.len() == needed.len()
        && needed
            .iter()
            .all(|kind| infos.iter().any(|info| info.info_type == *kind));
    if !complete {
        return Err(Refused::field(
            "transfer_scene_report_infos",
            "未传入完整且对应的转账场景报备信息，请根据接口文档检查",
        ));
    }
    scene.perceives(create.user_recv_perception.as_deref())?;
    match &create.user_recv_style {
        Some(style) if style.kind == "RED_PACKET" && create.transfer_amount > RED_PACKET_MAX => {
            Err(Refused::invalid("红包样式仅支持200元及以下的转账"))
        }
        Some(style) if !["CONFIRM_PAGE", "RED_PACKET"].contains(&style.kind.as_str()) => {
            Err(Refused::field("user_recv_style/type", "收款样式错误"))
        }
        _ => Ok(()),
    }
}

fn real_name(member: &Member, create: &Create) -> Result<Option<String>, Refused> {
    let Some(sealed) = &create.user_name else {
        return if create.transfer_amount >= NAME_REQUIRED_FROM {
            Err(missing("user_name", "收款用户姓名"))
        } else {
            Ok(None)
        };
    };
    if create.transfer_amount < NAME_ALLOWED_FROM {
        return Err(Refused::field(
            "user_name",
            "转账金额低于0.3元时不允许填写收款用户姓名",
        ));
    }
    opened_name(member, sealed).map(Some)
}

/// Whether a body is a transfer by its form.
pub(crate) fn reads(body: &[u8]) -> bool {
    let create = parsed::<Create>(body);
    let formed = create.and_then(|create| check_form(&create).and_then(|()| check_scene(&create)));
    formed.is_ok() | parsed::<Direct>(body).is_ok()
}

/// Accepts a transfer, or answers how one of that number stands.
pub(crate) fn create(
    world: &World,
    member: &Member,
    books: &mut Books,
    body: &[u8],
) -> Result<Value, Refused> {
    let create: Create = parsed(body)?;
    if create.authorization_info.is_some() {
        return Err(Refused::field("authorization_info", UNKNOWN_FIELD));
    }
    begin((world, member), books, create, None)
}

/// The same, with the wish for an authorization that the user grants beside it.
pub(crate) fn pre_transfer(
    world: &World,
    member: &Member,
    books: &mut Books,
    body: &[u8],
) -> Result<Value, Refused> {
    let mut create: Create = parsed(body)?;
    let wish = create.authorization_info.take();
    let wish = wish.ok_or_else(|| missing("authorization_info", "授权信息"))?;
    begin((world, member), books, create, Some(wish))
}

/// Pays somebody who granted an authorization; nobody confirms.
pub(crate) fn direct(
    world: &World,
    member: &Member,
    books: &mut Books,
    body: &[u8],
) -> Result<Value, Refused> {
    let direct: Direct = parsed(body)?;
    let id = Id::new(member.mchid(), &direct.out_bill_no);
    if let Some(known) = books.transfers.get(&id) {
        let rests_on = |known: &Transfer| {
            let number = known.authorization.clone().unwrap_or_default();
            let number = Id::new(member.mchid(), &number);
            let found = books.authorizations.get(&number);
            let named = direct.out_authorization_no.as_deref();
            found.is_some_and(|found| match &direct.authorization_id {
                Some(id) => found.id == *id && named.is_none_or(|named| found.number == named),
                None => named == Some(&*found.number),
            })
        };
        let infos = direct.transfer_scene_report_infos.iter();
        let infos: Vec<_> = infos
            .map(|info| (info.info_type.clone(), info.info_content.clone()))
            .collect();
        let same = known.direct
            && rests_on(known)
            && (known.amount, &known.scene, &known.remark)
                == (
                    direct.transfer_amount,
                    &direct.transfer_scene_id,
                    &direct.transfer_remark,
                )
            && (&known.appid, &known.infos) == (&direct.appid, &infos);
        return if same {
            Ok(shown(known))
        } else {
            Err(Refused::invalid(OTHER_DATA))
        };
    }
    let granted = in_effect(
        books,
        member.mchid(),
        direct.out_authorization_no.as_deref(),
        direct.authorization_id.as_deref(),
    )?;
    if granted.scene != direct.transfer_scene_id {
        return Err(Refused::invalid("授权的转账场景与当前转账场景不一致"));
    }
    let (authorization, openid) = (granted.number.clone(), granted.openid.clone());
    let create = Create {
        appid: direct.appid,
        out_bill_no: direct.out_bill_no,
        transfer_scene_id: direct.transfer_scene_id,
        openid,
        user_name: direct.user_name,
        transfer_amount: direct.transfer_amount,
        transfer_remark: direct.transfer_remark,
        notify_url: direct.notify_url,
        user_recv_perception: direct.user_recv_perception,
        transfer_scene_report_infos: direct.transfer_scene_report_infos,
        user_recv_style: None,
        authorization_info: None,
        _sponsor: direct.sponsor_mchid,
    };
    let transfer = checked((world, member), books, create)?;
    let transfer = Transfer {
        authorization: Some(authorization),
        direct: true,
        ..transfer
    };
    enough(books, member.mchid(), transfer.amount)?;
    keep(books, transfer);
    Ok(books.transfers.get(&id).map(shown).unwrap_or_default())
}

/// Records a transfer that was accepted, and lets it go as far as it goes at once.
fn keep(books: &mut Books, transfer: Transfer) {
    let id = transfer.id();
    books.record(crate::journal::Record::Created {
        transfer: Box::new(transfer),
    });
    lag::go(books, &id);
}

/// A transfer whose every rule is kept.
fn checked(
    (world, member): (&World, &Member),
    books: &Books,
    create: Create,
) -> Result<Transfer, Refused> {
    check_form(&create)?;
    check_scene(&create)?;
    let user_name = real_name(member, &create)?;
    let mchid = member.mchid();
    bound(books, mchid, &create.appid)?;
    if create.transfer_amount < AMOUNT_MIN || create.transfer_amount > world.settings.single_max_fen
    {
        return Err(Refused::invalid("超过单笔转账上下限，核实产品设置是否准确"));
    }
    // An openid is one app's word for a person.
    person(books, &create.appid, &create.openid)?;
    Ok(transfer(books, mchid, create, user_name))
}

fn begin(
    (world, member): (&World, &Member),
    books: &mut Books,
    create: Create,
    wish: Option<Wish>,
) -> Result<Value, Refused> {
    let mut transfer = checked((world, member), books, create)?;
    transfer.authorization = wish.as_ref().map(|wish| wish.number().to_owned());
    let (id, mchid) = (transfer.id(), member.mchid());
    if let Some(known) = books.transfers.get(&id) {
        return if same(known, &transfer) {
            Ok(accepted(known))
        } else {
            Err(Refused::invalid(OTHER_DATA))
        };
    }
    enough(books, mchid, transfer.amount)?;
    if let Some(wish) = &wish {
        let whose = Whose {
            mchid,
            appid: &transfer.appid,
            openid: &transfer.openid,
            scene: &transfer.scene,
        };
        wished(books, &whose, wish)?;
    }
    keep(books, transfer);
    let mut told = books.transfers.get(&id).map(accepted).unwrap_or_default();
    if let Some(wish) = &wish {
        told["user_display_name"] = json!(wish.display_name());
    }
    Ok(told)
}

fn transfer(books: &Books, mchid: &str, create: Create, user_name: Option<String>) -> Transfer {
    let now = books.now();
    let digest = hex(&sha256(
        format!("{mchid}/{}", create.out_bill_no).as_bytes(),
    ));
    let digits: String = digest
        .bytes()
        .map(|byte| char::from(b'0' + byte % 10))
        .collect();
    let infos = create.transfer_scene_report_infos.into_iter();
    Transfer {
        mchid: mchid.to_owned(),
        transfer_bill_no: format!("1330{}", &digits[..30]),
        out_bill_no: create.out_bill_no,
        appid: create.appid,
        openid: create.openid,
        amount: create.transfer_amount,
        scene: create.transfer_scene_id,
        infos: infos
            .map(|info| (info.info_type, info.info_content))
            .collect(),
        remark: create.transfer_remark,
        user_name,
        notify_url: create.notify_url,
        package: format!("ABBQO{}", random_text(43)),
        created_at: now,
        outcome: Outcome::Accepted,
        updated_at: now,
        locked: false,
        authorization: None,
        direct: false,
    }
}

fn same(known: &Transfer, again: &Transfer) -> bool {
    known.appid == again.appid
        && known.openid == again.openid
        && known.amount == again.amount
        && known.scene == again.scene
        && known.infos == again.infos
        && known.remark == again.remark
        && known.user_name == again.user_name
        && (&known.authorization, known.direct) == (&again.authorization, again.direct)
}

fn accepted(transfer: &Transfer) -> Value {
    let mut answer = json!({
        "out_bill_no": transfer.out_bill_no,
        "transfer_bill_no": transfer.transfer_bill_no,
        "create_time": rfc3339(transfer.created_at),
        "state": transfer.outcome.word(),
    });
    match &transfer.outcome {
        Outcome::WaitUserConfirm => answer["package_info"] = json!(transfer.package),
        Outcome::Fail { reason } => answer["fail_reason"] = json!(reason),
        _ => {}
    }
    answer
}

/// What a query answers.
pub(crate) fn shown(transfer: &Transfer) -> Value {
    let mut answer = json!({
        "mch_id": transfer.mchid,
        "out_bill_no": transfer.out_bill_no,
        "transfer_bill_no": transfer.transfer_bill_no,
        "appid": transfer.appid,
        "state": transfer.outcome.word(),
        "transfer_amount": transfer.amount,
        "transfer_remark": transfer.remark,
        "openid": transfer.openid,
        "create_time": rfc3339(transfer.created_at),
        "update_time": rfc3339(transfer.updated_at),
    });
    match &transfer.outcome {
        Outcome::Fail { reason } => answer["fail_reason"] = json!(reason),
        Outcome::Cancelled => answer["fail_reason"] = json!("MCH_CANCEL"),
        _ => {}
    }
    answer
}

/// How a transfer of the merchant stands; `theirs` says that the number is WeChat's and not the
/// merchant's. Another merchant's number is one that does not exist.
pub(crate) fn query(
    member: &Member,
    books: &Books,
    id: Id,
    theirs: bool,
) -> Result<Value, Refused> {
    let id = match books.by_bill_no.get(&id).filter(|_| theirs) {
        Some(number) => Id::new(&id.mchid, number),
        None => id,
    };
    let found = books.transfers.get(&id);
    let found = found.filter(|transfer| books.now() - transfer.created_at <= 30 * DAY_MS);
    let found = found.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    let mut told = shown(found);
    let name = found.user_name.as_deref();
    if let Some(sealed) = name.and_then(|name| member.certs().sealed_name(name)) {
        told["user_name"] = json!(sealed);
    }
    Ok(told)
}

/// Cancels a transfer whose user has not confirmed.
pub(crate) fn cancel(books: &mut Books, id: &Id) -> Result<Value, Refused> {
    let transfer = books
        .transfers
        .get(id)
        .ok_or_else(|| Refused::invalid("单号错误，请检查"))?;
    match transfer.outcome {
        Outcome::Accepted | Outcome::Processing | Outcome::WaitUserConfirm => {
            books.advance(id, Outcome::Canceling);
        }
        Outcome::Canceling | Outcome::Cancelled => {}
        Outcome::Transfering { .. } | Outcome::Success | Outcome::Fail { .. } => {
            return Err(Refused::invalid("当前状态不支持撤销"));
        }
    }
    let transfer = books.transfers.get(id);
    Ok(transfer.map_or(Value::Null, |transfer| {
        json!({
            "out_bill_no": transfer.out_bill_no,
            "transfer_bill_no": transfer.transfer_bill_no,
            "state": transfer.outcome.word(),
            "update_time": rfc3339(transfer.updated_at),
        })
    }))
}

/// The user confirms on the phone; a wallet that may not receive lets it fail.
///
/// `reason` is why it fails; nothing where it arrives.
pub(crate) fn confirm(books: &mut Books, id: &Id, reason: Option<&str>) -> Result<(), Refused> {
    let transfer = books.transfers.get(id);
    let transfer = transfer.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    if transfer.outcome != Outcome::WaitUserConfirm {
        return Err(Refused::invalid("当前状态不支持确认收款"));
    }
    let asked = transfer.authorization.clone();
    let fails = reason.map(str::to_owned);
    books.advance(id, Outcome::Transfering { fails });
    if let Some(asked) = asked {
        // Who confirms the money grants the authorization that came with it.
        books.grant_authorization(&Id::new(&id.mchid, &asked));
    }
    lag::go(books, id);
    Ok(())
}

/// What a sandbox that was killed was about to cancel.
pub(crate) fn cancelling(books: &Books) -> Vec<Id> {
    let all = books.transfers.iter();
    let open = all.filter(|(_, transfer)| transfer.outcome == Outcome::Canceling);
    open.map(|(id, _)| id.clone()).collect()
}

/// Ends what waits for a day; WeChat is late sometimes.
pub(crate) fn close_due(world: &World, books: &mut Books) {
    let now = books.now();
    let faults = world.faults().clone();
    let due: Vec<Id> = books
        .waiting
        .iter()
        .take_while(|(created_at, _)| now - created_at >= DAY_MS)
        .filter(|(created_at, id)| now - created_at >= DAY_MS + faults.close_lag_ms(&id.number))
        .map(|(_, id)| id.clone())
        .collect();
    for id in due {
        books.advance(
            &id,
            Outcome::Fail {
                reason: "OVERDUE_CLOSE".into(),
            },
        );
    }
}
