//! Everything that runs: processes of the platform, the sandbox, perhaps a database, and the
//! proxies between them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::postgres::Server;
use crate::process::{Program, Running, free_addr};
use crate::proxy::Proxy;
use crate::settings::{Settings, Store};
use crate::web::{Ask, Web};

/// A password that the database does not need, so that it shows where it is told.
pub const PASSWORD: &str = "hush-hush-4711";
/// From so many fen on one person, or two, must approve a payout.
pub const REVIEW_FROM_FEN: i64 = 60;
/// From so many fen on two different people must.
pub const SECOND_FROM_FEN: i64 = 80;
/// People behind the desk.
const PEOPLE: usize = 2;
/// What lies in the merchant's account at first, in fen: not enough for long.
const FIRST_TOP_UP_FEN: &str = "4000";
/// How long a process may take to end when it is told to.
const END_WAIT: Duration = Duration::from_secs(10);
/// How often a process that does not start is started again before that is an error.
const STARTS_MAX: usize = 40;

/// What everybody shares who asks something.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where clients reach each process: a proxy.
    pub fronts: Vec<Proxy>,
    /// The processes themselves.
    pub platforms: Vec<SocketAddr>,
    /// Where WeChat reaches the platform: a proxy in front of all processes.
    pub hook: Proxy,
    /// Where the platform reaches WeChat: a proxy.
    pub wechat: Proxy,
    /// The sandbox itself.
    pub sandbox: SocketAddr,
    /// Where each process reaches the database, if there is one: a proxy.
    pub databases: Vec<Proxy>,
    /// `Bearer …`.
    pub key: String,
    /// The same for each of the people behind the desk.
    pub people: Vec<String>,
}

impl Places {
    /// A question to a process, through its front.
    #[must_use]
    pub fn front(&self, process: usize, method: &'static str, path: &str) -> Ask<'static> {
        let addr = self.fronts[process % self.fronts.len()].addr();
        self.ask(addr, method, path)
    }

    /// A question to a process itself.
    #[must_use]
    pub fn direct(&self, process: usize, method: &'static str, path: &str) -> Ask<'static> {
        self.ask(self.platforms[process % self.platforms.len()], method, path)
    }

    fn ask(&self, addr: SocketAddr, method: &'static str, path: &str) -> Ask<'static> {
        Ask {
            method,
            url: format!("http://{addr}{path}"),
            headers: vec![
                ("authorization", self.key.clone()),
                ("content-type", "application/json".into()),
            ],
            body: String::new(),
        }
    }

    /// A question to the hands of the sandbox.
    #[must_use]
    pub fn hands(&self, method: &'static str, path: &str, body: &Value) -> Ask<'static> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        Ask {
            method,
            url: format!("http://{}/_sandbox/{path}", self.sandbox),
            headers: vec![("content-type", "application/json".into())],
            body,
        }
    }
}

/// Everything that runs.
#[derive(Debug)]
pub struct Stage {
    /// Where everything is.
    pub places: Arc<Places>,
    /// The executable with its directory.
    pub program: Program,
    /// The platform and its database.
    pub platforms: Platforms,
    /// WeChat.
    pub wechat: Wechat,
}

impl Stage {
    /// Starts everything in a directory.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn set(settings: &Settings) -> anyhow::Result<Stage> {
        let program = program(settings)?;
        let (server, count) = match settings.store {
            Store::Sqlite => (None, 1),
            Store::Postgres => (Some(Server::start()?), settings.processes.max(1)),
        };
        let places = places(server.as_ref(), count).await?;
        write_config(&program, &places)?;
        let mut places = Arc::new(places);
        let mut wechat = Wechat::new(Arc::clone(&places), program.clone());
        wechat.start().await?;
        let mut platforms = Platforms {
            places: Arc::clone(&places),
            program: program.clone(),
            server,
            running: (0..count).map(|_| None).collect(),
        };
        platforms.start(0).await?;
        let key = fs::read_to_string(program.data.join("api-key"))
            .context("the key of the API is not there")?;
        let people = people(&mut platforms).await?;
        let with_key = Places {
            key: format!("Bearer {}", key.trim()),
            people,
            ..Places::clone(&places)
        };
        places = Arc::new(with_key);
        for process in 1..count {
            platforms.start(process).await?;
        }
        Ok(Stage {
            places,
            program,
            platforms,
            wechat,
        })
    }
}

/// Keys of the people behind the desk. Whoever makes them must have the books for himself.
async fn people(platforms: &mut Platforms) -> anyhow::Result<Vec<String>> {
    let store = platforms.direct_store();
    if store.is_none() {
        platforms.ready(0).await?;
        platforms.end(0).await?;
    }
    let mut keys = Vec::new();
    for _ in 0..PEOPLE {
        let words = ["keys", "new", "--scope", "*"];
        let made = platforms.program.json(store.as_deref(), &words)?;
        let key = made["key"].as_str().context("a new key is shown")?;
        keys.push(format!("Bearer {key}"));
    }
    if store.is_none() {
        platforms.start(0).await?;
    }
    Ok(keys)
}

async fn places(server: Option<&Server>, count: usize) -> anyhow::Result<Places> {
    let mut places = Places {
        fronts: Vec::new(),
        platforms: Vec::new(),
        hook: Proxy::stand().await?,
        wechat: Proxy::stand().await?,
        sandbox: free_addr()?,
        databases: Vec::new(),
        key: String::new(),
        people: Vec::new(),
    };
    for _ in 0..count {
        let (front, addr) = (Proxy::stand().await?, free_addr()?);
        front.lead_to(vec![addr]);
        places.fronts.push(front);
        places.platforms.push(addr);
        if let Some(server) = server {
            let database = Proxy::stand().await?;
            database.lead_to(vec![server.addr()]);
            places.databases.push(database);
        }
    }
    places.hook.lead_to(places.platforms.clone());
    places.wechat.lead_to(vec![places.sandbox]);
    Ok(places)
}

/// The processes of the platform, and their database.
#[derive(Debug)]
pub struct Platforms {
    places: Arc<Places>,
    program: Program,
    /// The database, if there is one.
    pub server: Option<Server>,
    running: Vec<Option<Running>>,
}

impl Platforms {
    /// How many processes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// The store of a process as it reaches it.
    fn store(&self, process: usize) -> Option<String> {
        let server = self.server.as_ref()?;
        let proxy = self.places.databases.get(process)?;
        Some(server.url(proxy.addr(), PASSWORD))
    }

    /// The store past every proxy.
    #[must_use]
    pub fn direct_store(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        Some(server.url(server.addr(), PASSWORD))
    }

    /// Starts a process, again and again where it ends by itself because something that it needs
    /// is cut off: so does whoever supervises it in earnest.
    ///
    /// # Errors
    /// When it does not start for long.
    pub async fn start(&mut self, process: usize) -> anyhow::Result<()> {
        let listen = self.places.platforms[process].to_string();
        let (name, store) = (format!("serve-{process}"), self.store(process));
        let arguments = ["serve", "--listen", &listen];
        let mut failed = None;
        for _ in 0..STARTS_MAX {
            match self
                .program
                .start(&name, store.as_deref(), &arguments)
                .await
            {
                Ok(running) => {
                    self.running[process] = Some(running);
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("{name} does not start")))
    }

    /// Waits until a process says that it is ready.
    ///
    /// # Errors
    /// When it does not for long.
    async fn ready(&self, process: usize) -> anyhow::Result<()> {
        let web = Web::new(END_WAIT);
        for _ in 0..STARTS_MAX {
            let ask = self.places.direct(process, "GET", "/readyz");
            if web.ask(ask).await.status == Some(200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        anyhow::bail!("process {process} is not ready")
    }

    /// `kill -9` of a process.
    pub fn kill(&mut self, process: usize) {
        self.running[process] = None;
    }

    /// Stops a process, or lets it go on.
    pub fn stand_still(&self, process: usize, still: bool) {
        match (&self.running[process], still) {
            (Some(running), true) => running.stop(),
            (Some(running), false) => running.go_on(),
            (None, _) => {}
        }
    }

    /// Tells a process to end, as whoever upgrades it does.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub async fn end(&mut self, process: usize) -> anyhow::Result<()> {
        let Some(mut running) = self.running[process].take() else {
            return Ok(());
        };
        let status = running.end(END_WAIT).await;
        let status =
            status.with_context(|| format!("process {process} did not end within {END_WAIT:?}"))?;
        ensure!(status.success(), "process {process} ended {status}");
        Ok(())
    }

    /// Processes that ended although nobody told them to.
    pub fn fallen(&mut self) -> Vec<String> {
        let mut fallen = Vec::new();
        for (process, running) in self.running.iter_mut().enumerate() {
            if let Some(status) = running.as_mut().and_then(Running::ended) {
                fallen.push(format!("process {process} ended by itself: {status}"));
                *running = None;
            }
        }
        fallen
    }
}

/// The sandbox.
#[derive(Debug)]
pub struct Wechat {
    places: Arc<Places>,
    program: Program,
    running: Option<Running>,
    web: Web,
    /// What users do, and what goes wrong all the time; forgotten by a sandbox that is killed.
    habits: (Value, Value),
}

impl Wechat {
    fn new(places: Arc<Places>, program: Program) -> Wechat {
        Wechat {
            places,
            program,
            running: None,
            web: Web::new(Duration::from_secs(10)),
            habits: (Value::Null, Value::Null),
        }
    }

    /// Starts the sandbox, on the books that it has.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let listen = self.places.sandbox.to_string();
        let money = ["--top-up-fen", FIRST_TOP_UP_FEN];
        let arguments = ["sandbox", "--listen", &listen, money[0], money[1]];
        let running = self.program.start("sandbox", None, &arguments).await?;
        self.running = Some(running);
        // The platform reads here where WeChat is, and shall go through the proxy.
        let address = self.program.data.join("sandbox/address");
        let proxy = format!("http://{}\n", self.places.wechat.addr());
        fs::write(&address, proxy)
            .with_context(|| format!("cannot write {}", address.display()))?;
        let (robot, per_mille) = self.habits.clone();
        if !robot.is_null() {
            self.behave(robot, per_mille).await?;
        }
        Ok(())
    }

    /// `kill -9` of the sandbox.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Says what users do, and what goes wrong all the time.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn behave(&mut self, robot: Value, per_mille: Value) -> anyhow::Result<()> {
        self.hand("POST", "robot", &robot).await?;
        self.hand("POST", "faults", &json!({ "per_mille": per_mille }))
            .await?;
        self.habits = (robot, per_mille);
        Ok(())
    }

    /// Lets something go wrong the next so many times.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn trip(&self, fault: &str, times: u64) -> anyhow::Result<()> {
        let faults = json!({ "times": { fault: times }, "per_mille": self.habits.1 });
        self.hand("POST", "faults", &faults).await.map(|_| ())
    }

    /// Moves the business clock. A process learns of it when it starts.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn advance(&self, seconds: u64) -> anyhow::Result<()> {
        let body = json!({ "advance_seconds": seconds });
        self.hand("POST", "clock", &body).await.map(|_| ())
    }

    /// Asks the hands of the sandbox.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn hand(
        &self,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        self.web.json(self.places.hands(method, path, body)).await
    }
}

fn program(settings: &Settings) -> anyhow::Result<Program> {
    let program = Program {
        binary: settings.binary.clone(),
        data: settings.dir.join("data"),
        logs: settings.dir.join("logs"),
        log_filter: settings.log.clone(),
    };
    for dir in [&program.data, &program.logs] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    Ok(program)
}

/// Limits that are out of the way of many small payouts, and the way in for WeChat.
fn write_config(program: &Program, places: &Places) -> anyhow::Result<()> {
    let path: PathBuf = program.data.join("lingqian.toml");
    let text = format!(
        "[server]\npublic_url = \"http://{}\"\n\n[policy]\nuser_day_max_fen = 100000000\n\
         user_day_count_max = 100000\nreview_from_fen = {REVIEW_FROM_FEN}\n\
         second_from_fen = {SECOND_FROM_FEN}\n",
        places.hook.addr()
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
