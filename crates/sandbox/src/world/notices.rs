//! The notifications about final states, and every try to deliver them.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

/// How a notification is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manner {
    /// Once, as documented.
    #[default]
    Plain,
    /// Twice at the same moment.
    Twice,
    /// Not before this many milliseconds of the business clock have passed.
    Late(u64),
    /// Not at all.
    Dropped,
    /// Before the answer to the request that made the transfer.
    Early,
    /// First with a signature that begins `WECHATPAY/SIGNTEST/`, then rightly.
    Probe,
    /// First signed with a key that nobody knows, then rightly.
    UnknownKey,
}

/// One try to deliver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Try {
    pub(crate) at_ms: i64,
    /// The HTTP status of the answer; none when there was no answer.
    pub(crate) status: Option<u16>,
    /// Whether the try was made to be refused.
    pub(crate) forged: bool,
}

impl Try {
    /// Whether the receiver took it.
    pub(crate) fn taken(&self) -> bool {
        matches!(self.status, Some(200 | 204))
    }
}

/// One notification.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) id: String,
    pub(crate) out_bill_no: String,
    pub(crate) url: String,
    pub(crate) created_ms: i64,
    pub(crate) manner: Manner,
    pub(crate) tries: Vec<Try>,
    /// Tries of the schedule that runs now; a redelivery begins a new one.
    pub(crate) round: usize,
    pub(crate) next_ms: Option<i64>,
}

/// All notifications, in the order of their making.
#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) all: Vec<Notice>,
    by_id: HashMap<String, usize>,
    due: BTreeSet<(i64, usize)>,
}

impl Notices {
    /// The notification of an id.
    pub(crate) fn get(&self, id: &str) -> Option<&Notice> {
        self.by_id.get(id).map(|index| &self.all[*index])
    }

    /// Notifications whose time has come, oldest first.
    pub(crate) fn due(&self, now_ms: i64) -> impl Iterator<Item = &Notice> {
        let ready = self.due.iter().take_while(move |(due_ms, _)| *due_ms <= now_ms);
        ready.map(|(_, index)| &self.all[*index])
    }

    /// When the earliest notification after `now_ms` is due.
    pub(crate) fn next_after_ms(&self, now_ms: i64) -> Option<i64> {
        self.due.range((now_ms + 1, 0)..).next().map(|(due_ms, _)| *due_ms)
    }

    pub(super) fn add(&mut self, out_bill_no: &str, url: &str, at_ms: i64, manner: Manner) {
        let index = self.all.len();
        let next_ms = match manner {
            Manner::Dropped => None,
            Manner::Late(delay_ms) => Some(at_ms.saturating_add_unsigned(delay_ms)),
            Manner::Plain | Manner::Twice | Manner::Early | Manner::Probe | Manner::UnknownKey => {
                Some(at_ms)
            }
        };
        let id = format!("EV-{at_ms}{index:09}");
        self.by_id.insert(id.clone(), index);
        self.due.extend(next_ms.map(|next_ms| (next_ms, index)));
        self.all.push(Notice {
            id,
            out_bill_no: out_bill_no.to_owned(),
            url: url.to_owned(),
            created_ms: at_ms,
            manner,
            tries: Vec::new(),
            round: 0,
            next_ms,
        });
    }

    pub(super) fn tried(&mut self, id: &str, attempt: &Try, next_ms: Option<i64>) {
        if let Some(notice) = self.reschedule(id, next_ms) {
            notice.round += 1;
            notice.tries.push(attempt.clone());
        }
    }

    pub(super) fn again(&mut self, id: &str, at_ms: i64, manner: Manner) {
        if let Some(notice) = self.reschedule(id, Some(at_ms)) {
            notice.round = 0;
            notice.manner = manner;
        }
    }

    fn reschedule(&mut self, id: &str, next_ms: Option<i64>) -> Option<&mut Notice> {
        let index = *self.by_id.get(id)?;
        let notice = &mut self.all[index];
        if let Some(due_ms) = notice.next_ms {
            self.due.remove(&(due_ms, index));
        }
        self.due.extend(next_ms.map(|next_ms| (next_ms, index)));
        notice.next_ms = next_ms;
        Some(notice)
    }
}
