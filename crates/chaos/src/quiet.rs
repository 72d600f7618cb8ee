//! After the faults have stopped: everything must come to its end within a bound, while days pass
//! quickly.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::calls::{self, payouts};
use crate::history::{Act, Call, PayoutSeen, Recorder};
use crate::stage::Stage;
use crate::web::Web;

/// A day and five hours: whoever was asked to confirm and did not, is too late after it.
const A_DAY_S: u64 = 104_400;
/// So many such days pass at most before every payout has ended.
const DAYS_MAX: usize = 5;
/// What can move without another day does so within this.
const MOVE_WAIT: Duration = Duration::from_secs(45);
/// A day in which nothing moves for so long is over.
const STILL_WAIT: Duration = Duration::from_millis(2_500);
/// What the merchant then has for whatever is left, in fen.
const ENOUGH_FEN: i64 = 100_000_000;
/// Payouts of a page.
const PAGE: u32 = 200;

/// What the platform says about itself when nothing is broken.
#[derive(Debug)]
pub(crate) struct Calm<'s> {
    pub(crate) stage: &'s mut Stage,
    pub(crate) web: Web,
    pub(crate) recorder: &'s Recorder,
}

impl Calm<'_> {
    /// Everything is clear, alive and ready.
    ///
    /// # Errors
    /// When it does not become so.
    pub(crate) async fn make(&mut self) -> anyhow::Result<()> {
        let robot = json!({
            "confirm_per_mille": 850, "refuse_per_mille": 60, "delay_ms": 20, "seed": 5,
        });
        self.stage.wechat.behave(robot, json!({})).await?;
        let enough = json!({ "amount_fen": ENOUGH_FEN });
        self.stage.wechat.hand("POST", "top-up", &enough).await?;
        for process in 0..self.stage.platforms.count() {
            let began = Instant::now();
            while !self.is_ready(process).await {
                if began.elapsed() > MOVE_WAIT {
                    bail!(
                        "process {process} is not ready {MOVE_WAIT:?} after everything is mended"
                    );
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn is_ready(&self, process: usize) -> bool {
        let ask = self.stage.places.direct(process, "GET", "/readyz");
        self.web.ask(ask).await.status == Some(200)
    }

    /// So many seconds pass; every process ends as it is told and begins again.
    ///
    /// # Errors
    /// When one does not end or does not begin.
    pub(crate) async fn pass(&mut self, seconds: u64) -> anyhow::Result<()> {
        for process in 0..self.stage.platforms.count() {
            self.stage.platforms.end(process).await?;
        }
        self.stage.wechat.advance(seconds).await?;
        for process in 0..self.stage.platforms.count() {
            self.stage.platforms.start(process).await?;
        }
        Ok(())
    }

    /// Lets days pass until every payout has ended and was seen on a bill. Answers how many.
    ///
    /// # Errors
    /// When that does not come.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<usize> {
        let mut days = 0;
        loop {
            days += 1;
            self.pass(A_DAY_S).await?;
            let Some(left) = self.a_day().await? else {
                break;
            };
            if days == DAYS_MAX {
                bail!("stuck: not within {DAYS_MAX} quiet days: {left}");
            }
            self.recorder.struck("day", format!("{days}: {left}"));
        }
        // What was paid last is on the bill of a day that must be over.
        self.pass(2 * A_DAY_S).await?;
        self.until("every payout was seen on a bill", async |calm| {
            calm.unbilled().await
        })
        .await?;
        Ok(days)
    }

    /// A quiet day: as long as payouts move, and a moment for those that wait for their users or
    /// for a later hour. Answers one that has not ended.
    async fn a_day(&self) -> anyhow::Result<Option<String>> {
        let (mut still, mut before) = (Instant::now(), String::new());
        loop {
            self.approve_all().await?;
            let Some(left) = self.open().await? else {
                return Ok(None);
            };
            let states = self.api("/v1/summary").await?["payouts"].to_string();
            if states != before {
                (still, before) = (Instant::now(), states);
            }
            if still.elapsed() > STILL_WAIT {
                return Ok(Some(left));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everybody says yes to what waits for people. What the books or WeChat's word stopped is no
    /// part of a run: it is told as what went wrong.
    async fn approve_all(&self) -> anyhow::Result<()> {
        let list = self
            .api(&format!("/v1/payouts?state=review&limit={PAGE}"))
            .await?;
        for waiting in list["data"].as_array().into_iter().flatten() {
            let payout = waiting["id"].as_str().unwrap_or_default().to_owned();
            for (place, key) in self.stage.places.people.iter().enumerate() {
                let call = Call::Act {
                    payout: payout.clone(),
                    what: Act::Approve,
                };
                let mut ask = calls::ask(&self.stage.places, 0, &call);
                ask.headers[0].1.clone_from(key);
                let op = self.recorder.asked(&format!("person{place}"), call.clone());
                let back = self.web.ask(ask).await;
                let (fate, code, saw) = calls::told(&call, &back);
                self.recorder.told(op, fate, (back.status, code), saw);
            }
        }
        let stops = self.api("/v1/stops").await?;
        let of_audit = |stop: &&Value| stop["cause"] == "audit";
        let mut stops = stops["data"].as_array().into_iter().flatten();
        match stops.find(of_audit) {
            Some(stop) => bail!("the engine stopped by itself: {stop}"),
            None => Ok(()),
        }
    }

    async fn until<F>(&self, what: &str, mut left: F) -> anyhow::Result<()>
    where
        F: AsyncFnMut(&Self) -> anyhow::Result<Option<String>>,
    {
        let began = Instant::now();
        loop {
            let Some(left) = left(self).await? else {
                return Ok(());
            };
            if began.elapsed() > MOVE_WAIT {
                bail!("stuck: not within {MOVE_WAIT:?}: {what}: {left}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A payout that has not ended, as its story.
    async fn open(&self) -> anyhow::Result<Option<String>> {
        let summary = self.api("/v1/summary").await?;
        let ended = ["paid", "failed", "expired", "cancelled", "refused"];
        let states = summary["payouts"].as_array().context("payouts by state")?;
        let mut open = states
            .iter()
            .filter(|state| state["count"] != 0)
            .filter_map(|state| state["state"].as_str())
            .filter(|state| !ended.contains(state));
        let Some(open) = open.next() else {
            return Ok(None);
        };
        let list = self.api(&format!("/v1/payouts?state={open}")).await?;
        let first = list["data"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if first.is_empty() {
            return Ok(Some(format!("some are {open}")));
        }
        let story = self.api(&format!("/v1/payouts/{first}")).await?;
        Ok(Some(story.to_string()))
    }

    /// What was paid and is on no bill yet, and breaks that are open.
    async fn unbilled(&self) -> anyhow::Result<Option<String>> {
        let summary = self.api("/v1/summary").await?;
        let accounts = summary["accounts"].as_array().context("accounts")?;
        let clear = accounts.iter().all(|account| {
            let name = account["account"].as_str().unwrap_or_default();
            !name.starts_with("wechat:clearing") || account["balance_micros"] == 0
        });
        if clear && summary["open_breaks"] == 0 {
            return Ok(None);
        }
        let (bills, breaks) = (self.api("/v1/bills").await?, self.api("/v1/breaks").await?);
        let clock = self.stage.wechat.hand("GET", "clock", &Value::Null).await?;
        Ok(Some(format!(
            "at {clock} {accounts:?} bills {bills} breaks {breaks}"
        )))
    }

    /// A whole answer of the first process.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let ask = self.stage.places.direct(0, "GET", path);
        self.web.json(ask).await
    }

    /// Every payout there is.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) async fn payouts(&self) -> anyhow::Result<Vec<PayoutSeen>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/payouts?limit={PAGE}{cursor}");
            let page = self.api(&path).await?;
            all.extend(payouts(&page).context("a page of payouts")?);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }
}
