//! The merchant transfer of 2025: create, query, cancel, and what the user does.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::Refused;
use crate::books::{Books, DAY_MS, rfc3339};
use crate::crypto::{hex, random_text, sha256};
use crate::kept::{Id, Outcome, Transfer};
use crate::world::{Member, World};

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

fn missing(field: &str, words: &str) -> Refused {
    Refused::field(
        field,
        format!("输入源“/body/{field}”映射到字段“{words}”必填性规则校验失败，此字段为必填项"),
    )
}

fn length(field: &str, text: &str, max: usize) -> Result<(), Refused> {
    if text.is_empty() {
        return Err(missing(field, field));
    }
    if text.chars().count() > max || text.chars().any(|letter| letter.len_utf8() > 3) {
        let message = format!("输入源“/body/{field}”字符串规则校验失败，最大长度{max}");
        return Err(Refused::field(field, message));
    }
    Ok(())
}

fn read(body: &[u8]) -> Result<Create, Refused> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Refused::new(400, "PARAM_ERROR", "请求体不是合法的JSON"))?;
    let null = value
        .as_object()
        .and_then(|map| map.iter().find(|(_, value)| value.is_null()));
    if let Some((field, _)) = null {
        return Err(Refused::field(field, "字段值不能为null"));
    }
    let create: Create = serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let words = if text.contains("unknown field") {
            "请求中含有未在API文档中定义的参数"
        } else {
            "参数错误"
        };
        let field = text.split('`').nth(1).unwrap_or_default().to_owned();
        Refused::field(&field, words)
    })?;
    length("out_bill_no", &create.out_bill_no, 32)?;
    if !create
        .out_bill_no
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
    {
        return Err(Refused::field(
            "out_bill_no",
            "商户单号只能由数字、大小写字母组成",
        ));
    }
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
    let opened = member
        .certs()
        .decrypt(sealed)
        .or_else(|| member.public_key.decrypt(sealed));
    opened
        .map(Some)
        .ok_or_else(|| Refused::field("user_name", "敏感字段解密失败"))
}

/// Accepts a transfer, or answers how one of that number stands.
pub(crate) fn create(
    world: &World,
    member: &Member,
    books: &mut Books,
    body: &[u8],
) -> Result<Value, Refused> {
    let create = read(body)?;
    check_scene(&create)?;
    let user_name = real_name(member, &create)?;
    let mchid = member.mchid();
    let binding = (mchid.to_owned(), create.appid.clone());
    if !books.bindings.contains(&binding) {
        let words = "商户号和appid没有绑定关系";
        return Err(Refused::new(400, "APPID_MCHID_NOT_MATCH", words));
    }
    if create.transfer_amount < AMOUNT_MIN || create.transfer_amount > world.settings.single_max_fen
    {
        return Err(Refused::invalid("超过单笔转账上下限，核实产品设置是否准确"));
    }
    // An openid is one app's word for a person.
    let owner = books.openids.get(&create.openid);
    let owner = owner.filter(|(appid, _)| *appid == create.appid);
    let Some(person) = owner.and_then(|(_, name)| books.people.get(name)) else {
        return Err(Refused::invalid(
            "Openid格式错误或者不属于商家公众账号，请检查",
        ));
    };
    let wrong_name = match (&user_name, &person.real_name) {
        (Some(given), Some(real)) => given != real,
        _ => false,
    };
    let frozen = person.frozen;
    let transfer = transfer(books, mchid, create, user_name);
    let id = transfer.id();
    if let Some(known) = books.transfers.get(&id) {
        return if same(known, &transfer) {
            Ok(accepted(known))
        } else {
            Err(Refused::invalid("单号已存在但信息不一致，请查单后比较确认"))
        };
    }
    if transfer.amount > books.free_balance(mchid) {
        return Err(Refused::new(403, "NOT_ENOUGH", "资金不足"));
    }
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
    books.advance(&id, outcome);
    Ok(books.transfers.get(&id).map(accepted).unwrap_or_default())
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
pub(crate) fn query(books: &Books, id: Id, theirs: bool) -> Result<Value, Refused> {
    let id = match books.by_bill_no.get(&id).filter(|_| theirs) {
        Some(number) => Id::new(&id.mchid, number),
        None => id,
    };
    let found = books.transfers.get(&id);
    let found = found.filter(|transfer| books.now() - transfer.created_at <= 30 * DAY_MS);
    found
        .map(shown)
        .ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))
}

/// Cancels a transfer whose user has not confirmed.
pub(crate) fn cancel(books: &mut Books, id: &Id) -> Result<Value, Refused> {
    let transfer = books
        .transfers
        .get(id)
        .ok_or_else(|| Refused::invalid("单号错误，请检查"))?;
    match transfer.outcome {
        Outcome::WaitUserConfirm | Outcome::Accepted => {
            books.advance(id, Outcome::Canceling);
        }
        Outcome::Canceling | Outcome::Cancelled => {}
        Outcome::Transfering | Outcome::Success | Outcome::Fail { .. } => {
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
pub(crate) fn confirm(books: &mut Books, id: &Id, receives: bool) -> Result<(), Refused> {
    let transfer = books.transfers.get(id);
    let transfer = transfer.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    if transfer.outcome != Outcome::WaitUserConfirm {
        return Err(Refused::invalid("当前状态不支持确认收款"));
    }
    books.advance(id, Outcome::Transfering);
    let outcome = if receives {
        Outcome::Success
    } else {
        Outcome::Fail {
            reason: "REAL_NAME_CHECK_FAIL".into(),
        }
    };
    books.advance(id, outcome);
    Ok(())
}

/// Goes on with what a sandbox that was killed was about to do. Answers what is being cancelled.
pub(crate) fn go_on(books: &mut Books) -> Vec<Id> {
    let mut cancelling = Vec::new();
    let open: Vec<(Id, Outcome)> = books
        .transfers
        .iter()
        .map(|(id, transfer)| (id.clone(), transfer.outcome.clone()))
        .collect();
    for (id, outcome) in open {
        match outcome {
            Outcome::Accepted => books.advance(&id, Outcome::WaitUserConfirm),
            Outcome::Transfering => books.advance(&id, Outcome::Success),
            Outcome::Canceling => cancelling.push(id),
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
    let due: Vec<Id> = books
        .waiting
        .iter()
        .take_while(|(created_at, _)| now - created_at >= DAY_MS)
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
