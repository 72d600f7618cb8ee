//! One run from the first process to the verdict.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::check::{Finding, check};
use crate::clients::{Crowd, Working};
use crate::evidence::{self, Evidence, entries_of_csv, entries_of_database, secrets_in};
use crate::history::{self, Recorder};
use crate::nemesis;
use crate::plan::Plan;
use crate::process::text_of;
use crate::quiet::Calm;
use crate::report::Report;
use crate::settings::{Fault, Settings};
use crate::stage::{PASSWORD, Stage};
use crate::web::{Ask, Web};

/// Users of a run.
const USERS: usize = 16;
/// Transfers of a page of the sandbox's books.
const PAGE: usize = 10_000;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What must not be.
    pub findings: Vec<Finding>,
    /// The run in numbers.
    pub report: Report,
}

/// Runs, and checks what is left.
///
/// # Errors
/// When the harness itself fails; what the platform does wrong is a finding.
pub async fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(&settings.dir)
        .with_context(|| format!("cannot make {}", settings.dir.display()))?;
    let history = settings.dir.join("history.ndjson");
    let recorder = Arc::new(Recorder::create(&history)?);
    let plan = Plan::of(settings);
    let mut stage = Stage::set(settings).await?;
    let people = link_people(&stage).await?;
    let (robot, per_mille) = habits(settings);
    stage.wechat.behave(robot, per_mille).await?;
    let users = people.iter().map(|(user, _)| user.clone()).collect();
    let crowd = Crowd::new(Arc::clone(&stage.places), Arc::clone(&recorder), users);
    let working = Working::begin(&Arc::new(crowd), settings.seed);
    let mut left = Evidence::default();
    let time = Duration::from_secs(settings.seconds);
    if let Err(error) = nemesis::strike(&mut stage, &plan, &recorder, time).await {
        left.incidents.push(format!("not mended: {error:#}"));
    }
    left.incidents.extend(stage.platforms.fallen());
    let mut calm = Calm {
        stage: &mut stage,
        web: Web::new(Duration::from_secs(20)),
        recorder: &recorder,
    };
    let mut days = 0;
    let ready = calm.make().await;
    left.incidents.extend(working.close().await);
    match ready {
        Err(error) => left.incidents.push(format!("{error:#}")),
        Ok(()) => match calm.settle().await {
            Ok(passed) => days = passed,
            Err(error) => left.incidents.push(format!("{error:#}")),
        },
    }
    look(&mut calm, &mut left)
        .await
        .context("looking at the end")?;
    for process in 0..stage.platforms.count() {
        if let Err(error) = stage.platforms.end(process).await {
            left.incidents.push(format!("{error:#}"));
        }
    }
    recorder.flush()?;
    (left.ops, left.struck) = history::read(&history)?;
    gather(&stage, &people, &mut left).await?;
    let findings = check(&left);
    let report = Report::of(&left, settings, days);
    report.write(&settings.dir, &findings)?;
    Ok(Outcome { findings, report })
}

/// What users do, and what goes wrong in the sandbox all the time.
fn habits(settings: &Settings) -> (Value, Value) {
    let robot = json!({
        "confirm_per_mille": 650, "refuse_per_mille": 60, "delay_ms": 60, "seed": settings.seed,
    });
    let mut faults = json!({});
    if settings.faults.contains(&Fault::Wechat) {
        faults = json!({
            "answer_lost": 50, "error_after": 40, "error_before": 40, "too_fast": 30,
            "unknown_key": 30, "unknown_code": 30, "quota_spent": 10, "query_blind": 60,
            "query_error": 60, "cancel_lost": 150,
        });
    }
    if settings.faults.contains(&Fault::Notify) {
        for (fault, chance) in [
            ("notice_twice", 150),
            ("notice_never", 150),
            ("notice_probe", 80),
        ] {
            faults[fault] = json!(chance);
        }
    }
    (robot, faults)
}

/// Registers users with names, and links their wallets. Answers users with their real names.
async fn link_people(stage: &Stage) -> anyhow::Result<Vec<(String, String)>> {
    let web = Web::new(Duration::from_secs(10));
    let mut people = Vec::new();
    for number in 0..USERS {
        let (user, name) = (format!("u{number}"), format!("欧阳测试{number:02}"));
        // Some gave the app a name that is not theirs: WeChat refuses to pay them.
        let real = if number == 5 {
            "司马别人".to_owned()
        } else {
            name.clone()
        };
        let person = json!({ "name": user, "real_name": real, "frozen": number == 6 });
        stage.wechat.hand("POST", "users", &person).await?;
        let places = &stage.places;
        let mut ask = places.direct(number, "POST", "/v1/users");
        ask.body = json!({ "id": user, "name": name }).to_string();
        web.json(ask).await?;
        let ask = places.direct(number, "POST", &format!("/v1/users/{user}/link"));
        let begun = web.json(ask).await?;
        let page = begun["authorize_url"].as_str().unwrap_or_default();
        let page = page.split('#').next().unwrap_or_default();
        let page = format!("{page}&sandbox_user={user}");
        let callback = web.ask(get(page)).await.location;
        let callback = callback.context("the page leads back")?;
        let back = web.ask(get(callback)).await;
        anyhow::ensure!(back.status == Some(200), "{user} was not linked: {back:?}");
        people.push((user, name));
    }
    Ok(people)
}

fn get(url: String) -> Ask<'static> {
    Ask {
        method: "GET",
        url,
        ..Ask::default()
    }
}

/// What the API and WeChat show at the end, while the processes still run.
async fn look(calm: &mut Calm<'_>, left: &mut Evidence) -> anyhow::Result<()> {
    left.payouts = calm.payouts().await?;
    for number in 0..USERS {
        let user = format!("u{number}");
        let shown = calm.api(&format!("/v1/users/{user}")).await?;
        let micros = |name: &str| shown[name].as_i64().context("a balance");
        let both = (micros("available_micros")?, micros("held_micros")?);
        left.balances.insert(user, both);
    }
    let wechat = &calm.stage.wechat;
    let mut after = String::new();
    loop {
        let path = format!("transfers?limit={PAGE}&after={after}");
        let page = wechat.hand("GET", &path, &Value::Null).await?;
        let page: Vec<evidence::Transfer> = serde_json::from_value(page["data"].clone())?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.out_bill_no);
        left.transfers.extend(page);
    }
    let people = wechat.hand("GET", "users", &Value::Null).await?;
    let people = people["data"].as_array().context("people")?;
    let openid = |one: &Value| {
        let (name, openid) = (one["name"].as_str()?, one["openid"].as_str()?);
        Some((name.to_owned(), openid.to_owned()))
    };
    left.openids = people.iter().filter_map(openid).collect::<BTreeMap<_, _>>();
    Ok(())
}

/// What is left when nothing runs any more but the database: the books, what commands find in
/// them, and the logs.
async fn gather(
    stage: &Stage,
    people: &[(String, String)],
    left: &mut Evidence,
) -> anyhow::Result<()> {
    let program = &stage.program;
    let store = stage.platforms.direct_store();
    let audit = program.json(store.as_deref(), &["audit"])?;
    left.commands.push(("audit".into(), audit));
    left.entries = match &stage.platforms.server {
        Some(server) => entries_of_database(&server.connect().await?).await?,
        None => {
            let whole = program.json(None, &["ledger", "verify"])?;
            left.commands.push(("ledger verify".into(), whole));
            let file = program.data.join("entries.csv");
            let out = file.to_string_lossy().into_owned();
            let arguments = ["export", "entries", "--format", "csv", "--out", &out];
            program.json(None, &arguments)?;
            entries_of_csv(&text_of(&file))?
        }
    };
    left.secrets = secrets_in(&program.data)?;
    left.secrets
        .push(("the database's password".into(), PASSWORD.into()));
    for (user, name) in people {
        left.secrets
            .push((format!("the name of {user}"), name.clone()));
    }
    for (user, openid) in &left.openids {
        left.secrets
            .push((format!("the openid of {user}"), openid.clone()));
    }
    left.logs = logs(&program.logs)?;
    Ok(())
}

/// Logs of the platform. The sandbox is WeChat, and may say what it likes.
fn logs(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        logs.push((name, text_of(&path)));
    }
    logs.sort();
    Ok(logs)
}
