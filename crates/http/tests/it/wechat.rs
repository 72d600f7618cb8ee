//! A WeChat and a sealing key that do what a test tells them to.

use std::sync::{Arc, Mutex, PoisonError};

use lingqian_core::id::{AppId, MchId, OpenId, OutBillNo};
use lingqian_core::link::Identity;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{Claims, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::{
    AppKind, FetchedBill, IdentityFault, LinkScope, Notification, Opened, Refusal, Remedy,
};
use lingqian_io::twin::ManualClock;
use lingqian_io::{Clock as _, Fault, IdentityProvider, Rail, Sealer};

/// What the signature of a genuine notification is here.
pub(crate) const SIGNATURE: &str = "signed-by-wechat";

pub(crate) struct FakeRail {
    clock: Arc<ManualClock>,
    finding: Mutex<Finding>,
}

impl FakeRail {
    pub(crate) fn new(clock: Arc<ManualClock>) -> FakeRail {
        let finding = Mutex::new(Finding::Processing);
        FakeRail { clock, finding }
    }

    /// What the next calls are answered with.
    pub(crate) fn will_say(&self, finding: Finding) {
        *self.finding.lock().unwrap_or_else(PoisonError::into_inner) = finding;
    }

    fn report(&self, number: OutBillNo, origin: Origin) -> TransferReport {
        let finding = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        report(number, origin, finding.clone(), self.clock.business())
    }
}

fn report(number: OutBillNo, origin: Origin, finding: Finding, at: Timestamp) -> TransferReport {
    TransferReport {
        number,
        origin,
        finding,
        bill_no: Some("1330000071100999991182020050700019480001".into()),
        at: Some(at),
        claims: Claims::default(),
        evidence: Evidence {
            status: Some(200),
            request_id: Some("wx-request-1".into()),
            body: "{\"seen\":true}".into(),
        },
    }
}

fn header<'a>(notification: &'a Notification, name: &'static str) -> Result<&'a str, Refusal> {
    let mut headers = notification.headers.iter();
    let found = headers.find(|(given, _)| given == name);
    found
        .map(|(_, value)| value.as_str())
        .ok_or(Refusal::HeaderMissing(name))
}

impl Rail for FakeRail {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        self.report(order.number, Origin::Answer)
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        self.report(order.number, Origin::Query)
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        self.report(order.number, Origin::Answer)
    }

    /// The body of a genuine notification is a number and `paid` or `failed`; `seal` does not
    /// open, anything else is about something else.
    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        let at = header(notification, "wechatpay-timestamp")?;
        let signature = header(notification, "wechatpay-signature")?;
        let serial = header(notification, "wechatpay-serial")?;
        if serial != "WX1" {
            return Err(Refusal::SerialUnknown);
        }
        if signature != SIGNATURE {
            return Err(Refusal::SignatureWrong);
        }
        let at: i64 = at.parse().map_err(|_| Refusal::Stale)?;
        let now = self.clock.wire();
        if Timestamp(at * 1_000).since_ms(now).abs() > 300_000 {
            return Err(Refusal::Stale);
        }
        let text = String::from_utf8_lossy(&notification.body);
        let Some((number, word)) = text.split_once(' ') else {
            return match text.as_ref() {
                "seal" => Err(Refusal::SealWrong),
                "form" => Err(Refusal::Malformed("resource")),
                _ => Ok(Opened::Other { event: text.into() }),
            };
        };
        let number = OutBillNo::parse(number).map_err(|_| Refusal::Malformed("out_bill_no"))?;
        let finding = match word {
            "paid" => Finding::Paid,
            _ => Finding::Failed {
                code: word.into(),
                cure: lingqian_core::transfer::Cure::Never,
            },
        };
        let report = report(number, Origin::Notification, finding, now);
        Ok(Opened::Transfer(Box::new(report)))
    }

    async fn bill(&self, _mchid: &MchId, _date: BusinessDate) -> Result<FetchedBill, Fault> {
        Ok(FetchedBill::Empty)
    }
}

fn refused(errcode: i64, remedy: Remedy) -> IdentityFault {
    IdentityFault::Refused { errcode, remedy }
}

pub(crate) struct FakeIdentity;

impl IdentityProvider for FakeIdentity {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        let app = |text: &str| AppId::parse(text).expect("an id");
        vec![
            (app("wx8888888888888888"), AppKind::OfficialAccount),
            (app("wx-site"), AppKind::Website),
            (app("wx-mini"), AppKind::MiniProgram),
            (app("wx-other-mini"), AppKind::MiniProgram),
        ]
    }

    fn authorize_url(
        &self,
        app: &AppId,
        redirect_uri: &str,
        state: &str,
        scope: LinkScope,
    ) -> String {
        let page = if scope == LinkScope::Login {
            "qrconnect"
        } else {
            "authorize"
        };
        let scope = match scope {
            LinkScope::Base => String::new(),
            other => format!("&scope={}", other.name()),
        };
        format!("https://wechat.test/{page}?appid={app}&to={redirect_uri}{scope}&state={state}")
    }

    async fn by_code(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        let found = self.redeem(app, code).await?;
        Ok(Identity {
            tokens: None,
            scope: "jscode2session".into(),
            ..found
        })
    }

    /// The code is the openid of the person who comes, but for a few words.
    async fn redeem(&self, _app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        match code {
            "used" => return Err(refused(40_163, Remedy::Restart)),
            "busy" => return Err(refused(-1, Remedy::Again)),
            "slow" => return Err(refused(45_011, Remedy::Slower)),
            "blocked" => return Err(refused(40_226, Remedy::Blocked)),
            "secret" => return Err(refused(40_125, Remedy::Configure)),
            "down" => return Err(IdentityFault::Unavailable("timeout".into())),
            _ => {}
        }
        let unreadable = |_| IdentityFault::Unavailable("unreadable".into());
        // `person/union` is the person whom other apps know by that name.
        let (code, unionid) = match code.split_once('/') {
            Some((code, unionid)) => (code, Some(OpenId::parse(unionid).map_err(unreadable)?)),
            None => (code, None),
        };
        Ok(Identity {
            openid: OpenId::parse(code).map_err(unreadable)?,
            unionid,
            scope: "snsapi_userinfo".into(),
            snapshot: code == "virtual",
            tokens: Some(Sealed(b"tokens".to_vec())),
        })
    }

    async fn refresh(&self, _app: &AppId, _tokens: &Sealed) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn check(&self, _app: &AppId, _tokens: &Sealed) -> Result<bool, IdentityFault> {
        Ok(true)
    }
}

/// Turns bytes around and puts the purpose before them.
pub(crate) struct FakeSealer;

impl Sealer for FakeSealer {
    async fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        if plain == b"unsealable" {
            return Err(KeyFault::Broken("the drawer SECRET-DRAWER jams".into()));
        }
        let mut bytes = format!("{purpose}:").into_bytes();
        bytes.extend(plain.iter().rev());
        Ok(Sealed(bytes))
    }

    async fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        let plain = sealed.0.strip_prefix(format!("{purpose}:").as_bytes());
        let plain = plain.ok_or(KeyFault::Tampered)?;
        Ok(plain.iter().rev().copied().collect())
    }
}
