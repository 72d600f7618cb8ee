//! The merchant transfer of 2025: create, query, cancel, and what the user does.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::Refused;
use crate::books::{Books, DAY_MS, Outcome, Transfer, rfc3339};
use crate::crypto::{hex, random_text, sha256};
use crate::fields::{digits_and_letters, length, missing, opened_name, parsed};
use crate::server::World;

/// Scenes with the reports that each needs, exactly.
const SCENES: [(&str, &[&str]); 8] = [
    ("1000", &["活动名称", "奖励说明"]),
    ("1002", &["补贴类型"]),
    ("1004", &["保险产品备案编号", "保险名称", "保险操作单号"]),
    ("1005", &["岗位类型", "报酬说明"]),
    ("1009", &["采购商品名称"]),
    ("1010", &["回收商品名称"]),
    ("1011", &["赔付原因"]),
    ("1013", &["公益活动名称", "公益活动备案编号"]),
];

/// From this amount on the name is required; below the other it is forbidden.
const NAME_REQUIRED_FROM: i64 = 200_000;
const NAME_ALLOWED_FROM: i64 = 30;
/// The smallest transfer.
const AMOUNT_MIN: i64 = 10;

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
    #[serde(rename = "user_recv_style")]
    _style: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    info_type: String,
    info_content: String,
}

fn read(body: &[u8]) -> Result<Create, Refused> {
    let create: Create = parsed(body)?;
    digits_and_letters("out_bill_no", &create.out_bill_no)?;
    length("openid", &create.openid, 64)?;
    length("transfer_remark", &create.transfer_remark, 32)?;
    if let Some(url) = &create.notify_url {
        length("notify_url", url, 256)?;
        if !url.starts_with("http") || url.contains('?') {
            return Err(Refused::field("notify_url", "通知地址必须为不带参数的URL"));
        }
    }
    Ok(create)
}

fn check_scene(create: &Create) -> Result<(), Refused> {
    let Some((_, needed)) = SCENES
        .iter()
        .find(|(id, _)| *id == create.transfer_scene_id)
    else {
        return Err(Refused::invalid("商户未开通该转账场景"));
    };
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
    let perception = create.user_recv_perception.as_deref();
    let known = [
        "活动奖励",
        "现金奖励",
        "劳务报酬",
        "报销款",
        "企业补贴",
        "货款",
        "退款",
    ];
    if perception.is_some_and(|words| !known.contains(&words)) {
        return Err(Refused::invalid("暂不支持展示当前传入的用户收款感知"));
    }
    Ok(())
}

fn real_name(world: &World, create: &Create) -> Result<Option<String>, Refused> {
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
    opened_name(world, sealed).map(Some)
}

/// Accepts a transfer, or answers how one of that number stands.
pub(crate) fn create(world: &World, books: &mut Books, body: &[u8]) -> Result<Value, Refused> {
    let create = read(body)?;
    check_scene(&create)?;
    let user_name = real_name(world, &create)?;
    if create.appid != books.appid {
        return Err(Refused::invalid("商户号和appid没有绑定关系"));
    }
    if create.transfer_amount < AMOUNT_MIN || create.transfer_amount > world.settings.single_max_fen
    {
        return Err(Refused::invalid("超过单笔转账上下限，核实产品设置是否准确"));
    }
    let Some(person) = books
        .openids
        .get(&create.openid)
        .and_then(|name| books.people.get(name))
    else {
        return Err(Refused::invalid(
            "Openid格式错误或者不属于商家公众账号，请检查",
        ));
    };
    let wrong_name = match (&user_name, &person.real_name) {
        (Some(given), Some(real)) => given != real,
        _ => false,
    };
    let frozen = person.frozen;
    let transfer = transfer(books, create, user_name);
    if let Some(known) = books.transfers.get(&transfer.out_bill_no) {
        return if same(known, &transfer) {
            Ok(accepted(known))
        } else {
            Err(Refused::invalid("单号已存在但信息不一致，请查单后比较确认"))
        };
    }
    if transfer.amount > books.free_balance() {
        return Err(Refused::new(403, "NOT_ENOUGH", "资金不足"));
    }
    let number = transfer.out_bill_no.clone();
    books.record(crate::journal::Record::Created {
        transfer: Box::new(transfer),
    });
    let outcome = if wrong_name {
        Outcome::Fail {
            reason: "NAME_NOT_CORRECT".into(),
        }
    } else if frozen {
        Outcome::Fail {
            reason: "ACCOUNT_FROZEN".into(),
        }
    } else {
        Outcome::WaitUserConfirm
    };
    books.advance(&number, outcome);
    Ok(books
        .transfers
        .get(&number)
        .map(accepted)
        .unwrap_or_default())
}

fn transfer(books: &Books, create: Create, user_name: Option<String>) -> Transfer {
    let now = books.now();
    let digest = hex(&sha256(create.out_bill_no.as_bytes()));
    let digits: String = digest
        .bytes()
        .map(|byte| char::from(b'0' + byte % 10))
        .collect();
    let infos = create.transfer_scene_report_infos.into_iter();
    Transfer {
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
pub(crate) fn shown(books: &Books, transfer: &Transfer) -> Value {
    let mut answer = json!({
        "mch_id": books.mchid,
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

/// How a transfer stands; `ours` is WeChat's number and not the merchant's.
pub(crate) fn query(books: &Books, number: &str, ours: bool) -> Result<Value, Refused> {
    let number = if ours {
        books.by_bill_no.get(number).map_or(number, String::as_str)
    } else {
        number
    };
    let found = books.transfers.get(number);
    let found = found.filter(|transfer| books.now() - transfer.created_at <= 30 * DAY_MS);
    found
        .map(|transfer| shown(books, transfer))
        .ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))
}

/// Cancels a transfer whose user has not confirmed.
pub(crate) fn cancel(books: &mut Books, number: &str) -> Result<Value, Refused> {
    let transfer = books
        .transfers
        .get(number)
        .ok_or_else(|| Refused::invalid("单号错误，请检查"))?;
    match transfer.outcome {
        Outcome::WaitUserConfirm | Outcome::Accepted => {
            books.advance(number, Outcome::Canceling);
        }
        Outcome::Canceling | Outcome::Cancelled => {}
        Outcome::Transfering | Outcome::Success | Outcome::Fail { .. } => {
            return Err(Refused::invalid("当前状态不支持撤销"));
        }
    }
    let transfer = books.transfers.get(number);
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
pub(crate) fn confirm(books: &mut Books, number: &str, receives: bool) -> Result<(), Refused> {
    let transfer = books.transfers.get(number);
    let transfer = transfer.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    if transfer.outcome != Outcome::WaitUserConfirm {
        return Err(Refused::invalid("当前状态不支持确认收款"));
    }
    books.advance(number, Outcome::Transfering);
    let outcome = if receives {
        Outcome::Success
    } else {
        Outcome::Fail {
            reason: "REAL_NAME_CHECK_FAIL".into(),
        }
    };
    books.advance(number, outcome);
    Ok(())
}

/// Goes on with what a sandbox that was killed was about to do. Answers what is being cancelled.
pub(crate) fn go_on(books: &mut Books) -> Vec<String> {
    let mut cancelling = Vec::new();
    let open: Vec<(String, Outcome)> = books
        .transfers
        .iter()
        .map(|(number, transfer)| (number.clone(), transfer.outcome.clone()))
        .collect();
    for (number, outcome) in open {
        match outcome {
            Outcome::Accepted => books.advance(&number, Outcome::WaitUserConfirm),
            Outcome::Transfering => books.advance(&number, Outcome::Success),
            Outcome::Canceling => cancelling.push(number),
            Outcome::WaitUserConfirm
            | Outcome::Success
            | Outcome::Fail { .. }
            | Outcome::Cancelled => {}
        }
    }
    cancelling
}

/// Ends what waits for a day, and what is being cancelled.
pub(crate) fn close_due(books: &mut Books) {
    let now = books.now();
    let due: Vec<String> = books
        .waiting
        .iter()
        .take_while(|(created_at, _)| now - created_at >= DAY_MS)
        .map(|(_, number)| number.clone())
        .collect();
    for number in due {
        books.advance(
            &number,
            Outcome::Fail {
                reason: "OVERDUE_CLOSE".into(),
            },
        );
    }
}
