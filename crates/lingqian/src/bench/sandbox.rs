//! `lingqian bench sandbox`: complete transfers through a sandbox of its own, beside what the
//! processor can sign. WeChat signs twice for each: the answer and the notification.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use http::Method;
use lingqian_core::id::MchId;
use lingqian_io::{Clock as _, Signer as _};
use lingqian_keys::SoftwareSigner;
use lingqian_sandbox::Credentials;
use lingqian_wechat::sign::{Request, authorization};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::bench::Place;
use crate::bench::figures::{micros_each, per_second};
use crate::bench::ledger::check::Verdict;
use crate::bench::machine::{Meter, thread_time};
use crate::bench::options::SandboxOptions;
use crate::bench::sheet::Sheet;
use crate::client::Client;
use crate::output::show;
use crate::world::RealClock;

/// Where transfers are made.
const PATH: &str = "/v3/fund-app/mch-transfer/transfer-bills";
/// So much of each.
const FEN: u64 = 100;
/// The last notification must come within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Signing is measured for so long, before and after.
const SIGNING: Duration = Duration::from_millis(700);

/// Runs the command.
///
/// # Errors
/// When the directory cannot be used, the sandbox fails, or an answer is not what it must be.
pub(super) async fn run(options: &SandboxOptions, json: bool) -> anyhow::Result<ExitCode> {
    let place = Place::make(options.dir.as_deref(), "sandbox")?;
    let credentials = Credentials::load(&place.path)?;
    let signer =
        SoftwareSigner::from_pem(&credentials.merchant_key_pem, &credentials.merchant_serial)?;
    let sandbox = Process::start(&place.path)?;
    let told = Arc::new(AtomicU64::new(0));
    let hook = receive(Arc::clone(&told)).await?;
    let openid = prepare(&sandbox.url).await?;
    let before = signatures(&signer).await?;
    let shares = parcels(options, (&credentials, &signer), (&openid, &hook)).await?;
    let mut meter = Meter::along(sandbox.child.id());
    meter.start();
    let mut senders = JoinSet::new();
    for share in shares {
        senders.spawn(send(sandbox.address().to_owned(), share));
    }
    let mut accepted = 0;
    while let Some(sent) = senders.join_next().await {
        accepted += sent??;
    }
    let began = Instant::now();
    while told.load(Ordering::SeqCst) < accepted && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    meter.stop();
    let after = signatures(&signer).await?;
    let mut sheet = Sheet::default();
    let mut verdict = Verdict::default();
    figures(&mut sheet, options, &meter, (before, after));
    verdict.equal("accepted", &accepted, &options.transfers);
    verdict.equal("notified", &told.load(Ordering::SeqCst), &options.transfers);
    let books = Client::default();
    let books = books
        .get_json(&format!("{}/_sandbox/books", sandbox.url), None)
        .await?;
    verdict.equal(
        "paid",
        &books["paid_fen"].as_u64(),
        &Some(options.transfers * FEN),
    );
    sheet.section("check").put("transfers_paid", accepted);
    verdict.put(&mut sheet);
    show(json, &sheet, |out| sheet.tell(out))?;
    Ok(verdict.exit_code())
}

fn figures(
    sheet: &mut Sheet,
    options: &SandboxOptions,
    meter: &Meter,
    (before, after): (u64, u64),
) {
    let (wall, used) = (meter.read().wall, meter.along_used());
    let signatures = u64::midpoint(before, after);
    let (by_processor, bound) = (per_second(options.transfers, used), signatures / 2);
    sheet
        .section("signing")
        .put("rsa_2048_signatures_per_second_and_core", signatures)
        .put("bound_transfers_per_second_and_core", bound);
    sheet
        .section("sandbox")
        .put("transfers", options.transfers)
        .put("connections", options.connections)
        .put("transfers_per_second", per_second(options.transfers, wall))
        .put("transfers_per_second_and_core", by_processor)
        .put(
            "processor_us_per_transfer",
            micros_each(used, options.transfers),
        )
        .put("percent_of_bound", by_processor * 100 / bound.max(1));
}

/// How many signatures one core makes in a second, by the time of this thread alone.
async fn signatures(signer: &SoftwareSigner) -> anyhow::Result<u64> {
    let (began, mut made) = (thread_time(), 0);
    // It never waits, so it stays on this thread.
    while thread_time().saturating_sub(began) < SIGNING {
        signer
            .sign(b"a message of about the usual length, which does not matter")
            .await?;
        made += 1;
    }
    Ok(per_second(made, thread_time().saturating_sub(began)))
}

/// A sandbox that ends when this goes away.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(dir: &Path) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("this executable has no path")?;
        let mut child = Command::new(program)
            .arg("--data")
            .arg(dir)
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .env("LINGQIAN_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the sandbox does not start")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_default().to_owned();
        // From here on it ends with its guard.
        let process = Process { child, url };
        anyhow::ensure!(!process.url.is_empty(), "the sandbox said: {line}");
        Ok(process)
    }

    /// Where it listens, as `host:port`.
    fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Counts what is announced, and acknowledges it.
async fn receive(told: Arc<AtomicU64>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let hook = move || async move {
        told.fetch_add(1, Ordering::SeqCst);
        StatusCode::NO_CONTENT
    };
    let router = Router::new().route("/hook", post(hook));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Somebody who confirms everything at once.
async fn prepare(url: &str) -> anyhow::Result<String> {
    let client = Client::default();
    let send = async |path: &str, body: Value| {
        let url = format!("{url}/_sandbox/{path}");
        let answer = client.send(Method::POST, &url, None, Some(&body)).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "{path} answered {}",
            answer.status
        );
        Ok(serde_json::from_slice::<Value>(&answer.body)?)
    };
    let everybody = json!({ "confirm_per_mille": 1_000, "refuse_per_mille": 0, "delay_ms": 0,
        "seed": 0 });
    send("robot", everybody).await?;
    let alice = send("users", json!({ "name": "alice" })).await?;
    let openid = alice["openid"]
        .as_str()
        .context("the sandbox names no openid")?;
    Ok(openid.to_owned())
}

/// Signed requests, a share of them for each connection.
async fn parcels(
    options: &SandboxOptions,
    (credentials, signer): (&Credentials, &SoftwareSigner),
    (openid, hook): (&str, &str),
) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
    let mchid = MchId::parse(&credentials.mchid).map_err(|_| anyhow::anyhow!("a bad number"))?;
    let mut shares = vec![Vec::new(); options.connections];
    for number in 0..options.transfers {
        let body = json!({
            "appid": credentials.appid,
            "out_bill_no": format!("B{number:010}"),
            "transfer_scene_id": "1000",
            "openid": openid,
            "transfer_amount": FEN,
            "transfer_remark": "奖励",
            "notify_url": hook,
            "transfer_scene_report_infos": [
                { "info_type": "活动名称", "info_content": "新会员有礼" },
                { "info_type": "奖励说明", "info_content": "注册会员抽奖" },
            ],
        })
        .to_string();
        let request = Request {
            method: "POST",
            path: PATH,
            body: body.as_bytes(),
        };
        let nonce = format!("{number:032}");
        let now = RealClock::default().wire().0 / 1_000;
        let proof = authorization(signer, &mchid, now, &nonce, request).await?;
        let message = format!(
            "POST {PATH} HTTP/1.1\r\nhost: sandbox\r\naccept: application/json\r\n\
             user-agent: lingqian-bench\r\ncontent-type: application/json\r\n\
             wechatpay-serial: {}\r\nauthorization: {proof}\r\ncontent-length: {}\r\n\r\n{body}",
            credentials.public_key_id,
            body.len()
        );
        let share = usize::try_from(number)? % options.connections;
        shares[share].push(message.into_bytes());
    }
    Ok(shares)
}

/// Sends a share over one connection, each request after the answer to the one before; how many
/// were accepted.
async fn send(address: String, share: Vec<Vec<u8>>) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut accepted = 0;
    for request in share {
        stream.write_all(&request).await?;
        let (status, length) = loop {
            anyhow::ensure!(
                stream.read_buf(&mut buffer).await? > 0,
                "no whole answer came"
            );
            if let Some(answer) = whole(&buffer) {
                break answer;
            }
        };
        anyhow::ensure!(status == "200", "a transfer was answered with {status}");
        buffer.drain(..length);
        accepted += 1;
    }
    Ok(accepted)
}

/// Status and length of an answer that is there whole.
fn whole(buffer: &[u8]) -> Option<(String, usize)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let status = text.get(9..12)?.to_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    })?;
    (buffer.len() >= head + length).then_some((status, head + length))
}
