//! The running sandbox: routes, shared state, and its life from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::Listener as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::{Incoming, Refused, check};
use crate::books::Books;
use crate::caller::Caller;
use crate::create::{PRE_TRANSFER, create, lost, system_error};
use crate::faults::{Fault, Faults, asked};
use crate::identity::Kind;
use crate::journal::Journal;
use crate::kept::Id;
use crate::provision::{Credentials, Provision};
use crate::robot::{ask_all, finish_cancel};
use crate::said::Said;
use crate::settings::Settings;
use crate::tls::{self, Peer};
use crate::world::{Member, World, pass};
use crate::{
    authorization, batch, bill, damage, identity, lag, message, notify, oauth, old, panel, receipt,
    side, transfer,
};

/// Where authorizations are.
pub(crate) const AUTHORIZATIONS: &str = "/v3/fund-app/mch-transfer/user-confirm-authorization";

/// Receipts of transfers, and of a batch's items and enterprise payments.
const ELECSIGN: &str = "/v3/fund-app/mch-transfer/elecsign";
const RECEIPTS: &str = "/v3/transfer-detail/electronic-receipts";
/// Where batches are.
pub(crate) const BATCHES: &str = "/v3/transfer/batches";

/// The largest request, in bytes.
const BODY_MAX: usize = 1_048_576;

/// A running sandbox. It goes on until [`Sandbox::stop`] or the end of the process.
#[derive(Debug)]
pub struct Sandbox {
    world: Arc<World>,
    addr: SocketAddr,
    over_tls: Option<(SocketAddr, String)>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox; everything that an earlier one in the same directory promised holds.
    ///
    /// # Errors
    /// When the directory or the address cannot be used.
    pub async fn start(settings: Settings) -> anyhow::Result<Sandbox> {
        let first = Arc::new(Member::open(&settings, 1)?);
        let there = Provision::load_all(&settings.data)?.len();
        let mut members = vec![Arc::clone(&first)];
        for no in 2..=there.max(settings.merchants) {
            members.push(Arc::new(Member::open(&settings, no)?));
        }
        let (journal, records) = Journal::open(&settings.data.join("journal.jsonl"))?;
        let names = |member: &Arc<Member>| {
            let credentials = member.credentials();
            (credentials.appid.clone(), credentials.mchid.clone())
        };
        let names: Vec<(String, String)> = members.iter().map(names).collect();
        let used = !records.is_empty();
        let mut books = Books::new(&names, settings.booking, journal, records);
        for (no, (_, mchid)) in names.iter().enumerate() {
            let had_money = !books.account(mchid).flow.is_empty() || (no == 0 && used);
            if settings.first_top_up_fen > 0 && !had_money {
                books.top_up(mchid, settings.first_top_up_fen);
            }
        }
        let cancelling = transfer::cancelling(&books);
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let addr = listener.local_addr()?;
        let url = format!("http://{addr}");
        let said = Said::load(&settings.data)?;
        // A file that is named now counts more than what was said to an earlier sandbox.
        let scripted = match (&settings.faults, &said.faults) {
            (None, Some(faults)) => faults.clone(),
            (file, _) => Faults::of_file(file.as_deref())?,
        };
        let world = Arc::new(World::new(settings, url, (first, members), books));
        *world.faults() = scripted;
        if let Some(robot) = said.robot {
            world.set_robot(robot);
        }
        world.books().lag = world.settings.lag.or(said.lag).unwrap_or_default();
        *world.said() = said;
        pass(&world, &mut world.books());
        ask_all(&world);
        for id in cancelling {
            finish_cancel(&world, id);
        }
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(serve(listener, Arc::clone(&world), stopped)),
            tokio::spawn(notify::run(Arc::clone(&world))),
            tokio::spawn(tick(Arc::clone(&world))),
        ];
        let mut over_tls = None;
        if let Some(at) = world.settings.tls {
            let (listener, authority) = tls::listen(&world.settings.data, at).await?;
            over_tls = Some((listener.local_addr()?, authority));
            tasks.push(tokio::spawn(serve_tls(listener, Arc::clone(&world))));
        }
        Ok(Sandbox {
            world,
            addr,
            over_tls,
            stop,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://` and the address.
    #[must_use]
    pub fn url(&self) -> String {
        self.world.url.clone()
    }

    /// `https://` and the address with TLS, and the certificate in PEM of the authority that it
    /// rests on; nothing where no such address was asked for.
    #[must_use]
    pub fn tls(&self) -> Option<(String, &str)> {
        let (addr, authority) = self.over_tls.as_ref()?;
        Some((format!("https://{addr}"), authority))
    }

    /// What a client of the first merchant needs.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        self.world.first.credentials()
    }

    /// The numbers of all merchants, the first one first.
    #[must_use]
    pub fn mchids(&self) -> Vec<String> {
        let members = self.world.members();
        let mchids = members.iter().map(|member| member.mchid().to_owned());
        mchids.collect()
    }

    /// Moves the business clock ahead; what became due happens.
    pub async fn advance(&self, time: Duration) {
        self.world
            .advance_ms(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
            .await;
    }

    /// The business time in Unix milliseconds.
    #[must_use]
    pub fn now_business(&self) -> i64 {
        self.world.books().now()
    }

    /// How far the business clock runs ahead of the machine's, in milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.world.books().offset_ms
    }

    /// Stops serving; what was promised is on disk.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut tasks = self.tasks.into_iter();
        if let Some(server) = tasks.next() {
            let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
        }
        tasks.for_each(|task| task.abort());
    }
}

async fn serve(listener: TcpListener, world: Arc<World>, mut stopped: watch::Receiver<bool>) {
    let until = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let served = axum::serve(listener, routes(world))
        .with_graceful_shutdown(until)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the sandbox stopped serving");
    }
}

async fn serve_tls(listener: tls::TlsListener, world: Arc<World>) {
    let routes = routes(world).into_make_service_with_connect_info::<Peer>();
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the sandbox stopped serving over TLS");
    }
}

/// Time passes: what waits for a day ends, and what goes on by itself goes on.
async fn tick(world: Arc<World>) {
    const SHORT: Duration = Duration::from_millis(50);
    loop {
        for _ in 0..20 {
            tokio::time::sleep(SHORT).await;
            if lag::pass(&mut world.books()) {
                world.wake_notifier();
            }
        }
        pass(&world, &mut world.books());
        world.wake_notifier();
    }
}

fn routes(world: Arc<World>) -> Router {
    const TRANSFERS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
    Router::new()
        .route("/connect/oauth2/authorize", get(authorize))
        .route("/connect/qrconnect", get(authorize))
        .route("/sns/{*call}", get(sns))
        .route("/cgi-bin/token", get(sns))
        .route("/_sandbox/apps", post(identity::make_app))
        .route("/_sandbox/wx-login", post(identity::wx_login))
        .route("/_sandbox/grants/take-away", post(identity::take_away))
        .route("/v3/certificates", get(v3))
        .route(TRANSFERS, post(create))
        .route(&format!("{TRANSFERS}/{PRE_TRANSFER}"), post(create))
        .route(&format!("{TRANSFERS}/transfer"), post(create))
        .route(AUTHORIZATIONS, post(create))
        .route(&format!("{AUTHORIZATIONS}/{{*number}}"), get(v3).post(v3))
        .route(BATCHES, post(create))
        .route(&format!("{BATCHES}/{{*number}}"), get(v3))
        .route(&format!("{TRANSFERS}/out-bill-no/{{number}}"), get(v3))
        .route(&format!("{TRANSFERS}/transfer-bill-no/{{number}}"), get(v3))
        .route(
            &format!("{TRANSFERS}/out-bill-no/{{number}}/cancel"),
            post(v3),
        )
        .route("/v3/merchant/fund/balance/{account}", get(v3))
        .route("/v3/merchant/fund/dayendbalance/{account}", get(v3))
        .route(side::ECHO, post(side::echo))
        .route(
            "/mmpaymkttransfers/promotion/transfers",
            post(old::transfers),
        )
        .route(
            "/mmpaymkttransfers/gettransferinfo",
            post(old::transfer_info),
        )
        .route("/mmpaymkttransfers/sendredpack", post(old::send_packet))
        .route("/mmpaymkttransfers/gethbinfo", post(old::packet_info))
        .route("/pay/downloadfundflow", post(old::download_fund_flow))
        .route("/v3/bill/fundflowbill", get(v3))
        .route("/v3/billdownload/file", get(download))
        .route(&format!("{ELECSIGN}/out-bill-no"), post(v3))
        .route(&format!("{ELECSIGN}/out-bill-no/{{number}}"), get(v3))
        .route(&format!("{ELECSIGN}/transfer-bill-no"), post(v3))
        .route(&format!("{ELECSIGN}/transfer-bill-no/{{number}}"), get(v3))
        .route(RECEIPTS, get(v3).post(v3))
        .route("/v3/transferbilldownload/elecvoucherfile", get(download))
        .merge(message::routes())
        .merge(panel::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(world)
}

async fn unknown(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap) -> Response {
    let words = format!("没有该接口：{}", uri.path());
    let refused = Refused::new(404, "RESOURCE_NOT_EXISTS", words);
    world.answered(&world.claimed(&headers), &headers, Err(refused))
}

pub(crate) fn path_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

async fn authorize(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap) -> Response {
    let given = oauth::fields(uri.query().unwrap_or_default());
    let kind = if uri.path().ends_with("/qrconnect") {
        Kind::Website
    } else {
        Kind::OfficialAccount
    };
    // An app that was made since counts from now on.
    let _ = world.owner_of(given.get("appid").map_or("", String::as_str));
    let (response, promise) = {
        let mut books = world.books();
        let page = oauth::page(&mut books, kind, &given, &headers);
        (page, books.promise())
    };
    if let Some(promise) = promise {
        let _ = promise.kept().await;
    }
    response
}

/// Every answer has status 200 and says `text/plain`.
async fn sns(State(world): State<Arc<World>>, uri: Uri) -> Response {
    let given = oauth::fields(uri.query().unwrap_or_default());
    let call = uri.path().trim_start_matches('/');
    let planned = world.faults().planned(call);
    let value = match (planned, call) {
        (Some(errcode), _) => oauth::refused(errcode, "as it was planned"),
        (None, "sns/oauth2/access_token") => oauth::access_token(&world, &given),
        (None, "sns/oauth2/refresh_token") => {
            let renews = world.faults().strikes(Fault::TokenRenewed, uri.path());
            oauth::refresh_token(&world, &given, renews)
        }
        (None, "sns/auth") => oauth::auth(&world.books(), &given),
        (None, "sns/userinfo") => oauth::userinfo(&world.books(), &given),
        (None, "sns/jscode2session") => identity::session(&world, &given),
        (None, "cgi-bin/token") => identity::app_token(&world, &given),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let promise = world.books().promise();
    if let Some(promise) = promise {
        let _ = promise.kept().await;
    }
    if world.faults().strikes(Fault::TokensLost, uri.path()) {
        return lost();
    }
    let plain = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    ([plain], value.to_string()).into_response()
}

async fn v3(
    State(world): State<Arc<World>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    body: Bytes,
) -> Response {
    let path = path_of(&uri);
    let headers = &caller.headers;
    let request = Incoming {
        method: method.as_str(),
        path,
        headers,
        body: &body,
    };
    let member = world.claimed(headers);
    let admitted = check(&member, request)
        .and_then(|()| world.admits(&member, method.as_str(), path))
        .and_then(|()| asked(headers));
    let id = Id::new(member.mchid(), named_in(path));
    let blind = admitted.and_then(|asked| {
        world.faults().asked_for(&asked, &id.number);
        blind_query(&world, &method, path)
    });
    if path.ends_with("/cancel") && blind.is_ok() {
        user_first(&world, &id);
    }
    let (mut result, promise) = match blind {
        Err(refused) => (Err(refused), None),
        Ok(()) => {
            let mut books = world.books();
            let result = call((&world, &member), &mut books, &uri, &body);
            (result, books.promise())
        }
    };
    if let Some(promise) = promise {
        let _ = promise.kept().await;
    }
    if let (Ok(value), true) = (&result, path.ends_with("/cancel")) {
        let number = value["out_bill_no"].as_str().unwrap_or_default();
        finish_cancel(&world, Id::new(member.mchid(), number));
        if world.faults().strikes(Fault::CancelLost, number) {
            return lost();
        }
    }
    if let Ok(value) = &mut result {
        if world.faults().strikes(Fault::ExtraFields, &id.number) {
            value["field_of_tomorrow"] = serde_json::json!({ "any": [1, "二"] });
        }
        caller.base(&world, value);
    }
    world.answered(&member, headers, result)
}

/// The number that a path is about.
fn named_in(path: &str) -> &str {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let path = path.strip_suffix("/cancel").unwrap_or(path);
    path.rsplit('/').next().unwrap_or_default()
}

/// The user of a transfer that is being cancelled may be quicker.
fn user_first(world: &World, id: &Id) {
    if world.faults().strikes(Fault::ConfirmFirst, &id.number) {
        let _ = transfer::confirm(&mut world.books(), id, None);
        world.wake_notifier();
    }
}

/// Why a question about a transfer is not answered truly, if it is not. What happens to so many of
/// a thousand happens to other ones every quarter of an hour, or they would never be found.
fn blind_query(world: &World, method: &Method, path: &str) -> Result<(), Refused> {
    let asks = path.contains("/transfer-bills/") || path.starts_with(BATCHES);
    if method != Method::GET || !asks {
        return Ok(());
    }
    let quarter = world.books().now() / 900_000;
    let number = format!("{path}/{quarter}");
    let named = named_in(path);
    let mut faults = world.faults();
    let mut strikes = |fault| faults.strikes_one(fault, named) || faults.strikes(fault, &number);
    if strikes(Fault::QueryError) {
        Err(system_error())
    } else if strikes(Fault::QueryBlind) {
        Err(Refused::new(404, "NOT_FOUND", "记录不存在"))
    } else {
        Ok(())
    }
}

fn call(
    (world, member): (&World, &Member),
    books: &mut Books,
    uri: &Uri,
    body: &[u8],
) -> Result<Value, Refused> {
    let path = uri.path();
    let query = uri.query().unwrap_or_default();
    if path == "/v3/certificates" {
        return member.certs().list(&member.credentials().apiv3_key);
    }
    if path == "/v3/bill/fundflowbill" {
        return damage::apply(world, member, books, query);
    }
    if path.starts_with(ELECSIGN) || path == RECEIPTS {
        return match body.is_empty() {
            true => receipt::query((world, member), books, path, query),
            false => receipt::apply((world, member), books, path, body),
        };
    }
    if let Some(account) = path.strip_prefix("/v3/merchant/fund/balance/") {
        return bill::balance(member, books, account);
    }
    if let Some(account) = path.strip_prefix("/v3/merchant/fund/dayendbalance/") {
        return side::day_end_balance(member, books, account, query);
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [.., "batches", kind, number] => batch::query(books, (kind, number), member.mchid(), query),
        [.., "batches", kind, number, "details", item_kind, item] => {
            let id = batch::own_number(books, member.mchid(), kind, number);
            batch::detail(member, books, &id, (item_kind, item))
        }
        [.., "out-authorization-no", number, "close"] => {
            authorization::close(books, &Id::new(member.mchid(), number))
        }
        [.., "out-authorization-no", number] => {
            authorization::query(books, &Id::new(member.mchid(), number))
        }
        [.., number, "cancel"] => transfer::cancel(books, &Id::new(member.mchid(), number)),
        [.., kind, number] => {
            let id = Id::new(member.mchid(), number);
            transfer::query(member, books, id, *kind == "transfer-bill-no")
        }
        _ => Err(Refused::new(404, "RESOURCE_NOT_EXISTS", "没有该接口")),
    }
}

/// The file itself; it is not signed.
async fn download(
    State(world): State<Arc<World>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let request = Incoming {
        method: "GET",
        path: path_of(&uri),
        headers: &headers,
        body: b"",
    };
    let member = world.claimed(&headers);
    let query = uri.query().unwrap_or_default();
    let of_receipt = uri.path().contains("/elecvoucherfile");
    let file = check(&member, request).and_then(|()| match of_receipt {
        true => receipt::download(&member, &world.books(), query),
        false => damage::download(&world, &member, &world.books(), query),
    });
    let kind = if of_receipt {
        "application/pdf"
    } else {
        "text/plain"
    };
    match file {
        Ok(file) => ([(header::CONTENT_TYPE, kind)], file).into_response(),
        Err(refused) => world.answered(&member, &headers, Err(refused)),
    }
}
