//! WeChat Pay behind the port.

use std::sync::Arc;

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::rail::{FetchedBill, Notification, Opened, Refusal};
use lingqian_io::{Clock, Dice, Fault, Rail, Sealer, Signer};
use serde::Deserialize;

use crate::bill::{ACCOUNTS, BillDesk, Expected};
use crate::certificates::{self, Cause, Certificates, Looked};
use crate::cipher;
use crate::hosts::Hosts;
use crate::pace::Pace;
use crate::settings::PaySettings;
use crate::skew::Skew;
use crate::socket::{Answered, Socket};
use crate::transfer::{self, Answer, CREATE_PATH, Call, silent};
use crate::trust::{self, Trust};
use crate::turnover::Turnover;
use crate::{bill, notify};

/// The purpose that users' real names are sealed for.
pub const NAME_PURPOSE: &str = "name";

/// The order names a merchant that this client does not act for.
pub(crate) const WRONG_MERCHANT: &str = "wrong_merchant";

/// The merchant's key is away; nothing went out.
pub(crate) const KEY_AWAY: &str = "key_away";

/// The merchant's key does not sign before a person has looked; nothing went out.
pub(crate) const KEY_BROKEN: &str = "key_broken";

/// One merchant's WeChat Pay.
#[derive(Debug)]
pub struct WechatPay<S, K, C, D> {
    pub(crate) settings: PaySettings,
    pub(crate) signer: Turnover<S>,
    sealer: K,
    pub(crate) clock: C,
    pub(crate) dice: D,
    pub(crate) trust: Arc<Trust>,
    certificates: Certificates,
    pub(crate) socket: Socket,
    pub(crate) hosts: Hosts,
    pub(crate) skew: Skew,
    pub(crate) create: Pace,
    pub(crate) query: Pace,
    pub(crate) authorize: Pace,
    pub(crate) batch_query: Pace,
    cancel: Pace,
    pub(crate) bill: Pace,
    bills: BillDesk,
}

/// The ports that a merchant's WeChat Pay stands on.
#[derive(Debug)]
pub struct Stand<S, K, C, D> {
    /// The merchant's key.
    pub signer: S,
    /// What opens names.
    pub sealer: K,
    /// The wire's time.
    pub clock: C,
    /// Nonces.
    pub dice: D,
}

#[derive(Deserialize)]
struct BillAnswer {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

#[derive(Deserialize)]
struct BalanceAnswer {
    available_amount: i64,
}

#[derive(Deserialize, Default)]
struct ErrorCode {
    #[serde(default)]
    code: String,
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatPay<S, K, C, D> {
    /// A merchant whose WeChat keys are in `trust`.
    #[must_use]
    pub fn new(settings: PaySettings, trust: Arc<Trust>, stand: Stand<S, K, C, D>) -> Self {
        let Stand {
            signer,
            sealer,
            clock,
            dice,
        } = stand;
        let rates = settings.rates;
        WechatPay {
            socket: Socket::new(settings.timeout),
            create: Pace::per_second(rates.create),
            query: Pace::per_second(rates.query),
            authorize: Pace::per_second(rates.authorize),
            batch_query: Pace::per_second(rates.batch_query),
            cancel: Pace::per_second(rates.cancel),
            bill: Pace::per_second(rates.bill),
            bills: BillDesk::default(),
            hosts: Hosts::new(&settings.base_url, settings.backup_url.as_deref()),
            skew: Skew::default(),
            settings,
            signer: Turnover::one(signer),
            sealer,
            clock,
            dice,
            trust,
            certificates: Certificates::default(),
        }
    }

    /// A number that nobody guesses.
    pub(crate) fn nonce(&self) -> u128 {
        self.dice.roll()
    }

    /// The same merchant with a second key that takes over at a moment of the wire's clock.
    #[must_use]
    pub fn followed_by(self, signer: S, from: Timestamp) -> Self {
        WechatPay {
            signer: self.signer.followed_by(signer, from),
            ..self
        }
    }

    /// The same merchant with another place for bills than WeChat's API, or with one where raw files
    /// are kept.
    #[must_use]
    pub fn with_bills(self, bills: BillDesk) -> Self {
        WechatPay { bills, ..self }
    }

    /// How bills are got and kept.
    #[must_use]
    pub fn bills(&self) -> &BillDesk {
        &self.bills
    }

    /// How far WeChat's clock is ahead of ours, in milliseconds, as its last answer said.
    #[must_use]
    pub fn skew_ms(&self) -> Option<i64> {
        self.skew.ms()
    }

    /// How often WeChat said that calls came too fast.
    #[must_use]
    pub fn slowed(&self) -> u64 {
        let paces = [
            &self.create,
            &self.query,
            &self.authorize,
            &self.batch_query,
            &self.cancel,
            &self.bill,
        ];
        paces.iter().map(|pace| pace.refused()).sum()
    }

    /// Which merchant it is.
    #[must_use]
    pub fn mchid(&self) -> &MchId {
        &self.settings.mchid
    }

    /// Whether messages that name this key can be proved without looking anywhere.
    #[must_use]
    pub fn holds(&self, serial: &str) -> bool {
        self.trust.holds(serial)
    }

    /// Looks at WeChat's list of certificates if that is due; a pass calls it now and then.
    ///
    /// # Errors
    /// When there is no list, or none that can be proved. What is held stays.
    pub async fn keep_certificates(&self) -> Result<Looked, Fault> {
        if !self.certificates.due(self.clock.wire()).await {
            return Ok(Looked::TooSoon);
        }
        self.look(Cause::Due).await
    }

    async fn look(&self, cause: Cause) -> Result<Looked, Fault> {
        let now = self.clock.wire();
        let with = (&self.trust, &self.settings.apiv3_key[..]);
        let ask = self.call(&self.query, ("GET", certificates::PATH), Vec::new());
        let looked = self.certificates.look(now, cause, with, ask).await;
        match &looked {
            Ok(Looked::Came(new)) if *new > 0 => {
                tracing::info!(new, "new platform certificates came");
            }
            Ok(_) => {}
            Err(fault) => tracing::error!(%fault, "WeChat's certificates were not refreshed"),
        }
        looked
    }

    /// Proves a message; one that is signed with a key that is not held makes us look once.
    async fn verified(&self, headers: &[(String, String)], body: &[u8]) -> Result<(), Refusal> {
        let proved = self.trust.verify(headers, body, self.clock.wire());
        let serial = headers.iter().find(|(name, _)| name == "wechatpay-serial");
        let listed = serial.is_some_and(|(_, serial)| !serial.starts_with(trust::PUBLIC_KEY));
        if proved != Err(Refusal::SerialUnknown)
            || !listed
            || self.look(Cause::Unknown).await.is_err()
        {
            return proved;
        }
        self.trust.verify(headers, body, self.clock.wire())
    }

    async fn report(
        &self,
        number: OutBillNo,
        (call, path): (Call, &str),
        body: Vec<u8>,
    ) -> TransferReport {
        let method = if call == Call::Query { "GET" } else { "POST" };
        let origin = if call == Call::Query {
            Origin::Query
        } else {
            Origin::Answer
        };
        let pace = match call {
            Call::Create => &self.create,
            Call::Query => &self.query,
            Call::Cancel => &self.cancel,
        };
        match self.call(pace, (method, path), body).await {
            Err(word) => silent(number, origin, unanswered(word, call), Evidence::default()),
            Ok(answered) => transfer::report(number, call, &self.proved(answered).await),
        }
    }

    pub(crate) async fn proved(&self, answered: Answered) -> Answer {
        let verified = self.verified(&answered.headers, &answered.body).await;
        Answer {
            status: answered.status,
            request_id: answered.header("request-id").map(str::to_owned),
            body: answered.body.to_vec(),
            doubt: verified.err().map(|refusal| refusal.code()),
        }
    }

    /// The name of an order in clear.
    pub(crate) async fn clear_name(&self, order: &TransferOrder) -> Result<Option<Vec<u8>>, Fault> {
        let Some(sealed) = &order.name else {
            return Ok(None);
        };
        let broken = |_| Fault::Broken("the name could not be opened".into());
        let name = self.sealer.open(NAME_PURPOSE, sealed).await;
        name.map(Some).map_err(broken)
    }

    /// The name of an order, sealed for WeChat.
    pub(crate) async fn name(&self, order: &TransferOrder) -> Result<Option<String>, Fault> {
        let Some(name) = self.clear_name(order).await? else {
            return Ok(None);
        };
        if self.trust.sealing_key(self.clock.wire()).is_none() {
            self.look(Cause::Unknown).await?;
        }
        let key = self.trust.sealing_key(self.clock.wire());
        let (_, spki) = key.ok_or_else(|| Fault::Broken("no key of WeChat is here".into()))?;
        cipher::seal_field(&spki, &name).map(Some)
    }

    async fn download(
        &self,
        answer: BillAnswer,
        (date, account): (BusinessDate, &str),
    ) -> Result<FetchedBill, Fault> {
        if answer.hash_type != "SHA1" {
            return Err(Fault::Broken(format!(
                "the bill is hashed by {}",
                answer.hash_type
            )));
        }
        let path = path_of(&answer.download_url)
            .ok_or_else(|| Fault::Broken("the bill's address is none".into()))?;
        let mut file = self.bills.spool()?;
        let status = self.fetch(path, &mut file).await.map_err(retry)?;
        if status != 200 {
            return Err(Fault::Retry(format!(
                "the bill's file was refused: {status}"
            )));
        }
        let expected = Expected {
            mchid: self.settings.mchid.clone(),
            date,
            hash: Some(answer.hash_value),
        };
        self.bills.read(file, expected, account).await
    }
}

/// What it means that no answer came. What was never signed never went out: it waits.
pub(crate) fn unanswered(word: &str, call: Call) -> Finding {
    let cure = match word {
        KEY_AWAY => Cure::Later,
        KEY_BROKEN => Cure::Person,
        _ => return Finding::Unknown { code: word.into() },
    };
    let code = word.into();
    match call {
        Call::Create => Finding::Refused { code, cure },
        Call::Cancel | Call::Query => Finding::Unknown { code },
    }
}

/// What another merchant's WeChat says about a number proves nothing.
pub(crate) fn foreign(number: OutBillNo, origin: Origin) -> TransferReport {
    let finding = Finding::Unknown {
        code: WRONG_MERCHANT.into(),
    };
    silent(number, origin, finding, Evidence::default())
}

/// Whoever holds one merchant's keys speaks for that merchant alone, whatever the message says.
fn vouched(opened: Opened, mchid: &MchId) -> Result<Opened, Refusal> {
    let Opened::Transfer(mut report) = opened else {
        return Ok(opened);
    };
    match report.claims.mchid.as_deref() {
        Some(named) if named != mchid.as_str() => return Err(Refusal::OtherMerchant),
        Some(_) => {}
        None => report.claims.mchid = Some(mchid.to_string()),
    }
    Ok(Opened::Transfer(report))
}

fn retry(word: &str) -> Fault {
    Fault::Retry(word.to_owned())
}

/// Path and query of an address; the file is always fetched from the host that we know.
pub(crate) fn path_of(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    rest.find('/').and_then(|slash| rest.get(slash..))
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> Rail for WechatPay<S, K, C, D> {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        if order.mchid != self.settings.mchid {
            // Nothing went out: this merchant is not ours to pay from.
            let finding = Finding::Refused {
                code: WRONG_MERCHANT.into(),
                cure: Cure::Person,
            };
            return silent(order.number, Origin::Answer, finding, Evidence::default());
        }
        let name = match self.name(order).await {
            Ok(name) => name,
            // Nothing went out, and nothing will before a person has looked at the keys.
            Err(_) => {
                let finding = Finding::Refused {
                    code: "name_unreadable".into(),
                    cure: Cure::Person,
                };
                return silent(order.number, Origin::Answer, finding, Evidence::default());
            }
        };
        let body = transfer::create_body(order, name, &self.settings.notify_url);
        self.report(order.number, (Call::Create, CREATE_PATH), body)
            .await
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        if order.mchid != self.settings.mchid {
            return foreign(number, Origin::Query);
        }
        self.report(
            number,
            (Call::Query, &transfer::query_path(number)),
            Vec::new(),
        )
        .await
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        if order.mchid != self.settings.mchid {
            return foreign(number, Origin::Answer);
        }
        self.report(
            number,
            (Call::Cancel, &transfer::cancel_path(number)),
            Vec::new(),
        )
        .await
    }

    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        self.verified(&notification.headers, &notification.body)
            .await?;
        let opened = notify::read(&self.settings.apiv3_key, &notification.body)?;
        vouched(opened, &self.settings.mchid)
    }

    /// Payouts leave the operation account where there is one, else the basic one. WeChat lets few
    /// merchants ask; a refusal says nothing about the money.
    async fn balance(&self, mchid: &MchId) -> Result<Option<Fen>, Fault> {
        if *mchid != self.settings.mchid {
            return Ok(None);
        }
        for account in ACCOUNTS {
            let path = format!("/v3/merchant/fund/balance/{account}");
            let asked = self.call(&self.bill, ("GET", &path), Vec::new()).await;
            let answered = asked.map_err(retry)?;
            match answered.status {
                200 => {}
                400 | 403 | 404 => continue,
                status => return Err(Fault::Retry(format!("no balance was told: {status}"))),
            }
            let answer = self.proved(answered).await;
            if let Some(doubt) = answer.doubt {
                return Err(retry(doubt));
            }
            let balance: BalanceAnswer = serde_json::from_slice(&answer.body)
                .map_err(|_| retry("the answer about the balance does not read"))?;
            return Ok(Some(Fen(balance.available_amount)));
        }
        Ok(None)
    }

    /// Payouts are on the bill of the operation account where there is one, else on the basic
    /// one; the two are asked for in this order.
    async fn bill(&self, mchid: &MchId, date: BusinessDate) -> Result<FetchedBill, Fault> {
        if *mchid != self.settings.mchid {
            return Err(Fault::Broken(
                "the bill of another merchant was asked for".into(),
            ));
        }
        if matches!(self.bills.place, bill::Place::Delivered { .. }) {
            return self.bills.delivered(mchid, date).await;
        }
        for account in ACCOUNTS {
            let path = bill::apply_path(date, account);
            let asked = self.call(&self.bill, ("GET", &path), Vec::new()).await;
            let answered = asked.map_err(retry)?;
            if answered.status == 200 {
                let answer = self.proved(answered).await;
                if let Some(doubt) = answer.doubt {
                    return Err(retry(doubt));
                }
                let answer = serde_json::from_slice(&answer.body)
                    .map_err(|_| retry("the answer about the bill does not read"))?;
                return self.download(answer, (date, account)).await;
            }
            let error: ErrorCode = serde_json::from_slice(&answered.body).unwrap_or_default();
            match error.code.as_str() {
                "NO_STATEMENT_EXIST" => {}
                "STATEMENT_CREATING" => return Ok(FetchedBill::NotYet),
                code => {
                    let status = answered.status;
                    return Err(Fault::Retry(format!(
                        "the bill was refused: {status} {code}"
                    )));
                }
            }
        }
        Ok(FetchedBill::Empty)
    }
}
