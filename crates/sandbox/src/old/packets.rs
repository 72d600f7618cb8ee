//! Cash red packets: `sendredpack` and `gethbinfo`. Money leaves with the packet and comes back
//! when nobody opens it within a day.

use serde::{Deserialize, Serialize};

use crate::auth::Refused as NotAllowed;
use crate::books::{Books, DAY_MS, beijing_day};
use crate::crypto::{hex, sha256};
use crate::journal::Record;
use crate::kept::Id;
use crate::old::payments::beijing;
use crate::old::wire::{Parameter, Refused, Told, Wanted};
use crate::world::World;

/// What a packet says.
pub(crate) const FIELDS: &[Parameter] = &[
    ("nonce_str", true, 32),
    ("sign", true, 64),
    ("mch_billno", true, 28),
    ("mch_id", true, 32),
    ("wxappid", true, 32),
    ("send_name", true, 32),
    ("re_openid", true, 32),
    ("total_amount", true, 10),
    ("total_num", true, 3),
    ("wishing", true, 128),
    ("client_ip", true, 15),
    ("act_name", true, 32),
    ("remark", true, 256),
    ("scene_id", false, 32),
    ("risk_info", false, 128),
];

/// What a question says.
pub(crate) const QUESTION: &[Parameter] = &[
    ("nonce_str", true, 32),
    ("sign", true, 64),
    ("mch_billno", true, 28),
    ("mch_id", true, 32),
    ("appid", true, 32),
    ("bill_type", true, 32),
];

/// Without a scene a packet holds between these.
const AMOUNT_MIN: i64 = 100;
const AMOUNT_MAX: i64 = 20_000;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Packet {
    pub(crate) mchid: String,
    pub(crate) appid: String,
    pub(crate) number: String,
    pub(crate) list_id: String,
    pub(crate) openid: String,
    pub(crate) amount: i64,
    pub(crate) words: [String; 5],
    pub(crate) status: Status,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Where a packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Sent,
    Received,
    Refund,
}

impl Packet {
    /// What it is known by.
    pub(crate) fn id(&self) -> Id {
        Id::new(&self.mchid, &self.number)
    }
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Status::Sent => "SENT",
            Status::Received => "RECEIVED",
            Status::Refund => "REFUND",
        }
    }
}

fn parameter(words: &str) -> Refused {
    Refused::new("PARAM_ERROR", format!("参数错误:{words}"))
}

/// Sends a packet, or answers for one of that number.
pub(crate) fn send(world: &World, books: &mut Books, wanted: &Wanted) -> Result<Told, Refused> {
    let packet = read(books, wanted)?;
    if let Some(known) = books.packets.get(&packet.id()) {
        let same = (&known.openid, known.amount, &known.words)
            == (&packet.openid, packet.amount, &packet.words);
        return match same {
            false => Err(Refused::fatal()),
            true => Ok(sent(known)),
        };
    }
    let scene = &packet.words[4];
    let within = (AMOUNT_MIN..=AMOUNT_MAX).contains(&packet.amount);
    if !within && !scene.starts_with("PRODUCT_") {
        return Err(Refused::new("AMOUNT_LIMIT", "金额超出限制"));
    }
    if books.person_of(&packet.appid, &packet.openid).is_none() {
        return Err(Refused::new("OPENID_ERROR", "openid与appid不匹配"));
    }
    let key = (
        format!("packet/{}", packet.openid),
        beijing_day(books.now()),
    );
    let (count, _) = books.paid_days.get(&key).copied().unwrap_or_default();
    if count >= world.settings.old.user_day_count {
        return Err(Refused::new(
            "SENDNUM_LIMIT",
            "该用户今日领取红包个数超过限制",
        ));
    }
    if packet.amount > books.free_balance(&packet.mchid) {
        return Err(Refused::new(
            "NOTENOUGH",
            "帐号余额不足，请到商户平台充值后再重试",
        ));
    }
    let told = sent(&packet);
    books.move_packet(packet);
    Ok(told)
}

fn read(books: &Books, wanted: &Wanted) -> Result<Packet, Refused> {
    let number = wanted["mch_billno"].clone();
    if !number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(parameter("商户订单号有误"));
    }
    let amount = wanted["total_amount"].parse::<i32>().ok();
    let amount = amount.filter(|amount| *amount > 0 && wanted["total_num"] == "1");
    let amount = i64::from(amount.ok_or_else(|| parameter("金额或个数有误"))?);
    if !books.is_bound(wanted.mchid(), &wanted["wxappid"]) {
        return Err(Refused::new(
            "ILLEGAL_APPID",
            "非法appid，请确认是否为公众号的appid",
        ));
    }
    let digits = hex(&sha256(format!("packet/{number}").as_bytes()));
    let digits = digits.bytes().map(|byte| char::from(b'0' + byte % 10));
    let words = ["send_name", "wishing", "act_name", "remark", "scene_id"];
    Ok(Packet {
        mchid: wanted.mchid().to_owned(),
        appid: wanted["wxappid"].clone(),
        list_id: format!("1000041701{}", digits.take(18).collect::<String>()),
        number,
        openid: wanted["re_openid"].clone(),
        amount,
        words: words.map(|name| wanted[name].clone()),
        status: Status::Sent,
        created_at: books.now(),
        updated_at: books.now(),
    })
}

fn sent(packet: &Packet) -> Told {
    vec![
        ("err_code", "SUCCESS".to_owned()),
        ("err_code_des", "发放成功".to_owned()),
        ("mch_billno", packet.number.clone()),
        ("mch_id", packet.mchid.clone()),
        ("wxappid", packet.appid.clone()),
        ("re_openid", packet.openid.clone()),
        ("total_amount", packet.amount.to_string()),
        ("send_listid", packet.list_id.clone()),
    ]
}

/// How a packet stands.
pub(crate) fn told(books: &Books, id: &Id) -> Result<Told, Refused> {
    let found = books.packets.get(id);
    let found = found.filter(|packet| books.now() - packet.created_at <= 30 * DAY_MS);
    let packet = found.ok_or_else(|| Refused::new("NOT_FOUND", "指定单号数据不存在"))?;
    let mut told = vec![
        ("err_code", "SUCCESS".to_owned()),
        ("err_code_des", "OK".to_owned()),
        ("mch_billno", packet.number.clone()),
        ("mch_id", packet.mchid.clone()),
        ("detail_id", packet.list_id.clone()),
        ("status", packet.status.word().to_owned()),
        ("send_type", "API".to_owned()),
        ("hb_type", "NORMAL".to_owned()),
        ("total_num", "1".to_owned()),
        ("total_amount", packet.amount.to_string()),
        ("send_time", beijing(packet.created_at)),
        ("wishing", packet.words[1].clone()),
        ("act_name", packet.words[2].clone()),
        ("remark", packet.words[3].clone()),
    ];
    if packet.status == Status::Received {
        let (openid, amount) = (&packet.openid, packet.amount);
        let at = beijing(packet.updated_at);
        told.push((
            "hblist",
            format!(
                "<hbinfo><openid><![CDATA[{openid}]]></openid><amount>{amount}</amount>\
                 <rcv_time><![CDATA[{at}]]></rcv_time></hbinfo>"
            ),
        ));
    }
    if packet.status == Status::Refund {
        told.push(("refund_time", beijing(packet.updated_at)));
        told.push(("refund_amount", packet.amount.to_string()));
    }
    Ok(told)
}

/// The user opens a packet.
pub(crate) fn open(books: &mut Books, id: &Id) -> Result<(), NotAllowed> {
    let packet = books.packets.get(id).cloned();
    let packet = packet.ok_or_else(|| NotAllowed::new(404, "NOT_FOUND", "记录不存在"))?;
    if packet.status != Status::Sent {
        return Err(NotAllowed::invalid("红包已领取或已退回"));
    }
    let (status, updated_at) = (Status::Received, books.now());
    books.move_packet(Packet {
        status,
        updated_at,
        ..packet
    });
    Ok(())
}

impl Books {
    /// Keeps a packet as it stands now, with its line on the account.
    fn move_packet(&mut self, packet: Packet) {
        self.together(|books| {
            let bill = (packet.list_id.clone(), packet.number.clone());
            match packet.status {
                Status::Sent => books.book((&packet.mchid, false), packet.amount, "现金红包", bill),
                Status::Refund => {
                    books.book((&packet.mchid, true), packet.amount, "现金红包退款", bill)
                }
                Status::Received => {}
            }
            let packet = Box::new(packet);
            books.record(Record::Packet { packet });
        });
    }

    /// A packet as a record tells it.
    pub(crate) fn packed(&mut self, packet: Packet) {
        let key = format!("packet/{}", packet.openid);
        let key = (key, beijing_day(packet.created_at));
        let due = (packet.created_at + DAY_MS, packet.id());
        if packet.status == Status::Sent {
            let day = self.paid_days.entry(key).or_default();
            *day = (day.0 + 1, day.1 + packet.amount);
            self.packets_due.insert(due);
        } else {
            self.packets_due.remove(&due);
        }
        self.packets.insert(packet.id(), packet);
    }
}

/// What nobody opened within a day comes back.
pub(crate) fn pass(books: &mut Books) {
    let now = books.now();
    while let Some((_, id)) = books.packets_due.first().filter(|(due, _)| *due <= now) {
        let Some(packet) = books.packets.get(id).cloned() else {
            return;
        };
        books.move_packet(Packet {
            status: Status::Refund,
            updated_at: now,
            ..packet
        });
    }
}
