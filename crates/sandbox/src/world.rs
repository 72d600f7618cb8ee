//! What all requests share: the merchants with their keys, the books, and what goes wrong.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::response::Response;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::auth::{self, Refused, Signing};
use crate::books::{Books, wire_now};
use crate::certs::Certs;
use crate::crypto::PrivateKey;
use crate::faults::Faults;
use crate::journal::Record;
use crate::message::Messages;
use crate::provision::{Credentials, Provision};
use crate::receipt::Applied;
use crate::said::{Said, Script};
use crate::settings::{Robot, Settings};
use crate::throttle::Throttle;
use crate::{authorization, batch, lag, old, transfer};

/// One merchant with everything that WeChat has for it alone.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) provision: Provision,
    pub(crate) public_key: PrivateKey,
    certs: Mutex<Certs>,
    /// Whether the last create was to be answered by the public key; notifications follow.
    by_public_key: Mutex<bool>,
}

impl Member {
    pub(crate) fn open(settings: &Settings, no: usize) -> anyhow::Result<Member> {
        let provision = Provision::load(&settings.data, no)?;
        Ok(Member {
            public_key: PrivateKey::from_pem(&provision.public_key_private_pem)?,
            certs: Mutex::new(Certs::open(&settings.data, no, &provision)?),
            by_public_key: Mutex::new(true),
            provision,
        })
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.provision.credentials
    }

    pub(crate) fn mchid(&self) -> &str {
        &self.provision.credentials.mchid
    }

    /// The certificates; never held over a wait.
    pub(crate) fn certs(&self) -> MutexGuard<'_, Certs> {
        lock(&self.certs)
    }

    pub(crate) fn notices_by_public_key(&self) -> bool {
        *lock(&self.by_public_key)
    }

    pub(crate) fn answer_by(&self, public_key: bool) {
        *lock(&self.by_public_key) = public_key;
    }
}

/// Notifications that wait until another one went out, each of them once.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: BTreeSet<u64>,
    were: BTreeSet<u64>,
}

impl Held {
    /// Holds one, unless it was held before.
    pub(crate) fn hold(&mut self, id: u64) -> bool {
        let new = self.were.insert(id);
        if new {
            self.waiting.insert(id);
        }
        new
    }

    /// Lets go of all.
    pub(crate) fn let_go(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.waiting)
    }
}

/// So many tries of notifications are remembered.
const ATTEMPTS_MAX: usize = 2_000;

/// One try of a notification.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    pub(crate) number: String,
    pub(crate) event: &'static str,
    pub(crate) url: String,
    pub(crate) at: String,
    /// How it was signed.
    pub(crate) signed: &'static str,
    /// The status that came back; nothing where none did in time.
    pub(crate) status: Option<u16>,
    pub(crate) took_ms: u64,
}

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) url: String,
    pub(crate) client: Client<HttpsConnector<HttpConnector>, Full<bytes::Bytes>>,
    pub(crate) first: Arc<Member>,
    members: Mutex<Vec<Arc<Member>>>,
    books: Mutex<Books>,
    faults: Mutex<Faults>,
    robot: Mutex<Robot>,
    said: Mutex<Said>,
    under_way: Mutex<BTreeSet<u64>>,
    receipts: Mutex<Applied>,
    throttle: Mutex<Throttle>,
    attempts: Mutex<VecDeque<Attempt>>,
    held: Mutex<Held>,
    messages: Mutex<Messages>,
    wake: Notify,
}

impl std::fmt::Debug for Provision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.credentials.fmt(f)
    }
}

/// Notifications go to both kinds of addresses. The system's certificates prove a name, or those
/// of the file that `SSL_CERT_FILE` names; where there are none only plain addresses are reached.
fn connector() -> HttpsConnector<HttpConnector> {
    let builder = HttpsConnectorBuilder::new().with_native_roots();
    let builder = builder.unwrap_or_else(|_| {
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth())
    });
    builder.https_or_http().enable_http1().build()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is due by the business clock happens.
pub(crate) fn pass(world: &World, books: &mut Books) {
    lag::pass(books);
    transfer::close_due(world, books);
    authorization::pass(books);
    batch::pass(world, books);
    old::pass(books);
}

impl World {
    /// A world at an address; `members` are its merchants, at least one.
    pub(crate) fn new(
        settings: Settings,
        url: String,
        (first, members): (Arc<Member>, Vec<Arc<Member>>),
        books: Books,
    ) -> World {
        let executor = hyper_util::rt::TokioExecutor::new();
        World {
            client: Client::builder(executor)
                .pool_max_idle_per_host(32)
                .build(connector()),
            robot: Mutex::new(settings.robot),
            said: Mutex::default(),
            settings,
            url,
            first,
            members: Mutex::new(members),
            books: Mutex::new(books),
            faults: Mutex::default(),
            under_way: Mutex::default(),
            receipts: Mutex::default(),
            throttle: Mutex::default(),
            attempts: Mutex::default(),
            held: Mutex::default(),
            messages: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The books; never held over a wait.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// What will go wrong; never held over a wait.
    pub(crate) fn faults(&self) -> Script<'_> {
        Script {
            world: self,
            faults: lock(&self.faults),
        }
    }

    /// Receipts that were applied for; never held over a wait.
    pub(crate) fn receipts(&self) -> MutexGuard<'_, Applied> {
        lock(&self.receipts)
    }

    pub(crate) fn robot(&self) -> Robot {
        *lock(&self.robot)
    }

    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        lock(&self.said)
    }

    pub(crate) fn set_robot(&self, robot: Robot) {
        *lock(&self.robot) = robot;
    }

    pub(crate) fn under_way(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        lock(&self.under_way)
    }

    /// What was sent to whom, and what came of it; the last ones.
    pub(crate) fn attempts(&self) -> MutexGuard<'_, VecDeque<Attempt>> {
        lock(&self.attempts)
    }

    pub(crate) fn note(&self, attempt: Attempt) {
        let mut attempts = self.attempts();
        if attempts.len() >= ATTEMPTS_MAX {
            attempts.pop_front();
        }
        attempts.push_back(attempt);
    }

    /// Messages to users; never held over a wait.
    pub(crate) fn messages(&self) -> MutexGuard<'_, Messages> {
        lock(&self.messages)
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }

    /// Counts a call, where calls are counted.
    pub(crate) fn admits(&self, member: &Member, method: &str, path: &str) -> Result<(), Refused> {
        if !self.faults().throttle {
            return Ok(());
        }
        let now_s = wire_now() / 1_000;
        lock(&self.throttle).admits(member.mchid(), (method, path), now_s)
    }

    /// An answer as it should be; errors are unsigned where that was asked for.
    pub(crate) fn answered(
        &self,
        member: &Member,
        headers: &HeaderMap,
        result: Result<Value, Refused>,
    ) -> Response {
        let nobody = result.is_err() && self.faults().errors_unsigned;
        let signing = if nobody {
            Signing::Nobody
        } else {
            Signing::Right
        };
        auth::answer(member, headers, result, signing)
    }

    pub(crate) fn wake_notifier(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn notified(&self) {
        self.wake.notified().await;
    }

    /// All merchants, by their numbers.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        lock(&self.members).clone()
    }

    /// The merchant that fits, also one that was made since this began. The books must be free.
    fn find(&self, fits: impl Fn(&Member) -> bool) -> Option<Arc<Member>> {
        let known = |all: Vec<Arc<Member>>| all.into_iter().find(|member| fits(member));
        known(self.members()).or_else(|| {
            self.look_for_new();
            known(self.members())
        })
    }

    /// The merchant of that number of WeChat's.
    pub(crate) fn member(&self, mchid: &str) -> Option<Arc<Member>> {
        self.find(|member| member.mchid() == mchid)
    }

    /// The merchant whose own app it is.
    pub(crate) fn owner_of(&self, appid: &str) -> Option<Arc<Member>> {
        self.find(|member| member.credentials().appid == appid)
    }

    /// The merchant that a tester names; the first where none is named.
    pub(crate) fn named(&self, mchid: Option<&str>) -> Result<Arc<Member>, String> {
        let Some(mchid) = mchid else {
            return Ok(Arc::clone(&self.first));
        };
        let unknown =
            || format!("there is no merchant {mchid}; GET /_sandbox/merchants lists them");
        self.member(mchid).ok_or_else(unknown)
    }

    /// The merchant that a request says it is from, whether or not that is true; its WeChat keys
    /// sign the answer.
    pub(crate) fn claimed(&self, headers: &HeaderMap) -> Arc<Member> {
        let named = auth::claimed_mchid(headers);
        let found = named.and_then(|mchid| self.member(mchid));
        found.unwrap_or_else(|| Arc::clone(&self.first))
    }

    /// Credentials that were made by a command beside this process count from now on.
    fn look_for_new(&self) {
        let mut members = lock(&self.members);
        loop {
            let there = Provision::load_all(&self.settings.data).map_or(0, |all| all.len());
            if there <= members.len() {
                return;
            }
            match Member::open(&self.settings, members.len() + 1) {
                Ok(member) => {
                    self.admit(&member, self.settings.first_top_up_fen);
                    members.push(Arc::new(member));
                }
                Err(error) => {
                    tracing::error!(%error, "a merchant's files cannot be read");
                    return;
                }
            }
        }
    }

    /// Makes one merchant more, with so much money.
    pub(crate) fn make_member(&self, top_up_fen: i64) -> anyhow::Result<Arc<Member>> {
        self.look_for_new();
        let mut members = lock(&self.members);
        let member = Arc::new(Member::open(&self.settings, members.len() + 1)?);
        self.admit(&member, top_up_fen);
        members.push(Arc::clone(&member));
        Ok(member)
    }

    fn admit(&self, member: &Member, top_up_fen: i64) {
        let mut books = self.books();
        books.admit(&member.credentials().appid, member.mchid());
        if top_up_fen > 0 {
            books.top_up(member.mchid(), top_up_fen);
        }
    }

    /// Moves the business clock and lets happen what became due.
    pub(crate) async fn advance_ms(&self, ms: i64) {
        let promise = {
            let mut books = self.books();
            let offset_ms = books.offset_ms + ms;
            books.record(Record::Clock { offset_ms });
            pass(self, &mut books);
            books.promise()
        };
        if let Some(promise) = promise {
            let _ = promise.kept().await;
        }
        self.wake_notifier();
    }
}
