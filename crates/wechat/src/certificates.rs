//! WeChat's platform certificates: fetched, proved, and never fetched in a storm.
//!
//! The list is sealed with the APIv3 key, which only WeChat and the merchant hold; so its
//! certificates may prove the answer that they came in, and a client whose own certificate has
//! expired finds its way back. Nothing is forgotten before it expires: old and new overlap.

use std::sync::Arc;

use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_io::rail::Refusal;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::cipher::{self, Resource};
use crate::socket::Answered;
use crate::trust::Trust;

/// Where the list is.
pub const PATH: &str = "/v3/certificates";

/// An answer signed with a key that we do not hold makes us look at most this often.
pub const LOOK_EVERY_MS: i64 = 600_000;

/// After this a list is due to be looked at in any case.
pub const DUE_MS: i64 = 12 * 3_600_000;

/// After a failure the next look waits so long, then twice as long, up to [`LOOK_EVERY_MS`].
const BACK_OFF_MS: i64 = 15_000;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    serial_no: String,
    encrypt_certificate: Resource,
}

/// Why the list is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was not for a long time.
    Due,
    /// A message is signed with a key that is not held.
    Unknown,
}

/// What a look at the list brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// So many certificates that were not held before.
    Came(usize),
    /// This merchant has none: WeChat signs with its public key only.
    None,
    /// It was too soon after the last look; nothing was asked.
    TooSoon,
}

#[derive(Debug, Default)]
struct Looks {
    next_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    failures: u32,
}

/// When the list may be looked at. Whoever holds it looks; the others wait and use what came.
#[derive(Debug, Default)]
pub struct Certificates {
    looks: Mutex<Looks>,
}

impl Certificates {
    /// Looks, unless somebody did a moment ago. `ask` sends the signed request. Only a look that a
    /// stranger's message caused holds up the next one: what is due holds up nothing.
    ///
    /// # Errors
    /// When there is no answer, or none that can be proved; what was held stays.
    pub async fn look<F>(
        &self,
        now: Timestamp,
        cause: Cause,
        (trust, apiv3_key): (&Arc<Trust>, &[u8]),
        ask: F,
    ) -> Result<Looked, Fault>
    where
        F: Future<Output = Result<Answered, &'static str>> + Send,
    {
        let mut looks = self.looks.lock().await;
        if looks.next_at.is_some_and(|at| now < at) {
            return Ok(Looked::TooSoon);
        }
        let looked = match ask.await {
            Ok(answered) => read(trust, apiv3_key, &answered, now),
            Err(word) => Err(Fault::Retry(word.to_owned())),
        };
        let wait = match &looked {
            Ok(_) => {
                looks.failures = 0;
                looks.due_at = Some(now.after_ms(DUE_MS));
                match cause {
                    Cause::Due => 0,
                    Cause::Unknown => LOOK_EVERY_MS,
                }
            }
            Err(_) => {
                looks.failures = looks.failures.saturating_add(1);
                BACK_OFF_MS << (looks.failures - 1).min(5)
            }
        };
        looks.next_at = Some(now.after_ms(wait.min(LOOK_EVERY_MS)));
        looked
    }

    /// Whether the list is due to be looked at, even if nothing unknown came.
    pub async fn due(&self, now: Timestamp) -> bool {
        let looks = self.looks.lock().await;
        looks.due_at.is_none_or(|at| now >= at) && looks.next_at.is_none_or(|at| now >= at)
    }
}

/// Proves an answer by the certificates in it or by those that are held, and keeps what came.
fn read(
    trust: &Trust,
    apiv3_key: &[u8],
    answered: &Answered,
    now: Timestamp,
) -> Result<Looked, Fault> {
    if answered.status == 404 {
        return Ok(Looked::None);
    }
    if answered.status != 200 {
        let status = answered.status;
        return Err(Fault::Retry(format!(
            "the certificates were refused: {status}"
        )));
    }
    let broken = |words: &str| Fault::Broken(format!("the list of certificates {words}"));
    let list: List = serde_json::from_slice(&answered.body).map_err(|_| broken("does not read"))?;
    if list.data.is_empty() {
        return Ok(Looked::None);
    }
    let came = Trust::default();
    for item in &list.data {
        let text = cipher::open(apiv3_key, &item.encrypt_certificate)
            .map_err(|_| broken("is sealed with another APIv3 key"))?;
        let text = String::from_utf8(text).map_err(|_| broken("is not text"))?;
        came.add_platform_certificate(&text, &item.serial_no)?;
    }
    let proved = match came.verify(&answered.headers, &answered.body, now) {
        Err(Refusal::SerialUnknown) => trust.verify(&answered.headers, &answered.body, now),
        proved => proved,
    };
    proved.map_err(|refusal| broken(&format!("is not WeChat's: {refusal}")))?;
    Ok(Looked::Came(trust.take_over(&came)))
}
