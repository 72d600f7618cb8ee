//! WeChat as the engine sees it: transfers, notifications, bills, and whose wallet it is.

use std::collections::BTreeMap;
use std::future::Future;

use lingqian_core::id::{AppId, MchId};
use lingqian_core::link::Identity;
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{BillLine, Direction};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{TransferOrder, TransferReport};
use lingqian_core::user::Sealed;

use crate::Fault;

/// A message that came in on the notification route, untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body, over which the signature runs.
    pub body: Vec<u8>,
}

/// Why a notification has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that the signature needs is absent or malformed.
    #[error("the header {0} is missing or malformed")]
    HeaderMissing(&'static str),
    /// Signed too long ago or too far ahead.
    #[error("the timestamp is more than five minutes away from now")]
    Stale,
    /// Signed with a key that we do not hold.
    #[error("the signing key is not known")]
    SerialUnknown,
    /// The signature is not that of the body.
    #[error("the signature is wrong")]
    SignatureWrong,
    /// Rightly signed, but its sealed part does not open.
    #[error("the sealed part does not open")]
    SealWrong,
    /// Rightly signed for one merchant, and about another's transfer.
    #[error("it is signed for another merchant than it names")]
    OtherMerchant,
    /// Rightly signed, but not of the form that was agreed.
    #[error("the message is not of the agreed form: {0}")]
    Malformed(&'static str),
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::HeaderMissing(_) => "signature_header_missing",
            Refusal::Stale => "timestamp_stale",
            Refusal::SerialUnknown => "signing_key_unknown",
            Refusal::SignatureWrong => "signature_wrong",
            Refusal::SealWrong => "seal_wrong",
            Refusal::OtherMerchant => "merchant_mismatch",
            Refusal::Malformed(_) => "message_malformed",
        }
    }
}

/// A notification that is truly WeChat's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// About a transfer whose number could be ours.
    Transfer(Box<TransferReport>),
    /// About something that this engine does not do; it is acknowledged and forgotten.
    Other {
        /// What it was about.
        event: String,
    },
}

/// The lines of a bill, one after the other: a bill may be larger than memory.
pub type Lines = Box<dyn Iterator<Item = Result<BillLine, Fault>> + Send>;

/// One day's bill, fetched, checked as a whole, and ready to be read.
pub struct BillFile {
    /// SHA-1 of the file, as WeChat gave it and as it was computed.
    pub sha1: String,
    /// How many lines there are.
    pub count: u64,
    /// The sum of what left, by the bill's own summary.
    pub out: Fen,
    /// The sum of what came in, by the bill's own summary.
    pub came_in: Fen,
    /// The balance before the first line and after the last one; none without a line.
    pub balances: Option<(Fen, Fen)>,
    /// The lines, in the order of the file.
    pub lines: Lines,
}

impl BillFile {
    /// A bill of these lines.
    #[must_use]
    pub fn of(sha1: String, lines: Vec<BillLine>) -> BillFile {
        let sum = |direction| {
            let of = lines.iter().filter(|line| line.direction == direction);
            Fen(of.fold(0, |sum, line| line.amount.0.saturating_add(sum)))
        };
        BillFile {
            sha1,
            count: lines.len() as u64,
            out: sum(Direction::Out),
            came_in: sum(Direction::In),
            balances: lines
                .first()
                .zip(lines.last())
                .map(|(first, last)| (first.before(), last.balance)),
            lines: Box::new(lines.into_iter().map(Ok)),
        }
    }
}

impl std::fmt::Debug for BillFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BillFile")
            .field("sha1", &self.sha1)
            .field("count", &self.count)
            .field("out", &self.out)
            .field("came_in", &self.came_in)
            .finish_non_exhaustive()
    }
}

/// What came of asking for a bill.
#[derive(Debug)]
pub enum FetchedBill {
    /// Here it is.
    Ready(BillFile),
    /// There was no movement that day.
    Empty,
    /// It is not made yet; ask again later.
    NotYet,
}

/// What came of asking for a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Here it is, a PDF whose hash was compared.
    Ready(Vec<u8>),
    /// It is being made; ask again in a while.
    Making,
    /// There is none, for the reason.
    None(String),
}

/// Calls about one order after the other: a report about each, in their order.
pub async fn one_by_one<'o, R>(
    orders: &'o [TransferOrder],
    call: impl Fn(&'o TransferOrder) -> R + Send,
) -> Vec<TransferReport>
where
    R: Future<Output = TransferReport> + Send,
{
    let mut reports = Vec::with_capacity(orders.len());
    for order in orders {
        reports.push(call(order).await);
    }
    reports
}

/// A way for money to reach a wallet.
pub trait Rail: Send + Sync + 'static {
    /// Sends an order. It never fails: whatever happened is a report, and what is not certain
    /// is [`lingqian_core::transfer::Finding::Unknown`].
    fn send(&self, order: &TransferOrder) -> impl Future<Output = TransferReport> + Send;

    /// The merchants whose new orders may go out many in one request, and how many at most.
    fn packs(&self) -> BTreeMap<MchId, u16> {
        BTreeMap::new()
    }

    /// Sends the orders of one batch, all of it, in one request: a report about each. Whatever is
    /// said of the request is true of all; what is not certain is unknown of each.
    fn send_all(
        &self,
        orders: &[TransferOrder],
    ) -> impl Future<Output = Vec<TransferReport>> + Send {
        one_by_one(orders, |order| self.send(order))
    }

    /// Asks what became of orders of one batch, in as few calls as that takes: a report about each.
    fn ask_all(
        &self,
        orders: &[TransferOrder],
    ) -> impl Future<Output = Vec<TransferReport>> + Send {
        one_by_one(orders, |order| self.ask(order))
    }

    /// Asks what became of an order, over the product and under the app that it was made for.
    fn ask(&self, order: &TransferOrder) -> impl Future<Output = TransferReport> + Send;

    /// Asks for an order to be cancelled.
    fn cancel(&self, order: &TransferOrder) -> impl Future<Output = TransferReport> + Send;

    /// The electronic receipt of an order that was paid, where the product has one. The first time it
    /// is applied for; it is kept once it is there.
    ///
    /// # Errors
    /// A fault when there is no answer, or the file is not the one that was hashed.
    fn receipt(
        &self,
        _order: &TransferOrder,
    ) -> impl Future<Output = Result<Receipt, Fault>> + Send {
        async { Ok(Receipt::None("receipt_not_offered".into())) }
    }

    /// Proves that a notification is WeChat's and reads it.
    ///
    /// # Errors
    /// The first proof that it fails; it must have no effect then.
    fn open(
        &self,
        notification: &Notification,
    ) -> impl Future<Output = Result<Opened, Refusal>> + Send;

    /// What the merchant can spend now, where WeChat tells this merchant: few may ask.
    ///
    /// # Errors
    /// A fault when there is no answer.
    fn balance(&self, _mchid: &MchId) -> impl Future<Output = Result<Option<Fen>, Fault>> + Send {
        async { Ok(None) }
    }

    /// Fetches the fund-flow bill of one day.
    ///
    /// # Errors
    /// A fault when there is no answer, when the hash is wrong, or when the file does not read.
    fn bill(
        &self,
        mchid: &MchId,
        date: BusinessDate,
    ) -> impl Future<Output = Result<FetchedBill, Fault>> + Send;
}

/// What an app is to WeChat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppKind {
    /// An official account: its page opens inside WeChat.
    #[default]
    OfficialAccount,
    /// A website of an open-platform account: its page shows a QR code.
    Website,
    /// A mini program: it gets a code by itself and has no page.
    MiniProgram,
}

impl AppKind {
    /// Every kind.
    pub const ALL: [AppKind; 3] = [
        AppKind::OfficialAccount,
        AppKind::Website,
        AppKind::MiniProgram,
    ];

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AppKind::OfficialAccount => "official_account",
            AppKind::Website => "website",
            AppKind::MiniProgram => "mini_program",
        }
    }
}

/// What a user is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkScope {
    /// Who they are, without a word to them.
    #[default]
    Base,
    /// The same with their consent, and so their unionid where there is one.
    Userinfo,
    /// A QR code on a website.
    Login,
}

impl LinkScope {
    /// Every scope.
    pub const ALL: [LinkScope; 3] = [LinkScope::Base, LinkScope::Userinfo, LinkScope::Login];

    /// WeChat's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LinkScope::Base => "snsapi_base",
            LinkScope::Userinfo => "snsapi_userinfo",
            LinkScope::Login => "snsapi_login",
        }
    }

    /// The scope of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<LinkScope> {
        LinkScope::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What a refusal of WeChat's leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is busy: the same again, a few times.
    Again,
    /// We ask too often: wait a minute.
    Slower,
    /// The day's quota is spent: wait for the next day.
    Tomorrow,
    /// The access token ended: refresh it, once.
    Renew,
    /// The grant ended: the user begins again.
    Restart,
    /// The user must follow the account first.
    Follow,
    /// WeChat keeps this user from it.
    Blocked,
    /// A person must change settings here or at WeChat.
    Configure,
    /// A code that nobody has heard of: a person looks, and nothing is concluded.
    Unheard,
}

impl Remedy {
    /// The stable code, for pages, answers and records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Remedy::Again => "wechat_busy",
            Remedy::Slower => "wechat_slow_down",
            Remedy::Tomorrow => "wechat_quota_spent",
            Remedy::Renew | Remedy::Restart => "authorization_ended",
            Remedy::Follow => "must_follow",
            Remedy::Blocked => "user_blocked",
            Remedy::Configure => "wechat_configuration",
            Remedy::Unheard => "wechat_refused",
        }
    }
}

/// Why nobody could be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// WeChat refused the code or token.
    #[error("WeChat refused the authorization with code {errcode} ({})", remedy.code())]
    Refused {
        /// WeChat's error code.
        errcode: i64,
        /// What that leaves to do.
        remedy: Remedy,
    },
    /// No answer, or one that makes no sense. A code is used up by now, so the user starts again.
    #[error("WeChat did not say who the user is: {0}")]
    Unavailable(String),
}

/// Tells whose wallet it is.
pub trait IdentityProvider: Send + Sync + 'static {
    /// The apps whose secrets are here.
    fn apps(&self) -> Vec<(AppId, AppKind)>;

    /// Where to send the user to grant the authorization.
    fn authorize_url(
        &self,
        app: &AppId,
        redirect_uri: &str,
        state: &str,
        scope: LinkScope,
    ) -> String;

    /// Exchanges the code that the user came back with from this app's page. A code works once.
    ///
    /// # Errors
    /// See [`IdentityFault`].
    fn redeem(
        &self,
        app: &AppId,
        code: &str,
    ) -> impl Future<Output = Result<Identity, IdentityFault>> + Send;

    /// Exchanges the code that a mini program got. A code works once.
    ///
    /// # Errors
    /// See [`IdentityFault`].
    fn by_code(
        &self,
        app: &AppId,
        code: &str,
    ) -> impl Future<Output = Result<Identity, IdentityFault>> + Send;

    /// Gets fresh tokens for an earlier grant to this app.
    ///
    /// # Errors
    /// See [`IdentityFault`].
    fn refresh(
        &self,
        app: &AppId,
        tokens: &Sealed,
    ) -> impl Future<Output = Result<Identity, IdentityFault>> + Send;

    /// Whether the tokens still work.
    ///
    /// # Errors
    /// [`IdentityFault::Unavailable`] when nobody can tell.
    fn check(
        &self,
        app: &AppId,
        tokens: &Sealed,
    ) -> impl Future<Output = Result<bool, IdentityFault>> + Send;
}
