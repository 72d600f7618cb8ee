//! Clients of the platform. Each asks one thing after another, writes down what it asked and what
//! it was told, and repeats what it does not know the fate of.

mod earner;
mod meddler;
mod operator;
mod reader;
mod withdrawer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;

use crate::calls;
use crate::history::{Call, Fate, Recorder, Saw};
use crate::stage::Places;
use crate::web::Web;

/// A client that waits longer for an answer does not know.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Payouts that clients remember.
const PAYOUTS_MAX: usize = 400;

/// What clients share.
#[derive(Debug)]
pub struct Crowd {
    /// Where everything is.
    pub places: Arc<Places>,
    /// The history.
    pub recorder: Arc<Recorder>,
    /// Everybody who earns.
    pub users: Vec<String>,
    /// Whether nothing new is asked any more.
    pub closing: AtomicBool,
    payouts: Mutex<Vec<String>>,
}

impl Crowd {
    /// Nobody yet.
    #[must_use]
    pub fn new(places: Arc<Places>, recorder: Arc<Recorder>, users: Vec<String>) -> Crowd {
        Crowd {
            places,
            recorder,
            users,
            closing: AtomicBool::new(false),
            payouts: Mutex::default(),
        }
    }

    fn remember(&self, payout: &str) {
        let mut payouts = self.payouts.lock().unwrap_or_else(PoisonError::into_inner);
        if payouts.len() >= PAYOUTS_MAX {
            payouts.remove(0);
        }
        payouts.push(payout.to_owned());
    }

    fn some_payout(&self, rng: &mut Rng) -> Option<String> {
        let payouts = self.payouts.lock().unwrap_or_else(PoisonError::into_inner);
        // Mostly one of the newest, for those still move.
        let newest = payouts.len().saturating_sub(30);
        let from = if rng.u8(0..4) == 0 { 0 } else { newest };
        (from < payouts.len()).then(|| payouts[rng.usize(from..payouts.len())].clone())
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

/// One client.
struct Client {
    name: String,
    crowd: Arc<Crowd>,
    web: Web,
    rng: Rng,
    /// Whose key it shows; the first one's where nothing is said.
    key: Option<String>,
}

/// Clients at work.
#[derive(Debug)]
pub struct Working {
    crowd: Arc<Crowd>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Working {
    /// Lets everybody begin.
    #[must_use]
    pub fn begin(crowd: &Arc<Crowd>, seed: u64) -> Working {
        let mut root = Rng::with_seed(seed ^ 0x0063_6c69_656e_7473);
        let mut client = |name: String| Client {
            name,
            crowd: Arc::clone(crowd),
            web: Web::new(ANSWER_WAIT),
            rng: root.fork(),
            key: None,
        };
        let mut tasks = Vec::new();
        for number in 0..3 {
            tasks.push(tokio::spawn(earner::work(client(format!(
                "earner{number}"
            )))));
        }
        for number in 0..2 {
            let name = format!("withdrawer{number}");
            tasks.push(tokio::spawn(withdrawer::work(client(name))));
        }
        for number in 0..2 {
            tasks.push(tokio::spawn(reader::work(client(format!(
                "reader{number}"
            )))));
        }
        tasks.push(tokio::spawn(meddler::work(client("meddler".into()))));
        for (place, key) in crowd.places.people.iter().enumerate() {
            let own = Client {
                key: Some(key.clone()),
                ..client(format!("person{place}"))
            };
            tasks.push(tokio::spawn(operator::work(own, place == 0)));
        }
        for process in 0..crowd.places.platforms.len() {
            let name = format!("prober{process}");
            tasks.push(tokio::spawn(reader::probe(client(name), process)));
        }
        Working {
            crowd: Arc::clone(crowd),
            tasks,
        }
    }

    /// Nothing new is asked any more, and nothing is broken: whatever is not known is asked for
    /// until it is. Answers what did not come to an end.
    pub async fn close(self) -> Vec<String> {
        self.crowd.closing.store(true, Ordering::SeqCst);
        let mut unfinished = Vec::new();
        for task in self.tasks {
            match task.await {
                Ok(left) => unfinished.extend(left),
                Err(error) => unfinished.push(format!("a client broke: {error}")),
            }
        }
        unfinished
    }
}

impl Client {
    /// Asks some process, and writes down both the question and the answer.
    async fn ask(&mut self, call: Call) -> (Fate, Option<String>, Saw) {
        let process = self.rng.usize(0..self.crowd.places.fronts.len());
        self.ask_at(process, call).await
    }

    async fn ask_at(&mut self, process: usize, call: Call) -> (Fate, Option<String>, Saw) {
        let mut ask = calls::ask(&self.crowd.places, process, &call);
        if let Some(key) = &self.key {
            ask.headers[0].1.clone_from(key);
        }
        let op = self.crowd.recorder.asked(&self.name, call.clone());
        let back = self.web.ask(ask).await;
        let (fate, code, saw) = calls::told(&call, &back);
        let head = (back.status, code.clone());
        self.crowd.recorder.told(op, fate, head, saw.clone());
        (fate, code, saw)
    }

    async fn rest(&mut self, most_ms: u64) {
        let ms = self.rng.u64(0..most_ms.max(1));
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn user(&mut self) -> String {
        let place = self.rng.usize(0..self.crowd.users.len());
        self.crowd.users[place].clone()
    }

    fn chance(&mut self, of_hundred: u8) -> bool {
        self.rng.u8(0..100) < of_hundred
    }
}
