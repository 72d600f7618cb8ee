//! Batches (2021): many transfers under one number, without anybody's confirmation. They take
//! their time, and some of them may fail while others are paid.

mod life;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::{OTHER_DATA, Refused, TOO_LATE};
use crate::books::{Books, DAY_MS, rfc3339};
use crate::crypto::{hex, sha256};
use crate::faults::Fault;
use crate::fields::{
    address, bound, digits_and_letters, enough, length, opened_name, parsed, person,
};
use crate::journal::Record;
use crate::kept::Id;
use crate::world::{Member, World};
pub(crate) use life::pass;

/// The most items of a batch.
const ITEMS_MAX: usize = 1_000;
/// From this amount on names are required; below the other they are forbidden.
const NAME_REQUIRED_FROM: i64 = 200_000;
const NAME_ALLOWED_FROM: i64 = 30;
/// The same number may be sent again for so long.
const AGAIN_MS: i64 = 3 * DAY_MS;

/// What details can be asked for.
const STATUSES: [&str; 4] = ["ALL", "SUCCESS", "FAIL", "WAIT_PAY"];

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Batch {
    pub(crate) mchid: String,
    pub(crate) number: String,
    pub(crate) batch_id: String,
    pub(crate) wanted: Wanted,
    pub(crate) items: Vec<Item>,
    pub(crate) status: Status,
    pub(crate) close_reason: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// When it next moves on.
    pub(crate) due_at: Option<i64>,
    /// Whether the account never has the money for it.
    pub(crate) unfunded: bool,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Accepted,
    Processing,
    Finished,
    Closed,
}

/// One transfer of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Item {
    pub(crate) number: String,
    pub(crate) detail_id: String,
    pub(crate) openid: String,
    pub(crate) amount: i64,
    pub(crate) remark: String,
    pub(crate) name: Option<String>,
    pub(crate) status: ItemStatus,
    pub(crate) fail_reason: Option<String>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ItemStatus {
    Init,
    Processing,
    Success,
    Fail,
}

/// What a batch says beside its items.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Wanted {
    pub(crate) appid: String,
    pub(crate) name: String,
    pub(crate) remark: String,
    pub(crate) scene: Option<String>,
    pub(crate) notify_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    appid: String,
    out_batch_no: String,
    batch_name: String,
    batch_remark: String,
    total_amount: i64,
    total_num: usize,
    transfer_detail_list: Vec<Detail>,
    transfer_scene_id: Option<String>,
    notify_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    out_detail_no: String,
    transfer_amount: i64,
    transfer_remark: String,
    openid: String,
    user_name: Option<String>,
    /// Of old; whoever still sends it is not refused.
    #[serde(rename = "user_id_card")]
    _user_id_card: Option<String>,
}

fn wrong(words: &str) -> Refused {
    Refused::new(400, "PARAM_ERROR", format!("转账批次参数不正确：{words}"))
}

fn read(body: &[u8]) -> Result<Create, Refused> {
    let create: Create = parsed(body)?;
    digits_and_letters("out_batch_no", &create.out_batch_no)?;
    length("batch_name", &create.batch_name, 32)?;
    length("batch_remark", &create.batch_remark, 32)?;
    if let Some(url) = &create.notify_url {
        address("notify_url", url)?;
    }
    let details = &create.transfer_detail_list;
    if details.is_empty() || details.len() > ITEMS_MAX || create.total_num != details.len() {
        return Err(wrong("转账总笔数与明细不一致"));
    }
    let amounts = details
        .iter()
        .map(|detail| i128::from(detail.transfer_amount));
    if i128::from(create.total_amount) != amounts.sum::<i128>()
        || details.iter().any(|detail| detail.transfer_amount < 1)
    {
        return Err(wrong("转账总金额与明细不一致"));
    }
    let mut numbers = BTreeSet::new();
    for detail in details {
        digits_and_letters("out_detail_no", &detail.out_detail_no)?;
        length("transfer_remark", &detail.transfer_remark, 32)?;
        length("openid", &detail.openid, 64)?;
        if !numbers.insert(&detail.out_detail_no) {
            return Err(wrong("商家明细单号重复"));
        }
    }
    let named = details.iter().filter(|detail| detail.user_name.is_some());
    let named = named.count();
    let required = |detail: &Detail| detail.transfer_amount >= NAME_REQUIRED_FROM;
    let forbidden = |detail: &Detail| detail.transfer_amount < NAME_ALLOWED_FROM;
    if (named != 0 && named != details.len())
        || (named == 0 && details.iter().any(required))
        || (named > 0 && details.iter().any(forbidden))
    {
        return Err(wrong("收款用户姓名需同时填写或同时不填"));
    }
    Ok(create)
}

/// Accepts a batch, or answers how one of that number stands.
pub(crate) fn create(
    world: &World,
    member: &Member,
    books: &mut Books,
    body: &[u8],
) -> Result<Value, Refused> {
    let create = read(body)?;
    bound(books, member.mchid(), &create.appid)?;
    for detail in &create.transfer_detail_list {
        person(books, &create.appid, &detail.openid)?;
    }
    let total = create.total_amount;
    let batch = batch(world, member, books, create)?;
    if let Some(known) = books.batches.get(&batch.id()) {
        return again(books, known, &batch);
    }
    enough(books, member.mchid(), total)?;
    let answer = accepted(&batch);
    let batch = Box::new(batch);
    books.record(Record::Batch { batch });
    Ok(answer)
}

/// Whether a body is a batch by its form.
pub(crate) fn reads(body: &[u8]) -> bool {
    read(body).is_ok()
}

fn again(books: &Books, known: &Batch, again: &Batch) -> Result<Value, Refused> {
    let what = |batch: &Batch| {
        let item = |item: &Item| {
            let text = (
                item.number.clone(),
                item.openid.clone(),
                item.remark.clone(),
            );
            (text, item.amount, item.name.clone())
        };
        let items: Vec<_> = batch.items.iter().map(item).collect();
        let notify_url = None;
        let wanted = batch.wanted.clone();
        (
            Wanted {
                notify_url,
                ..wanted
            },
            items,
        )
    };
    if what(known) != what(again) {
        return Err(Refused::invalid(OTHER_DATA));
    }
    if books.now() - known.created_at > AGAIN_MS {
        return Err(Refused::invalid(TOO_LATE));
    }
    Ok(accepted(known))
}

fn batch(world: &World, member: &Member, books: &Books, create: Create) -> Result<Batch, Refused> {
    let now = books.now();
    let digits = |text: &str| -> String {
        let digest = hex(&sha256(text.as_bytes()));
        digest
            .bytes()
            .map(|byte| char::from(b'0' + byte % 10))
            .take(38)
            .collect()
    };
    let number = create.out_batch_no;
    let mut items = Vec::with_capacity(create.transfer_detail_list.len());
    for detail in create.transfer_detail_list {
        let key = format!("{number}/{}", detail.out_detail_no);
        items.push(Item {
            detail_id: format!("1320{}", digits(&key)),
            number: detail.out_detail_no,
            openid: detail.openid,
            amount: detail.transfer_amount,
            remark: detail.transfer_remark,
            name: detail
                .user_name
                .map(|sealed| opened_name(member, &sealed))
                .transpose()?,
            status: ItemStatus::Init,
            fail_reason: None,
        });
    }
    let id = Id::new(member.mchid(), &number);
    let known = books.batches.contains_key(&id);
    let strikes = |fault| !known && world.faults().strikes(fault, &number);
    let times = world.settings.batch;
    let lock_ms = if strikes(Fault::BatchSlow) {
        30 * 60_000
    } else {
        times.lock_ms
    };
    Ok(Batch {
        mchid: id.mchid,
        batch_id: format!("1310{}", digits(&number)),
        unfunded: strikes(Fault::BatchUnfunded),
        wanted: Wanted {
            appid: create.appid,
            name: create.batch_name,
            remark: create.batch_remark,
            scene: create.transfer_scene_id,
            notify_url: create.notify_url,
        },
        number,
        items,
        status: Status::Accepted,
        close_reason: None,
        created_at: now,
        updated_at: now,
        due_at: Some(now + lock_ms),
    })
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Status::Accepted => "ACCEPTED",
            Status::Processing => "PROCESSING",
            Status::Finished => "FINISHED",
            Status::Closed => "CLOSED",
        }
    }
}

impl ItemStatus {
    pub(crate) fn word(self) -> &'static str {
        match self {
            ItemStatus::Init => "INIT",
            ItemStatus::Processing => "PROCESSING",
            ItemStatus::Success => "SUCCESS",
            ItemStatus::Fail => "FAIL",
        }
    }
}

fn accepted(batch: &Batch) -> Value {
    json!({
        "out_batch_no": batch.number,
        "batch_id": batch.batch_id,
        "create_time": rfc3339(batch.created_at),
        "batch_status": batch.status.word(),
    })
}

impl Batch {
    /// What it is known by.
    pub(crate) fn id(&self) -> Id {
        Id::new(&self.mchid, &self.number)
    }

    /// How many items stand so, and what they add up to.
    fn sum(&self, status: ItemStatus) -> (usize, i64) {
        let items = self.items.iter().filter(|item| item.status == status);
        let amounts = items.map(|item| item.amount);
        (amounts.clone().count(), amounts.sum())
    }

    fn total(&self) -> i64 {
        self.items.iter().map(|item| item.amount).sum()
    }

    /// Whether its money is locked.
    fn holds(&self) -> bool {
        self.status == Status::Processing
    }

    /// What is announced of it at its end.
    pub(crate) fn announced(&self) -> Value {
        let (paid, failed) = (self.sum(ItemStatus::Success), self.sum(ItemStatus::Fail));
        let mut told = json!({
            "out_batch_no": self.number,
            "batch_id": self.batch_id,
            "batch_status": self.status.word(),
            "total_num": self.items.len(),
            "total_amount": self.total(),
            "update_time": rfc3339(self.updated_at),
        });
        if self.status == Status::Closed {
            told["mchid"] = json!(self.mchid);
            told["close_reason"] = json!(self.close_reason);
        } else {
            told["success_num"] = json!(paid.0);
            told["success_amount"] = json!(paid.1);
            told["fail_num"] = json!(failed.0);
            told["fail_amount"] = json!(failed.1);
        }
        told
    }
}

fn found<'a>(books: &'a Books, id: &Id) -> Result<&'a Batch, Refused> {
    let found = books.batches.get(id);
    let found = found.filter(|batch| books.now() - batch.created_at <= 30 * DAY_MS);
    found.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))
}

/// How a batch stands, with its items where they are wanted and it is finished.
/// Only by the merchant's number the answer says which part it is.
pub(crate) fn query(
    books: &Books,
    (kind, number): (&str, &str),
    mchid: &str,
    query: &str,
) -> Result<Value, Refused> {
    let id = own_number(books, mchid, kind, number);
    let by_own_number = kind == "out-batch-no";
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })
    };
    let bad = |words: &str| Refused::new(400, "PARAM_ERROR", words);
    let details = match parameter("need_query_detail") {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(bad("need_query_detail为必填项")),
    };
    let number_of = |name: &str, default: usize| match parameter(name) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| bad("参数错误")),
    };
    let (offset, limit) = (number_of("offset", 0)?, number_of("limit", 20)?);
    let status = parameter("detail_status").unwrap_or_default();
    if !(20..=100).contains(&limit) || (details && !STATUSES.contains(&status)) {
        return Err(bad("limit或detail_status错误"));
    }
    let batch = found(books, &id)?;
    let (paid, failed) = (batch.sum(ItemStatus::Success), batch.sum(ItemStatus::Fail));
    let mut told = json!({
        "mchid": batch.mchid,
        "out_batch_no": batch.number,
        "batch_id": batch.batch_id,
        "appid": batch.wanted.appid,
        "batch_status": batch.status.word(),
        "batch_type": "API",
        "batch_name": batch.wanted.name,
        "batch_remark": batch.wanted.remark,
        "total_amount": batch.total(),
        "total_num": batch.items.len(),
        "create_time": rfc3339(batch.created_at),
        "update_time": rfc3339(batch.updated_at),
        "success_amount": paid.1,
        "success_num": paid.0,
        "fail_amount": failed.1,
        "fail_num": failed.0,
    });
    if let Some(reason) = &batch.close_reason {
        told["close_reason"] = json!(reason);
    }
    if let Some(scene) = &batch.wanted.scene {
        told["transfer_scene_id"] = json!(scene);
    }
    let mut answer = json!({ "transfer_batch": told });
    if by_own_number {
        answer["offset"] = json!(offset);
        answer["limit"] = json!(limit);
    }
    if details && batch.status == Status::Finished {
        let wanted = |item: &&Item| status == "ALL" || item.status.word() == status;
        let items = batch.items.iter().filter(wanted).skip(offset).take(limit);
        let shown = items.map(|item| {
            json!({
                "detail_id": item.detail_id,
                "out_detail_no": item.number,
                "detail_status": item.status.word(),
            })
        });
        answer["transfer_detail_list"] = json!(shown.collect::<Vec<Value>>());
    }
    Ok(answer)
}

/// The merchant's number of a batch that is named one way or the other.
pub(crate) fn own_number(books: &Books, mchid: &str, kind: &str, number: &str) -> Id {
    let theirs =
        |batch: &&Batch| kind == "batch-id" && batch.mchid == mchid && batch.batch_id == number;
    let found = books.batches.values().find(theirs);
    found.map_or_else(|| Id::new(mchid, number), Batch::id)
}

/// How one item stands.
pub(crate) fn detail(
    member: &Member,
    books: &Books,
    id: &Id,
    (kind, item): (&str, &str),
) -> Result<Value, Refused> {
    let batch = found(books, id)?;
    if batch.status != Status::Finished {
        return Err(Refused::invalid("请等待批次处理完成后再查询明细单据"));
    }
    let named = |found: &&Item| match kind {
        "detail-id" => found.detail_id == item,
        _ => found.number == item,
    };
    let item = batch.items.iter().find(named);
    let item = item.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    let mut told = json!({
        "mchid": batch.mchid,
        "out_batch_no": batch.number,
        "batch_id": batch.batch_id,
        "appid": batch.wanted.appid,
        "out_detail_no": item.number,
        "detail_id": item.detail_id,
        "detail_status": item.status.word(),
        "transfer_amount": item.amount,
        "transfer_remark": item.remark,
        "openid": item.openid,
        "update_time": rfc3339(batch.updated_at),
    });
    let name = item.name.as_deref();
    if let Some(sealed) = name.and_then(|name| member.certs().sealed_name(name)) {
        told["user_name"] = json!(sealed);
    }
    if let Some(reason) = &item.fail_reason {
        told["fail_reason"] = json!(reason);
    } else {
        told["initiate_time"] = json!(rfc3339(batch.created_at));
    }
    Ok(told)
}

impl Books {
    /// A batch as a record tells it.
    pub(crate) fn batched(&mut self, batch: Batch) {
        let held = |batch: &Batch| if batch.holds() { batch.total() } else { 0 };
        let id = batch.id();
        let mut more = held(&batch);
        if let Some(before) = self.batches.get(&id) {
            more -= held(before);
            if let Some(due) = before.due_at {
                self.batches_due.remove(&(due, id.clone()));
            }
        }
        self.account_mut(&id.mchid).paying += more;
        if let Some(due) = batch.due_at {
            self.batches_due.insert((due, id.clone()));
        }
        self.batches.insert(id, batch);
    }
}
